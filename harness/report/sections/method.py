"""What frames the report: what was measured and how, what limits it, how to do it again."""

import shlex
from collections.abc import Sequence
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.answer import workers_of
from harness.analyse.blocks import Repetition
from harness.analyse.precision import Reach, sentence
from harness.analyse.reached import noise_sentence, precision_sentence
from harness.analyse.samples.metrics import metric
from harness.analyse.samples.quantiles import ENOUGH_EVENTS
from harness.analyse.samples.validity import STEAL_LIMIT
from harness.analyse.statistics.inference import EQUIVALENCE
from harness.plan import CLOSED, FEW_CLIENTS, MOST_ATTEMPTS, REPEATED_SHARE, Load, Slicing, by_name, in_slices
from harness.record import Environment, Manifest, PrecisionGoal
from harness.report.blocks import Blocks, Command, Heading, Note, Points, Text, points
from harness.report.sections.instrument import instrument_section
from harness.report.wording import MARK, counted

TITLE: Final = "Threads, asyncio or gevent? What each concurrency model costs"
IN_SERVICE: Final = (
    "Servers are measured as they are in service: as many clients as are measured, and no fewer than 64, have come, spoken and "
    "left before, where a server takes as many."
)


def heading(analysis: Analysis) -> Blocks:
    """Open the report; say so if the run was not finished, and what else has to be known of it."""
    manifest = analysis.results.manifest
    blocks: Blocks = [Heading(TITLE, 1)]
    if not manifest.progress.complete:
        measured, planned = analysis.results.measured_cells, manifest.design.planned_cells
        blocks.append(Note(f"**Incomplete**: {measured} of {planned} launches were measured."))
    if manifest.progress.resumed:
        times = "once" if manifest.progress.resumed == 1 else f"{manifest.progress.resumed} times"
        blocks.append(Note(f"The run was interrupted and resumed {times}, on the same machine."))
    if manifest.remark:
        blocks.append(Note(manifest.remark))
    return blocks


def method_page(analysis: Analysis) -> Blocks:
    """Tell how all of it was measured, how precise it became, why it may be believed, and what it cannot say."""
    return [
        Heading("How it was measured", 1),
        *what_was_measured(analysis.results.manifest),
        *_precision(analysis),
        *instrument_section(analysis),
        *limits(analysis),
        *reproduce(analysis.results.manifest),
    ]


def _precision(analysis: Analysis) -> Blocks:
    goal = analysis.results.manifest.goal
    wanted = [_wanted(each, goal) for each in analysis.precision if goal is not None]
    if analysis.noise is not None:
        wanted += [f"{precision_sentence(each)}." for each in analysis.reached]
        wanted += [noise_sentence(analysis.noise)]
    return [Heading("How precise this run is"), *points(wanted)] if wanted else []


def _wanted(found: Reach, goal: PrecisionGoal) -> str:
    reached = "reached" if found.reached else "not reached"
    return f"**Precision {reached}**, of ratios in {metric(goal.metric).title}: {sentence(found, goal)}."


def _of_relays(manifest: Manifest) -> str:
    """Tell how long closed loops ran whose handlers wait: it goes by their waits, clients and pools."""
    relays = [
        found
        for name in manifest.design.workloads
        if (found := by_name(name)).relayed and found.load.arrivals == CLOSED
    ]
    warmups_s = [each.warmup_s for each in relays if each.warmup_s is not None]
    windows_s = [each.duration_s for each in relays if each.duration_s is not None]
    if not warmups_s or not windows_s:
        return ""
    return (
        f"; where handlers wait, these were {min(warmups_s):g} to {max(warmups_s):g} s and {min(windows_s):g} to "
        f"{max(windows_s):g} s, by how long all clients take to pass through the pool"
    )


