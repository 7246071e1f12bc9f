"""What the kernel knows of a server's processes: what they have used so far, and what they hold now."""

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from harness.record.costs import Holding

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
CPU_CLOCK: Final = 2
"""The clock of a process, all its threads, that the kernel names by `~pid << 3 | 2`."""
GONE: Final = (FileNotFoundError, ProcessLookupError)
SETTLE_CHECK_S: Final = 0.02
SETTLE_CHECKS: Final = 100


@dataclass(frozen=True)
class Usage:
    """What processes have used since they began: CPU time, switches, timeslices, minor page faults.

    `delayed_ns` is how long their threads could have run, and had to wait for a core.
    """

    cpu_ns: int = 0
    user_ticks: int = 0
    system_ticks: int = 0
    voluntary: int = 0
    involuntary: int = 0
    timeslices: int = 0
    page_faults: int = 0
    delayed_ns: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Add up."""
        return self._with(other, 1)

    def __sub__(self, other: "Usage") -> "Usage":
        """Return what was used between two moments."""
        return self._with(other, -1)

    def _with(self, other: "Usage", sign: int) -> "Usage":
        return Usage(
            *(
                mine + sign * theirs
                for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)
            )
        )

    @property
    def wakeups(self) -> int:
        """Count how often a thread came to run after it had waited, and not after another was preferred to it."""
        return max(0, self.timeslices - self.involuntary)

    @property
    def user_share(self) -> float:
        """Return the share of user time in the CPU time: approximate, by the kernel's ticks."""
        return self.user_ticks / max(1, self.user_ticks + self.system_ticks)


def processes_of(leader: int) -> tuple[int, ...]:
    """Return the ids of a process and of all that it has started."""
    return (leader, *(child.pid for child in psutil.Process(leader).children(recursive=True)))


def usage(pids: Iterable[int]) -> Usage:
    """Read what processes have used so far; threads that have ended count for CPU time and page faults alone."""
    total = Usage()
    for pid in pids:
        # The name, in brackets, may hold anything; the fields after it are numbered in proc(5), from the third on.
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        minor_faults, user_ticks, system_ticks = (int(fields[number - 3]) for number in (10, 14, 15))
        total += Usage(
            cpu_ns=time.clock_gettime_ns(~pid << 3 | CPU_CLOCK),
            user_ticks=user_ticks,
            system_ticks=system_ticks,
            page_faults=minor_faults,
        )
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(*GONE):
                total += _of_thread(task)
    return total


def _of_thread(task: Path) -> Usage:
    status = (task / "status").read_text(encoding="utf-8", errors="replace")
    _, delayed_ns, timeslices = (task / "schedstat").read_text(encoding="ascii").split()
    return Usage(
        voluntary=number_in(status, "voluntary_ctxt_switches:"),
        involuntary=number_in(status, "nonvoluntary_ctxt_switches:"),
        timeslices=int(timeslices),
        delayed_ns=int(delayed_ns),
    )


def settle(pids: Sequence[int]) -> None:
    """Wait until processes have used nothing between two looks, but not for ever: some never rest."""
    before = usage(pids)
    for _ in range(SETTLE_CHECKS):
        time.sleep(SETTLE_CHECK_S)
        now = usage(pids)
        if now == before:
            return
        before = now


def holding(pids: Sequence[int], connections: int) -> Holding:
    """Look at what a server holds now, and at what the kernel holds for it."""
    memory = [Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii") for pid in pids]
    status = [Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace") for pid in pids]
    machine = Path("/proc/meminfo").read_text(encoding="ascii")
    sockets = Path("/proc/net/sockstat").read_text(encoding="ascii")
    return Holding(
        connections=connections,
        rss_bytes=sum(number_in(text, "Rss:") for text in memory) * 1024,
        pss_bytes=sum(number_in(text, "Pss:") for text in memory) * 1024,
        page_table_bytes=sum(number_in(text, "VmPTE:") for text in status) * 1024,
        kernel_stack_bytes=number_in(machine, "KernelStack:") * 1024,
        tcp_buffer_bytes=number_in(sockets.partition("TCP:")[2], "mem") * PAGE_BYTES,
        slab_bytes=number_in(machine, "Slab:") * 1024,
        threads=sum(number_in(text, "Threads:") for text in status),
        descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
    )


def number_in(text: str, name: str) -> int:
    """Return the number after a word, the first of that name; 0 if it is not there."""
    words = text.split()
    return int(words[words.index(name) + 1]) if name in words else 0
