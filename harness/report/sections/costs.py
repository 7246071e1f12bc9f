"""What is said of costs: of a request, of a connection, of coming and going."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.samples.validity import FOREIGN_LIMIT
from harness.analyse.slopes import Slope
from harness.plan import ALL_CORES, by_name
from harness.record import LOCK_CALL, Holding, LoadCosts, Results, ServerCosts
from harness.report.blocks import Blocks, Heading, Text, grid, numbers, points, words
from harness.report.wording import capital, listed

SHOWN_CALLS: Final = 6
KIB: Final = 1024
HELD: Final = {
    "rss_bytes": "RSS KiB",
    "pss_bytes": "PSS KiB",
    "page_table_bytes": "page tables KiB",
    "kernel_stack_bytes": "kernel stacks KiB",
    "tcp_buffer_bytes": "socket buffers KiB",
    "slab_bytes": "slab KiB",
}
"""What a connection adds to, and its title."""

Slopes = Mapping[tuple[str, str], Slope | None]


def costs_page(analysis: Analysis) -> Blocks:
    """Show what each server costs, in tables; nothing if that was not looked for."""
    results = analysis.results
    if not results.costs:
        return []
    workloads = list(dict.fromkeys(load.workload for costs in results.costs for load in costs.loads))
    return [
        Heading("What a request, a connection, a start and a stop cost", 1),
        Text(
            "Counted requests, in launches of their own. **CPU µs**, **user**: from the process's CPU clock, and how much of it "
            "is user mode, by the kernel's ticks (approximate). **syscalls**: all threads, counted by `strace -c -f` in a "
            "launch that is not timed; tracing slows a server down, so that it waits less often than in life. **locks**: `futex`, of "
            "which threads under tracing make many times more than in life. **waits**, **preempted**: voluntary and involuntary context switches. **wake-ups**: "
            "timeslices less preemptions. **faults**: minor page faults. All are per request. These are a few launches, without "
            "intervals: they tell what a request is made of, and are compared with each other alone; how dear it is, the tables "
            "of the workloads tell."
        ),
        *_on_all_cores(results.costs),
        *(block for workload in workloads for block in _requests(results.costs, workload)),
        *points(_remarks(analysis)),
        *_connections(results.costs, analysis.slopes),
        *_lifetimes(results),
    ]


def _on_all_cores(costs: Sequence[ServerCosts]) -> Blocks:
    names = [each.server for each in costs if each.regime == ALL_CORES]
    if not names:
        return []
    return [
        Text(
            f"{listed(names)} had all cores, that of the clients among them: not to be compared with the others."
        )
    ]


def _requests(costs: Sequence[ServerCosts], workload: str) -> Blocks:
    rows = (
        (
            f"`{each.server}`",
            f"{load.cpu_us:.1f}",
            f"{load.user_share:.0%}",
            _count(load, load.other_than_lock_calls),
            calls_in_words(load) or "–",
            _count(load, load.lock_calls),
            f"{load.switches_voluntary:.2f}",
            f"{load.switches_involuntary:.2f}",
            f"{load.wakeups:.2f}",
            f"{load.page_faults:.2f}",
        )
        for each in costs
        if (load := each.load(workload)) is not None
    )
    columns = (
        *words("server"),
        *numbers("CPU µs", "user", "syscalls"),
        *words("of these"),
        *numbers("locks", "waits", "preempted", "wake-ups", "faults"),
    )
    return [Heading(capital(by_name(workload).title)), grid(columns, rows)]


def _count(load: LoadCosts, calls: float) -> str:
    return f"{calls:.2f}" if load.syscalls else "–"


def calls_in_words(load: LoadCosts) -> str:
    """List the most frequent syscalls of a request, those for locks apart."""
    most = [(name, count) for name, count in load.syscalls.items() if name != LOCK_CALL][:SHOWN_CALLS]
    return ", ".join(f"`{name}` {count:.2f}" for name, count in most)


def _remarks(analysis: Analysis) -> Iterator[str]:
    """Say what was not counted, and what was counted beside somebody else's work."""
    costs, regimes = analysis.results.costs, (analysis.one_core, analysis.all_cores)
    known = {each.server for each in costs}
    measured = {each.label for regime in regimes for each in regime.servers if regime.is_measured(each.label)}
    missing = sorted(measured - known)
    if missing:
        named = ", ".join(f"`{server}`" for server in missing)
        yield f"No costs are known of {named}: `harness costs` says why."
    disturbed = [
        f"`{each.server}` under {by_name(load.workload).title} ({load.foreign_share:.0%})"
        for each in costs
        for load in each.loads
        if load.foreign_share > FOREIGN_LIMIT
    ]
    if disturbed:
        yield (
            f"Other processes took more than {FOREIGN_LIMIT:.0%} of the time of these cores, so that CPU, waits and "
            f"preemptions may be too high: {', '.join(disturbed)}."
        )
    reasons = dict.fromkeys(each.untraced for each in costs if each.untraced)
    for reason in reasons:
        named = ", ".join(f"`{each.server}`" for each in costs if each.untraced == reason)
        yield f"Syscalls were not counted of {named}: {reason}."


