"""One cell: what is measured of a server."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from harness.analyse.samples.validity import invalidity
from harness.drive.fleet import GENERATOR, as_line, worker
from harness.drive.orders import LoadOrder, Reading
from harness.errors import MeasureError
from harness.experiments.selftest.null_relay import null_relay
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.launch.selection import ours
from harness.machine.processes import snapshot
from harness.machine.resources import Cores, cores_for
from harness.plan import ALL_CORES, POISSON, TRICKLE, Background, Load, Waiting, relay
from harness.record import Sample
from harness.study.block import Crew
from harness.study.cell import VISITORS, _foreign_share, cores_of, measure, steal_share
from harness.study.observe import MemorySeries
from tests.makers import changed

SHORT = Load(clients=4, pipeline=2, warmup_s=0.1, duration_s=0.3)


def real_trouble(sample: Sample) -> list[str]:
    """Say what is wrong with a sample, the machine's being busy apart."""
    return [reason for reason in invalidity(sample) if not reason.startswith(("steal", "lag", "foreign"))]


@pytest.mark.parametrize("name", ["select_generators", "thread_pool"])
def test_a_relay_of_few_clients_has_places_for_all_that_come_before_them(name: str) -> None:
    sample = measure(ours(name), changed(relay(1, 16).load, warmup_s=0.05, duration_s=0.2))
    assert sample.load.clients == 16 < VISITORS
    assert sample.requests.ok == sample.requests.sent > 16


def test_one_tick_of_stolen_time_may_have_been_all_but_full_before_and_is_not_held_against_a_short_window() -> (
    None
):
    assert steal_share([(0.0, 1.0)]) == 0
    assert steal_share([(0.01, 0.6)]) == 0
    assert steal_share([(0.02, 1.0)]) == pytest.approx(0.01)
    assert steal_share([(0.01, 1.0), (0.06, 1.0)]) == pytest.approx(0.03)


def test_a_sample_adds_up() -> None:
    seen: list[float] = []
    sample = measure(
        ours("threaded"),
        Load(clients=4, pipeline=2, warmup_s=0.2, duration_s=0.5),
        lambda elapsed_s, _: seen.append(elapsed_s),
    )
    assert real_trouble(sample) == []
    assert 0 < sample.window.answered <= sample.requests.ok
    assert sample.window.answered + sample.window.answered_in_warmup <= sample.requests.ok
    assert (
        sum(sample.times.response.histogram.values())
        == sum(sample.times.service.histogram.values())
        == sample.window.answered
    )
    assert sample.server.cpu_ns > 0
    assert (
        0
        < sample.server.memory_ready_bytes
        <= sample.server.memory_connected_bytes
        <= sample.server.memory_peak_bytes
    )
    assert sample.server.threads >= 4
    assert sample.server.descriptors >= 4
    assert sample.server.switches_voluntary + sample.server.switches_involuntary > 0
    assert seen == sorted(seen)
    assert seen


def test_a_server_that_runs_already_is_loaded_as_it_is() -> None:
    with launch(ours("select_generators")) as launched:
        sample = measure(Candidate("there", address=launched.address), SHORT)
        assert launched.process.poll() is None
    assert real_trouble(sample) == []
    assert (sample.server.threads, sample.server.cpu_ns) == (0, 0)


def test_every_request_may_be_one_line() -> None:
    sample = measure(
        ours("blocking"), Load(clients=1, pipeline=3, warmup_s=0.05, duration_s=0.2, line="9,8,x")
    )
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
    measure(ours("blocking"), Load(clients=1, pipeline=1, warmup_s=0.0, duration_s=0.1))
    assert set(psutil.Process().children(recursive=True)) <= before


def test_server_and_generator_get_a_core_each_if_there_are_two() -> None:
    cores = cores_for()
    assert not set(cores.server) & set(cores.generators)
    assert cores.pinned == bool(cores.generators) == (len(psutil.Process().cpu_affinity()) > 1)


def test_nothing_is_known_of_a_server_without_a_process() -> None:
    assert snapshot(None).memory_bytes == 0


def test_an_open_loop_gives_a_sample_that_adds_up() -> None:
    load = changed(SHORT, pipeline=1, arrivals="poisson", rate=500.0, seed=2, duration_s=0.6)
    sample = measure(ours("asyncio_streams"), load)
    assert real_trouble(sample) == []
    assert sample.requests.planned == sample.requests.sent == sample.requests.ok
    assert sum(sample.times.response.histogram.values()) == sample.window.offered > 200
    assert len(sample.window.series) == 20
    assert sum(sample.window.series) == sample.window.answered
    assert len(sample.window.response_slices_ns) == 100
    assert sample.times.response.max_ns >= max(
        sample.times.service.max_ns, sample.times.queueing.max_ns, sample.times.lag.max_ns
    )


