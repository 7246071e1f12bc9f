"""What a client of the suite makes of a server that does the unexpected."""

import select
import socket
import struct

import pytest

from harness.conformance.peer import Peer
from harness.conformance.violations import Violation
from harness.launch.candidates import HOST


def test_a_reset_right_after_connecting_is_a_finding_and_leaves_no_socket_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[socket.socket] = []

    class ResetAtOnce(socket.socket):
        def connect(self, address: object) -> None:
            opened.append(self)
            super().connect(address)  # type: ignore[arg-type] # whatever it is, it is passed on
            served, _ = listener.accept()
            served.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            served.close()
            reset = select.poll()
            reset.register(self, 0)
            assert reset.poll(10_000)

    with socket.create_server((HOST, 0)) as listener:
        address = listener.getsockname()
        monkeypatch.setattr(socket, "socket", ResetAtOnce)
        with pytest.raises(Violation, match="cannot connect"):
            Peer(address, patience_s=10)
    assert opened[0].fileno() == -1
