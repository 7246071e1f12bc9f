"""The study: what is done in which order, and what of it is not done again after an interruption. What measures is made up."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import UsageError
from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from harness.plan import Cell, Load, Plan
from harness.record import (
    CONFORMANCE,
    LIMITS,
    SAMPLES,
    Arm,
    ConnectionLimit,
    EffectResult,
    Judgement,
    Sample,
    Unmeasured,
    Verdict,
    as_json,
    read_results,
    write_manifest,
)
from harness.report.pages import REPORT
from harness.study import bench as study
from harness.study import campaign, manifest, phases
from harness.study.parts import Part, drop_workloads
from tests.makers import changed

CANDIDATES = [ours("threaded"), ours("trio_nursery")]
BLOCKS = {"flood": 3, "churn": 2}
PLAN = Plan(("threaded", "trio_nursery"), tuple(BLOCKS), {}, BLOCKS, 0.1, 1.0, 7)


class Machine:
    """What is done, in order; it may be interrupted after so many launches."""

    def __init__(self, make_sample: Callable[..., Sample]) -> None:
        self.done: list[str] = []
        self.interrupted_after = -1
        self.invalid: set[int] = set()
        self.gate_words: Sequence[str] = ()
        self.stolen_share = 0.0
        self._make_sample = make_sample

    @property
    def launches(self) -> int:
        return sum(name.partition(" ")[0] in BLOCKS for name in self.done)

    def measure(self, candidate: Candidate, _: Load, *, cell: Cell, generators: int) -> Sample:
        assert generators == 1
        if self.launches == self.interrupted_after:
            raise KeyboardInterrupt
        wrong = int(self.launches in self.invalid)
        self.done.append(f"{cell.workload} {cell.block} {candidate.label}")
        mine = {} if candidate.label == "threaded" else {"steal_share": self.stolen_share}
        return self._make_sample(
            rps=1000, wrong=wrong, sent=1010 + wrong, planned=1010 + wrong, cell=cell, **mine
        )

    def run_apart(self, words: Sequence[str]) -> tuple[str, list[str]]:
        if words[0] == "conform":
            self.done.append("gate")
            self.gate_words = words
            verdicts = [
                Judgement(each.label, "F01", "", "MUST", Verdict.PASS, "")
                for each in CANDIDATES
                if each.label in words
            ]
            return as_json(verdicts), []
        if words[0] == "limits":
            self.done.append("limits")
            held = [each.label for each in CANDIDATES if each.label in words]
            return as_json([ConnectionLimit(name, 10, None, "", 10, 10, "", 0.5, 0.5) for name in held]), []
        self.done.append("proof")
        return '{"suite": "", "trials": [], "untested": [], "findings": [], "alarm_runs": []}', []


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., Sample]) -> Iterator[Machine]:
    made_up = Machine(make_sample)
    monkeypatch.setattr(campaign, "measure", made_up.measure)
    monkeypatch.setattr(phases, "run_apart", made_up.run_apart)
    monkeypatch.setattr(study, "known_verdicts", lambda _: {})
    yield made_up
    assert made_up.done


def report_of(folder: Path) -> list[str]:
    """Say where a report would be; nothing here is about what it says."""
    return [f"Report: {folder / REPORT}"]


def run(folder: Path, *, resume: bool = False, plan: Plan = PLAN) -> str:
    return outcome(folder, resume=resume, plan=plan)[1]


def outcome(folder: Path, *, resume: bool = False, plan: Plan = PLAN) -> tuple[bool, str]:
    """Return whether nothing failed, and what was said."""
    said = io.StringIO()
    interrupted = read_results(folder) if resume else None
    command, console = ("harness", "bench"), Console(file=said, width=200)
    good = study.bench(CANDIDATES, plan, folder, command, console, report_of, interrupted=interrupted)
    return good, said.getvalue()


def renew(folder: Path, *parts: Part, plan: Plan = PLAN) -> str:
    """Make parts of a run anew, and return what was said."""
    said = io.StringIO()
    study.bench(
        CANDIDATES,
        plan,
        folder,
        ("harness", "bench"),
        Console(file=said, width=200),
        report_of,
        extras=study.Extras(limits=True),
        interrupted=read_results(folder),
        stale=parts,
    )
    return said.getvalue()


def make_older(folder: Path, *parts: Part) -> dict[str, str]:
    """Let parts of a run stand on something else than their sources now; return what these are."""
    found = read_results(folder).manifest
    older = {str(part): "older" for part in parts}
    write_manifest(folder, changed(found, states=found.states | older))
    return found.states


def cells(folder: Path) -> list[Cell]:
    return [
        Cell(s.cell.block, s.cell.server, s.cell.workload, s.cell.attempt)
        for s in read_results(folder).samples
    ]


@pytest.mark.parametrize("interruptions", [[0], [1], [3], [4, 7], [9]])
@pytest.mark.parametrize("invalid", [set(), {2}, {2, 3}])
def test_a_resumed_run_is_the_one_that_was_interrupted(
    machine: Machine, tmp_path: Path, interruptions: list[int], invalid: set[int]
) -> None:
    """Wherever it was interrupted: nothing twice, nothing left out, repetitions as they would have been."""
    machine.invalid = invalid
    run(tmp_path / "whole")
    whole = machine.done.copy()
    machine.done.clear()
    for place, after in enumerate(interruptions):
        machine.interrupted_after = after
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", resume=place > 0)
        assert not read_results(tmp_path / "parts").manifest.progress.complete
    machine.interrupted_after = -1
    run(tmp_path / "parts", resume=True)
    assert machine.done == whole
    assert cells(tmp_path / "parts") == cells(tmp_path / "whole")
    manifest = read_results(tmp_path / "parts").manifest
    assert manifest.progress.complete
    assert manifest.progress.resumed == len(interruptions)
    assert manifest.design.blocks_of == BLOCKS


def test_what_others_took_of_the_machine_is_said_and_is_no_failure(machine: Machine, tmp_path: Path) -> None:
    assert outcome(tmp_path / "quiet")[0]
    machine.stolen_share = 0.5
    good, said = outcome(tmp_path / "noisy")
    assert good
    assert "No figures under churn of trio_nursery: none of their launches is valid" in said
    machine.invalid = set(range(100))
    assert not outcome(tmp_path / "wrong")[0]


@pytest.mark.usefixtures("machine")
def test_what_was_not_reached_in_the_time_is_said_and_is_no_failure(tmp_path: Path) -> None:
    run(tmp_path / "run")
    whole, said = read_results(tmp_path / "run"), io.StringIO()
    samples = tuple(
        each for each in whole.samples if (each.cell.workload, each.cell.server) != ("churn", "threaded")
    )
    short = changed(whole, samples=tuple(each for each in samples if each.cell.workload != "flood"))
    study._tell_what_is_missing(PLAN, short, Console(file=said, width=200))
    assert said.getvalue() == "Not reached in the time: flood; churn of threaded\n"
    assert study._all_served(PLAN, short)
    tried = Unmeasured(Cell(0, "threaded", "churn"), "it did not start")
    assert not study._all_served(PLAN, changed(short, unmeasured=(tried,)))


@pytest.mark.usefixtures("machine")
def test_an_effect_that_does_not_show_is_a_failure(tmp_path: Path) -> None:
    run(tmp_path / "run")
    results, sides = read_results(tmp_path / "run"), (Arm("", {}), Arm("", {}))
    for named_present, named_absent in product((True, False), repeat=2):
        effect = EffectResult("convoy", "", "", "", *sides, named_present, named_absent, "", "", "")
        good = study._nothing_failed(changed(results, effects=(effect,)), [], study.Extras())
        assert good == (named_present and not named_absent)


def test_a_gate_of_some_cases_is_written_down(machine: Machine, tmp_path: Path) -> None:
    run(tmp_path / "whole")
    assert "--case" not in machine.gate_words
    run(tmp_path / "some", plan=changed(PLAN, gate_cases=("R",)))
    assert "--case R" in " ".join(machine.gate_words)
    assert read_results(tmp_path / "some").manifest.design.gate_cases == ("R",)


def test_what_is_to_come_is_estimated(machine: Machine, tmp_path: Path) -> None:
    machine.interrupted_after = 4
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run")
    machine.interrupted_after = -1
    said = run(tmp_path / "run", resume=True)
    assert "4 of 10 launches were made before; 6 launches will take about 0 minutes" in said


def test_what_does_not_fit_into_a_given_time_is_known_beforehand() -> None:
    def fit(servers: int, to_judge: int = 0, gate_cases: tuple[str, ...] = ()) -> float:
        labels = tuple(f"server_{number}" for number in range(servers))
        workloads = {"clients_64": 8, "clients_500": 8}
        plan = Plan(labels, tuple(workloads), {}, workloads, 0.3, 1.0, 7, gate_cases=gate_cases)
        return study.blocks_that_fit(plan, 285.0, to_judge)

    assert fit(20, to_judge=20) < study.FEWEST_BLOCKS < fit(5, to_judge=5) < fit(5)
    assert fit(5, to_judge=5) < fit(5, to_judge=5, gate_cases=("R",)) < fit(5)


def test_a_run_is_resumed_with_the_same_sources_plan_and_machine_only(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.interrupted_after = 4
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run")
    with pytest.raises(UsageError, match="the plan's seed changed"):
        run(tmp_path / "run", resume=True, plan=changed(PLAN, seed=8))
    begun = read_results(tmp_path / "run").manifest
    monkeypatch.setattr(manifest, "harness_hash", lambda: "another")
    monkeypatch.setattr(manifest, "gather", lambda: changed(begun.environment, kernel="another"))
    monkeypatch.setattr(
        manifest, "facts", lambda _: (changed(begun.servers[0], source_hash="another"), begun.servers[1])
    )
    with pytest.raises(UsageError) as refused:
        run(tmp_path / "run", resume=True)
    assert str(refused.value).endswith(
        "since it was begun, the harness's source, threaded, the machine's kernel changed"
    )
    assert len(cells(tmp_path / "run")) == 4


def test_results_are_never_overwritten(machine: Machine, tmp_path: Path) -> None:
    run(tmp_path / "run")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in (SAMPLES, CONFORMANCE)}
    with pytest.raises(UsageError, match="not empty"):
        run(tmp_path / "run")
    assert before == {name: (tmp_path / "run" / name).read_bytes() for name in before}
    assert machine.done.count("gate") == 1


def test_what_an_interrupted_renewal_has_not_made_anew_stays_old(machine: Machine, tmp_path: Path) -> None:
    folder, held, flood = tmp_path / "run", Part(LIMITS, "threaded"), Part(SAMPLES, "flood")
    run(folder)
    renew(folder)
    now = make_older(folder, held, flood)
    machine.interrupted_after = machine.launches + 1
    with pytest.raises(KeyboardInterrupt):
        renew(folder, held, flood)
    machine.interrupted_after = -1
    run(folder, resume=True)
    assert read_results(folder).manifest.progress.complete
    assert read_results(folder).manifest.states == now | {str(held): "older"}
    renew(folder, held)
    assert read_results(folder).manifest.states == now


def test_what_is_missing_of_a_workload_is_not_measured_when_others_are_made_anew(
    machine: Machine, tmp_path: Path
) -> None:
    """It would be of another day than the block that it is missing in."""
    folder, flood = tmp_path / "run", Part(SAMPLES, "flood")
    run(folder)
    lines = (folder / SAMPLES).read_text(encoding="utf-8").splitlines(keepends=True)
    lost = next(line for line in lines if '"workload":"churn"' in line.replace(" ", ""))
    (folder / SAMPLES).write_text("".join(line for line in lines if line != lost), encoding="utf-8")
    before = machine.launches
    renew(folder, flood)
    assert machine.launches == before + BLOCKS["flood"] * len(CANDIDATES)
    said = renew(folder, Part(LIMITS, "threaded"))
    assert machine.launches == before + BLOCKS["flood"] * len(CANDIDATES)
    assert "No launches are to be made" in said


@pytest.mark.usefixtures("machine")
def test_verdicts_found_anew_are_no_copies_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder)
    copied = {each.label: "earlier" for each in CANDIDATES}
    write_manifest(folder, changed(read_results(folder).manifest, proved_by=copied))
    renew(folder)
    assert read_results(folder).manifest.proved_by == copied
    renew(folder, Part(CONFORMANCE, "threaded"))
    assert read_results(folder).manifest.proved_by == {"trio_nursery": "earlier"}


@pytest.mark.usefixtures("machine")
def test_a_renewal_that_is_killed_while_it_drops_samples_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, flood = tmp_path / "run", Part(SAMPLES, "flood")
    run(folder)
    now = make_older(folder, flood)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(study, "drop_workloads", killed)
        with pytest.raises(KeyboardInterrupt):
            renew(folder, flood)
    left = read_results(folder).manifest
    assert (left.progress.complete, left.states[str(flood)]) == (False, "older")
    renew(folder, flood)
    renewed = read_results(folder).manifest
    assert (renewed.progress.complete, renewed.states) == (True, now)
    assert renewed.remark.count("Made anew") == 1


@pytest.mark.usefixtures("machine")
def test_where_nothing_was_old_nothing_is_remarked(tmp_path: Path) -> None:
    run(tmp_path / "run")
    renew(tmp_path / "run")
    assert read_results(tmp_path / "run").manifest.remark == ""


IN_TIME = changed(PLAN, blocks={"flood": 4, "churn": 4}, whole_s=60.0)
LAUNCHES = 2 * (4 + 4)


def test_a_renewed_run_of_fixed_time_gets_the_blocks_that_it_has_and_no_others(
    machine: Machine, tmp_path: Path
) -> None:
    """Even if no time at all is left, and if the renewal is interrupted and resumed."""
    folder, churn = tmp_path / "run", Part(SAMPLES, "churn")
    run(folder, plan=IN_TIME)
    found = read_results(folder).manifest
    few = changed(found, blocks_of={"flood": 4, "churn": 2}, seconds=1e6)
    write_manifest(folder, few)
    drop_workloads(folder, {"churn"})
    machine.interrupted_after = LAUNCHES + 1
    with pytest.raises(KeyboardInterrupt):
        renew(folder, churn, plan=IN_TIME)
    machine.interrupted_after = -1
    run(folder, plan=IN_TIME, resume=True)
    assert machine.launches == LAUNCHES + 2 * 2
    assert read_results(folder).manifest.design == few.design


def test_a_resumed_run_of_fixed_time_has_the_time_that_is_left(machine: Machine, tmp_path: Path) -> None:
    """What was begun is ended; and if nothing is left, nothing more is begun."""
    folder = tmp_path / "run"
    machine.interrupted_after = 3
    with pytest.raises(KeyboardInterrupt):
        run(folder, plan=IN_TIME)
    begun = study._begun(IN_TIME, read_results(folder).samples)
    write_manifest(folder, changed(read_results(folder).manifest, seconds=1e6))
    machine.interrupted_after = -1
    little = changed(IN_TIME, whole_s=1.0)
    write_manifest(folder, changed(read_results(folder).manifest, whole_s=1.0))
    run(folder, plan=little, resume=True)
    assert machine.launches == 2 * sum(begun.values()) == 4
    assert read_results(folder).manifest.design.blocks_of == begun


def test_what_was_measured_before_an_interruption_is_no_time_that_is_left() -> None:
    began_s = time.monotonic() - 50
    whole, left = (
        study._until_s(IN_TIME, began_s, study.Extras(), 2, measured_s) for measured_s in (0.0, 20.0)
    )
    assert whole is not None
    assert left is not None
    assert whole - left == pytest.approx(20.0, abs=0.5)


def test_what_comes_after_measuring_takes_its_time_for_each_server() -> None:
    plan, began_s = changed(PLAN, whole_s=5400.0), time.monotonic()
    everything = study.Extras(torture=True, limits=True, costs_scale=1.0)
    little, much = (study._until_s(plan, began_s, everything, servers) for servers in (2, 12))
    assert little is not None
    assert much is not None
    assert little - much == pytest.approx(10 * 72.0)


def test_each_thing_that_comes_after_measuring_takes_its_own_time() -> None:
    of_two = [
        study._afterwards_s(extras, 2)
        for extras in (
            study.Extras(),
            study.Extras(limits=True),
            study.Extras(torture=True),
            study.Extras(costs_scale=1.0),
            study.Extras(limits=True, torture=True, costs_scale=1.0),
        )
    ]
    assert of_two[0] == 0
    assert all(of_two[1:])
    assert of_two[-1] == sum(of_two[:-1]) == study.EFFECTS_S + 2 * 72.0


def test_what_comes_afterwards_leaves_less_time_for_blocks() -> None:
    plan = changed(PLAN, whole_s=600.0)
    assert study.blocks_that_fit(plan, 600.0, 0, 100.0) < study.blocks_that_fit(plan, 600.0, 0)