@pytest.mark.parametrize("arrivals", ["closed", "constant"])
def test_several_generators_work_together(arrivals: str) -> None:
    load = changed(SHORT, clients=5, arrivals=arrivals, rate=400.0)
    sample = measure(ours("asyncio_streams"), load, generators=2)
    assert sample.placement.generators == 2
    assert not sample.placement.pinned
    assert sample.requests.planned == sample.requests.sent == sample.requests.ok
    if arrivals == "constant":
        assert sample.requests.planned == 160
        assert sum(sample.times.response.histogram.values()) == sample.window.offered == 120


def test_an_open_loop_may_have_more_connections_than_select_takes_descriptors() -> None:
    load = Load(clients=1100, pipeline=1, warmup_s=0.1, duration_s=0.5, arrivals="constant", rate=200.0)
    sample = measure(ours("asyncio_streams"), load)
    assert real_trouble(sample) == []
    assert sample.requests.planned == sample.requests.ok == 120


def test_a_core_for_each_generator_or_none_at_all() -> None:
    assert cores_for(10_000) == Cores()


def test_a_connection_costs_the_generator_little_memory(tmp_path: Path) -> None:
    """8 KiB each are allowed; the slope counts, so that the interpreter and its libraries do not."""

    def memory_bytes(address: tuple[str, int], clients: int) -> int:
        load = Load(clients=clients, warmup_s=0.0, duration_s=0.1, timeout_s=1.0)
        order = LoadOrder(host=address[0], port=address[1], load=load, times_file=str(tmp_path / "times"))
        with worker(GENERATOR, ()) as generator:
            generator.tell(as_line(order), "connected")
            (process,) = psutil.Process().children()[-1:]
            return process.memory_info().rss

    with launch(ours("asyncio_streams"), max_clients=1000) as launched:
        few, many = (memory_bytes(launched.address, clients) for clients in (100, 900))
    assert (many - few) / 800 < 8192


@pytest.mark.parametrize("server", ["blocking", "trio_nursery"])
def test_connections_that_come_and_go_give_a_sample_that_adds_up(server: str) -> None:
    sample = measure(ours(server), Load(clients=8, pipeline=1, warmup_s=0.1, duration_s=0.4, churn=True))
    assert real_trouble(sample) == []
    assert sample.requests.planned == sample.requests.sent == sample.requests.ok > 8
    assert (
        sum(sample.times.connect_ns.values())
        == sum(sample.times.response.histogram.values())
        == sample.window.answered
    )
    assert sample.times.lag.max_ns == 0
    assert max(sample.times.connect_ns) <= max(sample.times.response.histogram)


def test_clients_in_the_background_are_kept_beside_the_clients_that_are_measured() -> None:
    load = changed(SHORT, background=Background(TRICKLE, 5))
    sample = measure(ours("gevent_greenlets"), load)
    assert real_trouble(sample) == []
    assert sample.load.background == Background(TRICKLE, 5)
    assert sample.background.asked == sample.background.ok >= 5
    assert sample.server.descriptors >= 4 + 5
    assert sample.window.fairness_jain is not None
    assert 0 < sample.window.fairness_jain <= 1
    assert sample.server.user_ns + sample.server.system_ns in {0, sample.server.cpu_ns}


def test_after_an_overload_the_recovery_is_timed() -> None:
    load = changed(
        SHORT, pipeline=1, arrivals="poisson", rate=400.0, relief_s=0.3, relief_rate=100.0, duration_s=0.5
    )
    sample = measure(ours("select_generators"), load)
    assert real_trouble(sample) == []
    assert sample.window.recovery_s is not None
    assert 0 <= sample.window.recovery_s <= 0.3
    assert (
        sample.requests.planned > sum(sample.times.response.histogram.values()) == sample.window.offered > 100
    )


def test_memory_is_read_once_a_second_in_the_window() -> None:
    series = MemorySeries([os.getpid()], changed(SHORT, warmup_s=0.5, duration_s=3.0))
    told: list[float] = []
    look = series.watched(lambda elapsed_s, _: told.append(elapsed_s))
    for quarter in range(20):
        look(quarter / 4, 0)
    assert len(series.seen_bytes) == 4
    assert all(size > 2**20 for size in series.seen_bytes)
    assert len(told) == 20


def test_a_server_on_all_cores_is_not_pinned_and_its_processes_count_together() -> None:
    sample = measure(ours("processes"), changed(SHORT, clients=8))
    assert (sample.placement.regime, sample.placement.pinned) == (ALL_CORES, False)
    assert sample.placement.server_cores == len(psutil.Process().cpu_affinity())
    assert sample.requests.ok == sample.requests.sent > 0
    # The parent serves nobody: what it has used alone is next to nothing.
    assert sample.server.cpu_ns / sample.window.answered > 1000
    assert sample.server.threads >= 8


