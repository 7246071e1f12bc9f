"""R: what a relay does with its upstream, which the suite plays: it sees what is asked, and answers when it is time to."""

import itertools
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from harness.conformance.case import Cases
from harness.conformance.cases.concurrency import MEMORY_LIMIT_BYTES, check_places
from harness.conformance.cases.idling import latest_s
from harness.conformance.cases.replies import ERROR, GOODBYE, SEVEN, THREE, TO_PRODUCT, TO_SUM, products, sums
from harness.conformance.cases.steps import FENCES, Late, LateClient, in_time, is_served
from harness.conformance.cases.stopping import (
    LONG_GRACE_S,
    await_refusal,
    expect_exit,
    expect_exit_within_grace,
)
from harness.conformance.peer import SMALL_BUFFER_BYTES, Peer
from harness.conformance.relay import Relay, fresh_relay, places_of, shared_relay
from harness.conformance.target import Target, run_to_end, with_options
from harness.conformance.upstream import Asked
from harness.conformance.violations import NotApplicable, StaleClaim, Violation
from harness.machine.connections import failed_connects
from harness.oracle import NO_ANSWER

RELAY: Final = "the relay"
"""What cases share that need nothing special of it."""
CASES: Final = Cases()
case = CASES.case

LONGEST_ANSWER_BYTES: Final = 8192
FLOOD_BYTES: Final = 32 * 1024 * 1024
TAKEN_BYTES: Final = 16 * 1024 * 1024
"""What the kernel holds of an endless answer, several times over."""
LONG_ANSWERS: Final = 100
"""More of the longest answers than the kernel and a server hold for a client that does not read."""
QUIET_S: Final = 0.25
PIPELINED: Final = 6
LATE: Final = sums(666)
SHORT_TIMEOUT_S: Final = 0.4
SHORT_GRACE_S: Final = 1.0
IDLE_TIMEOUT_S: Final = 0.5
TRIES_PER_S: Final = 20
IN_VAIN: Final = 100
RETRY_S: Final = 0.02
BREAK_OFFS: Final = (b"", b"Sum of input numb", b"Sum of input numbers: '3'", b"Sum of input numbers: '3'\r")
NO_ANSWERS: Final = (
    ERROR,
    GOODBYE,
    TO_SUM,
    products(3),
    b"\r\n",
    b"Sum of input numbers: '3'\n",
    b"Sum of input numbers: 3\r\n",
    b"Sum of input numbers: 'x'\r\n",
    b" Sum of input numbers: '3'\r\n",
)
"""Lines that are not what a calculator says to a list in sum mode."""


def long_answer(size_bytes: int = LONGEST_ANSWER_BYTES) -> bytes:
    """Return an answer of this size."""
    before, after = sums(0).split(b"0")
    return before + b"9" * (size_bytes - len(before + after)) + after


def ask(relay: Relay, peer: Peer, numbers: bytes, mode: bytes = b"Sum") -> Asked:
    """Let a client send a list, and wait until the upstream is asked it."""
    peer.send(numbers + b"\n")
    return relay.upstream.expect(numbers + b"\n", mode)


def asking(relay: Relay, count: int) -> list[Peer]:
    """Let so many clients ask, each its own list, and wait until as many as can be for sure are under way."""
    peers = [relay.greeted() for _ in range(count)]
    for number, peer in enumerate(peers):
        peer.send(question(number))
        peer.await_reading()
    relay.upstream.await_under_way(min(count, relay.surely_at_once))
    return peers


def question(number: int) -> bytes:
    """Return what the client of this number asks: a list of it alone."""
    return b"%d\n" % number


def client_count(relay: Relay, count: int) -> int:
    """Return how many clients there can be, if so many are wanted."""
    return count if relay.serves_several else 1


def lasting_first_threads(relay: Relay) -> int:
    """Return how many threads may have come to stay since threads were counted: one for each process that had had no client yet."""
    return len(relay.pids) - 1


