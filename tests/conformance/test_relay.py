"""The relay as cases see it: which servers can be one, what is shared, and how its clients' answers are held against the oracle."""

import sys
from collections.abc import Callable

import pytest

from harness.conformance.cases.replies import SEVEN, THREE
from harness.conformance.catalogue import selected_cases
from harness.conformance.judge import batches_of, judge
from harness.conformance.peer import Peer
from harness.conformance.relay import check_answers, fresh_relay, shared_relay
from harness.conformance.target import shared_target
from harness.conformance.upstream import PlayedUpstream
from harness.conformance.violations import NotApplicable, Violation
from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from harness.oracle import GREETING, NO_ANSWER
from harness.record import Verdict
from tests.makers import changed

LIMIT_S = 30


def heard(received: bytes, sent: bytes = b"1,2\n3,4\nx\n") -> Peer:
    """Return a client with a history."""
    with PlayedUpstream(LIMIT_S) as somebody:
        peer = Peer(somebody.address, LIMIT_S)
    peer.close()
    peer.sent, peer.received = bytearray(sent), bytearray(GREETING + received)
    return peer


@pytest.mark.parametrize(
    "received",
    [
        b"",
        THREE,
        THREE + SEVEN[:5],
        THREE + NO_ANSWER,
        NO_ANSWER + SEVEN + b"ERROR. Enter only integers separated by commas\n",
        b"Sum of input numbers: '0'\r\n" + SEVEN,
    ],
)
def test_a_list_gets_its_answer_or_what_the_upstream_said_or_an_error(received: bytes) -> None:
    upstream = PlayedUpstream(LIMIT_S)
    upstream.said = {THREE: {b"Sum of input numbers: '0'\r\n"}}
    check_answers(heard(received), upstream)


@pytest.mark.parametrize(
    "received",
    [
        SEVEN + THREE,
        THREE + THREE,
        THREE + b"Sum of input numbers: '0'\r\n",
        THREE + SEVEN + NO_ANSWER,
        THREE + SEVEN + b"ERROR. Enter only integers separated by commas\n" + THREE,
        NO_ANSWER[:-2] + SEVEN,
    ],
)
def test_anything_else_is_a_violation(received: bytes) -> None:
    upstream = PlayedUpstream(LIMIT_S)
    upstream.said = {THREE: {b"Sum of input numbers: '0'\r\n"}}
    with pytest.raises(Violation, match="received"):
        check_answers(heard(received), upstream)


def test_a_server_without_an_upstream_is_no_relay(faulty: Callable[..., Candidate]) -> None:
    (found,) = judge(faulty("none"), selected_cases(["R01"]))
    assert found.verdict is Verdict.NOT_APPLICABLE
    assert "{upstream}" in found.detail


def test_the_shared_relay_is_started_once_and_ends_with_its_server() -> None:
    with shared_target(ours("threaded")) as target:
        with shared_relay(target) as relay, relay.upstream.answering():
            relay.answers(b"1,2\n", THREE)
        with shared_relay(target) as again, again.upstream.answering():
            again.answers(b"3,4\n", SEVEN)
        assert again is relay
        assert relay.server.process.poll() is None
    assert relay.server.process.poll() is not None


def test_a_client_that_got_the_wrong_answer_is_noticed_at_the_end_of_a_case() -> None:
    with shared_target(ours("threaded")) as target, fresh_relay(target) as relay:
        peer = relay.greeted()
        peer.send(b"1,2\n")
        relay.upstream.next_asked().answer()
        peer.expect(THREE)
        peer.received += SEVEN
        with pytest.raises(Violation, match="received"):
            relay.let_all_leave()
        relay.peers.clear()


def test_a_command_of_ones_own_may_leave_the_relay_out() -> None:
    command = ("{port}", "--upstream", "{upstream}", "--pool={pool}", "-S", "{upstream_timeout}", "--last")
    candidate = changed(ours("threaded"), command=(sys.executable, *command))
    assert candidate.filled_command({"port": "1"}) == [sys.executable, "1", "--last"]
    given = {"port": "1", "upstream": "a:2", "pool": "3", "upstream_timeout": "4"}
    assert candidate.filled_command(given)[1:] == ["1", "--upstream", "a:2", "--pool=3", "-S", "4", "--last"]


def test_cases_that_share_a_relay_are_one_batch() -> None:
    batches = batches_of(selected_cases(["F01", "R01", "R07", "R02", "L01"]))
    assert [[case.id for case in batch] for batch in batches] == [["F01"], ["L01"], ["R01", "R02"], ["R07"]]


def test_a_relay_needs_all_three_options(faulty: Callable[..., Candidate]) -> None:
    candidate = faulty("none")
    with (
        shared_target(changed(candidate, command=(*candidate.command, "{upstream}", "{pool}"))) as target,
        pytest.raises(NotApplicable, match="upstream_timeout"),
        fresh_relay(target),
    ):
        pass
