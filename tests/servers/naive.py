"""Lesson 1's echo server, taught to calculate and otherwise left as it is: what its docstring says of it is tried out.

usage: naive.py PORT
"""

import socket
import sys

from implementations.lessons import lesson1_echo_server as lesson1
from implementations.protocol import Connection


def handle(client: socket.socket, name: str) -> None:
    """Answer each line of one client."""
    print(name, "came")
    connection = Connection()
    client.sendall(connection.greeting)
    lines = client.makefile(encoding="utf-8")
    try:
        for line in lines:
            client.sendall(connection.answer(line.rstrip("\n").encode()))
            if connection.closed:
                break
    finally:
        lines.close()
        client.close()


if __name__ == "__main__":
    lesson1.handle = handle
    lesson1.reactor(lesson1.listen("127.0.0.1", int(sys.argv[1])))
