"""What the kernel tells of one connection by sock_diag(7): within microseconds, however many connections there are."""

import socket
import struct
from typing import Final, NamedTuple

from harness.launch.candidates import Address

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
NLM_F_REQUEST: Final = 1
INET_DIAG_INFO: Final = 2
ANY_STATE: Final = 0xFFFF_FFFF
NO_COOKIE: Final = bytes([0xFF] * 8)

HEADER: Final = struct.Struct("=IHHII")
REQUEST: Final = struct.Struct("=BBBBI")
QUEUES_AT: Final = HEADER.size + 4 + 48 + 4
ATTRIBUTES_AT: Final = HEADER.size + 72
BYTES_RECEIVED_AT: Final = 128
"""In struct tcp_info."""


class Input(NamedTuple):
    """The input of one end of a connection: bytes that have arrived so far, and those of them not yet read."""

    arrived_bytes: int
    unread_bytes: int


def input_of(end: Address, peer: Address) -> Input | None:
    """Return how far the end of a connection on this machine has got with its input.

    None if this kernel knows no such end (any more), or answers no such questions.
    """
    try:
        answer = _ask(end, peer)
    except OSError:
        return None
    if struct.unpack_from("=H", answer, 4)[0] != SOCK_DIAG_BY_FAMILY:
        return None
    (unread_bytes,) = struct.unpack_from("=I", answer, QUEUES_AT)
    place = ATTRIBUTES_AT
    while place < len(answer):
        length, kind = struct.unpack_from("=HH", answer, place)
        if kind == INET_DIAG_INFO:
            return Input(struct.unpack_from("=Q", answer, place + 4 + BYTES_RECEIVED_AT)[0], unread_bytes)
        place += length + 3 & ~3
    return None


def _ask(end: Address, peer: Address) -> bytes:
    family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
    ports = struct.pack("!HH", end[1], peer[1])
    hosts = b"".join(socket.inet_pton(family, host).ljust(16, b"\0") for host, *_ in (end, peer))
    request = REQUEST.pack(family, socket.IPPROTO_TCP, 1 << INET_DIAG_INFO - 1, 0, ANY_STATE)
    body = request + ports + hosts + bytes(4) + NO_COOKIE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0) + body)
        return kernel.recv(65536)
