"""What the fuzzer finds, and how small it makes it; how that is written down."""

import ast
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given

from harness.conformance.fuzz.inputs import Conversation, Encounter, Ending, Pace, encounters
from harness.conformance.fuzz.model import answerable
from harness.conformance.fuzz.reproducer import WIDTH, reproducer
from harness.conformance.fuzz.search import FuzzResult, fuzz
from harness.conformance.proof.mutants import Edit, Mutant, planted
from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from tests.makers import mutant

SEED = 1
SECONDS = 60  # a bound: each mistake is found long before
SHRINK_S = 300.0  # likewise: it ends by itself within some 20 s, if the machine has nothing else to do
ANSWER = '        line = line.removesuffix(b"\\r")\n'


@dataclass(frozen=True)
class Mistake:
    """A mistake in the core, and the bytes that are enough to show it, with many to spare: shrinking has its time."""

    old: str
    new: str
    most_bytes: int
    most_clients: int = 1
    said: str = "expected"


MISTAKES = {
    "strips every CR": Mistake('line.removesuffix(b"\\r")', 'line.rstrip(b"\\r")', most_bytes=100),
    "is wrong in product mode": Mistake("% prod(numbers)", "% sum(numbers)", most_bytes=200),
    "dies": Mistake(
        ANSWER, ANSWER + "        if b'_' in line: __import__('os')._exit(3)\n", 200, said="exit code 3"
    ),
    "prints a traceback": Mistake(
        ANSWER, ANSWER + "        line.decode('ascii')\n", 200, said="UnicodeDecodeError"
    ),
}


def outcome_of(mistake: Mistake) -> FuzzResult:
    edits = (Edit("protocol.py", mistake.old, mistake.new),)
    with planted(
        Mutant(
            "",
            "",
            "threaded",
            edits,
            frozenset({"concurrent"}),
            announces=True,
            broad=False,
            concerns=frozenset(),
        )
    ) as mistaken:
        return fuzz(mistaken, SEED, SECONDS, shrink_s=SHRINK_S)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_and_shrunk(name: str) -> None:
    mistake = MISTAKES[name]
    found = outcome_of(mistake).failure
    assert found
    assert found.seen_again
    assert mistake.said in found.message
    assert len(found.encounter) <= mistake.most_clients
    assert sum(len(segment) for c in found.encounter for segment in c.segments) <= mistake.most_bytes


def test_something_is_tried_however_short_the_time(faulty: Callable[..., Candidate]) -> None:
    outcome = fuzz(faulty("greets_wrongly"), SEED, seconds=0, shrink_s=0)
    assert outcome.failure
    assert outcome.effort.connections > 0


def test_a_server_that_vanishes_for_good_is_reported(faulty: Callable[..., Candidate]) -> None:
    outcome = fuzz(faulty("dies_on_x"), SEED, SECONDS, shrink_s=1)
    assert outcome.failure
    assert outcome.effort.connections > outcome.effort.sequences > 0


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    outcome = fuzz(ours("threaded"), SEED, seconds=2)
    assert outcome.failure is None
    assert outcome.effort.bytes_sent > 0


def test_a_relay_is_fuzzed_with_an_upstream() -> None:
    outcome = fuzz(ours("threaded"), SEED, seconds=2, as_relay=True)
    assert outcome.failure is None
    assert outcome.effort.bytes_sent > 0
    with planted(
        mutant("takes one CR away itself, and lets what it shares with others take another")
    ) as relay:
        found = fuzz(relay, SEED, SECONDS, shrink_s=1, as_relay=True).failure
    assert found
    assert any(b"\r\r\n" in b"".join(conversation.segments) for conversation in found.encounter)


def test_a_short_conversation_is_a_line_for_the_shell() -> None:
    encounter = (Conversation((b"1,2\r", b"\n")),)
    assert reproducer(encounter, "HOST PORT") == r"(printf '1,2\r'; sleep 0.1; printf '\n') | nc HOST PORT"


def test_runs_are_written_as_products() -> None:
    encounter = (Conversation((b"x" + b"7," * 2000,), ending=Ending.RESET),)
    assert "b'x' + b'7,' * 2000," in reproducer(encounter, "HOST PORT")


@given(encounters)
def test_literals_are_what_was_sent(encounter: Encounter) -> None:
    said = reproducer((*encounter, Conversation((), Pace.READING)), "HOST PORT")
    assert max(map(len, said.splitlines())) <= WIDTH
    lists = [part.partition("\n")[2] for part in said.split("client ")[1:]]
    assert [tuple(_value(listed)) for listed in lists[:-1]] == [c.segments for c in encounter]


def _value(listed: str) -> list[bytes]:
    return [_bytes(element) for element in ast.parse(listed.strip(), mode="eval").body.elts]  # type: ignore[attr-defined]


def _bytes(node: ast.expr) -> bytes:
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Add):
            return _bytes(node.left) + _bytes(node.right)
        return _bytes(node.left) * int(ast.literal_eval(node.right))
    return bytes(ast.literal_eval(node))


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (b"1,2", b""),
        (b"1,2\n3", b"1,2\n"),
        (b"9" * 4096 + b"\r", b""),
        (b"9" * 4096 + b"\r\r", b"9" * 4096 + b"\r\r"),
        (b"9" * 4097, b"9" * 4097),
    ],
)
def test_complete_lines_and_overlong_ones_are_due(sent: bytes, answered: bytes) -> None:
    assert answerable(sent) == answered
