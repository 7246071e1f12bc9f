"""Who is first, who is last, and who shares a place: by the same tests as all comparisons, for servers of one core."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, NamedTuple

from harness.analyse.blocks import Launch, by_block, counted, of_regime, under
from harness.analyse.comparisons import BETTER, WORSE, Comparison, compare_all
from harness.analyse.samples.metrics import QUANTILES, Metric, metric
from harness.analyse.samples.quantiles import together
from harness.analyse.statistics.inference import Estimate, estimate
from harness.analyse.tables import Row, Table, failed
from harness.plan import ONE_CORE
from harness.record import Sample


class Tail(NamedTuple):
    """A quantile of the response, and how it is said."""

    metric: str
    share: str
    short: str


TAILS: Final = (
    Tail("response_p99_us", "99 %", "p99"),
    Tail("response_p90_us", "90 %", "p90"),
    Tail("response_p50_us", "half", "p50"),
)


def company_rps(sample: Sample) -> float | None:
    """Return how many requests of those in the background were answered in a second; they come during the warm-up, too."""
    return (
        sample.background.ok / (sample.load.warmup_s + sample.window.length_s)
        if sample.background.ok
        else None
    )


BACKGROUND_RPS: Final = Metric(
    "company_rps", "company's requests/s", higher_is_better=True, value=company_rps
)


@dataclass(frozen=True)
class Ranking:
    """Servers by one metric under one workload, the best first.

    Attributes:
        estimates: of those that are ranked.
        leaders: the best, and who was not told apart from it.
        without: who was measured there, and is not ranked: by a fault of its own, or since too little is known of it.
    """

    estimates: Mapping[str, Estimate]
    leaders: tuple[str, ...]
    without: tuple[str, ...] = ()

    def mean(self, server: str) -> float:
        """Return a server's figure."""
        return self.estimates[server].mean

    @property
    def first(self) -> str:
        """Return who has the best figure."""
        return self.leaders[0]

    @property
    def last(self) -> str:
        """Return who has the worst."""
        return list(self.estimates)[-1]

    @property
    def tells_apart(self) -> bool:
        """Tell whether the first and the last are known to differ."""
        return self.last not in self.leaders


def ranking(  # noqa: PLR0913 - of what, and by whose verdicts
    launches: Sequence[Launch],
    workload: str,
    of: Metric,
    among: Collection[str] | None = None,
    *,
    table: Table | None = None,
    regime: str = ONE_CORE,
    failed_too: bool = False,
) -> Ranking | None:
    """Rank servers of a regime, all or some; None if fewer than two have figures.

    Who failed in a launch by a fault of its own is not ranked by the others; nor by one alone, where others have several.

    Args:
        launches: of the servers.
        workload: under which.
        of: by what.
        among: these alone, if not all.
        table: of the workload, whose verdicts these are to be if it has any of this metric: no pair has two of them.
        regime: of which servers are ranked.
        failed_too: the figure is what it is, whether all requests were answered or not, as what a server holds is.
    """
    mine = of_regime(launches, regime)
    at_fault = set() if failed_too else failed(under(mine, workload))
    values = {
        server: list(of_server.values())
        for server, of_server in by_block(mine, workload, of).items()
        if (among is None or server in among) and server not in at_fault
    }
    known = {server: each for server in values if (each := estimate(values[server])) is not None}
    enough = enough_launches(known.values())
    found = {server: each for server, each in known.items() if each.launches >= enough}
    if len(found) < 2:
        return None
    ranked = sorted(found, key=lambda server: found[server].mean, reverse=of.higher_is_better)
    told = table.comparisons.get(of.name) if table else None
    comparisons = compare_all(mine, workload, of, among) if told is None else told
    first, *tied = together_first(ranked, comparisons)
    has_ratio = {server for server in ranked if min(values[server]) > 0}
    leaders = (first, *(server for server in tied if server in has_ratio or first not in has_ratio))
    there = dict.fromkeys(launch.sample.cell.server for launch in under(mine, workload))
    without = (server for server in there if server not in found and (among is None or server in among))
    return Ranking({server: found[server] for server in ranked}, leaders, tuple(without))


def enough_launches(known: Iterable[Estimate]) -> int:
    """Return how many launches it takes to be ranked: two, where anybody has them."""
    return min(2, max((each.launches for each in known), default=0))


def together_first(ranked: Sequence[str], comparisons: Iterable[Comparison]) -> tuple[str, ...]:
    """Return who is first, and all that were not told apart from it.

    The best figure is not the first if another server is known to be better: means are of whatever blocks a server was in,
    verdicts of those that both were in.

    Args:
        ranked: servers, the best figure first.
        comparisons: of their pairs, and of others.
    """
    better = {
        (each.b, each.a) if each.verdict == BETTER else (each.a, each.b)
        for each in comparisons
        if each.verdict in {BETTER, WORSE}
    }
    unbeaten = (one for one in ranked if not any((other, one) in better for other in ranked))
    first = next(unbeaten, ranked[0])
    return first, *(one for one in ranked if one != first and (first, one) not in better)


class RankedTail(NamedTuple):
    """Servers by a quantile of the response; and those of whom too little is known to be ranked by it."""

    tail: Tail
    ranking: Ranking
    without: tuple[str, ...] = ()


def tail_ranking(launches: Sequence[Launch], workload: str, regime: str = ONE_CORE) -> RankedTail | None:
    """Rank servers by the farthest quantile that most of them have: those that have it, naming who has not.

    It takes many requests to know a far one, all launches together 100 events beyond it. If only few were ranked, the best
    might be missing; if one that has too few took the quantile from all, so would what it tells of the others.
    """
    mine = counted(under(of_regime(launches, regime), workload))
    servers = dict.fromkeys(launch.sample.cell.server for launch in mine)
    responses = {
        server: together(
            launch.sample for launch in mine if launch.valid and launch.sample.cell.server == server
        )
        for server in servers
    }
    for tail in TAILS:
        known = [server for server in servers if responses[server].quantile(QUANTILES[tail.metric]).enough]
        found = ranking(launches, workload, metric(tail.metric), known, regime=regime)
        if found is not None and 2 * len(found.estimates) > len(servers):
            without = tuple(server for server in servers if server not in found.estimates)
            return RankedTail(tail, found, without)
    return None


def leaders(table: Table, ranked: Sequence[Row], name: str) -> list[Row]:
    """Return the first, and all that were not told apart from it."""
    rows = {row.server: row for row in ranked}
    return [rows[server] for server in together_first(list(rows), table.comparisons[name])]


def ranked_rows(rows: Iterable[Row], name: str) -> list[Row]:
    """Return those that can be ranked by a metric, the best first: as `ranking` does."""
    known = {row.server: (row, found) for row in rows if (found := row.estimates[name]) and not row.failed}
    enough = enough_launches(found for _, found in known.values())
    kept = [(row, found.mean) for row, found in known.values() if found.launches >= enough]
    return [row for row, _ in sorted(kept, key=itemgetter(1), reverse=metric(name).higher_is_better)]


def not_ranked(rows: Iterable[Row], name: str) -> list[str]:
    """Return who was measured and cannot be ranked by a metric: by a fault of its own, or since too little is known of it."""
    rows = tuple(rows)
    ranked = {row.server for row in ranked_rows(rows, name)}
    return [row.server for row in rows if row.server not in ranked]
