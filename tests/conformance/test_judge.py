"""Verdicts: what the suite says of servers that are wrong in one way."""

import io
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest
from rich.console import Console

from harness.cli.matrix import print_matrix, summary, to_json, to_junit
from harness.conformance import target as targets
from harness.conformance.case import Case
from harness.conformance.catalogue import CASES, selected_cases
from harness.conformance.judge import HOPELESS, hopeless, judge, run_case
from harness.conformance.peer import Peer
from harness.conformance.target import Target, shared_target
from harness.conformance.violations import Violation
from harness.errors import LaunchError, UsageError
from harness.launch.candidates import GREETING, HOST, STOP, Candidate
from harness.launch.process import free_port, launch
from harness.launch.selection import ours
from harness.record import Judgement, Verdict
from harness.report.names import short_names

FORKING = Path(__file__).parents[1] / "servers" / "forking.py"


def verdict_of(candidate: Candidate, *case_ids: str) -> Judgement:
    (judgement,) = judge(candidate, selected_cases(case_ids))
    return judgement


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "LEAST_PATIENCE_S", 1.0)
    monkeypatch.setattr(targets, "STARTUPS_OF_PATIENCE", 1)


def test_a_wrong_reply_fails_with_what_was_sent_expected_and_received(
    faulty: Callable[..., Candidate],
) -> None:
    found = verdict_of(faulty("adds_one"), "F02")
    assert found.verdict is Verdict.FAIL
    assert "sent b'1,2\\n'" in found.detail
    assert "expected b\"Sum of input numbers: '3'\\r\\n\"" in found.detail
    assert "received b\"Sum of input numbers: '4'\\r\\n\"" in found.detail
    assert "printf '1,2\\n' | nc HOST PORT" in found.detail


def test_a_case_that_the_defect_does_not_concern_passes(faulty: Callable[..., Candidate]) -> None:
    assert verdict_of(faulty("adds_one"), "F01").verdict is Verdict.PASS


@pytest.mark.usefixtures("_impatient")
def test_no_answer_is_a_timeout(faulty: Callable[..., Candidate]) -> None:
    found = verdict_of(faulty("silent"), "F01")
    assert found.verdict is Verdict.TIMEOUT


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize(("defect", "known"), [("greets_after_input", GREETING), ("ignores_signals", STOP)])
def test_nobody_waits_long_for_what_is_hopeless_and_the_verdict_says_so(
    faulty: Callable[..., Candidate], defect: str, known: str
) -> None:
    assert hopeless(faulty("none")) == frozenset()
    assert hopeless(faulty(defect)) == {known}
    found = judge(faulty(defect), selected_cases(["F", "L02"]))
    waited = [judgement.detail for judgement in found if judgement.verdict is Verdict.TIMEOUT]
    assert waited
    assert all(HOPELESS[known] in detail for detail in waited)


def test_a_server_that_dies_has_crashed_and_the_next_case_gets_a_new_one(
    faulty: Callable[..., Candidate],
) -> None:
    found = judge(faulty("dies_on_x"), selected_cases(["F09", "F02", "A11"]))
    assert {judgement.case: judgement.verdict for judgement in found} == {
        "F02": Verdict.PASS,
        "F09": Verdict.CRASH,
        "A11": Verdict.CRASH,
    }
    assert "exit code 3" in next(
        judgement.detail for judgement in found if judgement.verdict is Verdict.CRASH
    )


def test_a_traceback_is_a_crash(faulty: Callable[..., Candidate]) -> None:
    found = verdict_of(faulty("tracebacks_on_x"), "A11")
    assert found.verdict is Verdict.CRASH
    assert "RuntimeError" in found.detail


def test_a_disclaimed_capability_that_is_there_is_a_stale_claim() -> None:
    roomy = tuple(word.replace("{max_clients}", "100") for word in ours("threaded").command)
    for case_id in ("C01", "C02", "C03"):
        found = verdict_of(Candidate("modest", roomy, frozenset(), announces=True), case_id)
        assert found.verdict is Verdict.STALE_CLAIM, found


def test_a_parallel_server_is_seen_to_be_one() -> None:
    command = (sys.executable, str(FORKING), "{port}")
    for declared, verdict in (
        (frozenset({"concurrent", "parallel"}), Verdict.PASS),
        (frozenset({"concurrent"}), Verdict.STALE_CLAIM),
    ):
        found = verdict_of(Candidate("forking", command, declared), "C13")
        assert found.verdict is verdict, found


@pytest.mark.usefixtures("_impatient")
def test_a_claimed_capability_that_is_not_there_fails() -> None:
    command = tuple(word.replace("{max_clients}", "1") for word in ours("blocking").command)
    found = verdict_of(Candidate("boastful", command, frozenset({"concurrent"}), announces=True), "C02")
    assert found.verdict is Verdict.TIMEOUT


