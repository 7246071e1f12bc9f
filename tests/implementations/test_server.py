"""What all servers share, where threads meet: the list of clients to wake at a stop."""

import socket
from threading import Event, Thread

from implementations.server import Options, Server

NOT_YET_S = 0.5
"""So long is looked whether something happens that must not."""
LIMIT_S = 30
OPTIONS = Options("127.0.0.1", 0, max_clients=9, idle_timeout_s=LIMIT_S, grace_s=1.0, verbose=False)


class SlowToTell:
    """A client whose descriptor is asked for, and who leaves just then."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.asked, self.has_left = Event(), Event()
        self.left_meanwhile = False

    def fileno(self) -> int:
        self.asked.set()
        self.left_meanwhile = self.has_left.wait(NOT_YET_S)
        return self.client.fileno()


def test_nobody_leaves_while_a_stop_has_his_descriptor_in_hand() -> None:
    """He would close it, and the next connection would have its number, and lose its input for him."""
    listener, (ours, theirs) = socket.socket(), socket.socketpair()
    server, client = Server(OPTIONS, listener), SlowToTell(ours)

    def serve() -> None:
        with server.serving(client):
            client.asked.wait(LIMIT_S)
        client.has_left.set()

    with listener, ours, theirs:
        serving = Thread(target=serve)
        serving.start()
        while not server._clients:
            client.asked.wait(0.01)
        server.stop()
        serving.join(LIMIT_S)
        assert client.asked.is_set()
        assert client.has_left.is_set()
        assert not client.left_meanwhile
        assert ours.recv(1) == b""


def test_clients_may_come_and_go_while_the_server_stops() -> None:
    """Without the interpreter's lock they do so in the midst of any look at their list."""
    listener = socket.socket()
    server, crowd, begun = Server(OPTIONS, listener), 4, Event()
    pairs = [socket.socketpair() for _ in range(crowd)]
    awake: list[bytes] = []

    def come_and_go(client: socket.socket) -> None:
        while not server.stopping:
            with server.serving(client):
                begun.set()
        with server.serving(client):  # who comes afterwards finds his input ended
            awake.append(client.recv(1))

    with listener:
        threads = [Thread(target=come_and_go, args=(ours,)) for ours, _ in pairs]
        for thread in threads:
            thread.start()
        begun.wait(LIMIT_S)
        server.stop()
        for thread in threads:
            thread.join(LIMIT_S)
        for pair in pairs:
            for end in pair:
                end.close()
    assert awake == [b""] * crowd
