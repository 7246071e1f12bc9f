"""The first screen: sentences that follow from figures, are turned round with them, and say what was not measured."""

from collections.abc import Callable

import numpy as np
import pytest

from harness.analyse.analysis import analyse
from harness.plan import POISSON, RELAY, Load, by_name
from harness.record import Arm, EffectResult, Histogram, Results, Sample
from harness.record.buckets import histogram
from harness.report.sections.answer import first_screen
from harness.report.sections.sentences import latency_sentence, sentences
from harness.report.sections.views import views_section
from tests.makers import as_markdown, changed, with_one_client

A, B = "threaded", "trio_nursery"
OFFERED = Load(arrivals=POISSON, rate=5000.0)


def screen_of(results: Results) -> str:
    return as_markdown(first_screen(analyse(results)))


def swapped(results: Results) -> Results:
    other = {A: B, B: A}
    samples = tuple(
        changed(sample, server=sample.cell.server.replace(model, other[model]))
        for sample in results.samples
        for model in other
        if sample.cell.server.startswith(model)
    )
    return changed(results, samples=samples)


def with_cpu(sample: Sample, share: float) -> Sample:
    return changed(sample, server_cpu_ns=int(sample.server.cpu_ns * share))


@pytest.fixture
def run(make_results: Callable[..., Results], make_sample: Callable[..., Sample]) -> Results:
    """Make up a run in which B answers half as much with 8 clients, and twice as much with 500."""
    rates = {A: {8: 20_000, 500: 10_000}, B: {8: 10_000, 500: 20_000}}
    closed = [
        make_sample(
            server, block, f"clients_{clients}", rps=rps * (1 + 0.002 * ((block + len(server)) % 3)), cpu_us=0.98e6 / rps,
            clients=clients, response_sum_ns=clients * 10**9,
        )
        for server, of_server in rates.items()
        for clients, rps in of_server.items()
        for block in range(5)
    ]  # fmt: skip
    opened = [
        make_sample(server, block, "open_5k", rps=5_000, cpu_us=cpu_us * (1 + 0.002 * block), load=OFFERED)
        for server, cpu_us in ((A, 30), (B, 60))
        for block in range(5)
    ]
    names = ("clients_8", "clients_500", "open_5k")
    return changed(make_results(workloads=names), samples=(*closed, *opened))


def test_what_decides_is_said_and_is_turned_round_with_the_figures(run: Results) -> None:
    text, mirrored = screen_of(run), screen_of(swapped(run))
    assert f"**Saturated, `{A}` beats `{B}` with few clients and loses to it with many.**" in text
    assert "0.50 with 8, 2.00 with 500 clients" in text
    assert f"`{A}` 15%, `{B}` 30%" in text
    assert f"**Saturated, `{B}` beats `{A}` with few clients and loses to it with many.**" in mirrored
    assert f"`{A}` 30%, `{B}` 15%" in mirrored, "in the order of the sources"


def test_who_takes_the_longest_farther_out_is_named_beside_the_last(run: Results) -> None:
    """By p90 it is B; of what lies beyond, too little is known for a ranking, and A's is the longest."""
    all_alike, long_tail = ({200_000: 1_500}, {100_000: 1_400, 3_000_000: 100})

    def with_tails(**responses_ns: dict[int, int]) -> str:
        of_a_few = tuple(
            changed(sample, response_ns=_of(responses_ns[sample.cell.server]))
            if sample.cell.workload == "open_5k"
            else sample
            for sample in run.samples
        )
        return screen_of(changed(run, samples=of_a_few))

    text = with_tails(threaded=long_tail, trio_nursery=all_alike)
    assert f"Farther out `{A}` took the longest, p50 0.10, p90 0.10, p99 3" in text
    assert f"Farther out `{B}` took the longest" in with_tails(threaded=all_alike, trio_nursery=long_tail)
    assert "Farther out" not in with_tails(threaded=all_alike, trio_nursery={900_000: 1_500})


