"""The lessons do what their guide shows, and what is said of the code is true of the code."""

import asyncio
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from threading import Barrier, Lock, Thread
from typing import Self

import pytest

from harness.conformance.catalogue import selected_cases
from harness.conformance.judge import judge
from harness.conformance.proof.mutants import mutants
from harness.experiments.effects.effects import EFFECTS
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.launch.selection import ours
from implementations.lessons import (
    LESSONS,
    lesson1_echo_server,
    lesson6_reactor,
    lesson8_threads,
    lesson10_waiting,
    slow_upstream,
    total_asyncio,
    total_threads,
)
from implementations.lessons.lesson2_calculator import PROMPT
from implementations.lessons.lesson7_libraries import BY_HAND, FILES, MAP
from implementations.lessons.two_clients import started
from tests.makers import changed

PROJECT = Path(__file__).resolve().parents[2]
IMPLEMENTATIONS = PROJECT / "implementations"
GUIDE = (IMPLEMENTATIONS / "lessons/README.md").read_text(encoding="utf-8")
ANSWERS = (IMPLEMENTATIONS / "lessons/answers.md").read_text(encoding="utf-8")
NAIVE = Path(__file__).parents[1] / "servers" / "naive.py"
LIMIT_S = 120
PORT = "8080"
TELNET_ONLY = re.compile(r"Trying |Connected to |Escape character |Connection closed by foreign host")


@dataclass(frozen=True)
class Session:
    """A command of the guide, and what its terminal shows."""

    command: str
    lines: list[str]

    @property
    def is_server(self) -> bool:
        return f"--port {PORT}" in self.command

    @property
    def is_experiment(self) -> bool:
        """What it measures is held to its rule in `tests/experiments`; here it matters what is shown."""
        return self.command.startswith("harness effect")

    @property
    def takes_input(self) -> bool:
        """Lessons 3 and 6 print `>` as well: before what their own clients type."""
        return "telnet" in self.command or any("^C" in line for line in self.lines)

    def on_port(self, port: int) -> str:
        return self.command.replace(PORT, str(port))


def sessions_of(text: str) -> list[Session]:
    """Return the indented blocks that begin with a command; a blank line inside a block belongs to it."""
    found: list[Session] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("    $ "):
            found.append(Session(line[6:], []))
            inside = True
        elif inside and (not line or line.startswith("    ")):
            found[-1].lines.append(line[4:])
        else:
            inside = False
    for session in found:
        while session.lines and not session.lines[-1]:
            session.lines.pop()
    return found


SECTIONS = {part.splitlines()[0]: sessions_of(part) for part in GUIDE.split("\n## ")}
WITH_COMMANDS = [title for title, sessions in SECTIONS.items() if sessions]
WITH_TELNET = [t for t in WITH_COMMANDS if any("telnet" in session.command for session in SECTIONS[t])]


def words_of(command: str) -> list[str]:
    """Return the words to start a command with; whatever is not ours goes through the shell."""
    first, *rest = command.split()
    return [sys.executable, "-m", "harness", *rest] if first == "harness" else ["sh", "-c", command]


NOTHING_S = 3.0
FREE = (
    (re.compile(r"(127\.0\.0\.1) \d+"), r"\1 PORT"),
    (re.compile(r"CPython [\d.]+ with(out)? the lock"), "PYTHON"),
    (re.compile(r" *\d+\.\d+ (s|times)\b"), r" FIGURE \1"),
    (re.compile(r"\d+ lists each(.*) Total: \d+, lost: [1-9]\d*"), r"MANY LISTS\1 SOME ARE LOST"),
)
"""What differs from run to run."""


def without_figures(session: Session, line: str) -> str:
    """Return a line without what differs from run to run."""
    if session.is_experiment:
        return re.sub(r" +[\d,.]+  (names it|does not name it)", " MEASURED", line.rstrip())
    for pattern, name in FREE:
        line = pattern.sub(name, line)
    return line.rstrip()


