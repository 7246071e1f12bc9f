"""One launch of one server under one load."""

from dataclasses import dataclass, field

from harness.plan import ONE_CORE
from harness.record.histogram import Histogram


@dataclass(frozen=True)
class CompanyOutcome:
    """What became of the company's requests; always `asked = ok + wrong + error`.

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


@dataclass(frozen=True)
class Sample:
    """One launch of one server under one workload. Times are of the measuring window unless it says otherwise.

    Attributes:
        block, server, workload: its place in the plan.
        clients, pipeline: the workload's size.
        arrivals: "closed": a closed loop; "constant" or "poisson": an open one.
        rate: requests per second that the open loop was to send in the window; 0 in a closed loop.
        seed: of random arrivals.
        generators: how many processes loaded the server.
        pinned: server and generator had a core each.
        timeout_s: how long a reply was waited for.
        warmup_s: the time before the window.
        window_s: the measuring window: as it was in a closed loop, as planned in an open one.
        offered: requests that were intended in the window; in a closed loop, the answered ones.
        answered: requests answered in the window.
        answered_in_warmup: requests answered before it.
        late: in an open loop, requests intended in the window and sent more than 1 ms later, whoever was to blame.
        censored: requests intended in the window and never answered rightly, whose response times are therefore not
            known; in a closed loop, all that were sent and never answered rightly.
        planned, sent, never_sent: all requests of the launch; planned = sent + never_sent.
        ok, wrong, error, timeout, in_flight: what became of those that were sent; sent is their sum.
        fault: the first thing that went wrong, in words.
        series: requests answered in each twentieth of the window.
        warmup_series: the same before the window, in steps of the same length, the last one perhaps shorter.
        response_slices_ns: in an open loop, the 99 % quantile of the responses of the requests intended in each
            hundredth of the window; 0 if none was answered.
        server_cpu_ns, generator_cpu_ns: CPU time used in the window; the server's from its CPU clock, all threads; that
            of all generators together.
        generator_spin_ns: of the generators' time, what they spent waiting busily, so as to be on time.
        switches_voluntary, switches_involuntary: of the server, while all requests of the launch were served.
        startup_s: from starting the process to its readiness line.
        connect_s: to connect all clients one after the other, greetings included.
        memory_ready_bytes: the server's resident memory before any client.
        memory_connected_bytes: the same with all clients connected, before any request.
        memory_peak_bytes: the most it ever was.
        threads, descriptors: of the server with all clients connected.
        steal_share: of all cores' time, what the hypervisor gave to others.
        response_ns: from the time a request was intended to its reply. In an open loop these four are of the requests
            intended in the window, whenever they were answered: offered = their number + censored. In a closed loop a
            request is intended when it can be sent, and they are of those answered in the window.
        service_ns: from the time it was sent to its reply.
        queueing_ns: from the time it was intended to the time its connection was free: the server's fault.
        lag_ns: from the time it could be sent to the time it was: the generator's own delay.
        response_repeats_ns: those of response_ns that waited through the same stall as a longer one: a stall of the
            server is one observation, however many requests were in flight (see `tally.repeats`).
        response_sum_ns: of all responses, exactly.
        response_max_ns, service_max_ns, queueing_max_ns, lag_max_ns: the largest of each, exactly.
        foreign_share: of the time of the cores of server and generator, or of the generator's alone if that is more, what
            other processes took, in the window.
        attempt: 1, or more if the block was measured again since a launch of it was invalid.
        churn: each request came on a connection of its own, `clients` of them at a time.
        connect_ns: with churn, from the time a request was intended, and its connection begun, to the greeting.
        fairness_jain: of the clients' answers in the window, in a closed loop of several: Jain's index.
        worst_client_share: likewise, what the one with the fewest answers got, as a share of the mean.
        company, company_clients: the kind and the number of clients in the background; "" and 0 if there were none.
        company_asked, company_ok, company_wrong, company_error: what became of all their requests; asked is the sum.
        company_fault: the first thing that went wrong with them, in words.
        server_user_ns, server_system_ns: the server's CPU time, divided by what the kernel saw at its ticks: sampled 100
            times a second, so approximate.
        memory_series_bytes: the server's resident memory, read once a second in the window.
        relief_s: how much longer an open loop went on, at a lower rate, after the window.
        recovery_s: after the window, until 99 % of the responses took 10 ms or less for good; all of relief_s if they
            did not; None if there was no relief.
        regime: "one core" or "all cores": what the server may use. Figures of different regimes are never compared.
        server_cores: how many cores that is.
    """

    block: int
    server: str
    workload: str
    clients: int
    pipeline: int
    arrivals: str
    rate: float
    seed: int
    generators: int
    pinned: bool
    timeout_s: float
    warmup_s: float
    window_s: float
    offered: int
    answered: int
    answered_in_warmup: int
    late: int
    censored: int
    planned: int
    sent: int
    never_sent: int
    ok: int
    wrong: int
    error: int
    timeout: int
    in_flight: int
    fault: str
    series: tuple[int, ...]
    warmup_series: tuple[int, ...]
    response_slices_ns: tuple[int, ...]
    server_cpu_ns: int
    generator_cpu_ns: int
    generator_spin_ns: int
    switches_voluntary: int
    switches_involuntary: int
    startup_s: float
    connect_s: float
    memory_ready_bytes: int
    memory_connected_bytes: int
    memory_peak_bytes: int
    threads: int
    descriptors: int
    steal_share: float
    response_ns: Histogram
    service_ns: Histogram
    queueing_ns: Histogram
    lag_ns: Histogram
    response_sum_ns: int
    response_max_ns: int
    service_max_ns: int
    queueing_max_ns: int
    lag_max_ns: int
    attempt: int = 1
    foreign_share: float = 0.0
    response_repeats_ns: Histogram = field(default_factory=dict)
    churn: bool = False
    connect_ns: Histogram = field(default_factory=dict)
    fairness_jain: float | None = None
    worst_client_share: float | None = None
    company: str = ""
    company_clients: int = 0
    company_asked: int = 0
    company_ok: int = 0
    company_wrong: int = 0
    company_error: int = 0
    company_fault: str = ""
    server_user_ns: int = 0
    server_system_ns: int = 0
    memory_series_bytes: tuple[int, ...] = ()
    relief_s: float = 0.0
    recovery_s: float | None = None
    regime: str = ONE_CORE
    server_cores: int = 1


@dataclass(frozen=True)
class Spread:
    """A histogram, and what it does not tell exactly."""

    ns: Histogram
    max_ns: int
    sum_ns: int


@dataclass(frozen=True)
class Window:
    """What happened in the measuring window; each field is described at `Sample`, which has one of the same name."""

    window_s: float
    offered: int
    answered: int
    answered_in_warmup: int
    late: int
    censored: int
    series: tuple[int, ...]
    warmup_series: tuple[int, ...]
    response_slices_ns: tuple[int, ...]
    response_repeats_ns: Histogram
    response: Spread
    service: Spread
    queueing: Spread
    lag: Spread
    connect: Spread
    fairness_jain: float | None
    worst_client_share: float | None
    recovery_s: float | None
