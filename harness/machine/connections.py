"""How to reach a server, and what the kernel tells of connections: who listens, how far one end has got with its input.

A name is looked up once, by `reached`; whoever connects after that is given a number, of either family.
sock_diag(7) tells of one connection within microseconds, however many there are; the tables in /proc hold them all.
"""

import fcntl
import socket
import struct
import sys
import termios
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

Address = tuple[str, int]
"""A host and a port."""

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
NLM_F_REQUEST: Final = 1
INET_DIAG_INFO: Final = 2
ANY_STATE: Final = 0xFFFF_FFFF
NO_COOKIE: Final = bytes([0xFF] * 8)
HEADER: Final = struct.Struct("=IHHII")
REQUEST: Final = struct.Struct("=BBBBI")
STATE_AT: Final = HEADER.size + 1
TIMER_AT: Final = HEADER.size + 2
TCP_LISTEN: Final = 10
QUEUES_AT: Final = HEADER.size + 4 + 48 + 4
QUEUES_AND_FILE: Final = struct.Struct("=IIII")
"""Bytes to be read, bytes to be acknowledged, the owner, the inode."""
ATTRIBUTES_AT: Final = HEADER.size + 72
BYTES_RECEIVED_AT: Final = 128
"""In struct tcp_info."""


IPV4_LOOPBACK: Final = "127.0.0.1"
IPV6_LOOPBACK: Final = "::1"
IPV6_LOOPBACK_ENTRY: Final = "".join(
    f"{int.from_bytes(socket.inet_pton(socket.AF_INET6, IPV6_LOOPBACK)[at : at + 4], sys.byteorder):08X}"
    for at in range(0, 16, 4)
)
"""As the kernel's table has it: four words, each in the machine's own order."""


class Endpoint(NamedTuple):
    """An address as a socket takes it: its family, and all that belongs to it, such as the interface of a link."""

    family: socket.AddressFamily
    address: tuple[str, int] | tuple[str, int, int, int]


def endpoint_of(address: Address) -> Endpoint:
    """Return a number as a socket takes it."""
    return endpoints_of(address)[0]


def endpoints_of(address: Address) -> list[Endpoint]:
    """Return all that a name stands for, in the order in which it is to be tried; OSError if that is nothing."""
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    except UnicodeError:  # of the codec of such names
        raise OSError(0, "it is no host's name") from None
    return [Endpoint(family, where) for family, _, _, _, where in found]  # type: ignore[arg-type] # we ask for no other


def reached(address: Address, patience_s: float) -> Address:
    """Return the number at which a name answers: the first of all that it stands for that takes a connection.

    Raises:
        OSError: none does; it says what was tried.
    """
    tried = []
    for endpoint in endpoints_of(address):
        host, port, *_ = endpoint.address
        try:
            with socket.socket(endpoint.family) as client:
                client.settimeout(patience_s)
                client.connect(endpoint.address)
        except OSError as error:
            reason = error.strerror or str(error)
            tried.append(reason if host == address[0] else f"{host}: {reason}")
        else:
            return host, port
    raise OSError(0, "; ".join(tried))


class Entry(NamedTuple):
    """What the kernel's table of connections says of one end; without a file, its inode is 0."""

    unread_bytes: int
    inode: int


def own_address_towards(address: Address) -> str:
    """Return the address of ours from which another is reached; nothing is sent."""
    endpoint = endpoint_of(address)
    with socket.socket(endpoint.family, socket.SOCK_DGRAM) as towards:
        towards.connect(endpoint.address)
        return str(towards.getsockname()[0])


def servers_entry(client: Address, server: Address) -> Entry | None:
    """Look for the server's end of a connection, if that is on this machine."""
    if answer := _told(server, client):
        unread_bytes, _, _, inode = QUEUES_AND_FILE.unpack_from(answer, QUEUES_AT)
        return Entry(unread_bytes, inode)
    if _told(client, server):  # a kernel that knows the one end would know the other
        return None
    return _entry_in_table(client, server)


