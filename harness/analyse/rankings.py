"""Who is first, who is last, and who shares a place: by the same tests as all comparisons, for servers of one core."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from harness.analyse.blocks import Launch, by_block, counted, of_regime, under
from harness.analyse.comparisons import BETTER, WORSE, compare_all
from harness.analyse.samples.metrics import QUANTILES, Metric, metric
from harness.analyse.samples.quantiles import together
from harness.analyse.statistics.inference import Estimate, estimate
from harness.analyse.tables import Row, Table
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
    """Servers by one metric under one workload, the best first; `leaders` are the best and who was not told apart from it."""

    estimates: Mapping[str, Estimate]
    leaders: tuple[str, ...]

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


def ranking(
    launches: Sequence[Launch], workload: str, of: Metric, among: Collection[str] | None = None
) -> Ranking | None:
    """Rank servers of one core, all or some; None if fewer than two have figures.

    Where others have several launches, one alone is not enough to be first or last by it.
    """
    mine = of_regime(launches, ONE_CORE)
    known = {
        server: estimated
        for server, values in by_block(mine, workload, of).items()
        if among is None or server in among
        if (estimated := estimate(list(values.values()))) is not None
    }
    enough = min(2, max((each.launches for each in known.values()), default=0))
    found = {server: each for server, each in known.items() if each.launches >= enough}
    if len(found) < 2:
        return None
    ranked = sorted(found, key=lambda server: found[server].mean, reverse=of.higher_is_better)
    apart = {
        frozenset((each.a, each.b))
        for each in compare_all(mine, workload, of, among)
        if each.verdict in {BETTER, WORSE}
    }
    leaders = tuple(server for server in ranked if frozenset((ranked[0], server)) not in apart)
    return Ranking({server: found[server] for server in ranked}, leaders)


class RankedTail(NamedTuple):
    """Servers by a quantile of the response; and those of whom too little is known to be ranked by it."""

    tail: Tail
    ranking: Ranking
    without: tuple[str, ...] = ()


def tail_ranking(launches: Sequence[Launch], workload: str) -> RankedTail | None:
    """Rank servers by the farthest quantile that most of them have: those that have it, naming who has not.

    It takes many requests to know a far one, all launches together 100 events beyond it. If only few were ranked, the best
    might be missing; if one that has too few took the quantile from all, so would what it tells of the others.
    """
    mine = [launch for launch in counted(under(of_regime(launches, ONE_CORE), workload)) if launch.valid]
    servers = dict.fromkeys(launch.sample.cell.server for launch in mine)
    responses = {
        server: together(launch.sample for launch in mine if launch.sample.cell.server == server)
        for server in servers
    }
    for tail in TAILS:
        known = [server for server in servers if responses[server].quantile(QUANTILES[tail.metric]).enough]
        found = ranking(launches, workload, metric(tail.metric), known)
        if found is not None and 2 * len(found.estimates) > len(servers):
            without = tuple(server for server in servers if server not in found.estimates)
            return RankedTail(tail, found, without)
    return None


def leaders(table: Table, ranked: Sequence[Row], name: str) -> list[Row]:
    """Return the first, and all that were not told apart from it."""
    first = ranked[0]
    apart = {
        frozenset((comparison.a, comparison.b))
        for comparison in table.comparisons[name]
        if comparison.verdict in {BETTER, WORSE}
    }
    return [row for row in ranked if row is first or frozenset((first.server, row.server)) not in apart]
