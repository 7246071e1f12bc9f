"""An upstream that takes its time: a server that other servers ask, and that answers like the calculator, but late.

It greets, and answers each list after a pause with its sum. The question `never` it does not answer.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from typing import Final

PAUSE_S: Final = 0.2
NEVER: Final = "never"


class Upstream(ThreadingTCPServer):
    """A thread for each connection, so that all questions are worked on at once."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Conversation)
        self.was_asked_never = Event()

    def pause(self) -> None:
        """Take some time."""
        time.sleep(PAUSE_S)


class Conversation(StreamRequestHandler):
    """What a thread does for its connection."""

    server: Upstream

    def handle(self) -> None:
        """Greet, then answer each line late."""
        self.wfile.write(b"<welcome: starting in sum mode>\n")
        for line in self.rfile:
            if line.decode().strip() == NEVER:
                self.server.was_asked_never.set()
                continue
            self.server.pause()
            number = sum(int(item) for item in line.split(b","))
            self.wfile.write(b"Sum of input numbers: '%d'\r\n" % number)


@contextmanager
def running_here(server: Upstream) -> Iterator[str]:
    """Run an upstream in a thread for as long as the context lasts; return its HOST:PORT."""
    with server:
        serving = Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield "{}:{}".format(*server.server_address)
        finally:
            server.shutdown()
            serving.join()
