"""What the workloads are."""

import pytest

from harness.drive.background.manners import MANNERS
from harness.errors import UsageError
from harness.oracle import oracle
from harness.plan import CORE, PEAK, WORKLOADS, by_name, list_of, why_not

NAMES = tuple(workload.name for workload in WORKLOADS)


def test_an_unknown_workload_is_named() -> None:
    with pytest.raises(UsageError, match="no workload is called 'nothing'"):
        by_name("nothing")


@pytest.mark.parametrize("size_bytes", [8, 512, 4096, 7, 10])
def test_a_list_is_as_long_as_asked_for_and_legal(size_bytes: int) -> None:
    line = list_of(size_bytes)
    assert len(line) == size_bytes
    assert b"Sum of" in oracle(line.encode())


def test_every_workload_says_what_it_should_separate() -> None:
    assert all(workload.purpose and workload.separates for workload in WORKLOADS)
    assert all("\n" not in workload.purpose + workload.separates for workload in WORKLOADS)
    assert {workload.load.background.kind for workload in WORKLOADS if workload.load.background} == set(
        MANNERS
    )
    assert by_name(PEAK) in CORE
    assert all(by_name(f"line_{size}").load.line == list_of(size) for size in (8, 512, 4096))


def test_what_a_server_cannot_be_given_is_said() -> None:
    assert why_not(None, by_name("idle_10000")) == ""
    assert why_not(1000, by_name("clients_1000")) == ""
    assert "1,000 clients at once, and cannot be given 10,064" in why_not(1000, by_name("idle_10000"))
    assert "one client at a time, and cannot be given 8" in why_not(1, by_name("clients_8"))
    assert why_not(1, by_name("churn")) == "", "whoever is alone for a moment can be served alone"
