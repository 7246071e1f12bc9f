"""The first screen: what was asked, what was measured, and what decides between the models."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from harness.analyse.advice import WaitingHandlers
from harness.analyse.analysis import Analysis
from harness.analyse.answer import (
    OTHER_WAYS,
    Answer,
    ConnectionMemory,
    Saturated,
    Spare,
    WaitingAt,
    Way,
    workers_of,
)
from harness.analyse.changing_places import PlaceChange
from harness.analyse.comparisons import UNDECIDED
from harness.analyse.rankings import Ranking
from harness.analyse.tables import Row, Table
from harness.plan import CLOSED, FREE, FRESH, by_name, model_of
from harness.record import EffectResult, Results
from harness.report.blocks import Blocks, Points, Text, grid, numbers, words
from harness.report.sections.choice import in_words as advice_in_words
from harness.report.wording import (
    MARK,
    all_quantiles,
    capital,
    counted,
    few,
    in_ms,
    listed,
    rate_of,
    servers_counted,
    span,
    with_error,
)

MOST_NAMED: Final = 3
MOST_WAYS: Final = 5
NOT_MEASURED: Final = "not measured in this run"
TIMES: Final = {"cpu_us_per_request": "the CPU of a request", "throughput_rps": "the requests/s"}
WAYS_IN_WORDS: Final = {FREE: "free on all cores", FRESH: "before its first client has left"}


def first_screen(analysis: Analysis) -> Blocks:
    """Say what was measured and what was not, what decides, and what the models come to."""
    found = analysis.answer
    return [
        Text(measured(analysis.results)),
        Text(f"**Not measured** in this run: {', '.join(found.missing)}."),
        Points(tuple(deciding(analysis)), numbered=True),
        *models_section(found),
    ]


def measured(results: Results) -> str:
    """Say in a line what was measured."""
    environment, design = results.manifest.environment, results.manifest.design
    servers = servers_counted([facts.label for facts in results.manifest.servers])
    workers = workers_of(results)
    whence = f"load from {counted(len(workers), 'worker')} of a cluster" if workers else "loopback"
    judged = len({each.case for each in results.conformance})
    failed = sorted({each.server for each in results.conformance if each.verdict.failed})
    gate = (
        f" {listed(failed)} failed the suite, and got no figures."
        if failed
        else f" No server failed any of {judged} [conformance cases](cases.md) first."
        if judged
        else ""
    )
    return (
        f"**Measured**: one small TCP protocol, {servers} that answer it byte for byte alike, "
        f"{environment.python}, {environment.cores} cores, {whence}, {len(design.workloads)} loads.{gate} "
        "[How](method.md), [all tables](workloads.md), [every pair](pairs.md); [report.html](report.html), opened in a browser, answers what it is asked."
    )


def deciding(analysis: Analysis) -> Iterator[str]:
    """Yield the sentences that decide, each with what it rests on."""
    found = analysis.answer
    tables = analysis.one_core.tables
    if found.spare is not None:
        yield spare_sentence(found.spare, tables[found.spare.workload])
    if found.saturated is not None:
        yield saturated_sentence(found.saturated)
    yield waiting_sentence(analysis)
    yield place_sentence(found, on_others=bool(analysis.results.manifest.interpreters))
    if len(found.memory) > 1:
        yield memory_sentence(found.memory)


def spare_sentence(found: Spare, table: Table) -> str:
    """Say what is left of the differences with a core to spare."""
    tail, ranking, without = found.tail
    first, last = ranking.first, ranking.last
    head = (
        "Even with a core to spare the model shows"
        if found.noticed
        else f"With a core to spare the model hardly shows in {tail.share} of the responses"
        if found.slight
        else f"Whether the model shows in {tail.share} of the responses with a core to spare, this run cannot tell"
    )
    apart = "" if ranking.tells_apart else " (not told apart)"
    unknown = f" Too little is known of {listed(without)}." if without else ""
    shares = ", ".join(
        f"`{row.server}` {found.cores[row.server]:.0%}"
        for row in table.rows
        if row.server in found.cores and row.server == model_of(row.server)
    )
    return (
        f"**{head}.** {by_name(found.workload).title} on {by_name(found.workload).load.clients} connections: {tail.share} of the responses came within {in_ms(ranking.mean(first))} "
        f"to {in_ms(ranking.mean(last))} ms. By that the first and the last{apart}: `{first}` {all_quantiles(table.row(first))}; `{last}` "
        f"{all_quantiles(table.row(last))}.{_longest_p99(table, ranking)}{unknown} Share of a core that this takes{'' if found.tells_cores_apart else ' (not told apart)'}: {shares}."
    )


def _longest_p99(table: Table, found: Ranking) -> str:
    """Name who took the longest at p99, if it is not the last by the quantile that was ranked."""
    p99 = {
        server: of.mean
        for server in found.estimates
        if (of := table.row(server).estimates["response_p99_us"])
    }
    longest = max(p99, key=lambda server: p99[server], default=found.last)
    if longest == found.last:
        return ""
    return f" Farther out `{longest}` took the longest, {all_quantiles(table.row(longest))}."


def saturated_sentence(found: Saturated) -> str:
    """Say who answers most when all ask again at once, and where that turns."""
    fewest, most = min(found.most), max(found.most)
    ends = capital(
        "; ".join(_most(clients, found.most[clients]) for clients in dict.fromkeys((fewest, most)))
    )
    if not found.turning:
        always = found.everywhere if any(each.tells_apart for each in found.most.values()) else ()
        head = (
            f"Saturated, at every number of clients {few(always, MOST_NAMED)} {'is' if len(always) == 1 else 'are'} among those that answer most"
            if always
            else "Saturated, no two models change places"
        )
        return f"**{head}.** {ends}."
    first = found.turning[0]
    rest = [each for each in found.turning if each is not first]
    others = f" So it is with {', '.join(map(_turn, rest))}." if rest else ""
    return f"**Saturated, `{first.few}` beats `{first.many}` with few clients and loses to it with many.** {_swing(first)}.{others} {ends}."


def _swing(found: PlaceChange) -> str:
    ratios = ", ".join(
        f"undecided with {clients:,}" if each.verdict == UNDECIDED else f"{each.ratio:.2f} with {clients:,}"
        for clients, each in found.ratios.items()
    )
    return f"Requests/s of `{found.many}`, relative to `{found.few}`: {ratios} clients"


def _turn(found: PlaceChange) -> str:
    return f"`{found.few}` with {found.up_to:,} and `{found.many}` with {found.beyond:,} clients"


def _most(clients: int, found: Ranking) -> str:
    without = _without(found)
    if not found.tells_apart:
        return f"with {clients:,} clients none were told apart{without}"
    return (
        f"with {clients:,} clients {few(found.leaders, MOST_NAMED)} answered most ({span(found)} requests/s), "
        f"`{found.last}` fewest ({found.mean(found.last):,.0f}){without}"
    )


def _without(found: Ranking) -> str:
    """Name who was measured there and is not ranked."""
    return f", too little is known of {listed(found.without)}" if found.without else ""


def waiting_sentence(analysis: Analysis) -> str:
    """Say what becomes of it when handlers wait for something else."""
    if not analysis.relays.workloads:
        return f"**Handlers that wait**: {NOT_MEASURED}; `harness bench --workload relays` does."
    said = [
        f"{few(each.servers, MOST_NAMED)}: {why}"
        for each in analysis.advice
        if isinstance(each, WaitingHandlers)
        for _, why in [advice_in_words(each)]
    ]
    at = _waiting_at(analysis.answer.waiting) if analysis.answer.waiting else ""
    sentences = " ".join(f"{each[:1].upper()}{each[1:]}." for each in (at, *said) if each)
    return f"**Handlers that wait.** {sentences or 'No servers were told apart.'} [{'The map' if analysis.relays.maps else 'More'}](relays.md)."


def _waiting_at(found: WaitingAt) -> str:
    most, cheapest = found.most, found.cheapest
    shares = ", ".join(
        f"`{row.server}` {most.mean(row.server) / found.ceiling_rps:.0%}{_given_fewer(row.server, found)}"
        for row in found.rows
        if row.server in most.estimates and row.server == model_of(row.server)
    )
    first = (
        f"{few(most.leaders, MOST_NAMED)} answered most ({span(most)} requests/s)"
        if most.tells_apart
        else "no servers were told apart in requests/s"
    )
    cpu = (
        f"; of those that serve clients side by side the least CPU for a request took {few(cheapest.leaders, MOST_NAMED)} "
        f"({span(cheapest)} µs), the most `{cheapest.last}` ({cheapest.mean(cheapest.last):.0f})"
        if cheapest and cheapest.tells_apart
        else ""
    )
    return (
        f"with {found.clients:,} clients and {found.wait_s * 1e3:g} ms, a pool of {found.pool:,}, {first}{_without(most)}. Share of the {found.ceiling_rps:,.0f} requests/s "
        f"that the pool allows: {shares}{cpu}"
    )


def _given_fewer(server: str, found: WaitingAt) -> str:
    return f" (with {found.fewer[server]:,} clients)" if server in found.fewer else ""


def place_sentence(found: Answer, *, on_others: bool = False) -> str:
    """Say what place, state and interpreter make of servers; by blocks, and by the experiment on the interpreter's lock."""
    told = _ways(found.ways)
    more = " [On other interpreters](interpreters.md)." if on_others else ""
    if found.lock is not None and found.lock.shown:
        told.append(_of_lock(found.lock))
    if not told and not {*OTHER_WAYS.values()} <= {*found.missing}:
        return f"**Where it runs**: of what was measured of it no difference was told apart.{more}"
    if not told:
        return f"**Pinned or free, fresh or in service, with the interpreter's lock or without**: {NOT_MEASURED}; `harness bench --placement free --fresh --python VERSION` does."
    return f"**Where it runs matters.** {' '.join(told)}{more}"


