"""What the page says of a measured point."""

import re
from collections.abc import Callable, Sequence

from harness.analyse.blocks import launches_of
from harness.analyse.points import measured_points
from harness.analyse.tables import tabulate
from harness.plan import ALL_CORES, ONE_CORE
from harness.record import Sample
from harness.report.page.telling import why

CPU_US = {"busy": 49.0, "idle": 20.0}
"""Of a request at 20,000 requests/s: the core is full, or has time to spare."""


def why_of(make_sample: Callable[..., Sample], servers: Sequence[str]) -> str:
    launches = launches_of(
        make_sample(server, block, rps=20_000, cpu_us=CPU_US[server.split()[0]])
        for server in servers
        for block in range(3)
    )
    tables = {
        regime: {"clients_64": tabulate(launches, "clients_64", regime)} for regime in (ONE_CORE, ALL_CORES)
    }
    (point,) = measured_points(tables, launches)
    return re.sub("</?code>", "`", str(next(why(point, ()))))


def test_what_limits_few_is_told_of_them_and_what_limits_the_rest_of_all_others(
    make_sample: Callable[..., Sample],
) -> None:
    found = why_of(make_sample, ["idle 1", *(f"busy {number}" for number in range(4))])
    few, others = found.split("All others: ")
    assert few.startswith("Why: `idle 1`: no core was busy all the time")
    assert others.startswith("the server's core was busy all the time")
    assert "busy 0" not in found


def test_all_are_named_where_they_are_few(make_sample: Callable[..., Sample]) -> None:
    assert "`busy 0` and `busy 1`: the server's core" in why_of(make_sample, ["idle 1", "busy 0", "busy 1"])
    assert why_of(make_sample, ["busy 0", "busy 1"]).startswith(
        "Why: the server's core was busy all the time"
    )
