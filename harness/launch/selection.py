"""The servers that a command line names: ours by name, anybody's by a command or an address."""

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.launch.candidates import PLACEHOLDERS, Candidate
from harness.launch.interpreters import interpreter, library_version
from harness.machine.connections import Address
from implementations.catalogue import CAPABILITIES, CATALOGUE, SERVERS


def ours(name: str) -> Candidate:
    """Return one of our servers; `NAME@PATH` runs it on another interpreter.

    Raises:
        UsageError: there is none of that name.
        InterpreterError: the interpreter does not run, or lacks a library that the server needs.
    """
    name, _, path = name.partition("@")
    path = str(Path(path).absolute()) if "/" in path else path
    if name not in SERVERS:
        raise UsageError(f"no server is called {name!r}; there are {', '.join(SERVERS)}")
    found = SERVERS[name]
    python = interpreter(path) if path else None
    options = [word for option in PLACEHOLDERS for word in (f"--{option.replace('_', '-')}", f"{{{option}}}")]
    command = (path or sys.executable, "-m", found.module, *found.options, *options)
    if python is None:
        return Candidate(name, command, found.declares, announces=True, implementation=found)
    for library in found.libraries:
        library_version(python, library)
    unlocked = {"parallel"} if python.free_threaded and found.threaded else set()
    return Candidate(
        f"{name}@{python.label}",
        command,
        found.declares | unlocked,
        None,
        True,
        found,
        python,
    )


def selected(
    names: Sequence[str],
    servers: Iterable[str] = (),
    declarations: Iterable[str] = (),
    connect: str | None = None,
    python: str | None = None,
) -> list[Candidate]:
    """Return what the command line selects: names and commands as given; with neither, the catalogue, without variants.

    Args:
        names: of the catalogue.
        servers: `LABEL=COMMAND` each.
        declarations: `LABEL=CAPABILITY,...` each, for the labels of `servers`, or `HOST:PORT` of `connect`.
        connect: `HOST:PORT` of a server that runs.
        python: the interpreter that ours are to run on, unless they name one themselves.

    Raises:
        UsageError: unknown names, an unreadable command, the same label twice.
        InterpreterError: an interpreter that will not do.
    """
    claims = dict(_declaration(text) for text in declarations)
    if not (names or servers or connect):
        names = [implementation.name for implementation in CATALOGUE]
    on_it = f"@{python}" if python else ""
    candidates = [ours(name if "@" in name else f"{name}{on_it}") for name in names]
    candidates += [_from_command(text, claims) for text in servers]
    if connect is not None:
        address = _address(connect)
        candidates.append(Candidate(connect, declares=claims.get(connect), address=address))
    labels = [candidate.label for candidate in candidates]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"two servers are called {label!r}")
    for label in claims:
        if label not in labels:
            raise UsageError(f"--declare names {label!r}, which is not selected")
    return candidates


def check_clients(candidate: Candidate, clients: int) -> None:
    """Raise UsageError if a server cannot serve so many at once."""
    most = candidate.most_clients
    if most is not None and clients > most:
        able = "one client at a time" if most == 1 else f"{most:,} clients at once"
        raise UsageError(f"{candidate.label} serves {able}: use --clients {most}")


def _from_command(text: str, claims: Mapping[str, frozenset[str]]) -> Candidate:
    label, equals, command = text.partition("=")
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"--server {label}: {error}") from None
    if not (label and equals and words):
        raise UsageError(f"--server takes LABEL=COMMAND, not {text!r}")
    return Candidate(label, words, claims.get(label))


def _declaration(text: str) -> tuple[str, frozenset[str]]:
    label, equals, listed = text.rpartition("=")
    declared = frozenset(word for word in listed.split(",") if word)
    if not (label and equals):
        raise UsageError(f"--declare takes LABEL=CAPABILITY,..., not {text!r}")
    for capability in sorted(declared - CAPABILITIES.keys()):
        raise UsageError(f"no capability is called {capability!r}; there are {', '.join(CAPABILITIES)}")
    return label, declared


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"--connect takes HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)
