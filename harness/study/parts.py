"""The parts of a run, each with the hash of what it stands on, so that what is older than its sources can be made anew.

A part is a server's share of one of the run's files, an effect, the self-test, or a workload: a server that was measured
on another day shares no block with the rest, so that a workload is made anew for all servers.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from harness.launch.facts import hash_of, loop_sources
from harness.plan import WORKLOADS, Workload
from harness.record import (
    CONFORMANCE,
    COSTS,
    EFFECTS,
    LIMITS,
    PROJECT,
    SAMPLES,
    SELFTEST,
    TORTURE,
    UNMEASURED,
    Design,
    Results,
    ServerFacts,
    fingerprint,
    together,
    write_whole,
)

GENERATOR: Final = "harness.drive.generator"
RELAY_GENERATOR: Final = "harness.drive.relay_generator"
BACKGROUND: Final = "harness.drive.background.__main__"
"""They run in processes of their own, so that nobody imports them."""
MEASURING: Final = ("harness.study.cell", GENERATOR)
OF_SERVERS: Final = {
    CONFORMANCE: ("harness.conformance.judge",),
    LIMITS: ("harness.experiments.capacity", BACKGROUND),
    COSTS: ("harness.experiments.costs.run", GENERATOR),
    TORTURE: ("harness.experiments.faults.run", GENERATOR),
}
"""Files that hold something of each server, and the modules that find it out."""
SELF_TESTING: Final = (
    "harness.cli.selftest",
    "harness.experiments.selftest.null_server",
    GENERATOR,
    RELAY_GENERATOR,
)
THE_WHOLE: Final = ""
GONE: Final = "gone"


class Part(NamedTuple):
    """A part of a run: the file that holds it, and whose it is, `THE_WHOLE` if it is all of it."""

    file: str
    name: str

    def __str__(self) -> str:
        """Write it as the manifest does."""
        return f"{self.file} {self.name}".strip()


def states_of(servers: Sequence[ServerFacts], design: Design, effects: Mapping[str, str]) -> dict[Part, str]:
    """Return what each part of such a run stands on now.

    Args:
        servers: those of the run.
        design: its plan.
        effects: the same of each known effect, by name.
    """
    of_server = {each.label: _state_of_server(each) for each in servers}
    states = {
        Part(file, label): together(fingerprint(*modules), state)
        for file, modules in OF_SERVERS.items()
        for label, state in of_server.items()
    }
    states |= {Part(EFFECTS, name): state for name, state in effects.items()}
    states[Part(SELFTEST, THE_WHOLE)] = fingerprint(*SELF_TESTING)
    plan = f"{design.warmup_s} {design.duration_s}"
    return states | {
        Part(SAMPLES, each.name): together(
            together(fingerprint(*modules_of(each)), *of_server.values(), plan),
            repr((each.load, each.duration_s, each.of_peak)),
        )
        for each in WORKLOADS
        if each.name in design.workloads
    }


def modules_of(workload: Workload) -> Sequence[str]:
    """Return the modules that find out what a workload does to a server."""
    relaying = (RELAY_GENERATOR,) if workload.relayed else ()
    beside = (BACKGROUND,) if workload.load.background else ()
    return (*MEASURING, *relaying, *beside)


def _state_of_server(server: ServerFacts) -> str:
    if not server.file:
        return server.command
    if not (PROJECT / server.file).exists():
        return GONE
    state = fingerprint(
        server.file.removesuffix(".py").replace("/", "."), package=server.file.partition("/")[0]
    )
    return together(state, hash_of(loop_sources(server.loop))) if server.loop else state


def parts_in(results: Results) -> list[Part]:
    """Return the parts that a run has."""
    named = [
        *((SAMPLES, sample.cell.workload) for sample in results.samples),
        *((CONFORMANCE, verdict.server) for verdict in results.conformance),
        *((LIMITS, limit.server) for limit in results.limits),
        *((COSTS, costs.server) for costs in results.costs),
        *((TORTURE, fault.server) for fault in results.torture),
        *((EFFECTS, effect.effect) for effect in results.effects),
        *((SELFTEST, THE_WHOLE) for _ in results.selftest),
    ]
    return [Part(file, name) for file, name in dict.fromkeys(named)]


def older_parts(results: Results, now: Mapping[Part, str]) -> list[Part]:
    """Return the parts of a run that are older than their sources."""
    then = results.manifest.states
    return [part for part in parts_in(results) if then.get(str(part)) != now.get(part)]


def known_now(parts: Sequence[Part], now: Mapping[str, str]) -> list[Part]:
    """Return the parts that can be made anew: an effect that has been removed, or called otherwise, cannot."""
    return [part for part in parts if str(part) in now]


def states_kept(results: Results, now: Mapping[str, str]) -> dict[str, str]:
    """Return the states of a run that is taken up: what it has keeps the one in which it was made, what is to come has that of now."""
    then = results.manifest.states
    return {**now, **{str(part): then.get(str(part), "") for part in parts_in(results)}}


def drop_workloads(folder: Path, workloads: Collection[str]) -> None:
    """Take what was measured under some workloads, or could not be, out of a run."""
    for path in (folder / SAMPLES, folder / UNMEASURED):
        if path.exists() and workloads:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_whole(path, "".join(line for line in lines if _workload_of(line) not in workloads))


def drop_effects(folder: Path, effects: Collection[str]) -> None:
    """Take what was found of some effects out of a run."""
    path = folder / EFFECTS
    if path.exists() and effects:
        found = json.loads(path.read_text(encoding="utf-8"))
        left = [each for each in found if each["effect"] not in effects]
        write_whole(path, json.dumps(left, indent=1) + "\n")


def _workload_of(line: str) -> str | None:
    """Return the workload that a line is of; None if an interruption has cut it off."""
    try:
        workload: str = json.loads(line)["cell"]["workload"]
    except json.JSONDecodeError:
        return None
    return workload


def listed(parts: Sequence[Part], most_named: int | None = None, among: Sequence[Part] = ()) -> str:
    """Name parts, file by file.

    Args:
        parts: what is named.
        most_named: of a file of which there are more than so many they are counted.
        among: of a file of which they are all the several there are, this is said.
    """
    whole = {file: names for file, names in _by_file(among).items() if len(names) > 1}

    def of_file(file: str, names: Sequence[str]) -> str:
        kind = file.partition(".")[0]
        if not any(names):
            return kind
        if names == whole.get(file):
            return f"{kind} of all {len(names)}"
        few = most_named is None or len(names) <= most_named
        return f"{kind} of {', '.join(names) if few else len(names)}"

    return "; ".join(of_file(file, names) for file, names in _by_file(parts).items())


def _by_file(parts: Sequence[Part]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for part in parts:
        names.setdefault(part.file, []).append(part.name)
    return names
