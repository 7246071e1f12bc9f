"""Questions under way, on a clock made up: the integral of their number, and when each is answered."""

from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.drive.questions import NOBODY, Questions, waits_ns
from harness.plan import SPREADS, Waiting

STEPS = st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=60)


@given(STEPS, st.lists(st.integers(0, 100), min_size=1, max_size=5))
def test_the_sum_of_all_waits_is_the_integral_of_how_many_are_under_way(
    steps: list[tuple[int, bool]], waits: list[int]
) -> None:
    """Little's law without its means: exact, whatever comes when."""
    questions = Questions(waits[place % len(waits)] for place in range(100))
    now_ns, under_way, most, waited_ns = 1_000, 0, 0, 0
    for passed_ns, asks in steps:
        now_ns += passed_ns
        if asks:
            questions.ask(0, NOBODY, b"", now_ns)
            under_way += 1
        elif under_way:
            question = questions.answer(now_ns)
            waited_ns += now_ns - question.asked_ns
            under_way -= 1
        most = max(most, under_way)
    while under_way:
        question = questions.answer(now_ns)
        waited_ns += now_ns - question.asked_ns
        under_way -= 1
    assert questions.area_ns(now_ns) == questions.area_ns(now_ns + 1_000) == waited_ns
    assert (questions.under_way, questions.most) == (0, most)


def test_whoever_is_due_first_is_answered_first_and_equals_in_the_order_in_which_they_asked() -> None:
    questions = Questions(iter([50, 10, 10, 0]))
    for client in range(4):
        questions.ask(client, client, b"", 100)
    assert questions.next_ns == 100
    assert [questions.answer(200).client for _ in range(4)] == [3, 1, 2, 0]


def test_what_is_counted_begins_anew_and_what_is_under_way_stays_so() -> None:
    questions = Questions(repeat(10))
    questions.ask(0, 0, b"", 0)
    questions.ask(1, 1, b"", 0)
    questions.answer(10)
    questions.begin()
    assert (questions.asked, questions.most, questions.under_way) == (0, 1, 1)


def test_in_a_stall_nothing_is_answered_and_at_its_end_all_that_was_due_in_it() -> None:
    questions = Questions(repeat(10))
    questions.begin(range(100, 200))
    for asked_ns in (80, 90, 150, 189, 190):
        questions.ask(0, NOBODY, b"", asked_ns)
    assert [questions.answer(300).due_ns for _ in range(5)] == [90, 200, 200, 200, 200]
    questions.begin()
    questions.ask(0, NOBODY, b"", 150)
    assert questions.next_ns == 160


@pytest.mark.parametrize("spread", SPREADS)
def test_waits_are_the_same_again_and_on_average_what_is_said_of_them(spread: str) -> None:
    waiting = Waiting(wait_s=0.005, spread=spread, pool=1)
    drawn, again = (
        [next(waits) for _ in range(40_000)] for waits in (waits_ns(waiting, 7), waits_ns(waiting, 7))
    )
    assert drawn == again
    assert sum(drawn) / len(drawn) == pytest.approx(waiting.mean_s * 1e9, rel=0.03)