def _connections(costs: Sequence[ServerCosts], slopes: Slopes) -> Blocks:
    sizes = max(
        ([holding.connections for holding in each.crowd.holdings[1:]] for each in costs),
        key=lambda held: max(held, default=0),
    )
    busy = [each for each in costs if each.crowd.holdings and each.crowd.holdings[-1].active_clients]
    return [
        Heading("Connections"),
        Text(
            f"One launch of each was given more and more connections ({', '.join(f'{size:,}' for size in sizes)}, if it could hold so many), each "
            "of which asked once and got the right reply. A figure per connection is the slope of a line through these sizes, "
            "± its standard error, which says how straight the line is. **page tables**: what the kernel holds to map the "
            "process's memory. **kernel stacks**, **socket buffers**, **slab**: of the whole machine; in the last two both ends "
            "of each connection are counted, and the slab is where sockets, files and timers live."
        ),
        grid(
            (*words("server"), *numbers("held", *HELD.values(), "threads", "descriptors")),
            (_held_row(each, slopes) for each in costs),
        ),
        Text(
            "CPU µs of a request when 64 clients ask, and when one does: with nobody else connected, with all the connections above "
            "open and silent, and the ratio of the two. The former come from launches of their own."
        ),
        grid(
            (
                *words("server"),
                *numbers("open", "64 ask, nobody else", "all open", "ratio"),
                *numbers("one asks, nobody else", "all open", "ratio"),
            ),
            (_crowd_row(each, each.crowd.holdings[-1]) for each in busy),
        ),
        *points(_ended(each) for each in costs if each.crowd.ended_by),
    ]


def _ended(costs: ServerCosts) -> str:
    crowd = costs.crowd
    held = ", told to hold more:" if crowd.ended_at is None else f" ended at {crowd.ended_at:,} connections:"
    return f"`{costs.server}`{held} {crowd.ended_by}"


def _held_row(costs: ServerCosts, slopes: Slopes) -> tuple[str, ...]:
    each = tuple(_kib(slopes[costs.server, name]) for name in HELD)
    if not costs.crowd.holdings:
        return (f"`{costs.server}`", "–", *each, "–", "–")
    last = costs.crowd.holdings[-1]
    return (
        f"`{costs.server}`",
        f"{last.connections:,}",
        *each,
        f"{last.threads:,}",
        f"{last.descriptors:,}",
    )


def _crowd_row(costs: ServerCosts, crowd: Holding) -> tuple[str, ...]:
    return (
        f"`{costs.server}`",
        f"{crowd.connections:,}",
        *_with_and_without(costs.load("clients_64"), crowd.cpu_us_per_request),
        *_with_and_without(costs.load("ping_pong"), crowd.lone_cpu_us_per_request),
    )


def _with_and_without(alone: LoadCosts | None, crowd_us: float) -> tuple[str, str, str]:
    if alone is None:
        return "–", f"{crowd_us:.1f}", "–"
    return f"{alone.cpu_us:.1f}", f"{crowd_us:.1f}", f"{crowd_us / alone.cpu_us:.2f}"


def _kib(slope: Slope | None) -> str:
    if slope is None:
        return "–"
    error = "" if slope.standard_error is None else f" ± {slope.standard_error / KIB:.2f}"
    return f"{slope.value / KIB:.2f}{error}"


def _lifetimes(results: Results) -> Blocks:
    lines = {facts.label: facts.code_lines for facts in results.manifest.servers if facts.file}
    launches = max(len(costs.lifetime.stop_s) for costs in results.costs)
    rows = (
        (
            f"`{costs.server}`",
            _ms(life.startup_s),
            _ms(life.stop_s),
            _ms_and_range(life.loaded_stop_s),
            str(life.clients),
            f"{life.checked:,}",
            f"{life.wrong:,}",
            str(lines.get(costs.server) or "–"),
        )
        for costs in results.costs
        for life in [costs.lifetime]
    )
    columns = ("start", "stop at rest", "stop under load", "clients", "right replies", "wrong or missing")
    return [
        Heading("Starting and stopping"),
        Text(
            f"Medians, in ms. Start: from the process to its readiness. Stop: from SIGTERM to the end of the process, of "
            f"{launches} launches with nobody connected and as many under load, of these the shortest and the longest, too: clients "
            "that keep asking are answered until the server finds nothing more to read, so that chance decides on it. Replies: those "
            "that came under load, before the signal and after it. Lines of code: of the server's own file."
        ),
        grid((*words("server"), *numbers(*columns, "lines of code")), rows),
    ]


def _ms(taken_s: Sequence[float]) -> str:
    return f"{median(taken_s) * 1e3:,.0f}" if taken_s else "–"


def _ms_and_range(taken_s: Sequence[float]) -> str:
    return f"{_ms(taken_s)} ({min(taken_s) * 1e3:,.0f}–{max(taken_s) * 1e3:,.0f})" if taken_s else "–"