@case("9.1", shares=RELAY)
def r01_asked_once(target: Target) -> None:
    """A list is asked once, as it came, and the answer is passed on byte for byte."""
    with shared_relay(target) as relay, relay.greeted() as peer:
        for line, asked_line in (
            (b"1,2\n", b"1,2\n"),
            (b"-1, +2\t,007 \r\n", b"-1, +2\t,007 \n"),
            (b"1" * 4096 + b"\r\n", b"1" * 4096 + b"\n"),
        ):
            peer.send(line)
            asked = relay.upstream.expect(asked_line)
            asked.answer()
            peer.expect(asked.reply)
        for answer in (sums(42), long_answer()):
            ask(relay, peer, b"3").answer(answer)
            peer.expect(answer)
        peer.send(b"4,5")
        peer.half_close()
        relay.upstream.expect(b"4,5\n").answer()
        peer.expect(sums(9))
        peer.expect_end()
        relay.upstream.expect_nothing()


@case("9.1", shares=RELAY)
def r02_nothing_to_ask(target: Target) -> None:
    """Commands and lines that are in error ask nothing."""
    with shared_relay(target) as relay, relay.greeted() as peer:
        for line, reply in (
            (b"sum\n", TO_SUM),
            (b"product\r\n", TO_PRODUCT),
            (b"1,,2\n1_0\n\nSUM\n1\r\r\n", ERROR * 5),
            (b"1" * 4097 + b"\n", ERROR),
        ):
            peer.exchange(line, reply)
        ask(relay, peer, b"6,7", b"Product").answer()
        peer.expect(products(42))
        peer.exchange(b"quit\n1,2\n", GOODBYE)
        peer.expect_end()
        relay.upstream.expect_nothing()


@case("9.3", shares=RELAY)
def r03_one_at_a_time(target: Target) -> None:
    """One client has one question under way at a time, and gets its answers in order."""
    with shared_relay(target) as relay, relay.greeted() as peer:
        peer.send(b"1\n2\nx\nproduct\n3\nsum\n4\nquit\n")
        for line, mode, before in (
            (b"1\n", b"Sum", b""),
            (b"2\n", b"Sum", sums(1)),
            (b"3\n", b"Product", sums(2) + ERROR + TO_PRODUCT),
            (b"4\n", b"Sum", products(3) + TO_SUM),
        ):
            asked = relay.upstream.expect(line, mode)
            peer.expect(before)
            if relay.serves_several:
                check_that_nothing_comes(relay)
            asked.answer()
        peer.expect(sums(4) + GOODBYE)
        peer.expect_end()


def check_that_nothing_comes(relay: Relay) -> None:
    """Let another client be answered, and check that nobody else has asked anything meanwhile."""
    with relay.greeted() as other:
        ask(relay, other, b"5").answer()
        other.expect(sums(5))


def one_question_at_a_time(target: Target) -> None:
    """What a server that is not concurrent must do: B is not served while A's question is under way, and in full after A."""
    with shared_relay(target) as relay, relay.greeted() as first, relay.connect() as second:
        asked = ask(relay, first, b"1,2")
        second.send(b"3,4\n")
        second.await_delivery()
        if is_served(second):
            raise StaleClaim("a second client was served while the first one's question was under way")
        relay.upstream.expect_nothing()
        asked.answer()
        first.expect(THREE)
        first.close()
        relay.upstream.expect(b"3,4\n").answer()
        second.greeted().expect(SEVEN)


@case("9.4, 8.1", level="concurrent", absence=one_question_at_a_time, shares=RELAY)
def r04_side_by_side(target: Target) -> None:
    """Questions of different clients are under way side by side, and each gets its own answer, in whatever order they come."""
    with shared_relay(target) as relay:
        peers = [relay.greeted() for _ in range(relay.surely_at_once)]
        asked = [ask(relay, peer, b"%d" % number) for number, peer in enumerate(peers)]
        for number, peer in reversed([*enumerate(peers)]):
            asked[number].answer()
            peer.expect(sums(number))


