"""Campaigns: a plan measured, until it is done, precise enough or out of time. What measures is made up."""

import io
import math
import time
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import pytest
from rich.console import Console

from harness.analyse.precision import PILOT_BLOCKS
from harness.analyse.samples.validity import invalidity
from harness.errors import MeasureError
from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from harness.plan import CLOSED, WORKLOADS, Cell, Load, Plan, Workload
from harness.record import PrecisionGoal, Sample
from harness.study import campaign as module
from harness.study.campaign import campaign
from harness.study.cell import measure
from tests.makers import blocks_of, changed

PLAN = Plan(("a", "b"), ("clients_64",), {}, {"clients_64": 3}, 0.1, 1.0, 7)
CANDIDATES = [Candidate("a"), Candidate("b")]


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., Sample]) -> Iterator[list[float]]:
    """Return the noise of the launches to come: a list whose one element may be changed; negative makes them invalid."""
    rng = np.random.default_rng(9)
    level = [0.01]
    launches = count()

    def fake(_: Candidate, __: Load, *, cell: Cell, **___: int) -> Sample:
        next(launches)
        cost_us = 50 * math.exp(rng.normal(0, abs(level[0])))
        wrong = int(level[0] < 0)
        return make_sample(cell=cell, rps=1000, cpu_us=cost_us, wrong=wrong, sent=1010 + wrong)

    monkeypatch.setattr(module, "measure", fake)
    monkeypatch.setattr(module, "measure_block", blocks_of(fake))
    yield level
    assert next(launches) > 0


def console() -> tuple[Console, io.StringIO]:
    said = io.StringIO()
    return Console(file=said, width=200), said


def test_a_plan_is_measured_and_every_sample_kept(noise: list[float]) -> None:
    kept: list[Sample] = []
    with campaign(CANDIDATES, PLAN, console()[0], kept.extend) as measuring:
        measuring.measure_blocks({"clients_64": 2})
        assert measuring.done == {"clients_64": 2}
        measuring.measure_blocks({"clients_64": 3})
    assert measuring.done == {"clients_64": 3}
    assert measuring.samples == kept
    assert [(s.cell.block, s.cell.server) for s in kept] == [
        (cell.block, cell.server) for cell in PLAN.cells()
    ]
    assert noise == [0.01]


def test_a_precision_is_reached_with_the_blocks_that_it_takes(noise: list[float]) -> None:
    noise[0] = 0.04
    shown, said = console()
    with campaign(CANDIDATES, PLAN, shown) as measuring:
        measuring.reach(PrecisionGoal(0.03, "cpu_us_per_request", 60))
    assert measuring.done["clients_64"] > PILOT_BLOCKS
    assert "as asked for" in said.getvalue()


def test_a_pilot_may_be_enough(noise: list[float]) -> None:
    noise[0] = 0.002
    with campaign(CANDIDATES, PLAN, console()[0]) as measuring:
        measuring.reach(PrecisionGoal(0.03, "cpu_us_per_request", 60))
    assert measuring.done == {"clients_64": PILOT_BLOCKS}


def test_a_precision_that_takes_too_long_is_said_to_be_missed(noise: list[float]) -> None:
    noise[0] = 1.0
    shown, said = console()
    with campaign(CANDIDATES, PLAN, shown) as measuring:
        measuring.reach(PrecisionGoal(0.01, "cpu_us_per_request", 0.5))
    text = said.getvalue()
    assert "not the ±1.0% asked for: the best within" in text
    assert "minutes more" in text


def test_no_block_begins_after_the_time(noise: list[float]) -> None:
    with campaign(CANDIDATES, PLAN, console()[0]) as measuring:
        measuring.measure_blocks({"clients_64": 1})
        measuring.measure_blocks({"clients_64": 3}, until_s=time.monotonic() - 1)
    assert measuring.done == {"clients_64": 1}
    assert noise == [0.01]


def test_what_was_measured_again_is_counted_aloud(noise: list[float]) -> None:
    noise[0] = -0.01
    shown, said = console()
    plan = changed(PLAN, workloads=("flood",))
    with campaign(CANDIDATES, plan, shown) as measuring:
        measuring.measure_blocks({"flood": 5})
    found = measuring.repetition
    assert (found.launches, found.left) == (2, 10)  # a fifth of 10 planned launches, in rounds of 2: one
    assert (
        "12 of 12 launches were invalid; measured again: 1 of 5 blocks, in 2 launches; 10 cells stayed invalid"
        in said.getvalue()
    )
    assert "wrong-replies" in said.getvalue()


def test_a_block_of_slices_is_not_measured_again(noise: list[float]) -> None:
    noise[0] = -0.01
    with campaign(CANDIDATES, PLAN, console()[0]) as measuring:
        measuring.measure_blocks({"clients_64": 5})
    assert (measuring.repetition.launches, measuring.repetition.left) == (0, 10)


