"""What the load generator and the company beside it are told, and what they tell: frozen data, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.plan import CLOSED


@dataclass(frozen=True)
class CompanyOrder:
    """What the company's process does.

    Attributes:
        host, port: of the server.
        kind, clients: how its clients behave, and how many there are.
        greeting_s: how long to wait for a greeting.
        timeout_s: how long to wait at the end for all replies together.
    """

    host: str
    port: int
    kind: str
    clients: int
    greeting_s: float
    timeout_s: float


@dataclass(frozen=True)
class Order:
    """What to do.

    Attributes:
        host, port: of the server.
        clients: how many connections this generator has.
        pipeline: how many requests each keeps in flight at most.
        warmup_s, duration_s: the time before, and that of, the measuring window.
        timeout_s: how long to wait for a reply; what is in flight at the end gets as long.
        times_file: where the times go.
        line: what every request is; None for lists of three integers, all different.
        server_pids: the server's processes, whose CPU clocks are read as the window begins and ends.
        company_pids: those of the company, likewise.
        arrivals: "closed", "constant" or "poisson".
        rate: requests per second of all generators together, in an open loop.
        warmup_rate: the same during the warm-up.
        relief_s, relief_rate: how much longer an open loop goes on after the window, and at which rate: to see how the
            server recovers.
        churn: in a closed loop, whether each request comes on a connection of its own; `clients` are there at a time.
        seed: of random arrivals.
        generator, generators: which of how many this one is; they share the schedule like cards.
        cores: those that server and generators have to themselves, or should have.
        own_core: whether this generator has one to itself, and may wait busily.
    """

    host: str
    port: int
    clients: int
    pipeline: int
    warmup_s: float
    duration_s: float
    timeout_s: float
    times_file: str
    line: str | None = None
    server_pids: Sequence[int] = ()
    arrivals: str = CLOSED
    rate: float = 0.0
    warmup_rate: float = 0.0
    seed: int = 0
    generator: int = 0
    generators: int = 1
    cores: Sequence[int] = ()
    relief_s: float = 0.0
    relief_rate: float = 0.0
    churn: bool = False
    company_pids: Sequence[int] = ()
    own_core: bool = False


@dataclass(frozen=True)
class Reading:
    """The clocks at one edge of the measuring window, in ns.

    Attributes:
        generator_waited_ns: how long the generator could have run, and something else ran on its core.
        cores_busy_ns: what these cores have spent on anybody's work, in the kernel's ticks.
        company_cpu_ns: of the company's process.
        server_user_ticks, server_system_ticks: how the kernel divides the server's time, in its ticks of 10 ms.
        spun_ns: of the generator's CPU time, what it has spent on waiting busily for the next intended time.
    """

    at_ns: int
    server_cpu_ns: int
    generator_cpu_ns: int
    spun_ns: int
    cores_busy_ns: int = 0
    generator_waited_ns: int = 0
    company_cpu_ns: int = 0
    server_user_ticks: int = 0
    server_system_ticks: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of an order, warm-up included.

    Always `planned = sent + never_sent` and `sent = ok + wrong + error + timeout + in_flight`.

    Attributes:
        planned: what the schedule holds; in a closed loop what was sent, since nothing else was planned.
        started_ns: the schedule's zero.
        begin, end: the edges of the measuring window, as they were.
        records: how many rows the times file has.
        fault: the first thing that went wrong, in words; empty if nothing did.
    """

    planned: int
    sent: int
    ok: int
    wrong: int
    error: int
    timeout: int
    in_flight: int
    started_ns: int
    begin: Reading
    end: Reading
    records: int
    fault: str

    @property
    def never_sent(self) -> int:
        """Count what was planned, and could not be sent before all was over."""
        return self.planned - self.sent


def merged(outcomes: Sequence[Outcome]) -> Outcome:
    """Return what several generators did together.

    Counts and CPU times add up. The window's edges, and the server's clocks at them, are those of the first.
    """
    first = outcomes[0]
    return Outcome(
        planned=sum(each.planned for each in outcomes),
        sent=sum(each.sent for each in outcomes),
        ok=sum(each.ok for each in outcomes),
        wrong=sum(each.wrong for each in outcomes),
        error=sum(each.error for each in outcomes),
        timeout=sum(each.timeout for each in outcomes),
        in_flight=sum(each.in_flight for each in outcomes),
        started_ns=first.started_ns,
        begin=_merged_reading([each.begin for each in outcomes]),
        end=_merged_reading([each.end for each in outcomes]),
        records=sum(each.records for each in outcomes),
        fault=next((each.fault for each in outcomes if each.fault), ""),
    )


def _merged_reading(readings: Sequence[Reading]) -> Reading:
    return replace(
        readings[0],
        generator_cpu_ns=sum(each.generator_cpu_ns for each in readings),
        spun_ns=sum(each.spun_ns for each in readings),
    )
