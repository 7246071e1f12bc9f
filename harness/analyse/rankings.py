"""Who is first, who is last, and who shares a place: by the same tests as all comparisons, for servers of one core."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from harness.analyse.blocks import Launch, by_block, of_regime, under
from harness.analyse.comparisons import BETTER, WORSE, compare_all
from harness.analyse.samples.metrics import Metric, metric
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
    """Rank servers of one core; None if fewer than two have figures."""
    chosen = [
        launch
        for launch in under(of_regime(launches, ONE_CORE), workload)
        if among is None or launch.sample.cell.server in among
    ]
    found = {
        server: known
        for server, values in by_block(chosen, workload, of).items()
        if (known := estimate(list(values.values()))) is not None
    }
    if len(found) < 2:
        return None
    ranked = sorted(found, key=lambda server: found[server].mean, reverse=of.higher_is_better)
    apart = {
        frozenset((each.a, each.b))
        for each in compare_all(chosen, workload, of)
        if each.verdict in {BETTER, WORSE}
    }
    leaders = tuple(server for server in ranked if frozenset((ranked[0], server)) not in apart)
    return Ranking({server: found[server] for server in ranked}, leaders)


class RankedTail(NamedTuple):
    """Servers by a quantile of the response."""

    tail: Tail
    ranking: Ranking


def tail_ranking(launches: Sequence[Launch], workload: str) -> RankedTail | None:
    """Rank servers by the farthest quantile that all of them have.

    It takes many requests to know a far one; if only those were ranked that have it, the best might be missing.
    """
    mine = under(of_regime(launches, ONE_CORE), workload)
    measured = {launch.sample.cell.server for launch in mine if launch.valid}
    for tail in TAILS:
        found = ranking(mine, workload, metric(tail.metric))
        if found is not None and found.estimates.keys() == measured:
            return RankedTail(tail, found)
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
