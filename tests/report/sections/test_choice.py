"""Choose this when: rules over figures, that follow the figures when two servers swap them."""

from collections.abc import Callable

import numpy as np
import pytest

from harness.analyse.advice import Advice
from harness.analyse.analysis import analyse
from harness.analyse.blocks import launches_of
from harness.analyse.rankings import ranking, tail_ranking
from harness.analyse.samples.metrics import metric
from harness.plan import ALL_CORES, by_name
from harness.record import Results, Sample, ServerFacts
from harness.record.buckets import histogram
from harness.report.sections.choice import choice_section, in_words
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
    assert "of 3 fields of the map below it was among those that answer most in 3" in why
    threads, why = found["Threads whose handlers wait"]
    assert threads.servers == (B,)
    assert (
        "as much as any with 16 clients and 5 ms; not with 256 clients and 5 ms and 256 clients and 20 ms"
        in why
    )
    assert f"`{A}` answers 2.00 times as much as `{B}`" in why
    short, why = found["Many clients, and few connections to what they wait for"]
    assert short.servers == (A,)
    assert f"8.98 ms, at `{B}` within 17.96 ms" in why


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
    assert "80 lines" in why["A few clients, the simplest code"]
    assert f"`{B}`" in why["Many connections, mostly idle"]
    assert "66 threads" in why["Libraries that block"]


def test_two_servers_that_swap_their_figures_swap_their_sentences(run: Results) -> None:
    text = as_markdown(choice_section(advised(run)))
    mirrored = as_markdown(choice_section(advised(swapped(run))))
    assert text != mirrored
    assert mirrored == text.replace(A, "?").replace(B, A).replace("?", B)


def test_servers_that_were_not_told_apart_are_named_together(make_results: Callable[..., Results]) -> None:
    found = ranking(launches_of(make_results(factor=1.0).samples), "clients_64", metric("throughput_rps"))
    assert found is not None
    assert set(found.leaders) == {A, B}


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
    assert "too few requests lie beyond to say it of `another`" in as_markdown(
        choice_section(advised(with_third))
    )


def a_few_answers(sample: Sample, server: str) -> Sample:
    """Leave a server so few responses that in five launches there are not 100 events beyond the 99 % quantile."""
    if sample.cell.server != server:
        return sample
    return changed(
        sample,
        response_ns={bucket: min(count, 1_500) for bucket, count in sample.times.response.histogram.items()},
    )
