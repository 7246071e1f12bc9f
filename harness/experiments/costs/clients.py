"""A closed loop of so many requests, and of no fixed time: every reply is compared with the oracle's."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from select import EPOLLIN, EPOLLOUT, epoll
from typing import Final

from harness.drive.client import Client, ClientFailure, ConnectError, connected
from harness.drive.journal import Journal
from harness.drive.script import Script
from harness.errors import MeasureError
from harness.machine.connections import Address

REPLY_LIMIT_S: Final = 30.0
"""For servers under a tracer, too."""
LOOK_S: Final = 0.05
ROWS: Final = 1000


@dataclass
class Farewell:
    """What clients heard that kept asking until the server closed on them: right replies, and wrong or missing ones."""

    checked: int = 0
    wrong: int = 0


class Clients:
    """Clients in this process, each with so many requests in flight.

    Attributes:
        all: those that are connected, in the order in which they came.
    """

    def __init__(self, address: Address, pipeline: int = 1) -> None:
        """Take the server's address, and how many requests a client has in flight."""
        self.all: list[Client] = []
        self._address = address
        self._pipeline = pipeline
        self._script = Script(None, pipeline)
        self._journal = Journal(ROWS)
        self._left: dict[int, int] = {}

    def connect(self, count: int) -> None:
        """Let so many come; ConnectError or OSError if one is not served, and those before it stay."""
        for _ in range(count):
            connection = connected(*self._address)
            self.all.append(Client(len(self.all), connection, self._script, self._journal))

    def leave(self) -> None:
        """Close all connections."""
        while self.all:
            self.all.pop().socket.close()

    def ask(self, requests_each: int, clients: Sequence[Client] | None = None) -> int:
        """Let clients ask, so many requests each, and wait for every reply.

        Returns:
            How many replies came.

        Raises:
            MeasureError: a reply is wrong, missing or too late.
        """
        asking = self.all if clients is None else clients
        by_descriptor = {client.socket.fileno(): client for client in asking}
        self._left = dict.fromkeys(by_descriptor, requests_each)
        try:
            with watching(asking) as poller:
                for client in asking:
                    send(poller, client, min(self._pipeline, requests_each))
                while self._left:
                    events = poller.poll(REPLY_LIMIT_S)
                    if not events:
                        raise MeasureError(f"no reply within {REPLY_LIMIT_S:g} s")
                    for descriptor, event in events:
                        self._attend(poller, by_descriptor[descriptor], event)
        except ClientFailure as failure:
            raise MeasureError(str(failure)) from None
        return requests_each * len(asking)

    def _attend(self, poller: epoll, client: Client, event: int) -> None:
        answered = attend(poller, client, event)
        descriptor = client.socket.fileno()
        self._left[descriptor] -= answered
        if again := min(answered, self._left[descriptor] - client.in_flight):
            send(poller, client, again)
        if not self._left[descriptor]:
            del self._left[descriptor]

    def ask_to_the_end(self, seconds: float, then: Callable[[], None]) -> Farewell:
        """Keep asking for a while, do something that ends the server, and keep asking until it has closed on everyone.

        Raises:
            MeasureError: it does not close.
        """
        heard = Farewell()
        left = {client.socket.fileno(): client for client in self.all}
        with watching(self.all) as poller:
            for client in self.all:
                send(poller, client, self._pipeline)
            ends_at = time.monotonic() + seconds
            told = False
            while left:
                if time.monotonic() > ends_at:
                    if told:
                        raise MeasureError(
                            f"{len(left)} connections were open {REPLY_LIMIT_S:g} s after the stop"
                        )
                    then()
                    told = True
                    ends_at += REPLY_LIMIT_S
                for descriptor, event in poller.poll(LOOK_S):
                    try:
                        answered = attend(poller, left[descriptor], event)
                        heard.checked += answered
                        if answered:
                            send(poller, left[descriptor], answered)
                    except ClientFailure as failure:
                        heard.wrong += failure.kind == "wrong" or not told
                        poller.unregister(descriptor)
                        del left[descriptor]
        return heard


def attend(poller: epoll, client: Client, event: int) -> int:
    """Do what an event calls for; return how many requests were answered."""
    if event & EPOLLOUT:
        client.resume()
        if not client.unsent:
            poller.modify(client.socket, EPOLLIN)
    return client.hear()[0] if event & ~EPOLLOUT else 0


def send(poller: epoll, client: Client, count: int) -> None:
    """Let a client ask, and watch for when the kernel takes what it has not taken yet."""
    client.ask(count, 0, 0)
    if client.unsent:
        poller.modify(client.socket, EPOLLIN | EPOLLOUT)


@contextmanager
def watching(clients: Sequence[Client]) -> Iterator[epoll]:
    """Watch clients for what they hear."""
    with epoll() as poller:
        for client in clients:
            poller.register(client.socket, EPOLLIN)
        yield poller


@contextmanager
def connected_clients(address: Address, count: int, pipeline: int = 1) -> Iterator[Clients]:
    """Connect clients for as long as the context lasts; MeasureError if one is not served."""
    clients = Clients(address, pipeline)
    try:
        try:
            clients.connect(count)
        except (ConnectError, OSError) as error:
            raise MeasureError(f"client {len(clients.all) + 1} of {count} cannot connect: {error}") from None
        yield clients
    finally:
        clients.leave()
