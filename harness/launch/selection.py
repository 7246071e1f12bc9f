"""The servers that a command line names: ours by name, anybody's by a command or an address."""

import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from harness.errors import InterpreterError, UsageError
from harness.launch.candidates import PLACEHOLDERS, RELAY_PLACEHOLDERS, Candidate
from harness.launch.environments import added_at
from harness.launch.installed import chosen
from harness.launch.interpreters import Interpreter, interpreter, refusal_of_loop, tried
from harness.machine.connections import Address
from harness.plan import WAYS
from implementations.catalogue import (
    CAPABILITIES,
    CATALOGUE,
    ON_ASYNCIO,
    SERVERS,
    Implementation,
    on_loop,
)

OWN_LOOP: Final = re.compile(r"(?P<name>[A-Za-z][\w.-]*)=(?P<factory>[^:]+:[^:]+)")
TAKEN: Final = {name.partition("+")[2] for name in SERVERS if "+" in name} | {*WAYS}
"""What stands behind the `+` of a server's name already: the variants, and how a server may be measured."""

NOT_IN_LABELS: Final = "[]|"
"""They mean something in the tables in which labels stand, of terminals and of reports."""


def ours(name: str, on_own_loops: Mapping[str, Implementation] = MappingProxyType({})) -> Candidate:
    """Return one of our servers; `NAME@VERSION` and `NAME@PATH` run it on another interpreter.

    Args:
        name: of the catalogue, or of a server on a loop of one's own.
        on_own_loops: these, by their names.

    Raises:
        UsageError: there is none of that name, or its loop cannot be made.
        InterpreterError: the interpreter does not run, or lacks a library that the server needs and that nobody has tried
            to give it.
    """
    name, _, which = name.partition("@")
    known = {**SERVERS, **on_own_loops}
    if name not in known:
        raise UsageError(f"no server is called {name!r}; there are {', '.join(known)}")
    found = known[name]
    python = chosen(which) if which else None
    loop = _own_loop(found, python or interpreter(sys.executable)) if name in on_own_loops else ""
    placeholders = (*PLACEHOLDERS, *RELAY_PLACEHOLDERS)
    options = [word for option in placeholders for word in (f"--{option.replace('_', '-')}", f"{{{option}}}")]
    command = (python.path if python else sys.executable, "-m", found.module, *found.options, *options)
    if python is None:
        return Candidate(name, command, found.declares, announces=True, implementation=found, loop=loop)
    unlocked = {"parallel"} if python.free_threaded and found.threaded else set()
    return Candidate(
        f"{name}@{python.label}",
        command,
        found.declares | unlocked,
        announces=True,
        implementation=found,
        python=python,
        loop=loop,
        refusal=_refusal(python, found.libraries),
    )


def _refusal(python: Interpreter, libraries: Iterable[str]) -> str:
    """Return why a server that needs these libraries cannot run there; "" if it can.

    In an environment of ours is all that could be had. What another interpreter lacks, it may only have been asked too early.
    """
    environment = added_at(python.path)
    refused = []
    for library in libraries:
        version, why = tried(python, library)
        if why and not (version or environment):
            raise InterpreterError(
                f"{python.path} ({python}) cannot use {library}: {why}; "
                f"`harness python add {python.choice}` gives it what servers need"
            )
        if why:
            refused.append(environment.refused.get(library, why) if environment else why)
    return "; ".join(refused)


def selected(  # noqa: PLR0913 - in so many ways can servers be named
    names: Sequence[str],
    servers: Iterable[str] = (),
    declarations: Iterable[str] = (),
    connect: str | None = None,
    pythons: Sequence[str] = (),
    loops: Sequence[str] = (),
) -> list[Candidate]:
    """Return what the command line selects: names and commands as given; with neither, the catalogue, without variants.

    Args:
        names: of the catalogue.
        servers: `LABEL=COMMAND` each.
        declarations: `LABEL=CAPABILITY,...` each, for the labels of `servers`, or `HOST:PORT` of `connect`.
        connect: `HOST:PORT` of a server that runs.
        pythons: the interpreters that ours are to run on, each of ours on each of them, unless they name one themselves.
        loops: `NAME=[FOLDER/]MODULE:FACTORY` each: the asyncio servers that are selected run on these loops as well, as
            `SERVER+NAME`; unless such names are among those given, and say which.

    Raises:
        UsageError: unknown names, an unreadable command, the same label twice, a loop that cannot be made.
        InterpreterError: an interpreter that will not do.
    """
    claims = dict(_declaration(text) for text in declarations)
    if not (names or servers or connect):
        names = [implementation.name for implementation in CATALOGUE]
    names, on_own_loops = _on_loops(names, loops)
    _check_different(pythons)
    on_each = [f"@{python}" for python in pythons] or [""]
    candidates = [
        _measured_as_named(name, on_it, on_own_loops)
        for name in names
        for on_it in (on_each if "@" not in name else [""])
    ]
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


