"""Several hosts on one machine, for a load that comes from many: network namespaces, and between them a delay, losses and cuts.

Each host has an IP stack and a monotonic clock of its own. What they send each other passes through this process, packet by packet,
over TUN devices: so nothing is needed of the kernel's queues, and a cut is exactly that. It takes root.
"""

import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from socket import inet_aton
from threading import Event, Thread
from typing import Final

from harness.drive.dask import reached
from harness.drive.fleet import GENERATOR
from harness.errors import CannotRun
from harness.machine.guard import be_guarded
from harness.machine.processes import reap, runs_below
from harness.record import PROJECT
from harness.study.shard import what_runs_here

NETWORK: Final = "10.77.19"
"""Of which the coordinator is the first host; of TEST-NETs and private ranges one that is seldom taken."""
SCHEDULER_PORT: Final = 8786
TUN: Final = "/dev/net/tun"
TUNSETIFF: Final = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
"""From <linux/if_tun.h>."""
LONGEST_PACKET_BYTES: Final = 65_536
DESTINATION: Final = slice(16, 20)
"""Where a packet of IPv4 says where it goes."""
LOOK_S: Final = 0.05
START_S: Final = 60.0
APART_S: Final = 1000
"""By so much the monotonic clocks of neighbouring hosts differ, so that nobody can take one for another."""


@dataclass(frozen=True)
class Wire:
    """What happens to packets between hosts.

    Attributes:
        delay_s: of each packet, each way.
        loss: the share of packets that is lost.
        seed: decides on which.
    """

    delay_s: float = 0.0
    loss: float = 0.0
    seed: int = 1


def address_of_host(number: int) -> str:
    """Return the address of a host; 0 is the coordinator."""
    return f"{NETWORK}.{number + 1}"


class Router:
    """Passes packets on between hosts, later, or not at all."""

    def __init__(self, ports: Mapping[str, int], path: Wire) -> None:
        """Take the hosts' descriptors, by their addresses."""
        self._ports = {inet_aton(address): port for address, port in ports.items()}
        self._path = path
        self._random = random.Random(path.seed)  # noqa: S311 - no secret
        self._cut: frozenset[int] = frozenset()
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._passed = 0

    def cut(self, addresses: Sequence[str]) -> None:
        """Part these hosts from all others; none means that all are together again."""
        self._cut = frozenset(self._ports[inet_aton(address)] for address in addresses)

    def run_until(self, ended: Event) -> None:
        """Pass packets on."""
        while not ended.is_set():
            self.step(LOOK_S)

    def step(self, patience_s: float) -> None:
        """Wait for packets, not for long, and pass on what has been under way long enough."""
        now_s = time.monotonic()
        due_s = self._under_way[0][0] - now_s if self._under_way else patience_s
        ready, _, _ = select.select(list(self._ports.values()), [], [], max(0.0, min(due_s, patience_s)))
        for port in ready:
            self._take(port, os.read(port, LONGEST_PACKET_BYTES))
        now_s = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now_s:
            _, _, to, packet = heapq.heappop(self._under_way)
            with suppress(OSError):  # the host has not come up yet, or is gone
                os.write(to, packet)

    def _take(self, port: int, packet: bytes) -> None:
        to = self._ports.get(packet[DESTINATION])
        if to is None or {port, to} & self._cut or self._random.random() < self._path.loss:
            return
        self._passed += 1  # what was sent at the same time stays in order
        heapq.heappush(self._under_way, (time.monotonic() + self._path.delay_s, self._passed, to, packet))


@dataclass(frozen=True)
class Hosts:
    """Hosts that are up, with a Dask worker on each but the coordinator, which has the scheduler."""

    scheduler: str
    names: tuple[str, ...]
    router: Router
    workers: tuple[subprocess.Popen[bytes], ...]

    def cut_last(self) -> None:
        """Part the last host from all others."""
        self.router.cut([address_of_host(len(self.names))])

    def await_generator(self) -> bool:
        """Wait until a generator runs on the last host; tell whether it came."""
        return _soon(lambda: runs_below(self.workers[-1].pid, GENERATOR))


@contextmanager
def hosts(count: int, path: Wire) -> Iterator[Hosts]:
    """Bring up so many hosts beside the coordinator, each with a worker.

    Raises:
        CannotRun: we are not root, `ip` is missing, or a host does not come up.
    """
    if os.geteuid() != 0:
        raise CannotRun("namespaces take root")
    for program in ("ip", "unshare"):
        if shutil.which(program) is None:
            raise CannotRun(f"namespaces take the command {program!r}: install iproute2 and util-linux")
    names = tuple(f"host{number}" for number in range(1, count + 1))
    with ExitStack() as stack:
        ports = {address_of_host(0): stack.enter_context(_plugged("coordinator", 0, None))}
        for number, name in enumerate(names, 1):
            stack.enter_context(_namespace(_namespace_of(name)))
            ports[address_of_host(number)] = stack.enter_context(_plugged(name, number, _namespace_of(name)))
        router = Router(ports, path)
        stack.enter_context(_running(router))
        scheduler = f"tcp://{address_of_host(0)}:{SCHEDULER_PORT}"
        stack.enter_context(_started(_scheduler()))
        workers = tuple(
            stack.enter_context(_started(_worker(name, number, scheduler)))
            for number, name in enumerate(names, 1)
        )
        with reached(scheduler, what_runs_here, count):
            pass  # all workers are there, and as they should be
        yield Hosts(scheduler, names, router, workers)


def _scheduler() -> list[str]:
    module = ("-m", "distributed.cli.dask_scheduler")
    where = ("--host", address_of_host(0), "--port", str(SCHEDULER_PORT))
    return [sys.executable, *module, *where, "--no-dashboard"]


def _worker(name: str, number: int, scheduler: str) -> list[str]:
    """Return the command of a worker on a host, whose clock is ahead of ours."""
    inside = ("ip", "netns", "exec", _namespace_of(name))
    clock = ("unshare", "--time", "--fork", "--kill-child", "--monotonic", str(APART_S * number))
    worker = (sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--name", name)
    return [*inside, *clock, *worker, "--no-nanny", "--nthreads", "1", "--no-dashboard"]


def _namespace_of(name: str) -> str:
    return f"harness-{name}"


@contextmanager
def _namespace(name: str) -> Iterator[None]:
    # One may be left of a run that was killed; while another goes on we have not got the network.
    with suppress(CannotRun):
        _ip("netns", "del", name)
    _ip("netns", "add", name)
    try:
        yield
    finally:
        _ip("netns", "del", name)


@contextmanager
def _plugged(name: str, number: int, namespace: str | None) -> Iterator[int]:
    """Give a host its network device; yield our end of it."""
    device = f"hn-{name}"[:15]
    descriptor = os.open(TUN, os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
        there: tuple[str, ...] = ()
        if namespace is not None:
            _ip("link", "set", device, "netns", namespace)
            there = ("-n", namespace)
            _ip(*there, "link", "set", "lo", "up")
        _ip(*there, "addr", "add", f"{address_of_host(number)}/24", "dev", device)
        _ip(*there, "link", "set", device, "up")
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _running(router: Router) -> Iterator[None]:
    ended = Event()
    thread = Thread(target=router.run_until, args=(ended,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    be_guarded()
    process = subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
    )
    try:
        yield process
    finally:
        reap(process)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)  # noqa: S607 - ip is found by its name
    if done.returncode:
        raise CannotRun(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _soon(happened: Callable[[], bool]) -> bool:
    limit_s = time.monotonic() + START_S
    while not (there := happened()) and time.monotonic() < limit_s:
        time.sleep(LOOK_S)
    return there
