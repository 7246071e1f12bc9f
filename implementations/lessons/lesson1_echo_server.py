"""An echo server: the fewest socket calls that serve a client.

A *listener* is a socket that only produces other sockets, one for each client that has connected; those carry the bytes.

Look at
- the order of the calls: socket, bind, listen, accept; then makefile, sendall and close for each client;
- the two places where the program stands still: accept() waits for a client, and the `for` loop for a line;
- what follows from that: while one client is being handled, nobody calls accept().

It breaks easily. A calculator built like this fails these cases of the conformance suite:
- C01: a second client waits until the first one has left;
- C05: a client that resets raises ConnectionResetError, which ends the server for everybody;
- F04: a text file takes a CR anywhere for the end of a line;
- F14: a line without an end is collected for ever, and takes all the memory there is;
- F16: bytes that are not UTF-8 raise UnicodeDecodeError, which ends the server as well;
- S11: close() with input unread sends a reset, which can overtake the goodbye and destroy it.
"""

import argparse
import socket
from contextlib import suppress


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that clients can connect to."""
    listener = socket.socket()
    # Without this, the port would stay taken for a minute after a client was closed, and a restart would fail.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen()
    return listener


def reactor(listener: socket.socket) -> None:
    """Accept one client after the other, and handle it to its end."""
    print("Server up, running, and waiting for call on", *listener.getsockname(), flush=True)
    try:
        while True:
            client, (client_host, client_port) = listener.accept()
            handle(client, f"{client_host} {client_port}")
    finally:
        listener.close()


def handle(client: socket.socket, name: str) -> None:
    """Echo each line of one client, until it says `quit` or ends its input."""
    print(name, "came", flush=True)
    lines = client.makefile(encoding="utf-8")
    try:
        for line in lines:
            text = line.rstrip("\n")
            print(name, "sent", repr(text), flush=True)
            if text == "quit":
                client.sendall(b"connection closed\r\n")
                break
            client.sendall(b"Echoed: %a\r\n" % text)
    finally:
        print(name, "left", flush=True)
        lines.close()
        client.close()


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="lesson 1", usage=argparse.SUPPRESS, description="An echo server.")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (%(default)s)")
    port = parser.parse_args().port
    try:
        listener = listen("127.0.0.1", port)
    except OverflowError as error:
        parser.error(f"--port {port}: {error}")
    except OSError as error:
        parser.exit(1, f"cannot listen on port {port}: {error}\n")
    with suppress(KeyboardInterrupt):
        reactor(listener)


if __name__ == "__main__":
    main()
