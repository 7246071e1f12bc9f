"""What the interpreter makes of each model: the same server on several, in the same blocks, pinned to a core and free on all. Pure.

No version stands here. Which interpreters have a lock, the run says; what follows from that, its figures say.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from harness.analyse.comparisons import BETTER, COMPARED, EQUIVALENT, WORSE, Comparison, inverse
from harness.analyse.samples.metrics import metric
from harness.analyse.tables import Row, Table, letters_of
from harness.plan import FREE, FRESH
from harness.record import Manifest

THROUGHPUT: Final = COMPARED[0]
OWN: Final = ""
"""The interpreter of a server that was given none: the harness's own."""


class NamedServer(NamedTuple):
    """What a server's name says of it.

    Attributes:
        model: its name without what follows.
        interpreter: behind the `@`; `OWN` if there is none.
        ways: how it was measured, as its name ends.
    """

    model: str
    interpreter: str
    ways: tuple[str, ...]


@dataclass(frozen=True)
class OnInterpreter:
    """A server on one of its interpreters.

    Attributes:
        ratios: of its compared metrics, against the first of its group; none for the first itself.
        letters: of its compared metrics; two of a group share one if they were not told apart.
    """

    named: NamedServer
    row: Row
    ratios: Mapping[str, Comparison]
    letters: Mapping[str, str]


@dataclass(frozen=True)
class InterpreterGroup:
    """A model on several interpreters, in the order of the run, measured alike under one workload."""

    workload: str
    model: str
    ways: tuple[str, ...]
    servers: tuple[OnInterpreter, ...]


@dataclass(frozen=True)
class Freed:
    """What it makes of a server on one interpreter to be free on all cores: its throughput free, against pinned."""

    workload: str
    named: NamedServer
    locked: bool
    found: Comparison


@dataclass(frozen=True)
class OfInterpreters:
    """What is said of interpreters; nothing if the run had but one.

    Attributes:
        groups: each model, measured in one way, under each workload.
        freed: of each model and interpreter that was both pinned and free.
    """

    groups: tuple[InterpreterGroup, ...] = ()
    freed: tuple[Freed, ...] = ()

    @property
    def no_longer_holds(self) -> tuple[tuple[Freed, Freed], ...]:
        """What a lock decides: a model that gains by more cores without it, and is known not to with it, with both findings."""
        return tuple(
            (locked, unlocked)
            for unlocked in self.freed
            if not unlocked.locked and unlocked.found.verdict == BETTER
            for locked in self.freed
            if locked.locked
            and (locked.workload, locked.named.model) == (unlocked.workload, unlocked.named.model)
            and locked.found.verdict in {WORSE, EQUIVALENT}
        )


def named_server(label: str) -> NamedServer:
    """Take a server's name apart: MODEL[@INTERPRETER][+free][+fresh]."""
    ways = []
    for way in (FRESH, FREE):
        if label.endswith(f"+{way}"):
            label = label.removesuffix(f"+{way}")
            ways.append(way)
    model, _, interpreter = label.partition("@")
    return NamedServer(model, interpreter, tuple(reversed(ways)))


def of_interpreters(manifest: Manifest, tables: Mapping[str, Table]) -> OfInterpreters:
    """Say what the interpreter makes of each model, as far as a run tells.

    Args:
        manifest: of the run.
        tables: of the servers that were in the same blocks, by workload.
    """
    if not manifest.interpreters:
        return OfInterpreters()
    unlocked = {each.label for each in manifest.interpreters if each.build.free_threaded}
    build = manifest.environment.python_build
    if build and build.free_threaded:
        unlocked.add(OWN)
    order = [facts.label for facts in manifest.servers]
    return OfInterpreters(
        tuple(group for table in tables.values() for group in _groups(table, order)),
        tuple(each for table in tables.values() for each in _freed(table, unlocked)),
    )


def _groups(table: Table, order: Sequence[str]) -> Iterator[InterpreterGroup]:
    rows: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
    for row in sorted(
        table.rows, key=lambda row: order.index(row.server) if row.server in order else len(order)
    ):
        model, _, ways = named_server(row.server)
        rows.setdefault((model, ways), []).append(row)
    for (model, ways), of_group in rows.items():
        if len(of_group) > 1:
            yield InterpreterGroup(table.workload, model, ways, tuple(_on_interpreters(table, of_group)))


def _on_interpreters(table: Table, rows: Sequence[Row]) -> Iterator[OnInterpreter]:
    first = rows[0].server
    names = [row.server for row in rows]
    letters = {}
    for name in table.comparisons:
        among = [each for each in table.sound(name) if each.a in names and each.b in names]
        letters[name] = letters_of(_ranked(rows, name), among)
    for row in rows:
        ratios = {name: pair_of(table, name, first, row.server) for name in table.comparisons}
        yield OnInterpreter(
            named_server(row.server),
            row,
            {name: ratio for name, ratio in ratios.items() if ratio is not None},
            {name: of_metric.get(row.server, "") for name, of_metric in letters.items()},
        )


def _ranked(rows: Sequence[Row], name: str) -> list[str]:
    """Return the servers that have a figure, the best first."""
    means = {row.server: found.mean for row in rows if (found := row.estimates[name])}
    return sorted(means, key=lambda server: means[server], reverse=metric(name).higher_is_better)


def pair_of(table: Table, name: str, a: str, b: str) -> Comparison | None:
    """Return the comparison of b against a, whichever of them comes first in the table; None if there is none."""
    for each in table.sound(name):
        if (each.a, each.b) == (a, b):
            return each
        if (each.a, each.b) == (b, a):
            return inverse(each)
    return None


def _freed(table: Table, unlocked: set[str]) -> Iterator[Freed]:
    for row in table.rows:
        named = named_server(row.server)
        if named.ways:
            continue
        found = pair_of(table, THROUGHPUT, row.server, f"{row.server}+{FREE}")
        if found is not None:
            yield Freed(table.workload, named, named.interpreter not in unlocked, found)