def _of(responses_ns: dict[int, int]) -> Histogram:
    return histogram(np.array([*responses_ns]), np.array([*responses_ns.values()]))


def test_no_quantile_stands_without_the_others(run: Results) -> None:
    for line in screen_of(run).splitlines():
        if "p90 " in line:
            assert line.count("p50 ") == line.count("p90 ") == line.count("p99 ") == line.count("p99.9 ")


def test_what_was_not_measured_is_said_and_nothing_else_of_it(run: Results) -> None:
    text = screen_of(run)
    assert "handlers that wait, servers that are free on all cores" in text
    assert "**Handlers that wait**: not measured in this run" in text
    assert "with the interpreter's lock or without**: not measured in this run" in text
    assert "A connection costs" not in text


def test_what_was_measured_and_not_told_apart_is_not_said_to_be_missing(
    run: Results,
) -> None:
    alike = [
        changed(sample, server=f"{A}+free")
        for sample in run.samples
        if (sample.cell.server, sample.cell.workload) == (A, "clients_8")
    ]
    text = screen_of(changed(run, samples=(*run.samples, *alike)))
    assert "**Where it runs**: of what was measured of it no difference was told apart." in text
    assert "with the interpreter's lock or without**: not measured" not in text


def test_a_place_and_an_interpreter_are_told_where_they_are_known_to_matter(run: Results) -> None:
    ways = {f"{A}+free": 2.0, f"{A}@3.13t": 0.5}
    samples = tuple(
        changed(sample, server=name, server_cpu_ns=int(factor * sample.server.cpu_ns))
        for sample in run.samples
        if (sample.cell.server, sample.cell.workload) == (A, "open_5k")
        for name, factor in ways.items()
    )
    facts = (changed(run.manifest.servers[0], label=name) for name in ways)
    manifest = changed(run.manifest, servers=(*run.manifest.servers, *facts))
    text = screen_of(changed(run, samples=(*run.samples, *samples), manifest=manifest))
    load = "(5,000 requests/s offered)"
    assert f"Free on all cores instead: `{A}` 2.00 times the CPU of a request {load}." in text
    assert f"On 3.13t instead: `{A}` 0.50 times the CPU of a request {load}." in text
    assert "free on all cores, " not in text.partition("1. ")[0]


def test_a_place_is_told_once_for_all_loads_and_the_greatest_difference_first(run: Results) -> None:
    free = tuple(
        changed(sample, server=f"{sample.cell.server}+free", server_cpu_ns=int(factor * sample.server.cpu_ns))
        for sample in run.samples
        for factor in [{A: 2, B: 4}[sample.cell.server] + (sample.cell.workload == "clients_500")]
    )
    facts = (changed(each, label=f"{each.label}+free") for each in run.manifest.servers)
    manifest = changed(run.manifest, servers=(*run.manifest.servers, *facts))
    text = screen_of(changed(run, samples=(*run.samples, *free), manifest=manifest))
    first, second = (
        f"`{server}` {least}.00 to {most}.00 times the CPU of a request (3 loads)"
        for server, least, most in ((B, 4, 5), (A, 2, 3))
    )
    assert f"Free on all cores instead: {first}; {second}." in text


def test_an_experiment_on_the_lock_is_told_of(run: Results) -> None:
    arms = Arm("threaded, free", {"cpu_us": 31.0}), Arm("threaded, pinned", {"cpu_us": 17.0})
    effect = EffectResult("placement", "They fight", "cpu_us", "CPU µs", *arms, True, False, "", "", "")
    assert "threaded, free, CPU µs 31.0; threaded, pinned, 17.0" in screen_of(changed(run, effects=(effect,)))


