"""Count the syscalls of a server that runs: strace comes and goes while its clients stay."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

from harness.machine.guard import be_guarded

ATTACH_LIMIT_S: Final = 30.0
LET_GO_LIMIT_S: Final = 10.0
ATTACHED: Final = " attached"


class TraceError(Exception):
    """Nothing can be traced here, for a reason that is worth a note."""


class Trace:
    """Syscalls by name; known when the context of `traced` has ended."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.calls: Mapping[str, int] = {}


@contextmanager
def traced(pids: Sequence[int]) -> Iterator[Trace]:
    """Count the syscalls of processes, all threads, while the context lasts.

    Raises:
        TraceError: strace is not installed, or may not trace.
    """
    if shutil.which("strace") is None:
        raise TraceError("strace is not installed")
    be_guarded()
    trace = Trace()
    with tempfile.TemporaryDirectory() as scratch:
        summary = Path(scratch) / "summary"
        targets = [word for pid in pids for word in ("-p", str(pid))]
        command = ["strace", "-c", "-f", "-U", "name,calls", "-o", str(summary), *targets]
        environment = os.environ | {"LC_ALL": "C"}
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,
            env=environment,
        ) as process:
            try:
                _await_attachment(process, len(pids))
                yield trace
            finally:
                has_let_go = _let_go(process)
        if not has_let_go:
            raise TraceError("strace did not let go")
        trace.calls = calls_in(summary.read_text(encoding="utf-8"))


def _let_go(process: subprocess.Popen[bytes]) -> bool:
    """Let strace write what it has counted; it is killed if it does not end, as it may if the server has ended."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(LET_GO_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return False
    return True


def _await_attachment(process: subprocess.Popen[bytes], count: int) -> None:
    assert process.stderr  # noqa: S101 - it was started with a pipe
    output = FileIO(
        os.dup(process.stderr.fileno())
    )  # without a buffer, whose lock would keep others from closing
    lines: SimpleQueue[str] = SimpleQueue()
    Thread(target=_read_lines, args=(output, lines), daemon=True).start()
    attached = 0
    while attached < count:
        try:
            line = lines.get(timeout=ATTACH_LIMIT_S)
        except Empty:
            raise TraceError(f"strace did not attach within {ATTACH_LIMIT_S:g} s") from None
        if not line:
            raise TraceError("strace ended before it had attached")
        if ATTACHED in line:
            attached += 1
        elif "attach:" in line or "ptrace" in line:
            raise TraceError(line.strip().removeprefix("strace: "))


def _read_lines(output: FileIO, lines: SimpleQueue[str]) -> None:
    with output:
        for line in output:
            lines.put(line.decode(errors="replace"))
    lines.put("")


def calls_in(summary: str) -> dict[str, int]:
    """Read strace's table: a name and a number in each line between the rules; the last is the total."""
    rows = [line.split() for line in summary.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit() and row[0] != "total"}
