"""What faults, effects, limits and the self-test have found."""

from collections.abc import Mapping
from typing import Final

from msgspec import field

from harness.plan import Record

MEMORY_BOUND_BYTES: Final = 64 * 1024 * 1024
"""How much more memory a server may hold after a fault than before it: allocators keep what a crowd made them take, and
give it to the next one. What a server loses with each of 10,000 clients is more."""
Figure = float | int | str | bool | None


class Told(Record, frozen=True):
    """What was said of two servers: the ratio of their CPU time per request, its 95 % interval, the verdict on the second."""

    ratio: float
    low: float
    high: float
    verdict: str


class ResolutionRun(Record, frozen=True):
    """One run of a few blocks.

    Attributes:
        instrument: the hash of the sources.
        started: when.
        equals: what was said of a server and itself, of each pair, as if these two alone had been measured.
        more: what was said, likewise, of a server that does somewhat more.
        truth: of that ratio, as established in the same blocks (see `known_effect`).
        crowd: what was said of each pair of equals as one of all pairs of the run.
        scatter: of slices, launches and blocks: standard deviations of the logarithm of CPU per request.
    """

    instrument: str
    started: str
    equals: tuple[Told, ...]
    more: Told
    truth: float
    crowd: tuple[Told, ...] = ()
    scatter: dict[str, float] = field(default_factory=dict)


class Arm(Record, frozen=True):
    """One side of an experiment: what was measured, with the effect or without it.

    Attributes:
        label: what was done, in a few words.
        figures: by metric, the unit in its name.
    """

    label: str
    figures: Mapping[str, float]


class JudgedArm(Record, frozen=True):
    """A side of an experiment, and what the rule says of it.

    Attributes:
        arm: what was measured.
        to_be_named: the rule has to name the effect there, or must not; None where only the measurement tells.
        named: whether it does.
    """

    arm: Arm
    to_be_named: bool | None
    named: bool

    @property
    def as_it_should(self) -> bool:
        """Tell whether the rule says what it has to say."""
        return self.to_be_named in {None, self.named}


class EffectResult(Record, frozen=True):
    """An experiment that lets a known effect happen, and takes its cause away.

    Attributes:
        effect: its name.
        title: what happens, in a sentence.
        metric, unit: the figure that shows it.
        present, absent: the two sides.
        named_present, named_absent: whether the rule for this effect names it, on each side.
        because: the cause that it names where the effect is present.
        source: who says that this is so.
        command: what shows it.
        others: further sides, if it was looked for elsewhere, or cured in other ways.
        columns: the figures of all sides that tell most, each with its title.
    """

    effect: str
    title: str
    metric: str
    unit: str
    present: Arm
    absent: Arm
    named_present: bool
    named_absent: bool
    because: str
    source: str
    command: str
    others: tuple[JudgedArm, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> bool:
        """Tell whether the experiment came out as it should: named where it is, not named where it was taken away."""
        return all(each.as_it_should for each in self.arms)

    @property
    def arms(self) -> tuple[JudgedArm, ...]:
        """All sides, the first two among them."""
        present = JudgedArm(self.present, to_be_named=True, named=self.named_present)
        absent = JudgedArm(self.absent, to_be_named=False, named=self.named_absent)
        return (present, absent, *self.others)


class FaultResult(Record, frozen=True):
    """What one fault did to one server.

    Attributes:
        server, fault, title: which of each; the title in words.
        size: how many clients the fault had, or what else it counts.
        place: where the probe was. "beside": served side by side with the fault's clients; "alone": it had the only
            place, and they waited in the queue until it had gone; "after": it came when they had been served.
        survived, reasons: whether, and why not.
        seconds: how long it took.
        probe_checked, probe_lost, probe_duplicated, probe_wrong: what became of the probe's replies.
        probe_median_ns, probe_worst_ns: of its right replies; None if there were none.
        others_checked, others_lost, others_wrong: what became of the replies to the fault's own clients.
        descriptors_before, ..., memory_after_bytes: of the server's process before any of these clients came and after
            all had left; None if the fault ended it.
        stop_took_s: from the stop signal to its end, if it was told to stop.
        refused: lists to which a relay said that its upstream had no answer, of the probe and of the others.
    """

    server: str
    fault: str
    title: str
    size: int
    place: str
    survived: bool
    reasons: tuple[str, ...]
    seconds: float
    probe_checked: int
    probe_lost: int
    probe_duplicated: int
    probe_wrong: int
    probe_median_ns: int | None
    probe_worst_ns: int | None
    others_checked: int
    others_lost: int
    others_wrong: int
    descriptors_before: int
    descriptors_after: int | None
    threads_before: int
    threads_after: int | None
    memory_before_bytes: int
    memory_after_bytes: int | None
    stop_took_s: float | None = None
    refused: int = 0


class SelfCheck(Record, frozen=True):
    """What one check of the instrument found.

    Attributes:
        check, purpose: its name, and what it would notice.
        outcome: "passed", "failed" or "not possible here".
        line: the finding in a sentence.
        figures: what it rests on, by name, with units.
    """

    check: str
    purpose: str
    outcome: str
    line: str
    figures: Mapping[str, Figure]


class ConnectionLimit(Record, frozen=True):
    """How many connections a server holds at once.

    Attributes:
        wanted: how many it was asked to hold.
        told: the capacity that it was started with; None if that was what it mostly is started with.
        refused: why it could not be told to take all of them, in its own words; "" if it could.
        held: how many were greeted, and open at the same time.
        answered: of these, how many were answered rightly when then each was asked once.
        error: why there are no more, or what went wrong with an answer; "" if all were held and answered.
        held_s: how long it took to open them, the start of the server included.
        answered_s: how long it took until all were answered.
    """

    server: str
    wanted: int
    told: int | None
    refused: str
    held: int
    answered: int
    error: str
    held_s: float
    answered_s: float
