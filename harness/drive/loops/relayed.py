"""Loops around a server that asks, and the upstream that it asks: one process, one loop, one clock."""

from collections.abc import Callable, Sequence
from select import EPOLLIN, epoll

from msgspec.structs import replace

from harness.drive.client import Client, ClientFailure
from harness.drive.journal import QUESTION, Journal
from harness.drive.loops.closed import ClosedLoop
from harness.drive.loops.loop import Event, Loop, Progress, clock
from harness.drive.loops.open import OpenLoop
from harness.drive.orders import LoadOrder, LoadOutcome, Turn
from harness.drive.upstream import LAST_STRETCH_NS, SHARED_STRETCH_NS, Upstream


class AroundUpstream(Loop):
    """What the server asks meanwhile is answered when it is due. How clients ask is the other parent's to say."""

    def __init__(
        self, order: LoadOrder, poller: epoll, clients: Sequence[Client], journal: Journal, upstream: Upstream
    ) -> None:  # fmt: skip
        """Take connected clients, and the upstream that their server asks."""
        super().__init__(order, poller, clients, journal)
        self._upstream = upstream
        self._log = Journal(journal.capacity, QUESTION)
        self._stretch_ns = LAST_STRETCH_NS if order.own_core else SHARED_STRETCH_NS

    def run(self, turn: Turn, progress: Progress) -> LoadOutcome:
        """Do the same, and keep what was asked meanwhile."""
        self._upstream.questions.begin(silent_ns(turn))
        self._upstream.log = self._log
        outcome = super().run(turn, progress)
        self._upstream.log = None
        return replace(outcome, questions=self._log.used, most_under_way=self._upstream.questions.most)

    def leave(self) -> None:
        """Close all connections of clients; the upstream, and its poller, stay."""
        for client in self.clients.values():
            client.socket.close()
        self.clients.clear()

    def await_events(self, until_ns: float) -> Sequence[Event]:
        """Answer what is due; then wait for events, but not beyond the next answer."""
        events = self._upstream.await_events(until_ns, self._stretch_ns)
        self.spun_ns = self._upstream.spun_ns
        return events

    def under_way_ns(self, now_ns: int) -> int:
        """Return the integral of the number of questions under way."""
        return self._upstream.questions.area_ns(now_ns)

    def keep(self, times_file: str) -> None:
        """Append the times of requests, and of questions, to their files."""
        super().keep(times_file)
        self._log.move_to(self.order.questions_file)

    def _attend(self, descriptor: int, event: int, listen: Callable[[Client], None]) -> None:
        if descriptor in self.clients:
            super()._attend(descriptor, event, listen)
        else:
            self._upstream.attend(descriptor)


class RelayedLoop(AroundUpstream, ClosedLoop):
    """Whoever has an answer asks again."""

    def work_until(self, end_ns: int) -> None:
        """Ask again whoever has answered, and answer whoever has asked."""
        clients = self.clients
        while (now_ns := clock()) < end_ns and clients:
            for descriptor, event in self.await_events(end_ns):
                client = clients.get(descriptor)
                if client is None:
                    self._upstream.attend(descriptor)
                elif event == EPOLLIN:
                    try:
                        self._turn(client)
                    except ClientFailure as failure:
                        self._lose(client, failure)
                else:
                    self._attend(descriptor, event, self._turn)
            if now_ns > self._next_tick_ns:
                self._tick(now_ns)


class RelayedOpenLoop(AroundUpstream, OpenLoop):
    """Requests are sent when they are intended, whatever the upstream does."""

    def _wait(self, until_ns: float) -> Sequence[Event]:
        return self.await_events(until_ns)


def silent_ns(turn: Turn) -> range:
    """Say when the upstream is to answer nothing in a turn: at the end of its window, as that is planned."""
    load = turn.load
    stall_ns = int(load.upstream.stall_s * 1e9) if load.upstream else 0
    end_ns = turn.start_ns + int((load.warmup_s + load.duration_s) * 1e9)
    return range(end_ns - stall_ns, end_ns)
