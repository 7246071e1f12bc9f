"""C, continued: what many, greedy and costly clients do to the others. These are capabilities: a server may lack them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

from harness.conformance.case import Cases
from harness.conformance.cases.replies import THREE
from harness.conformance.cases.steps import (
    BATCH,
    BATCH_REPLIES,
    costly_batches,
    meanwhile,
    one_after_the_other,
)
from harness.conformance.peer import MEDIUM_BUFFER_BYTES, Peer
from harness.conformance.target import Target, run_to_end, with_options
from harness.conformance.violations import NotApplicable, StaleClaim, Violation
from harness.errors import LaunchError
from harness.machine.resources import allow_files, most_files, our_cores
from harness.machine.threads import working_threads

CASES: Final = Cases()
case = CASES.case

MANY_CLIENTS: Final = 1100
"""More than the 1,024 descriptors that select() can watch."""


FAIR_BATCHES: Final = 8
"""A light client may wait for so many of its neighbour's batches; without fairness it waits for all that ever come."""
LIGHT_REPLIES: Final = 10

ROUNDS: Final = 16
CONVINCING_ROUNDS: Final = 2
"""By chance both clients may meet the same worker, so that one round says little of a server with two of them."""


AT_ONCE: Final = 0.9
"""Threads that hand Python's lock to each other are seen together half of the time, and on a busy machine now and then more."""


@contextmanager
def roomy(target: Target) -> Iterator[Target]:
    """Offer a server that has been told to expect many clients, if it can be told; and allow as many files to us."""
    needed = 2 * MANY_CLIENTS
    if most_files() < needed:
        raise NotApplicable(f"this machine allows {most_files()} open files, and the case needs {needed}")
    allow_files(needed)
    if not target.candidate.command:
        yield target
    elif target.candidate.takes("max_clients"):
        with target.fresh(max_clients=MANY_CLIENTS) as own:
            yield own
    else:
        with target.fresh() as own:
            yield own


def serve_many(target: Target) -> None:
    """Check that many clients are served at once."""
    peers = [target.connect() for _ in range(MANY_CLIENTS)]
    for number, peer in enumerate(peers, 1):
        try:
            peer.greeted()
        except (Violation, TimeoutError) as trouble:
            raise Violation(f"client {number} of {MANY_CLIENTS} was not greeted: {trouble}") from None
    for peer in peers:
        peer.fence()
    for peer in peers:
        peer.close()


def few_clients(target: Target) -> None:
    """What a server that cannot serve many must do: refuse to be told to, with exit code 2 and a clear message."""
    try:
        with roomy(target) as own:
            serve_many(own)
    except LaunchError:
        command = target.candidate.filled_command(with_options(max_clients=str(MANY_CLIENTS)))
        code, said = run_to_end(command, target.patience_s, target.candidate.directory)
        if code != 2 or not said.strip() or "Traceback" in said:
            raise Violation(f"exit code {code}, expected 2; standard error: {said!r}") from None
    else:
        raise StaleClaim(f"{MANY_CLIENTS} clients were served at once")


@case("8.2", level="many_clients", absence=few_clients)
def c11_many_clients(target: Target) -> None:
    """1,100 clients are served at once."""
    with roomy(target) as own:
        serve_many(own)


def batches_for_a_light_reply(light: Peer, greedy: Peer) -> float:
    """Return how many of a greedy client's batches are answered, on average, while a light one waits for a reply.

    Work is counted and not time, so that a busy machine does not matter.
    """
    steps = costly_batches(greedy)
    next(steps)
    with meanwhile(lambda: next(steps)):
        light.fence()
        before = len(greedy.received)
        for _ in range(LIGHT_REPLIES):
            light.fence()
        answered = len(greedy.received) - before
    return answered / LIGHT_REPLIES / len(BATCH_REPLIES)


def unfair(target: Target) -> None:
    """What a server that is not fair must do: serve a light client in full once the greedy one has gone."""
    with target.greeted() as greedy, target.connect() as light:
        if target.has("concurrent"):
            batches = batches_for_a_light_reply(light.greeted(), greedy)
            if batches <= FAIR_BATCHES:
                raise StaleClaim(f"a light client waited for {batches:.1f} of a greedy one's batches only")
        else:
            greedy.exchange(BATCH, BATCH_REPLIES)
            if light.unread():
                raise StaleClaim("a light client was served while a greedy one was connected")
        greedy.half_close()
        greedy.drain()
        (light if light.received else light.greeted()).fence()


@case("8.3", level="fair", absence=unfair)
def c12_flooding_neighbour(target: Target) -> None:
    """A client that floods and reads holds up a light one for a few of its batches at most."""
    with target.greeted() as light, target.greeted() as greedy:
        batches = batches_for_a_light_reply(light, greedy)
        if batches > FAIR_BATCHES:
            raise Violation(
                f"beside a client that floods, a light one waited for {batches:.1f} batches of 256 KiB; "
                f"expected at most {FAIR_BATCHES}"
            )
        light.fence()
        greedy.half_close()
        greedy.drain()


def shares_at_once(target: Target) -> Iterator[float]:
    """Give two clients costly lines; return, a few times, how often the server worked on both at once.

    Counted is what runs or could run, so that a busy machine does not hide it, and what waits for Python's lock does
    not count. The light client's waits would not tell: a thread that always waits for input gets that lock more
    easily than one that computes, and is not held up.
    """
    if len(our_cores()) < 2:
        raise NotApplicable("there is but one core to use")
    for _ in range(ROUNDS):
        with ExitStack() as stack:
            costly = [stack.enter_context(target.connect(MEDIUM_BUFFER_BYTES)).greeted() for _ in range(2)]
            with (
                meanwhile(partial(ask_for_much, costly[0])),
                meanwhile(partial(ask_for_much, costly[1])),
            ):
                counts = list(working_threads(target.pids))
            for peer in costly:
                peer.half_close()
                peer.drain()
        yield sum(count > 1 for count in counts) / max(1, sum(count > 0 for count in counts))
        target.answers(b"1,2\n", THREE)


def ask_for_much(peer: Peer) -> None:
    """Send a batch in one go, so that there is always more to work on, and read what replies have come."""
    peer.send(BATCH)
    while peer.unread():
        peer.receive()


def not_parallel(target: Target) -> None:
    """What a server that is not parallel must do: work on one costly request at a time, and answer all of them."""
    if not target.has("concurrent"):
        one_after_the_other(target)
    elif all(share > AT_ONCE for share in shares_at_once(target)):
        raise StaleClaim("two costly requests were worked on at once, each time that it was tried")


@case("8.4", level="parallel", absence=not_parallel)
def c13_costly_requests_at_once(target: Target) -> None:
    """Costly requests of several clients are worked on at once, on more than one core."""
    shares = []
    for share in shares_at_once(target):
        shares.append(share)
        if sum(share > AT_ONCE for share in shares) == CONVINCING_ROUNDS:
            return
    raise Violation(
        f"two clients sent costly lines, {len(shares)} times; the server worked on both at once {max(shares):.0%} of "
        f"the time at most, expected more than {AT_ONCE:.0%} in {CONVINCING_ROUNDS} of them"
    )
