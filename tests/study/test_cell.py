"""One cell: what is measured of a server."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from harness.analyse.samples.validity import invalidity
from harness.drive.fleet import GENERATOR, worker
from harness.drive.orders import Order, Reading
from harness.errors import MeasureError
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.launch.selection import ours
from harness.machine.processes import snapshot
from harness.machine.resources import cores_for, two_cores
from harness.plan import ALL_CORES, TRICKLE, Company, Load
from harness.record import Sample
from harness.study.cell import _foreign_share, load_for, measure
from harness.study.observe import MemorySeries

SHORT = Load(clients=4, pipeline=2, warmup_s=0.1, duration_s=0.3)


def real_trouble(sample: Sample) -> list[str]:
    """Say what is wrong with a sample, the machine's being busy apart."""
    return [reason for reason in invalidity(sample) if not reason.startswith(("steal", "lag"))]


def test_a_sample_adds_up() -> None:
    seen: list[float] = []
    sample = measure(ours("threaded"), Load(4, 2, 0.2, 0.5), lambda elapsed_s, _: seen.append(elapsed_s))
    assert real_trouble(sample) == []
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
    assert real_trouble(sample) == []
    assert (sample.threads, sample.server_cpu_ns) == (0, 0)


def test_every_request_may_be_one_line() -> None:
    sample = measure(ours("blocking"), Load(1, 3, 0.05, 0.2, line="9,8,x"))
    assert real_trouble(sample) == []


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


def test_an_open_loop_gives_a_sample_that_adds_up() -> None:
    load = replace(SHORT, pipeline=1, arrivals="poisson", rate=500.0, seed=2, duration_s=0.6)
    sample = measure(ours("asyncio_streams"), load)
    assert real_trouble(sample) == []
    assert sample.planned == sample.sent == sample.ok
    assert sum(sample.response_ns.values()) == sample.offered > 200
    assert len(sample.series) == 20
    assert sum(sample.series) == sample.answered
    assert len(sample.response_slices_ns) == 100
    assert sample.response_max_ns >= max(sample.service_max_ns, sample.queueing_max_ns, sample.lag_max_ns)


@pytest.mark.parametrize("arrivals", ["closed", "constant"])
def test_several_generators_work_together(arrivals: str) -> None:
    load = replace(SHORT, clients=5, arrivals=arrivals, rate=400.0, generators=2)
    sample = measure(ours("asyncio_streams"), load)
    assert sample.generators == 2
    assert not sample.pinned
    assert sample.planned == sample.sent == sample.ok
    if arrivals == "constant":
        assert sample.planned == 160
        assert sum(sample.response_ns.values()) == sample.offered == 120


def test_an_open_loop_may_have_more_connections_than_select_takes_descriptors() -> None:
    load = Load(1100, 1, 0.1, 0.5, arrivals="constant", rate=200.0)
    sample = measure(ours("asyncio_streams"), load)
    assert real_trouble(sample) == []
    assert sample.planned == sample.ok == 120


def test_a_core_for_each_generator_or_none_at_all() -> None:
    assert cores_for(10_000) == ((), ())


def test_a_connection_costs_the_generator_little_memory(tmp_path: Path) -> None:
    """8 KiB each are allowed; the slope counts, so that the interpreter and its libraries do not."""

    def memory_bytes(address: tuple[str, int], clients: int) -> int:
        order = Order(*address, clients, 1, 0.0, 0.1, 1.0, str(tmp_path / "times"))
        with worker(GENERATOR, ()) as generator:
            generator.tell(json.dumps(asdict(order)), "connected")
            (process,) = psutil.Process().children()[-1:]
            return process.memory_info().rss

    with launch(ours("asyncio_streams"), max_clients=1000) as launched:
        few, many = (memory_bytes(launched.address, clients) for clients in (100, 900))
    assert (many - few) / 800 < 8192


