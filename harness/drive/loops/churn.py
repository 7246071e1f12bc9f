"""Connections that come and go."""

from select import EPOLLIN, epoll
from typing import Final

from harness.drive.client import Client, ClientFailure, Visitor
from harness.drive.journal import Journal
from harness.drive.loops.loop import MOST_EVENTS, POLL_S, Loop, clock
from harness.drive.orders import LoadOrder
from harness.drive.script import Script
from harness.machine.connections import endpoint_of

SOURCES: Final = 16
"""Addresses from which churning clients come: local ports for some 450,000 connections a minute."""


class ChurnLoop(Loop):
    """Whoever has an answer hangs up and comes again: N at a time, each request on a connection of its own.

    A request is intended, and counts as sent, as its connection is begun; the next one is intended as the reply is
    received, so that hanging up is part of its response.

    The client hangs up, as one that has its answer does; that leaves its side of the connection in TIME_WAIT for a minute. A
    reset (SO_LINGER of 0) would not, but it would send the server down its path for errors. So that local ports do not run
    out, some 28,000 for each pair of addresses, the clients of a server on the loopback network have addresses of their own.
    """

    planned = 0

    def __init__(self, order: LoadOrder, poller: epoll, script: Script, journal: Journal) -> None:
        """Begin with nobody."""
        super().__init__(order, poller, (), journal)
        self._script = script
        self._server = endpoint_of((order.host, order.port))

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
        visitor = Visitor(self._server.family, place, number, intended_ns, self._script, self.journal)
        self.clients[visitor.socket.fileno()] = visitor
        try:
            visitor.connect(self._server, source)
        except ClientFailure as failure:
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
