"""The ways to load a server: a closed loop, an open one, and connections that come and go. They compute no percentile.

Raw non-blocking sockets and epoll. All work until the window begins, read the clocks, work until it ends, read them
again, and then wait for what is still to come.
"""

import os
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from select import EPOLLIN, EPOLLOUT, epoll, select
from typing import Final

from harness.drive.client import Client, Failure, Journal, Script, Visitor
from harness.drive.orders import Order, Outcome, Reading
from harness.drive.schedule import Agenda, Turn

POLL_S: Final = 0.05
TICK_NS: Final = 250_000_000
SHORT_NS: Final = 100_000
"""What is shorter cannot be slept through."""
MOST_EVENTS: Final = 256
BATCH: Final = 16
"""So many events or sends at a time, so that neither waits long for the other."""
SOURCES: Final = 16
"""Addresses from which churning clients come: local ports for some 450,000 connections a minute."""

Event = tuple[int, int]
Progress = Callable[[int, int], None]

clock = time.monotonic_ns


class Loop:
    """What all have in common: clients, counts, and the course of a run."""

    planned: int

    def __init__(self, order: Order, poller: epoll, clients: Sequence[Client], journal: Journal) -> None:
        """Take connected clients."""
        self.order = order
        self.clients: dict[int, Client] = {client.socket.fileno(): client for client in clients}
        self.journal = journal
        self.poller = poller
        for descriptor in self.clients:
            self.poller.register(descriptor, EPOLLIN)
        self.sent = 0
        self.lost = {"wrong": 0, "error": 0, "timeout": 0}
        self.fault = ""
        self.spun_ns = 0
        self._timeout_ns = int(order.timeout_s * 1e9)
        self._next_tick_ns = 0
        self._next_check_ns = 0
        self._progress: Callable[[], None] = lambda: None

    def run(self, started_ns: int, progress: Progress) -> Outcome:
        """Work through warm-up and window, then wait for what is in flight.

        Args:
            started_ns: when to start; what is intended is counted from then.
            progress: called four times a second with the time since the start in ns and the requests sent.
        """
        self._progress = lambda: progress(clock() - started_ns, self.sent)
        time.sleep(max(0.0, (started_ns - clock()) / 1e9))
        begin_ns = started_ns + int(self.order.warmup_s * 1e9)
        end_ns = begin_ns + int(self.order.duration_s * 1e9)
        self.start(started_ns)
        self.work_until(begin_ns)
        begin = self._read_clocks()
        self.work_until(end_ns)
        end = self._read_clocks()
        self.work_until(end_ns + int(self.order.relief_s * 1e9))
        self._await_replies()
        return Outcome(
            planned=max(self.planned, self.sent),
            sent=self.sent,
            ok=self.journal.requests(),
            **self.lost,
            in_flight=sum(client.in_flight for client in self.clients.values()),
            started_ns=started_ns,
            begin=begin,
            end=end,
            records=self.journal.used,
            fault=self.fault,
        )

    def start(self, started_ns: int) -> None:
        """Do what is done once."""
        raise NotImplementedError

    def work_until(self, end_ns: int) -> None:
        """Ask and listen."""
        raise NotImplementedError

    def listen(self, client: Client) -> None:
        """Hear a client, after the window."""
        raise NotImplementedError

    def outstanding(self) -> bool:
        """Tell whether there is anything left to wait for."""
        return any(client.in_flight for client in self.clients.values())

    def forget(self, client: Client) -> None:
        """Take note that a client was lost."""

    def _await_replies(self) -> None:
        """Listen until all is answered, or until it takes too long."""
        limit_ns = clock() + self._timeout_ns
        while clock() < limit_ns and self.outstanding():
            for descriptor, event in self.poller.poll(POLL_S):
                self._attend(descriptor, event, self.listen)
        self._lose_overdue(clock())

    def _attend(self, descriptor: int, event: int, listen: Callable[[Client], None]) -> None:
        """Do what an event calls for."""
        client = self.clients[descriptor]
        try:
            if event & EPOLLOUT:
                client.resume()
                if not client.unsent:
                    self.poller.modify(descriptor, EPOLLIN)
            if event & ~EPOLLOUT:
                listen(client)
        except Failure as failure:
            self._lose(client, failure)

    def _watch(self, client: Client) -> None:
        """Wait for the kernel to take what a client has unsent."""
        self.poller.modify(client.socket, EPOLLIN | EPOLLOUT)

    def _lose(self, client: Client, failure: Failure) -> None:
        """Give up a client: one request for each failure, and what else was in flight with it as an error."""
        self.sent += failure.sent
        del self.clients[client.socket.fileno()]
        in_flight = client.in_flight
        self.lost[failure.kind] += min(1, in_flight)
        self.lost["error"] += max(0, in_flight - 1)
        self.fault = self.fault or str(failure)
        self.forget(client)
        client.socket.close()

    def _tick(self, now_ns: int) -> None:
        """Do now and then what need not be done at once."""
        self._next_tick_ns = now_ns + TICK_NS
        self._progress()
        if now_ns > self._next_check_ns:
            self._next_check_ns = now_ns + self._timeout_ns // 8
            self._lose_overdue(now_ns)

    def _lose_overdue(self, now_ns: int) -> None:
        limit_ns = now_ns - self._timeout_ns
        for client in list(self.clients.values()):
            if client.oldest_sent_ns < limit_ns:
                self._lose(client, Failure("timeout", f"no reply within {self.order.timeout_s:g} s"))

    def _read_clocks(self) -> Reading:
        user_ticks, system_ticks = ticks_of(self.order.server_pids)
        return Reading(
            at_ns=clock(),
            server_cpu_ns=cpu_ns_of(self.order.server_pids),
            generator_cpu_ns=time.process_time_ns(),
            spun_ns=self.spun_ns,
            cores_busy_ns=busy_ns(self.order.cores),
            generator_waited_ns=waited_ns(),
            company_cpu_ns=cpu_ns_of(self.order.company_pids),
            server_user_ticks=user_ticks,
            server_system_ticks=system_ticks,
        )


