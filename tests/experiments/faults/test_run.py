"""Torture: the probe beside scripted servers, and faults that good servers survive and bad ones do not."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from harness.conformance.proof.mutants import planted
from harness.conformance.violations import Violation
from harness.errors import LaunchError, UsageError
from harness.experiments.faults.accounts import ProbeFigures, reply_to
from harness.experiments.faults.faults import FAULTS, selected_faults
from harness.experiments.faults.probe import Probe
from harness.experiments.faults.run import sized, torture
from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from harness.machine.connections import Address
from harness.machine.resources import allow_files
from harness.oracle import GREETING
from harness.record import FaultResult
from tests.makers import mutant

LIMIT_S = 30
ENOUGH = 5
SCALE = 0.02
SHORT_PATIENCE_S = 2.0
"""For servers that keep somebody waiting for ever."""


@contextmanager
def answering(reply: Callable[[int, bytes], bytes | None]) -> Iterator[tuple[Address, Event]]:
    """Serve one client by a script: what it is told for its n-th line, or None for the end; tell when it had enough."""
    enough = Event()

    def serve() -> None:
        client, _ = listener.accept()
        with client, client.makefile("rb") as lines:
            client.sendall(GREETING)
            for number, line in enumerate(lines, 1):
                answer = reply(number, reply_to(line))
                if number >= ENOUGH or answer is None:
                    enough.set()
                if answer is None:
                    return
                client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = Thread(target=serve)
        serving.start()
        yield listener.getsockname(), enough
        serving.join(LIMIT_S)


def probed(reply: Callable[[int, bytes], bytes | None], patience_s: float = LIMIT_S) -> ProbeFigures:
    with answering(reply) as (address, enough), Probe(address, patience_s) as probe:
        assert enough.wait(LIMIT_S)
    return probe.figures


def test_the_probe_checks_and_times_replies() -> None:
    found = probed(lambda _, right: right)
    assert found.checked >= ENOUGH
    assert (found.duplicated, found.wrong, found.unanswered_ns, found.cut_off) == (0, 0, (), False)
    assert found.median_ns
    assert found.worst_ns
    assert 0 < found.median_ns <= found.worst_ns


def test_the_probe_notices_a_lost_reply() -> None:
    found = probed(lambda number, right: b"" if number == 3 else right, patience_s=0.5)
    assert len(found.unanswered_ns) == 1
    assert found.wrong == found.duplicated == 0


def test_the_probe_notices_a_duplicate() -> None:
    found = probed(lambda number, right: 2 * right if number == 3 else right)
    assert (found.duplicated, found.wrong, found.unanswered_ns) == (1, 0, ())


def test_the_probe_notices_a_wrong_reply() -> None:
    found = probed(lambda number, right: right.replace(b"1", b"2", 1) if number == 3 else right)
    assert (found.duplicated, found.wrong, found.unanswered_ns) == (0, 1, ())


def test_the_probe_notices_that_the_server_closes_on_it() -> None:
    found = probed(lambda number, right: None if number == 3 else right)
    assert found.cut_off
    assert (found.checked, len(found.unanswered_ns)) == (2, 1)


def test_a_probe_that_cannot_connect_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()
    with pytest.raises(Violation, match="the probe was not served: Connection refused"), Probe(nobody, 1):
        pass


def tortured(
    candidate: Candidate, *names: str, scale: float = SCALE, patience_s: float | None = None
) -> list[FaultResult]:
    return torture(candidate, selected_faults(names), scale, patience_s=patience_s)


@pytest.mark.parametrize("name", ["asyncio_streams", "select_generators"])
def test_a_good_server_survives_everything(name: str) -> None:
    results = tortured(ours(name))
    assert [result.fault for result in results] == [fault.name for fault in FAULTS]
    assert [result.reasons for result in results] == [()] * len(FAULTS)
    by_name = {result.fault: result for result in results}
    assert by_name["pause"].probe_worst_ns is not None
    assert by_name["pause"].probe_worst_ns > 100_000_000  # of the 200 ms for which it was stopped
    assert by_name["stop"].descriptors_after is None
    assert by_name["stop"].stop_took_s is not None
    assert all(result.others_checked for result in results)


def test_a_thread_for_each_connection_to_the_upstream_is_none_too_many() -> None:
    """They come when the first few questions are under way at once, and stay."""
    (result,) = tortured(ours("asyncio_streams+to_thread"), "upstream-late")
    assert result.survived, result.reasons


def test_the_one_place_of_a_blocking_server_is_the_probes() -> None:
    results = tortured(ours("blocking"), "stalled", "churn")
    assert [(result.fault, result.place, result.survived) for result in results] == [
        ("stalled", "alone", True),
        ("churn", "after", True),
    ]


@pytest.mark.parametrize(
    ("defect", "fault", "scale", "reason"),
    [
        ("dies_on_x", "bad-path", 0.02, "the server ended, exit code 3"),
        ("leaks_descriptors", "churn", 0.005, "descriptors more than before"),
        ("leaks_memory", "churn", 0.05, "MiB more memory than before"),
        ("goes_wrong_after_a_while", "bad-path", 0.02, "to other clients wrong"),
        ("loses_replies", "bad-path", 0.02, "to other clients lost"),
        ("tracebacks_on_x", "bad-path", 0.02, "the server printed a traceback: RuntimeError"),
        ("none", "stop", 0.02, "told to stop, the server ended with -15"),
    ],
)
def test_a_bad_server_does_not_survive(
    faulty: Callable[..., Candidate], defect: str, fault: str, scale: float, reason: str
) -> None:
    (result,) = tortured(faulty(defect), fault, scale=scale, patience_s=SHORT_PATIENCE_S)
    assert not result.survived
    assert reason in "; ".join(result.reasons)


def test_what_the_upstream_had_no_answer_to_is_counted_and_a_late_answer_to_another_question_is_not_survived() -> (
    None
):
    (died,) = tortured(ours("threaded"), "upstream-dies")
    assert died.survived
    assert died.refused > 0
    with planted(mutant("uses a connection again on which no answer came in time")) as relay:
        (late,) = tortured(relay, "upstream-late", scale=0.2)
    assert not late.survived
    assert "wrong" in "; ".join(late.reasons)


def test_faults_of_an_upstream_happen_to_relays_alone(faulty: Callable[..., Candidate]) -> None:
    assert tortured(faulty("none"), "upstream-dies") == []


def test_what_one_fault_leaves_behind_does_not_count_against_the_next(
    faulty: Callable[..., Candidate],
) -> None:
    results = tortured(faulty("dies_on_x"), "bad-path", "pause")
    assert [result.survived for result in results] == [False, True]


def test_a_server_that_serves_nobody_cannot_be_tortured(faulty: Callable[..., Candidate]) -> None:
    with pytest.raises(LaunchError, match="does not even serve one client"):
        tortured(faulty("silent"), "pause", patience_s=SHORT_PATIENCE_S)


def test_too_few_open_files_are_told_before_anything_happens() -> None:
    with pytest.raises(LaunchError, match="this machine allows"):
        allow_files(2**40)


def test_a_fault_has_its_full_size_and_never_less_than_its_paths() -> None:
    sizes = {fault.name: (sized(fault, 1.0), sized(fault, 0.001)) for fault in FAULTS}
    assert sizes["resets"] == (10_000, 10)
    assert sizes["bad-path"] == (20, 4)


def test_unknown_faults_are_named() -> None:
    with pytest.raises(UsageError, match="no fault is called 'flood'; there are stalled, "):
        selected_faults(["flood"])
