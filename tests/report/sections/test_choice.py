"""Choose this when: rules over figures, that follow the figures when two servers swap them."""

from collections.abc import Callable

import numpy as np
import pytest

from harness.analyse.advice import (
    HUNDREDS,
    Advice,
    Computing,
    MostlyIdle,
    NobodyLeftBehind,
    ShortTail,
    SimplestCode,
)
from harness.analyse.analysis import analyse
from harness.analyse.blocks import launches_of
from harness.analyse.rankings import tail_ranking
from harness.plan import ALL_CORES, by_name
from harness.record import Results, Sample, ServerFacts
from harness.record.buckets import histogram
from harness.report.sections.choice import choice_section, chosen, in_words
from tests.makers import as_markdown, changed

Make = Callable[..., Sample]
A, B = "threaded", "trio_nursery"


def a_launch(make_sample: Make, server: str, block: int, workload: str, factor: float) -> Sample:
    """Make up a launch of a server that takes so many times as much of everything."""
    clients = by_name(workload).load.clients
    jitter = 1 + 0.001 * ((block + len(server)) % 3)
    cpu_us = 10 * factor * jitter
    responses_ns = np.full(20_000, 500_000 * factor * jitter, dtype=np.int64)
    return make_sample(
        server, block, workload, rps=0.98e6 / cpu_us, cpu_us=cpu_us, clients=clients, threads=66 if factor == 1 else 2,
        response_ns=histogram(responses_ns, np.ones_like(responses_ns)), response_sum_ns=clients * 10**9,
        memory_ready_bytes=20 << 20, memory_connected_bytes=(21 << 20) + int(factor * 2**20),
        memory_peak_bytes=int(factor * 40 * 2**20 * jitter),
    )  # fmt: skip


@pytest.fixture
def run(make_results: Callable[..., Results], make_sample: Make) -> Results:
    """Make up a run in which A is better than B in all that is asked."""
    workloads = ("clients_8", "clients_64", "clients_500", "idle_10000", "open_5k", "costly")
    samples = [
        a_launch(make_sample, server, block, workload, factor)
        for block in range(5)
        for server, factor in ((A, 1.0), (B, 2.0))
        for workload in workloads
    ]
    servers = tuple(
        ServerFacts(label, "a model", ("concurrent", "many_clients"), "", f"{label}.py", lines, "0")
        for label, lines in ((A, 80), (B, 100))
    )
    results = make_results()
    manifest = changed(results.manifest, servers=servers, workloads=workloads)
    return changed(results, samples=tuple(samples), manifest=manifest)


@pytest.fixture
def waiting(run: Results, make_relayed: Make) -> Results:
    """Make up a run of relays: with few clients both answer the same; with many, A answers twice as much at half the CPU."""
    names = (
        "relay_5ms_16",
        "relay_5ms_256",
        "relay_20ms_256",
        "relay_5ms_64_pool_10",
        "relay_5ms_256_pool_10",
    )
    samples = []
    for name in names:
        load = by_name(name).load
        for block in range(4):
            for server, factor in ((A, 1.0), (B, 1.0 if load.clients == 16 else 2.0)):
                jitter = 1 + 0.001 * ((block + len(server)) % 3)
                responses_ns = np.full(20_000, int(9e6 * factor * jitter), dtype=np.int64)
                samples.append(
                    make_relayed(
                        server, block, workload=name, load=load, rps=1_500 / factor * jitter, cpu_us=40 * factor * jitter,
                        threads=load.clients + 1 if server == B else 1,
                        response_ns=histogram(responses_ns, np.ones_like(responses_ns)),
                    )
                )  # fmt: skip
    design = changed(run.manifest.design, workloads=names)
    return changed(run, samples=tuple(samples), manifest=changed(run.manifest, design=design))