@case("9.4", shares=RELAY)
def r05_pool(target: Target) -> None:
    """Never more questions are under way than the pool has connections; who waits for one is served in turn."""
    with shared_relay(target) as relay:
        holders = client_count(relay, relay.pool)
        clients = client_count(relay, 4 * relay.pool)
        turns = dict[bytes, int]()
        for number in range(clients):
            lines = [b"%d,%d\n" % (number, again) for again in range(PIPELINED if number < holders else 1)]
            peer = relay.greeted()
            peer.send(b"".join(lines))
            peer.await_reading()
            turns |= {line: number if line == lines[0] else clients for line in lines}
        relay.await_rest()
        left = Counter(line.partition(b",")[0] for line in turns)
        while left:
            relay.upstream.await_under_way(min(relay.surely_at_once, len(left)))
            asked = relay.upstream.under_way[0]
            asked.answer()
            left -= Counter([asked.line.partition(b",")[0]])
        order = [asked.line for asked in relay.upstream.asked]
        if relay.upstream.most_under_way > relay.pool:
            raise Violation(
                f"{relay.upstream.most_under_way} questions were under way with --pool {relay.pool}"
            )
        if (
            relay.surely_at_once == relay.pool
        ):  # of workers, each has a pool: the order over all of them says little
            check_turns([turns[line] for line in order], relay.pool)


def check_turns(turns: Sequence[int], most_overtaking: int) -> None:
    """Check that nobody is overtaken by more than so many who came later."""
    for place, turn in enumerate(turns):
        overtaking = sum(earlier > turn for earlier in turns[:place])
        if overtaking > most_overtaking:
            raise Violation(
                f"a question was overtaken by {overtaking} that came later, with --pool {most_overtaking}"
            )


@case("9.2", shares=RELAY)
def r06_modes_of_the_pool(target: Target) -> None:
    """A mode does not leak from one client to another by way of the pool, nor from a connection to its successor."""
    with shared_relay(target) as relay:
        clients = client_count(relay, 2 * relay.pool)
        for number in range(4 * relay.pool):
            with relay.greeted() as peer:
                others = [relay.greeted() for _ in range(clients - 1)]
                if number % 3:
                    peer.exchange(b"product\n", TO_PRODUCT)
                mode = b"Product" if number % 3 else b"Sum"
                if number % 4 == 3:
                    relay.upstream.drop()
                asked = ask(relay, peer, b"%d,2" % number, mode)
                asked.answer()
                peer.expect(asked.reply)
                for other in others:
                    other.close()


@case("9.5, 9.6")
def r07_time_is_up(target: Target) -> None:
    """When the time for a question is up it gets an ERROR, and its late answer goes to nobody."""
    with fresh_relay(target, upstream_timeout_s=SHORT_TIMEOUT_S) as relay:
        in_time(lambda: check_late_answers(relay))
        in_time(lambda: check_late_greeting(relay))


def check_late_answers(relay: Relay) -> None:
    """Answer nothing in time, also nobody who waits for the pool; then some late, and late as well what is asked where they were."""
    with ExitStack() as stack:
        count = client_count(relay, 5 * relay.pool + 1)
        peers = [stack.enter_context(relay.greeted()) for _ in range(count)]
        expect_no_answers_in_time(relay, peers)
        late = [*relay.upstream.connections]
        for asked in relay.upstream.under_way[::2]:
            asked.answer(LATE)
        with relay.upstream.reacting(
            lambda asked: asked.answer(LATE if asked.connection in late else asked.reply)
        ):
            for peer in peers:
                await_answer(relay, peer)


def check_late_greeting(relay: Relay) -> None:
    """Do not even greet; then do so again."""
    relay.upstream.drop()
    relay.upstream.greets = False
    with relay.greeted() as peer:
        expect_no_answers_in_time(relay, [peer])
        relay.upstream.greets = True
        with relay.upstream.answering():
            await_answer(relay, peer)


def expect_no_answers_in_time(relay: Relay, peers: Sequence[Peer]) -> None:
    """Let all ask, and expect an ERROR for each, neither too soon nor much later."""
    latest_s = 1.25 * SHORT_TIMEOUT_S + 0.2 + relay.server.startup_s
    began = time.monotonic()
    for peer in peers:
        peer.send(b"1\n")
    asked_s = time.monotonic() - began
    for peer in peers:
        peer.expect(NO_ANSWER)
        took_s = time.monotonic() - began
        if took_s < 0.8 * SHORT_TIMEOUT_S:
            raise Violation(f"with --upstream-timeout {SHORT_TIMEOUT_S:g} it gave up after {took_s:.2f} s")
    if took_s > asked_s + latest_s:
        raise Late(f"with --upstream-timeout {SHORT_TIMEOUT_S:g} it gave up after {took_s:.2f} s only")


