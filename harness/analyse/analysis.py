"""One analysis of a run: all that its figures say, before it is put into words. Pure: the same results give the same analysis.

Every sample is judged once, here; the report and its figures take what is found and compute nothing more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from harness.analyse.advice import Advice, Findings, advice
from harness.analyse.answer import Answer, answer
from harness.analyse.blocks import (
    Launch,
    Repetition,
    counted,
    launches_of,
    of_regime,
    repetition,
    under,
)
from harness.analyse.causes.evidence import Cause, evidence
from harness.analyse.causes.rules import causes
from harness.analyse.comparisons import COMPARED, Comparison, compare_all, inverse
from harness.analyse.interpreters import OfInterpreters, of_interpreters
from harness.analyse.oddities import Oddity, oddities
from harness.analyse.points import MeasuredPoint, measured_points
from harness.analyse.precision import Reach, reach
from harness.analyse.prediction.held_out import PredictionTest, held_out_test
from harness.analyse.prediction.launches import relay_cells
from harness.analyse.rankings import RankedTail, tail_ranking
from harness.analyse.reached import Noise, Precision, noise_of, precision_of
from harness.analyse.relays import OfRelays, of_relays
from harness.analyse.samples.metrics import FEWEST_READINGS, metric
from harness.analyse.samples.validity import STEAL_LIMIT
from harness.analyse.scrutiny import Scrutiny, scrutiny
from harness.analyse.slopes import Slope, per_connection, slope
from harness.analyse.tables import Table, tabulate
from harness.analyse.usual import is_the_usual_one
from harness.plan import ALL_CORES, ONE_CORE, WORKLOADS, in_slices, model_of
from harness.record import Design, Holding, Results, Sample, ServerCosts, ServerFacts


class Growth(NamedTuple):
    """How memory grew in a long window: who did most over all of it, and who still did in its second half.

    What is taken at first is no leak; but it is taken.
    """

    server: str
    kib_per_s: float
    later_server: str
    later_kib_per_s: float


@dataclass(frozen=True)
class RegimeAnalysis:
    """What is said of the servers of one regime, which are compared among themselves alone.

    Attributes:
        servers: of this regime, whether they were measured or not.
        tables: by workload, in the report's order; none if there are no servers.
        growth: of memory, by workload, of those under which it was watched for long enough.
    """

    servers: tuple[ServerFacts, ...]
    tables: Mapping[str, Table]
    growth: Mapping[str, Growth]

    def is_measured(self, server: str) -> bool:
        """Tell whether there is a launch of a server, under whatever workload."""
        return any(row.server == server for table in self.tables.values() for row in table.rows)


class StolenTime(NamedTuple):
    """In how many launches, of how many, the hypervisor gave too much of its time to others; and the most that it gave."""

    over: int
    launches: int
    most: float


@dataclass(frozen=True)
class Analysis:
    """All that a run's figures say.

    Attributes:
        results: the run itself.
        one_core, all_cores: what is said of the servers of each regime.
        points: who is ahead wherever something was measured that one may ask for.
        tails: of one core's servers, by workload, those of which something is known.
        twins: the second name of a server that was measured under two, against the first.
        precision: what was reached under each workload, if a precision was asked for.
        reached: how precise the ratios in CPU per request are that slices gave, of one core's servers, by workload.
        noise: what others did to the machine while slices were measured; None if there are none.
        repetition: what was measured again; None if nothing was measured.
        stolen: likewise.
        interpreters: what they make of each model; nothing if there was but one.
        relays: what is said of handlers that wait.
        predictions: of relays, and how they stood the test; None if there are too few cells that wait.
        slopes: what a connection adds to each field of `Holding`, by server and field; None if it is not known.
        causes: that rules found, regime by regime; none if no costs were looked for.
        answer: what decides between the models.
        advice: what to choose when.
        oddities: what stands out.
        scrutiny: what one should ask of it, and what the data say.
    """

    results: Results
    one_core: RegimeAnalysis
    all_cores: RegimeAnalysis
    points: tuple[MeasuredPoint, ...]
    tails: Mapping[str, RankedTail]
    twins: tuple[Comparison, ...]
    precision: tuple[Reach, ...]
    reached: tuple[Precision, ...]
    noise: Noise | None
    repetition: Repetition | None
    stolen: StolenTime | None
    interpreters: OfInterpreters
    relays: OfRelays
    predictions: PredictionTest | None
    slopes: Mapping[tuple[str, str], Slope | None]
    causes: tuple[Cause, ...]
    answer: Answer
    advice: tuple[Advice, ...]
    oddities: tuple[Oddity, ...]
    scrutiny: Scrutiny


def as_usual(launches: Sequence[Launch]) -> tuple[Launch, ...]:
    """Return those of servers as usual: not free, nor fresh, nor on another interpreter than the one on which they were measured, too."""
    measured = {launch.sample.cell.server for launch in launches}
    return tuple(launch for launch in launches if is_the_usual_one(launch.sample.cell.server, measured))


def analyse(results: Results) -> Analysis:
    """Work out all that a run says."""
    everybody = launches_of((*results.samples, *results.twins))
    launches, second_names = everybody[: len(results.samples)], everybody[len(results.samples) :]
    measured = [each.name for each in WORKLOADS if each.name in results.manifest.design.workloads]
    usual = as_usual(launches)
    tails = {name: tail_ranking(usual, name) for name in measured}
    one_core, all_cores = (
        _of_regime(results, launches, measured, regime) for regime in (ONE_CORE, ALL_CORES)
    )
    twins = tuple(twin_ratios(results.manifest.design, launches, second_names))
    slopes = {key: slope for costs in results.costs for key, slope in _slopes(costs)}
    decides = answer(results, usual, one_core.tables, slopes)
    turning = decides.saturated.turning if decides.saturated else ()
    relays = of_relays(usual, measured, one_core.tables)
    interpreters = of_interpreters(results.manifest, one_core.tables)
    free = tuple(launch for launch in launches if launch.sample.placement.free)
    findings = Findings(
        results,
        usual,
        one_core.tables,
        all_cores.tables,
        relays,
        decides.memory,
        turning,
        interpreters,
        free,
    )
    return Analysis(
        results=results,
        one_core=one_core,
        all_cores=all_cores,
        points=measured_points({ONE_CORE: one_core.tables, ALL_CORES: all_cores.tables}, launches),
        tails={name: found for name, found in tails.items() if found is not None},
        twins=twins,
        precision=tuple(_precision(results, launches)),
        reached=tuple(_reached(launches, measured)),
        noise=noise_of(launches),
        repetition=repetition(launches) if launches else None,
        stolen=_stolen(results.samples),
        interpreters=interpreters,
        relays=relays,
        predictions=held_out_test(relay_cells(launches), results.manifest.design.seed),
        slopes=slopes,
        causes=tuple(_causes(results, launches)) if results.costs else (),
        answer=decides,
        advice=advice(findings),
        oddities=oddities(
            one_core.tables,
            results.limits,
            results.costs,
            results.effects,
            {facts.label: facts.factors.get("receives", "") for facts in results.manifest.servers},
        ),
        scrutiny=scrutiny(launches, one_core.tables, all_cores.tables, twins, results.selftest),
    )


def _of_regime(
    results: Results, launches: Sequence[Launch], measured: Sequence[str], regime: str
) -> RegimeAnalysis:
    servers = tuple(facts for facts in results.manifest.servers if facts.regime == regime)
    order = variants_beside_their_model([facts.label for facts in servers])
    tables = {name: in_order(tabulate(launches, name, regime), order) for name in measured} if servers else {}
    growth = {name: growth_under(of_regime(launches, regime), name) for name in measured}
    return RegimeAnalysis(
        servers, tables, {name: found for name, found in growth.items() if found is not None}
    )


def variants_beside_their_model(labels: Sequence[str]) -> list[str]:
    """Return servers in their order, but each model with its variants behind it."""
    models = list(dict.fromkeys(map(model_of, labels)))
    return sorted(labels, key=lambda label: models.index(model_of(label)))


def in_order(table: Table, labels: Sequence[str]) -> Table:
    """Return a table in the order of the servers, the same whatever they answered: letters rank them, as far as they can be ranked."""
    places = {label: place for place, label in enumerate(labels)}
    return replace(table, rows=tuple(sorted(table.rows, key=lambda row: places.get(row.server, len(places)))))


def growth_under(launches: Sequence[Launch], workload: str) -> Growth | None:
    """Say who grew in a long window, by the medians of the launches; None if no window was long enough.

    Of slices it cannot be said: between these a server was read when its turn came.
    """
    if in_slices(workload):
        return None
    whole: dict[str, list[float]] = {}
    later: dict[str, list[float]] = {}
    for launch in counted(under(launches, workload)):
        readings = launch.sample.server.memory_series_bytes
        second_half = readings[len(readings) // 2 :]
        if launch.valid and len(second_half) >= FEWEST_READINGS:
            for slopes, of in ((whole, readings), (later, second_half)):
                grown_kib = slope(range(len(of)), of).value / 1024
                slopes.setdefault(launch.sample.cell.server, []).append(grown_kib)
    if not whole:
        return None
    (server, kib), (later_server, later_kib) = map(_most, (whole, later))
    return Growth(server, kib, later_server, later_kib)


def _most(slopes: Mapping[str, Sequence[float]]) -> tuple[str, float]:
    medians = {server: median(of_server) for server, of_server in slopes.items()}
    most = max(medians, key=lambda server: medians[server])
    return most, medians[most]


def twin_ratios(design: Design, launches: Sequence[Launch], twins: Sequence[Launch]) -> Iterator[Comparison]:
    """Yield what was said of a server and itself, as one more pair among all servers of its regime.

    So it is judged as every other pair is, by an interval that holds for all at once. All else is worked out without the
    twin: what the instrument is tested by is not to make the letters of others wider.
    """
    regimes = {launch.sample.placement.regime for launch in twins}
    everybody = [launch for launch in launches if launch.sample.placement.regime in regimes] + [*twins]
    for workload in design.workloads if twins else ():
        for name in COMPARED:
            for each in compare_all(everybody, workload, metric(name)):
                yield from (
                    one for one in (each, inverse(each)) if (one.a, one.b) == (design.twin_of, design.twin)
                )


def _precision(results: Results, launches: Sequence[Launch]) -> Iterator[Reach]:
    goal = results.manifest.goal
    for workload in results.manifest.design.workloads if goal else ():
        if goal and (found := reach(launches, workload, goal)) is not None:
            yield found


def _reached(launches: Sequence[Launch], measured: Sequence[str]) -> Iterator[Precision]:
    sliced = [launch for launch in of_regime(launches, ONE_CORE) if launch.sample.slices]
    for workload in measured:
        if (found := precision_of(sliced, workload, metric(COMPARED[1]))) is not None:
            yield found


def _stolen(samples: Sequence[Sample]) -> StolenTime | None:
    shares = [sample.machine.steal_share for sample in samples]
    over = sum(share > STEAL_LIMIT for share in shares)
    return StolenTime(over, len(shares), max(shares)) if shares else None


def _slopes(costs: ServerCosts) -> Iterator[tuple[tuple[str, str], Slope | None]]:
    for field in Holding.__struct_fields__:
        yield (costs.server, field), per_connection(costs.crowd, field)


def _causes(results: Results, launches: Sequence[Launch]) -> Iterator[Cause]:
    """Look for causes regime by regime: none lies in a difference between the two.

    No rule tells a handler that waits from a server that is slow: what relays lack has causes of its own (`shortfall`).
    """
    launches = [launch for launch in launches if launch.sample.load.upstream is None]
    for regime in (ONE_CORE, ALL_CORES):
        costs = [each for each in results.costs if each.regime == regime]
        yield from causes(evidence(of_regime(launches, regime), costs, results.manifest.servers))