def test_what_is_said_of_waiting_follows_from_the_map(waiting: Results) -> None:
    found = {in_words(each)[0]: (each, in_words(each)[1]) for each in advised(waiting)}
    best, why = found["Handlers that wait for something else"]
    assert best.servers == (A,)
    assert (
        "of 3 fields of the map, in the 2 where any that serve all clients were told apart, it has the best figure in 2; among "
        in why
    )
    threads, why = found["Threads, though handlers wait"]
    assert threads.servers == (B,)
    assert "one of them or all not told apart from who answers most with 16 clients and 5 ms; " in why
    assert (
        "even the best of them answers less with 256 clients and 5 ms and with 256 clients and 20 ms: " in why
    )
    assert f"`{A}` answers 2.00 times as much as `{B}`" in why
    short, why = found["Many clients, and few connections to what they wait for"]
    assert short.servers == (A,)
    assert f"8.98 ms, at `{B}` within 17.96 ms" in why


def test_a_long_list_is_said_by_who_is_not_of_it(run: Results) -> None:
    others = tuple(
        changed(sample, server=f"{A} {number}")
        for sample in run.samples
        if sample.cell.server == A
        for number in range(4)
    )
    facts = [changed(run.manifest.servers[0], label=f"{A} {number}") for number in range(4)]
    manifest = changed(run.manifest, servers=(*run.manifest.servers, *facts))
    few, many = (
        next(each for each in advised(results) if isinstance(each, ShortTail))
        for results in (run, changed(run, samples=(*run.samples, *others), manifest=manifest))
    )
    assert chosen(few) == f"`{A}`"
    assert chosen(many) == f"any but `{B}`"


def test_where_threads_are_not_told_apart_for_want_of_precision_alone_is_said(waiting: Results) -> None:
    """With 16 clients and 5 ms both answer the same; now B half as much in two of four launches, which says nothing for sure."""
    odd = tuple(
        changed(
            sample,
            answered=sample.window.answered // 3,
            response_sum_ns=sample.times.response_sum_ns,
        )
        if (sample.cell.server, sample.cell.workload) == (B, "relay_5ms_16") and sample.cell.block % 2
        else sample
        for sample in waiting.samples
    )
    alike, unsure = (
        dict(map(in_words, advised(results)))["Threads, though handlers wait"]
        for results in (waiting, changed(waiting, samples=odd))
    )
    assert "want of precision" not in alike
    assert "(of these with 16 clients and 5 ms for want of precision alone: " in unsure


def test_what_is_said_of_waiting_is_swapped_with_the_figures(waiting: Results) -> None:
    text = as_markdown(choice_section(advised(waiting)))
    mirrored = as_markdown(choice_section(advised(swapped(waiting))))
    assert text != mirrored
    assert mirrored == text.replace(A, "?").replace(B, A).replace("?", B)


def advised(results: Results) -> tuple[Advice, ...]:
    return analyse(results).advice


def swapped(results: Results) -> Results:
    other = {A: B, B: A}
    samples = tuple(changed(sample, server=other[sample.cell.server]) for sample in results.samples)
    servers = tuple(changed(facts, label=other[facts.label]) for facts in results.manifest.servers)
    return changed(results, samples=samples, manifest=changed(results.manifest, servers=servers))


def test_every_situation_has_an_answer_from_the_figures(run: Results) -> None:
    found = {in_words(each)[0]: each for each in advised(run)}
    assert set(found) == {
        "A few clients, the simplest code",
        "Many connections, mostly idle",
        "A short tail with hundreds of clients",
        "Requests that compute",
        "Libraries that block",
        "The least memory",
    }
    assert {each.servers for each in found.values()} == {(A,)}
    why = dict(in_words(each) for each in found.values())
    assert "`threaded` 80, the next longer one 100" in why["A few clients, the simplest code"]
    assert f"`{B}`" in why["Many connections, mostly idle"]
    assert "66 threads" in why["Libraries that block"]


