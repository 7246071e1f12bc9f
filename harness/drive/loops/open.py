"""An open loop."""

from array import array
from collections.abc import Sequence
from select import epoll, select
from typing import Final

from harness.drive.client import Client, ClientFailure
from harness.drive.journal import Journal
from harness.drive.loops.loop import POLL_S, Loop, clock
from harness.drive.orders import LoadOrder
from harness.drive.schedule import Agenda, Turn

SHORT_NS: Final = 100_000
"""What is shorter cannot be slept through."""
BATCH: Final = 16
"""So many events or sends at a time, so that neither waits long for the other."""
Event = tuple[int, int]


class OpenLoop(Loop):
    """Requests are sent when they are intended, or as soon after that as their connection is free."""

    def __init__(
        self,
        order: LoadOrder,
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
        self._agenda = Agenda(intended_ns, len(self._numbered), self.order.load.pipeline)

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
        except ClientFailure as failure:
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