def test_only_a_server_on_one_core_is_pinned_to_it() -> None:
    cores = psutil.Process().cpu_affinity()
    alone, shared = cores_for(), cores_for(all_cores=True)
    assert (shared.server, shared.generators, shared.pinned) == ((), alone.generators, False)
    assert list(shared.own) == cores  # where others' work is looked for
    assert list(alone.own) == (cores[:2] if alone.pinned else [])


def test_a_generator_that_was_kept_from_its_core_tells_of_others_work() -> None:
    """The kernel's ticks may miss it: here they have seen no more than ours."""
    alone = Cores((0,), (1,))
    begin = Reading(at_ns=0, server_cpu_ns=0, generator_cpu_ns=0, spun_ns=0)
    end = Reading(
        at_ns=10**9,
        server_cpu_ns=500_000_000,
        generator_cpu_ns=400_000_000,
        spun_ns=0,
        cores_busy_ns=900_000_000,
        generator_waited_ns=300_000_000,
    )
    beside = changed(SHORT, background=Background(TRICKLE, 5))
    assert _foreign_share(alone, 1, SHORT, [(begin, end)]) == pytest.approx(0.3)
    assert _foreign_share(alone, 1, beside, [(begin, end)]) == 0
    assert _foreign_share(Cores(), 1, SHORT, [(begin, end)]) == 0


def test_the_work_of_a_server_that_is_not_ours_is_not_told_from_others() -> None:
    begin = Reading(at_ns=0, server_cpu_ns=0, generator_cpu_ns=0, spun_ns=0)
    end = Reading(
        at_ns=10**9, server_cpu_ns=0, generator_cpu_ns=400_000_000, spun_ns=0, cores_busy_ns=1_300_000_000
    )
    assert _foreign_share(Cores((0,), (1,)), 1, SHORT, [(begin, end)]) == 0


def test_of_a_relay_all_four_times_of_each_request_are_known() -> None:
    load = Load(clients=8, warmup_s=0.1, duration_s=0.4, upstream=Waiting(wait_s=0.005, pool=8))
    sample = measure(null_relay("null"), load)
    assert real_trouble(sample) == []
    used = sample.upstream
    assert used is not None
    assert (used.strays, used.under_way_ns) == (0, used.integral_ns)
    assert 0 < used.most <= 8
    for part in (used.asking, used.returning, used.own):
        assert sum(part.histogram.values()) == sample.window.answered
    # What is left of a response is what the upstream has not taken, each question at least its wait.
    assert sample.times.response_sum_ns >= sample.window.answered * 5_000_000


def test_a_relay_is_offered_requests_whatever_its_upstream_does_and_works_off_what_has_piled_up() -> None:
    waiting = Waiting(wait_s=0.005, pool=8, stall_s=0.2)
    load = Load(
        clients=8, arrivals=POISSON, rate=400.0, warmup_s=0.1, duration_s=0.4, relief_s=0.4, relief_rate=400.0,
        upstream=waiting,
    )  # fmt: skip
    sample = measure(null_relay("null"), load)
    assert real_trouble(sample) == []
    used = sample.upstream
    assert used is not None
    assert (used.strays, used.under_way_ns) == (0, used.integral_ns)
    assert sample.window.offered > sample.window.answered
    assert sample.times.response.max_ns >= 200_000_000
    assert sample.window.recovery_s is not None


def test_relays_are_loaded_one_after_the_other_by_one_generator_until_it_cannot_go_on() -> None:
    load = Load(clients=4, warmup_s=0.05, duration_s=0.5, upstream=Waiting(wait_s=0.002, pool=4))
    relay = null_relay("null")
    with ExitStack() as stack:
        crew = Crew(stack)
        workers = crew.relaying(cores_of(relay))
        for _ in range(2):
            assert real_trouble(measure(relay, load, workers=workers)) == []
            assert crew.relaying(cores_of(relay)) is workers
        crew.end_relaying()
        assert not psutil.pid_exists(workers.generators[0].pid)
        assert real_trouble(measure(relay, load, workers=crew.relaying(cores_of(relay)))) == []


def test_a_relay_that_cannot_be_one_is_not_measured(faulty: Callable[..., Candidate]) -> None:
    load = Load(clients=1, warmup_s=0.1, duration_s=0.2, upstream=Waiting(wait_s=0.001, pool=1))
    with pytest.raises(MeasureError, match="asks no upstream"):
        measure(faulty("none"), load)
