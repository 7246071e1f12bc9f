"""What the data say to the questions that one asks of a benchmark."""

from collections.abc import Callable

import pytest

from harness.analyse.analysis import analyse
from harness.analyse.scrutiny import Scrutiny
from harness.plan import ALL_CORES, twin_of
from harness.record import Results, Sample, SelfCheck
from tests.makers import changed

A, B = "threaded", "trio_nursery"


def asked(results: Results) -> Scrutiny:
    return analyse(results).scrutiny


def test_what_limited_is_counted_by_launches(make_results: Callable[..., Results]) -> None:
    results = make_results()
    assert asked(results).limits == {"server": 10}
    resting = tuple(
        changed(sample, server_cpu_ns=sample.server.cpu_ns // 4) if sample.cell.server == B else sample
        for sample in results.samples
    )
    assert asked(changed(results, samples=resting)).limits == {"server": 5, "latency": 5}


def test_the_nearest_to_the_generators_ceiling_is_named(make_results: Callable[..., Results]) -> None:
    for factor, best in ((0.5, A), (2.0, B)):
        check = SelfCheck("ceiling", "it is fast", "passed", "it is", {"clients_64_rps": 80_000})
        (found,) = asked(changed(make_results(factor=factor), selftest=(check,))).headroom
        assert (found.workload, found.best) == ("clients_64", best)
        assert found.share == pytest.approx((0.25, 0.5)[best == B], rel=0.02)
    assert asked(make_results()).headroom == ()


def test_launches_that_had_not_settled_are_counted(make_results: Callable[..., Results]) -> None:
    results = make_results()
    assert asked(results).moving == {}
    rising = changed(results.samples[0], series=(500,) * 10 + (1500,) * 10)
    found = asked(changed(results, samples=(rising, *results.samples[1:])))
    assert sum(found.moving.values()) == 1
    assert found.launches == 10


def test_a_twin_that_is_called_different_is_counted(
    make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> None:
    results = make_results(twin_of=A, twin=twin_of(A))
    for rps, different in ((20_000, 0), (15_000, 2)):
        twins = tuple(make_sample(twin_of(A), block, rps=rps, cpu_us=0.98e6 / rps) for block in range(5))
        found = asked(changed(results, twins=twins)).resolution
        assert found is not None
        assert (found.pairs, found.different) == (2, different)
    assert asked(results).resolution is None


def test_variants_are_held_against_their_model(make_results: Callable[..., Results]) -> None:
    results = make_results()
    for factor, verdict in ((1, "equivalent"), (2, "worse")):
        variant = tuple(
            changed(sample, server=f"{A}+large", server_cpu_ns=sample.server.cpu_ns * factor)
            for sample in results.samples
            if sample.cell.server == A
        )
        (found,) = asked(changed(results, samples=(*results.samples, *variant))).variants
        assert (found.a, found.b, found.verdict) == (A, f"{A}+large", verdict)


def test_who_uses_all_cores_stands_apart(make_results: Callable[..., Results]) -> None:
    results = make_results()
    servers = tuple(
        changed(facts, regime=ALL_CORES) if facts.label == B else facts for facts in results.manifest.servers
    )
    samples = tuple(
        changed(sample, regime=ALL_CORES, pinned=False) if sample.cell.server == B else sample
        for sample in results.samples
    )
    found = asked(changed(results, manifest=changed(results.manifest, servers=servers), samples=samples))
    assert found.on_all_cores == pytest.approx({B: 10_000}, rel=0.02)
    assert found.on_one_core is None, "one server is not ranked"