@pytest.mark.usefixtures("_impatient")
def test_a_capability_that_nobody_spoke_of_is_reported_and_not_judged() -> None:
    command = tuple(word.replace("{max_clients}", "1") for word in ours("blocking").command)
    assert (
        verdict_of(Candidate("quiet", command, None, announces=True), "C02").verdict is Verdict.NOT_APPLICABLE
    )
    assert (
        verdict_of(Candidate("quiet", ours("threaded").command, None, announces=True), "C02").verdict
        is Verdict.PASS
    )


def test_an_address_alone_makes_cases_of_the_process_not_applicable() -> None:
    with launch(ours("threaded")) as launched:
        found = {
            j.case: j
            for j in judge(Candidate("there", address=launched.address), selected_cases(["L", "F02", "C04"]))
        }
    assert found["F02"].verdict is Verdict.PASS
    assert {judgement.verdict for case, judgement in found.items() if case != "F02"} == {
        Verdict.NOT_APPLICABLE
    }


def test_a_command_without_a_place_for_an_option_makes_its_cases_not_applicable(
    faulty: Callable[..., Candidate],
) -> None:
    found = verdict_of(faulty("none"), "L11")
    assert found.verdict is Verdict.NOT_APPLICABLE
    assert "{idle_timeout}" in found.detail


def test_nothing_at_an_address_cannot_be_judged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    with pytest.raises(LaunchError, match="nothing answers at there"):
        judge(Candidate("there", address=address))


def test_a_case_that_breaks_is_our_fault() -> None:
    def check(_: Target) -> None:
        raise ZeroDivisionError

    with shared_target(ours("blocking")) as target:
        verdict, detail = run_case(Case("X01", "breaks", "1.1", "MUST", check), target)
    assert verdict is Verdict.HARNESS
    assert "ZeroDivisionError" in detail


def test_the_oracle_has_the_last_word() -> None:
    """A case that looks at too little is still compared with the oracle, byte by byte."""

    def check(target: Target) -> None:
        peer = target.connect()
        peer.send(b"1,2\n")
        peer.half_close()
        peer.drain()
        peer.received.extend(b"more")

    with shared_target(ours("blocking")) as target:
        verdict, detail = run_case(Case("X01", "looks away", "1.1", "MUST", check), target)
    assert verdict is Verdict.FAIL
    assert "byte 59" in detail


def test_a_missing_end_is_noticed() -> None:
    with shared_target(ours("blocking")) as target:
        peer = target.greeted()
        peer.send(b"1,2\n")
        peer.half_close()
        peer.drain()
        del peer.received[-3:]
        peer.close()
        with pytest.raises(Violation, match="missing: b\"'"):
            peer.check_against_oracle()


def test_an_unknown_case_is_named() -> None:
    with pytest.raises(UsageError, match="no case is called 'F99'"):
        selected_cases(["F99"])
    assert {case.id[0] for case in selected_cases(["f", "L02"])} == {"F", "L"}
    assert selected_cases([]) == CASES


def judgement(server: str, case: str, verdict: Verdict, detail: str = "") -> Judgement:
    return Judgement(server, case, f"title of {case}", "MUST", verdict, detail, 0.5)


JUDGEMENTS = [
    judgement("one_thing", "F01", Verdict.PASS),
    judgement("one_thing", "L01", Verdict.FAIL, "sent [b'x'] \x00"),
    judgement("another_thing", "F01", Verdict.BY_DESIGN),
    judgement("another_thing", "L01", Verdict.HARNESS, "broke"),
]


def test_the_matrix_fits_a_hundred_columns_and_explains_failures() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    print_matrix(JUDGEMENTS, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 100
    assert "sent [b'x']" in text
    assert "design   BY-DESIGN: the server says that it lacks" in text
    assert summary(JUDGEMENTS) == "2 cases on 2 servers: 1 PASS, 1 BY-DESIGN, 1 FAIL, 1 HARNESS"


def test_the_matrix_of_all_servers_shows_every_verdict_whole() -> None:
    labels = [
        "blocking",
        "threaded",
        "select_generators",
        "asyncio_streams",
        "trio_nursery",
        "gevent_greenlets",
    ]
    console = Console(width=100, record=True, file=io.StringIO())
    print_matrix([judgement(label, "C01", Verdict.STALE_CLAIM) for label in labels], console)
    assert console.export_text().count(" stale ") == len(labels)


def test_short_names_stay_unique() -> None:
    assert short_names(["a_x", "b_x"]) == {"a_x": "a", "b_x": "b"}
    assert short_names(["a_x", "a_y"]) == {"a_x": "a_x", "a_y": "a_y"}


def test_json_and_junit_say_the_same() -> None:
    assert '"verdict": "BY-DESIGN"' in to_json(JUDGEMENTS)
    root = ET.fromstring(to_junit(JUDGEMENTS))  # noqa: S314 - our own
    assert [(suite.get("failures"), suite.get("errors")) for suite in root] == [("1", "0"), ("0", "1")]


def test_a_client_that_cannot_connect_leaves_no_socket_behind() -> None:
    address = (HOST, free_port())
    before = psutil.Process().num_fds()
    with pytest.raises(Violation, match="cannot connect"):
        Peer(address, patience_s=5)
    assert psutil.Process().num_fds() == before
