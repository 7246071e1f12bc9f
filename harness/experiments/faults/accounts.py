"""The books: what was asked and what was answered, and whether that means that a server survived. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Final

from msgspec.structs import replace

from harness.oracle import GREETING, NO_ANSWER, oracle, replies
from harness.record import MEMORY_BOUND_BYTES, FaultResult

FIRST_NUMBER: Final = 1_000_001


@dataclass(frozen=True)
class ProbeFigures:
    """What the probe noticed.

    Attributes:
        checked: replies that were right, byte for byte, and came once.
        duplicated: replies that had come before.
        refused: lists to which a relay said that its upstream had no answer.
        wrong: all other replies.
        unanswered_ns: when the kernel had taken each request that was never answered, by the monotonic clock.
        cut_off: the server ended the connection before the probe did.
        median_ns, worst_ns: of the right replies, from sending to receiving; None if there were none.
    """

    checked: int = 0
    duplicated: int = 0
    refused: int = 0
    wrong: int = 0
    unanswered_ns: tuple[int, ...] = ()
    median_ns: int | None = None
    worst_ns: int | None = None
    cut_off: bool = False


class Accounts:
    """The probe's accounts: numbered requests, each with a reply that no other has."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self._numbers = count(FIRST_NUMBER)
        self._waiting_since_ns: dict[bytes, int] = {}
        self._sent_ns: dict[bytes, int] = {}
        self._answered: set[bytes] = set()
        self._unfinished = b""
        self._took_ns: list[int] = []
        self._duplicated = 0
        self._refused = 0
        self._wrong = 0

    @property
    def waiting(self) -> bool:
        """Tell whether a request has no reply yet."""
        return bool(self._waiting_since_ns)

    def ask(self, now_ns: int) -> bytes:
        """Return the next request; its time begins at this moment."""
        request = b"%d\n" % next(self._numbers)
        self._waiting_since_ns[reply_to(request)] = now_ns
        return request

    def sent(self, request: bytes, now_ns: int) -> None:
        """Note that the kernel has taken a request: from now on it is lost if it is not answered."""
        self._sent_ns[reply_to(request)] = now_ns

    def hear(self, data: bytes, now_ns: int) -> None:
        """Enter what was received at this moment."""
        *replies, self._unfinished = (self._unfinished + data).split(b"\n")
        for reply in replies:
            self._enter(reply + b"\n", now_ns)

    def _enter(self, reply: bytes, now_ns: int) -> None:
        if reply in self._waiting_since_ns:
            self._took_ns.append(now_ns - self._waiting_since_ns.pop(reply))
            self._answered.add(reply)
        elif reply in self._answered:
            self._duplicated += 1
        else:
            self._refused += reply == NO_ANSWER
            self._wrong += reply != NO_ANSWER
            for asked in tuple(self._waiting_since_ns)[:1]:  # that was the answer, such as it is
                del self._waiting_since_ns[asked]

    def figures(self, *, cut_off: bool) -> ProbeFigures:
        """Close the books: what has no reply now will never have one."""
        unanswered = self._waiting_since_ns.keys() & self._sent_ns.keys()
        return ProbeFigures(
            checked=len(self._took_ns),
            duplicated=self._duplicated,
            refused=self._refused,
            wrong=self._wrong,
            unanswered_ns=tuple(sorted(self._sent_ns[reply] for reply in unanswered)),
            median_ns=round(median(self._took_ns)) if self._took_ns else None,
            worst_ns=max(self._took_ns, default=None),
            cut_off=cut_off,
        )


def reply_to(request: bytes) -> bytes:
    """Return what answers a request in sum mode."""
    return oracle(request).removeprefix(GREETING)


@dataclass(frozen=True)
class Tally:
    """What became of the replies to other clients: greetings are replies, too."""

    checked: int = 0
    wrong: int = 0
    lost: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        """Add up."""
        return Tally(self.checked + other.checked, self.wrong + other.wrong, self.lost + other.lost)


def compare(sent: bytes, received: bytes, due: bytes | None = None) -> Tally:
    """Compare all that one client received with all that it sent.

    Args:
        sent: all of it.
        received: must be a prefix of the oracle's answer.
        due: the part of `sent` to which every reply must have come; None if it need not even have been greeted.
    """
    answer = oracle(sent)
    agreeing = len(received) if answer.startswith(received) else _agreement(answer, received)
    checked = answer.count(b"\n", 0, agreeing)
    wrong = int(agreeing < len(received))
    wanted = 0 if due is None else (answer if due == sent else oracle(due)).count(b"\n")
    return Tally(checked, wrong, max(0, wanted - checked - wrong))


def as_if_answered(sent: bytes, received: bytes) -> tuple[bytes, int]:
    """Return what a relay's client has received, as if the upstream had answered each list, and how often it had not."""
    parts: list[bytes] = []
    at = refused = 0
    for reply in replies(sent):
        if reply.startswith((b"Sum", b"Product")) and received.startswith(NO_ANSWER, at):
            parts.append(reply)
            at += len(NO_ANSWER)
            refused += 1
        elif received.startswith(reply, at):
            parts.append(reply)
            at += len(reply)
        else:
            break
    return b"".join((*parts, received[at:])), refused


def _agreement(answer: bytes, received: bytes) -> int:
    pairs = zip(answer, received, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(answer), len(received)))


def judged(result: FaultResult) -> FaultResult:
    """Say whether the server survived, by the figures and by the troubles that were noted already."""
    reasons = (*result.reasons, *_findings(result))
    return replace(result, reasons=reasons, survived=not reasons)


def _findings(result: FaultResult) -> Iterator[str]:
    whose = (("the probe", "probe"), ("other clients", "others"))
    for owner, prefix in whose:
        for what in ("lost", "duplicated", "wrong"):
            if found := getattr(result, f"{prefix}_{what}", 0):
                yield f"{found:,} {'reply' if found == 1 else 'replies'} to {owner} {what}"
    if not result.probe_checked:
        yield "the probe was not served"
    for what in ("descriptors", "threads"):
        before, after = getattr(result, f"{what}_before"), getattr(result, f"{what}_after")
        if after is not None and after > before:
            yield f"{after - before:,} {what} more than before"
    if result.memory_after_bytes is not None:
        grown = result.memory_after_bytes - result.memory_before_bytes
        if grown > MEMORY_BOUND_BYTES:
            yield f"{grown / 2**20:,.0f} MiB more memory than before, and {MEMORY_BOUND_BYTES >> 20} MiB is the bound"
