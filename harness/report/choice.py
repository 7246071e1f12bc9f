"""Choose this when: a recommendation for each situation, as far as the run's figures carry it, and no further.

No server's name stands here. Each recommendation is a rule over figures and declarations: if two servers swapped their
figures, the sentences would swap their names.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from harness.analyse import by_block, metric, of_regime
from harness.compare import BETTER, WORSE, compare_all
from harness.inference import Estimate, estimate
from harness.plan import by_name
from harness.record import Results, Sample, ServerFacts
from harness.report.wording import few, listed
from implementations import ALL_CORES, ONE_CORE

MOST_NAMED: Final = 4
FEW: Final = "clients_8"
MANY: Final = "clients_64"
HUNDREDS: Final = "clients_500"
IDLE: Final = "idle_10000"
OFFERED: Final = ("open_5k", "open_2k")
BESIDE_COSTLY: Final = "costly"


class Tail(NamedTuple):
    """A quantile of the response, and how it is said."""

    metric: str
    share: str


TAILS: Final = (Tail("response_p99_us", "99 %"), Tail("response_p90_us", "90 %"))


@dataclass(frozen=True)
class Ranking:
    """Servers by one metric under one workload, the best first; `leaders` are the best and who was not told apart from it."""

    estimates: Mapping[str, Estimate]
    leaders: tuple[str, ...]

    def mean(self, server: str) -> float:
        """Return a server's figure."""
        return self.estimates[server].mean

    @property
    def last(self) -> str:
        """Return who is last."""
        return list(self.estimates)[-1]


@dataclass(frozen=True)
class Advice:
    """What to choose in a situation: servers, and why, in a sentence or two."""

    situation: str
    servers: tuple[str, ...]
    why: str


Rule = Callable[[Results], Iterator[Advice]]


def choice_section(results: Results) -> list[str]:
    """Recommend a model for each situation of which the run can tell something."""
    found = advice(results)
    if not found:
        return []
    return [
        "## Choose this when",
        "",
        "Each line follows from the figures below by a rule, and holds for this machine and these workloads. Servers named together "
        "were not told apart. Unless it says otherwise, a server has one core.",
        "",
        "| situation | choose | because |",
        "|---|---|---|",
        *(f"| {each.situation} | {few(each.servers, MOST_NAMED)} | {each.why} |" for each in found),
        "",
    ]


def advice(results: Results) -> list[Advice]:
    """Return what all rules recommend."""
    return [each for rule in RULES for each in rule(results)]


def ranking(
    samples: Sequence[Sample], workload: str, name: str, among: Collection[str] | None = None
) -> Ranking | None:
    """Rank servers of one core; None if fewer than two have figures."""
    chosen = [
        sample for sample in of_regime(samples, ONE_CORE) if among is None or sample.server in set(among)
    ]
    of = metric(name)
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


def simplest(results: Results) -> Iterator[Advice]:
    """Recommend the shortest code: of those that serve one client at a time, and of those that serve several."""
    ours = [facts for facts in results.manifest.servers if facts.file and facts.regime == ONE_CORE]
    for one_at_a_time in (True, False):
        able = [facts for facts in ours if ("concurrent" not in facts.declares) is one_at_a_time]
        if not able:
            continue
        lines = min(facts.code_lines for facts in able)
        shortest = tuple(facts.label for facts in able if facts.code_lines == lines)
        if one_at_a_time:
            yield Advice("One client at a time is enough", shortest, f"{lines} lines of code, the fewest")
            continue
        found = ranking(results.samples, FEW, "throughput_rps") or ranking(
            results.samples, MANY, "throughput_rps"
        )
        yield Advice(
            "A few clients, the simplest code",
            shortest,
            f"{lines} lines of code, the fewest of those that serve clients side by side{_speed(found, shortest[0])}",
        )


def _speed(found: Ranking | None, server: str) -> str:
    if found is None or server not in found.estimates:
        return ""
    if server in found.leaders:
        return f"; {found.mean(server):,.0f} requests/s, and nobody was shown to be faster"
    best = found.leaders[0]
    return f"; {found.mean(server):,.0f} requests/s, {found.mean(server) / found.mean(best):.0%} of what `{best}` answers, the fastest"


def many_idle(results: Results) -> Iterator[Advice]:
    """Recommend what costs the least CPU for a request while thousands of connections are silent."""
    found = ranking(results.samples, IDLE, "cpu_us_per_request")
    if found is None:
        return
    memory = ranking(results.samples, IDLE, "peak_mib", found.leaders)
    least = (
        f"; of these `{memory.leaders[0]}` holds the least memory, {memory.mean(memory.leaders[0]):,.0f} MiB at most"
        if memory
        else ""
    )
    yield Advice(
        "Many connections, mostly idle",
        found.leaders,
        f"with 10,000 silent connections a request costs {found.mean(found.leaders[0]):.1f} µs of CPU, the least; the most is "
        f"{found.mean(found.last):.1f} µs, `{found.last}`{least}{_unable(results, IDLE)}",
    )  # fmt: skip


def _unable(results: Results, workload: str) -> str:
    connections = by_name(workload).connections
    names = [
        facts.label
        for facts in results.manifest.servers
        if facts.most_clients is not None and facts.most_clients < connections
    ]
    return f"; {listed(names)} cannot hold them" if names else ""