def _check_different(pythons: Sequence[str]) -> None:
    """Raise UsageError if two names lead to one interpreter: what is measured twice is taken for two."""
    known: dict[str, str] = {}
    for python in pythons:
        other = known.setdefault(chosen(python).path, python)
        if other is not python:
            raise UsageError(f"--python {other} and --python {python} are the same interpreter")


def _measured_as_named(name: str, on_it: str, on_own_loops: Mapping[str, Implementation]) -> Candidate:
    """Return one of our servers, measured as its name says: `NAME+free`, `NAME+fresh`, `NAME+free+fresh`."""
    bare, at, path = name.partition("@")
    base, *words = bare.split("+")
    for way in reversed(WAYS):  # a label has them at its end
        if at and path.endswith(f"+{way}"):
            path = path.removesuffix(f"+{way}")
            words.append(way)
    kept = [word for word in words if word not in WAYS]
    plain = "+".join((base, *kept))
    candidate = ours(f"{plain}{at}{path}" if at else f"{plain}{on_it}", on_own_loops)
    return candidate.measured(*words)


def check_clients(candidate: Candidate, clients: int) -> None:
    """Raise UsageError if a server cannot serve so many at once."""
    most = candidate.most_clients
    if most is not None and clients > most:
        able = "one client at a time" if most == 1 else f"{most:,} clients at once"
        raise UsageError(f"{candidate.label} serves {able}: use --clients {most}")


def _on_loops(names: Sequence[str], loops: Sequence[str]) -> tuple[list[str], dict[str, Implementation]]:
    """Return names, with those on loops of one's own behind their models, and what these are."""
    made: dict[str, str] = {}
    for text in loops:
        given = OWN_LOOP.fullmatch(text)
        if not given:
            raise UsageError(f"--loop takes NAME=[FOLDER/]MODULE:FACTORY, not {text!r}")
        name, factory = given["name"], _placed(given["factory"])
        if name in TAKEN or made.setdefault(name, factory) != factory:
            raise UsageError(f"--loop {text}: {name!r} is taken already, give it another name")
    models = {model.name for model in ON_ASYNCIO}
    all_names: list[str] = []
    for name in names:
        bare, at, path = name.partition("@")
        to_add = [loop for loop in made if not _is_named(loop, names)] if bare in models else []
        all_names += [name, *(f"{bare}+{loop}{at}{path}" for loop in to_add)]
    for loop, factory in made.items():
        if not _is_named(loop, all_names):
            raise UsageError(
                f"--loop {loop}={factory}: of the servers that are selected none runs on asyncio, as "
                f"{' and '.join(sorted(models))} do"
            )
    variants = (on_loop(model, loop, factory) for model in ON_ASYNCIO for loop, factory in made.items())
    return all_names, {variant.name: variant for variant in variants}


def _is_named(loop: str, names: Iterable[str]) -> bool:
    return any(name.partition("@")[0].endswith(f"+{loop}") for name in names)


def _placed(factory: str) -> str:
    """Say in which folder a module lies, if one is named, or if it lies in the present one: servers run in another."""
    folder, named, module = factory.rpartition("/")
    file = Path(folder, module.partition(":")[0].partition(".")[0])
    lies_here = file.is_dir() or file.with_suffix(".py").exists()
    return f"{Path(folder).absolute()}/{module}" if named or lies_here else factory


def _own_loop(server: Implementation, python: Interpreter) -> str:
    """Return how a loop of one's own is named on a command line; UsageError if an interpreter cannot make it."""
    option, factory = server.options
    loop = f"{server.name.partition('+')[2]}={factory}"
    if refusal := refusal_of_loop(python, factory):
        raise UsageError(f"--loop {loop}: {refusal.removeprefix(f'{option} {factory}: ')}")
    return loop


def _from_command(text: str, claims: Mapping[str, frozenset[str]]) -> Candidate:
    label, equals, command = text.partition("=")
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"--server {label}: {error}") from None
    if not (label and equals and words):
        raise UsageError(f"--server takes LABEL=COMMAND, not {text!r}")
    if not label.isprintable() or set(label) & set(NOT_IN_LABELS):
        raise UsageError(f"a LABEL is a name, without any of {NOT_IN_LABELS}, not {label!r}")
    return Candidate(label, words, claims.get(label), directory=Path.cwd())


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
