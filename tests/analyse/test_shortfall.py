"""Who stays below the ceiling, and what is said to be the cause: on made-up launches."""

from collections.abc import Callable

import numpy as np
import pytest

from harness.analyse.blocks import launches_of
from harness.analyse.shortfall import Lost, Shortfall, shortfalls
from harness.record import Distribution, Sample
from harness.record.buckets import histogram
from tests.makers import changed

NAME = "relay_5ms_64"
CEILING_RPS = 12_800
Make = Callable[..., Sample]


def found_of(samples: list[Sample], name: str = NAME) -> list[Shortfall]:
    return list(shortfalls(launches_of(samples), [name]))


def spent(us: float) -> Distribution:
    return Distribution(histogram(np.full(100, int(us * 1e3)), np.ones(100, dtype=np.int64)), int(us * 1e3))


def test_who_comes_close_to_the_ceiling_or_has_no_core_to_spare_is_not_named(make_relayed: Make) -> None:
    close = [make_relayed("close", block, share=0.9) for block in range(3)]
    busy = [make_relayed("busy", block, share=0.5, cpu_us=1e6 / (0.5 * CEILING_RPS)) for block in range(3)]
    assert found_of([*close, *busy]) == []


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"cpu_us": 0.9e6 / (0.5 * CEILING_RPS)}, Lost.NEARLY_BUSY),
        ({"generator_cpu_ns": int(0.99e9)}, Lost.GENERATOR),
        ({"asking": 900.0, "returning": 100.0}, Lost.ASKING),
        ({"asking": 100.0, "returning": 900.0}, Lost.RETURNING),
    ],
)
def test_the_cause_is_where_the_time_goes(changes: dict[str, float], cause: Lost, make_relayed: Make) -> None:
    samples = []
    for block in range(3):
        sample = make_relayed("low", block, share=0.5, cpu_us=changes.get("cpu_us", 40.0))
        parts = {name: spent(changes[name]) for name in ("asking", "returning") if name in changes}
        sample = changed(sample, upstream=changed(sample.upstream, **parts))
        if "generator_cpu_ns" in changes:
            sample = changed(sample, generator=changed(sample.generator, cpu_ns=changes["generator_cpu_ns"]))
        samples.append(sample)
    (found,) = found_of(samples)
    assert (found.server, found.workload, found.cause) == ("low", NAME, cause)
    assert found.share == pytest.approx(0.5, rel=0.02)


def test_a_server_of_two_states_is_called_one(make_relayed: Make) -> None:
    (found,) = found_of(
        [make_relayed("both", block, share=share) for block, share in enumerate((0.9, 0.4, 0.9, 0.4))]
    )
    assert found.cause == Lost.STATES
    assert [found.least, found.most] == pytest.approx([0.4, 0.9], rel=0.02)


def test_of_short_waits_and_of_other_ways_nothing_is_said(make_relayed: Make) -> None:
    short = "relay_1ms_64"
    assert (
        found_of([make_relayed("low", block, share=0.5, workload=short) for block in range(3)], short) == []
    )
    assert found_of([make_relayed("low+fresh", block, share=0.5) for block in range(3)]) == []
    assert found_of([make_relayed("low", workload="clients_64")], "clients_64") == []
