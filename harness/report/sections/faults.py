"""What is said of faults."""

from collections.abc import Iterator, Sequence
from typing import Final

from harness.record import MEMORY_BOUND_BYTES, FaultResult, Results
from harness.report.blocks import Blocks, Folded, Heading, Text, grid, numbers, points, words
from harness.report.wording import listed

REMARKABLE_NS: Final = 100_000_000
"""A reply that took longer is told of in words: people notice."""
PLACES: Final = {
    "alone": "had the only place; the fault's clients waited in the queue until it had gone",
    "after": "came when the fault's clients had been served, one after the other",
}


def faults_page(results: Results) -> Blocks:
    """Show what each server survived, and what its light client noticed meanwhile; nothing if that was not tried."""
    torture = results.torture
    if not torture:
        return []
    servers = list(dict.fromkeys(result.server for result in torture))
    return [
        Heading("Faults", 1),
        Text(
            "While a probe in a process of its own sent a numbered request every 10 ms and checked each reply, these happened "
            f"to each running server: {'; '.join(_titles(torture))}. A fault is survived if the probe's replies are all "
            "right and none is missing, what other clients received is what the oracle says, descriptors and threads are "
            f"back where they were, memory has grown by {MEMORY_BOUND_BYTES >> 20} MiB at most, and no traceback was printed. Before → after is "
            "from the first fault to the last that left the server running."
        ),
        grid(
            (
                *words("server"),
                *numbers("survived", "worst reply, ms"),
                *words("during"),
                *numbers("replies checked", "lost", "wrong", "descriptors", "threads", "MiB"),
            ),
            (_row(server, of(torture, server)) for server in servers),
        ),
        *points(_sentences(torture, servers)),
        *_fault_by_fault(torture),
    ]


def of(torture: Sequence[FaultResult], server: str) -> list[FaultResult]:
    """Return the results of one server."""
    return [result for result in torture if result.server == server]


def worst_of(results: Sequence[FaultResult]) -> FaultResult | None:
    """Return the fault during which the probe waited longest, the pause excepted: that one is meant to be seen."""
    timed = [result for result in results if result.probe_worst_ns is not None and result.fault != "pause"]
    return max(timed, key=lambda result: result.probe_worst_ns or 0, default=None)


def _titles(torture: Sequence[FaultResult]) -> list[str]:
    return list(dict.fromkeys(f"{result.size:,} {result.title}" for result in torture))


def _row(server: str, results: Sequence[FaultResult]) -> tuple[str, ...]:
    worst = worst_of(results)
    survived = sum(result.survived for result in results)
    checked = sum(result.probe_checked + result.others_checked for result in results)
    lost = sum(result.probe_lost + result.others_lost for result in results)
    wrong = sum(result.probe_wrong + result.probe_duplicated + result.others_wrong for result in results)
    running = [result for result in results if result.descriptors_after is not None] or list(results)
    first, last = running[0], running[-1]
    return (
        f"`{server}`",
        f"{survived} of {len(results)}",
        _ms(worst.probe_worst_ns if worst else None),
        worst.fault if worst else "–",
        f"{checked:,}",
        f"{lost:,}",
        f"{wrong:,}",
        _change(first.descriptors_before, last.descriptors_after),
        _change(first.threads_before, last.threads_after),
        _change(_mib(first.memory_before_bytes), last.memory_after_bytes and _mib(last.memory_after_bytes)),
    )


def _sentences(torture: Sequence[FaultResult], servers: Sequence[str]) -> Iterator[str]:
    """Say what is remarkable, one sentence for each thing."""
    failed = [result for result in torture if not result.survived]
    if not failed:
        yield (
            f"{listed(servers)} survived every fault."
            if len(servers) > 1
            else f"`{servers[0]}` survived every fault."
        )
    for result in failed:
        yield f"**Not survived**: `{result.server}`, {result.fault}: {'; '.join(result.reasons)}."
    for result in torture:
        if result.fault != "pause" and (result.probe_worst_ns or 0) > REMARKABLE_NS:
            yield (
                f"`{result.server}`: the probe waited up to {_ms(result.probe_worst_ns)} ms (median "
                f"{_ms(result.probe_median_ns)} ms) while {result.size:,} {result.title}."
            )
    pauses = [
        result.probe_worst_ns for result in torture if result.fault == "pause" and result.probe_worst_ns
    ]
    if pauses:
        yield (
            f"Stopped and continued by signals, the servers let the probe wait from {_ms(min(pauses))} to "
            f"{_ms(max(pauses))} ms: the pause itself, which shows that the probe does not overlook one."
        )
    stops = {result.server: result.stop_took_s for result in torture if result.stop_took_s is not None}
    if stops:
        taken = ", ".join(f"`{server}` {took_s:.1f} s" for server, took_s in stops.items())
        yield f"Told to stop, from the signal to the end of the process: {taken}."
    for place, meaning in PLACES.items():
        where = [result for result in torture if result.place == place]
        if where:
            names, faults = dict.fromkeys(r.server for r in where), dict.fromkeys(r.fault for r in where)
            yield f"{listed(list(names))}: one client at a time. In {', '.join(faults)} the probe {meaning}."


def _fault_by_fault(torture: Sequence[FaultResult]) -> Blocks:
    rows = (
        (
            f"`{r.server}`",
            r.fault,
            "yes" if r.survived else "**no**",
            f"{r.probe_checked:,}",
            f"{r.probe_lost:,}",
            f"{r.probe_duplicated:,}",
            f"{r.probe_wrong:,}",
            _ms(r.probe_median_ns),
            _ms(r.probe_worst_ns),
            f"{r.others_checked:,}",
            f"{r.others_lost:,}",
            f"{r.others_wrong:,}",
            _change(r.descriptors_before, r.descriptors_after),
            _change(r.threads_before, r.threads_after),
            _change(_mib(r.memory_before_bytes), r.memory_after_bytes and _mib(r.memory_after_bytes)),
        )
        for r in torture
    )
    of_probe = ("probe: checked", "lost", "duplicated", "wrong", "median ms", "worst ms")
    of_rest = ("others: checked", "lost", "wrong", "descriptors", "threads", "MiB")
    columns = (*words("server", "fault", "survived"), *numbers(*of_probe, *of_rest))
    return [Folded("Fault by fault", (grid(columns, rows),))]


def _change(before: int, after: int | None) -> str:
    return f"{before:,} → {'ended' if after is None else f'{after:,}'}"


def _mib(size_bytes: int) -> int:
    return round(size_bytes / 2**20)


def _ms(ns: int | None) -> str:
    return "–" if ns is None else f"{ns / 1e6:,.1f}"
