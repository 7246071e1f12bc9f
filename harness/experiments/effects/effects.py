"""The experiments: each lets a known effect happen, then takes its cause away, and asks the rules what they see."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pkgutil import iter_modules
from threading import Timer
from typing import Final

from harness.analyse.causes.connections import list_of_descriptors
from harness.analyse.causes.evidence import Rule, of_arm
from harness.analyse.causes.requests import mapped_receive_buffer, waking_up
from harness.analyse.causes.waiting import (
    convoy,
    delayed_acknowledgement,
    full_backlog,
    head_of_line,
    interpreter_lock,
    lock_between_cores,
    turns_by_chance,
    unyielding_wait,
)
from harness.analyse.database import DATABASE, UPSTREAM, label_of
from harness.analyse.database import NAME as ASKING
from harness.errors import LaunchError, MeasureError, UsageError
from harness.experiments.costs.serving import own_core
from harness.experiments.effects import programs
from harness.experiments.effects.database import BLOCKING, ITS_WAY, asked, database_of
from harness.experiments.effects.programs.blocking_wait import WAIT_S
from harness.experiments.effects.programs.costly_and_light import COST_S
from harness.experiments.effects.programs.pool_turns import IN_A_ROW, TURN_S, TURNS
from harness.experiments.effects.servers import (
    ALL,
    FREE,
    FRESH,
    ON_ONE_CORE,
    PINNED,
    SERVED,
    WITHOUT_LOCK,
    crowded,
    in_state,
    placed,
    placed_without_lock,
    receives_mapped,
    shares_an_interpreter,
)
from harness.experiments.effects.setup import (
    ask,
    ask_metered,
    ask_often,
    ask_side_by_side,
    asked_all_the_time,
    calls_of,
    client_of,
    connect_all_at_once,
    program,
    quantile_us,
)
from harness.launch.process import launch
from harness.launch.selection import ours
from harness.machine.connections import Address
from harness.machine.strace import TraceError
from harness.machine.threads import BusyThreads
from harness.oracle import oracle
from harness.record import PROJECT, Arm, EffectResult, JudgedArm, fingerprint, fingerprint_of, together

REQUESTS: Final = 2000
TRACED: Final = 300
FEW_REQUESTS: Final = 50
PAUSE_S: Final = 0.012
"""Longer than a thread waits for the interpreter's lock after its last send(): it is in recv() again when a request comes."""
LIGHT_REQUESTS: Final = 300
IDLE: Final = 900
HELD_S: Final = 0.3
BURST: Final = 8
WAITING: Final = 8
"""Clients whose handlers wait at the same time."""
CROWD: Final = 2000
RELAYS: Final = ("threaded", "select_generators", "asyncio_streams", "gevent_greenlets")
FEW_ASK: Final = 8
MANY_ASK: Final = 64
"""The database shares the cores, so that no more do."""
AT_1S: Final = (0.9, 2.5)
"""A connect that took so long was lucky when its SYN was sent again after 1 s, or after 2 s, as Linux does since 6.5."""

Figures = dict[str, float]

_PROGRAM_NAMES: Final = {module.name for module in iter_modules(programs.__path__)}
_SERVER_NAMES: Final = {path.stem for path in (PROJECT / "implementations").glob("*.py")}


@dataclass(frozen=True)
class Side:
    """One side of an experiment.

    Attributes:
        label: what is done, in words.
        measured, given: and how.
    """

    label: str
    measured: Callable[..., Figures]
    given: tuple[float | str, ...]


@contextmanager
def nothing_besides() -> Iterator[tuple[object, ...]]:
    """Keep nothing while an effect is measured."""
    yield ()


