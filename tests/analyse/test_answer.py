"""The claims that decide: each follows the figures, and is turned round when two servers swap them."""

from collections.abc import Callable

import numpy as np
import pytest

from harness.analyse.analysis import analyse
from harness.analyse.answer import Answer, one_more
from harness.plan import POISSON, Load
from harness.record import ConnectionScaling, Holding, Results, Sample, ServerCosts
from harness.record.buckets import histogram
from tests.makers import changed

A, B = "threaded", "trio_nursery"
OFFERED = Load(arrivals=POISSON, rate=5000.0)


@pytest.fixture
def run(make_results: Callable[..., Results], make_sample: Callable[..., Sample]) -> Results:
    """Make up a run in which A costs half as much as B at any load, and answers twice as much."""
    samples = [
        make_sample(
            server, block, name, rps=rps * (1 + 0.002 * ((block + len(server)) % 3)), cpu_us=cpu_us, **load
        )
        for block in range(5)
        for server, factor in ((A, 1), (B, 2))
        for name, rps, cpu_us, load in (
            ("clients_8", 20_000 / factor, 49 * factor, {"clients": 8, "response_sum_ns": 8 * 10**9}),
            ("clients_500", 20_000 / factor, 49 * factor, {"clients": 500, "response_sum_ns": 500 * 10**9}),
            ("open_5k", 5_000, 30 * factor, {"load": OFFERED}),
        )
    ]
    names = ("clients_8", "clients_500", "open_5k")
    return changed(make_results(workloads=names), samples=tuple(samples))


def swapped(results: Results) -> Results:
    other = {A: B, B: A}
    samples = tuple(changed(sample, server=other[sample.cell.server]) for sample in results.samples)
    return changed(results, samples=samples)


def answered(results: Results) -> Answer:
    return analyse(results).answer


def test_the_core_that_a_rate_takes_is_its_cost_times_the_rate(run: Results) -> None:
    for results, cheap, dear in ((run, A, B), (swapped(run), B, A)):
        spare = answered(results).spare
        assert spare is not None
        assert spare.workload == "open_5k"
        assert spare.cores == pytest.approx({cheap: 0.15, dear: 0.3}, rel=0.01)


def test_it_is_told_of_the_rate_at_which_most_servers_have_figures(
    run: Results, make_sample: Callable[..., Sample]
) -> None:
    lighter = Load(arrivals=POISSON, rate=2000.0)
    at_2k = [
        make_sample(server, block, "open_2k", rps=2_000, cpu_us=cpu_us + block, load=lighter)
        for block in range(5)
        for server, cpu_us in ((A, 40), (B, 80), ("select_generators", 45))
    ]
    both = changed(run, samples=(*run.samples, *at_2k))
    found = answered(both).spare
    assert found is not None
    assert (found.workload, len(found.cores)) == ("open_2k", 3)


def test_a_difference_of_less_than_a_millisecond_is_noticed_by_nobody(run: Results) -> None:
    for slower_by, noticed in ((1.0, False), (1.1, False), (3.0, True)):
        samples = tuple(
            changed(
                sample,
                response_ns=make_responses(slower_by if sample.cell.server == B else 1.0),
            )
            if sample.cell.workload == "open_5k"
            else sample
            for sample in run.samples
        )
        spare = answered(changed(run, samples=samples)).spare
        assert spare is not None
        assert spare.noticed is noticed


def make_responses(factor: float) -> dict[int, int]:
    times_ns = np.linspace(1e6 * factor, 2e6 * factor, 5_000).astype(np.int64)
    return histogram(times_ns, np.ones_like(times_ns))


def test_what_was_not_measured_is_named_until_it_is(
    run: Results, make_relayed: Callable[..., Sample]
) -> None:
    assert "handlers that wait" in answered(run).missing
    relayed = tuple(
        make_relayed(server, block, workload="relay_5ms_64") for server in (A, B) for block in range(3)
    )
    design = (*run.manifest.design.workloads, "relay_5ms_64")
    there = changed(run, samples=(*run.samples, *relayed), manifest=changed(run.manifest, workloads=design))
    assert "handlers that wait" not in answered(there).missing
    assert "TLS" in answered(there).missing


