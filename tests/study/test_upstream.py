"""From the times of requests and questions to what is left for the relay itself: exact, on made-up times."""

import numpy as np
import pytest

from harness.drive.journal import Columns, QuestionColumns
from harness.drive.orders import LoadOutcome
from harness.record import Histogram
from harness.record.buckets import histogram
from harness.study.upstream import matched, upstream_use
from tests.makers import changed
from tests.study.test_window import MS, START, S, outcome, reading

WAIT = 5 * MS
Request = tuple[int, int, int, int, int]
"""A client; when it sent, its question was asked and answered, and the reply was received; counted from the start."""


def columns(requests: list[Request]) -> tuple[Columns, QuestionColumns]:
    rows = np.array(requests, dtype=np.int64).reshape(-1, 5)
    client, sent, asked, answered, received = rows.T + np.array([[0], *[[START]] * 4])
    times = Columns(sent, sent, sent, received, np.ones(len(rows), dtype=np.int64), client)
    return times, QuestionColumns(asked, asked + WAIT, answered, client)


def buckets(value_ns: int, count: int) -> Histogram:
    return histogram(np.full(count, value_ns), np.ones(count, dtype=np.int64))


def requests_of(clients: int, each: int) -> list[Request]:
    """Let clients ask in turn: 1 ms to the question, the wait and 10 µs more, 2 ms back."""
    found = []
    for client in range(clients):
        at = client * 1000
        for _ in range(each):
            asked = at + MS
            answered = asked + WAIT + 10_000
            found.append((client, at, asked, answered, answered + 2 * MS))
            at = answered + 2 * MS
    return found


def within(begin_ns: int, end_ns: int, under_way_ns: int) -> LoadOutcome:
    begun = changed(reading(START + begin_ns, 0, 0, 0), under_way_ns=1_000)
    ended = changed(reading(START + end_ns, 0, 0, 0), under_way_ns=1_000 + under_way_ns)
    seen: LoadOutcome = changed(outcome(0, 0), begin=begun, end=ended, most_under_way=4)
    return seen


def test_what_is_left_of_a_response_is_the_servers_own() -> None:
    times, questions = columns(requests_of(4, 50))
    used = upstream_use(within(0, S, 4 * 50 * (WAIT + 10_000)), times, questions)
    assert (used.asked, used.strays, used.most) == (200, 0, 4)
    assert used.under_way_ns == used.integral_ns == 200 * (WAIT + 10_000)
    assert used.late.histogram == buckets(10_000, 200)
    assert (used.asking.max_ns, used.returning.max_ns, used.own.max_ns) == (MS, 2 * MS, 3 * MS)
    assert used.own.histogram == buckets(3 * MS, 200)


def test_what_is_under_way_at_an_edge_counts_as_far_as_it_lies_in_the_window() -> None:
    times, questions = columns([(0, 0, MS, 6 * MS, 8 * MS)])
    assert upstream_use(within(2 * MS, 4 * MS, 0), times, questions).under_way_ns == 2 * MS
    assert upstream_use(within(4 * MS, S, 0), times, questions).under_way_ns == 2 * MS
    assert upstream_use(within(7 * MS, S, 0), times, questions).under_way_ns == 0


def test_rows_in_whatever_order_are_matched_by_client_and_time() -> None:
    times, questions = columns(requests_of(5, 20))
    shuffled = np.random.default_rng(1).permutation(100)
    mixed = QuestionColumns(
        questions.asked_ns[shuffled],
        questions.due_ns[shuffled],
        questions.answered_ns[shuffled],
        questions.client[shuffled],
    )
    (sent, asked, due, answered, received), strays = matched(times, mixed)
    assert strays == 0
    assert set(due - asked) == {WAIT}
    assert set(asked - sent) == {MS}
    assert set(received - answered) == {2 * MS}


@pytest.mark.parametrize("lost", ["request", "question"])
def test_a_request_that_asked_nothing_is_noticed_and_a_question_too_many(lost: str) -> None:
    times, questions = columns(requests_of(3, 10))
    all_but_one = np.arange(30) != 4
    if lost == "request":
        times = times.where(all_but_one)
    else:
        questions = questions.where(all_but_one)
    pairs, strays = matched(times, questions)
    assert strays == 10
    assert pairs.shape == (5, 20)


def test_responses_that_waited_for_nothing_are_told_apart() -> None:
    times, questions = columns([(0, 0, MS, MS, 2 * MS), (1, 0, MS, 6 * MS, 9 * MS), (2, 0, MS, MS, 4 * MS)])
    prompt = questions.client != 1
    due_ns = np.where(prompt, questions.asked_ns, questions.due_ns)
    used = upstream_use(
        within(0, S, 0),
        times,
        QuestionColumns(questions.asked_ns, due_ns, questions.answered_ns, questions.client),
    )
    assert (sum(used.prompt.histogram.values()), used.prompt.max_ns) == (2, 4 * MS)


def test_an_answer_before_its_question_is_noticed() -> None:
    times, questions = columns([(0, 0, MS, 6 * MS, 5 * MS), (1, 0, MS, 6 * MS, 7 * MS)])
    assert matched(times, questions)[1] == 1


def test_a_question_of_nobody_is_a_stray() -> None:
    times, questions = columns(requests_of(1, 2))
    whose = questions.client.copy()
    whose[0] = -1
    used = upstream_use(
        within(0, S, 0),
        times,
        QuestionColumns(questions.asked_ns, questions.due_ns, questions.answered_ns, whose),
    )
    assert used.strays == 1 + 2


def test_nothing_asked_is_nothing_said() -> None:
    used = upstream_use(within(0, S, 0), *columns([]))
    assert (used.asked, used.strays, used.under_way_ns, used.own.histogram) == (0, 0, 0, {})