def check_shown(session: Session, shown: str) -> None:
    """Compare what was shown with the guide, in which `...` stands for any lines."""
    expected = [without_figures(session, line) for line in session.lines if line != "^C"]
    actual = [without_figures(session, line) for line in shown.splitlines()]
    if "..." not in expected:
        assert actual == expected, session.command
        return
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(f"{line}\n") for line in expected)
    assert re.fullmatch(pattern, "".join(f"{line}\n" for line in actual)), (session.command, shown)


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """What is started here can be interrupted, even if the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Terminal:
    """A program in a terminal of its own, and all that can be seen there."""

    def __init__(self, command: Sequence[str]) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command, cwd=PROJECT, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.screen = ""
        self.limit = time.monotonic() + LIMIT_S

    def __enter__(self) -> Self:
        """Use it as a context: the program has ended when that does."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the program."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def expect(self, screen: str) -> None:
        """Wait until so much can be seen, and check that it is this."""
        while len(self.screen) < len(screen) and self.read():
            pass
        assert self.screen == screen

    def interrupt(self) -> None:
        """Send SIGINT until something happens: between its prompt and its read, input() does not notice."""
        self.process.send_signal(signal.SIGINT)
        while not select.select([self.master], [], [], NOTHING_S)[0] and time.monotonic() < self.limit:
            self.process.send_signal(signal.SIGINT)

    def read(self) -> bool:
        """Wait for more; tell whether the program still has the terminal."""
        ready, _, _ = select.select([self.master], [], [], self.limit - time.monotonic())
        assert ready, self.screen
        try:
            data = os.read(self.master, 65536)
        except OSError:  # Linux reports the last program's end as an error
            return False
        self.screen += data.decode().replace("\r", "")
        return bool(data)


def play_in_terminal(session: Session, command: Sequence[str]) -> None:
    """Type what the guide types, each line when all before it can be seen."""
    screen = ""
    with Terminal(command) as terminal:
        for line in session.lines:
            shown, typing, typed = line.partition("> ")
            interrupted = line.endswith("^C")
            if interrupted:
                shown = line.removesuffix("^C")
            screen += shown
            if typing or interrupted:
                terminal.expect(screen)
            if typing:
                os.write(terminal.master, f"{typed}\n".encode())
                screen += typed  # the terminal's echo
            if interrupted:
                terminal.interrupt()
            screen += "\n"
        while terminal.read():
            pass
        terminal.expect(screen)
        terminal.process.wait(LIMIT_S)


def play_by_socket(session: Session, port: int) -> None:
    """Be the telnet client of a session: what it prints itself is left out."""
    with (
        socket.create_connection(("127.0.0.1", port), LIMIT_S) as client,
        client.makefile(encoding="utf-8") as received,
    ):
        for line in session.lines:
            if line.startswith("> "):
                client.sendall(f"{line[2:]}\r\n".encode())
            elif not TELNET_ONLY.match(line):
                assert received.readline() == f"{line}\n"
        assert received.read() == ""


