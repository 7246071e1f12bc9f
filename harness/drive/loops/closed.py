"""A closed loop."""

from select import EPOLLIN

from harness.drive.client import Client, ClientFailure
from harness.drive.loops.loop import MOST_EVENTS, POLL_S, Loop, clock


class ClosedLoop(Loop):
    """Whoever has an answer asks again: N clients, each with D requests in flight. It slows down with its server."""

    planned = 0

    def start(self, started_ns: int) -> None:
        """Let every client ask."""
        for client in list(self.clients.values()):
            try:
                self.sent += client.ask(self.order.load.pipeline, started_ns, started_ns)
                if client.unsent:
                    self._watch(client)
            except ClientFailure as failure:
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
                    except ClientFailure as failure:
                        self._lose(client, failure)
                else:
                    self._attend(descriptor, event, self._turn)
            if now_ns > self._next_tick_ns:
                self._tick(now_ns)

    def listen(self, client: Client) -> None:
        """Hear, and ask no more."""
        client.hear()

    def settled(self, asked_ns: int) -> bool:
        """Tell whether every client has had the replies to its first requests: then it has asked again since."""
        return all(client.oldest_sent_ns > asked_ns for client in self.clients.values())

    def _turn(self, client: Client) -> None:
        self.sent += client.turn()
        if client.unsent:
            self._watch(client)
