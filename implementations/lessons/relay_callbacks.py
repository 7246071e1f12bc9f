"""A relay in callbacks: a handler says what is to be called when the answer comes, and returns."""

from collections.abc import Callable, Iterator
from select import select
from socket import socket
from typing import Final

from implementations.lessons.relay import Address, Peer, connected, start

AWAITED: Final[dict[Peer, Callable[[bytes], None]]] = {}
"""Whose line is awaited, and what is to be called with it."""


class Handler:
    """One client. Each step ends by saying which step follows; what outlives a step is an attribute."""

    def __init__(self, client: Peer, asked: Peer) -> None:
        """Begin with the upstream's greeting."""
        self.client = client
        self.asked = asked
        AWAITED[asked] = self.pass_answer

    def pass_answer(self, answer: bytes) -> None:
        """Pass on the greeting, or an answer; what comes next is a question."""
        self.client.socket.sendall(answer)
        AWAITED[self.client] = self.pass_question

    def pass_question(self, question: bytes) -> None:
        """Pass on a question; what comes next is its answer."""
        if question:
            self.asked.socket.sendall(question)
            AWAITED[self.asked] = self.pass_answer
        else:
            self.asked.socket.close()
            self.client.socket.close()


def where() -> Iterator[str]:
    """Look into the table: nothing else knows that anybody waits, and no stack leads there."""
    for callback in AWAITED.values():
        yield f"a callback: {callback.__qualname__}() is to be called"


def serve(listener: socket, upstream: Address) -> None:
    """Be the loop: wait for everybody at once, and call whoever has a line."""
    while True:
        ready = [peer for peer in AWAITED if peer.has_line()]
        if not ready:
            peers: list[socket | Peer] = [listener, *AWAITED]
            readable, _, _ = select(peers, [], [])
            if listener in readable:
                client, _ = listener.accept()
                Handler(Peer(client), connected(upstream))
            ready = [peer for peer in AWAITED if peer in readable]
            for peer in ready:
                peer.receive()
        for peer in ready:
            if peer.has_line():
                AWAITED.pop(peer)(peer.take_line())


if __name__ == "__main__":
    start(serve, where)
