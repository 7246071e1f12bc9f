"""What the fuzzer finds, and how small it makes it; how it writes it down."""

import pytest

from harness.conformance.fuzz import Outcome, fuzz
from harness.conformance.inputs import Encounter
from harness.conformance.mutants import Edit, Mutant, planted

SEED = 1
SECONDS = 60  # a bound: each mistake is found long before
CORE = "protocol.py"


def mutant(old: str, new: str, file: str = CORE) -> Mutant:
    return Mutant("", "", "threaded", (Edit(file, old, new),), frozenset({"concurrent"}), True, False)


def outcome_of(mistake: Mutant) -> Outcome:
    with planted(mistake) as candidate:
        return fuzz(candidate, SEED, SECONDS)


def bytes_of(encounter: Encounter) -> bytes:
    return b"".join(segment for conversation in encounter for segment in conversation.segments)


ANSWER = '        line = line.removesuffix(b"\\r")\n'
SPLIT = 'split(b"\\n")'
MISTAKES = {
    "strips every CR": (mutant('line.removesuffix(b"\\r")', 'line.rstrip(b"\\r")'), 1, 5),
    "wrong in product mode": (mutant("% prod(numbers)", "% sum(numbers)"), 1, 14),
    "takes a chunk for whole lines": (mutant("self._unfinished + data", "data"), 1, 6),
    "dies of it": (mutant(ANSWER, ANSWER + "        if b'_' in line: __import__('os')._exit(3)\n"), 1, 2),
    "prints a traceback": (mutant(ANSWER, ANSWER + "        line.decode('ascii')\n"), 1, 2),
    "hangs": (mutant(ANSWER, ANSWER + "        while b'p' in line: pass\n"), 1, 2),
    "one mode for all": (
        mutant("self._product_mode", "Connection._product_mode"), 1, 9,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_and_shrunk(name: str) -> None:
    mistake, most_clients, most_bytes = MISTAKES[name]
    outcome = outcome_of(mistake)
    assert outcome.failure
    print(
        outcome.seconds,
        outcome.effort,
        outcome.failure.seen_again,
        [c.segments for c in outcome.failure.encounter]
        if len(bytes_of(outcome.failure.encounter)) < 300
        else "LONG",
    )