def test_who_answers_most_is_said_by_the_number_of_clients(run: Results) -> None:
    for results, most in ((run, A), (swapped(run), B)):
        saturated = answered(results).saturated
        assert saturated is not None
        assert {clients: found.leaders for clients, found in saturated.most.items()} == {
            8: (most,),
            500: (most,),
        }
        assert saturated.turning == ()
        assert saturated.everywhere == (most,)


def test_the_table_has_both_costs_of_a_request_in_the_order_of_the_sources(run: Results) -> None:
    for results, costs in ((run, (30, 60)), (swapped(run), (60, 30))):
        models = answered(results).models
        assert [each.row.server for each in models] == [A, B]
        assert [each.spare_cpu_us for each in models] == pytest.approx(costs, rel=0.01)
        assert [each.code_lines for each in models] == [90, 90]


def test_a_variant_is_shown_where_it_differs_from_its_model(run: Results) -> None:
    for factor, shown in ((2.0, [A, f"{A}+fast", B]), (1.0, [A, B])):
        variant = tuple(
            changed(
                sample,
                server=f"{A}+fast",
                answered=int(sample.window.answered * factor),
                server_cpu_ns=int(sample.server.cpu_ns),
            )
            for sample in run.samples
            if sample.cell.server == A
        )
        facts = changed(run.manifest.servers[0], label=f"{A}+fast")
        manifest = changed(run.manifest, servers=(*run.manifest.servers, facts))
        found = answered(changed(run, samples=(*run.samples, *variant), manifest=manifest))
        assert [each.row.server for each in found.models if each.row.valid] == shown


def test_what_a_place_makes_of_a_server_is_told_where_it_is_known_to_differ(run: Results) -> None:
    for factor, told in ((2, [(A, "free", 2.0)]), (1, [])):
        free = tuple(
            changed(
                sample,
                server=f"{A}+free",
                server_cpu_ns=factor * sample.server.cpu_ns,
                pinned=False,
                free=True,
            )
            for sample in run.samples
            if sample.cell.server == A and sample.cell.workload == "open_5k"
        )
        facts = changed(run.manifest.servers[0], label=f"{A}+free")
        manifest = changed(run.manifest, servers=(*run.manifest.servers, facts))
        found = answered(changed(run, samples=(*run.samples, *free), manifest=manifest)).ways
        assert [
            (each.server, each.way, round(each.against["cpu_us_per_request"].ratio, 1)) for each in found
        ] == told


def test_only_one_thing_may_differ() -> None:
    assert one_more(A, f"{A}+free") == "free"
    assert one_more(f"{A}+free", f"{A}@3.13t+free") == "@3.13t"
    assert one_more(A, f"{A}@3.13t+free") is None
    assert one_more(A, f"{A}+uvloop") is None
    assert one_more(A, B) is None


def test_memory_counts_what_the_kernel_holds_for_a_connection(
    run: Results, make_costs: Callable[..., ServerCosts]
) -> None:
    lean = make_costs(B)
    holdings = tuple(
        Holding(n, 15_000_000 + 2048 * n, 9_000_000, 0, 0, 0, 0, 2, 4 + n) for n in (0, 1000, 5000, 10_000)
    )
    lean = changed(lean, crowd=ConnectionScaling(10_000, holdings))
    found = answered(changed(run, costs=(make_costs(A), lean))).memory
    assert [each.server for each in found] == [B, A]
    assert [each.kib for each in found] == pytest.approx([2, 30 + 4 + 16], rel=0.01)
    assert [each.kernel_kib for each in found] == pytest.approx([0, 20], abs=0.01)


def test_a_run_that_tells_nothing_claims_nothing(make_results: Callable[..., Results]) -> None:
    found = answered(changed(make_results(), samples=()))
    assert (found.spare, found.saturated, found.waiting, found.models) == (None, None, None, ())