def what_was_measured(manifest: Manifest) -> Blocks:
    """Tell when, where and how."""
    environment = manifest.environment
    pinning = (
        f"The server ran on core {listed_cores(environment.server_cores)}, the load generator on core "
        f"{listed_cores(environment.generator_cores)}."
        if environment.server_cores
        else "There was but one core: server and generator shared it, so that no figure is to be trusted."
    )
    names = ", ".join(
        f"{name} {environment.libraries[name]}"
        for name in ("gevent", "trio", "uvloop")
        if name in environment.libraries
    )
    return [
        Text(
            f"On {manifest.started} (UTC), on {environment.cores} cores of {environment.cpu} "
            f"with {environment.memory_bytes / 2**30:.0f} GiB, {environment.kernel}, {environment.python}, {names}. "
            f"{build_in_words(environment)}{pinning} Revision `{manifest.revision}`, seed {manifest.design.seed}, {manifest.progress.seconds / 60:.1f} minutes."
        ),
        Text(
            f"{blocks_in_words(manifest)} In each block every server met every workload that it can serve, in a shuffled order, "
            "freshly launched each time and checked by a short conversation; before that, every server had to pass "
            f"{gate_in_words(manifest.design.gate_cases)}. A launch ran {manifest.design.warmup_s:g} s to warm up, then {manifest.design.duration_s:g} s "
            f"were measured, unless a workload says otherwise{_of_relays(manifest)}. Where requests are not said to come by themselves, the load is a "
            "closed loop: each client sends its next request when a reply has come. Clients in the background had a process "
            "of their own, on the load generator's core. Every reply, to them too, was compared byte for byte with what an "
            "independent oracle says."
        ),
        *_slices_in_words(manifest),
        Points(
            (
                "**requests/s**: answered in the measuring window. **CPU µs per request**: of the server's process, user and "
                "system, all threads, from its CPU clock. **p50 … p99.9**: response time, from the moment the request could be "
                f"sent to its reply; one marked {MARK} has fewer than {ENOUGH_EVENTS} events beyond it in all launches together, too few to be ranked by, all who "
                "waited through the same stall being one event; one without ± is that of all launches together, since some launch cannot say. **max**: the "
                "largest of all launches, a record and no quantile. **switches**: context switches of the server per request. "
                "**CPU in the kernel**: the share of the CPU time.",
                "**limited by**, in a closed loop: the side whose core was busy for 95 % of the window or more (server, generator), "
                "or else latency: then both sides wait, for the machine to wake them or for each other. Of an open loop: the rate, if "
                "it was kept up. **launches**: valid ones. **fairness**: Jain's index of what clients got, 1 if all got the same; "
                "**worst client**: what the one served worst got, of an equal share. **recovery s**: from the end of an overload until "
                "99 % of the responses take 10 ms or less, for good. Where clients in the background ask, too, CPU per request is not told: it is theirs as well.",
                "A figure is the geometric mean over launches, with its 95 % interval (Student's t on logarithms). "
                "**Letters**: two servers that share one were not told apart, by intervals of their ratio that hold for all pairs of a workload at once "
                "(one model of all launches, log y = server + block; Tukey, 95 %; a server that scatters otherwise than all, by more "
                "than chance explains, has its own part of the error; pairs with one that is free on all cores are a family of their own). "
                f"**Equivalent** means that the whole interval lies within {EQUIVALENCE - 1:.0%}; it is "
                f"more than “not told apart”. [Pair by pair](pairs.md) holds every ratio with its interval.",
                _what_of_invalid_launches(manifest),
            )
        ),
    ]  # fmt: skip


def _what_of_invalid_launches(manifest: Manifest) -> str:
    if manifest.design.whole_s is not None:
        return "Invalid launches are left out, and the time, which is given, goes to further blocks."
    return (
        f"When a launch is invalid, all servers of its block meet that workload again, at most {MOST_ATTEMPTS - 1} times, "
        f"while such launches are at most {REPEATED_SHARE:.0%} of those planned. The attempt with the most valid launches is "
        "used, and of it these alone."
    )


def gate_in_words(cases: Sequence[str]) -> str:
    """Say what of the suite a server had to pass."""
    if not cases:
        return "the whole conformance suite"
    return f"the cases {' and '.join(cases)} of the conformance suite, and no others"


def build_in_words(environment: Environment) -> str:
    """Say how its Python was built, and how fast the processor ran, in a sentence; nothing if that was not kept."""
    build = environment.python_build
    if build is None:
        return ""
    optimised = f"{_with(build.profile_guided)} PGO, {_with(build.link_time)} LTO"
    unusual = f"{', with debug checks' * build.debug}{', without the global lock' * build.free_threaded}"
    at = "" if environment.cpu_mhz is None else f"; the processor ran at {environment.cpu_mhz:,.0f} MHz"
    governor = f" (governor {environment.cpu_governor})" if environment.cpu_governor else ""
    return f"This Python was built by {build.compiler}, {optimised}{unusual}{at}{governor}. "


