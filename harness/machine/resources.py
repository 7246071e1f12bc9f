"""The cores, the memory and the open files that this machine gives."""

import math
import os
import platform
import resource
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from harness.errors import LaunchError

FILES_LIMITS: Final = resource.getrlimit(resource.RLIMIT_NOFILE)
"""The limits of open files that we were given; a server gets the same, even if we have raised ours meanwhile."""
CPU_INFO: Final = Path("/proc/cpuinfo")
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
CORES_OF_THE_MACHINE: Final = Path("/sys/devices/system/cpu")

STANDARD_STREAMS: Final = 3
LESS_THAN_A_STACK_BYTES: Final = 7 * 256 * 1024
"""A thread's stack takes 2 MiB at least. CPython's allocator takes 1 MiB at a time, which must leave room to receive into."""


def processor() -> str:
    """Return the processor's name."""
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def frequency_mhz() -> float | None:
    """Return the frequency of the fastest core now; None where the kernel does not tell."""
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    return max((float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")), default=None)


def governor() -> str:
    """Say who decides on the frequency of our first core, between which limits; "" where the kernel does not tell."""
    told = CORES_OF_THE_MACHINE / f"cpu{our_cores()[0]}" / "cpufreq"
    try:
        name, least_khz, most_khz = (
            (told / f"scaling_{what}").read_text(encoding="ascii").strip()
            for what in ("governor", "min_freq", "max_freq")
        )
    except OSError:
        return ""
    return f"{name}, {int(least_khz) / 1000:,.0f} to {int(most_khz) / 1000:,.0f} MHz"


def machine_id() -> str:
    """Return what tells this machine, and the time since it was started, from all others."""
    return BOOT.read_text(encoding="ascii").strip()


def core_count() -> int:
    """Count the machine's cores, whether they are ours or not."""
    return psutil.cpu_count() or 1


def memory_bytes() -> int:
    """Return how much memory the machine has."""
    return psutil.virtual_memory().total


def our_cores() -> tuple[int, ...]:
    """Return the cores that we may use."""
    return tuple(sorted(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Cores:
    """Where server and generators run; empty means anywhere.

    Attributes:
        server: of the server.
        generators: one for each generator.
        shared: those of a server that uses all cores, its generators' among them.
    """

    server: tuple[int, ...] = ()
    generators: tuple[int, ...] = ()
    shared: tuple[int, ...] = ()

    @property
    def pinned(self) -> bool:
        """Tell whether the server and every generator have cores of their own."""
        return bool(self.server)

    @property
    def own(self) -> tuple[int, ...]:
        """Return the cores that server and generators have to themselves, or should have; none if they have not."""
        return self.server + self.generators if self.pinned else self.shared

    @property
    def both(self) -> tuple[int, ...]:
        """Return the cores of server and generators together."""
        return self.server + self.generators


def cores_for(generators: int = 1, *, all_cores: bool = False, free: bool = False) -> Cores:
    """Choose a core for the server and one for each generator; none for either if there are not enough.

    A server that uses all cores is not pinned to one, its generators are. One that is free has all cores that generators
    have not, if that is more than one; else it shares theirs.
    """
    cores = our_cores()
    enough = len(cores) > generators
    of_generators = cores[1 : 1 + generators] if enough else ()
    if free and len(cores) > generators + 1:
        return Cores(tuple(core for core in cores if core not in of_generators), of_generators)
    all_cores = all_cores or free
    if all_cores:
        return Cores((), of_generators, cores)
    return Cores(cores[:1] if enough else (), of_generators)


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Let processes started meanwhile run on these cores alone, from their first instruction; none means any."""
    own_cores = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own_cores)


def most_files() -> int:
    """Return how many files a process of ours may have open, if it asks for it."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def most_stack_bytes() -> float:
    """Return how large a stack a process of ours may ask for."""
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    return math.inf if hard == resource.RLIM_INFINITY else hard


def allow_files(needed: int) -> None:
    """Raise our own soft limit of open files; LaunchError if the hard limit does not let us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < needed:
        raise LaunchError(f"this machine allows {hard} open files, and {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))


def give_files(pid: int) -> None:
    """Let a process have as many open files as we were given ourselves."""
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, FILES_LIMITS)


@contextmanager
def no_more_threads(pids: Iterable[int]) -> Iterator[None]:
    """Let none of some processes start one more thread: what their memory may still grow by is too little for a stack."""
    limits = {}
    try:
        for pid in pids:
            limits[pid] = resource.prlimit(pid, resource.RLIMIT_AS)
            used_pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0])
            most_bytes = used_pages * resource.getpagesize() + LESS_THAN_A_STACK_BYTES
            resource.prlimit(pid, resource.RLIMIT_AS, (most_bytes, limits[pid][1]))
        yield
    finally:
        for pid, limit in limits.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_AS, limit)


@contextmanager
def no_more_files(pids: Iterable[int], *, whatever_is_closed: bool = False) -> Iterator[None]:
    """Let none of some processes open one more file, or, more strictly, not even in the place of one that it closes."""
    limits = {}
    try:
        for pid in pids:
            limits[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            most = STANDARD_STREAMS if whatever_is_closed else open_now
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, limits[pid][1]))
        yield
    finally:
        for pid, limit in limits.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
