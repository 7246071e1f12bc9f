"""Who answers more with few clients, and who with many: a swap of two servers' figures swaps their places."""

from collections.abc import Callable, Mapping

import pytest

from harness.analyse.analysis import analyse
from harness.analyse.changing_places import PlaceChange, by_clients, place_changes, turning
from harness.record import Results, Sample
from tests.makers import changed

A, B = "threaded", "trio_nursery"
Rates = Mapping[int, float]
STEADY: Rates = {8: 10_000, 250: 10_000, 1000: 10_000}
GROWING: Rates = {8: 5_000, 250: 10_000, 1000: 20_000}


@pytest.fixture
def found(
    make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> Callable[..., tuple[PlaceChange, ...]]:
    def find(**rates: Rates) -> tuple[PlaceChange, ...]:
        names = [f"clients_{clients}" for clients in STEADY]
        samples = tuple(
            make_sample(
                server, block, f"clients_{clients}", rps=rps * (1 + 0.002 * ((block + len(server)) % 3))
            )
            for server, of_server in rates.items()
            for clients, rps in of_server.items()
            for block in range(5)
        )
        return place_changes(
            analyse(changed(make_results(workloads=tuple(names)), samples=samples)).one_core.tables
        )

    return find


def test_two_that_change_places_are_found_with_the_numbers_of_clients(
    found: Callable[..., tuple[PlaceChange, ...]],
) -> None:
    (one,) = found(threaded=STEADY, trio_nursery=GROWING)
    assert (one.few, one.many, one.up_to, one.beyond) == (A, B, 8, 1000)
    assert one.swing == pytest.approx(4, rel=0.02)
    (other,) = found(threaded=GROWING, trio_nursery=STEADY)
    assert (other.few, other.many, other.up_to, other.beyond) == (B, A, 8, 1000)


def test_one_that_is_always_ahead_crosses_nobody(found: Callable[..., tuple[PlaceChange, ...]]) -> None:
    ahead = {clients: 3 * rps for clients, rps in GROWING.items()}
    assert found(threaded=STEADY, trio_nursery=ahead) == ()


def test_who_changes_places_to_and_fro_is_no_crossing(found: Callable[..., tuple[PlaceChange, ...]]) -> None:
    assert found(threaded=STEADY, trio_nursery={8: 5_000, 250: 20_000, 1000: 5_000}) == ()


def test_variants_are_no_models(found: Callable[..., tuple[PlaceChange, ...]]) -> None:
    assert found(**{"threaded": STEADY, "trio_nursery+fast": GROWING}) == ()


def test_the_one_that_crosses_most_is_the_one_that_turns(
    found: Callable[..., tuple[PlaceChange, ...]],
) -> None:
    slower = {clients: 0.8 * rps for clients, rps in GROWING.items()}
    three = found(threaded=STEADY, trio_nursery=GROWING, gevent_greenlets=slower)
    assert {(each.few, each.many) for each in turning(three)} == {(A, B), (A, "gevent_greenlets")}
    assert turning(()) == ()


def test_workloads_that_differ_in_more_than_clients_are_left_out() -> None:
    names = ("ping_pong", "clients_500", "clients_8", "clients_64_pipeline_4", "churn", "soak")
    assert list(by_clients(names).items()) == [(8, "clients_8"), (500, "clients_500")]