def test_two_servers_that_swap_their_figures_swap_their_sentences(run: Results) -> None:
    text = as_markdown(choice_section(advised(run)))
    mirrored = as_markdown(choice_section(advised(swapped(run))))
    assert text != mirrored
    assert mirrored == text.replace(A, "?").replace(B, A).replace("?", B)


def test_the_simplest_code_ends_at_a_gap_and_leaves_out_no_near_equal(run: Results) -> None:
    """77, 84 and 92 lines are one after the other; 121 are not. A cut-off at 10 % above the shortest would name but one."""
    for order in ((A, B), (B, A)):
        lines = dict(zip((*order, "gevent_greenlets", "select_generators"), (77, 84, 92, 121), strict=True))
        servers = tuple(
            changed(run.manifest.servers[0], label=label, code_lines=count) for label, count in lines.items()
        )
        found = advised(changed(run, manifest=changed(run.manifest, servers=servers)))
        simplest = next(each for each in found if isinstance(each, SimplestCode))
        assert simplest.servers == (*order, "gevent_greenlets")
        assert simplest.next_lines == 121


def with_shares(run: Results, shares: dict[str, float]) -> Results:
    """Return a run in which the worst served of 500 clients gets such shares."""
    samples = tuple(
        changed(sample, worst_client_share=shares[sample.cell.server] * (1 + 0.001 * sample.cell.block))
        for sample in run.samples
    )
    return changed(run, samples=samples)


def test_one_that_leaves_clients_behind_is_named_and_not_the_others(run: Results) -> None:
    for behind, other in ((A, B), (B, A)):
        found = advised(with_shares(run, {behind: 0.57, other: 0.98}))
        advice = next(each for each in found if isinstance(each, NobodyLeftBehind))
        assert chosen(advice) == f"any but `{behind}`"
        why = in_words(advice)[1]
        assert f"on average 57% at `{behind}`; at all others, with 500, 98% or more" in why


def test_who_is_left_behind_has_its_share_with_the_most_clients_beside_it(run: Results) -> None:
    hundreds = with_shares(run, {A: 0.57, B: 0.98})
    crowd = tuple(
        changed(sample, workload="clients_1000")
        for sample in with_shares(run, {A: 0.21, B: 0.99}).samples
        if sample.cell.workload == HUNDREDS
    )
    design = changed(run.manifest.design, workloads=(*run.manifest.design.workloads, "clients_1000"))
    both = changed(
        hundreds, samples=(*hundreds.samples, *crowd), manifest=changed(run.manifest, design=design)
    )
    advice = next(each for each in advised(both) if isinstance(each, NobodyLeftBehind))
    assert f"on average 57% at `{A}`, with 1,000 clients 21% at `{A}`; at all" in in_words(advice)[1]


def test_a_difference_that_is_known_and_does_not_matter_names_nobody(run: Results) -> None:
    found = advised(with_shares(run, {A: 0.974, B: 1.0}))
    assert not any(isinstance(each, NobodyLeftBehind) for each in found)


def test_who_waits_least_in_half_and_in_the_tail_is_recommended_where_requests_compute(run: Results) -> None:
    """One that is first in the tail alone stands behind one that is not told apart there and better in half."""
    for quick, slow in ((A, B), (B, A)):
        samples = tuple(
            changed(sample, server=server, response_ns=responses(p50_us, sample.cell.block))
            for sample in run.samples
            if sample.cell.workload == "costly" and sample.cell.server == A
            for server, p50_us in ((quick, 70), (slow, 1570))
        )
        found = advised(changed(run, samples=samples))
        computing = next(each for each in found if isinstance(each, Computing))
        assert computing.servers == (quick,)
        why = in_words(computing)[1]
        assert "p50 0.07" in why
        assert "p50 1.56" in why
        assert why.count("p99.9") == 2, "no quantile without the others"


def responses(p50_us: int, block: int) -> dict[int, int]:
    """Make up responses: nine in ten take so long, and one in ten, of whichever server, about 2 ms, more in some blocks."""
    times_ns = np.array(
        [p50_us * 1000] * 18_000 + [2_000_000 + 100_000 * (block % 3)] * 2_000, dtype=np.int64
    )
    return histogram(times_ns, np.ones_like(times_ns))


