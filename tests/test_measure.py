"""One cell: what is measured of a server."""

from collections.abc import Callable

import psutil
import pytest

from harness.candidates import Candidate, ours
from harness.launch import launch
from harness.measure import Load, MeasureError, measure, snapshot, two_cores
from harness.validity import invalidity

SHORT = Load(clients=4, pipeline=2, warmup_s=0.1, duration_s=0.3)


def test_a_sample_adds_up() -> None:
    seen: list[float] = []
    sample = measure(ours("threaded"), Load(4, 2, 0.2, 0.5), lambda elapsed_s, _: seen.append(elapsed_s))
    assert invalidity(sample) == []
    assert 0 < sample.answered <= sample.ok
    assert sample.answered + sample.answered_in_warmup <= sample.ok
    assert sum(sample.response_ns.values()) == sum(sample.service_ns.values()) == sample.answered
    assert sample.server_cpu_ns > 0
    assert 0 < sample.memory_ready_bytes <= sample.memory_connected_bytes <= sample.memory_peak_bytes
    assert sample.threads >= 4
    assert sample.descriptors >= 4
    assert sample.switches_voluntary + sample.switches_involuntary > 0
    assert seen == sorted(seen)
    assert seen


def test_a_server_that_runs_already_is_loaded_as_it_is() -> None:
    with launch(ours("select_generators")) as launched:
        sample = measure(Candidate("there", address=launched.address), SHORT)
        assert launched.process.poll() is None
    assert invalidity(sample) == []
    assert (sample.threads, sample.server_cpu_ns) == (0, 0)


def test_every_request_may_be_one_line() -> None:
    sample = measure(ours("blocking"), Load(1, 3, 0.05, 0.2, line="9,8,x"))
    assert invalidity(sample) == []


def test_a_server_that_answers_wrongly_is_not_measured(faulty: Callable[..., Candidate]) -> None:
    with pytest.raises(MeasureError, match=r"faulty answers wrongly: .*expected"):
        measure(faulty("adds_one"), SHORT)


def test_a_server_that_dies_in_the_middle_gives_an_invalid_sample(faulty: Callable[..., Candidate]) -> None:
    sample = measure(faulty("goes_wrong_after_a_while"), SHORT)
    assert any(reason.startswith("wrong-replies") for reason in invalidity(sample))


def test_a_server_whose_process_is_gone_afterwards_gives_an_invalid_sample(
    faulty: Callable[..., Candidate],
) -> None:
    sample = measure(faulty("dies_after_a_while"), SHORT)
    assert any(reason.startswith("errors") for reason in invalidity(sample))


def test_no_process_is_left_behind() -> None:
    before = set(psutil.Process().children(recursive=True))
    measure(ours("blocking"), Load(1, 1, 0.0, 0.1))
    assert set(psutil.Process().children(recursive=True)) <= before


def test_server_and_generator_get_a_core_each_if_there_are_two() -> None:
    server, generator = two_cores()
    assert not set(server) & set(generator)
    assert bool(server) == bool(generator) == (len(psutil.Process().cpu_affinity()) > 1)


def test_nothing_is_known_of_a_server_without_a_process() -> None:
    assert snapshot(None).memory_bytes == 0
