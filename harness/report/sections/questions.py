"""What one should ask of a benchmark, and what this run's data say to it; and what stands out in them."""

from collections.abc import Iterator, Sequence
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.answer import workers_of
from harness.analyse.comparisons import EQUIVALENT, UNDECIDED, Comparison
from harness.analyse.oddities import EffectNotMet, Oddity, Scattered, SeldomSleeps, SlowToAnswerAll
from harness.analyse.scrutiny import BUSY, Headroom, Scrutiny, Settled
from harness.plan import by_name
from harness.record import SELFTEST, Environment, Manifest
from harness.report.blocks import Blocks, Heading, grid, points, words
from harness.report.wording import listed

SELFTEST_PART: Final = SELFTEST.partition(".")[0]
"""As a run's remark names it that was made anew in part."""
NOT_MEASURED: Final = "**Not measured.**"


def questions_section(analysis: Analysis) -> Blocks:
    """Answer each question with a figure, or say that it was not measured."""
    return [
        Heading("Questions one should ask of this"),
        grid(words("question", "answer"), _answers(analysis)),
        *oddities_section(analysis.oddities),
    ]


def _answers(analysis: Analysis) -> Iterator[tuple[str, str]]:
    found, environment = analysis.scrutiny, analysis.results.manifest.environment
    tested_since = SELFTEST_PART in analysis.results.manifest.remark
    yield "Who was the bottleneck?", _bottleneck(found, tested_since=tested_since)
    yield "Was it warmed up?", _warmed_up(found, analysis.answer.workload)
    yield "Which versions?", _versions(analysis.results.manifest)
    yield "Is it noise?", _noise(analysis)
    yield "Is it fair to asyncio, and to any other library?", _fair(found.variants)
    yield "Would it hold on 16 cores?", _more_cores(found, environment)
    yield "In a container with one CPU?", _one_cpu(environment)
    yield "With TLS?", f"{NOT_MEASURED} No server here speaks it."
    yield "Over a network?", _network(workers_of(analysis.results))


def _network(workers: Sequence[str]) -> str:
    if workers:
        return f"As far as there was one between the server and the workers of the cluster that loaded it: {', '.join(workers)}."
    return f"{NOT_MEASURED} Server and clients talk over loopback; `harness load --connect` measures a server elsewhere."


def _bottleneck(found: Scrutiny, *, tested_since: bool) -> str:
    count = sum(found.limits.values())
    if not count:
        return NOT_MEASURED
    shares = ", ".join(f"{limit} {launches / count:.0%}" for limit, launches in found.limits.items())
    return f"Of {count:,} launches in closed loops what limited: {shares}.{_headroom(found.headroom, tested_since=tested_since)}"


def _headroom(found: Sequence[Headroom], *, tested_since: bool) -> str:
    if not found:
        return " What the generator can drive at most was not tested with this run."
    least = found[0]
    another_day = ", which was made anew since, maybe on a quicker day," if tested_since else ","
    return (
        f" Of more clients than one, nearest to what the generator can drive, by the self-test{another_day} came `{least.best}` under {by_name(least.workload).title}: "
        f"{least.best_rps:,.0f} of {least.ceiling_rps:,.0f} requests/s ({least.share:.0%})."
    )


def _warmed_up(found: Scrutiny, main: str) -> str:
    if not found.launches:
        return NOT_MEASURED
    moving = sum(found.moving.values())
    kinds = ", ".join(f"{code} {count}" for code, count in found.moving.items())
    of_these = f" ({kinds})" if kinds else ""
    return (
        f"{found.launches - moving:,} of {found.launches:,} launches kept their rate, as far as can be told; {moving} did not{of_these}."
        f"{_warmed_up_under(main, found.settled.get(main))}"
    )


def _warmed_up_under(workload: str, found: Settled | None) -> str:
    """Say it of the load of the main table, which an average over all loads hides."""
    if found is None:
        return ""
    sliced = (
        ": requests/s and CPU are of slices, after these, and quantiles of the windows"
        if found.sliced
        else ""
    )
    return f" With {by_name(workload).title} {found.of - found.launches} of {found.of} did not{sliced}."


def _versions(manifest: Manifest) -> str:
    """Name what the servers run on; what the harness runs on is in the manifest."""
    environment = manifest.environment
    of_servers = (
        version
        for facts in manifest.servers
        for name in ("interpreter", "libraries")
        if (version := facts.factors.get(name, "none")) != "none"
    )
    return f"{', '.join(dict.fromkeys((environment.python, *of_servers)))}; {environment.kernel}, {environment.cpu}."


def _noise(analysis: Analysis) -> str:
    found = analysis.scrutiny.resolution
    blocks = {each.blocks for each in analysis.twins}
    if found is None:
        return f"{NOT_MEASURED} No server was measured under two names."
    return (
        f"`{analysis.results.manifest.design.twin_of}` under two names was called different in {found.different} of {found.pairs} comparisons, under "
        f"{_loads(found.workloads)}; their intervals were ±{found.middle:.0%} in the middle, ±{found.widest:.0%} at the widest, with "
        f"{' or '.join(map(str, sorted(blocks)))} blocks: a smaller difference would not have shown. "
        "Each pair's interval: [pair by pair](pairs.md)."
    )


