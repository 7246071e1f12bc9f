"""An upstream in a process of its own: it starts and ends like every server, and says what it was asked."""

import re
import signal
import subprocess
import sys
from itertools import repeat
from pathlib import Path

import pytest

from harness.conformance.smoke import check_shortly
from harness.drive.questions import NOBODY
from harness.drive.upstream_server import FailingQuestions
from harness.oracle import NO_ANSWER

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 30


def test_it_is_ready_answers_and_stops() -> None:
    command = [sys.executable, "-m", "harness.drive.upstream_server", "--port", "0", "--wait", "0.002"]
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        ready = re.fullmatch(
            r"Server up, running, and waiting for call on (\S+) (\d+)\n", process.stdout.readline()
        )
        assert ready
        check_shortly("upstream", (ready[1], int(ready[2])))
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
        assert process.stderr.read() == "4 questions, 1 under way at once at most\n"


def test_where_it_cannot_listen_it_says_so_in_one_line() -> None:
    command = [sys.executable, "-m", "harness.drive.upstream_server", "--host", "192.0.2.1", "--port", "1"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "cannot listen on 192.0.2.1 1: Cannot assign requested address\n"


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_as_many_answers_as_are_asked_for_are_errors(share: float) -> None:
    questions = FailingQuestions(repeat(1), share, seed=3)
    for now_ns in range(2_000):
        questions.ask(0, NOBODY, b"an answer", now_ns)
    answers = [questions.answer(3_000).answer for _ in range(2_000)]
    assert set(answers) <= {NO_ANSWER, b"an answer"}
    assert answers.count(NO_ANSWER) == pytest.approx(share * 2_000, abs=100)
