"""A threaded server with one defect, chosen on the command line: what the suite must notice.

usage: faulty.py PORT DEFECT
"""

import os
import signal
import socket
import sys
import threading
from contextlib import suppress

from implementations.protocol import Connection

LEAKED: list[bytearray] = []


def leak(client: socket.socket, defect: str) -> None:
    """Keep something of a client for ever, or its time."""
    if defect == "silent":
        threading.Event().wait()
    if defect == "leaks_descriptors":
        os.dup(client.fileno())
    if defect == "leaks_memory":
        LEAKED.append(bytearray(b"x" * 2**20))


def serve(client: socket.socket, defect: str) -> None:
    """Serve one client, with the defect; that the client goes away is none."""
    with client, suppress(ConnectionError):
        converse(client, defect)


def print_much(defect: str) -> None:
    if defect == "prints_much":
        for _ in range(64 * 1024):
            print("x" * 1023)
        sys.stdout.flush()


def converse(client: socket.socket, defect: str) -> None:
    """Greet, and answer."""
    connection = Connection()
    leak(client, defect)
    print_much(defect)
    greeting = connection.greeting
    if defect == "greets_after_input":
        client.recv(1, socket.MSG_PEEK)
    client.sendall(greeting.upper() if defect == "greets_wrongly" else greeting)
    while not connection.closed:
        data = client.recv(16384)
        if defect == "dies_on_x" and b"x" in data:
            os._exit(3)
        if defect == "tracebacks_on_x" and b"x" in data:
            raise RuntimeError(data)
        replies = connection.receive_data(data)
        if defect == "adds_one":
            replies = replies.replace(b"'3'", b"'4'")
        if defect == "stops_answering_after_a_while" and connection.lines_completed > 50:
            threading.Event().wait()
        if defect == "goes_wrong_after_a_while" and connection.lines_completed > 20:
            replies = replies.replace(b"Sum", b"sum")
        if defect == "dies_after_a_while" and connection.lines_completed > 20:
            os._exit(3)
        client.sendall(b"" if defect == "loses_replies" and connection.lines_completed > 20 else replies)
    client.shutdown(socket.SHUT_WR)


def main() -> None:
    """Listen, announce, accept."""
    port, defect = int(sys.argv[1]), sys.argv[2]
    if defect == "never_ready":
        threading.Event().wait()
    if defect == "ignores_signals":
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    if defect == "does_not_start":
        sys.exit("cannot start, for a reason")
    listener = socket.create_server(("127.0.0.1", port))
    if defect != "does_not_announce":
        print("Server up, running, and waiting for call on 127.0.0.1", listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(client, defect), daemon=True).start()


if __name__ == "__main__":
    main()
