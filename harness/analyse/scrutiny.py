"""What one should ask of any benchmark, and what the data of this run say to it. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from harness.analyse.blocks import Launch, counted, of_regime
from harness.analyse.comparisons import BETTER, WORSE, Comparison, inverse
from harness.analyse.rankings import Ranking, ranking
from harness.analyse.samples.metrics import metric
from harness.analyse.samples.validity import Reason, limited_by
from harness.analyse.tables import Table
from harness.analyse.usual import is_the_usual_one
from harness.plan import CLOSED, ONE_CORE, by_name, is_as_usual, model_of
from harness.record import SelfCheck

BUSY: Final = "clients_64"
"""The load of which variants are told, and servers on all cores."""
CPU: Final = "cpu_us_per_request"
MOVING: Final = (Reason.WARMING_UP, Reason.SLOWING, Reason.UNSTEADY)
CEILING: Final = "ceiling"


@dataclass(frozen=True)
class Headroom:
    """What the generator can drive under a load, and the most that a server answered."""

    workload: str
    ceiling_rps: float
    best: str
    best_rps: float

    @property
    def share(self) -> float:
        """Return how much of it that is."""
        return self.best_rps / self.ceiling_rps


@dataclass(frozen=True)
class Resolution:
    """What became of a server under two names.

    Attributes:
        workloads: under which it was held against itself, in so many `pairs`; `different` of them were called so, which is an error.
        middle, widest: of the intervals, half of it as a share.
    """

    workloads: tuple[str, ...]
    pairs: int
    different: int
    middle: float
    widest: float


class Settled(NamedTuple):
    """Launches under a workload of which no change of their rate was found in the window, of how many, and whether they had slices besides."""

    launches: int
    of: int
    sliced: bool


@dataclass(frozen=True)
class Scrutiny:
    """What the data say to each question; nothing where they do not.

    Attributes:
        limits: of servers of one core in closed loops: what limited how many launches.
        headroom: by the instrument's own test, the least first.
        launches: that were valid; `moving` of them had not settled, by the reason's code.
        settled: how many under each workload had, and of how many.
        resolution: None if no server had two names.
        variants: each against its model, under 64 clients, in CPU per request.
        on_one_core, on_all_cores: requests/s under 64 clients, of those regimes.
    """

    limits: Mapping[str, int]
    headroom: tuple[Headroom, ...]
    launches: int
    moving: Mapping[str, int]
    settled: Mapping[str, Settled]
    resolution: Resolution | None
    variants: tuple[Comparison, ...]
    on_one_core: Ranking | None
    on_all_cores: Mapping[str, float]


def scrutiny(
    launches: Sequence[Launch],
    tables: Mapping[str, Table],
    on_all_cores: Mapping[str, Table],
    twins: Sequence[Comparison],
    selftest: Sequence[SelfCheck],
) -> Scrutiny:
    """Ask the data of a run.

    Args:
        launches: all.
        tables: of servers of one core.
        on_all_cores: of the others.
        twins: a server's second name against its first.
        selftest: of the instrument.
    """
    measured = {launch.sample.cell.server for launch in launches}
    usual = [launch for launch in launches if is_the_usual_one(launch.sample.cell.server, measured)]
    judged = [launch for launch in counted(usual) if launch.valid]
    closed = [launch for launch in of_regime(judged, ONE_CORE) if launch.sample.load.arrivals == CLOSED]
    return Scrutiny(
        limits=_count(limited_by(launch.sample) for launch in closed),
        headroom=tuple(sorted(_headroom(tables, selftest), key=lambda each: -each.share)),
        launches=len(judged),
        moving=_count(
            flag.reason.code for launch in judged for flag in launch.validity.flags if flag.reason in MOVING
        ),
        settled={name: _settled(mine) for name, mine in _by_workload(judged).items()},
        resolution=_resolution(twins),
        variants=tuple(_variants(tables)),
        on_one_core=ranking(usual, BUSY, metric("throughput_rps"), table=tables.get(BUSY)),
        on_all_cores={
            row.server: found.mean
            for row in (on_all_cores[BUSY].rows if BUSY in on_all_cores else ())
            if (found := row.estimates["throughput_rps"]) is not None
            and is_the_usual_one(row.server, measured)
        },
    )


def _by_workload(launches: Iterable[Launch]) -> dict[str, list[Launch]]:
    found: dict[str, list[Launch]] = {}
    for launch in launches:
        found.setdefault(launch.sample.cell.workload, []).append(launch)
    return found


def _settled(launches: Sequence[Launch]) -> Settled:
    moving = [any(flag.reason in MOVING for flag in launch.validity.flags) for launch in launches]
    return Settled(moving.count(False), len(launches), any(launch.sample.slices for launch in launches))


def _count(found: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in found:
        counts[each] = counts.get(each, 0) + 1
    return dict(sorted(counts.items(), key=lambda one: -one[1]))


def _headroom(tables: Mapping[str, Table], selftest: Sequence[SelfCheck]) -> Iterator[Headroom]:
    figures = next((check.figures for check in selftest if check.check == CEILING), {})
    for name, table in tables.items():
        ceiling = figures.get(f"{name}_rps")
        answered = {
            row.server: found.mean
            for row in table.rows
            if is_as_usual(row.server) and (found := row.estimates["throughput_rps"])
        }
        # Of one client latency is the limit, and of no interest here: it is the same for the null server.
        if isinstance(ceiling, int | float) and answered and by_name(name).load.clients > 1:
            best = max(answered, key=lambda server: answered[server])
            yield Headroom(name, float(ceiling), best, answered[best])


def _resolution(twins: Sequence[Comparison]) -> Resolution | None:
    if not twins:
        return None
    halves = [(each.ci_high / each.ci_low) ** 0.5 - 1 for each in twins]
    different = sum(each.verdict in {BETTER, WORSE} for each in twins)
    workloads = tuple(dict.fromkeys(each.workload for each in twins))
    return Resolution(workloads, len(twins), different, median(halves), max(halves))


def _variants(tables: Mapping[str, Table]) -> Iterator[Comparison]:
    for found in tables[BUSY].sound(CPU) if BUSY in tables else ():
        for each in (found, inverse(found)):
            if each.a == model_of(each.b) != each.b and is_the_usual_one(each.b, {each.a}):
                yield each
