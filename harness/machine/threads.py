"""Which threads of a server are at work."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

STATE_CHECKS: Final = 60
STATE_CHECK_S: Final = 0.002
BUSY_SHARE: Final = 0.2


def working_threads(pids: Sequence[int]) -> Iterator[int]:
    """Count the threads of some processes that run or could run (the kernel's state R), again and again."""
    for _ in range(STATE_CHECKS):
        time.sleep(STATE_CHECK_S)  # a sample of what goes on, not a wait for anything
        stats = [stat for pid in pids for stat in Path(f"/proc/{pid}").glob("task/*/stat")]
        yield sum(_content(stat).rpartition(")")[2].startswith(" R") for stat in stats)


class BusyThreads:
    """Which threads of a process are busy: those that run for a good part of the time between two looks."""

    def __init__(self, pid: int) -> None:
        """Take the first look."""
        self._tasks = Path(f"/proc/{pid}/task")
        self._began_ns = time.monotonic_ns()
        self._before = self._look()

    def count(self) -> int:
        """Take the second look."""
        passed_ns = time.monotonic_ns() - self._began_ns
        now = self._look()
        return sum(ran - self._before.get(task, 0) > BUSY_SHARE * passed_ns for task, ran in now.items())

    def _look(self) -> dict[str, int]:
        """Return how long each thread has run, in ns: the first number of schedstat."""
        return {
            task.name: int((task / "schedstat").read_text(encoding="ascii").split()[0])
            for task in self._tasks.iterdir()
        }


def _content(file: Path) -> str:
    """Read a file of the kernel's; nothing if its thread has just ended."""
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
