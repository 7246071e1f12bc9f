"""A naive blocking server: text-mode makefile, one client after the other.

It is written as textbooks write it, and the suite says what is wrong with it.

usage: blocking_makefile.py PORT
"""

import math
import socket
import sys


def handle(client: socket.socket) -> None:
    """Serve one client until it says `quit`."""
    lines = client.makefile(encoding="utf-8")
    client.sendall(b"<welcome: starting in sum mode>\n")
    product_mode = False
    while True:
        line = lines.readline()
        if not line:
            continue
        line = line.strip()
        if line == "quit":
            client.sendall(b"connection closed\r\n")
            client.close()
            return
        if line == "sum":
            product_mode = False
            client.sendall(b"<switching to sum mode>\r\n")
        elif line == "product":
            product_mode = True
            client.sendall(b"<switching to product mode>\r\n")
        else:
            client.sendall(calculate(line, product_mode).encode())


def calculate(line: str, product_mode: bool) -> str:  # noqa: FBT001 - as textbooks have it
    """Add or multiply."""
    try:
        numbers = [int(item) for item in line.split(",")]
    except ValueError:
        return "ERROR. Enter only integers separated by commas\n"
    if product_mode:
        return f"Product of input numbers: '{math.prod(numbers)}'\r\n"
    return f"Sum of input numbers: '{sum(numbers)}'\r\n"


def main() -> None:
    """Accept one client after the other."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen()
    print("Server up, running, and waiting for call on", *listener.getsockname(), flush=True)
    while True:
        client, _ = listener.accept()
        handle(client)


if __name__ == "__main__":
    main()
