"""The catalogue of servers, in reading order: each model's file, what it declares it can do, and its factors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

CAPABILITIES: Final = {
    "concurrent": "clients make progress side by side, whatever one of them does",
    "many_clients": "as many clients at once as there are descriptors; select() ends at 1,024",
    "fair": "a client that floods does not starve the others",
    "parallel": "costly requests are worked on at once, on more than one core",
}
"""What a server may declare, with its meaning; the conformance suite checks the declared and the undeclared."""


_ALL_ON_ONE_CORE: Final = frozenset({"concurrent", "many_clients", "fair"})


@dataclass(frozen=True)
class Factors:
    """What about a server is not its model, and yet has a share in its figures.

    Attributes:
        event_loop: who waits for all clients at once.
        api_level: what the handler is written against.
        receives: how much it receives from a client at once, at most.
        socket_options: those that its library sets by itself, besides what all share (see `server.open_listener`).
        driver: what it asks an upstream through, where it has a choice.
    """

    event_loop: str = "none"
    api_level: str = "sockets"
    receives: str = "16 KiB"
    socket_options: str = "none"
    driver: str = ""


@dataclass(frozen=True)
class Implementation:
    """One server of the catalogue, or a variant of one.

    Attributes:
        name: its module's; that of a variant goes on with `+` and what is varied.
        model: in words.
        declares: the capabilities that it claims.
        own: its factors.
        most_clients: how many it can serve at once, if its model sets a limit.
        options: that make a variant of it.
        libraries: that it needs.
        threaded: its clients' threads share an interpreter, so that without a global lock they would share the cores.
        part: the module that another part of its model stands in, if its file is not all of it.
        mistake: what it does wrong on purpose, to show what that costs; empty for all others.
    """

    name: str
    model: str
    declares: frozenset[str]
    own: Factors = field(default_factory=Factors)
    most_clients: int | None = None
    options: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    threaded: bool = False
    part: str | None = None
    mistake: str = ""

    @property
    def module(self) -> str:
        """The module to run."""
        return f"implementations.{self.name.partition('+')[0]}"

    @property
    def file(self) -> str:
        """The path of its source, from the top of the project."""
        return f"{self.module.replace('.', '/')}.py"

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all that its model consists of."""
        return (self.file, f"implementations/{self.part}.py") if self.part else (self.file,)

    @property
    def factors(self) -> dict[str, str]:
        """All factors, by name."""
        return {
            "event loop": self.own.event_loop,
            "API level": self.own.api_level,
            "receives": self.own.receives,
            "socket options": self.own.socket_options,
            **({"driver": self.own.driver} if self.own.driver else {}),
        }


_BLOCKING: Final = "blocking_handler"
_ASYNCIO: Final = Factors("asyncio, epoll", "streams", "256 KiB", "TCP_NODELAY")

CATALOGUE: Final = (
    Implementation("blocking", "one client at a time", frozenset(), most_clients=1, part=_BLOCKING),
    Implementation("threaded", "one thread per client", _ALL_ON_ONE_CORE, threaded=True, part=_BLOCKING),
    Implementation(
        "thread_pool",
        "64 threads, a client each at a time",
        frozenset({"concurrent", "fair"}),
        most_clients=64,
        threaded=True,
        part=_BLOCKING,
    ),
    Implementation(
        "select_generators",
        "inline generators, select()",
        frozenset({"concurrent", "fair"}),
        Factors("its own, select"),
        most_clients=1000,
        part="select_reactor",
    ),
    Implementation(
        "selectors_callbacks",
        "callbacks, selectors",
        _ALL_ON_ONE_CORE,
        Factors("its own, epoll"),
        part="callback_loop",
    ),
    Implementation(
        "asyncio_protocol",
        "asyncio protocols, transport callbacks",
        _ALL_ON_ONE_CORE,
        replace(_ASYNCIO, api_level="callbacks"),
    ),
    Implementation("asyncio_streams", "asyncio tasks over streams", _ALL_ON_ONE_CORE, _ASYNCIO),
    Implementation(
        "trio_nursery",
        "trio tasks in a nursery",
        _ALL_ON_ONE_CORE,
        Factors("trio, epoll", "streams", "16 KiB", "TCP_NODELAY, TCP_NOTSENT_LOWAT"),
        libraries=("trio",),
    ),
    Implementation(
        "gevent_greenlets",
        "gevent greenlets",
        _ALL_ON_ONE_CORE,
        Factors("gevent, libev, epoll"),
        libraries=("gevent",),
    ),
    Implementation(
        "processes",
        "a process per core, a thread per client in each",
        _ALL_ON_ONE_CORE | {"parallel"},
        part=_BLOCKING,
    ),
)


ON_ASYNCIO: Final = tuple(model for model in CATALOGUE if model.name.startswith("asyncio_"))
"""Those whose event loop can be another."""


def on_loop(model: Implementation, name: str, factory: str) -> Implementation:
    """Return an asyncio server on another loop, by the loop's name and by what makes it (see `event_loop`)."""
    return replace(
        model,
        name=f"{model.name}+{name}",
        model=f"{model.model}, on {name}",
        own=replace(model.own, event_loop=name, receives="as its loop does"),
        options=("--loop", factory),
    )


def _variants(model: Implementation) -> tuple[Implementation, ...]:
    """Return an asyncio server on another loop, and with other receives."""
    return (
        replace(
            on_loop(model, "uvloop", "uvloop"),
            own=replace(model.own, event_loop="uvloop, libuv, epoll", receives="250 KiB"),
            libraries=("uvloop",),
        ),
        replace(
            model,
            name=f"{model.name}+recv64k",
            model=f"{model.model}, receives of 64 KiB",
            own=replace(model.own, receives="64 KiB"),
            options=("--receive-kib", "64"),
        ),
    )


_PROTOCOL, _STREAMS = ON_ASYNCIO

VARIANTS: Final = (
    *_variants(_PROTOCOL),
    replace(
        _PROTOCOL,
        name="asyncio_protocol+buffered",
        model=f"{_PROTOCOL.model}, received into one buffer",
        own=replace(_PROTOCOL.own, receives="16 KiB, into its own buffer"),
        options=("--buffered",),
    ),
    *_variants(_STREAMS),
)
"""The same files, with one factor changed; measured if they are named."""

UNLOCKED: Final = (
    replace(
        _STREAMS,
        name="asyncio_streams+loops",
        model=f"{_STREAMS.model}, a loop in a thread for each core",
        own=replace(_STREAMS.own, event_loop="asyncio, epoll; without the lock one for each core"),
        options=("--loop-per-core",),
        threaded=True,
    ),
)
"""The same, where it makes a difference only to an interpreter without the lock; measured if they are named."""

RELAYS: Final = (
    replace(
        _STREAMS,
        name="asyncio_streams+to_thread",
        model=f"{_STREAMS.model}, asking through asyncio.to_thread",
        own=replace(_ASYNCIO, driver="blocks a thread"),
        options=("--driver", "to_thread"),
    ),
    replace(
        _STREAMS,
        name="asyncio_streams+blocking",
        model=f"{_STREAMS.model}, and a driver that blocks the loop",
        own=replace(_ASYNCIO, driver="blocks the loop, a mistake"),
        options=("--driver", "blocking"),
        mistake="its driver blocks the loop, so that every client waits for each one's answer",
    ),
)
"""The same, where only a relay differs: measured if they are named, and have somebody to ask."""

SERVERS: Final[Mapping[str, Implementation]] = MappingProxyType(
    {implementation.name: implementation for implementation in (*CATALOGUE, *VARIANTS, *UNLOCKED, *RELAYS)}
)
"""All that can be named."""
