"""Generated encounters of clients with a server, until one goes wrong or the time is up; what goes wrong is shrunk."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count, zip_longest
from random import Random
from typing import Final

from hypothesis import Phase, find, settings
from hypothesis.errors import NoSuchExample

from harness.conformance.fuzz.inputs import Encounter, encounters
from harness.conformance.fuzz.model import ServerModel
from harness.conformance.relay import fresh_relay
from harness.conformance.target import Target, shared_target
from harness.conformance.upstream import Asked
from harness.conformance.violations import Violation
from harness.errors import LaunchError
from harness.launch.candidates import Candidate
from harness.launch.process import Launched

BATCH: Final = 100
SHRINK_S: Final = 30.0
SHRINKING_PATIENCE_S: Final = 1.0
"""Once a server has hung, an answer is no longer awaited as generously: the result is tried again with full patience."""
DYING_S: Final = 0.3
TRACEBACK_S: Final = 0.02
"""A server that hangs up on a client because of an exception may print it a little later."""
CONFIRMATIONS: Final = 3
"""How often a failure is tried again on a fresh server: some depend on how fast this machine is at the moment."""
SEARCH: Final = settings(
    max_examples=BATCH, database=None, deadline=None, phases=(Phase.generate, Phase.shrink)
)


LONGEST_WAIT_S: Final = 0.003
"""Of an upstream's answer: some questions overtake others."""
SHORT_BYTES: Final = 100


class TimeIsUp(BaseException):
    """No more is tried. It is no error, and no Exception, which Hypothesis would take for a finding."""


@dataclass(frozen=True)
class FuzzFailure:
    """What went wrong.

    Attributes:
        encounter: the smallest one that was found to do it.
        message: what was sent, expected and received, or how the server ended.
        seen_again: a fresh server did it again.
    """

    encounter: Encounter
    message: str
    seen_again: bool


@dataclass
class Effort:
    """What was tried.

    Attributes:
        sequences: conversations, each a sequence of bytes, cut into segments.
        bytes_sent: in all of them.
        connections: opened to the server, those included that only ask whether it still serves.
    """

    sequences: int = 0
    bytes_sent: int = 0
    connections: int = 0

    def add(self, encounter: Encounter) -> None:
        """Count one encounter."""
        self.sequences += len(encounter)
        self.bytes_sent += sum(
            len(segment) for conversation in encounter for segment in conversation.segments
        )
        self.connections += len(encounter) + 1


@dataclass(frozen=True)
class FuzzResult:
    """What came of one server."""

    server: str
    seed: int
    effort: Effort
    seconds: float
    failure: FuzzFailure | None


def play(target: Target, encounter: Encounter) -> tuple[bytes, ...]:
    """Let clients meet the server, taking turns to send; return what each received.

    Raises:
        Violation: somebody got a wrong answer, or a fresh client was not served in the end.
        TimeoutError: an answer that was due did not come.
    """
    crowd = ServerModel(target)
    try:
        present = [(crowd.connect(), conversation) for conversation in encounter]
        for turn in zip_longest(*(conversation.segments for conversation in encounter)):
            for (client, conversation), segment in zip(present, turn, strict=True):
                if segment is not None and client in crowd.clients:
                    crowd.send(client, segment, conversation.pace)
        for client, conversation in present:
            crowd.leave(client, conversation.ending)
        crowd.end()
    finally:
        crowd.scatter()
    return tuple(bytes(client.peer.received) for client, _ in present)


def trouble_of(target: Target, patience_s: float = 0.0) -> str:
    """Tell what is wrong with the process, if it is ours; "" if nothing is. It may take a moment to die."""
    launched = target.launched
    if launched is None:
        return ""
    with suppress(subprocess.TimeoutExpired):
        code = launched.process.wait(patience_s)
        return f"the server ended, exit code {code}{_last_words(launched)}"
    if "Traceback" in launched.error_output():
        return f"the server printed a traceback{_last_words(launched)}"
    return ""


def _size(encounter: Encounter) -> tuple[int, int, int]:
    segments = [segment for conversation in encounter for segment in conversation.segments]
    return len(encounter), sum(map(len, segments)), len(segments)


def _last_words(launched: Launched) -> str:
    said = launched.error_output().strip().splitlines()
    return f", last words: {said[-1]}" if said else ""


@contextmanager
def fuzzed(candidate: Candidate, *, as_relay: bool = False) -> Iterator[Target]:
    """Offer an instance of the server, or one that is a relay."""
    with shared_target(candidate) as target:
        if not as_relay:
            yield target
            return
        with fresh_relay(target) as relay, relay.upstream.reacting(answer_somehow):
            relay.upstream.holds_switches = True
            yield relay


def answer_somehow(asked: Asked) -> None:
    """Answer rightly, in a manner that must make no difference: sooner or later, whole or in single bytes."""
    manner = Random(asked.line)  # noqa: S311 - to be repeatable
    time.sleep(manner.choice((0, 0, manner.random() * LONGEST_WAIT_S)))
    asked.answer(slowly=len(asked.reply) < SHORT_BYTES and manner.random() < 0.5)