def waited_ns() -> int:
    """Return how long this process has waited for a core so far, ready to run (proc/schedstat, run delay)."""
    _, waited, _ = Path("/proc/self/schedstat").read_text(encoding="ascii").split()
    return int(waited)


def cpu_ns_of(pids: Sequence[int]) -> int:
    """Return the CPU time that processes have used so far, all their threads, from their CPU clocks."""
    used_ns = 0
    for pid in pids:
        with suppress(OSError):  # it died: the requests tell
            used_ns += time.clock_gettime_ns(~pid << 3 | 2)
    return used_ns


def ticks_of(pids: Sequence[int]) -> tuple[int, int]:
    """Return the ticks that processes have spent in user space and in the kernel: sampled, so good for shares only."""
    user_ticks = system_ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            user_ticks += int(fields[11])
            system_ticks += int(fields[12])
    return user_ticks, system_ticks


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
    return ticks * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))


class ClosedLoop(Loop):
    """Whoever has an answer asks again: N clients, each with D requests in flight. It slows down with its server."""

    planned = 0

    def start(self, started_ns: int) -> None:
        """Let every client ask."""
        for client in list(self.clients.values()):
            try:
                self.sent += client.ask(self.order.pipeline, started_ns, started_ns)
                if client.unsent:
                    self._watch(client)
            except Failure as failure:
                self._lose(client, failure)

    def work_until(self, end_ns: int) -> None:
        """Ask again whoever has answered."""
        clients, poll = self.clients, self.poller.poll
        while (now_ns := clock()) < end_ns and clients:
            for descriptor, event in poll(POLL_S, MOST_EVENTS):
                if event == EPOLLIN:
                    client = clients[descriptor]
                    try:
                        self.sent += client.turn()
                        if client.unsent:
                            self._watch(client)
                    except Failure as failure:
                        self._lose(client, failure)
                else:
                    self._attend(descriptor, event, self._turn)
            if now_ns > self._next_tick_ns:
                self._tick(now_ns)

    def listen(self, client: Client) -> None:
        """Hear, and ask no more."""
        client.hear()

    def _turn(self, client: Client) -> None:
        self.sent += client.turn()
        if client.unsent:
            self._watch(client)