def test_a_server_that_cannot_be_measured_does_not_keep_others_from_it(
    monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., Sample]
) -> None:
    def fake(candidate: Candidate, _: Load, *, cell: Cell, **__: int) -> Sample:
        if candidate.label == "a":
            raise MeasureError("client 7 of 8 cannot connect")
        return make_sample(cell=cell)

    monkeypatch.setattr(module, "measure", fake)
    shown, said = console()
    with campaign(CANDIDATES, changed(PLAN, workloads=("flood",)), shown) as measuring:
        measuring.measure_blocks({"flood": 2})
    assert [sample.cell.server for sample in measuring.samples] == ["b", "b"]
    assert "not measured: a, flood: client 7 of 8 cannot connect" in said.getvalue()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., Sample]) -> list[tuple[str, str, Load]]:
    """Return what is done to which server; a answers 8,000 requests a second, and b 2,000."""
    made: list[tuple[str, str, Load]] = []

    def fake(candidate: Candidate, load: Load, *, cell: Cell | None = None, **_: int) -> Sample:
        cell = cell or Cell(0, candidate.label, "")
        made.append((candidate.label, cell.workload, load))
        return make_sample(cell=cell, rps={"a": 8000, "b": 2000}[candidate.label])

    monkeypatch.setattr(module, "measure", fake)
    monkeypatch.setattr(module, "measure_block", blocks_of(fake))
    return made


def test_a_share_of_the_peak_is_that_of_the_servers_own_launches(loads: list[tuple[str, str, Load]]) -> None:
    names = ("clients_64", "overload")
    plan = Plan(("a", "b"), names, {}, dict.fromkeys(names, 3), 0.1, 1.0, 2)
    with campaign(CANDIDATES, plan, console()[0]) as measuring:
        measuring.measure_blocks(plan.blocks)
    rates = {
        (server, load.warmup_rate, load.rate, load.relief_rate)
        for server, workload, load in loads
        if workload == "overload"
    }
    assert rates == {("a", 4000, 9600, 4000), ("b", 1000, 2400, 1000)}
    assert {load.seed for _, workload, load in loads if workload == "overload"} == {0, 1, 2}
    short = [server for server, workload, _ in loads if not workload]
    assert len(short) <= 2, "only before the first block of clients_64 is a peak measured by itself"


def test_a_peak_that_is_not_known_is_measured_once(loads: list[tuple[str, str, Load]]) -> None:
    plan = Plan(("a", "b"), ("overload",), {}, {"overload": 3}, 0.1, 1.0, 2)
    with campaign(CANDIDATES, plan, console()[0]) as measuring:
        measuring.measure_blocks(plan.blocks)
    short = [(server, load) for server, workload, load in loads if not workload]
    assert sorted(server for server, _ in short) == ["a", "b"]
    assert {(load.arrivals, load.clients, load.duration_s) for _, load in short} == {("closed", 64, 0.5)}
    overloaded = {(server, load.rate, load.relief_rate) for server, workload, load in loads if workload}
    assert overloaded == {("a", 9600, 4000), ("b", 2400, 1000)}


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_load_is_its_workloads_and_lasts_as_long_as_the_plan_says(workload: Workload) -> None:
    load = PLAN.load_of(workload.name)
    assert load.duration_s == (workload.duration_s or PLAN.duration_s)
    assert changed(load, warmup_s=0.3, duration_s=1.0) == workload.load


SMALL = {"clients_8", "clients_64_pipeline_64", "open_2k", "churn", "line_4096", "overload", "soak"} | {
    workload.name for workload in WORKLOADS if workload.load.background
}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_each_kind_of_workload_is_measured(name: str) -> None:
    """Small, against one of our servers: all is answered, and nothing is wrong but what the machine is to blame for."""
    load = changed(PLAN, warmup_s=0.05).load_of(name)
    behind = load.background and changed(load.background, clients=min(5, load.background.clients))
    load = changed(load, clients=min(load.clients, 8), background=behind, duration_s=0.2)
    if load.arrivals != CLOSED:
        load = changed(load, rate=500.0, warmup_rate=200.0, relief_rate=200.0, relief_s=load.relief_s / 5)
    sample = measure(ours("asyncio_streams"), load)
    reasons = [reason for reason in invalidity(sample) if not reason.startswith(("steal", "lag", "foreign"))]
    assert reasons == []
    assert sample.requests.ok == sample.requests.sent == sample.requests.planned > 0
    assert sample.background.ok == sample.background.asked
    assert bool(sample.background.asked) == (behind is not None)
    assert bool(sample.times.connect_ns) == load.churn
    assert (sample.window.recovery_s is not None) == (name == "overload")