def test_a_crowd_that_is_silent_is_judged_by_memory_first(run: Results) -> None:
    """A costs less CPU, B holds less: B is recommended."""
    for lean, fat in ((A, B), (B, A)):
        samples = tuple(
            changed(
                sample,
                memory_peak_bytes=int(
                    (40 if sample.cell.server == lean else 260) * 2**20 * (1 + 0.001 * sample.cell.block)
                ),
            )
            for sample in run.samples
        )
        found = advised(changed(run, samples=samples))
        idle = next(each for each in found if isinstance(each, MostlyIdle))
        assert idle.servers == (lean,)
        assert idle.memory.last == fat
        assert idle.cpu is not None
        assert idle.cpu.first == A


def test_who_uses_all_cores_is_held_beside_the_others_and_not_recommended(run: Results) -> None:
    """It is the only one of its regime: the best of nobody."""
    third = tuple(
        changed(sample, regime=ALL_CORES, pinned=False, server="processes")
        for sample in run.samples
        if sample.cell.server == A and sample.cell.workload == "costly"
    )
    facts = changed(run.manifest.servers[0], label="processes", regime=ALL_CORES)
    manifest = changed(run.manifest, servers=(*run.manifest.servers, facts))
    found = advised(changed(run, samples=(*run.samples, *third), manifest=manifest))
    assert all("processes" not in each.servers for each in found)
    why = dict(map(in_words, found))["Requests that compute"]
    assert "`processes`, with all cores, p50 0.5" in why


def test_one_server_alone_is_recommended_for_nothing_that_others_could_do(run: Results) -> None:
    samples = tuple(sample for sample in run.samples if sample.cell.server == A)
    manifest = changed(run.manifest, servers=run.manifest.servers[:1])
    found = {in_words(each)[0] for each in advised(changed(run, samples=samples, manifest=manifest))}
    assert found <= {"Libraries that block"}


def test_a_run_that_tells_nothing_recommends_nothing(make_results: Callable[..., Results]) -> None:
    results = make_results()
    nothing = changed(results, samples=(), manifest=changed(results.manifest, servers=()))
    assert choice_section(advised(nothing)) == []


def test_tails_are_ranked_by_a_quantile_that_most_have(run: Results) -> None:
    """Else the one that has the farther quantile, for whatever reason, would be the shortest."""
    found = tail_ranking(launches_of(run.samples), "clients_500")
    assert found is not None
    assert (found.tail.metric, found.without) == ("response_p99_us", ())
    few = changed(run, samples=tuple(a_few_answers(sample, B) for sample in run.samples))
    found = tail_ranking(launches_of(few.samples), "clients_500")
    assert found is not None
    assert (found.tail.metric, found.without) == ("response_p90_us", ())
    assert set(found.ranking.estimates) == {A, B}


def test_one_that_has_too_few_takes_the_quantile_from_nobody_and_is_named(run: Results) -> None:
    third = tuple(
        changed(a_few_answers(sample, A), server="another")
        for sample in run.samples
        if sample.cell.server == A
    )
    with_third = changed(run, samples=(*run.samples, *third))
    found = tail_ranking(launches_of(with_third.samples), "clients_500")
    assert found is not None
    assert (found.tail.metric, found.without) == ("response_p99_us", ("another",))
    assert set(found.ranking.estimates) == {A, B}
    assert "too little is known of `another`" in as_markdown(choice_section(advised(with_third)))


def a_few_answers(sample: Sample, server: str) -> Sample:
    """Leave a server so few responses that in five launches there are not 100 events beyond the 99 % quantile."""
    if sample.cell.server != server:
        return sample
    return changed(
        sample,
        response_ns={bucket: min(count, 1_500) for bucket, count in sample.times.response.histogram.items()},
    )