def _ways(found: Sequence[Way]) -> list[str]:
    """Say it of each server once, for all loads together; those first of which it makes most, and of one way together."""
    together: dict[tuple[str, str], list[Way]] = {}
    for each in found:
        together.setdefault((each.server, each.way), []).append(each)
    ranked = sorted(together.values(), key=lambda ways: -max(map(_weight, ways)))
    told: dict[str, list[str]] = {}
    for ways in ranked[:MOST_WAYS]:
        told.setdefault(_way(ways[0]), []).append(_what_it_makes(ways))
    rest = len(ranked) - MOST_WAYS
    more = [f"{counted(rest, 'such difference')} more ([tables](workloads.md))."] if rest > 0 else []
    return [*(f"{capital(way)} instead: {'; '.join(servers)}." for way, servers in told.items()), *more]


def _weight(found: Way) -> float:
    """Return the logarithm of the largest factor, up or down."""
    return max(abs(math.log(each.ratio)) for each in found.against.values())


def _way(found: Way) -> str:
    return WAYS_IN_WORDS.get(found.way, f"on {found.way.removeprefix('@')}")


def _what_it_makes(found: Sequence[Way]) -> str:
    told = []
    for name, title in TIMES.items():
        ratios = sorted(each.against[name].ratio for each in found if name in each.against)
        if ratios:
            span = dict.fromkeys(f"{each:.2f}" for each in (ratios[0], ratios[-1]))
            under = f" under {len(ratios)}" if len(ratios) < len(found) else ""
            told.append(f"{' to '.join(span)} times {title}{under}")
    loads = by_name(found[0].workload).title if len(found) == 1 else f"{len(found)} loads"
    open_in = found[0].loads - len(found)
    loads += f", not told apart under {open_in} more" if open_in else ""
    return f"`{found[0].server}` {', '.join(told)} ({loads})"


