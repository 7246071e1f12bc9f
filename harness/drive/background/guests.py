"""Clients in the background: what each has said and heard, and what becomes of their requests."""

import math
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from select import EPOLLIN, EPOLLOUT, epoll
from typing import Final

from harness.drive.background.manners import ENDLESS, MANNERS, Manner
from harness.drive.background.talk import Talk
from harness.drive.client import ClientFailure
from harness.drive.orders import BackgroundOrder
from harness.machine.connections import endpoint_of, servers_entry
from harness.oracle import GREETING, oracle
from harness.record import BackgroundRequests

BATCH: Final = 50
"""So many connections are begun before the first of them is greeted, so that server and clients work side by side."""
MOST_EVENTS: Final = 256
REST_S: Final = 1.0
LOOK_S: Final = 0.05
"""So often it is looked at how much of a rush is left."""
SETTLED_S: Final = 0.5
"""If in so long there was never less to read than before, no rush is left: what is read is what is being said."""


class Guest:
    """One client: how much of the talk it has said, and how much of the replies it has heard."""

    __slots__ = ("_ahead", "_manner", "_talk", "heard", "said", "socket", "until")

    def __init__(self, connected: socket.socket, manner: Manner, talk: Talk) -> None:
        """Take over a connection; `until` is how far it may go on saying."""
        self.socket = connected
        self.said = self.heard = 0
        self.until = talk.said_with(manner.ahead)
        self._ahead = manner.ahead
        self._manner = manner
        self._talk = talk

    @property
    def asked(self) -> int:
        """Count its complete lines."""
        return self._talk.lines_said(self.said)

    @property
    def answered(self) -> int:
        """Count those that were answered."""
        return self._talk.lines_answered(self.heard)

    def say(self) -> None:
        """Say on, as much as the kernel takes and the manner allows."""
        piece = self._talk.request(self.said, self.until, self._manner.says_bytes)
        try:
            self.said += self.socket.send(piece) if piece else 0
        except BlockingIOError:
            pass
        except OSError as error:
            raise ClientFailure("error", f"sending: {error.strerror}") from None

    def hear(self) -> None:
        """Take what has come, as much as the manner allows, and compare it."""
        try:
            data = self.socket.recv(self._manner.hears_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            raise ClientFailure("error", f"receiving: {error.strerror}") from None
        if not data:
            raise ClientFailure("error", "the server closed the connection")
        if not self._talk.is_reply(self.heard, data):
            raise ClientFailure("wrong", f"received {data[:80]!r}")
        if self.heard + len(data) > self._talk.heard_with(self.asked):
            raise ClientFailure("wrong", "a reply came to a request that was not sent")
        self.heard += len(data)
        self.until = max(self.until, self._talk.said_with(self.answered + self._ahead))

    def conclude(self) -> None:
        """Say no more than what has been begun; who has said nothing says one line."""
        self.until = self._talk.said_with(max(1, self._talk.lines_begun(self.said)))
        self._ahead = 0

    @property
    def done(self) -> bool:
        """Tell whether all has been said that was to be, and answered."""
        return self.said == self.until and self.heard == self._talk.heard_with(self.asked)


class Party:
    """All of them, and what becomes of their requests."""

    def __init__(self, order: BackgroundOrder, sockets: Sequence[socket.socket]) -> None:
        """Take connected clients."""
        self._order = order
        self._manner = MANNERS[order.kind]
        talk = Talk(self._manner)
        self._guests = {each.fileno(): Guest(each, self._manner, talk) for each in sockets}
        self._poller = epoll()
        self._gone = BackgroundRequests()
        self._every_s = self._manner.says_every_s or self._manner.hears_every_s
        hears_in_turn = bool(self._manner.hears_every_s)
        self._at_its_turn = EPOLLOUT | (EPOLLIN if hears_in_turn else 0)
        always = (0 if hears_in_turn else EPOLLIN) | (EPOLLOUT if self._manner.ahead == ENDLESS else 0)
        for descriptor in self._guests:
            self._poller.register(descriptor, always)

    def begin(self) -> None:
        """Let all say what they may say at once, unless they say it little by little."""
        if not self._manner.says_every_s:
            for descriptor in list(self._guests):
                self._attend(descriptor, EPOLLOUT)

    def settle(self) -> None:
        """Keep them busy until a server on this machine has worked through what all said at once, or lets them wait.

        Until then it has a rush, in which the measured clients would be measured, and for the longer the slower it is.
        """
        least_bytes, since_s, next_s = math.inf, 0.0, 0.0
        for _ in self._turns() if self._manner.rushes else ():
            now_s = time.monotonic()
            if now_s < next_s:
                continue
            next_s = now_s + LOOK_S
            unread_bytes = self._unread_bytes()
            if unread_bytes < least_bytes:
                least_bytes, since_s = unread_bytes, now_s
            if not unread_bytes or now_s - since_s > SETTLED_S:
                return

    def _unread_bytes(self) -> int:
        """Count what they have said and the server has not read; what is not known counts as nothing."""
        ends = [(each.socket.getsockname(), each.socket.getpeername()) for each in self._guests.values()]
        entries = [servers_entry(own, server) for own, server in ends]
        return sum(entry.unread_bytes for entry in entries if entry is not None)

    def go_on_until(self, end: int) -> None:
        """Keep them busy until there is something to read from a descriptor."""
        self._poller.register(end, EPOLLIN)
        for touched in self._turns():
            if end in touched:
                self._poller.unregister(end)
                return

    def _turns(self) -> Iterator[Collection[int]]:
        """Let them behave in their manner; after each turn, yield the descriptors at which something was to be done."""
        in_turn, turns, begun_s = list(self._guests), 0, time.monotonic()
        pace_s = self._every_s / max(1, len(in_turn))
        while True:
            rest_s = REST_S
            if pace_s:
                for turn in range(turns, int((time.monotonic() - begun_s) / pace_s)):
                    self._attend(in_turn[turn % len(in_turn)], self._at_its_turn)
                    turns = turn + 1
                rest_s = max(0.0, begun_s + (turns + 1) * pace_s - time.monotonic())
            events = self._poller.poll(rest_s, MOST_EVENTS)
            for descriptor, event in events:
                self._attend(descriptor, event)
                if not pace_s and event & EPOLLIN:
                    self._attend(descriptor, EPOLLOUT)  # an answer may let it say more
            yield [descriptor for descriptor, _ in events]

    def conclude(self) -> BackgroundRequests:
        """Let them end what they have begun, and count what became of all."""
        for descriptor, guest in self._guests.items():
            guest.conclude()
            self._poller.modify(descriptor, EPOLLIN | EPOLLOUT)
        waiting = self._guests.copy()
        limit_s = time.monotonic() + self._order.timeout_s
        while waiting and time.monotonic() < limit_s:
            for descriptor, event in self._poller.poll(REST_S, MOST_EVENTS):
                self._attend(descriptor, event)
                if descriptor not in self._guests:
                    del waiting[descriptor]
                elif waiting[descriptor].done:
                    del waiting[descriptor]
                    self._poller.unregister(descriptor)
                elif waiting[descriptor].said == waiting[descriptor].until:
                    self._poller.modify(descriptor, EPOLLIN)
        for descriptor in waiting:
            reason = f"not all was answered within {self._order.timeout_s:g} s"
            self._lose(descriptor, ClientFailure("error", reason))
        for guest in self._guests.values():
            self._count(guest.asked, guest.answered)
        return self._gone

    def _attend(self, descriptor: int, event: int) -> None:
        guest = self._guests.get(descriptor)
        if guest is None:
            return
        try:
            if event & EPOLLOUT:
                guest.say()
            if event & ~EPOLLOUT:
                guest.hear()
        except ClientFailure as failure:
            self._lose(descriptor, failure)

    def _lose(self, descriptor: int, failure: ClientFailure) -> None:
        guest = self._guests.pop(descriptor)
        guest.socket.close()
        self._count(max(guest.asked, guest.answered + 1), guest.answered, failure)

    def _count(self, asked: int, ok: int, failure: ClientFailure | None = None) -> None:
        before, wrong = self._gone, int(failure is not None and failure.kind == "wrong")
        self._gone = BackgroundRequests(
            asked=before.asked + asked,
            ok=before.ok + ok,
            wrong=before.wrong + wrong,
            error=before.error + asked - ok - wrong,
            fault=before.fault or (str(failure) if failure is not None else ""),
        )


def connected(order: BackgroundOrder) -> tuple[list[socket.socket], str]:
    """Connect clients until there are enough, or until one is not greeted.

    Returns:
        Those that were greeted, and why there are no more of them; "" if there are enough.
    """
    manner = MANNERS[order.kind]
    opening = oracle(manner.prologue) if manner.prologue else GREETING
    greeted: list[socket.socket] = []
    for first in range(0, order.clients, BATCH):
        begun: list[socket.socket] = []
        try:
            begun.extend(_begun(order, manner) for _ in range(min(BATCH, order.clients - first)))
        except OSError as error:
            reason = f"client {first + len(begun) + 1:,} cannot connect: {error.strerror or error}"
        else:
            reason = ""
        while begun:
            client = begun.pop(0)
            refused = _not_greeted(client, opening)
            if refused:
                for each in (client, *begun):
                    each.close()
                return greeted, f"client {len(greeted) + 1:,} {refused}"
            client.setblocking(False)
            greeted.append(client)
        if reason:
            return greeted, reason
    return greeted, ""


def _begun(order: BackgroundOrder, manner: Manner) -> socket.socket:
    endpoint = endpoint_of((order.host, order.port))
    client = socket.socket(endpoint.family)
    client.settimeout(order.greeting_s)
    if manner.receive_buffer_bytes is not None:
        client.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, manner.receive_buffer_bytes
        )  # before it connects
    try:
        client.connect(endpoint.address)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(manner.prologue)
    except OSError:
        client.close()
        raise
    return client


def _not_greeted(client: socket.socket, opening: bytes) -> str:
    """Say what came instead of a greeting, and of the reply to the prologue; "" if these came."""
    received = b""
    try:
        while len(received) < len(opening):
            data = client.recv(len(opening) - len(received))
            if not data:
                return "was disconnected before its greeting"
            received += data
    except TimeoutError:
        return f"was not greeted within {client.gettimeout():g} s"
    except OSError as error:
        return f"was not greeted: {error.strerror}"
    return "" if received == opening else f"was greeted with {received!r}"
