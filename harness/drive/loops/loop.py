"""The ways to load a server: a closed loop, an open one, and connections that come and go. They compute no percentile.

Raw non-blocking sockets and epoll. A load is done in turns, one or many: all work until the window begins, read the clocks,
work until it ends, read them again, and then wait for what is still to come, so that between turns nothing is in flight.
"""

import time
from collections.abc import Callable, Sequence
from select import EPOLLIN, EPOLLOUT, epoll
from typing import Final

from harness.drive.client import Client, ClientFailure
from harness.drive.journal import Journal
from harness.drive.orders import LoadOrder, LoadOutcome, Reading, Turn
from harness.machine.processes import busy_ns, cpu_ns_of, ticks_of, waited_ns
from harness.plan import Load
from harness.record import Requests

POLL_S: Final = 0.05
TICK_NS: Final = 250_000_000
MOST_EVENTS: Final = 256
SETTLING_NS: Final = 2_000_000
"""So often is looked whether every client has had a reply."""
Progress = Callable[[int, int], None]
Event = tuple[int, int]
clock = time.monotonic_ns


class Loop:
    """What all have in common: clients, counts, and the course of a run."""

    planned: int

    def __init__(self, order: LoadOrder, poller: epoll, clients: Sequence[Client], journal: Journal) -> None:
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
        self._timeout_ns = int(order.load.timeout_s * 1e9)
        self._next_tick_ns = 0
        self._next_check_ns = 0
        self._progress: Callable[[], None] = lambda: None

    def run(self, turn: Turn, progress: Progress) -> LoadOutcome:
        """Work through warm-up and window, then wait for what is in flight.

        Args:
            turn: which; what is intended is counted from when it starts.
            progress: called four times a second with the time since the start in ns and the requests sent.
        """
        load, started_ns = turn.load, turn.start_ns
        self.sent = 0
        self.lost = {"wrong": 0, "error": 0, "timeout": 0}
        self.fault = ""
        self._progress = lambda: progress(clock() - started_ns, self.sent)
        self.prepare(load)
        server_found_ns = cpu_ns_of(self.order.server_pids)
        time.sleep(max(0.0, (started_ns - clock()) / 1e9))
        awake_ns = clock()
        begin_ns = started_ns + int(load.warmup_s * 1e9)
        self.start(started_ns)
        asked_ns = clock()
        self.work_until(begin_ns)
        if turn.settled:
            self._settle(asked_ns)
        begin = self._read_clocks()
        end_ns = (begin.at_ns if turn.settled else begin_ns) + int(load.duration_s * 1e9)
        self.work_until(end_ns)
        end = self._read_clocks()
        self.work_until(end_ns + int(load.relief_s * 1e9))
        self._await_replies()
        return LoadOutcome(
            requests=Requests(
                planned=max(self.planned, self.sent),
                sent=self.sent,
                ok=self.journal.requests(),
                **self.lost,
                in_flight=sum(client.in_flight for client in self.clients.values()),
                fault=self.fault,
            ),
            started_ns=started_ns,
            awake_ns=awake_ns,
            begin=begin,
            end=end,
            records=self.journal.used,
            ended_ns=clock(),
            server_found_ns=server_found_ns,
            server_left_ns=cpu_ns_of(self.order.server_pids),
        )

    def leave(self) -> None:
        """Close all connections."""
        for client in self.clients.values():
            client.socket.close()
        self.clients.clear()
        self.poller.close()

    def prepare(self, load: Load) -> None:
        """Do before a turn what would take time in it."""

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

    def settled(self, asked_ns: int) -> bool:  # noqa: ARG002 - when the last client had asked for the first time
        """Tell whether nothing of the start of a turn is left."""
        return True

    def forget(self, client: Client) -> None:
        """Take note that a client was lost."""

    def await_events(self, until_ns: int) -> Sequence[Event]:  # noqa: ARG002 - by when somebody else wants something
        """Wait for replies, not for long."""
        return self.poller.poll(POLL_S)

    def under_way_ns(self, now_ns: int) -> int:  # noqa: ARG002 - likewise
        """Return for how long all questions to an upstream have been under way until now, added up."""
        return 0

    def keep(self, times_file: str) -> None:
        """Append the times of a turn to a file."""
        self.journal.move_to(times_file)

    def _settle(self, asked_ns: int) -> None:
        """Work until nothing of the start is left, or until that takes too long."""
        limit_ns = clock() + self._timeout_ns
        while not self.settled(asked_ns) and (now_ns := clock()) < limit_ns:
            self.work_until(now_ns + SETTLING_NS)

    def _await_replies(self) -> None:
        """Listen until all is answered, or until it takes too long."""
        limit_ns = clock() + self._timeout_ns
        while clock() < limit_ns and self.outstanding():
            for descriptor, event in self.await_events(limit_ns):
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
        except ClientFailure as failure:
            self._lose(client, failure)

    def _watch(self, client: Client) -> None:
        """Wait for the kernel to take what a client has unsent."""
        self.poller.modify(client.socket, EPOLLIN | EPOLLOUT)

    def _lose(self, client: Client, failure: ClientFailure) -> None:
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
                self._lose(
                    client, ClientFailure("timeout", f"no reply within {self.order.load.timeout_s:g} s")
                )

    def _read_clocks(self) -> Reading:
        user_ticks, system_ticks = ticks_of(self.order.server_pids)
        at_ns = clock()
        return Reading(
            at_ns=at_ns,
            under_way_ns=self.under_way_ns(at_ns),
            server_cpu_ns=cpu_ns_of(self.order.server_pids),
            generator_cpu_ns=time.process_time_ns(),
            spun_ns=self.spun_ns,
            cores_busy_ns=busy_ns(self.order.cores),
            generator_waited_ns=waited_ns(),
            background_cpu_ns=cpu_ns_of(self.order.background_pids),
            server_user_ticks=user_ticks,
            server_system_ticks=system_ticks,
        )