class ChurnLoop(Loop):
    """Whoever has an answer hangs up and comes again: N at a time, each request on a connection of its own.

    A request is intended, and counts as sent, as its connection is begun; the next one is intended as the reply is
    received, so that hanging up is part of its response.

    The client hangs up, as one that has its answer does; that leaves its side of the connection in TIME_WAIT for a minute. A
    reset (SO_LINGER of 0) would not, but it would send the server down its path for errors. So that local ports do not run
    out, some 28,000 for each pair of addresses, the clients of a server on the loopback network have addresses of their own.
    """

    planned = 0

    def __init__(self, order: Order, poller: epoll, script: Script, journal: Journal) -> None:
        """Begin with nobody."""
        super().__init__(order, poller, (), journal)
        self._script = script

    def start(self, started_ns: int) -> None:
        """Let the first ones come."""
        for place in range(self.order.clients):
            self._come(place, started_ns)

    def work_until(self, end_ns: int) -> None:
        """Let the next one come for whoever has gone."""
        while (now_ns := clock()) < end_ns and self.clients:
            for descriptor, event in self.poller.poll(POLL_S, MOST_EVENTS):
                self._attend(descriptor, event, self._come_again)
            if now_ns > self._next_tick_ns:
                self._tick(now_ns)

    def listen(self, client: Client) -> None:
        """Hear, and let nobody come any more."""
        answered, _ = client.hear()
        if answered:
            self._go(client)

    def _come(self, place: int, intended_ns: int) -> None:
        number, self.sent = self.sent, self.sent + 1
        source = source_for(self.order.host, place)
        visitor = Visitor(place, number, intended_ns, self._script, self.journal)
        self.clients[visitor.socket.fileno()] = visitor
        try:
            visitor.connect((self.order.host, self.order.port), source)
        except Failure as failure:
            self._lose(visitor, failure)
        else:
            self.poller.register(visitor.socket, EPOLLIN)

    def _come_again(self, client: Client) -> None:
        answered, heard_ns = client.hear()
        if answered:
            self._go(client)
            self._come(client.number, heard_ns)

    def _go(self, client: Client) -> None:
        del self.clients[client.socket.fileno()]
        client.socket.close()


def source_for(host: str, place: int) -> str | None:
    """Return the address from which a client connects: one of several on the loopback network; else None, any."""
    return f"127.0.1.{1 + place % SOURCES}" if host.startswith("127.") else None


class OpenLoop(Loop):
    """Requests are sent when they are intended, or as soon after that as their connection is free."""

    def __init__(
        self,
        order: Order,
        poller: epoll,
        clients: Sequence[Client],
        journal: Journal,
        intended_ns: Sequence[int],
    ) -> None:
        """Take connected clients, and when they are to ask, counted from the start."""
        super().__init__(order, poller, clients, journal)
        self.planned = len(intended_ns)
        self._offsets_ns = intended_ns
        self._numbered = list(clients)
        self._agenda = Agenda((), len(clients))

    def start(self, started_ns: int) -> None:
        """Fix the intended times."""
        intended_ns = array("q", (started_ns + offset_ns for offset_ns in self._offsets_ns))
        self._agenda = Agenda(intended_ns, len(self._numbered), self.order.pipeline)

    def work_until(self, end_ns: int) -> None:
        """Send what is due, and listen until the next is."""
        agenda = self._agenda
        while (now_ns := clock()) < end_ns and self.clients:
            for turn in agenda.due(now_ns, BATCH):
                self._send(turn)
            for descriptor, event in self._wait(min(agenda.next_ns, end_ns)):
                self._attend(descriptor, event, self.listen)
            if now_ns > self._next_tick_ns:
                self._tick(now_ns)

    def listen(self, client: Client) -> None:
        """Hear, and send what has been waiting for this connection."""
        answered, heard_ns = client.hear()
        for _ in range(answered):
            if turn := self._agenda.freed(client.number, heard_ns):
                self._send(turn)

    def outstanding(self) -> bool:
        """Send what was due at the end of the window and had not its turn yet; the rest is waited for."""
        for turn in self._agenda.due(clock(), self.planned):
            self._send(turn)
        return super().outstanding()

    def forget(self, client: Client) -> None:
        """Send nothing more on this connection."""
        self._agenda.lose(client.number)

    def _send(self, turn: Turn) -> None:
        number, intended_ns, ready_ns = turn
        client = self._numbered[number]
        try:
            self.sent += client.ask(1, intended_ns, ready_ns)
            if client.unsent:
                self._watch(client)
        except Failure as failure:
            self._lose(client, failure)

    def _wait(self, until_ns: float) -> list[Event]:
        """Wait for replies, but not beyond the next intended time.

        On a core of its own the generator waits busily: waking up takes longer than most replies do, and would be part of
        the response.
        """
        began_ns = now_ns = clock()
        if not self.order.own_core and until_ns - now_ns > SHORT_NS:
            rest_s = min(POLL_S, (until_ns - now_ns - SHORT_NS) / 1e9)
            select([self.poller], [], [], rest_s)  # its timeout is good to 0.1 ms, epoll's own only to 1 ms
            return self.poller.poll(0, BATCH)
        while not (events := self.poller.poll(0, BATCH)) and now_ns < until_ns:
            now_ns = clock()
        self.spun_ns += now_ns - began_ns
        return events
