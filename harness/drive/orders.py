"""What the processes of a load are told, and what they tell: frozen data, no I/O."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from harness.plan import Load, Record, Waiting
from harness.record import Requests

LEAVE: Final = "leave"
"""What a generator is told when its clients have had all their turns."""


class LoadOrder(Record, frozen=True, kw_only=True):
    """Whom one generator's clients connect to; what they do then is told turn by turn.

    Attributes:
        host, port: of the server.
        load: of all generators together, with the longest times of all turns.
        generator, generators: which of how many this one is; they share clients and schedule like cards.
        times_file: where the times go, those of a turn behind those of the one before.
        server_pids: the server's processes, whose CPU clocks are read as the window begins and ends.
        background_pids: those of the clients in the background, likewise.
        cores: those that server and generators have to themselves, or should have.
        own_core: whether this generator has one to itself, and may wait busily.
    """

    host: str
    port: int
    load: Load
    generator: int = 0
    generators: int = 1
    times_file: str
    server_pids: tuple[int, ...] = ()
    background_pids: tuple[int, ...] = ()
    cores: tuple[int, ...] = ()
    own_core: bool = False

    @property
    def questions_file(self) -> str:
        """Where the times of questions to the upstream go, likewise."""
        return f"{self.times_file}-questions"

    @property
    def clients(self) -> int:
        """Count the connections of this generator."""
        return len(range(self.generator, self.load.clients, self.generators))


class Turn(Record, frozen=True, kw_only=True):
    """What a generator's clients do once: ask from a moment on, for so long, and wait for what is in flight.

    What counts lies between two marks, the edges of the measuring window.

    Attributes:
        start_ns: when it begins, by the monotonic clock.
        load: whose it is, with the times and the seed of this turn.
        settled: the first mark waits until every client has had a reply, so that nothing of the start is counted.
    """

    start_ns: int
    load: Load
    settled: bool = False


class UpstreamOrder(Record, frozen=True, kw_only=True):
    """What a generator listens for before its server is started: the questions that this will ask.

    Attributes:
        waiting: how long each answer takes.
        clients: how many will ask, so that it is known whose request each question is.
        seed: of the waits.
    """

    waiting: Waiting
    clients: int
    seed: int = 0


class BackgroundOrder(Record, frozen=True):
    """What the process of the clients in the background does.

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


class Reading(Record, frozen=True, kw_only=True):
    """The clocks at one edge of the measuring window, in ns.

    Attributes:
        spun_ns: of the generator's CPU time, what it has spent on waiting busily for the next intended time.
        cores_busy_ns: what these cores have spent on anybody's work, in the kernel's ticks.
        generator_waited_ns: how long the generator could have run, and something else ran on its core.
        background_cpu_ns: of the process of the clients in the background.
        server_user_ticks, server_system_ticks: how the kernel divides the server's time, in its ticks of 10 ms.
        under_way_ns: for how long all questions to the upstream have been under way so far, added up.
    """

    at_ns: int
    server_cpu_ns: int
    generator_cpu_ns: int
    spun_ns: int
    cores_busy_ns: int = 0
    generator_waited_ns: int = 0
    background_cpu_ns: int = 0
    server_user_ticks: int = 0
    server_system_ticks: int = 0
    under_way_ns: int = 0


class LoadOutcome(Record, frozen=True, kw_only=True):
    """What came of a turn, warm-up included.

    Attributes:
        requests: what became of them.
        started_ns: the schedule's zero.
        awake_ns: when the generator was awake and began in truth; 0 if nobody asked.
        begin, end: the edges of the measuring window, as they were.
        records: how many rows it has in the times file.
        ended_ns: when nothing was in flight any more.
        server_found_ns, server_left_ns: the server's CPU clock before the first request, and then.
        questions: how many rows it has in the file of questions to the upstream.
        most_under_way: how many of these there were at once at most.
    """

    requests: Requests
    started_ns: int
    awake_ns: int = 0
    begin: Reading
    end: Reading
    records: int
    ended_ns: int = 0
    server_found_ns: int = 0
    server_left_ns: int = 0
    questions: int = 0
    most_under_way: int = 0


def merge_outcomes(outcomes: Sequence[LoadOutcome]) -> LoadOutcome:
    """Return what several generators did together.

    Counts and CPU times add up. The window's edges, and the server's clocks at them, are those of the first.
    """
    first, requests = outcomes[0], [each.requests for each in outcomes]
    return replace(
        first,
        requests=sum_of_requests(requests),
        begin=_merged_reading([each.begin for each in outcomes]),
        end=_merged_reading([each.end for each in outcomes]),
        records=sum(each.records for each in outcomes),
        ended_ns=max(each.ended_ns for each in outcomes),
    )


def sum_of_requests(requests: Sequence[Requests]) -> Requests:
    """Add up what became of requests, of several generators or in several turns; the first fault stands for all."""
    return Requests(
        planned=sum(each.planned for each in requests),
        sent=sum(each.sent for each in requests),
        ok=sum(each.ok for each in requests),
        wrong=sum(each.wrong for each in requests),
        error=sum(each.error for each in requests),
        timeout=sum(each.timeout for each in requests),
        in_flight=sum(each.in_flight for each in requests),
        fault=next((each.fault for each in requests if each.fault), ""),
    )


def _merged_reading(readings: Sequence[Reading]) -> Reading:
    return replace(
        readings[0],
        generator_cpu_ns=sum(each.generator_cpu_ns for each in readings),
        spun_ns=sum(each.spun_ns for each in readings),
    )