def _entry_in_table(client: Address, server: Address) -> Entry | None:
    if len(client) != 2:  # IPv6 has a table of its own
        return None
    ends = f" {_in_hexadecimal(server)} {_in_hexadecimal(client)} "
    for entry in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines():
        if ends in entry:  # there may be ten thousands that wait for their end
            _, _, _, _, queues, _, _, _, _, inode, *_ = entry.split()
            return Entry(int(queues.partition(":")[2], 16), int(inode))
    return None


def _in_hexadecimal(address: Address) -> str:
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"


def listening_host(port: int) -> str | None:
    """Return the loopback address at which somebody listens, if somebody does: IPv4's, unless it is IPv6's alone.

    The kernel's tables are asked, and not the server: a simple one would take the question for its first client.
    """
    listening, entry = "0A", f":{port:04X}"
    found = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if state == listening and local.endswith(entry):
                    found.append(local.removesuffix(entry))
    if not found:
        return None
    return IPV6_LOOPBACK if set(found) == {IPV6_LOOPBACK_ENTRY} else IPV4_LOOPBACK


def unacknowledged_bytes(end: socket.socket) -> int:
    """Count what the other end's kernel has not acknowledged; that stays so once the connection was reset."""
    (count,) = struct.unpack("i", fcntl.ioctl(end, termios.TIOCOUTQ, bytes(4)))
    return int(count)


def failed_connects() -> int:
    """Return how often connecting has failed so far, whoever tried: what a relay tries in vain is seen nowhere else."""
    names, numbers = (
        line.split()
        for line in Path("/proc/net/snmp").read_text(encoding="ascii").splitlines()
        if line.startswith("Tcp:")
    )
    return int(numbers[names.index("AttemptFails")])


class Input(NamedTuple):
    """The input of one end of a connection: bytes that have arrived so far, and those of them not yet read."""

    arrived_bytes: int
    unread_bytes: int


def input_of(end: Address, peer: Address) -> Input | None:
    """Return how far the end of a connection on this machine has got with its input.

    None if this kernel knows no such end (any more), or answers no such questions.
    """
    answer = _told(end, peer)
    if not answer:
        return None
    unread_bytes, *_ = QUEUES_AND_FILE.unpack_from(answer, QUEUES_AT)
    place = ATTRIBUTES_AT
    while place < len(answer):
        length, kind = struct.unpack_from("=HH", answer, place)
        if kind == INET_DIAG_INFO:
            return Input(struct.unpack_from("=Q", answer, place + 4 + BYTES_RECEIVED_AT)[0], unread_bytes)
        place += length + 3 & ~3
    return None


class Timer(IntEnum):
    """What the kernel's clock of a connection is for; others mean that it waits for something else."""

    NONE = 0
    RETRANSMISSION = 1
    KEEP_ALIVE = 2


def timer_of(end: Address, peer: Address) -> int | None:
    """Return which clock runs at the end of a connection on this machine; None if this kernel does not tell."""
    answer = _told(end, peer)
    return answer[TIMER_AT] if answer else None


def _told(end: Address, peer: Address) -> bytes:
    """Ask the kernel for one end of a connection; b"" if it knows none such, or answers no such questions."""
    try:
        answer = _ask(end, peer)
    except OSError:
        return b""
    if struct.unpack_from("=H", answer, 4)[0] != SOCK_DIAG_BY_FAMILY:
        return b""
    # Where an end is gone, the kernel tells of whoever listens there.
    return b"" if answer[STATE_AT] == TCP_LISTEN else answer


def _ask(end: Address, peer: Address) -> bytes:
    family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
    ports = struct.pack("!HH", end[1], peer[1])
    hosts = b"".join(socket.inet_pton(family, host).ljust(16, b"\0") for host, *_ in (end, peer))
    request = REQUEST.pack(family, socket.IPPROTO_TCP, 1 << INET_DIAG_INFO - 1, 0, ANY_STATE)
    body = request + ports + hosts + bytes(4) + NO_COOKIE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0) + body)
        return kernel.recv(65536)
