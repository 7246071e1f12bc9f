"""A naive server of the standard library's making: socketserver, a thread for each client, and readline().

It is written as the documentation of socketserver has it, and the suite says what the ready-made one keeps.

usage: socketserver_threads.py PORT
"""

import math
import socketserver
import sys


class Calculator(socketserver.StreamRequestHandler):
    """Serves one client."""

    def handle(self) -> None:
        """Answer its lines, until it says `quit` or is gone."""
        self.wfile.write(b"<welcome: starting in sum mode>\n")
        product_mode = False
        for line in self.rfile:
            command = line.decode().strip()
            if command == "quit":
                self.wfile.write(b"connection closed\r\n")
                break
            if command == "sum":
                product_mode = False
                self.wfile.write(b"<switching to sum mode>\r\n")
            elif command == "product":
                product_mode = True
                self.wfile.write(b"<switching to product mode>\r\n")
            else:
                self.wfile.write(calculate(command, product_mode).encode())


def calculate(line: str, product_mode: bool) -> str:  # noqa: FBT001 - as textbooks have it
    """Add or multiply."""
    try:
        numbers = [int(item) for item in line.split(",")]
    except ValueError:
        return "ERROR. Enter only integers separated by commas\n"
    if product_mode:
        return f"Product of input numbers: '{math.prod(numbers)}'\r\n"
    return f"Sum of input numbers: '{sum(numbers)}'\r\n"


class Server(socketserver.ThreadingTCPServer):
    """A thread for each client, none of which keeps the process alive.

    As it comes, five clients may wait to be accepted: of a crowd some would try for minutes.
    """

    allow_reuse_address = True
    request_queue_size = 1024
    daemon_threads = True


def main() -> None:
    """Serve for ever."""
    with Server(("127.0.0.1", int(sys.argv[1])), Calculator) as server:
        print("Server up, running, and waiting for call on", *server.server_address, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
