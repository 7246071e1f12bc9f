"""A relay in generators: a handler yields whom it waits for, and is resumed with the answer."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from select import select
from socket import socket
from typing import Final, TypeAlias

from implementations.lessons.relay import Address, Peer, connected, standing_at, start

Handler: TypeAlias = Generator[Peer, bytes, None]

AWAITED: Final[dict[Peer, Handler]] = {}
"""Whose line is awaited, and which handler is to be resumed with it."""


def handle(client: Peer, asked: Peer) -> Handler:
    """Pass on the greeting, then each question, and each answer."""
    with client.socket, asked.socket:
        client.socket.sendall((yield asked))
        while question := (yield client):
            asked.socket.sendall(question)
            client.socket.sendall((yield asked))


def where() -> Iterator[str]:
    """Look into the table: a generator that stands still has a frame, and the frame a line."""
    for handler in AWAITED.values():
        yield f"a generator: {standing_at(handler.gi_frame)}"  # type: ignore[attr-defined] # of generators that are functions


def resume(handler: Handler, line: bytes | None) -> None:
    """Let a handler go on to its next wait, or its end; None is for one that has not begun."""
    with suppress(StopIteration):
        AWAITED[handler.send(line)] = handler  # type: ignore[arg-type] # what begins a generator is no line


def serve(listener: socket, upstream: Address) -> None:
    """Be the loop: wait for everybody at once, and resume whoever has a line."""
    while True:
        ready = [peer for peer in AWAITED if peer.has_line()]
        if not ready:
            peers: list[socket | Peer] = [listener, *AWAITED]
            readable, _, _ = select(peers, [], [])
            if listener in readable:
                client, _ = listener.accept()
                resume(handle(Peer(client), connected(upstream)), None)
            ready = [peer for peer in AWAITED if peer in readable]
            for peer in ready:
                peer.receive()
        for peer in ready:
            if peer.has_line():
                resume(AWAITED.pop(peer), peer.take_line())


if __name__ == "__main__":
    start(serve, where)
