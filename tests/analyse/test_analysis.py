"""One analysis of a run: all of it, each sample judged once."""

from collections import Counter
from collections.abc import Callable

import pytest

from harness.analyse import blocks
from harness.analyse.analysis import analyse, as_usual, variants_beside_their_model
from harness.analyse.blocks import launches_of
from harness.analyse.samples.validity import Validity, assess
from harness.plan import ALL_CORES, RELAY, Waiting, twin_of
from harness.record import PrecisionGoal, Results, Sample, ServerCosts
from tests.makers import changed


def test_every_sample_is_judged_once(
    make_results: Callable[..., Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: Counter[tuple[int, str]] = Counter()

    def counting(sample: Sample) -> Validity:
        judged[sample.cell.block, sample.cell.server] += 1
        return assess(sample)

    monkeypatch.setattr(blocks, "assess", counting)
    results = make_results(blocks=3)
    analyse(results)
    assert judged == {(sample.cell.block, sample.cell.server): 1 for sample in results.samples}


def test_the_same_results_give_the_same_analysis(make_results: Callable[..., Results]) -> None:
    assert analyse(make_results()) == analyse(make_results())


def test_a_handler_that_waits_is_not_taken_for_a_server_that_is_woken_late(
    make_results: Callable[..., Results],
    make_sample: Callable[..., Sample],
    make_costs: Callable[..., ServerCosts],
) -> None:
    """One client, nobody busy, most of the response outside of the server: a relay does the same, and for another reason."""
    alone = make_sample("threaded", workload="ping_pong", rps=180, response_sum_ns=10**9, clients=1)
    for workload, load, named in (
        ("ping_pong", alone.load, ["waking up"]),
        (RELAY.name, changed(alone.load, upstream=Waiting(wait_s=0.005, pool=1)), []),
    ):
        samples = tuple(changed(alone, block=block, workload=workload, load=load) for block in range(3))
        results = changed(
            make_results(workloads=(workload,)), samples=samples, costs=(make_costs("threaded"),)
        )
        found = analyse(results).causes
        assert [each.effect for each in found if each.workload == workload] == named


def test_regimes_are_kept_apart(make_results: Callable[..., Results]) -> None:
    results = make_results()
    servers = tuple(
        changed(facts, regime=ALL_CORES) if facts.label == "trio_nursery" else facts
        for facts in results.manifest.servers
    )
    samples = tuple(
        changed(sample, regime=ALL_CORES) if sample.cell.server == "trio_nursery" else sample
        for sample in results.samples
    )
    found = analyse(changed(results, manifest=changed(results.manifest, servers=servers), samples=samples))
    for regime, server in ((found.one_core, "threaded"), (found.all_cores, "trio_nursery")):
        assert [facts.label for facts in regime.servers] == [server]
        assert [row.server for row in regime.tables["clients_64"].rows] == [server]
        assert regime.is_measured(server)
    assert found.tails == {}, "one server alone is ranked with nobody"


def test_a_server_under_two_names_is_held_against_itself(make_results: Callable[..., Results]) -> None:
    results = make_results()
    twin = twin_of("threaded")
    twins = tuple(
        changed(sample, server=twin) for sample in results.samples if sample.cell.server == "threaded"
    )
    manifest = changed(results.manifest, twin_of="threaded", twin=twin)
    found = analyse(changed(results, manifest=manifest, twins=twins))
    assert [each.metric for each in found.twins] == ["throughput_rps", "cpu_us_per_request"]
    assert [each.ratio for each in found.twins] == pytest.approx([1, 1])
    assert {(each.a, each.b) for each in found.twins} == {("threaded", twin)}
    first_gone = tuple(
        sample for sample in results.samples if (sample.cell.server, sample.cell.block) != ("threaded", 0)
    )
    turned = analyse(
        changed(results, samples=first_gone[1:] + first_gone[:1], manifest=manifest, twins=twins)
    )
    assert {(each.a, each.b) for each in turned.twins} == {("threaded", twin)}
    alone = analyse(results).one_core.tables["clients_64"].comparisons
    assert found.one_core.tables["clients_64"].comparisons == alone, "the twin is in nobody's way"


def test_a_precision_is_told_if_one_was_asked_for(make_results: Callable[..., Results]) -> None:
    results = make_results()
    assert analyse(results).precision == ()
    goal = PrecisionGoal(0.03, "cpu_us_per_request", 60)
    (reached,) = analyse(changed(results, manifest=changed(results.manifest, goal=goal))).precision
    assert reached.workload == "clients_64"


def test_a_run_without_launches_says_nothing(make_results: Callable[..., Results]) -> None:
    results = make_results()
    found = analyse(changed(results, samples=(), manifest=changed(results.manifest, servers=())))
    assert (found.one_core.tables, found.repetition, found.stolen, found.advice) == ({}, None, None, ())


def test_tables_keep_the_order_of_the_sources_whatever_was_answered(
    make_results: Callable[..., Results],
) -> None:
    for factor in (0.5, 1.0, 2.0):
        table = analyse(make_results(factor=factor)).one_core.tables["clients_64"]
        assert [row.server for row in table.rows] == ["threaded", "trio_nursery"]


def test_a_variant_stands_behind_its_model() -> None:
    labels = ["b", "a", "b+free", "a@3.13t", "c"]
    assert variants_beside_their_model(labels) == ["b", "b+free", "a", "a@3.13t", "c"]


def test_growth_is_that_of_the_whole_window_and_of_its_second_half(
    make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> None:
    """One grows at first and then no more, the other little, and goes on."""
    kib = {
        "threaded": [0, 50, 100, 150, 200, *[200] * 5],
        "trio_nursery": [5 * second for second in range(10)],
    }
    samples = tuple(
        make_sample(server, block, "soak", memory_series_bytes=tuple(1024 * size for size in sizes))
        for block in range(3)
        for server, sizes in kib.items()
    )
    found = analyse(changed(make_results(workloads=("soak",)), samples=samples)).one_core.growth["soak"]
    assert (found.server, found.later_server) == ("threaded", "trio_nursery")
    assert found.kib_per_s > 20
    assert found.later_kib_per_s == pytest.approx(5)


def test_another_interpreter_is_left_out_of_what_is_said_of_models_unless_there_is_no_other(
    make_sample: Callable[..., Sample],
) -> None:
    def left(*servers: str) -> list[str]:
        launches = launches_of([make_sample(server, 0) for server in servers])
        return [launch.sample.cell.server for launch in as_usual(launches)]

    assert left("threaded", "threaded@3.13t", "threaded+free", "trio_nursery@3.13t") == [
        "threaded",
        "trio_nursery@3.13t",
    ]
    assert left("threaded@3.11", "threaded@3.13t") == ["threaded@3.11", "threaded@3.13t"]