def _slices_in_words(manifest: Manifest) -> Blocks:
    """Tell how the servers of a block were loaded in turn, if they were."""
    slicing = manifest.design.slicing
    if slicing is None:
        return []
    alone = [name for name in manifest.design.workloads if not in_slices(name)]
    named = [f"`{name}`" for name in alone if not by_name(name).relayed]
    named += ["those of relays"] if len(named) < len(alone) else []
    but = f", but under {', '.join(named)}, where each was launched by itself" if alone else ""
    copied = [f"`{server}` in `{folder}`" for server, folder in manifest.proved_by.items()]
    known = (
        [
            Text(
                "Not judged anew, since an earlier run on this machine has proved the same of exactly these sources: "
                f"{', '.join(copied)}."
            )
        ]
        if copied
        else []
    )
    if len(alone) == len(manifest.design.workloads):
        return [
            Text(f"Each server was launched by itself, those of a block one after the other. {IN_SERVICE}"),
            *known,
        ]
    return [
        Text(
            f"All servers of a block were alive at once{but}. After {slicing.warmup_s:g} s each to warm up, they were loaded in turn, in "
            f"{slicing.cycles} cycles with a slice of {slicing.slice_s:g} s for each, in a random order{_finer(slicing)}. A slice counts from the moment when every "
            "client has had a reply; what is in flight at its end is waited for, compared, and not counted. Requests/s and CPU per request are "
            f"those of a launch's slices together. Quantiles, maxima and fairness come from one continuous window of {slicing.window_s:g} s, which each "
            f"server has in each block. {IN_SERVICE}"
        ),
        *known,
    ]


def _finer(slicing: Slicing) -> str:
    few = slicing.under(Load(clients=FEW_CLIENTS))
    if few == slicing:
        return ""
    return f" (with up to {FEW_CLIENTS} clients in {few.cycles} cycles with slices of {few.slice_s:g} s)"


def _with(present: bool) -> str:  # noqa: FBT001 - it is the question
    return "with" if present else "without"


def blocks_in_words(manifest: Manifest) -> str:
    """Say how many blocks there were of which workloads."""
    design = manifest.design
    blocks = {name: design.blocks_of.get(name, design.blocks) for name in design.workloads}
    core = {blocks[name] for name in blocks if by_name(name).core}
    often = [f"`{name}`" for name in blocks if not by_name(name).core and {blocks[name]} == core]
    others = {*blocks.values()} - core
    if len(core) == 1 and len(others) == 1:
        besides = f", and {', '.join(often)}," if often else ""
        return f"The core workloads{besides} had {core.pop()} blocks, all others {others.pop()}."
    counts = sorted({*blocks.values()})
    return f"There were {' or '.join(map(str, counts))} blocks of each workload."


def limits(analysis: Analysis) -> Blocks:
    """Tell what these figures cannot say."""
    stolen = analysis.stolen
    lines = []
    if stolen is not None:
        lines.append(
            f"The machine is a virtual one, and shared: in {stolen.over} of {stolen.launches} launches the hypervisor gave more "
            f"than {STEAL_LIMIT:.0%} of its time to others (at most {stolen.most:.1%}). Such launches are invalid"
            f"{'' if analysis.noise is None else ', unless they are slices, where all servers of a block suffer alike'}."
        )
    lines += [_repetition_sentence(analysis.repetition)] if analysis.repetition else []
    waits = "" if analysis.relays.workloads else ", and no handler that waits for something else"
    workers = workers_of(analysis.results)
    between = (
        f"The load came from {counted(len(workers), 'worker')} of a cluster ({', '.join(workers)}): what lies between them and the server is in "
        f"these figures; there is no TLS{waits}."
        if workers
        else f"Server and generator talk over the loopback interface: there is no network in these figures, no TLS{waits}."
    )
    lines += [
        between,
        "How many connections servers hold, and faults, were tried with server and clients on all cores: times there are "
        "not to be compared with those of workloads.",
        "A closed loop slows down with its server: its response times say what so many clients see, not what a "
        "service sees whose users do not wait for each other.",
        "A reply counts as received when the generator reads it; with many clients it may have lain there while the "
        "generator served the others. That is the same for all servers.",
        "One machine, one kernel: ratios travel better than absolute figures.",
    ]
    return [Heading("Limits of this measurement"), *points(lines)]


def _repetition_sentence(found: Repetition) -> str:
    if not found.invalid:
        return f"All {found.made} launches were valid; nothing was measured again."
    again = (
        f"{counted(found.repeated, 'block')} of {found.blocks} measured again, in {counted(found.launches, 'launch')}"
        if found.repeated
        else "nothing was measured again"
    )
    return f"Invalid: {found.invalid} of {found.made} launches; {again}. Not used, since they stayed so: {found.left}."


def reproduce(manifest: Manifest) -> Blocks:
    """Give the command that was run."""
    return [
        Heading("How to reproduce"),
        Text("`make report` measures on your own machine. These figures came from"),
        Command(shlex.join(manifest.command)),
        Text(
            "The folder with the results holds every launch, with its histograms; `results/README.md` tells how to read it."
        ),
    ]


def listed_cores(cores: Sequence[int]) -> str:
    """List core numbers."""
    return ", ".join(map(str, cores))
