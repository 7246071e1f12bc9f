"""Campaigns: a plan measured, until it is done, precise enough or out of time. What measures is made up."""

import io
import math
import time
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import pytest
from rich.console import Console

from harness import campaign as module
from harness.analyse import repetition
from harness.campaign import campaign
from harness.candidates import Candidate
from harness.measure import Load
from harness.plan import Plan
from harness.precision import PILOT_BLOCKS, Target
from harness.record import Sample

PLAN = Plan(("a", "b"), ("clients_64",), {}, 3, 0.1, 1.0, 7)
CANDIDATES = [Candidate("a"), Candidate("b")]


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., Sample]) -> Iterator[list[float]]:
    """Return the noise of the launches to come: a list whose one element may be changed; negative makes them invalid."""
    rng = np.random.default_rng(9)
    level = [0.01]
    launches = count()

    def fake(candidate: Candidate, _: Load, *, block: int, workload: str) -> Sample:
        next(launches)
        cost_us = 50 * math.exp(rng.normal(0, abs(level[0])))
        wrong = int(level[0] < 0)
        return make_sample(
            candidate.label, block, workload, rps=1000, cpu_us=cost_us, wrong=wrong, sent=1010 + wrong
        )

    monkeypatch.setattr(module, "measure", fake)
    yield level
    assert next(launches) > 0


def console() -> tuple[Console, io.StringIO]:
    said = io.StringIO()
    return Console(file=said, width=200), said


def test_a_plan_is_measured_and_every_sample_kept(noise: list[float]) -> None:
    kept: list[Sample] = []
    with campaign(CANDIDATES, PLAN, console()[0], kept.append) as measuring:
        measuring.carry_out({"clients_64": 2})
        assert measuring.done == {"clients_64": 2}
        measuring.carry_out({"clients_64": 3})
    assert measuring.done == {"clients_64": 3}
    assert measuring.samples == kept
    assert [(s.block, s.server) for s in kept] == [(cell.block, cell.server) for cell in PLAN.cells()]
    assert noise == [0.01]


def test_a_precision_is_reached_with_the_blocks_that_it_takes(noise: list[float]) -> None:
    noise[0] = 0.04
    shown, said = console()
    with campaign(CANDIDATES, PLAN, shown) as measuring:
        measuring.reach(Target(0.03, "cpu_us_per_request", 60))
    assert measuring.done["clients_64"] > PILOT_BLOCKS
    assert "as asked for" in said.getvalue()


def test_a_pilot_may_be_enough(noise: list[float]) -> None:
    noise[0] = 0.002
    with campaign(CANDIDATES, PLAN, console()[0]) as measuring:
        measuring.reach(Target(0.03, "cpu_us_per_request", 60))
    assert measuring.done == {"clients_64": PILOT_BLOCKS}


def test_a_precision_that_takes_too_long_is_said_to_be_missed(noise: list[float]) -> None:
    noise[0] = 1.0
    shown, said = console()
    with campaign(CANDIDATES, PLAN, shown) as measuring:
        measuring.reach(Target(0.01, "cpu_us_per_request", 0.5))
    text = said.getvalue()
    assert "not the ±1.0% asked for: the best within" in text
    assert "minutes more" in text


def test_no_block_begins_after_the_time(noise: list[float]) -> None:
    with campaign(CANDIDATES, PLAN, console()[0]) as measuring:
        measuring.carry_out({"clients_64": 1})
        measuring.carry_out({"clients_64": 3}, until_s=time.monotonic() - 1)
    assert measuring.done == {"clients_64": 1}
    assert noise == [0.01]


def test_what_was_measured_again_is_counted_aloud(noise: list[float]) -> None:
    noise[0] = -0.01
    shown, said = console()
    with campaign(CANDIDATES, PLAN, shown) as measuring:
        measuring.carry_out({"clients_64": 3})
    found = repetition(measuring.samples)
    assert (found.launches, found.left) == (2, 6)  # half of 6 planned launches, in rounds of 2: one round
    assert (
        "8 of 8 launches were invalid; measured again: 1 of 3 blocks, in 2 launches; 6 cells stayed invalid"
        in said.getvalue()
    )
    assert "wrong-replies" in said.getvalue()
