"""The servers to judge or to measure: ours by name, anybody's by a command or an address."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.launch.interpreters import Interpreter
from harness.machine.connections import Address
from harness.plan import ALL_CORES, FREE, ONE_CORE, WAYS, regime_of
from harness.record import PROJECT
from implementations.catalogue import Implementation

PLACEHOLDERS: Final = ("host", "port", "max_clients", "idle_timeout", "grace")
RELAY_PLACEHOLDERS: Final = ("upstream", "pool", "upstream_timeout")
"""Of a server that can be a relay. Started as none, it is not told the words with these, nor the options before them."""
HOST: Final = "127.0.0.1"
GREETING: Final = "greeting"
STOP: Final = "stop"
HOPELESS_S: Final = 0.3
"""So long is waited for what has been found to be hopeless."""
FEW_CLIENTS: Final = 1000
"""Whoever serves clients side by side, and does not declare `many_clients`, is asked for no more."""


@dataclass(frozen=True)
class Candidate:
    """A server as the harness knows it before it runs.

    Attributes:
        label: its name in every table.
        command: the words to start it with, `{placeholders}` in them; empty if it runs already, at `address`.
        declares: the capabilities that it claims; None if nothing was said.
        address: where it runs, if the harness does not start it.
        announces: it is known to print the readiness line, so that it may choose its port.
        implementation: what it is in the catalogue, if it is ours.
        python: the interpreter that it runs on, if it is ours and that is not the harness's own.
        loop: `NAME=FACTORY` of the event loop that it runs on, if the catalogue does not know that.
        ways: how it is measured, if otherwise than usual: `FREE` on all cores, `FRESH` without a client before.
        directory: in which it is started: the caller's for a command of the caller's, the project for ours.
        hopeless: what it was found not to do at all, `GREETING` or `STOP`: nobody waits long for that any more.
        refusal: why it cannot run on the interpreter that it is to run on; "" if it can.
    """

    label: str
    command: tuple[str, ...] = ()
    declares: frozenset[str] | None = None
    address: Address | None = None
    announces: bool = False
    implementation: Implementation | None = None
    python: Interpreter | None = None
    loop: str = ""
    ways: tuple[str, ...] = ()
    directory: Path = PROJECT
    hopeless: frozenset[str] = frozenset()
    refusal: str = ""

    @property
    def name(self) -> str:
        """What selects it again: its label, but for one of ours on another interpreter."""
        if self.implementation and self.python:
            return f"{self.implementation.name}@{self.python.choice}"
        return self.label

    @property
    def plain(self) -> "Candidate":
        """Return the same server, measured as usual: what it promises does not depend on that."""
        label = self.label.removesuffix("".join(f"+{way}" for way in self.ways))
        return replace(self, label=label, ways=())

    def measured(self, *ways: str) -> "Candidate":
        """Return the same server, as one that is measured in these ways."""
        chosen = tuple(way for way in WAYS if way in ways)
        plain = self.plain
        return replace(plain, label=plain.label + "".join(f"+{way}" for way in chosen), ways=chosen)

    @property
    def words(self) -> tuple[str, ...]:
        """How a command of ours is told to take it."""
        if self.announces:
            return (self.name, "--loop", self.loop) if self.loop else (self.name,)
        claims = (
            () if self.declares is None else ("--declare", f"{self.label}={','.join(sorted(self.declares))}")
        )
        return ("--server", f"{self.label}={shlex.join(self.command)}", *claims)

    @property
    def most_clients(self) -> int | None:
        """How many clients it can serve at once, if that is known to be limited."""
        if self.implementation is not None:
            return self.implementation.most_clients
        if self.declares is None or "many_clients" in self.declares:
            return None
        return FEW_CLIENTS if "concurrent" in self.declares else 1

    @property
    def regime(self) -> str:
        """With whom it is measured and compared: those that have one core, or those that have all.

        One that is free on all stands beside those of one core, whatever it makes of that; without its lock, a model of
        threads is pinned like all others, unless it is to be free.
        """
        if FREE in self.ways:
            return ONE_CORE
        return regime_of(self.implementation.declares if self.implementation else self.declares)

    @property
    def parallel(self) -> bool:
        """Tell whether it says that it can use more than one core at a time."""
        return self.declares is not None and "parallel" in self.declares

    @property
    def relays(self) -> bool:
        """Tell whether it can be told to ask an upstream."""
        return self.takes("upstream")

    def takes(self, placeholder: str) -> bool:
        """Tell whether its command has a place for this option."""
        return any(f"{{{placeholder}}}" in word for word in self.command)

    @property
    def can_relay(self) -> bool:
        """Tell whether its command has places for all that makes a relay of it."""
        return all(self.takes(placeholder) for placeholder in RELAY_PLACEHOLDERS)

    def filled_command(self, options: Mapping[str, str]) -> list[str]:
        """Return the words of its command, with the options in their places."""
        words: list[str] = []
        for word in self.command:
            named = {name for name in RELAY_PLACEHOLDERS if f"{{{name}}}" in word}
            if named <= options.keys():
                words.append(re.sub(r"\{(\w+)\}", lambda place: options.get(place[1], place[0]), word))
            elif words and words[-1].startswith("-") and word.startswith("{"):
                words.pop()
        return words


def all_cores(candidates: Iterable[Candidate]) -> frozenset[str]:
    """Return the labels of those that use all cores."""
    return frozenset(candidate.label for candidate in candidates if candidate.regime == ALL_CORES)
