"""A relay in threads: a handler asks the upstream, and waits where it asks."""

import sys
from collections.abc import Iterator
from socket import create_connection, socket
from threading import Thread, get_ident

from implementations.lessons.relay import Address, standing_at, start


def handle(client: socket, upstream: Address) -> None:
    """Pass on the greeting, then each question, and each answer."""
    with client, create_connection(upstream) as asked:
        questions, answers = client.makefile("rb"), asked.makefile("rb")
        client.sendall(answers.readline())
        for question in questions:
            asked.sendall(question)
            client.sendall(answers.readline())


def where() -> Iterator[str]:
    """Ask the interpreter, which knows the stacks of all threads."""
    for thread, frame in sys._current_frames().items():  # noqa: SLF001 - so it is called, and documented
        if thread != get_ident():
            yield f"a thread: {standing_at(frame)}"


def serve(listener: socket, upstream: Address) -> None:
    """Give each client a thread."""
    while True:
        client, _ = listener.accept()
        Thread(target=handle, args=(client, upstream), daemon=True).start()


if __name__ == "__main__":
    start(serve, where)