def _loads(workloads: Sequence[str]) -> str:
    return by_name(workloads[0]).title if len(workloads) == 1 else f"{len(workloads)} loads"


def _fair(variants: Sequence[Comparison]) -> str:
    if not variants:
        return f"{NOT_MEASURED} No variants were measured beside the stock forms."
    told = "; ".join(f"`{each.b}` {_against(each)}" for each in variants)
    return (
        f"Each model stands as its library comes, and tunings stand beside it. CPU per request against the stock form, {by_name(BUSY).title}: "
        f"{told}. Socket options and buffers: [the servers](servers.md)."
    )


def _against(found: Comparison) -> str:
    if found.verdict == UNDECIDED:
        return f"not told apart ({found.ratio:.2f})"
    return f"{found.ratio:.2f} times{' (equivalent)' if found.verdict == EQUIVALENT else ''}"


def _more_cores(found: Scrutiny, environment: Environment) -> str:
    two = ""
    if found.on_all_cores and found.on_one_core is not None:
        best = found.on_one_core
        those = ", ".join(f"`{server}` {rps:,.0f}" for server, rps in found.on_all_cores.items())
        two = (
            f" What {environment.cores} say, shared with the generator, {by_name(BUSY).title}: {those} requests/s; "
            f"`{best.first}` on one, {best.mean(best.first):,.0f}."
        )
    return f"{NOT_MEASURED} This machine has {environment.cores}.{two}"


def _one_cpu(environment: Environment) -> str:
    if not environment.server_cores:
        return (
            "That is what was measured: server and generator shared one core, and no figure is to be trusted."
        )
    return f"{NOT_MEASURED} The server had {len(environment.server_cores)} core to itself, its clients another; no quota was set."


def oddities_section(found: Sequence[Oddity]) -> Blocks:
    """Say what stands out, and what the data say of its cause; or that they say nothing."""
    if not found:
        return []
    return [Heading("What stands out"), *points(map(oddity_in_words, found))]


def oddity_in_words(found: Oddity) -> str:
    """Put a figure that stands out into words."""
    match found:
        case SlowToAnswerAll():
            return _slow(found)
        case SeldomSleeps():
            return _seldom(found)
        case EffectNotMet():
            names = [found.server, *found.others]
            return (
                f"**The effect “{found.effect}” is there, and {listed(names)} {'does' if len(names) == 1 else 'do'} not show it** (at most {found.faults:.2f} page faults a "
                "request): they are measured in service, and by mallopt(3) the allocator keeps such a buffer once one was freed, as the first client's "
                "is when it leaves. `harness effect receive-buffer` measures them before and after that."
            )
        case Scattered():
            *first, last = (f"{each:,.0f}" for each in found.answered_rps)
            return (
                f"**In one launch after the other `{found.server}` answered {', '.join(first)} and {last} requests/s, with {by_name(found.workload).title}; "
                f"all others there {found.others_least_rps:,.0f} or more in each**: a mean of such launches is a figure that nobody saw. Unexplained."
            )
    raise NotImplementedError(type(found).__name__)


def _seldom(found: SeldomSleeps) -> str:
    low, high = found.others_cpu_us
    they = ", ".join(
        f"`{each.server}` {each.each:.2f} times (at work for {each.cpu_us:.0f} µs)" for each in found.seldom
    )
    return (
        f"**Not every server waits once for each request of one client**: {they}; those that do so 0.9 times or more, interval and all, are at work for {low:.0f} to {high:.0f} µs. Whether it looks later, or how its loop polls makes the "
        "difference, these figures do not tell. Unexplained."
    )


def _slow(found: SlowToAnswerAll) -> str:
    threads = " It has a thread for each, free on all cores." if found.threads else ""
    others = (
        f" So have {listed(found.also_threads)}, and took less than half of that."
        if found.also_threads
        else ""
    )
    also = "".join(f", `{server}` {took_s:.1f} s" for server, took_s in found.also_slow)
    return (
        f"**`{found.server}` took {found.took_s:.1f} s to answer {found.connections:,} clients that asked at once ({found.each_ms:.1f} ms for each reply, one try){also}; half of the "
        f"others {found.others_s:.1f} s or less.**{threads}{others} {_cause_of_slowness(found)}"
    )


def _cause_of_slowness(found: SlowToAnswerAll) -> str:
    shown = found.shown
    if shown is None:
        return f"Unexplained by this run's figures.{' `harness effect lock-crowd` looks for the cause.' if found.threads else ''}"
    present, absent = (arm.figures for arm in (shown.present, shown.absent))
    waits, cpu = "switches_voluntary", shown.metric
    explained_s = present[cpu] * found.connections / 1e6
    rest = (
        f" At that {found.connections:,} replies take {explained_s:.1f} s of CPU: the rest these figures do not explain."
        if explained_s < found.took_s
        else ""
    )
    return (
        f"`{shown.command}` shows what such threads do, with fewer of them: {shown.present.label} a request took {present[cpu]:,.0f} µs of CPU and "
        f"{present[waits]:.0f} waits, {shown.absent.label} {absent[cpu]:,.0f} and {absent[waits]:.0f}: as if they woke each other for the interpreter's lock, and "
        f"less often where they share a core.{rest}"
    )