def tail_ranking(samples: Sequence[Sample], workload: str) -> tuple[Tail, Ranking] | None:
    """Rank servers of one core by the farthest quantile that most of them have: it takes many requests to know it."""
    measured = {sample.server for sample in of_regime(samples, ONE_CORE) if sample.workload == workload}
    for tail in TAILS:
        found = ranking(samples, workload, tail.metric)
        if found is not None and 2 * len(found.estimates) > len(measured):
            return tail, found
    return None


def shortest_tail(results: Results) -> Iterator[Advice]:
    """Recommend the shortest tail of responses: at a rate that is the same for all, or with hundreds of clients if too few came."""
    rankings = {workload: tail_ranking(results.samples, workload) for workload in (*OFFERED, HUNDREDS)}
    known = {workload: found for workload, found in rankings.items() if found is not None}
    if known:
        workload = min(known, key=lambda each: TAILS.index(known[each][0]))
        tail, found = known[workload]
        yield Advice(
            "A short tail",
            found.leaders,
            f"with {by_name(workload).title} {tail.share} of the responses came within "
            f"{found.mean(found.leaders[0]) / 1e3:.2f} ms; `{found.last}` took {found.mean(found.last) / 1e3:.2f} ms",
        )


def costly_requests(results: Results) -> Iterator[Advice]:
    """Recommend who lets light requests wait the least beside costly ones; who uses all cores is another regime."""
    of_tail = tail_ranking(results.samples, BESIDE_COSTLY)
    if of_tail is not None:
        tail, found = of_tail
        yield Advice(
            "Requests that compute, on one core",
            found.leaders,
            f"beside costly requests {tail.share} of the light ones were answered within "
            f"{found.mean(found.leaders[0]) / 1e3:.1f} ms; the longest wait was at `{found.last}`, {found.mean(found.last) / 1e3:.1f} ms",
        )
    tail = of_tail[0] if of_tail else TAILS[0]
    everywhere = by_block(of_regime(results.samples, ALL_CORES), BESIDE_COSTLY, metric(tail.metric))
    for server, values in everywhere.items():
        mean = estimate(list(values.values()))
        if mean is not None:
            yield Advice(
                "Requests that compute, on all cores",
                (server,),
                f"it alone works on several at once; beside costly requests {tail.share} of the light ones were answered within "
                f"{mean.mean / 1e3:.1f} ms",
            )


def blocking_calls(results: Results) -> Iterator[Advice]:
    """Recommend, of those whose handlers have threads of their own, the one that costs the least: a blocked call holds up no other."""
    threads: dict[str, int] = {}
    for sample in of_regime(results.samples, ONE_CORE):
        if sample.workload == MANY:
            threads[sample.server] = max(threads.get(sample.server, 0), sample.threads)
    own_thread = [server for server, count in threads.items() if count >= by_name(MANY).clients]
    found = ranking(results.samples, MANY, "cpu_us_per_request", own_thread)
    if not own_thread:
        return
    best = found.leaders if found else tuple(own_thread)
    cost = (
        f"; of {listed(own_thread)} it costs the least, {found.mean(best[0]):.1f} µs a request"
        if found and len(best) == 1
        else ""
    )
    yield Advice(
        "Libraries that block",
        best,
        f"with 64 clients it has {threads[best[0]]} threads: a call that blocks holds up nobody but its own client{cost}",
    )  # fmt: skip


def least_memory(results: Results) -> Iterator[Advice]:
    """Recommend who holds the least memory with some hundred clients."""
    found = ranking(results.samples, HUNDREDS, "peak_mib")
    if found is None:
        return
    each = ranking(results.samples, HUNDREDS, "idle_kib_per_connection")
    best = found.leaders[0]
    per_client = f", {each.mean(best):.1f} KiB for each" if each and best in each.estimates else ""
    yield Advice(
        "The least memory",
        found.leaders,
        f"{found.mean(best):,.0f} MiB at most with 500 clients{per_client}; `{found.last}` held {found.mean(found.last):,.0f} MiB",
    )


def clean_stop(results: Results) -> Iterator[Advice]:
    """Recommend who stops under load without losing a reply; the time it takes is told, and not ranked."""
    clean = {
        costs.server: median(costs.lifetime.loaded_stop_s)
        for costs in results.costs
        if costs.lifetime.loaded_stop_s
        and not costs.lifetime.wrong
        and not any(costs.lifetime.exit_codes)
        and _concurrent(results.manifest.servers, costs.server)
    }
    if not clean:
        return
    first, last = min(clean, key=clean.__getitem__), max(clean, key=clean.__getitem__)
    yield Advice(
        "A clean stop",
        tuple(clean),
        f"told to stop under load they answered all that they had received and ended with 0, in {clean[first] * 1e3:,.0f} ms "
        f"(`{first}`) to {clean[last] * 1e3:,.0f} ms (`{last}`): medians of a few launches, no ranking",
    )


def _concurrent(servers: Sequence[ServerFacts], label: str) -> bool:
    return any(facts.label == label and "concurrent" in facts.declares for facts in servers)


RULES: Final[tuple[Rule, ...]] = (
    simplest,
    many_idle,
    shortest_tail,
    costly_requests,
    blocking_calls,
    least_memory,
    clean_stop,
)
