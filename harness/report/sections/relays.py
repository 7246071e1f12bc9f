"""Handlers that wait: the maps, and a table for each wait, number of clients and pool."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from harness.analyse.advice import Advice, SmallPool, ThreadsThatWait, WaitingHandlers
from harness.analyse.analysis import Analysis
from harness.analyse.crossings import BEHIND, MOST, Divide, MapField
from harness.analyse.rankings import Ranking
from harness.analyse.relays import RelayMap, TimerError
from harness.analyse.samples.validity import BUSY, LATE_LIMIT
from harness.analyse.shortfall import REACHED, SHORTEST_WAIT_S, TWO_STATES, Lost, Shortfall
from harness.analyse.tables import Row, Table
from harness.plan import Load, by_name
from harness.record import ServerFacts
from harness.report.blocks import Blocks, Heading, Picture, Text, grid, numbers, points, words
from harness.report.names import figure_of
from harness.report.sections.choice import in_words
from harness.report.sections.workloads import clipped, launches, limits_of, mean_in_words, not_used
from harness.report.wording import capital, clients_in_words, few, interval

MOST_NAMED: Final = 3


class Sometimes(NamedTuple):
    """A figure that not every relay has: its title, what it is divided by, and its form."""

    title: str
    unit: float
    form: str


SOMETIMES: Final = {
    "prompt_p50_us": Sometimes("no wait: p50 ms", 1e3, "{:,.2f}"),
    "prompt_p99_us": Sometimes("no wait: p99 ms", 1e3, "{:,.2f}"),
    "recovery_s": Sometimes("recovered after s", 1.0, "{:.2f}"),
}
CAUSES: Final = {
    Lost.NEARLY_BUSY: "its core: so busy that requests queue for it",
    Lost.GENERATOR: "the instrument: its core was busy",
    Lost.STATES: f"its launches differ, by more than {TWO_STATES:g} times",
    Lost.ASKING: "it takes long to ask",
    Lost.RETURNING: "it takes long to pass the answer on",
}
FEWEST_TO_COMPARE: Final = 2
SENTENCES: Final = (WaitingHandlers, ThreadsThatWait, SmallPool)


def relays_page(analysis: Analysis, drawn: Collection[str]) -> Blocks:
    """Tell of relays: what was measured, the maps, the tables, and how good the clock was; nothing if none were."""
    found = analysis.relays
    if not found.workloads:
        return []
    return [
        Heading("Handlers that wait", 1),
        Text(
            "Each request is asked of an upstream, and answered when that has answered. Generator and upstream are one process, with one loop and one "
            "clock, so that all four times of a request are known: sent, asked, answered, received. **Ceiling**: what wait, clients and pool allow, "
            "however fast a server is: min(clients it serves, pool) / wait. **Share**: how many questions were under way on average, of as many as can be. "
            "**Own part**: what is left of a response when the upstream's is taken away, waiting for the pool included. A server for fewer clients "
            "was given as many as it serves."
        ),
        *_mistakes(analysis.results.manifest.servers),
        *(block for each in found.maps for block in _map(each, drawn)),
        *_sentences(analysis.advice),
        *_shortfalls(found.shortfalls),
        *_timer(found.errors),
        *(block for name in found.workloads for block in relay_section(name, analysis)),
    ]


def relay_section(workload: str, analysis: Analysis) -> Blocks:
    """Show what was measured of each server under one wait, number of clients and pool."""
    load = by_name(workload).load
    regimes = (analysis.one_core, analysis.all_cores)
    tables = [regime.tables[workload] for regime in regimes if workload in regime.tables]
    heading = Heading(capital(by_name(workload).title))
    if not any(table.rows for table in tables):
        return [heading, Text("Nothing was measured.")]
    absent = dict.fromkeys(
        f"`{each.cell.server}` could not be measured: {each.reason}."
        for each in analysis.results.unmeasured
        if each.cell.workload == workload
    )
    return [
        heading,
        Text(
            f"`{workload}`: at most {load.ceiling_rps:,.0f} requests/s for who serves all.{_of_a_stall(load)}"
        ),
        *_figures(tables[0]),
        *(block for table in tables[1:] if table.rows for block in (Text(ON_ALL_CORES), *_figures(table))),
        *points([*(line for table in tables for line in not_used(table)), *absent]),
    ]


def _figures(table: Table) -> Blocks:
    """Show the figures of the servers of one regime."""
    sometimes = [name for name in SOMETIMES if any(row.estimates[name] for row in table.rows)]
    columns = (*COLUMNS, *numbers(*(SOMETIMES[name].title for name in sometimes)), *LAST_COLUMNS)
    return [grid(columns, (_row(row, sometimes) for row in table.rows))] if table.rows else []


ON_ALL_CORES: Final = "On all cores, and compared with nobody above, letters included:"


COLUMNS: Final = (
    *words("server"),
    *numbers("requests/s"),
    *words(""),
    *numbers("ceiling", "share", "CPU µs per request"),
    *words(""),
    *numbers("core", "p50 ms", "p99 ms", "own part p50 ms", "under way", "peak MiB"),
)
LAST_COLUMNS: Final = (*words("limited by"), *numbers("launches"))


def _of_a_stall(load: Load) -> str:
    """Say how soon a stall can be over."""
    if not (load.upstream and load.upstream.stall_s):
        return ""
    return (
        f" For the last {load.upstream.stall_s:g} s of the window the upstream answers nothing. Who is no limit himself has worked off "
        f"what has piled up {load.worked_off_s:.1f} s later."
    )


def _row(row: Row, sometimes: Sequence[str]) -> tuple[str, ...]:
    return (
        f"`{row.server}`",
        interval(row.estimates["throughput_rps"], "{:,.0f}"),
        row.letters["throughput_rps"],
        mean_in_words(row, "ceiling_rps", "{:,.0f}"),
        interval(clipped(row, "ceiling_share"), "{:.2f}"),
        interval(row.estimates["cpu_us_per_request"], "{:.0f}"),
        row.letters["cpu_us_per_request"],
        mean_in_words(row, "core_share", "{:.0%}"),
        mean_in_words(row, "response_p50_us", "{:,.1f}", 1e3),
        mean_in_words(row, "response_p99_us", "{:,.1f}", 1e3),
        mean_in_words(row, "own_p50_us", "{:,.2f}", 1e3),
        mean_in_words(row, "mean_under_way", "{:,.1f}"),
        mean_in_words(row, "peak_mib", "{:,.0f}"),
        *(mean_in_words(row, name, SOMETIMES[name].form, SOMETIMES[name].unit) for name in sometimes),
        limits_of(row),
        launches(row),
    )


def map_picture(found: RelayMap) -> Picture:
    """Return the figure of a map."""
    return Picture(
        figure_of(found.pool),
        f"Who answers most, and at the least CPU, by wait and clients: {pool_in_words(found)}",
    )


def pool_in_words(found: RelayMap) -> str:
    """Say how large the pool of a map is."""
    return "a pool as large as the clients are many" if found.pool is None else f"a pool of {found.pool}"


def _map(found: RelayMap, drawn: Collection[str]) -> Blocks:
    """Show who is first in each field."""
    picture = map_picture(found)
    rows = (
        (
            f"{wait_s * 1e3:g} ms",
            f"{clients:,}",
            f"{_leaders(each.most, '{:,.0f}')}/s",
            f"{_of_ceiling(each):.0%}",
            _leaders_or_none(each.cheapest, " µs"),
            _leaders_or_none(each.memory, " MiB"),
        )
        for (wait_s, clients), each in sorted(found.fields.items())
    )
    columns = (
        *numbers("wait", "clients"),
        *words("answer the most"),
        *numbers("of the ceiling"),
        *words("the least CPU per request", "the least memory"),
    )
    return [
        *([picture] if picture.name in drawn else []),
        Text(f"With {pool_in_words(found)}; servers named together were not told apart from the first:"),
        grid(columns, rows),
        *_divides(found.divides),
        *_behind(found),
    ]


def _divides(found: Sequence[Divide]) -> Blocks:
    """Say where the answer changes."""
    if not found:
        return []
    return [
        Text(
            "Where the answer changes: of those who lead on the one side nobody leads on the other. Both firsts are equal at, with the 95 % interval:"
        ),
        grid(words("", "from", "to", "equal at"), map(_divide, found)),
    ]


def _divide(found: Divide) -> tuple[str, ...]:
    here, there = (f"{many:,} clients, {wait_s * 1e3:g} ms" for wait_s, many in (found.before, found.after))
    return (
        "requests/s" if found.metric == MOST else "CPU per request",
        f"`{found.overtaken}` ({here})",
        f"`{found.overtaking}` ({there})",
        _equal_at(found),
    )


def _behind(found: RelayMap) -> Blocks:
    """Say of each server up to how many clients it is as good as any."""
    if len(found.clients) < FEWEST_TO_COMPARE:
        return []
    rows = (
        (
            f"`{server}`",
            *(
                "–" if each is None else clients_in_words(each)
                for wait_s in found.waits_s
                for each in [found.behind.get((server, wait_s))]
            ),
        )
        for server in sorted({server for server, _ in found.behind})
    )
    return [
        Text(
            f"From how many clients on a server answers less than the best by more than {BEHIND - 1:.0%}, with the 95 % interval; > and ≤: beyond the most, "
            "or the fewest, with which it was measured; who left requests unanswered is behind there. A wide interval says that little is known, not that a server is as good as any."
        ),
        grid(words("server", *(f"{wait_s * 1e3:g} ms" for wait_s in found.waits_s)), rows),
    ]


def _equal_at(divide: Divide) -> str:
    if divide.crossing is None:
        return "–"
    low, at, high = divide.crossing.low, divide.crossing.at, divide.crossing.high
    if divide.by_clients:
        return f"{at:,.0f} clients ({low:,.0f} to {high:,.0f})"
    return f"{at * 1e3:.1f} ms ({low * 1e3:.1f} to {high * 1e3:.1f})"


def _mistakes(servers: Sequence[ServerFacts]) -> Blocks:
    """Name who is there to show what a mistake costs."""
    return [
        Text(f"**`{facts.label}` is a mistake, made on purpose**: {facts.mistake}.")
        for facts in servers
        if facts.mistake
    ]


def _sentences(advice: Sequence[Advice]) -> Blocks:
    """Say when threads are as good, when not, and what the pool does."""
    said = [(each, *in_words(each)) for each in advice if isinstance(each, SENTENCES)]
    return points(
        f"**{situation}**: {few(each.servers, MOST_NAMED)}; {why}." for each, situation, why in said
    )


def _shortfalls(found: Sequence[Shortfall]) -> Blocks:
    """Name who stays below the ceiling though its core is not the limit, and why."""
    if not found:
        return []
    columns = (
        *words("server", "workload"),
        *numbers("share", "by launch", "core", "generator's core", "before, ms", "after, ms"),
        *words("cause"),
    )
    rows = (
        (
            f"`{each.server}`",
            f"`{each.workload}`",
            f"{each.share:.2f}",
            f"{each.least:.2f} to {each.most:.2f}",
            f"{each.core:.0%}",
            f"{each.generator:.0%}",
            f"{each.asking_us / 1e3:,.2f}",
            f"{each.returning_us / 1e3:,.2f}",
            CAUSES[each.cause],
        )
        for each in found
    )
    return [
        Text(
            f"Below {REACHED:.0%} of the ceiling, with waits of {SHORTEST_WAIT_S * 1e3:g} ms or more, though the core was not busy for "
            f"{BUSY:.0%} of the time, and why. Before the question, and after the answer: medians of what a response spends there."
        ),
        grid(columns, rows),
    ]


def _leaders_or_none(found: Ranking | None, unit: str) -> str:
    return "–" if found is None else _leaders(found, "{:.0f}") + unit


def _leaders(found: Ranking, form: str) -> str:
    return f"{few(found.leaders, MOST_NAMED)} {form.format(found.mean(found.first))}"


def _of_ceiling(field: MapField) -> float:
    return field.most.mean(field.most.first) / by_name(field.workload).load.ceiling_rps


def _timer(errors: Sequence[TimerError]) -> Blocks:
    """Say how late the upstream answered."""
    if not errors:
        return []
    worst = max(errors, key=lambda each: each.p90_share)
    over = sum(each.p90_share > LATE_LIMIT for each in errors)
    allowed = (
        f"In {over} of {len(errors)} that is above {LATE_LIMIT:.0%}."
        if over
        else f"Up to {LATE_LIMIT:.0%} is allowed."
    )
    return [
        Text(
            f"**The clock**: the upstream's answers were {min(each.median_us for each in errors):,.0f} to "
            f"{max(each.median_us for each in errors):,.0f} µs late (medians, by workload); nine in ten were late by less than "
            f"{worst.p90_share:.1%} of the wait in the worst, `{worst.workload}` ({worst.p90_us:,.0f} µs). {allowed}"
        )
    ]
