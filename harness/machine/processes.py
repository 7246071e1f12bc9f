"""What the kernel tells of processes: whose they are, the CPU time that they have used, the memory and files that they hold.

Whatever asks for a process that has ended gets a ProcessLookupError, or a FileNotFoundError of /proc (`GONE`).
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from harness.machine.guard import forget_group

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
NS_PER_TICK: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
CPU_CLOCK: Final = 2
"""The clock of a process, all its threads, that the kernel names by `~pid << 3 | 2`."""
GONE: Final = (FileNotFoundError, ProcessLookupError)
SETTLE_CHECK_S: Final = 0.02
SETTLE_CHECKS: Final = 100


def processes_of(leader: int) -> tuple[int, ...]:
    """Return the ids of a process and of all that it has started."""
    with _gone_is_gone():
        return (leader, *(child.pid for child in psutil.Process(leader).children(recursive=True)))


def child_running(module: str) -> int | None:
    """Return the id of a child of ours that runs a module of ours, if there is one."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if module in child.cmdline():
                return child.pid
    return None


def runs_below(leader: int, module: str) -> bool:
    """Tell whether a process, or one that it has started, runs a module of ours."""
    with suppress(psutil.NoSuchProcess):
        return any(module in child.cmdline() for child in psutil.Process(leader).children(recursive=True))
    return False