def _of_lock(found: EffectResult) -> str:
    with_it, without = (arm.figures[found.metric] for arm in (found.present, found.absent))
    return f"Made to happen ([effects](effects.md)): {found.present.label}, {found.unit} {with_it:.1f}; {found.absent.label}, {without:.1f}."


def memory_sentence(found: Sequence[ConnectionMemory]) -> str:
    """Say what a connected, silent client takes."""
    least, most = found[0], found[-1]
    models = [each for each in found if each.server == model_of(each.server)]
    listed_kib = ", ".join(f"`{each.server}` {each.kib:.1f}" for each in models)
    return (
        f"**A connection costs {least.kib:.1f} to {most.kib:.1f} KiB**, silent, at servers of one core on their usual interpreter: {listed_kib}. Of that "
        f"{most.kernel_kib:.1f} KiB at `{most.server}` and {least.kernel_kib:.1f} at `{least.server}` are the kernel's, for stacks and page tables; sockets, and what else the kernel keeps of a connection or a thread, are not counted "
        "([costs](costs.md))."
    )


def models_section(found: Answer) -> Blocks:
    """Show the models side by side, all busy; and once more where their handlers wait."""
    return [*_busy(found), *_while_handlers_wait(found.waiting)]


def _busy(found: Answer) -> Blocks:
    if not found.models:
        return []
    spare = [f"CPU µs at {found.spare.rate_rps:,.0f}/s"] if found.spare else []
    held = ["KiB a connection"] if found.memory else []
    rows = (
        (
            *_figures(each.row),
            *(["–" if each.spare_cpu_us is None else f"{each.spare_cpu_us:.0f}"] if spare else []),
            *(["–" if each.memory is None else f"{each.memory.kib:.1f}"] if held else []),
            str(each.code_lines or "–"),
        )
        for each in found.models
    )
    return [
        Text(
            f"**{by_name(found.workload).title}{', all busy' if by_name(found.workload).load.arrivals == CLOSED else ''}.** In the order of the sources, not of the figures: who shares a letter was not told "
            "apart in requests/s. A variant stands here where it was told apart from its model: `+free`, it may run on all cores; `+fresh`, no "
            f"client has come and left before; `@`, another interpreter, of which `3.13.5t` and its like have no lock. {MARK}: few requests lie beyond."
        ),
        grid((*COLUMNS, *numbers(*spare, *held, "lines of code")), rows),
    ]


