"""What requests and connections cost a server, and what known effects do: frozen data, no I/O."""

from collections.abc import Mapping
from typing import Final

from harness.plan import ONE_CORE, Record

LOCK_CALL: Final = "futex"


class LoadCosts(Record, frozen=True):
    """What requests cost under one load, so many of them and no fixed time. Each figure is per request.

    Traced launches are not timed: tracing slows a server down several times over. It then finds more clients ready each time
    it looks, so that calls that wait (epoll_wait, select) are rather fewer in the traced launch than in life; and threads
    meet more often at the interpreter's lock, so that there is more futex. Calls that do something for a request (recv,
    send, mmap) are as many as in life.

    Attributes:
        workload: the load's name, that of the workload with as many clients and requests in flight.
        clients, pipeline: its size.
        traced_requests: in the traced launch; 0 if nothing could be traced.
        syscalls: by name, of all threads and processes, the rare ones left out; empty if nothing could be traced.
        other_syscalls: the sum of those left out.
        requests: in the launches that were not traced, all together; all that follows is from there.
        cpu_us: user and system, from the process's CPU clock.
        user_share: the share of user time in it, by the kernel's ticks: approximate.
        switches_voluntary: a thread had to wait.
        switches_involuntary: a thread could have gone on, and another one was preferred.
        wakeups: how often a thread came to run after it had waited: timeslices less those that followed an involuntary
            switch. As good as the voluntary switches, but counted elsewhere in the kernel: they check each other.
        page_faults: minor ones: memory that the kernel had to give, page by page.
        page_faults_by_launch: the same, launch by launch: some effects depend on where the allocator happens to be.
        foreign_share: of the time of the cores of server and clients, what other processes took; of the worst launch.
    """

    workload: str
    clients: int
    pipeline: int
    traced_requests: int
    syscalls: Mapping[str, float]
    other_syscalls: float
    requests: int
    cpu_us: float
    user_share: float
    switches_voluntary: float
    switches_involuntary: float
    wakeups: float
    page_faults: float
    page_faults_by_launch: tuple[float, ...]
    foreign_share: float = 0.0

    @property
    def lock_calls(self) -> float:
        """Return how often threads wait for each other, or wake each other, while they are traced."""
        return self.syscalls.get(LOCK_CALL, 0.0)

    @property
    def other_than_lock_calls(self) -> float:
        """Return the number of syscalls that are as many in life as in the traced launch, or about so."""
        return sum(self.syscalls.values()) + self.other_syscalls - self.lock_calls


class Holding(Record, frozen=True):
    """A server at rest that holds so many connections, each of which was asked once and answered rightly.

    Attributes:
        connections: how many.
        rss_bytes, pss_bytes: resident memory of all its processes; in PSS a page that is shared counts in parts.
        page_table_bytes: what the kernel holds to map this memory (VmPTE): in neither of the two above.
        kernel_stack_bytes: the kernel's stacks, one for each thread of the whole machine.
        tcp_buffer_bytes: what all sockets of the machine have in their buffers (`mem` in /proc/net/sockstat, whole
            pages), both ends of each connection; next to nothing while they are silent.
        slab_bytes: the kernel's objects on the whole machine: sockets, files, timers. Both ends of each connection are
            in it, so that a server's share is about half.
        threads, descriptors: of all its processes.
        active_clients: so many of the connections were then loaded, the others stayed silent; 0 if none was.
        cpu_us_per_request: what a request cost the server meanwhile.
        lone_cpu_us_per_request: the same when one client alone asked, and all the others stayed silent.
    """

    connections: int
    rss_bytes: int
    pss_bytes: int
    page_table_bytes: int
    kernel_stack_bytes: int
    tcp_buffer_bytes: int
    slab_bytes: int
    threads: int
    descriptors: int
    active_clients: int = 0
    cpu_us_per_request: float = 0.0
    lone_cpu_us_per_request: float = 0.0


class ConnectionScaling(Record, frozen=True):
    """What connections cost, on one launch that is given more and more of them.

    Attributes:
        wanted: the most that was tried.
        holdings: at each size, the first without any connection but after one client was served.
        ended_at: how many it held when it could take no more; None if it held all that was tried.
        ended_by: why, in words; and if it would not even start for the most that is tried of any server, what it said.
    """

    wanted: int
    holdings: tuple[Holding, ...]
    ended_at: int | None = None
    ended_by: str = ""


class Lifetime(Record, frozen=True):
    """How long a server takes to come and to go, one figure for each launch.

    Attributes:
        startup_s: from the start of the process to its readiness.
        stop_s: from SIGTERM to the end of the process, when it was at rest and nobody was connected.
        loaded_stop_s: the same under load.
        clients: how many loaded it.
        checked: replies that came under load, before the signal and after it, all of which were right.
        wrong: replies that were not.
        exit_codes: of every launch.
    """

    startup_s: tuple[float, ...]
    stop_s: tuple[float, ...]
    loaded_stop_s: tuple[float, ...]
    clients: int
    checked: int
    wrong: int
    exit_codes: tuple[int, ...]


class ServerCosts(Record, frozen=True):
    """All costs of one server.

    Attributes:
        server: its label.
        loads: what requests cost, for each load that it can serve.
        crowd: what connections cost.
        lifetime: what coming and going cost.
        untraced: why there are no syscalls; empty if there are.
        regime: how many cores it had: one, or all, that of its clients among them.
    """

    server: str
    loads: tuple[LoadCosts, ...]
    crowd: ConnectionScaling
    lifetime: Lifetime
    untraced: str = ""
    regime: str = ONE_CORE

    def load(self, workload: str) -> LoadCosts | None:
        """Return what requests cost under one load; None if it was not given to this server."""
        return next((load for load in self.loads if load.workload == workload), None)