@pytest.fixture
def relayed(run: Results, make_relayed: Callable[..., Sample]) -> Results:
    """Make up a run of relays besides: with 500 clients A answers half of what the pool allows, and B nine tenths."""
    names = (RELAY.name, "relay_5ms_16", "relay_5ms_256")
    samples = tuple(
        make_relayed(
            server,
            block,
            workload=name,
            load=by_name(name).load,
            share=share * (1 + 0.002 * block),
            threads=threads,
        )
        for name in names
        for block in range(4)
        for server, share, threads in ((A, 0.5, 1002), (B, 0.9, 2))
    )
    manifest = changed(run.manifest, workloads=(*run.manifest.design.workloads, *names))
    return changed(run, samples=(*run.samples, *samples), manifest=manifest)


def test_handlers_that_wait_have_a_sentence_a_table_and_a_figure(relayed: Results) -> None:
    for results, slow, fast in ((relayed, A, B), (swapped(relayed), B, A)):
        text = screen_of(results)
        assert f"500 clients and 5 ms, a pool of 100, `{fast}` answered most" in text
        assert f"`{fast}` 90%" in text
        assert f"`{slow}` 50%" in text
        assert (
            "**500 clients, and a handler that waits 5 ms**, over a pool of 100 connections: 20,000 requests/s at most."
            in text
        )
        assert "handlers that wait, " not in text.partition("1. ")[0]
        views = as_markdown(views_section(analyse(results), ["relays.svg"]))
        assert f"**With 256 clients and 5 ms `{fast}` answered most" in views


def test_who_answers_fewest_is_explained_by_its_core_if_that_is_its_limit(run: Results) -> None:
    many = changed(run, samples=tuple(each for each in run.samples if each.cell.workload == "clients_500"))
    lazy = changed(many, samples=tuple(with_cpu(each, 0.5) for each in many.samples))
    for results, slow, fast in ((many, A, B), (swapped(many), B, A)):
        views = as_markdown(views_section(analyse(results), ["clients.svg"]))
        assert f"**Most requests/s: `{fast}` with 500 clients.**" in views
        assert (
            f"Why: with 500 clients `{slow}` is limited by its core, and a request costs it 98.0 µs of CPU, `{fast}` 49.0."
            in views
        )
    assert "No rule names a cause for it." in as_markdown(views_section(analyse(lazy), ["clients.svg"]))


def test_with_a_core_to_spare_a_request_that_costs_more_than_when_busy_is_said_to_wake_its_server(
    run: Results,
) -> None:
    def views(results: Results) -> str:
        return as_markdown(views_section(analyse(results), ["spare.svg"]))

    assert (
        "Why: a request costs `trio_nursery` 60 µs of CPU here and 49.0 when it is busy with 500 clients"
        in views(run)
    )
    of_light = tuple(
        with_cpu(each, 0.25) if each.cell.workload == "open_5k" else each for each in run.samples
    )
    assert "No rule names a cause for it." in views(changed(run, samples=of_light))


def test_a_run_without_data_is_a_screen_without_claims(make_results: Callable[..., Results]) -> None:
    text = screen_of(changed(make_results(), samples=()))
    assert "Saturated" not in text
    assert "all busy" not in text


def test_who_is_seldom_woken_is_not_said_to_wait(make_results: Callable[..., Results]) -> None:
    results = make_results(workloads=("ping_pong",))
    for awake, other in ((A, B), (B, A)):
        samples = with_one_client((with_cpu(each, 0.25) for each in results.samples), {awake: 0.75})
        analysis = analyse(changed(results, samples=samples))
        text = latency_sentence(analysis.one_core.tables["ping_pong"].rows)
        assert f"Not so at `{awake}`" in text
        assert f"`{other}`" not in text


def test_a_cost_is_not_said_without_its_load(make_results: Callable[..., Results]) -> None:
    analysis = analyse(make_results())
    told = [text for text in sentences(analysis.one_core.tables["clients_64"], None) if "CPU" in text]
    assert told
    assert all("under this load (64 clients)" in text for text in told)
