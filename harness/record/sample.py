"""One launch of one server under one load, in groups: what was asked for, what was seen, and of whom."""

from msgspec import field

from harness.plan import ONE_CORE, Cell, Load, Record
from harness.record.histogram import Histogram


class Placement(Record, frozen=True, kw_only=True):
    """Where server and generators ran.

    Attributes:
        generators: how many processes loaded the server.
        pinned: server and generator had a core each.
        regime: "one core" or "all cores": what the server may use. Figures of different regimes are never compared.
        server_cores: how many cores that is.
        free: a server of one core could run on all, as it would if nobody pinned it.
    """

    generators: int = 1
    pinned: bool
    regime: str = ONE_CORE
    server_cores: int = 1
    free: bool = False


class Window(Record, frozen=True, kw_only=True):
    """What happened in the measuring window.

    Attributes:
        length_s: as it was in a closed loop, as planned in an open one.
        offered: requests that were intended in it; in a closed loop, the answered ones.
        answered: requests answered in it.
        answered_in_warmup: requests answered before it.
        late: in an open loop, requests intended in it and sent more than 1 ms later, whoever was to blame.
        series: requests answered in each twentieth of it.
        warmup_series: the same before it, in steps of the same length, the last one perhaps shorter.
        response_slices_ns: in an open loop, the 99 % quantile of the responses of the requests intended in each
            hundredth of it; 0 if none was answered.
        fairness_jain: of the clients' answers, in a closed loop of several: Jain's index.
        worst_client_share: likewise, what the one with the fewest answers got, as a share of the mean.
        recovery_s: after it, until 99 % of the responses took 10 ms or less for good; all of the load's `relief_s` if
            they did not; None if there was no relief.
    """

    length_s: float
    offered: int
    answered: int
    answered_in_warmup: int
    late: int
    series: tuple[int, ...]
    warmup_series: tuple[int, ...]
    response_slices_ns: tuple[int, ...]
    fairness_jain: float | None = None
    worst_client_share: float | None = None
    recovery_s: float | None = None


class Requests(Record, frozen=True, kw_only=True):
    """What became of all requests of a launch, warm-up included.

    Always `planned = sent + never_sent` and `sent = ok + wrong + error + timeout + in_flight`.

    Attributes:
        planned: what the schedule holds; in a closed loop what was sent, since nothing else was planned.
        fault: the first thing that went wrong, in words; empty if nothing did.
    """

    planned: int
    sent: int
    ok: int
    wrong: int
    error: int
    timeout: int
    in_flight: int
    fault: str

    @property
    def never_sent(self) -> int:
        """Count what was planned, and could not be sent before all was over."""
        return self.planned - self.sent


class Distribution(Record, frozen=True):
    """Times, as a histogram, and the largest, which that does not tell exactly."""

    histogram: Histogram
    max_ns: int


class RequestTimes(Record, frozen=True, kw_only=True):
    """How long requests took: in a closed loop those answered in the window, in an open one those intended in it.

    The latter whenever they were answered: offered = their number + censored. In a closed loop a request is intended when
    it can be sent.

    Attributes:
        response: from the time a request was intended to its reply.
        service: from the time it was sent to its reply.
        queueing: from the time it was intended to the time its connection was free: the server's fault.
        lag: from the time it could be sent to the time it was: the generator's own delay.
        connect_ns: with churn, from the time a request was intended, and its connection begun, to the greeting.
        response_sum_ns: of all responses, exactly.
        response_repeats_ns: those of the response that waited through the same stall as a longer one: a stall of the
            server is one observation, however many requests were in flight (see `window.repeats`).
        censored: requests intended in the window and never answered rightly, whose response times are therefore not
            known; in a closed loop, all that were sent and never answered rightly.
    """

    response: Distribution
    service: Distribution
    queueing: Distribution
    lag: Distribution
    connect_ns: Histogram = field(default_factory=dict)
    response_sum_ns: int
    response_repeats_ns: Histogram = field(default_factory=dict)
    censored: int = 0


class ServerUse(Record, frozen=True, kw_only=True):
    """What the server's processes used and held.

    Attributes:
        cpu_ns: CPU time used in the window, from the process's CPU clock, all threads.
        user_ns, system_ns: the same, divided by what the kernel saw at its ticks: sampled 100 times a second, so
            approximate.
        switches_voluntary, switches_involuntary: while all requests of the launch were served.
        threads, descriptors: with all clients connected.
        startup_s: from starting the process to its readiness line.
        memory_ready_bytes: resident memory before any client.
        memory_connected_bytes: the same with all clients connected, before any request.
        memory_peak_bytes: the most it ever was.
        memory_series_bytes: the same, read once a second in the window.
    """

    cpu_ns: int
    user_ns: int = 0
    system_ns: int = 0
    switches_voluntary: int
    switches_involuntary: int
    threads: int
    descriptors: int
    startup_s: float
    memory_ready_bytes: int
    memory_connected_bytes: int
    memory_peak_bytes: int
    memory_series_bytes: tuple[int, ...] = ()


class GeneratorUse(Record, frozen=True, kw_only=True):
    """What the generators used, all together.

    Attributes:
        cpu_ns: CPU time used in the window.
        spin_ns: of that, what they spent waiting busily, so as to be on time.
        connect_s: to connect all clients one after the other, greetings included.
    """

    cpu_ns: int
    spin_ns: int
    connect_s: float