def fuzz(  # noqa: PLR0913 - so much can be chosen
    candidate: Candidate,
    seed: int,
    seconds: float,
    progress: Callable[[Effort], None] = lambda _: None,
    shrink_s: float = SHRINK_S,
    *,
    as_relay: bool = False,
) -> FuzzResult:
    """Try batches of encounters on one server until one goes wrong, or the time is up.

    Args:
        candidate: the server.
        seed: the same seed gives the same encounters in the same order; the time decides how many of them.
        seconds: how long to search; one encounter is tried however long the server takes to start.
        progress: is told from time to time what was tried.
        shrink_s: how long to look for a smaller encounter that goes wrong, too.
        as_relay: it asks an upstream that answers rightly, in all manners: nobody else may notice.

    Raises:
        LaunchError: the server cannot be started, or does not answer at its address.
    """
    started = time.monotonic()
    failure = None
    with Fuzzer(candidate, started + seconds, shrink_s, progress, as_relay=as_relay) as fuzzer:
        batches = (fuzzer.search(Random(f"{seed}/{number}")) for number in count())  # noqa: S311 - to be repeatable
        while failure is None and (not fuzzer.effort.connections or time.monotonic() < started + seconds):
            failure = next(batches)
    return FuzzResult(candidate.label, seed, fuzzer.effort, time.monotonic() - started, failure)


class Fuzzer(ExitStack):
    """Lets encounters happen, each with an instance of the server that nothing has gone wrong with."""

    def __init__(
        self,
        candidate: Candidate,
        until: float,
        shrink_s: float,
        progress: Callable[[Effort], None],
        *,
        as_relay: bool = False,
    ) -> None:
        """Start an instance; `until` is a moment of time.monotonic()."""
        super().__init__()
        self.effort = Effort()
        self._candidate = candidate
        self._as_relay = as_relay
        self._until = until
        self._shrink_s = shrink_s
        self._progress = progress
        self._failures: dict[Encounter, str] = {}
        self._is_spoilt = False
        self._has_hung = False
        self._target = self.enter_context(fuzzed(candidate, as_relay=as_relay))
        self._patience_s = self._target.patience_s

    def search(self, random: Random) -> FuzzFailure | None:
        """Try one batch, and shrink what goes wrong."""
        with suppress(NoSuchExample, TimeIsUp):
            find(encounters, self._goes_wrong, settings=SEARCH, random=random)
        if not self._failures:
            return None
        smallest = min(self._failures, key=_size)
        return self._confirmed() or FuzzFailure(smallest, self._failures[smallest], seen_again=False)

    def _confirmed(self) -> FuzzFailure | None:
        """Return the smallest failure that a fresh instance repeats."""
        limit = time.monotonic() + self._shrink_s
        with suppress(LaunchError):  # what ran at an address has died for good
            for encounter in sorted(self._failures, key=_size):
                for _ in range(CONFIRMATIONS):
                    self._is_spoilt = True
                    if message := self._try(encounter, self._patience_s):
                        return FuzzFailure(encounter, message, seen_again=True)
                if time.monotonic() > limit:
                    break
        return None

    def _goes_wrong(self, encounter: Encounter) -> bool:
        """Tell whether an encounter goes wrong, and remember it.

        A failure that comes and goes is thus one to Hypothesis as well, which asks again for what it has found.
        """
        self._progress(self.effort)
        if encounter in self._failures:
            return True
        if self.effort.connections and time.monotonic() > self._until:
            raise TimeIsUp
        try:
            message = self._try(encounter, SHRINKING_PATIENCE_S if self._has_hung else self._patience_s)
        except LaunchError:
            self._until = 0
            raise TimeIsUp from None
        if message and not self._failures:
            self._until = time.monotonic() + self._shrink_s
        if message:
            self._failures[encounter] = message
        return bool(message)

    def _try(self, encounter: Encounter, patience_s: float) -> str:
        """Return what went wrong, if anything did; if the server is the worse for it, the next one meets a fresh one."""
        if self._is_spoilt:
            self._renew()
        self._target.patience_s = patience_s
        self.effort.add(encounter)
        said = ""
        try:
            play(self._target, encounter)
        except TimeoutError as hang:
            said, self._is_spoilt, self._has_hung = str(hang), True, True
        except Violation as violation:
            said, self._is_spoilt = str(violation), not self._still_serves()
        wait_s = DYING_S if self._is_spoilt else TRACEBACK_S if said else 0
        trouble = trouble_of(self._target, wait_s)
        self._is_spoilt |= bool(trouble)
        return "; ".join(filter(None, (said, trouble)))

    def _still_serves(self) -> bool:
        try:
            play(self._target, ())
        except (Violation, TimeoutError):
            return False
        return True

    def _renew(self) -> None:
        if self._target.launched is not None:
            self._target.launched.process.kill()  # one that hangs would not listen to anything softer
        self.close()
        self._target = self.enter_context(fuzzed(self._candidate, as_relay=self._as_relay))
        self._is_spoilt = False
