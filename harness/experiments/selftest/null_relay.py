"""A relay of which the truth is known: it hands on every byte, either way, and does nothing else.

One thread and epoll, a connection to the upstream for each client, no pool, no protocol. What it answers is about the most
that the instrument lets any relay answer: an upstream that is the limit would show here first.

Run as `python -m harness.experiments.selftest.null_relay --port 0 --upstream HOST:PORT`.
"""

import argparse
import signal
import socket
import sys
from contextlib import suppress
from select import EPOLLIN, epoll
from typing import Final

from harness.launch.candidates import HOST, Candidate

NULL_RELAY: Final = "harness.experiments.selftest.null_relay"
RECEIVE_BYTES: Final = 65_536


def null_relay(label: str) -> Candidate:
    """Return a null relay to launch."""
    command = (sys.executable, "-m", NULL_RELAY, "--port", "{port}", "--upstream", "{upstream}")
    return Candidate(label, command, frozenset({"concurrent", "many_clients"}), announces=True)


def serve(listener: socket.socket, upstream: tuple[str, int]) -> None:
    """Hand on bytes until a signal raises SystemExit."""
    poller = epoll()
    poller.register(listener, EPOLLIN)
    other: dict[int, tuple[socket.socket, socket.socket]] = {}  # from where, and to where
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == listener.fileno():
                ends = (listener.accept()[0], socket.create_connection(upstream))
                for end, opposite in (ends, ends[::-1]):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    other[end.fileno()] = end, opposite
                    poller.register(end, EPOLLIN)
                continue
            end, opposite = other[descriptor]
            with suppress(OSError):
                if data := end.recv(RECEIVE_BYTES):
                    opposite.sendall(data)
                    continue
            poller.unregister(end)
            del other[descriptor]
            if opposite.fileno() in other:  # it may have more to say
                with suppress(OSError):
                    opposite.shutdown(socket.SHUT_WR)
            else:
                end.close()
                opposite.close()


def main() -> None:
    """Run the relay in the foreground."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--upstream", required=True)
    options = parser.parse_args()
    host, _, port = options.upstream.rpartition(":")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.create_server((HOST, options.port), backlog=1024) as listener:
        print(f"Server up, running, and waiting for call on {HOST} {listener.getsockname()[1]}", flush=True)
        serve(listener, (host, int(port)))


if __name__ == "__main__":
    main()
