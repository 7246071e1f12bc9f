"""An open loop."""

from array import array
from collections.abc import Sequence
from select import epoll, select
from typing import Final

from harness.drive.client import Client, ClientFailure
from harness.drive.journal import Journal
from harness.drive.loops.loop import POLL_S, Event, Loop, clock
from harness.drive.orders import LoadOrder
from harness.drive.schedule import Agenda, Due, intended_ns, phases_of, share_of
from harness.plan import Load

SHORT_NS: Final = 100_000
"""What is shorter cannot be slept through."""
BATCH: Final = 16
"""So many events or sends at a time, so that neither waits long for the other."""


class OpenLoop(Loop):
    """Requests are sent when they are intended, or as soon after that as their connection is free."""

    def __init__(self, order: LoadOrder, poller: epoll, clients: Sequence[Client], journal: Journal) -> None:
        """Take connected clients."""
        super().__init__(order, poller, clients, journal)
        self.planned = 0
        self._offsets_ns = array("q")
        self._numbered: list[Client | None] = list(clients)
        self._agenda = Agenda((), len(clients))

    def prepare(self, load: Load) -> None:
        """Work out when to ask, counted from the start."""
        times_ns = intended_ns(phases_of(load), load.arrivals, load.seed)
        share_ns = share_of(times_ns, self.order.generator, self.order.generators)
        self._offsets_ns = array("q", share_ns.tobytes())
        self.planned = len(self._offsets_ns)

    def start(self, started_ns: int) -> None:
        """Fix the intended times."""
        intended = array("q", (started_ns + offset_ns for offset_ns in self._offsets_ns))
        self._agenda = Agenda(intended, len(self._numbered), self.order.load.pipeline)
        for number, client in enumerate(self._numbered):
            if client is None:
                self._agenda.lose(number)

    def work_until(self, end_ns: int) -> None:
        """Send what is due, and listen until the next is."""
        agenda = self._agenda
        while (now_ns := clock()) < end_ns and self.clients:
            for due in agenda.due(now_ns, BATCH):
                self._send(due)
            for descriptor, event in self._wait(min(agenda.next_ns, end_ns)):
                self._attend(descriptor, event, self.listen)
            if now_ns > self._next_tick_ns:
                self._tick(now_ns)

    def listen(self, client: Client) -> None:
        """Hear, and send what has been waiting for this connection."""
        answered, heard_ns = client.hear()
        for _ in range(answered):
            if due := self._agenda.freed(client.number, heard_ns):
                self._send(due)

    def outstanding(self) -> bool:
        """Send what was due at the end of the window and had not its turn yet; the rest is waited for."""
        for due in self._agenda.due(clock(), self.planned):
            self._send(due)
        return super().outstanding()

    def forget(self, client: Client) -> None:
        """Send nothing more on this connection, not even what has its turn already."""
        self._agenda.lose(client.number)
        self._numbered[client.number] = None

    def _send(self, due: Due) -> None:
        number, intended_ns, ready_ns = due
        client = self._numbered[number]
        if client is None:
            return  # lost since: it counts as never sent
        try:
            self.sent += client.ask(1, intended_ns, ready_ns)
            if client.unsent:
                self._watch(client)
        except ClientFailure as failure:
            self._lose(client, failure)

    def _wait(self, until_ns: float) -> Sequence[Event]:
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