@dataclass(frozen=True)
class Effect:
    """A known effect.

    Attributes:
        name: on the command line.
        title: what happens, in a sentence.
        metric, unit: the figure that shows it.
        rule: must name it where it is, and not where it was taken away.
        present, absent: what is done on each side.
        elsewhere, cured: further sides that have it, and that have not.
        perhaps: further sides of which only the measurement tells.
        where_possible: cures that need what not every machine has; left out where it is not there.
        columns: figures of all sides that tell most, each with its title.
        setting: keeps what has to run meanwhile, and yields what each side is given before its own.
    """

    name: str
    title: str
    metric: str
    unit: str
    rule: Rule
    present: Side
    absent: Side
    elsewhere: tuple[Side, ...] = ()
    cured: tuple[Side, ...] = ()
    perhaps: tuple[Side, ...] = ()
    where_possible: tuple[Side, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    setting: Callable[[], AbstractContextManager[tuple[object, ...]]] = nothing_besides

    @property
    def sides(self) -> tuple[Side, ...]:
        """All sides."""
        return (self.present, self.absent, *self.perhaps, *self.elsewhere, *self.cured, *self.where_possible)


def receive_buffer(size_bytes: int) -> Figures:
    """Measure an echo server with such a receive buffer."""
    with program("receive_buffer", size_bytes) as (process, port), client_of(port) as connection:
        _, used = ask_metered(process.pid, connection, REQUESTS)
        figures = {
            "page_faults_most": used.page_faults / REQUESTS,
            "cpu_us": used.cpu_ns / 1e3 / REQUESTS,
        }
        try:
            return figures | calls_of(process.pid, connection, TRACED)
        except TraceError:
            return figures  # page faults show it, too


def idle_watch(how: str) -> Figures:
    """Measure what a request costs with next to no idle descriptors, and with many."""
    figures: Figures = {}
    for name, idle in (("few", 1), ("most", IDLE)):
        with program("idle_watch", how, idle) as (process, port), client_of(port) as connection:
            _, used = ask_metered(process.pid, connection, REQUESTS)
            figures |= {name: idle, f"cpu_us_{name}": used.cpu_ns / 1e3 / REQUESTS}
            figures |= calls_of(process.pid, connection, TRACED)
    return figures


def sleep_or_spin(how: str) -> Figures:
    """Measure a ping-pong with a server that sleeps, or spins."""
    with program("sleep_or_spin", how) as (process, port), client_of(port) as connection:
        began_ns, cpu_began_ns = time.monotonic_ns(), time.process_time_ns()
        times, used = ask_metered(process.pid, connection, REQUESTS)
        passed_ns, cpu_ns = time.monotonic_ns() - began_ns, time.process_time_ns() - cpu_began_ns
        return {
            "response_mean_us": sum(times) / len(times) / 1e3,
            "cpu_us_per_request": used.cpu_ns / 1e3 / REQUESTS,
            # Others may have had the core, now and then: what counts is what it made of its own time.
            "server_core_share": used.cpu_ns / max(1, passed_ns - used.delayed_ns),
            "generator_core_share": cpu_ns / passed_ns,
        }


def beside_a_computation(where: str, interval_s: float) -> Figures:
    """Measure an echo beside a computation.

    The client pauses between requests: else it may be so quick that the lock never goes to the thread that computes.
    """
    with (
        program("beside_a_computation", where, interval_s, apart=False) as (process, port),
        client_of(port) as connection,
    ):
        busy = BusyThreads(process.pid)
        times = []
        for _ in range(FEW_REQUESTS):
            time.sleep(PAUSE_S)
            times.append(ask(connection))
        return {"response_p50_us": quantile_us(times, 0.5), "busy_threads": busy.count()}


def costly_and_light(how: str) -> Figures:
    """Measure light requests with nobody beside them, and beside somebody who asks for something costly all the time."""
    with program("costly_and_light", how, apart=False) as (_, port), client_of(port) as light:
        alone = ask_often(light, LIGHT_REQUESTS)
        with asked_all_the_time(port, b"c\n", 1):
            beside = []
            ends_at = time.monotonic() + LIGHT_REQUESTS * COST_S / 10
            while time.monotonic() < ends_at:
                beside.append(ask(light))
    return {
        "cost_ms": COST_S * 1000,
        "alone_p50_us": quantile_us(alone, 0.5),
        "alone_p99_us": quantile_us(alone, 0.99),
        "response_p50_us": quantile_us(beside, 0.5),
        "response_p99_us": quantile_us(beside, 0.99),
    }


def second_client(server: str) -> Figures:
    """Let a client come and say nothing for a while; measure how long the next one waits for its greeting."""
    with launch(ours(server)) as launched, greeted(launched.address) as first:
        leave = Timer(HELD_S, first.shutdown, [socket.SHUT_RDWR])
        came = time.monotonic()
        leave.start()
        with greeted(launched.address):
            waited_s = time.monotonic() - came
        leave.join()
    return {"held_s": HELD_S, "waited_s": waited_s}


def greeted(address: Address) -> socket.socket:
    """Return a connection that has been greeted."""
    greeting = oracle(b"")
    connection = socket.create_connection(address, HELD_S + 10)
    if connection.recv(len(greeting), socket.MSG_WAITALL) != greeting:
        raise MeasureError("a client was not greeted")
    return connection


def two_writes(how: str) -> Figures:
    """Measure a reply that goes out in two parts."""
    with program("two_writes", how) as (process, port), client_of(port) as connection:
        times, used = ask_metered(process.pid, connection, FEW_REQUESTS)
        return {
            "response_p50_us": quantile_us(times, 0.5),
            "cpu_us_per_request": used.cpu_ns / 1e3 / FEW_REQUESTS,
        }


def handlers_that_wait(how: str) -> Figures:
    """Let clients ask side by side whose handlers wait; by Little's law so many waits are under way as are ended in a second, times one."""
    with program("blocking_wait", how) as (_, port):
        times, passed_s = ask_side_by_side(port, WAITING, FEW_REQUESTS)
    return {
        "wait_ms": WAIT_S * 1000,
        "most_under_way": WAITING,
        "mean_under_way": len(times) / passed_s * WAIT_S,
        "response_p50_us": quantile_us(times, 0.5),
    }


def clients_in_turn(how: str) -> Figures:
    """Measure light requests, of one turn each, beside as many clients as there are turns that take many in a row."""
    with (
        program("pool_turns", how) as (_, port),
        client_of(port) as light,
        asked_all_the_time(port, b"b\n", TURNS),
    ):
        times = ask_often(light, FEW_REQUESTS)
    return {
        "turn_comes_ms": (TURNS + 1) / TURNS * TURN_S * 1000,
        "response_p50_us": quantile_us(times, 0.5),
        "response_p90_us": quantile_us(times, 0.9),
    }


def connect_burst(backlog: int) -> Figures:
    """Let a burst of clients connect to a listener with such a queue."""
    with program("short_queue", backlog) as (_, port):
        took_s = [took_ns / 1e9 for took_ns in connect_all_at_once(port, BURST)]
    low, high = AT_1S
    return {
        "connects": BURST,
        "connects_at_1s": sum(low <= each < high for each in took_s),
        "connects_at_3s": sum(each >= high for each in took_s),
        "connects_late": sum(each >= low for each in took_s),
    }


MAP_LIMIT: Final = ("MALLOC_MMAP_THRESHOLD_=1048576",)
MAP_AND_TRIM_LIMITS: Final = (*MAP_LIMIT, "MALLOC_TRIM_THRESHOLD_=2097152")
"""By the first alone the heap grows for each receive, and shrinks again: two brk instead of the mappings."""
MAPPING: Final = tuple(each.label for each in ALL if receives_mapped(each))
NOT_MAPPING: Final = tuple(each.label for each in ALL if not receives_mapped(each))
LOCKING: Final = tuple(
    each.label for each in ON_ONE_CORE if shares_an_interpreter(each) and each.label != "threaded"
)
NOT_LOCKING: Final = tuple(each.label for each in ON_ONE_CORE if not shares_an_interpreter(each))


def _in_states(names: Sequence[str], state: str) -> tuple[Side, ...]:
    return tuple(Side(f"{name}, {state}", in_state, (name, state)) for name in names)


def _placed(names: Sequence[str], place: str) -> tuple[Side, ...]:
    return tuple(Side(f"{name}, {place}", placed, (name, place)) for name in names)


def _asking(model: str, whom: str, clients: int) -> Side:
    return Side(label_of(model, whom, clients), asked, (model, whom, clients, ITS_WAY))


def _asking_blocked(model: str, how: str) -> Side:
    label = label_of(model, f"{DATABASE} {how}", FEW_ASK)
    return Side(label, asked, (model, DATABASE, FEW_ASK, BLOCKING))


_ALL_ASKING: Final = tuple(
    _asking(model, whom, clients)
    for clients in (FEW_ASK, MANY_ASK)
    for whom in (DATABASE, UPSTREAM)
    for model in RELAYS
)
_ASYNCIO_ASKING: Final = _asking("asyncio_streams", DATABASE, FEW_ASK)

EFFECTS: Final = (
    Effect(
        "receive-buffer",
        "A receive buffer of 256 KiB is mapped anew for each request",
        "page_faults_most",
        "page faults per request",
        mapped_receive_buffer,
        Side("recv(256 KiB)", receive_buffer, (256 * 1024,)),
        Side("recv(64 KiB)", receive_buffer, (64 * 1024,)),
        # A hole of 256 KiB that starting has left in the heap saves the first clients from it: nobody knows beforehand.
        perhaps=_in_states(MAPPING, FRESH),
        cured=(
            *_in_states(MAPPING, SERVED),
            *(Side(f"{name}, 64 KiB, {FRESH}", in_state, (f"{name}+recv64k", FRESH)) for name in MAPPING),
            *(
                Side(f"{name}, {' '.join(limits)}, {FRESH}", in_state, (name, FRESH, *limits))
                for name in MAPPING
                for limits in (MAP_LIMIT, MAP_AND_TRIM_LIMITS)
            ),
            *_in_states(NOT_MAPPING, FRESH),
            *_in_states(NOT_MAPPING, SERVED),
        ),
        columns={
            "cpu_us": "CPU µs per request",
            "calls.mmap": "mmap",
            "calls.mremap": "mremap",
            "calls.munmap": "munmap",
            "calls.brk": "brk",
        },
    ),
    Effect(
        "placement",
        "Threads that may run on several cores hand the interpreter's lock over between these",
        "cpu_us",
        "CPU µs per request",
        lock_between_cores,
        Side(f"threaded, {FREE}", placed, ("threaded", FREE)),
        Side(f"threaded, {PINNED}", placed, ("threaded", PINNED)),
        elsewhere=_placed(LOCKING, FREE),
        cured=(*_placed(LOCKING, PINNED), *_placed(NOT_LOCKING, FREE), *_placed(NOT_LOCKING, PINNED)),
        where_possible=(Side(f"threaded, {FREE}, {WITHOUT_LOCK}", placed_without_lock, ("threaded", FREE)),),
        columns={
            "cpu_us": "CPU µs per request",
            "answered_rps": "answers/s",
            "switches_voluntary": "waits per request",
            "switches_involuntary": "preemptions per request",
        },
    ),
    Effect(
        "lock-crowd",
        f"{CROWD:,} threads that are asked at once fight for the interpreter's lock",
        "cpu_us",
        "CPU µs per request",
        lock_between_cores,
        Side(f"threaded, {FREE}", crowded, ("threaded", FREE, CROWD)),
        Side(f"threaded, {PINNED}", crowded, ("threaded", PINNED, CROWD)),
        columns={
            "cpu_us": "CPU µs per request",
            "answered_s": "s until all are answered",
            "switches_voluntary": "waits per request",
        },
    ),
    Effect(
        "idle-watch",
        f"A request costs more the more silent descriptors are watched, here {IDLE}",
        "cpu_us_most",
        "CPU µs per request",
        list_of_descriptors,
        Side("select()", idle_watch, ("select",)),
        Side("epoll", idle_watch, ("epoll",)),
    ),
    Effect(
        "waking-up",
        "A ping-pong is mostly the waking up of processes",
        "response_mean_us",
        "µs per request",
        waking_up,
        Side("the server sleeps", sleep_or_spin, ("sleep",)),
        Side("the server spins", sleep_or_spin, ("spin",)),
    ),
    Effect(
        "interpreter-lock",
        "An echo in a thread waits for a thread that computes",
        "response_p50_us",
        "µs (p50)",
        interpreter_lock,
        Side("beside a thread", beside_a_computation, ("thread", 0.005)),
        Side("beside a process", beside_a_computation, ("process", 0.005)),
    ),
    Effect(
        "switch-interval",
        "How long it waits is the interval after which a thread must let go",
        "response_p50_us",
        "µs (p50)",
        interpreter_lock,
        Side("5 ms, the default", beside_a_computation, ("thread", 0.005)),
        Side("0.5 ms", beside_a_computation, ("thread", 0.0005)),
    ),
    Effect(
        "head-of-line",
        f"Light requests wait for the end of one that takes {COST_S * 1000:.0f} ms",
        "response_p99_us",
        "µs (p99)",
        head_of_line,
        Side("worked on in the loop", costly_and_light, ("inline",)),
        Side("worked on by a process", costly_and_light, ("apart",)),
    ),
    Effect(
        "blocking-wait",
        f"A handler that waits {WAIT_S * 1000:.0f} ms in a loop makes {WAITING} clients wait for each other",
        "response_p50_us",
        "µs (p50)",
        unyielding_wait,
        Side("a call that blocks", handlers_that_wait, ("blocks",)),
        Side("a call that is awaited", handlers_that_wait, ("awaits",)),
    ),
    Effect(
        "pool-turns",
        f"Light requests wait for a turn of a pool while others take {IN_A_ROW} in a row",
        "response_p90_us",
        "µs (p90)",
        turns_by_chance,
        Side("a semaphore", clients_in_turn, ("semaphore",)),
        Side("handed to who waits longest", clients_in_turn, ("handed",)),
    ),
    Effect(
        "convoy",
        f"A client that stays for {HELD_S:g} s makes the next one wait",
        "waited_s",
        "s",
        convoy,
        Side("one client at a time", second_client, ("blocking",)),
        Side("a thread for each", second_client, ("threaded",)),
    ),
    Effect(
        "no-delay",
        "A reply in two parts waits for an acknowledgement",
        "response_p50_us",
        "µs (p50)",
        delayed_acknowledgement,
        Side("Nagle's algorithm", two_writes, ("nagle",)),
        Side("TCP_NODELAY", two_writes, ("nodelay",)),
    ),
    Effect(
        "full-backlog",
        f"A burst of {BURST} connects meets a short listen queue",
        "connects_late",
        f"of {BURST} connects took 1 s or more",
        full_backlog,
        Side("a queue of 1", connect_burst, (1,)),
        Side("a queue of 1,024", connect_burst, (1024,)),
    ),
    Effect(
        ASKING,
        "A driver that blocks lets an event loop ask its database one question at a time",
        "mean_under_way",
        "questions under way",
        unyielding_wait,
        _asking_blocked("asyncio_streams", "by the driver for threads"),
        _ASYNCIO_ASKING,
        elsewhere=(_asking_blocked("gevent_greenlets", "without patching select"),),
        cured=tuple(side for side in _ALL_ASKING if side != _ASYNCIO_ASKING),
        columns={
            "answered_rps": "answers/s",
            "share": "of the ceiling",
            "cpu_us": "CPU µs per request",
            "core_share": "of a core",
            "asked_cpu_us": "CPU µs of whom it asks",
            "mean_under_way": "under way",
        },
        setting=database_of,
    ),
)


def selected_effects(names: Sequence[str]) -> list[Effect]:
    """Return effects by name, all if none is named; UsageError if there is none of that name."""
    known = {effect.name: effect for effect in EFFECTS}
    for name in names:
        if name not in known:
            raise UsageError(f"no effect is called {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names] or list(EFFECTS)


def at_database(effects: Sequence[Effect], url: str) -> list[Effect]:
    """Let effects be measured at somebody's database, of whose CPU nothing is known; UsageError if none of them asks one."""
    if ASKING not in {effect.name for effect in effects}:
        raise UsageError(f"--database is for the effect called {ASKING!r}")
    return [
        replace(
            effect,
            setting=partial(database_of, url),
            columns={name: title for name, title in effect.columns.items() if name != "asked_cpu_us"},
        )
        if effect.name == ASKING
        else effect
        for effect in effects
    ]


def state_of(effect: Effect) -> str:
    """Return a hash of what an experiment's outcome stands on: what is done on each side, of whom, and the rule."""
    used = {(side.measured.__module__, side.measured.__name__) for side in effect.sides}
    said = {str(each) for side in effect.sides for each in (*side.measured.__code__.co_consts, *side.given)}
    models = {each.partition("+")[0] for each in said}
    return together(
        *(fingerprint_of(module, name, module) for module, name in sorted(used)),
        *(repr(side.given) for side in effect.sides),
        *(fingerprint(f"{programs.__name__}.{name}") for name in sorted(said & _PROGRAM_NAMES)),
        *(
            fingerprint(f"implementations.{name}", package="implementations")
            for name in sorted(models & _SERVER_NAMES)
        ),
        fingerprint(effect.rule.__module__),
    )


def _made(effect: Effect, side: Side, given: Sequence[object]) -> Arm | None:
    """Measure a side, in its setting; None if it needs what this machine has not."""
    try:
        return Arm(side.label, side.measured(*given, *side.given))
    except LaunchError:
        if side in effect.where_possible:
            return None
        raise


def let_happen(effect: Effect) -> EffectResult:
    """Make an experiment: all its sides, and what the rule says of each.

    Raises:
        LaunchError: a server does not start, or strace, without which this cannot be seen, does not trace.
        MeasureError: a server does not answer as it should.
    """
    try:
        with effect.setting() as given, own_core():
            made = {side: arm for side in effect.sides if (arm := _made(effect, side, given))}
    except TraceError as error:
        raise LaunchError(f"{effect.name} cannot be seen here: {error}") from None
    except OSError as error:
        raise MeasureError(f"{effect.name}: {error}") from None
    arms = [*made.values()]
    found = [list(effect.rule(of_arm(effect.name, arm))) for arm in arms]
    there = [
        None if side in effect.perhaps else side is effect.present or side in effect.elsewhere
        for side in made
    ]
    present, absent, *others = (
        JudgedArm(arm, to_be_named, bool(causes))
        for arm, to_be_named, causes in zip(arms, there, found, strict=True)
    )
    cause = next(iter(found[0]), None)
    return EffectResult(
        effect=effect.name,
        title=effect.title,
        metric=effect.metric,
        unit=effect.unit,
        present=present.arm,
        absent=absent.arm,
        named_present=present.named,
        named_absent=absent.named,
        because=cause.sentence if cause else "",
        source=cause.source if cause else "",
        command=f"harness effect {effect.name}",
        others=tuple(others),
        columns=dict(effect.columns),
    )