def _while_handlers_wait(found: WaitingAt | None) -> Blocks:
    if found is None:
        return []
    columns = (*COLUMNS, *numbers(f"of {found.ceiling_rps:,.0f}/s", "under way"))
    rows = (
        (
            *_figures(row),
            "–"
            if (rate := row.estimates["throughput_rps"]) is None
            else f"{rate.mean / found.ceiling_rps:.0%}",
            _mean(row, "mean_under_way", "{:.0f}"),
        )
        for row in found.rows
    )
    fewer = ", ".join(f"`{server}` was given {clients:,}" for server, clients in found.fewer.items())
    return [
        Text(
            f"**{found.clients:,} clients, and a handler that waits {found.wait_s * 1e3:g} ms**, over a pool of {found.pool:,} connections: {found.ceiling_rps:,.0f} requests/s at most."
            + (f" As many clients as it serves at once: {fewer}." if fewer else "")
        ),
        grid(columns, rows),
    ]


COLUMNS: Final = (
    *words("server"),
    *numbers("requests/s"),
    *words("letters"),
    *numbers("CPU µs", "p50 ms", "p99 ms", "p99.9 ms", "MiB"),
)


def _figures(row: Row) -> tuple[str, ...]:
    return (
        f"`{row.server}`",
        rate_of(row, with_error(row.estimates["throughput_rps"], "{:,.0f}")),
        row.letters["throughput_rps"],
        _mean(row, "cpu_us_per_request", "{:.1f}"),
        *(_quantile(row, name) for name in ("p50", "p99", "p999")),
        _mean(row, "peak_mib", "{:.0f}"),
    )


def _mean(row: Row, name: str, form: str) -> str:
    found = row.estimates[name]
    return "–" if found is None else form.format(found.mean)


def _quantile(row: Row, name: str) -> str:
    metric = f"response_{name}_us"
    found = row.estimates[metric]
    return "–" if found is None else in_ms(found.mean) + (MARK if metric in row.few else "")