@case("9.5, 9.6", shares=RELAY)
def r08_hangs_up(target: Target) -> None:
    """An upstream that hangs up before the end of its answer: ERROR; one that did so before it was asked costs nothing."""
    with shared_relay(target) as relay, relay.greeted() as peer:
        for number, last in enumerate(BREAK_OFFS):
            ask(relay, peer, b"1,2").hang_up(last=last, reset=number % 2 == 1)
            peer.expect(NO_ANSWER)
            ask(relay, peer, b"3,4").answer()
            peer.expect(SEVEN)
        relay.upstream.drop()
        ask(relay, peer, b"1,2").answer()
        peer.expect(THREE)


@case("9.5, 9.7, 9.10")
def r09_comes_back(target: Target) -> None:
    """An upstream that is not there: ERROR at once, and few tries; once it is there, it is asked, without a restart."""
    with fresh_relay(target, is_there=False) as relay, relay.greeted() as peer:
        in_time(lambda: check_tries(relay, peer))
        relay.upstream.listen()
        with relay.upstream.answering():
            await_answer(relay, peer)
        relay.upstream.refuse()
        relay.upstream.listen()
        ask(relay, peer, b"3,4").answer()
        peer.expect(SEVEN)


def check_tries(relay: Relay, peer: Peer) -> None:
    """Ask on and on while nobody can connect; by far not every question may be a try.

    The kernel counts failed connects of the whole machine: others may have had some.
    """
    began, before = time.monotonic(), failed_connects()
    for _ in range(IN_VAIN):
        peer.exchange(b"1,2\n", NO_ANSWER)
    tries = failed_connects() - before
    most = max(IN_VAIN / 2, len(relay.pids) * TRIES_PER_S * (time.monotonic() - began) + 2)
    if not 0 < tries <= most:
        raise Late(
            f"{tries} tries for {IN_VAIN} questions to an upstream that is not there; expected {most:.0f} at most"
        )


def await_answer(relay: Relay, peer: Peer) -> None:
    """Ask until there is an answer: a relay that could not connect may wait a little before it tries again."""
    limit = time.monotonic() + relay.patience_s
    for number in itertools.count(1000):
        peer.send(b"%d\n" % number)
        if peer.expect_either(sums(number), NO_ANSWER) != NO_ANSWER:
            break
        if time.monotonic() > limit:
            raise TimeoutError(f"the upstream is there, and yet not asked within {relay.patience_s:g} s")
        time.sleep(RETRY_S)


@case("9.2, 9.5", shares=RELAY)
def r10_in_pieces(target: Target) -> None:
    """An answer in single bytes, and one in a segment with the answer to the switch before it, are passed on alike."""
    with shared_relay(target) as relay, relay.greeted() as peer:
        relay.upstream.holds_switches = True
        for numbers, mode in ((b"1,2", b"Sum"), (b"6,7", b"Product"), (b"8,9", b"Product"), (b"3,4", b"Sum")):
            for slowly in (False, True):
                peer.exchange(mode.lower() + b"\n", b"<switching to %s mode>\r\n" % mode.lower())
                asked = ask(relay, peer, numbers, mode)
                asked.answer(slowly=slowly)
                peer.expect(asked.reply)


@case("9.8", shares=RELAY)
def r11_vanished_client(target: Target) -> None:
    """A client that vanishes while its question is under way gives its place in the pool back; a half-close is no vanishing."""
    with shared_relay(target) as relay:
        with relay.upstream.answering():
            for peer in [relay.greeted() for _ in range(client_count(relay, relay.pool))]:
                peer.fence()
                peer.close()
        threads = relay.threads()
        vanishing = asking(relay, client_count(relay, relay.pool + 2))
        for peer in vanishing:
            peer.reset()
        with relay.upstream.answering_whenever({question(number) for number in range(len(vanishing))}):
            with relay.upstream.answering():
                for peer in [relay.greeted() for _ in range(client_count(relay, relay.pool))]:
                    peer.fence()
                    peer.close()
            relay.settles(relay.threads, threads + lasting_first_threads(relay))
            check_half_close(relay)


