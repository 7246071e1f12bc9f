"""Parts of a run: what is older than its sources is named, taken out, and nothing else."""

import shutil
from pathlib import Path

import pytest

from harness.cli.freshness import effect_states, present_states
from harness.plan import RELAY, Cell, by_name
from harness.record import (
    COSTS,
    EFFECTS,
    REFERENCE,
    SAMPLES,
    SELFTEST,
    UNMEASURED,
    Results,
    ServerFacts,
    Unmeasured,
    append_to_log,
    read_results,
)
from harness.study.parts import (
    BACKGROUND,
    MEASURING,
    RELAY_GENERATOR,
    Part,
    drop_effects,
    drop_workloads,
    known_now,
    listed,
    modules_of,
    older_parts,
    parts_in,
    states_of,
)
from tests.makers import changed

States = dict[Part, str]


@pytest.fixture(scope="module")
def kept() -> Results:
    """Return the reference run, as if all of it stood."""
    results = read_results(REFERENCE)
    states = {str(part): state for part, state in present_states(results.manifest).items()}
    return changed(results, manifest=changed(results.manifest, states=states))


@pytest.fixture(scope="module")
def now(kept: Results) -> States:
    return present_states(kept.manifest)


def test_every_part_of_a_run_stands_on_something(kept: Results, now: States) -> None:
    assert set(parts_in(kept)) <= now.keys()
    assert older_parts(kept, now) == []
    assert set(older_parts(changed(kept, manifest=changed(kept.manifest, states={})), now)) == set(
        parts_in(kept)
    )


def with_another_source(server: ServerFacts) -> ServerFacts:
    return changed(server, file="implementations/catalogue.py")


def test_a_workload_stands_on_the_processes_that_load_in_it_and_on_no_others() -> None:
    on = {name: modules_of(by_name(name)) for name in ("clients_64", "flood", RELAY.name)}
    assert on == {
        "clients_64": MEASURING,
        "flood": (*MEASURING, BACKGROUND),
        RELAY.name: (*MEASURING, RELAY_GENERATOR),
    }


def test_a_changed_server_makes_its_own_parts_older_and_every_workload(kept: Results) -> None:
    servers = tuple(
        with_another_source(each) if each.label == "trio_nursery" else each for each in kept.manifest.servers
    )
    older = older_parts(kept, states_of(servers, kept.manifest.design, effect_states()))
    assert {part.name for part in older if part.file != SAMPLES} == {"trio_nursery"}
    assert {part.name for part in older if part.file == SAMPLES} == set(kept.manifest.design.workloads)


def test_what_a_run_had_and_is_gone_makes_its_parts_older(kept: Results) -> None:
    servers = tuple(
        changed(each, file="implementations/nowhere.py") if each.label == "blocking" else each
        for each in kept.manifest.servers
    )
    design = changed(kept.manifest.design, workloads=("no_more",))
    older = older_parts(kept, states_of(servers, design, effect_states()))
    assert {part.name for part in older if part.file != SAMPLES} == {"blocking"}
    assert {part.name for part in older if part.file == SAMPLES} == set(kept.manifest.design.workloads)


def test_effects_stand_on_what_they_do_and_on_whom(kept: Results) -> None:
    states = effect_states()
    assert len(set(states.values())) == len(states)
    one = states | {"convoy": "changed"}
    assert older_parts(kept, states_of(kept.manifest.servers, kept.manifest.design, one)) == [
        Part(EFFECTS, "convoy")
    ]


def test_what_was_measured_under_a_workload_is_dropped_and_the_rest_is_as_it_was(
    kept: Results, tmp_path: Path
) -> None:
    shutil.copytree(REFERENCE, tmp_path / "run")
    lost = [Unmeasured(Cell(0, "blocking", name), "it did not start") for name in ("churn", "flood")]
    for each in lost:
        append_to_log(each, tmp_path / "run" / UNMEASURED)
    drop_workloads(tmp_path / "run", {"ping_pong", "churn"})
    left = read_results(tmp_path / "run")
    assert left.unmeasured == (*kept.unmeasured, lost[1])
    assert left.samples == tuple(
        each for each in kept.samples if each.cell.workload not in {"ping_pong", "churn"}
    )
    assert set(parts_in(kept)) - set(parts_in(left)) == {Part(SAMPLES, "ping_pong"), Part(SAMPLES, "churn")}


def test_an_effect_that_is_no_more_is_dropped_and_not_asked_for(kept: Results, tmp_path: Path) -> None:
    shutil.copytree(REFERENCE, tmp_path / "run")
    renamed = Part(EFFECTS, "convoy")
    effects = {name: state for name, state in effect_states().items() if name != renamed.name}
    now = states_of(kept.manifest.servers, kept.manifest.design, effects)
    older = older_parts(kept, now)
    assert older == [renamed]
    assert known_now([*older, Part(SELFTEST, "")], {str(part): state for part, state in now.items()}) == [
        Part(SELFTEST, "")
    ]
    drop_effects(tmp_path / "run", {renamed.name})
    left = read_results(tmp_path / "run")
    assert left.effects == tuple(each for each in kept.effects if each.effect != renamed.name)
    assert older_parts(changed(left, manifest=kept.manifest), now) == []


def test_parts_are_named_file_by_file() -> None:
    parts = [Part(COSTS, "threaded"), Part(SELFTEST, ""), Part(COSTS, "blocking")]
    assert listed(parts) == "costs of threaded, blocking; selftest"
    assert listed(parts, most_named=1) == "costs of 2; selftest"
    assert listed(parts, among=parts) == "costs of all 2; selftest"
    assert listed(parts[1:], among=parts) == "selftest; costs of blocking"
    assert listed([]) == ""
