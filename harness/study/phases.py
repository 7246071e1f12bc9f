"""What a run does besides measuring: phases, each one of our commands in a process of its own, whose JSON the run keeps."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from harness.errors import LaunchError
from harness.launch.candidates import Candidate
from harness.machine.guard import be_guarded
from harness.record import (
    CONFORMANCE,
    COSTS,
    EFFECTS,
    LIMITS,
    PROJECT,
    PROOF,
    SELFTEST,
    TORTURE,
    Verdict,
    write_whole,
)
from harness.study.parts import THE_WHOLE, Part

OUR_NAME: Final = "harness: "
"""What we say on standard error begins so."""

Found = list[dict[str, Any]]


@dataclass(frozen=True)
class Phase:
    """One of our commands.

    Attributes:
        file: what it writes, in the run's folder. What that has was found before.
        command: its name.
        doing: what is shown meanwhile.
        told: what came of it, in lines.
        of_servers: it is told which servers.
    """

    file: str
    command: str
    doing: str
    told: Callable[[Any], Iterator[str]]
    of_servers: bool = True


def run_phase(
    phase: Phase,
    candidates: Sequence[Candidate],
    folder: Path,
    console: Console,
    *options: str,
    stale: Sequence[Part] = (),
) -> set[Part]:
    """Carry out a phase as far as that was not done before, keep what it writes, and say what came of it.

    What was found before stays until there is something to take its place.

    Args:
        phase: which.
        candidates: the servers, if it is of servers.
        folder: of the run.
        console: where what came of it is said.
        options: of the command.
        stale: parts of the run that are to be made anew.

    Returns:
        The parts of the run that were made now.

    Raises:
        LaunchError: the command could not be run.
    """
    path = folder / phase.file
    known: Found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    anew = [part.name for part in stale if part.file == phase.file]
    words = [name for name in anew if name]
    if phase.of_servers:
        fresh = {_name_of(each) for each in known} - set(anew)
        words = [word for each in candidates if each.label not in fresh for word in each.words]
    if path.exists() and not words and (phase.of_servers or not anew):
        return set()
    with console.status(phase.doing):
        written, remarks = run_apart([phase.command, *words, *options, "--json"])
    found = json.loads(written)
    made = _parts_of(phase, found)
    if words and known:
        kept = [each for each in known if _name_of(each) not in anew]
        order = list(dict.fromkeys([*(each.label for each in candidates), *map(_name_of, known)]))
        found = sorted([*kept, *found], key=lambda each: order.index(_name_of(each)))
        written = json.dumps(found, indent=1) + "\n"
    write_whole(path, written)
    for line in (*phase.told(found), *(f"  {remark}" for remark in remarks)):
        console.print(line, markup=False, highlight=False)
    return made


def _parts_of(phase: Phase, found: Found | Mapping[str, Found]) -> set[Part]:
    """Return the parts that a phase has found; what is no list is one whole."""
    return {Part(phase.file, _name_of(each) if isinstance(each, dict) else THE_WHOLE) for each in found}


def _name_of(found: Mapping[str, str]) -> str:
    """Return whose a finding is: a server's, or an effect's; or the whole's."""
    return found.get("effect", found.get("server", THE_WHOLE))


def run_apart(words: Sequence[str]) -> tuple[str, list[str]]:
    """Run one of our commands in a process of its own, so that nothing of it is left in ours.

    Args:
        words: the command, up to the option that names the file to write.

    Returns:
        What it wrote to that file, and what it had to remark.

    Raises:
        LaunchError: it could not be run.
    """
    be_guarded()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "written.json"
        command = [sys.executable, "-m", "harness", "-C", str(Path.cwd()), *words, str(file)]
        with subprocess.Popen(
            command,
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0,  # Ctrl-C is for us, who then end it
        ) as process:
            try:
                _, said = process.communicate()
            finally:
                process.terminate()  # politely, so that it takes its servers with it
                process.wait()
        remarks = [line.removeprefix(OUR_NAME) for line in said.splitlines() if line.startswith(OUR_NAME)]
        if not file.exists():
            raise LaunchError(remarks[-1] if remarks else f"`harness {words[0]}` could not be run")
        return file.read_text(encoding="utf-8"), remarks


def _verdicts_told(verdicts: Found) -> Iterator[str]:
    failures = [each for each in verdicts if Verdict(each["verdict"]).failed]
    cases, servers = ({each[name] for each in verdicts} for name in ("case", "server"))
    yield f"Conformance: {len(cases)} cases on {len(servers)} servers, {len(failures) or 'no'} failures"
    for each in failures:
        yield f"  {each['verdict']} {each['case']} {each['server']}: {each['detail']}"


def _proof_told(proof: dict[str, Found]) -> Iterator[str]:
    caught = sum(trial["caught"] for trial in proof["trials"])
    yield f"Suite: {caught} of {len(proof['trials'])} mutants caught by the case that is there for them"


def _checks_told(checks: Found) -> Iterator[str]:
    failures = [check for check in checks if check["outcome"] == "failed"]
    yield f"Self-test: {len(checks)} checks, {len(failures) or 'none'} failed"
    for failure in failures:
        yield f"  {failure['check']}: {failure['line']}"


def _limits_told(limits: Found) -> Iterator[str]:
    yield "Connections held at once: " + ", ".join(f"{each['server']} {each['held']:,}" for each in limits)


def _costs_told(costs: Found) -> Iterator[str]:
    yield f"Costs of {len(costs)} servers"


def _effects_told(effects: Found) -> Iterator[str]:
    seen = sum(
        each["named_present"]
        and not each["named_absent"]
        and all(other["to_be_named"] in {None, other["named"]} for other in each["others"])
        for each in effects
    )
    yield f"Known effects: {seen} of {len(effects)} seen"


def _faults_told(faults: Found) -> Iterator[str]:
    failures = [each for each in faults if not each["survived"]]
    servers = len({each["server"] for each in faults})
    yield f"Torture: {len(faults)} faults on {servers} servers, {len(failures) or 'none'} not survived"
    for each in failures:
        yield f"  {each['fault']} {each['server']}: {'; '.join(each['reasons'])}"


GATE: Final = Phase(CONFORMANCE, "conform", "conformance …", _verdicts_told)
THE_SUITE: Final = Phase(
    PROOF, "prove", "the suite against servers that are known to be wrong …", _proof_told, of_servers=False
)
THE_INSTRUMENT: Final = Phase(
    SELFTEST, "selftest", "self-test of the instrument, about seven minutes …", _checks_told, of_servers=False
)
CONNECTIONS: Final = Phase(LIMITS, "limits", "how many connections servers hold …", _limits_told)
WHAT_IT_COSTS: Final = Phase(COSTS, "costs", "what requests and connections cost …", _costs_told)
KNOWN_EFFECTS: Final = Phase(EFFECTS, "effect", "known effects …", _effects_told, of_servers=False)
FAULTS: Final = Phase(TORTURE, "torture", "faults …", _faults_told)
