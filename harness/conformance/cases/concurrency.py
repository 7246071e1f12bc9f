"""C: what one client may do to the others, and to the server."""

import os
import signal
import socket
import time
from contextlib import suppress
from itertools import pairwise
from typing import Final

from harness.conformance.case import Cases
from harness.conformance.cases.replies import GOODBYE, THREE, sums
from harness.conformance.cases.steps import (
    FENCES,
    FLOOD,
    FLOOD_LIMIT_BYTES,
    fill_unread,
    is_served,
    one_after_the_other,
)
from harness.conformance.peer import MEDIUM_BUFFER_BYTES, SMALL_BUFFER_BYTES, Peer
from harness.conformance.target import Target
from harness.conformance.violations import NotApplicable, StaleClaim, Violation
from harness.machine.connections import Timer, input_of, servers_entry, timer_of
from harness.machine.processes import sockets_of

CASES: Final = Cases()
case = CASES.case

MEMORY_LIMIT_BYTES: Final = 8 * 1024 * 1024


MEDIUM_FLOOD_BYTES: Final = 256 * 1024


CHURN_ROUNDS: Final = 5
FURTHER_ROUNDS: Final = 10
"""What several processes hold comes and goes by more than the limit, now and then in three rounds in a row: over ten it does not."""
CHURN_CLIENTS: Final = 400
LEAK_LIMIT_BYTES: Final = 512
RETRIES_PER_S: Final = 20
TRIES_OF_A_SECOND: Final = 8
"""More than a second in all: who asks and logs once a second is at rest in some of them."""
WORKERS_CLIENTS: Final = 8
MOST_THROWN_AWAY_BYTES: Final = 2 * 1024 * 1024
"""The 1 MiB of the specification, and as much again for what the server's own buffers may hold."""
MOST_SENT_BYTES: Final = 64 * 1024 * 1024
"""The same where the kernel does not tell what was read: whatever kernels may hold at both ends comes on top."""
LOOK_S: Final = 0.001


def blocked_by_a_stalled_client(target: Target) -> None:
    """What a server that is not concurrent must do: B waits while A stalls inside a line, and is served after A."""
    with target.greeted() as stalled, target.connect() as waiting:
        stalled.send(b"1,")
        waiting.send(b"1,2\n")
        stalled.await_delivery()
        waiting.await_delivery()
        for _ in range(FENCES):
            stalled.exchange(b"2\n1,", THREE)
        if is_served(waiting):
            raise StaleClaim("a second client was served while the first one was inside a line")
        stalled.close()
        waiting.greeted().expect(THREE)
        waiting.fence()


def blocked_by_a_client_that_does_not_read(target: Target) -> None:
    """What a server that is not concurrent must do: B waits while A does not read, and is served once A has vanished."""
    with target.connect(SMALL_BUFFER_BYTES) as deaf, target.connect() as waiting:
        deaf.greeted()
        fill_unread(deaf)
        waiting.send(b"1,2\n")
        waiting.await_delivery()
        if is_served(waiting):
            raise StaleClaim("a second client was served while the first one did not read")
        deaf.reset()
        waiting.greeted().expect(THREE)
        waiting.fence()


@case("6.6, 8.1", level="concurrent", absence=one_after_the_other)
def c01_side_by_side(target: Target) -> None:
    """Ten clients make progress side by side."""
    peers = [target.greeted() for _ in range(10)]
    for _ in range(10):
        for peer in peers:
            peer.fence()
    for peer in peers:
        peer.close()


@case("6.6, 8.1", level="concurrent", absence=blocked_by_a_stalled_client)
def c02_stalled_client(target: Target) -> None:
    """A client that stalls inside a line holds nobody up."""
    with target.greeted() as stalled:
        stalled.send(b"1,")
        stalled.await_delivery()
        target.answers(b"1,2\n", THREE)
        stalled.exchange(b"2\n", THREE)


