"""The catalogue of servers, in reading order: each model's file, and what it declares it can do."""

import sys
from dataclasses import dataclass
from typing import Final

if sys.platform != "linux":
    sys.stderr.write(f"this study runs on Linux only, and this is {sys.platform}\n")
    sys.exit(2)

CAPABILITIES: Final = {
    "concurrent": "clients make progress side by side, whatever one of them does",
    "many_clients": "as many clients at once as there are descriptors; select() ends at 1,024",
    "fair": "a client that floods does not starve the others",
    "parallel": "costly requests are worked on at once, on more than one core",
}
"""What a server may declare, with its meaning; the conformance suite checks the declared and the undeclared."""

_ALL_ON_ONE_CORE: Final = frozenset({"concurrent", "many_clients", "fair"})


@dataclass(frozen=True)
class Implementation:
    """One server of the catalogue."""

    name: str
    model: str
    declares: frozenset[str]

    @property
    def file(self) -> str:
        """The path of its source, from the top of the project."""
        return f"implementations/{self.name}.py"


CATALOGUE: Final = (
    Implementation("blocking", "one client at a time", frozenset()),
    Implementation("threaded", "one thread per client", _ALL_ON_ONE_CORE),
    Implementation(
        "thread_pool", "a fixed number of threads, a client each at a time", frozenset({"concurrent", "fair"})
    ),
    Implementation("select_generators", "inline generators, select()", frozenset({"concurrent", "fair"})),
    Implementation("selectors_callbacks", "callbacks, selectors (epoll)", _ALL_ON_ONE_CORE),
    Implementation("asyncio_streams", "asyncio tasks over streams", _ALL_ON_ONE_CORE),
    Implementation("asyncio_protocol", "asyncio protocols: transport callbacks", _ALL_ON_ONE_CORE),
    Implementation("trio_nursery", "trio tasks in a nursery", _ALL_ON_ONE_CORE),
    Implementation("gevent_greenlets", "gevent greenlets", _ALL_ON_ONE_CORE),
    Implementation(
        "processes", "a process per core, a thread per client in each", _ALL_ON_ONE_CORE | {"parallel"}
    ),
)