def reap(process: subprocess.Popen[bytes], patience_s: float = 1.0) -> None:
    """End a process and its group for good: politely first, for so long, unless it does not listen."""
    if process.poll() is None:
        process.terminate()
        process.send_signal(signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    forget_group(process.pid)
    if process.stdout:
        process.stdout.close()


def cpu_ns_of(pids: Sequence[int]) -> int:
    """Return the CPU time that processes have used so far, all their threads, from their CPU clocks."""
    used_ns = 0
    for pid in pids:
        with suppress(OSError):  # it died: the requests tell
            used_ns += _cpu_ns(pid)
    return used_ns


def ticks_of(pids: Sequence[int]) -> tuple[int, int]:
    """Return the ticks that processes have spent in user space and in the kernel: sampled, so good for shares only."""
    user_ticks = system_ticks = 0
    for pid in pids:
        with suppress(OSError):
            _, user, system = _faults_and_ticks(pid)
            user_ticks += user
            system_ticks += system
    return user_ticks, system_ticks


def waited_ns() -> int:
    """Return how long this process has waited for a core so far, ready to run (proc/schedstat, run delay)."""
    _, waited, _ = Path("/proc/self/schedstat").read_text(encoding="ascii").split()
    return int(waited)


def busy_ns(cores: Sequence[int]) -> int:
    """Return the time that cores have spent on processes so far, user and system; the kernel counts in ticks of 10 ms."""
    if not cores:
        return 0
    names = {f"cpu{core}" for core in cores}
    ticks = 0
    with Path("/proc/stat").open(encoding="ascii") as file:
        for name, *counts in map(str.split, file):
            if name in names:
                user, nice, system, *_ = map(int, counts)
                ticks += user + nice + system
    return ticks * NS_PER_TICK


def machine_time() -> tuple[float, float]:
    """Return the seconds of all cores so far, and those that the hypervisor gave to others."""
    times = psutil.cpu_times()
    return sum(times[:8]), times.steal


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


def usage(pids: Iterable[int]) -> Usage:
    """Read what processes have used so far; threads that have ended count for CPU time and page faults alone."""
    total = Usage()
    for pid in pids:
        minor_faults, user_ticks, system_ticks = _faults_and_ticks(pid)
        total += Usage(
            cpu_ns=_cpu_ns(pid),
            user_ticks=user_ticks,
            system_ticks=system_ticks,
            page_faults=minor_faults,
        )
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(*GONE):
                total += _of_thread(task)
    return total


def settle(pids: Sequence[int]) -> None:
    """Wait until processes have used nothing between two looks, but not for ever: some never rest."""
    before = usage(pids)
    for _ in range(SETTLE_CHECKS):
        time.sleep(SETTLE_CHECK_S)
        now = usage(pids)
        if now == before:
            return
        before = now


class Footprint(NamedTuple):
    """What a server holds, all of its processes together."""

    descriptors: int
    threads: int
    memory_bytes: int


def footprint(leader: int) -> Footprint:
    """Look at what a process and all that it has started hold; a child that has just ended holds nothing."""
    first, *children = processes_of(leader)
    found = [_footprint_of(first)]
    for child in children:
        with suppress(*GONE):
            found.append(_footprint_of(child))
    return Footprint(*map(sum, zip(*found, strict=True)))


@dataclass(frozen=True)
class Snapshot:
    """What the kernel knows of the server at one moment; zeros if its process is not known."""

    memory_bytes: int = 0
    peak_bytes: int = 0
    threads: int = 0
    descriptors: int = 0
    switches_voluntary: int = 0
    switches_involuntary: int = 0


def snapshot(leader: int | None) -> Snapshot:
    """Look at a process and all that it has started; what has died, or is not known, counts as nothing."""
    seen = Snapshot()
    if leader is None:
        return seen
    with suppress(*GONE):
        for pid in processes_of(leader):
            held = _footprint_of(pid)
            # /proc/PID/status has the switches of the first thread alone.
            tasks = [_said_in(task) for task in Path(f"/proc/{pid}/task").glob("*/status")]
            seen = Snapshot(
                seen.memory_bytes + held.memory_bytes,
                seen.peak_bytes + number_in(_said_in(Path(f"/proc/{pid}/status")), "VmHWM:") * 1024,
                seen.threads + held.threads,
                seen.descriptors + held.descriptors,
                seen.switches_voluntary + sum(number_in(task, "voluntary_ctxt_switches:") for task in tasks),
                seen.switches_involuntary
                + sum(number_in(task, "nonvoluntary_ctxt_switches:") for task in tasks),
            )
    return seen


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory; nothing if it has died."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except GONE:
        return 0
    return pages * PAGE_BYTES


@dataclass(frozen=True)
class Held:
    """What processes hold, and what the kernel holds for them; each field is described at `record.Holding`."""

    rss_bytes: int
    pss_bytes: int
    page_table_bytes: int
    kernel_stack_bytes: int
    tcp_buffer_bytes: int
    slab_bytes: int
    threads: int
    descriptors: int


def held(pids: Sequence[int]) -> Held:
    """Look at what a server holds now, and at what the kernel holds for it."""
    memory = [Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii") for pid in pids]
    status = [_said_in(Path(f"/proc/{pid}/status")) for pid in pids]
    machine = Path("/proc/meminfo").read_text(encoding="ascii")
    sockets = Path("/proc/net/sockstat").read_text(encoding="ascii")
    return Held(
        rss_bytes=sum(number_in(text, "Rss:") for text in memory) * 1024,
        pss_bytes=sum(number_in(text, "Pss:") for text in memory) * 1024,
        page_table_bytes=sum(number_in(text, "VmPTE:") for text in status) * 1024,
        kernel_stack_bytes=number_in(machine, "KernelStack:") * 1024,
        tcp_buffer_bytes=number_in(sockets.partition("TCP:")[2], "mem") * PAGE_BYTES,
        slab_bytes=number_in(machine, "Slab:") * 1024,
        threads=sum(number_in(text, "Threads:") for text in status),
        descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
    )


def sockets_of(pid: int) -> dict[int, int]:
    """Return the inode of each socket that a process has open, by its descriptor."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(*GONE):
            kind, _, inode = str(link.readlink()).partition(":")
            if kind == "socket":
                found[int(link.name)] = int(inode.strip("[]"))
    return found


def number_in(text: str, name: str) -> int:
    """Return the number after a word, the first of that name; 0 if it is not there."""
    words = text.split()
    return int(words[words.index(name) + 1]) if name in words else 0


@contextmanager
def _gone_is_gone() -> Iterator[None]:
    """Raise what the kernel would, and not psutil's own, for a process that has ended."""
    try:
        yield
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(str(error)) from None
    except psutil.AccessDenied as error:
        # So it is told, to all but root, of one that has ended and was not awaited.
        if psutil.Process(error.pid).status() != psutil.STATUS_ZOMBIE:
            raise
        raise ProcessLookupError(str(error)) from None


def _footprint_of(pid: int) -> Footprint:
    with _gone_is_gone():
        process = psutil.Process(pid)
        return Footprint(process.num_fds(), process.num_threads(), process.memory_info().rss)


def _cpu_ns(pid: int) -> int:
    return time.clock_gettime_ns(~pid << 3 | CPU_CLOCK)


def _said_in(file: Path) -> str:
    """Read what holds a process's name, which may be any bytes."""
    return file.read_text(encoding="utf-8", errors="replace")


def _faults_and_ticks(pid: int) -> tuple[int, int, int]:
    """Return the minor page faults of a process, and its ticks in user space and in the kernel."""
    # The name, in brackets, may hold anything; the fields after it are numbered in proc(5), from the third on.
    fields = _said_in(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    minor_faults, user_ticks, system_ticks = (int(fields[number - 3]) for number in (10, 14, 15))
    return minor_faults, user_ticks, system_ticks


def _of_thread(task: Path) -> Usage:
    status = _said_in(task / "status")
    _, delayed_ns, timeslices = (task / "schedstat").read_text(encoding="ascii").split()
    return Usage(
        voluntary=number_in(status, "voluntary_ctxt_switches:"),
        involuntary=number_in(status, "nonvoluntary_ctxt_switches:"),
        timeslices=int(timeslices),
        delayed_ns=int(delayed_ns),
    )