@contextmanager
def served(session: Session) -> Iterator[int]:
    """Run a server's session, on a free port, and compare its output at the end."""
    with subprocess.Popen(
        words_of(session.on_port(0)),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout
            ready = process.stdout.readline()
            yield int(ready.split()[-1])
            if "^C" in session.lines:
                process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    check_shown(session, ready + rest)


def run_to_end(session: Session, command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0 or (done.returncode == 1 and session.is_experiment), done.stderr
    check_shown(session, done.stdout)


def play_client(session: Session, port: int, *, by_telnet: bool) -> None:
    """Play what the guide does in the second terminal."""
    program = next((name for name in ("telnet", "nc") if name in session.command.split()), None)
    if program == "telnet" and not by_telnet:
        play_by_socket(session, port)
        return
    if program and not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    command = words_of(session.on_port(port))
    if session.takes_input:
        play_in_terminal(session, command)
    else:
        run_to_end(session, command)


def play(sessions: Sequence[Session], *, by_telnet: bool = False) -> None:
    """Do all that a section of the guide does; the session after a server's is its client's."""
    remaining = iter(sessions)
    for session in remaining:
        if session.is_server:
            with served(session) as port:
                play_client(next(remaining), port, by_telnet=by_telnet)
        elif session.takes_input:
            play_in_terminal(session, words_of(session.command))
        else:
            run_to_end(session, words_of(session.command))


@pytest.mark.parametrize("title", WITH_COMMANDS)
def test_the_guide_shows_what_happens(title: str) -> None:
    play(SECTIONS[title])


@pytest.mark.parametrize("title", WITH_TELNET)
def test_the_transcripts_are_those_of_the_real_telnet(title: str) -> None:
    play([s for s in SECTIONS[title] if s.is_server or "telnet" in s.command][:2], by_telnet=True)


def test_every_lesson_is_in_the_guide() -> None:
    for number, lesson in enumerate(LESSONS, start=1):
        (title,) = [title for title in SECTIONS if title.startswith(f"{number}. ")]
        assert any(session.command.startswith(f"harness lesson {number}") for session in SECTIONS[title])
        assert f"]({lesson.name}.py)" in GUIDE


def test_every_link_of_the_guide_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)[)#]", GUIDE + ANSWERS):
        assert (IMPLEMENTATIONS / "lessons" / target).exists(), target


def test_every_question_and_every_exercise_has_its_answer() -> None:
    asked = re.findall(r"^\d\. (.+\?)$", GUIDE, re.MULTILINE)
    assert len(asked) == 9
    assert re.findall(r"^\*\*(.+?\?)\*\*", ANSWERS, re.MULTILINE) == asked
    exercises = r"^\*\*(\d\. .+?)\.?\*\*"
    assert re.findall(exercises, ANSWERS, re.MULTILINE) == re.findall(exercises, GUIDE, re.MULTILINE) != []


def test_what_a_teacher_is_told_of_is_there() -> None:
    teaching = GUIDE.partition("## For whoever teaches with this")[2]
    lecture = teaching.partition("**In a lecture.**")[2].partition("**Marking")[0]
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+|convoy|placement)`", lecture))
    assert named == {
        "interpreter-lock", "switch-interval", "head-of-line", "convoy", "idle-watch", "placement", "no-delay", "full-backlog"
    }  # fmt: skip
    assert named <= {effect.name for effect in EFFECTS}
    assert all(option in harness("conform", "--help").stdout for option in ("--junit", "--declare", "--case"))
    assert len(mutants()) > 100


def test_the_container_has_what_the_guide_needs() -> None:
    container = json.loads((PROJECT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert {"make", "telnet", "netcat-openbsd"} <= set(container["onCreateCommand"].split())
    _, target = container["postCreateCommand"].split()
    assert f"\n{target}:" in (PROJECT / "Makefile").read_text(encoding="utf-8")


def harness(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *words]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["0"], "there is no lesson 0; there are 1 to 10"),
        (["11"], "there is no lesson 11; there are 1 to 10"),
        (["one"], "'one' is not a valid integer"),
        (["--frobnicate"], "No such option"),
        (["4", "five"], "lesson 4 takes no options: five"),
        (["1", "--port", "70000"], "port must be 0-65535"),
        (["1", "--port", "http"], "invalid int value: 'http'"),
        (["7", "curio"], "invalid choice: 'curio'"),
        (["9", "curio"], "invalid choice: 'curio'"),
        (["9", "race", "--port", "70000"], "port must be 0-65535"),
        (["9", "--port", "8080"], "--port goes with a variant: race, lock,"),
        (["10", "--upstream", "somewhere"], "invalid address value: 'somewhere'"),
        (["8", "--python", "/dev/null"], "/dev/null: it does not run Python code"),
    ],
)
def test_what_no_lesson_takes_is_bad_usage(words: Sequence[str], reason: str) -> None:
    done = harness("lesson", *words)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_options_after_the_number_are_the_lessons_own() -> None:
    assert "--port" in harness("lesson", "1", "--help").stdout


def test_a_reader_may_leave_before_the_end_of_a_difference() -> None:
    command = [sys.executable, "-m", "harness", "lesson", "7", "trio"]
    receiving, sending = os.pipe()
    os.close(receiving)
    with os.fdopen(sending, "wb") as closed:
        done = subprocess.run(
            command, cwd=PROJECT, stdout=closed, stderr=subprocess.PIPE, timeout=LIMIT_S, check=False
        )
    assert done.returncode == -signal.SIGPIPE
    assert not done.stderr


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = harness("lesson", "1", "--port", str(other.getsockname()[1]))
    assert done.returncode == 1
    assert done.stderr.startswith("cannot listen on 127.0.0.1 ")
    assert done.stderr.endswith(": Address already in use\n")
    assert done.stderr.count("\n") == 1


def test_the_calculator_alone_ends_with_its_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "lesson", "2"],
        cwd=PROJECT,
        input=f"7\n{'9' * 4000},{'9' * 4000}\n",
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    assert done.stdout == (
        f"{PROMPT}Sum of input integers 7\nProduct of input integers 7\n"
        f"{PROMPT}ERROR. Enter only integers separated by commas\n"
        f"{PROMPT}\nFinished.\n"
    )


def test_the_echo_server_ends_its_lines_in_cr_lf() -> None:
    client, accepted = socket.socketpair()
    with client:
        client.sendall(b"hello\r\nquit\r\n")
        lesson1_echo_server.handle(accepted, "somebody")
        with client.makefile("rb") as received:
            assert received.readlines() == [b"Echoed: 'hello'\r\n", b"connection closed\r\n"]


def test_the_echo_server_breaks_as_it_says() -> None:
    cases = selected_cases(re.findall(r"^- (\w\d\d):", lesson1_echo_server.__doc__ or "", re.MULTILINE))
    assert len(cases) == 6
    naive = Candidate("naive", (sys.executable, str(NAIVE), "{port}"), frozenset({"concurrent"}))
    passed = [judgement.case for judgement in judge(naive, cases) if not judgement.verdict.failed]
    assert not passed


def test_threads_compute_on_another_interpreter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    lesson8_threads.compare(["threaded"], str(other))
    interpreter, heading, figures = capsys.readouterr().out.strip().splitlines()
    assert re.fullmatch(r"\w+ [\d.]+ with(out)? the lock", interpreter)
    assert heading.split() == ["A", "alone", "A", "and", "B", "at", "once"]
    assert re.fullmatch(r"threaded +[\d.]+ s +[\d.]+ s +[\d.]+ times", figures)


def in_two_threads(work: Callable[[str], object], lines: Sequence[str]) -> None:
    """Call it with each of the lines, side by side."""
    threads = [Thread(target=work, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)


@pytest.mark.parametrize(("variant", "totals"), [("race", {3, 4}), ("lock", {7})])
def test_a_list_is_lost_if_both_threads_have_read_before_either_writes(
    variant: str, totals: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    both_add_up = Barrier(2, timeout=LIMIT_S)

    def add_up(line: str) -> int:
        both_add_up.wait()
        return int(line)

    monkeypatch.setattr(total_threads, "add_up", add_up)
    shared = total_threads.VARIANTS[variant]()
    in_two_threads(shared.add, ["3", "4"])
    assert shared.total in totals


@pytest.mark.skipif(
    sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="nothing is said of interpreters without the lock",
)
def test_the_addition_alone_is_not_interrupted_on_this_interpreter() -> None:
    shared = total_threads.Race()
    before = sys.getswitchinterval()

    def add(_: str) -> None:
        for number in repeat(1, 50_000):
            shared.total += number

    try:
        sys.setswitchinterval(1e-6)
        in_two_threads(add, "AB")
    finally:
        sys.setswitchinterval(before)
    assert shared.total == 100_000


class MeetingLock:
    """A lock; whoever takes it first waits until somebody has taken another one of the same meeting."""

    def __init__(self, meeting: Barrier) -> None:
        self.lock = Lock()
        self.meeting = meeting
        self.met = False

    def acquire(self, timeout: float = LIMIT_S) -> bool:
        taken = self.lock.acquire(timeout=timeout)
        if taken and not self.met:
            self.met = True
            self.meeting.wait()
        return taken

    def release(self) -> None:
        self.lock.release()

    def __enter__(self) -> None:
        """Take it."""
        assert self.acquire()

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.release()


def test_two_locks_in_two_orders_are_a_deadlock_which_the_question_ends() -> None:
    shared = total_threads.Deadlock()
    meeting = Barrier(2, timeout=LIMIT_S)
    with pytest.MonkeyPatch.context() as patch:
        for lock in ("total_lock", "count_lock"):
            patch.setattr(shared, lock, MeetingLock(meeting))
        adding = Thread(target=shared.add, args=("3,4",))
        adding.start()
        with pytest.raises(total_threads.DeadlockError, match="has the lock of the count"):
            shared.mean()
        adding.join(LIMIT_S)
    assert (shared.total, shared.count) == (7, 1)


class NotingLock:
    """A lock that notes when it is taken; there is only one thread."""

    def __init__(self, name: str, taken: list[str]) -> None:
        self.name = name
        self.taken = taken

    def acquire(self, **_: object) -> bool:
        self.taken.append(self.name)
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> None:
        """Take it."""
        self.acquire()

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.release()


@pytest.mark.parametrize(
    ("variant", "order_of_the_question"),
    [("deadlock", ["count_lock", "total_lock"]), ("order", ["total_lock", "count_lock"])],
)
def test_the_cure_of_the_deadlock_is_the_order_of_the_locks(
    variant: str, order_of_the_question: Sequence[str]
) -> None:
    shared = total_threads.VARIANTS[variant]()
    assert isinstance(shared, total_threads.Deadlock)
    taken: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for lock in ("total_lock", "count_lock"):
            patch.setattr(shared, lock, NotingLock(lock, taken))
        shared.add("3,4")
        assert taken == ["total_lock", "count_lock"]
        assert shared.mean() == 7.0
        assert taken[2:] == order_of_the_question


@pytest.mark.parametrize(("variant", "total"), [("await", 4), ("await-first", 7)])
def test_a_list_is_lost_if_there_is_an_await_between_reading_and_writing(variant: str, total: int) -> None:
    shared = total_asyncio.VARIANTS[variant]()

    async def add_both() -> None:
        await asyncio.gather(shared.add("3"), shared.add("4"))

    asyncio.run(add_both())
    assert shared.total == total


@pytest.mark.parametrize("variant", ["race", "lock", "deadlock", "order"])
def test_what_is_no_list_is_answered_by_threads_and_adds_nothing(variant: str) -> None:
    shared = total_threads.VARIANTS[variant]()
    lines = ("3,4", "hello", "5,", "total", "quit")
    error = "ERROR. Enter only integers separated by commas"
    said = [total_threads.answer(line, shared) for line in lines]
    assert said == ["<added>", error, error, "Total of all lists: '7'", "connection closed"]


@pytest.mark.parametrize("variant", total_asyncio.VARIANTS)
def test_what_is_no_list_is_answered_by_an_event_loop_and_adds_nothing(variant: str) -> None:
    shared = total_asyncio.VARIANTS[variant]()

    async def answers(*lines: str) -> list[str]:
        return [await total_asyncio.answer(line, shared) for line in lines]

    error = "ERROR. Enter only integers separated by commas"
    said = asyncio.run(answers("3,4", "hello", "5,", "total", "quit"))
    assert said == ["<added>", error, error, "Total of all lists: '7'", "connection closed"]


class Meeting(slow_upstream.Upstream):
    """An upstream that answers nobody until it has been asked by all."""

    def __init__(self) -> None:
        super().__init__()
        self.all_have_asked = Barrier(lesson10_waiting.CLIENTS, timeout=LIMIT_S)

    def pause(self) -> None:
        self.all_have_asked.wait()


@pytest.mark.parametrize("way", lesson10_waiting.WAYS)
def test_the_questions_of_all_clients_are_under_way_at_once(
    way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream = Meeting()
    with slow_upstream.running_here(upstream) as address:
        lesson10_waiting.ask_at_once(way, address)
    assert not upstream.all_have_asked.broken
    *_, threads = capsys.readouterr().out.split()
    assert int(threads) == (lesson10_waiting.CLIENTS + 1 if way == "threads" else 1)


@pytest.mark.parametrize("way", lesson10_waiting.WAYS)
def test_a_relay_passes_on_whatever_way_lines_arrive(way: str) -> None:
    with (
        slow_upstream.running_here(slow_upstream.Upstream()) as address,
        started(f"lessons.relay_{way}", "--upstream", address) as relay,
        socket.create_connection(relay.address, LIMIT_S) as client,
        client.makefile("rb") as received,
    ):
        client.sendall(b"1,2\n3,")
        lines = [received.readline() for _ in range(2)]
        client.sendall(b"4\n")
        lines.append(received.readline())
    assert lines == [
        b"<welcome: starting in sum mode>\n",
        b"Sum of input numbers: '3'\r\n",
        b"Sum of input numbers: '7'\r\n",
    ]


def test_another_upstream_is_asked_but_not_in_vain() -> None:
    with launch(ours("threaded")) as launched:
        done = harness("lesson", "10", "--upstream", "{}:{}".format(*launched.address))
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == list(lesson10_waiting.WAYS)


def read(server: str) -> str:
    return (IMPLEMENTATIONS / f"{server}.py").read_text(encoding="utf-8")


BY_HAND_CODE = read(BY_HAND) + read("select_reactor")


@pytest.mark.parametrize("library", [BY_HAND, *FILES])
def test_the_map_names_what_is_in_the_files(library: str) -> None:
    code = BY_HAND_CODE if library == BY_HAND else read(FILES[library])
    column = "by_hand" if library == BY_HAND else library
    for part in MAP:
        for words in re.findall(r"`(.+?)`", getattr(part, column)):
            assert words in code, f"{part.purpose}: {words}"


def test_what_became_of_lesson_5_is_in_the_reactor() -> None:
    table = re.findall(r"^    \S.*?  +(.*)$", lesson6_reactor.__doc__ or "", re.MULTILINE)
    assert len(table) == 6
    names = re.findall(r"`(.+?)`", " ".join(table))
    assert names
    assert all(name in BY_HAND_CODE for name in names)
    assert len(re.findall(r"^ +yield ", BY_HAND_CODE, re.MULTILINE)) == 1


BREAKAGES = re.findall(r"^\| (\w) \| `(.+?)` \| `(.+?)` \| `(.+?)` \|$", GUIDE, re.MULTILINE)
CAUGHT_BY = dict(re.findall(r"^- ([a-z]): ([A-Z]\d\d)\.", ANSWERS, re.MULTILINE))


def test_every_breakage_of_the_exercise_has_its_case() -> None:
    assert [letter for letter, *_ in BREAKAGES] == list(CAUGHT_BY) == list("abcdefg")


@pytest.mark.parametrize(("letter", "file", "old", "new"), BREAKAGES)
def test_the_case_that_is_named_catches_the_breakage(
    letter: str, file: str, old: str, new: str, tmp_path: Path
) -> None:
    shutil.copytree(IMPLEMENTATIONS, tmp_path / "implementations")
    broken = tmp_path / "implementations" / file
    code = broken.read_text(encoding="utf-8")
    assert code.count(old) == 1
    broken.write_text(code.replace(old, new), encoding="utf-8")
    shared = file in {"protocol.py", "blocking_handler.py"}
    whole = ours("threaded" if shared else file.removesuffix(".py"))
    there = ("sh", "-c", 'cd "$0" && exec "$@"', str(tmp_path))
    (judgement,) = judge(changed(whole, command=there + whole.command), selected_cases([CAUGHT_BY[letter]]))
    assert judgement.verdict.failed, judgement


CURE = re.search(r"^    (if question\.removesuffix.*:)\n        (break)$", ANSWERS, re.MULTILINE)


@pytest.mark.parametrize("is_mended", [False, True])
def test_the_relay_of_the_exercise_stays_until_it_is_mended(is_mended: bool, tmp_path: Path) -> None:  # noqa: FBT001
    assert CURE
    shutil.copytree(IMPLEMENTATIONS, tmp_path / "implementations")
    relay = tmp_path / "implementations/lessons/relay_threads.py"
    code = relay.read_text(encoding="utf-8")
    end_of_loop = " " * 12 + "client.sendall(answers.readline())\n"
    assert code.count(end_of_loop) == 1
    if is_mended:
        mended = f"{end_of_loop}{' ' * 12}{CURE[1]}\n{' ' * 16}{CURE[2]}\n"
        relay.write_text(code.replace(end_of_loop, mended), encoding="utf-8")
    with launch(ours("threaded")) as upstream:
        command = [sys.executable, "-m", "implementations.lessons.relay_threads"]
        command += ["--port", "{port}", "--upstream", "{}:{}".format(*upstream.address)]
        there = ("sh", "-c", 'cd "$0" && exec "$@"', str(tmp_path))
        candidate = Candidate("relay", (*there, *command), frozenset({"concurrent"}))
        stays, takes_no_other_line_for_quit = judge(candidate, selected_cases(["S05", "S07"]))
    assert stays.verdict.failed != is_mended, stays
    assert not takes_no_other_line_for_quit.verdict.failed, takes_no_other_line_for_quit


@pytest.mark.parametrize(("threads", "is_enough"), [(9, False), (10, True)])
def test_the_pool_of_the_exercise_needs_ten_threads(threads: int, is_enough: bool) -> None:  # noqa: FBT001
    command = (sys.executable, "-m", "implementations.thread_pool", "--port", "{port}")
    pool = Candidate("pool", (*command, "--max-clients", str(threads)), frozenset({"concurrent"}))
    (judgement,) = judge(pool, selected_cases(["C01"]))
    assert judgement.verdict.failed != is_enough, judgement