def check_half_close(relay: Relay) -> None:
    """Half-close with a question under way, and another in what came last: both are asked and answered."""
    with relay.greeted() as last:
        last.send(b"1,2\n3,4")
        last.half_close()
        relay.upstream.expect(b"1,2\n").answer()
        relay.upstream.expect(b"3,4\n").answer()
        last.expect(THREE + SEVEN)
        last.expect_end()


@case("9.8, 6.4", shares=RELAY)
def r12_deaf_clients(target: Target) -> None:
    """Clients that do not read hold no connection of the pool, and get all of their answers once they read."""
    answer = long_answer()
    with shared_relay(target) as relay:
        deaf = [relay.connect(SMALL_BUFFER_BYTES).greeted() for _ in range(client_count(relay, relay.pool))]
        for peer in deaf:
            peer.send(b"1\n" * LONG_ANSWERS)
        with relay.upstream.answering(lambda asked: answer if asked.line == b"1\n" else asked.reply):
            await_silence(relay)
            if relay.serves_several:
                with relay.greeted() as light:
                    light.fence()
            for peer in deaf:
                peer.expect(answer * LONG_ANSWERS)


def await_silence(relay: Relay) -> None:
    """Wait until the upstream is asked nothing more for a moment."""
    before = -1
    while len(relay.upstream.asked) != before:
        before = len(relay.upstream.asked)
        time.sleep(QUIET_S)  # that nothing comes is what is waited for


@case("9.8, 6.2")
def r13_idle_clock_stands_still(target: Target) -> None:
    """The idle timeout does not run while a question is under way, or waits for the pool; and then it does."""
    in_time(lambda: check_idle_clock_stands_still(target))


def check_idle_clock_stands_still(target: Target) -> None:
    """Answer when the idle timeout is over, and expect the end of whoever says nothing more."""
    with fresh_relay(target, idle_timeout_s=IDLE_TIMEOUT_S) as relay:
        peers = []
        for number in range(client_count(relay, relay.pool + 1)):
            began = time.monotonic()
            try:
                peers.append(relay.greeted())
                peers[-1].send(b"%d\n" % number)
            except Violation as trouble:
                if time.monotonic() - began < IDLE_TIMEOUT_S / 2:
                    raise
                raise LateClient(f"this client was late itself: {trouble}") from None
        time.sleep(latest_s(relay, IDLE_TIMEOUT_S))  # the claim is about a time in which nothing happens
        with relay.upstream.answering():
            for number, peer in enumerate(peers):
                peer.expect(sums(number))
            for peer in peers:
                peer.expect_end()


@case("9.9, 7.2, 7.3")
def r14_sigterm(target: Target) -> None:
    """At SIGTERM, what was asked, waits for the pool or has come is answered and delivered; nobody new is served."""
    with fresh_relay(target, grace_s=LONG_GRACE_S) as relay:
        peers = [relay.greeted() for _ in range(client_count(relay, relay.pool + 2))]
        for peer in peers:
            peer.send(b"1,2\n3,4\n5,6")
            peer.await_reading()
        relay.upstream.await_under_way(min(len(peers), relay.surely_at_once))
        relay.server.process.send_signal(signal.SIGTERM)
        await_refusal(relay)
        with relay.upstream.answering():
            for peer in peers:
                peer.expect(THREE + SEVEN)
                peer.expect_end()
                peer.close()
            expect_exit(relay, 0)


@case("9.5, 9.6", shares=RELAY)
def r15_wrong_answers(target: Target) -> None:
    """What is no answer is an ERROR, and that connection is not used again; nor is one that says more than it was asked."""
    with shared_relay(target) as relay, relay.greeted() as peer:
        for wrong in (*NO_ANSWERS, long_answer(LONGEST_ANSWER_BYTES + 1)):
            asked = ask(relay, peer, b"1,2")
            asked.answer(wrong)
            peer.expect(NO_ANSWER)
            expect_end(asked)
        check_endless_answer(relay, peer)
        for more in (b"\r\n", LATE):
            asked = ask(relay, peer, b"1,2")
            asked.answer(THREE + more)
            peer.expect_either(THREE, NO_ANSWER)
            expect_end(asked)
            asked = ask(relay, peer, b"1,2")
            asked.answer()
            peer.expect(THREE)
            asked.connection.send(more)
            again = ask(relay, peer, b"3,4")
            again.answer()
            peer.expect(SEVEN)
            expect_end(asked)


