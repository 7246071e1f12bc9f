"""Choose this when: a recommendation for each situation, as far as the run's figures carry it, and no further.

No server's name stands here. Each recommendation is a rule over figures and declarations: if two servers swapped their
figures, the sentences would swap their names.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analyse.blocks import by_block, of_regime
from harness.analyse.rankings import COMPANY_RPS, TAILS, Ranking, ranking, tail_ranking
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import estimate
from harness.plan import ALL_CORES, ONE_CORE, by_name
from harness.record import Results, ServerFacts
from harness.report.wording import few, listed

MOST_NAMED: Final = 4
FEW: Final = "clients_8"
MANY: Final = "clients_64"
HUNDREDS: Final = "clients_500"
IDLE: Final = "idle_10000"
OFFERED: Final = ("open_5k", "open_2k")
BESIDE_COSTLY: Final = "costly"
AS_SHORT: Final = 1.1
"""Code that is longer by so little is as simple."""


@dataclass(frozen=True)
class Advice:
    """What to choose in a situation: servers, or `any` of them, and why, in a sentence or two."""

    situation: str
    servers: tuple[str, ...]
    why: str
    any: bool = False


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
        "were not told apart from the first of them, which is less than being equal: a noisy figure stays in the list. "
        "Unless it says otherwise, a server has one core.",
        "",
        "| situation | choose | because |",
        "|---|---|---|",
        *(
            f"| {each.situation} | {'any' if each.any else few(each.servers, MOST_NAMED)} | {each.why} |"
            for each in found
        ),
        "",
    ]


def advice(results: Results) -> list[Advice]:
    """Return what all rules recommend."""
    return [each for rule in RULES for each in rule(results)]


def simplest(results: Results) -> Iterator[Advice]:
    """Recommend the shortest code, with what it answers: of those that serve one client at a time, and several."""
    ours = [facts for facts in results.manifest.servers if facts.file and facts.regime == ONE_CORE]
    models = [facts for facts in ours if "+" not in facts.label]
    for one_at_a_time in (True, False):
        able = [facts for facts in models if ("concurrent" not in facts.declares) is one_at_a_time]
        if not able:
            continue
        fewest = min(facts.code_lines for facts in able)
        shortest = sorted(
            (facts for facts in able if facts.code_lines <= AS_SHORT * fewest),
            key=lambda each: each.code_lines,
        )
        labels = tuple(facts.label for facts in shortest)
        if one_at_a_time:
            yield Advice("One client at a time is enough", labels, f"{fewest} lines of code, the fewest")
            continue
        speed = next(filter(None, (_ranked(results, name, "throughput_rps") for name in (FEW, MANY))), None)
        described = "; ".join(_code(facts, speed) for facts in shortest)
        yield Advice("A few clients, the simplest code", labels, f"{described}{_fastest(speed)}")


def _ranked(results: Results, workload: str, name: str, among: Sequence[str] | None = None) -> Ranking | None:
    return ranking(results.samples, workload, metric(name), among)


def _code(facts: ServerFacts, speed: Ranking | None) -> str:
    answers = (
        f", {speed.mean(facts.label):,.0f} requests/s" if speed and facts.label in speed.estimates else ""
    )
    return f"`{facts.label}` {facts.code_lines} lines{answers}"


def _fastest(speed: Ranking | None) -> str:
    if speed is None:
        return ""
    others = len(speed.leaders) - 1
    tied = f", not told apart from {others} more" if others else ""
    return f"; the most requests/s are {speed.mean(speed.first):,.0f} (`{speed.first}`{tied})"


def many_idle(results: Results) -> Iterator[Advice]:
    """Recommend what costs the least CPU for a request while thousands of connections are silent."""
    found = _ranked(results, IDLE, "cpu_us_per_request")
    if found is None:
        return
    memory = _ranked(results, IDLE, "peak_mib", found.leaders)
    least = (
        f"; of these `{memory.first}` holds the least memory, {memory.mean(memory.first):,.0f} MiB at most"
        if memory
        else ""
    )
    yield Advice(
        "Many connections, mostly idle",
        found.leaders,
        f"with 10,000 silent connections a request costs {found.mean(found.first):.1f} µs of CPU, the least; the most is "
        f"{found.mean(found.last):.1f} µs, `{found.last}`{least}{_unable(results, IDLE)}{_variants_apart(results, IDLE)}",
    )  # fmt: skip


def _unable(results: Results, workload: str) -> str:
    connections = by_name(workload).connections
    names = [
        facts.label
        for facts in results.manifest.servers
        if facts.most_clients is not None and facts.most_clients < connections
    ]
    return f"; {listed(names)} cannot hold them" if names else ""


def _variants_apart(results: Results, workload: str) -> str:
    """Say that variants were in the run, and not under this workload."""
    variants = {facts.label for facts in results.manifest.servers if "+" in facts.label}
    measured = {sample.cell.server for sample in results.samples if sample.cell.workload == workload}
    return "; the variants were not measured with it" if variants and not variants & measured else ""


def shortest_tail(results: Results) -> Iterator[Advice]:
    """Recommend the shortest tail of responses, with hundreds of clients: at a moderate rate, all are short."""
    of_tail = tail_ranking(results.samples, HUNDREDS)
    if of_tail is not None:
        tail, found = of_tail
        yield Advice(
            "A short tail with hundreds of clients",
            found.leaders,
            f"{tail.share} of the responses came within {found.mean(found.first) / 1e3:.2f} ms with 500 clients that each wait "
            f"for their reply; `{found.last}` took {found.mean(found.last) / 1e3:.2f} ms{_at_a_rate(results)}",
        )


def _at_a_rate(results: Results) -> str:
    """Say what becomes of the difference when requests come at a moderate rate, the same for all."""
    for workload in OFFERED:
        of_tail = tail_ranking(results.samples, workload)
        if of_tail is not None:
            tail, found = of_tail
            apart = "" if found.tells_apart else ", first and last not told apart"
            return (
                f". With {by_name(workload).title} {tail.share} came within {found.mean(found.first) / 1e3:.2f} "
                f"(`{found.first}`) to {found.mean(found.last) / 1e3:.2f} ms (`{found.last}`){apart}"
            )
    return ""


def fair_shares(results: Results) -> Iterator[Advice]:
    """Recommend who leaves no client behind, with hundreds of them."""
    found = _ranked(results, HUNDREDS, "worst_client_share")
    if found is not None and found.tells_apart:
        yield Advice(
            "No client left behind",
            found.leaders,
            f"with 500 clients the one served worst got {found.mean(found.first):.0%} of an equal share; at `{found.last}` "
            f"{found.mean(found.last):.0%}",
        )


def costly_requests(results: Results) -> Iterator[Advice]:
    """Recommend who lets light requests wait the least beside costly ones; who uses all cores is another regime."""
    of_tail = tail_ranking(results.samples, BESIDE_COSTLY)
    if of_tail is not None:
        tail, found = of_tail
        yield Advice(
            "Requests that compute, on one core",
            found.leaders,
            f"beside costly requests {tail.share} of the light ones were answered within {found.mean(found.first) / 1e3:.2f} ms, "
            f"at `{found.last}` within {found.mean(found.last) / 1e3:.2f} ms{_price_of(results, found)}",
        )
    tail = of_tail[0] if of_tail else TAILS[0]
    on_all = of_regime(results.samples, ALL_CORES)
    costly = by_block(on_all, BESIDE_COSTLY, COMPANY_RPS)
    for server, values in by_block(on_all, BESIDE_COSTLY, metric(tail.metric)).items():
        light, heavy = estimate(list(values.values())), estimate(list(costly.get(server, {}).values()))
        if light is not None:
            answered = f"; of the costly ones {heavy.mean:,.0f} a second" if heavy else ""
            yield Advice(
                "Requests that compute, on all cores",
                (server,),
                f"it works on several at once: {tail.share} of the light requests were answered within "
                f"{light.mean / 1e3:.2f} ms{answered}",
            )


def _price_of(results: Results, found: Ranking) -> str:
    """Say how many costly requests were answered where the light ones waited the least, and where the most of them were."""
    costly = ranking(results.samples, BESIDE_COSTLY, COMPANY_RPS)
    if costly is None or found.first not in costly.estimates or found.first == costly.first:
        return ""
    return (
        f"; the price: {costly.mean(found.first):,.0f} costly ones a second, and `{costly.first}` answered "
        f"{costly.mean(costly.first):,.0f}"
    )


def blocking_calls(results: Results) -> Iterator[Advice]:
    """Recommend, of those whose handlers have threads of their own, the one that costs the least: a blocked call holds up no other."""
    threads: dict[str, int] = {}
    for sample in of_regime(results.samples, ONE_CORE):
        if sample.cell.workload == MANY:
            threads[sample.cell.server] = max(threads.get(sample.cell.server, 0), sample.server.threads)
    own_thread = [server for server, count in threads.items() if count >= by_name(MANY).load.clients]
    found = _ranked(results, MANY, "cpu_us_per_request", own_thread)
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
        f"with 64 clients {'each' if len(best) > 1 else 'it'} has {threads[best[0]]} threads, so that a call that blocks holds "
        f"up nobody but its own client (by construction: no workload here blocks){cost}",
    )


def least_memory(results: Results) -> Iterator[Advice]:
    """Recommend who holds the least memory with some hundred clients."""
    found = _ranked(results, HUNDREDS, "peak_mib")
    if found is None:
        return
    each = _ranked(results, HUNDREDS, "idle_kib_per_connection")
    best = found.first
    per_client = f", {each.mean(best):.1f} KiB for each" if each and best in each.estimates else ""
    yield Advice(
        "The least memory",
        found.leaders,
        f"{found.mean(best):,.0f} MiB at most with 500 clients{per_client}; `{found.last}` held {found.mean(found.last):,.0f} MiB",
    )


def clean_stop(results: Results) -> Iterator[Advice]:
    """Recommend who stops under load without losing a reply; the time it takes is noisy, and not ranked."""
    asked = [each for each in results.costs if _concurrent(results.manifest.servers, each.server)]
    clean = tuple(
        each.server
        for each in asked
        if each.lifetime.loaded_stop_s and not each.lifetime.wrong and not any(each.lifetime.exit_codes)
    )
    if clean:
        took_s = [took for each in asked if each.server in clean for took in each.lifetime.loaded_stop_s]
        everyone = len(clean) == len(asked)
        yield Advice(
            "A clean stop",
            clean,
            f"told to stop under load, {'all' if everyone else 'these'} {len(clean)} that serve clients side by side answered "
            f"what they had received and ended with 0, within {max(took_s) * 1e3:,.0f} ms",
            any=everyone,
        )


def _concurrent(servers: Sequence[ServerFacts], label: str) -> bool:
    return any(facts.label == label and "concurrent" in facts.declares for facts in servers)


RULES: Final[tuple[Rule, ...]] = (
    simplest,
    many_idle,
    shortest_tail,
    fair_shares,
    costly_requests,
    blocking_calls,
    least_memory,
    clean_stop,
)
