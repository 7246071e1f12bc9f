"""Response time against rate: the loads of one server in their order, those apart that differ in more than their size."""

from collections.abc import Callable

from harness.analyse.blocks import launches_of
from harness.analyse.tables import tabulate
from harness.plan import by_name
from harness.record import Sample
from harness.report.page.latency import load_points


def test_loads_come_from_the_smallest_on_the_offered_first(make_sample: Callable[..., Sample]) -> None:
    names = ("clients_500", "churn", "open_5k", "clients_8", "line_4096", "soak", "flood")
    samples = [
        make_sample(
            "threaded",
            block,
            name,
            load=by_name(name).load,
            response_sum_ns=by_name(name).load.clients * 10**9,
        )
        for name in names
        for block in range(2)
    ]
    launches = launches_of(samples)
    found = load_points({name: tabulate(launches, name) for name in names}, "threaded")
    assert [point.workload for point in found] == ["open_5k", "clients_8", "clients_500"]
    assert [point.offered for point in found] == [True, False, False]
    assert load_points({name: tabulate(launches, name) for name in names}, "trio_nursery") == []
