"""Servers with one plausible mistake each: whether the suite notices them is what the suite is worth."""

import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final

from harness.conformance.case import Case
from harness.conformance.catalogue import CASES
from harness.conformance.judge import JudgingWorker
from harness.conformance.proof.states import evidence, state_of
from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from harness.record import PROJECT, Trial, Verdict, fingerprint, together

TABLE: Final = Path(__file__).with_name("mutants.toml")
SIDE_BY_SIDE: Final = 4
SAMPLE: Final = ("F02", "F03", "F09", "A01", "A03", "A10", "S01", "S05", "S06", "C07")
"""Quick cases, of which every mutant meets a few that it should pass."""
SAMPLED: Final = 3


class StaleMutant(Exception):  # noqa: N818 - what it is about
    """A mutant's `old` is not in the source any more."""


@dataclass(frozen=True)
class Edit:
    """Text that is replaced in a file of `implementations/`, wherever it stands."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        case: the id of the case that must catch it.
        title: what is wrong, in words.
        base: the server that makes the mistake.
        edits: how it is made; none if what is wrong is the declaration.
        declares: what it claims.
        announces: its readiness line can be relied on.
        broad: it concerns nearly every case.
        concerns: other quick cases that rightly notice it, too.
    """

    case: str
    title: str
    base: str
    edits: tuple[Edit, ...]
    declares: frozenset[str]
    announces: bool
    broad: bool
    concerns: frozenset[str]


def mutants() -> list[Mutant]:
    """Read the table."""
    return [_mutant(entry) for entry in tomllib.loads(TABLE.read_text(encoding="utf-8"))["mutant"]]


def _mutant(entry: dict[str, Any]) -> Mutant:
    base, file = entry.get("base", "threaded"), entry.get("file", "protocol")
    places = entry.get("edits", [entry] if "old" in entry else [])
    edits = tuple(Edit(f"{place.get('file', file)}.py", place["old"], place["new"]) for place in places)
    candidate = ours(base)
    declares = frozenset(entry["declares"]) if "declares" in entry else candidate.declares or frozenset()
    return Mutant(
        entry["case"],
        entry["title"],
        base,
        edits,
        declares,
        entry.get("announces", True),
        entry.get("broad", False),
        frozenset(entry.get("concerns", ())),
    )


def mutated_source(mutant: Mutant, file: str) -> str:
    """Return a file's text with the mistake in it; StaleMutant if there is no place for it."""
    text = (PROJECT / "implementations" / file).read_text(encoding="utf-8")
    for edit in mutant.edits:
        if edit.file == file:
            if edit.old not in text:
                raise StaleMutant(f"{mutant.case} {mutant.title}: {file} has no {edit.old!r}")
            text = text.replace(edit.old, edit.new)
    return text


def diff(mutant: Mutant) -> str:
    """Return the mistake as a patch shows it."""
    lines: list[str] = []
    for file in dict.fromkeys(edit.file for edit in mutant.edits):
        before = (PROJECT / "implementations" / file).read_text(encoding="utf-8")
        after = mutated_source(mutant, file)
        lines += list(unified_diff(before.splitlines(), after.splitlines(), file, file, n=0, lineterm=""))[2:]
    return "\n".join(line for line in lines if not line.startswith("@@"))


@contextmanager
def planted(mutant: Mutant) -> Iterator[Candidate]:
    """Write a copy of the servers with the mistake in it, and offer it as a candidate for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        package = Path(folder) / "implementations"
        # With what is compiled already, which costs a server more than all the rest of its start.
        others = shutil.ignore_patterns(*(f"{Path(edit.file).stem}.*" for edit in mutant.edits))
        shutil.copytree(PROJECT / "implementations", package, ignore=others)
        for edit in mutant.edits:
            (package / edit.file).write_text(mutated_source(mutant, edit.file), encoding="utf-8")
        stock = ours(mutant.base)
        arguments = stock.command[stock.command.index("-m") :]
        # -P: the folder that the server is started in does not come before PYTHONPATH
        command = ("env", f"PYTHONPATH={folder}", sys.executable, "-P", *arguments)
        yield replace(stock, command=command, declares=mutant.declares, announces=mutant.announces)


def try_all(
    tried: Sequence[Mutant], progress: Callable[[Trial], None] = lambda _: None, workers: int = SIDE_BY_SIDE
) -> list[Trial]:
    """Let each mutant meet the case that must catch it, and a few others.

    Cases forgive a server that is late on a busy machine, and with it a mistake that makes it late: whoever survives is tried
    once more, by itself.

    Raises:
        StaleMutant: the table does not fit the sources.
        LaunchError: a mutant cannot even be started.
    """
    places = {mutant.title: place for place, mutant in enumerate(mutants())}

    def try_one(mutant: Mutant) -> Trial:
        trial = _try(mutant, _sample(mutant, places[mutant.title]))
        if trial.caught:
            progress(trial)
        return trial

    def try_again(mutant: Mutant) -> Trial:
        trial = _try(mutant, ())
        progress(trial)
        return trial

    with ThreadPoolExecutor(workers) as pool:
        trials = list(pool.map(try_one, tried))
    return [trial if trial.caught else try_again(mutant) for mutant, trial in zip(tried, trials, strict=True)]


def _sample(mutant: Mutant, number: int) -> list[Case]:
    if mutant.broad:
        return []
    others = [case for case in CASES if case.id in set(SAMPLE) - mutant.concerns - {mutant.case}]
    return [others[(number + step * SAMPLED) % len(others)] for step in range(SAMPLED)]


def state_of_mutant(mutant: Mutant) -> str:
    """Return a hash of what its trial stands on: the case, the server and the mistake, but not the cases tried besides."""
    base = fingerprint(f"implementations.{mutant.base}", package="implementations")
    return together(state_of(case_of(mutant)), base, repr(mutant.edits), " ".join(sorted(mutant.declares)))


def stale_mutants(trials: Iterable[Trial]) -> list[Mutant]:
    """Return the mutants that have not been tried as they, their servers and their cases are now."""
    tried = {(trial.title, trial.state) for trial in trials}
    return [mutant for mutant in mutants() if (mutant.title, state_of_mutant(mutant)) not in tried]


def case_of(mutant: Mutant) -> Case:
    """Return the case that must catch it."""
    return next(case for case in CASES if case.id == mutant.case)


def _try(mutant: Mutant, sample: Sequence[Case]) -> Trial:
    with planted(mutant) as candidate, JudgingWorker(candidate) as worker:
        others = [worker.judge(case) for case in sample]
        verdict = worker.judge(case_of(mutant))  # last, since nobody needs the server after a failure
    return Trial(
        case=mutant.case,
        title=mutant.title,
        base=mutant.base,
        diff=diff(mutant),
        verdict=str(verdict.verdict),
        detail=evidence(verdict.detail),
        caught=verdict.verdict.failed and verdict.verdict is not Verdict.HARNESS,
        passed=tuple(other.case for other in others if not other.verdict.failed),
        also_caught_by=tuple(other.case for other in others if other.verdict.failed),
        state=state_of_mutant(mutant),
    )


def untested_cases(tried: Sequence[Mutant]) -> list[str]:
    """Return the cases that no mutant puts to the test."""
    return [case.id for case in CASES if case.id not in {mutant.case for mutant in tried}]