@case("6.6, 8.1", level="concurrent", absence=blocked_by_a_client_that_does_not_read)
def c03_client_that_does_not_read(target: Target) -> None:
    """A client that does not read holds nobody up, and its replies are all there once it reads."""
    with target.connect(MEDIUM_BUFFER_BYTES) as deaf:
        deaf.greeted()
        taken = fill_unread(deaf, MEDIUM_FLOOD_BYTES)
        target.answers(b"1,2\n", THREE)
        deaf.socket.settimeout(target.patience_s)
        deaf.expect(THREE * (taken // 4))
        deaf.send(b"1,2\n"[taken % 4 :])
        deaf.expect(THREE)
        deaf.fence()


@case("6.4, 6.5")
def c04_memory_of_a_client_that_does_not_read(target: Target) -> None:
    """The server stops reading a client that does not read; its memory stays bounded."""
    target.answers(b"1,2\n" * 100, THREE * 100)
    before = target.resident_bytes()
    with target.connect(SMALL_BUFFER_BYTES) as deaf:
        deaf.greeted()
        # Patiently, since a busy machine may keep a server from what it would take.
        taken = fill_unread(deaf, patience_s=target.patience_s / 5)
        grown = target.resident_bytes() - before
        if grown > MEMORY_LIMIT_BYTES:
            raise Violation(f"the server's memory grew by {grown:,} bytes for a client that reads nothing")
        if taken >= FLOOD_LIMIT_BYTES:
            raise Violation(f"the server took {taken:,} bytes of input from a client that reads nothing")
        deaf.reset()


@case("6.6")
def c05_reset_inside_a_line(target: Target) -> None:
    """Clients that reset inside a line leave nothing behind."""
    check_resets(target, b"1,")


@case("6.6")
def c06_reset_with_unread_replies(target: Target) -> None:
    """Clients that reset with replies unread leave nothing behind."""
    check_resets(target, b"1,2\n" * 20_000)


def check_resets(target: Target, left_behind: bytes) -> None:
    """Let clients reset after sending something, and look for what stays behind."""
    with target.fresh() as own:
        own.answers(b"1,2\n", THREE)
        files, threads = own.files(), own.threads()
        for _ in range(20):
            peer = own.greeted()
            peer.send(left_behind)
            peer.reset()
        own.answers(b"1,2\n", THREE)
        own.settles(own.files, files)
        own.settles(own.threads, threads)


@case("6.6")
def c07_reset_before_accept(target: Target) -> None:
    """Clients that reset before they are accepted harm nobody."""
    for _ in range(50):
        target.connect().reset()
    target.answers(b"1,2\n", THREE)


@case("6.6")
def c08_nothing_accumulates(target: Target) -> None:
    """2,000 clients come and go; descriptors, threads and memory are where they were."""
    with target.fresh() as own:
        own.answers(b"1,2\n", THREE)
        files, threads = own.files(), own.threads()

        def resident_after_a_round() -> int:
            for number in range(CHURN_CLIENTS):
                with own.connect() as peer:
                    if number % 4:
                        peer.greeted().fence()
            own.peers.clear()
            own.answers(b"1,2\n", THREE)
            own.settles(own.files, files)
            own.settles(own.threads, threads)
            return own.resident_bytes()

        resident = [resident_after_a_round() for _ in range(CHURN_ROUNDS)]
        # The first rounds may fill caches; what leaks grows in every round.
        growth = min(later - earlier for earlier, later in pairwise(resident[1:]))
        if growth > LEAK_LIMIT_BYTES * CHURN_CLIENTS:
            resident += [resident_after_a_round() for _ in range(FURTHER_ROUNDS)]
            growth = (resident[-1] - resident[-1 - FURTHER_ROUNDS]) // FURTHER_ROUNDS
        if growth > LEAK_LIMIT_BYTES * CHURN_CLIENTS:
            raise Violation(f"memory grows by {growth // CHURN_CLIENTS:,} bytes a client: {resident}")


@case("6.7", may_log=True)
def c09_out_of_descriptors(target: Target) -> None:
    """Out of descriptors: who is connected is served, the server neither dies nor spins, and then goes on."""
    with target.fresh() as own, own.greeted() as served:
        served.fence()
        with own.without_files():
            # A process that waits in accept() has a descriptor for one more client already.
            waiting = [own.connect() for _ in range(2 + len(own.pids))]
            for _ in range(FENCES):
                served.fence()
            own.is_quiet(TRIES_OF_A_SECOND)
            served.fence()
            if waiting[-1].unread():
                raise Violation("a client was served, although there was no descriptor left for it")
        served.exchange(b"quit\n", GOODBYE)
        served.close()
        for peer in waiting:
            peer.greeted().fence()
            peer.close()
        own.answers(b"1,2\n", THREE)


@case("6.1")
def c10_more_clients_than_places(target: Target) -> None:
    """Beyond --max-clients a client waits without a greeting; once a place is free, it is served in full."""
    places = 3 if target.serves_several else 1
    with target.fresh(max_clients=places) as own:
        check_places(own, places)


def check_places(target: Target, places: int, fences: int = FENCES) -> None:
    """Fill all places of a server, and see who waits, and who is served when one leaves."""
    inside = [target.greeted() for _ in range(places)]
    outside = [target.connect() for _ in range(2)]
    for peer in outside:
        peer.send(b"product\n6,7\n")
        peer.await_delivery()
    for _ in range(fences):
        for peer in inside:
            peer.fence()
    if any(is_served(peer) for peer in outside):
        raise Violation(f"client {places + 1} of --max-clients {places} was served")
    inside.pop().close()
    outside[0].greeted().expect(b"<switching to product mode>\r\nProduct of input numbers: '42'\r\n")
    outside[0].fence(b"Product")
    if is_served(outside[1]):
        raise Violation(f"one place was free, and two clients were served with --max-clients {places}")
    outside[0].close()
    outside[1].greeted().expect(b"<switching to product mode>\r\nProduct of input numbers: '42'\r\n")
    for peer in (*inside, outside[1]):
        peer.close()


@case("2.3")
def c14_urgent_data(target: Target) -> None:
    """A byte that is sent as urgent is data like any other, and stays where it stands."""
    with target.greeted() as peer:
        peer.send_some(b"1,")
        send_urgently(peer, b"2")
        peer.send_some(b"3\n")
        peer.expect(sums(24))
        send_urgently(peer, b"1,2\n")
        peer.expect(THREE)
        peer.fence()


def send_urgently(peer: Peer, data: bytes) -> None:
    """Send bytes of which the last one is urgent."""
    peer.sent += data
    peer.socket.send(data, socket.MSG_OOB)


@case("6.7", may_log=True)
def c15_out_of_threads(target: Target) -> None:
    """Out of threads: who is connected is served, the server neither dies nor spins, and then goes on."""
    with target.fresh() as own, own.greeted() as served:
        served.fence()
        files = own.files()
        with own.without_threads():
            waiting = [own.connect() for _ in range(2 + len(own.pids))]
            for _ in range(FENCES):
                served.fence()
            own.is_quiet(TRIES_OF_A_SECOND)
            served.fence()
        served.exchange(b"quit\n", GOODBYE)
        served.close()
        for peer in waiting:
            peer.close()  # it may have been served, or closed
        own.settles(own.files, files)
        own.answers(b"1,2\n", THREE)


@case("6.10")
def c16_worker_that_dies(target: Target) -> None:
    """A worker that is killed takes its own clients with it alone; another one takes its place, and one line says so."""
    places = WORKERS_CLIENTS if target.serves_several else 1
    with target.fresh(max_clients=places) as own:
        peers = [own.greeted() for _ in range(places)]
        _, *workers = own.pids
        if not workers:
            raise NotApplicable("it is one process, which has no workers")
        held = set(sockets_of(workers[0]).values())
        lost = [peer for peer in peers if servers_socket(peer) in held]
        kept = [peer for peer in peers if peer not in lost]
        os.kill(workers[0], signal.SIGKILL)
        for peer in lost:
            peer.drain()
        for peer in kept:
            peer.fence()
        successors = [own.greeted() for _ in lost]
        for peer in (*kept, *successors):
            peer.fence()
            peer.close()
        if (said := own.server.error_output()).count("\n") != 1:
            raise Violation(f"expected one line that a worker has ended, standard error: {said!r}")
        own.server.process.send_signal(signal.SIGTERM)
        if code := own.server.wait():
            raise Violation(f"exit code {code} after a stop, expected 0")


@case("4.1, 6.1, 6.6")
def c17_every_way_of_leaving(target: Target) -> None:
    """However a client leaves, its place is free for the next one, and nothing of it stays open."""
    with target.fresh(max_clients=1) as own:
        with own.greeted() as peer:
            peer.fence()
            files = own.files()
        for leave in WAYS_OF_LEAVING:
            peer = own.connect(SMALL_BUFFER_BYTES).greeted()
            leave(peer)
        own.answers(b"1,2\n", THREE)
        own.settles(own.files, files - 1)


def end_input(peer: Peer) -> None:
    """End the input, and wait for the server's end."""
    peer.send(b"1,2")
    peer.half_close()
    peer.expect(THREE)
    peer.expect_end()
    peer.close()


def say_goodbye(peer: Peer) -> None:
    """Send `quit`, and close when the server has ended its output."""
    peer.exchange(b"quit\n", GOODBYE)
    peer.expect_end()
    peer.close()


def flood_after_goodbye(peer: Peer) -> None:
    """Send `quit` and then as much as the server takes: no more than it may throw away.

    What it has read counts, not what it could have read in a second: a busy machine would clear a server of anything.
    """
    peer.exchange(b"quit\n", GOODBYE)
    sent = 0
    with suppress(OSError):
        while sent < MOST_SENT_BYTES:
            sent += peer.socket.send(FLOOD)
            if (taken := read_by_server(peer)) and taken > MOST_THROWN_AWAY_BYTES:
                raise Violation(f"after `quit` the server read {taken:,} bytes of input")
        raise Violation(f"after `quit` the server took {sent:,} bytes of input")
    peer.close()


def read_by_server(peer: Peer) -> int | None:
    """Count a client's bytes that the server has read so far; None where the kernel does not tell."""
    found = input_of(peer.socket.getpeername(), peer.socket.getsockname())
    return None if found is None else found.arrived_bytes - found.unread_bytes


def stay_after_goodbye(peer: Peer) -> None:
    """Send `quit` and do nothing more: whoever comes next is served all the same."""
    peer.exchange(b"quit\n", GOODBYE)
    peer.expect_end()


def leave_unread(peer: Peer) -> None:
    """Reset with replies unread."""
    peer.send(b"1,2\n" * 5000)
    peer.reset()


def leave_inside_a_long_line(peer: Peer) -> None:
    """Close inside a line that is too long already, its ERROR unread."""
    peer.send(b"9" * 10_000)
    peer.await_delivery()
    peer.close()


WAYS_OF_LEAVING: Final = (
    Peer.close,
    Peer.reset,
    end_input,
    say_goodbye,
    flood_after_goodbye,
    leave_unread,
    leave_inside_a_long_line,
    stay_after_goodbye,
)


@case("6.6")
def c18_keep_alive(target: Target) -> None:
    """Keep-alive probes are on, which find a client that has vanished without a word."""
    with target.greeted() as peer:
        limit = time.monotonic() + target.patience_s
        while (
            timer := timer_of(peer.socket.getpeername(), peer.socket.getsockname())
        ) == Timer.RETRANSMISSION and time.monotonic() < limit:
            time.sleep(LOOK_S)  # the greeting has yet to be acknowledged
        if timer is None:
            raise NotApplicable("this kernel does not tell what the server's end of a connection waits for")
        if timer != Timer.KEEP_ALIVE:
            raise Violation(
                "the kernel's clock for keep-alive probes does not run at the server's end of a silent connection"
            )
        peer.fence()


def servers_socket(peer: Peer) -> int:
    """Return the inode of the server's end of a client's connection; 0 if it has none any more."""
    entry = servers_entry(peer.socket.getsockname(), peer.socket.getpeername())
    return entry.inode if entry else 0