def check_endless_answer(relay: Relay, peer: Peer) -> None:
    """Answer with a line that does not end."""
    before = relay.resident_bytes()
    asked = ask(relay, peer, b"1,2")
    taken = asked.flood(FLOOD_BYTES)
    peer.expect(NO_ANSWER)
    expect_end(asked)
    if taken > TAKEN_BYTES:
        raise Violation(f"the relay took {taken:,} bytes of an answer that does not end")
    if (grown := relay.resident_bytes() - before) > MEMORY_LIMIT_BYTES:
        raise Violation(f"the relay's memory grew by {grown:,} bytes for an answer that does not end")


def expect_end(asked: Asked) -> None:
    """Expect that the relay closes the connection on which it has asked."""
    if not asked.is_dropped():
        raise Violation(f"the relay still keeps the connection on which {asked.line!r} was answered wrongly")


@case("9.4, 8.1", level="concurrent", absence=one_question_at_a_time, shares=RELAY)
def r16_stuck_pool(target: Target) -> None:
    """With all of the pool stuck, clients that ask nothing are served, and then those who have waited."""
    with shared_relay(target) as relay:
        waiting = asking(relay, 2 * relay.pool)
        with relay.greeted() as other:
            for _ in range(FENCES):
                other.exchange(b"product\nx\nsum\n", TO_PRODUCT, ERROR, TO_SUM)
            other.exchange(b"quit\n", GOODBYE)
            other.expect_end()
        with relay.upstream.answering():
            for number, peer in enumerate(waiting):
                peer.expect(sums(number))


@case("9.9, 7.4")
def r17_grace(target: Target) -> None:
    """The grace is kept if the upstream does not answer; whoever waits for it then gets nothing."""

    def check() -> None:
        with fresh_relay(target, grace_s=SHORT_GRACE_S) as relay:
            peers = asking(relay, client_count(relay, relay.pool + 1))
            expect_exit_within_grace(relay, relay.server.startup_s)
            for peer in peers:
                peer.expect_end()

    in_time(check)


@case("9.10, 6.1", shares=RELAY)
def r18_capacity(target: Target) -> None:
    """A relay serves as many clients as --max-clients says, beside its pool, and the rest wait."""
    if not target.candidate.takes("max_clients"):
        raise NotApplicable("its command has no place for {max_clients}")
    with shared_relay(target) as relay, relay.upstream.answering():
        check_places(relay, places_of(target), fences=1)


@case("9.5, 6.7", shares=RELAY)
def r19_out_of_descriptors(target: Target) -> None:
    """With no descriptor for a connection to the upstream a list gets an ERROR; the upstream is asked once there is one."""
    with shared_relay(target) as relay, relay.greeted() as peer:
        ask(relay, peer, b"1,2").answer()
        peer.expect(THREE)
        relay.upstream.drop()
        with relay.without_files(whatever_is_closed=True):
            peer.exchange(b"1,2\n", NO_ANSWER)
            peer.exchange(b"sum\n", TO_SUM)
        with relay.upstream.answering():
            await_answer(relay, peer)


@case("9.10, 5.4")
def r20_bad_usage(target: Target) -> None:
    """A pool of none is bad usage, exit code 2; an upstream whose name stands for no host is one line, exit code 1."""
    expected = {"pool": ("0", 2), "upstream": ("no.such.host.invalid:8080", 1)}
    for option, (value, code) in expected.items():
        if not target.candidate.takes(option):
            raise NotApplicable(f"it is no relay: its command has no place for {{{option}}}")
        given = with_options(upstream="127.0.0.1:9", pool="4", upstream_timeout="10") | {option: value}
        command = target.candidate.filled_command(given)
        found, said = run_to_end(command, target.patience_s, target.candidate.directory)
        if found != code or said.count("\n") != 1:
            raise Violation(
                f"{option} {value}: exit code {found}, expected {code} and one line; standard error: {said!r}"
            )
