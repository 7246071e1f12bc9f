"""The books of torture: what is right, lost, twice or wrong, and what a server survives."""

from collections.abc import Callable

import pytest

from harness.experiments.faults.accounts import Accounts, Tally, as_if_answered, compare, judged, reply_to
from harness.oracle import GREETING, NO_ANSWER, oracle
from harness.record import MEMORY_BOUND_BYTES, FaultResult
from tests.makers import changed


def test_right_replies_are_counted_and_timed() -> None:
    books = Accounts()
    for took_ns in (30, 10, 20):
        books.hear(reply_to(books.ask(1000)), 1000 + took_ns)
    found = books.figures(cut_off=False)
    assert (found.checked, found.median_ns, found.worst_ns) == (3, 20, 30)
    assert (found.duplicated, found.wrong, found.unanswered_ns) == (0, 0, ())


def test_a_reply_may_come_in_pieces() -> None:
    books = Accounts()
    for byte in reply_to(books.ask(0)):
        assert books.waiting
        books.hear(bytes([byte]), 5)
    assert not books.waiting
    assert books.figures(cut_off=False).checked == 1


def test_a_reply_that_comes_twice_is_a_duplicate() -> None:
    books = Accounts()
    books.hear(2 * reply_to(books.ask(0)), 1)
    found = books.figures(cut_off=False)
    assert (found.checked, found.duplicated, found.wrong) == (1, 1, 0)


def test_a_wrong_reply_answers_the_request_it_came_to() -> None:
    books = Accounts()
    request = books.ask(0)
    books.sent(request, 1)
    books.hear(b"Sum of input numbers: '0'\r\n", 2)
    found = books.figures(cut_off=False)
    assert (found.checked, found.wrong, found.unanswered_ns) == (0, 1, ())
    assert found.worst_ns is None


def test_what_never_came_is_known_by_when_it_was_sent() -> None:
    books = Accounts()
    lost, late, unsent = books.ask(0), books.ask(10), books.ask(20)
    books.sent(lost, 1)
    books.sent(late, 11)
    books.hear(reply_to(late), 50)
    assert books.figures(cut_off=True).unanswered_ns == (1,)
    assert unsent != lost


@pytest.mark.parametrize(
    ("received", "due", "expected"),
    [
        (oracle(b"1,2\n4\n"), b"1,2\n4\n", Tally(3, 0, 0)),
        (oracle(b"1,2\n"), b"1,2\n4\n", Tally(2, 0, 1)),
        (oracle(b"1,2\n"), b"1,2\n", Tally(2, 0, 0)),
        (b"", None, Tally(0, 0, 0)),
        (b"", b"", Tally(0, 0, 1)),
        (oracle(b"1,2\n5\n"), b"1,2\n4\n", Tally(2, 1, 0)),
        (oracle(b"1,2\n1,2\n4\n"), b"1,2\n4\n", Tally(2, 1, 0)),
        (oracle(b"1,2\n4\n")[:-1], b"1,2\n4\n", Tally(2, 0, 1)),
    ],
)
def test_what_a_client_received_is_compared_with_the_oracle(
    received: bytes, due: bytes | None, expected: Tally
) -> None:
    assert compare(b"1,2\n4\n", received, due) == expected


@pytest.mark.parametrize(
    ("received", "refused"),
    [
        (oracle(b"1,2\nx\n4\n"), 0),
        (GREETING + NO_ANSWER + oracle(b"x\n4\n").removeprefix(GREETING), 1),
        (oracle(b"1,2\nx\n") + NO_ANSWER, 1),
    ],
)
def test_a_list_without_an_answer_counts_as_if_it_had_one(received: bytes, refused: int) -> None:
    assert as_if_answered(b"1,2\nx\n4\n", received) == (oracle(b"1,2\nx\n4\n"), refused)


def test_what_else_has_no_answer_stays_as_it_is() -> None:
    wrong = oracle(b"1,2\n") + NO_ANSWER
    assert as_if_answered(b"1,2\nx\n", wrong) == (wrong, 0)


def test_the_probe_counts_lists_without_an_answer() -> None:
    books = Accounts()
    request = books.ask(0)
    books.sent(request, 1)
    books.hear(NO_ANSWER, 2)
    found = books.figures(cut_off=False)
    assert (found.checked, found.refused, found.wrong, found.unanswered_ns) == (0, 1, 0, ())


def test_a_result_without_findings_is_survived(make_fault: Callable[..., FaultResult]) -> None:
    found = judged(make_fault(survived=False))
    assert found.survived
    assert found.reasons == ()


def test_a_process_that_has_ended_as_it_must_has_nothing_left(
    make_fault: Callable[..., FaultResult],
) -> None:
    assert judged(make_fault(descriptors_after=None, threads_after=None, memory_after_bytes=None)).survived


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"probe_lost": 1}, "1 reply to the probe lost"),
        ({"probe_duplicated": 2}, "2 replies to the probe duplicated"),
        ({"probe_wrong": 1}, "1 reply to the probe wrong"),
        ({"probe_checked": 0}, "the probe was not served"),
        ({"others_lost": 1000}, "1,000 replies to other clients lost"),
        ({"others_wrong": 1}, "1 reply to other clients wrong"),
        ({"descriptors_after": 9}, "2 descriptors more than before"),
        ({"threads_after": 3}, "1 threads more than before"),
        ({"memory_after_bytes": 2**30}, "MiB is the bound"),
        ({"reasons": ("it complained",)}, "it complained"),
    ],
)
def test_each_finding_is_a_reason(
    make_fault: Callable[..., FaultResult], changes: dict[str, object], reason: str
) -> None:
    found = judged(make_fault(**changes))
    assert not found.survived
    assert len(found.reasons) == 1
    assert reason in found.reasons[0]


def test_memory_may_grow_up_to_the_bound(make_fault: Callable[..., FaultResult]) -> None:
    result = make_fault()
    at_bound = changed(result, memory_after_bytes=result.memory_before_bytes + MEMORY_BOUND_BYTES)
    assert judged(at_bound).survived
