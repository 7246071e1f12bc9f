"""A naive select server: readline() on a buffered file whenever the socket is readable.

It is written as textbooks write it, and the suite says what is wrong with it.

usage: select_readline.py PORT
"""

import math
import select
import socket
import sys
from typing import BinaryIO


class Session:
    """One client: its socket, its file, its mode."""

    def __init__(self, client: socket.socket) -> None:
        """Greet the client."""
        self.client = client
        self.file: BinaryIO = client.makefile("rb")
        self.product_mode = False
        client.sendall(b"<welcome: starting in sum mode>\n")

    def answer(self) -> bool:
        """Read one line and answer it; return whether the client stays."""
        line = self.file.readline().decode()
        if line:
            line = line.strip()
            if line == "quit":
                self.client.sendall(b"connection closed\r\n")
        if line in {"", "quit"}:
            self.file.close()
            self.client.close()
            return False
        if line == "sum":
            self.product_mode = False
            self.client.sendall(b"<switching to sum mode>\r\n")
        elif line == "product":
            self.product_mode = True
            self.client.sendall(b"<switching to product mode>\r\n")
        else:
            self.client.sendall(self.calculate(line).encode())
        return True

    def calculate(self, line: str) -> str:
        """Add or multiply."""
        try:
            numbers = [int(item) for item in line.split(",")]
        except ValueError:
            return "ERROR. Enter only integers separated by commas\n"
        if self.product_mode:
            return f"Product of input numbers: '{math.prod(numbers)}'\r\n"
        return f"Sum of input numbers: '{sum(numbers)}'\r\n"


def main() -> None:
    """Wait for whoever is readable."""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("Server up, running, and waiting for call on", *listener.getsockname(), flush=True)
    sessions: dict[socket.socket, Session] = {}
    while True:
        readable, _, _ = select.select([listener, *sessions], [], [])
        for ready in readable:
            if ready is listener:
                client, _ = listener.accept()
                sessions[client] = Session(client)
            elif not sessions[ready].answer():
                del sessions[ready]


if __name__ == "__main__":
    main()