@pytest.mark.parametrize("server", ["blocking", "trio_nursery"])
def test_connections_that_come_and_go_give_a_sample_that_adds_up(server: str) -> None:
    sample = measure(ours(server), Load(8, 1, 0.1, 0.4, churn=True))
    assert real_trouble(sample) == []
    assert sample.planned == sample.sent == sample.ok > 8
    assert sum(sample.connect_ns.values()) == sum(sample.response_ns.values()) == sample.answered
    assert sample.lag_max_ns == 0
    assert max(sample.connect_ns) <= max(sample.response_ns)


def test_company_is_kept_beside_the_clients_that_are_measured() -> None:
    load = replace(SHORT, company=Company(TRICKLE, 5))
    sample = measure(ours("gevent_greenlets"), load)
    assert real_trouble(sample) == []
    assert (sample.company, sample.company_clients) == (TRICKLE, 5)
    assert sample.company_asked == sample.company_ok >= 5
    assert sample.descriptors >= 4 + 5
    assert sample.fairness_jain is not None
    assert 0 < sample.fairness_jain <= 1
    assert sample.server_user_ns + sample.server_system_ns in {0, sample.server_cpu_ns}


def test_after_an_overload_the_recovery_is_timed() -> None:
    load = replace(
        SHORT, pipeline=1, arrivals="poisson", rate=400.0, relief_s=0.3, relief_rate=100.0, duration_s=0.5
    )
    sample = measure(ours("select_generators"), load)
    assert real_trouble(sample) == []
    assert sample.recovery_s is not None
    assert 0 <= sample.recovery_s <= 0.3
    assert sample.planned > sum(sample.response_ns.values()) == sample.offered > 100


def test_memory_is_read_once_a_second_in_the_window() -> None:
    series = MemorySeries([os.getpid()], replace(SHORT, warmup_s=0.5, duration_s=3.0))
    told: list[float] = []
    look = series.watched(lambda elapsed_s, _: told.append(elapsed_s))
    for quarter in range(20):
        look(quarter / 4, 0)
    assert len(series.seen_bytes) == 4
    assert all(size > 2**20 for size in series.seen_bytes)
    assert len(told) == 20


def test_a_server_on_all_cores_is_not_pinned_and_its_processes_count_together() -> None:
    sample = measure(ours("processes"), replace(SHORT, clients=8))
    assert (sample.regime, sample.pinned) == (ALL_CORES, False)
    assert sample.server_cores == len(psutil.Process().cpu_affinity())
    assert sample.ok == sample.sent > 0
    # The parent serves nobody: what it has used alone is next to nothing.
    assert sample.server_cpu_ns / sample.answered > 1000
    assert sample.threads >= 8


def test_only_a_server_on_one_core_is_pinned_to_it() -> None:
    load = replace(SHORT, server_cores=(0,), generator_cores=(1,))
    assert load_for(ours("threaded"), load) == load
    shared = load_for(ours("processes"), load)
    assert (shared.server_cores, shared.generator_cores, shared.pinned) == ((), (1,), False)
    assert list(shared.cores) == psutil.Process().cpu_affinity()  # where others' work is looked for
    assert load.cores == (0, 1)
    assert replace(load, server_cores=()).cores == ()


def test_a_generator_that_was_kept_from_its_core_tells_of_others_work() -> None:
    """The kernel's ticks may miss it: here they have seen no more than ours."""
    alone = replace(SHORT, server_cores=(0,), generator_cores=(1,))
    begin = Reading(0, 0, 0, 0)
    end = Reading(
        10**9, 500_000_000, 400_000_000, 0, cores_busy_ns=900_000_000, generator_waited_ns=300_000_000
    )
    assert _foreign_share(alone, begin, end) == pytest.approx(0.3)
    assert _foreign_share(replace(alone, company=Company(TRICKLE, 5)), begin, end) == 0
    assert _foreign_share(replace(alone, server_cores=(), generator_cores=()), begin, end) == 0
