"""What relays at a database say of those at our own upstream."""

from collections.abc import Mapping

import pytest

from harness.analyse.database import DATABASE, NAME, UPSTREAM, RelaysCompared, compared_by_clients, label_of
from harness.record import Arm, EffectResult, JudgedArm

Costs = Mapping[str, float]


def arm(model: str, whom: str, clients: int, **figures: float) -> Arm:
    return Arm(label_of(model, whom, clients), {"clients": clients, "share": 0.95, "cpu_us": 50.0} | figures)


def result_of(*arms: Arm) -> EffectResult:
    present, absent, *others = arms
    judged = tuple(JudgedArm(each, to_be_named=False, named=False) for each in others)
    return EffectResult(
        NAME,
        "It waits",
        "mean_under_way",
        "questions",
        present,
        absent,
        True,
        False,
        "because",
        "source",
        "command",
        judged,
    )


def asking(at_database: Costs, at_upstream: Costs) -> RelaysCompared:
    """Lay out what a request costs each relay, and nothing else."""

    def figures(costs: Costs) -> dict[str, dict[str, float]]:
        return {model: {"cpu_us": cost, "share": 0.9} for model, cost in costs.items()}

    return RelaysCompared(8, figures(at_database), figures(at_upstream))


def test_sides_are_laid_out_by_clients_and_relay_and_those_that_block_are_not_among_them() -> None:
    blocking = arm("b", f"{DATABASE} by another driver", 8, cpu_us=9.0)
    sides = [
        arm(model, whom, clients) for clients in (64, 8) for whom in (DATABASE, UPSTREAM) for model in "ba"
    ]
    few, many = compared_by_clients(result_of(blocking, *sides))
    assert (few.clients, many.clients) == (8, 64)
    assert list(few.of_database) == list(few.of_upstream) == ["b", "a"]
    assert few.of_database["b"]["cpu_us"] == 50.0


def test_who_does_not_reach_the_ceiling_is_told() -> None:
    sides = [
        arm("a", DATABASE, 8, share=0.84),
        arm("b", DATABASE, 8, share=0.86),
        arm("a", UPSTREAM, 8, share=0.5),
    ]
    (found,) = compared_by_clients(result_of(*sides))
    assert found.short == ["a"]


def test_an_order_is_another_one_only_where_both_differ_clearly() -> None:
    assert asking({"a": 10, "b": 20}, {"a": 1, "b": 2}).reversed_pairs == []
    assert asking({"a": 10, "b": 20}, {"a": 2.0, "b": 1.9}).reversed_pairs == []
    assert asking({"a": 10.0, "b": 10.5}, {"a": 2, "b": 1}).reversed_pairs == []
    assert asking({"a": 10, "b": 20}, {"a": 2, "b": 1}).reversed_pairs == [("a", "b")]


def test_what_the_driver_adds_is_told_of_each() -> None:
    assert asking({"a": 10, "b": 20}, {"a": 2, "b": 1}).added_us == pytest.approx({"a": 8, "b": 19})