class MachineUse(Record, frozen=True, kw_only=True):
    """What others took of the machine.

    Attributes:
        steal_share: of all cores' time, what the hypervisor gave to others for certain, which is all but one tick.
        foreign_share: of the time of the cores of server and generator, or of the generator's alone if that is more, what
            other processes took, in the window.
    """

    steal_share: float
    foreign_share: float = 0.0


class BackgroundRequests(Record, frozen=True, kw_only=True):
    """What became of the requests of clients in the background; always `asked = ok + wrong + error`.

    Attributes:
        asked: complete lines that were sent; a client that was lost before it asked anything counts as one.
        ok: rightly answered.
        wrong: answered otherwise: one for each client to which that happened, which is then given up.
        error: not answered: the connection broke, or it took too long.
        fault: the first thing that went wrong, in words; empty if nothing did.
    """

    asked: int = 0
    ok: int = 0
    wrong: int = 0
    error: int = 0
    fault: str = ""


class UpstreamUse(Record, frozen=True, kw_only=True):
    """What a relay asked in the window, and how it was answered; all times by the clock that saw its requests, too.

    Attributes:
        asked: questions that were asked in it.
        under_way_ns: of all questions, for how long they were under way in it, added up one by one.
        integral_ns: the same, as the integral of how many were under way: always equal.
        most: how many were under way at once at most, warm-up included.
        strays: questions that belong to no request, requests that asked nothing, and such whose times contradict each other.
        late: of the answers, how much later they were sent than they were due: the instrument's own error.
        asking: from sending a request to its question: what goes before it, waiting for the pool included.
        returning: from the answer to the reply.
        own: both together: what is left of a response when the upstream's part is taken away.
        prompt: where some answers take no time and others do: the responses of those that waited for nothing.
    """

    asked: int
    under_way_ns: int
    integral_ns: int
    most: int
    strays: int
    late: Distribution
    asking: Distribution
    returning: Distribution
    own: Distribution
    prompt: Distribution = Distribution({}, 0)


class WorkerShare(Record, frozen=True, kw_only=True):
    """What one worker did of a load that came from many.

    Attributes:
        worker: its name.
        clients: how many of the clients were its.
        requests: what became of theirs, in the whole launch.
        clock_offset_ns: how far its clock was ahead of the coordinator's before the launch; no more than a remark, since each
            latency is between two readings of one clock.
        clock_error_ns: by how much that may be wrong.
        clock_moved_ns: by how much it has certainly moved until afterwards, beyond both errors.
        start_off_ns: how far from the agreed time it began, at worst, of all turns: later by its own clock, and by the error of that.
        lost: why nothing more is known of it; empty if it took part to the end.
    """

    worker: str
    clients: int
    requests: Requests
    clock_offset_ns: int = 0
    clock_error_ns: int = 0
    clock_moved_ns: int = 0
    start_off_ns: int = 0
    lost: str = ""


class Unmeasured(Record, frozen=True):
    """A launch of which there is no sample: it could not be made, or not be ended.

    Attributes:
        cell: its place in the plan.
        reason: why.
    """

    cell: Cell
    reason: str


class Slice(Record, frozen=True, array_like=True):
    """A short turn under load, one of many that a launch has between those of the other servers of its block.

    Attributes:
        cycle, place: each server has one slice in each cycle, at a place of it.
        length_s: from its first mark to its second.
        answered: requests answered between the marks.
        cpu_ns: of the server's processes, likewise.
        in_flight_ns: of all requests, for how long they were in flight between the marks, added up: in a closed loop
            always clients x pipeline x length, exactly.
        waited_ns: how long the generator could have run, and something else ran on its core.
        rest_cpu_ns, rest_s: what the server used since its turn before, while it was to lie still, and how long that was.
        reason: why it is left out; empty if it counts.
    """

    cycle: int
    place: int
    length_s: float
    answered: int
    cpu_ns: int
    in_flight_ns: int
    waited_ns: int = 0
    rest_cpu_ns: int = 0
    rest_s: float = 0.0
    reason: str = ""


class Sample(Record, frozen=True, kw_only=True):
    """One launch of one server under one workload.

    Under a steady workload all servers of a block are alive, and loaded in turn, in short slices: throughput and CPU time come
    from these. Each has one continuous window besides, for quantiles, maxima and fairness. Under other workloads
    there is the window alone.

    Attributes:
        cell: its place in the plan.
        load: what was done to the server.
        placement: where.
        window, times: what came of its continuous window.
        requests: of the whole launch, slices and warm-up included.
        server, generator, machine: what it took.
        background: what became of those in the background.
        slices: in the order in which they were made; empty if the launch had none.
        upstream: what became of a relay's questions; None if it is none.
        workers: of a load that came from many machines or processes by a cluster, what each did; empty if it came from here.
    """

    cell: Cell
    load: Load
    placement: Placement
    window: Window
    requests: Requests
    times: RequestTimes
    server: ServerUse
    generator: GeneratorUse
    machine: MachineUse
    background: BackgroundRequests = BackgroundRequests()
    slices: tuple[Slice, ...] = ()
    upstream: UpstreamUse | None = None
    workers: tuple[WorkerShare, ...] = ()

    @property
    def kept_slices(self) -> tuple[Slice, ...]:
        """Return the slices that count."""
        return tuple(each for each in self.slices if not each.reason)
