"""The core: whole, byte by byte, with trailing data, and against the oracle."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.oracle import oracle
from implementations.protocol import (
    ERROR,
    GOODBYE,
    GREETING,
    MAX_LINE_BYTES,
    NO_ANSWER,
    TO_PRODUCT,
    TO_SUM,
    Connection,
    Question,
    Relay,
)

LONGEST = b"0" * (MAX_LINE_BYTES - 1) + b"7"
SEVEN = b"Sum of input numbers: '7'\r\n"

CONVERSATIONS = [
    (b"1,2\n", b"Sum of input numbers: '3'\r\n"),
    (
        b"1,2\r\nproduct\r\n3,4\r\n",
        b"Sum of input numbers: '3'\r\n" + TO_PRODUCT + b"Product of input numbers: '12'\r\n",
    ),
    (b"sum\nproduct \t\nsum\n", TO_SUM + TO_PRODUCT + TO_SUM),
    (b"quit\n1,2\n", GOODBYE),
    (b"\n\r\n \n1_0\n\xff\n", ERROR * 5),
    (LONGEST + b"\r\n" + LONGEST + b"8\n" + LONGEST, SEVEN + ERROR + SEVEN),
    (LONGEST * 3 + b"\n1,6\n", ERROR + SEVEN),
    (b"3,4\r", SEVEN),
    (b"\r", ERROR),
    (b"", b""),
]

pieces = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [
                b"1",
                b"-2",
                b"+3,",
                b",",
                b"\n",
                b"\r\n",
                b"\r",
                b" ",
                b"\t",
                b"sum",
                b"product",
                b"quit",
                b"_",
                b"\x0b",
            ]
        ),
        st.sampled_from([LONGEST, LONGEST[1:], b"9" * 5000]),
        st.lists(st.integers(), min_size=1, max_size=5).map(
            lambda numbers: b"%s\n" % b",".join(b"%d" % n for n in numbers)
        ),
    ),
    max_size=20,
)


def converse(*chunks: bytes) -> bytes:
    connection = Connection()
    return connection.greeting + b"".join(map(connection.receive_data, (*chunks, b"")))


@pytest.mark.parametrize(("sent", "replies"), CONVERSATIONS)
def test_a_conversation_at_once(sent: bytes, replies: bytes) -> None:
    assert converse(sent) == GREETING + replies if sent else converse() == GREETING


@pytest.mark.parametrize(("sent", "replies"), CONVERSATIONS)
def test_a_conversation_byte_by_byte(sent: bytes, replies: bytes) -> None:
    assert converse(*(sent[i : i + 1] for i in range(len(sent)))) == GREETING + replies


@given(pieces)
def test_any_cut_gives_what_the_oracle_says(chunks: list[bytes]) -> None:
    chunks = [chunk for chunk in chunks if chunk]
    assert converse(*chunks) == oracle(b"".join(chunks))


@given(pieces)
def test_at_any_moment_the_replies_are_a_prefix_of_what_the_oracle_says(chunks: list[bytes]) -> None:
    chunks = [chunk for chunk in chunks if chunk]
    connection = Connection()
    received = connection.greeting + b"".join(map(connection.receive_data, chunks))
    assert oracle(b"".join(chunks)).startswith(received)


@given(st.lists(st.integers(min_value=-(10**300), max_value=10**300), min_size=1, max_size=12))
def test_integers_are_exact(numbers: list[int]) -> None:
    line = b",".join(b"%d" % number for number in numbers) + b"\n"
    assert Connection().receive_data(line) == b"Sum of input numbers: '%d'\r\n" % sum(numbers)


def test_every_complete_line_is_answered_without_further_input() -> None:
    assert Connection().receive_data(b"3,4\n" * 100 + b"3,") == SEVEN * 100


def test_error_comes_as_soon_as_a_line_is_certain_to_be_too_long() -> None:
    connection = Connection()
    assert connection.receive_data(LONGEST + b"\r") == b""
    assert connection.receive_data(b"\r") == ERROR
    assert connection.receive_data(b"1,2\r") == b""
    assert connection.receive_data(b"\n3,4\n") == SEVEN


def test_what_is_thrown_away_takes_no_memory() -> None:
    connection = Connection()
    for _ in range(100):
        connection.receive_data(b"1" * 65536)
    assert sum(len(value) for value in vars(connection).values() if isinstance(value, bytes)) == 0


def test_lines_completed_counts_line_ends_and_nothing_else() -> None:
    connection = Connection()
    steps = [(b"1,2", 0), (b"\n", 1), (b"\n\n", 3), (b"9" * 5000, 3), (b"9", 3), (b"\n", 4), (b"7\n7", 5)]
    for data, completed in steps:
        connection.receive_data(data)
        assert connection.lines_completed == completed


@pytest.mark.parametrize("end", [b"quit\n", b""])
def test_nothing_is_answered_after_the_end(end: bytes) -> None:
    connection = Connection()
    connection.receive_data(end)
    assert connection.closed
    assert connection.receive_data(b"1,2\n") == b""
    assert connection.receive_data(b"") == b""


def test_the_largest_product_stays_within_the_interpreters_limit() -> None:
    line = b",".join([b"9"] * (MAX_LINE_BYTES // 2)) + b"\n"
    connection = Connection()
    connection.receive_data(b"product\n")
    assert connection.receive_data(line) == b"Product of input numbers: '%d'\r\n" % 9 ** (MAX_LINE_BYTES // 2)


def relayed(*chunks: bytes) -> bytes:
    """Converse with a relay whose upstream calculates."""
    relay = Relay()
    received = relay.greeting
    for chunk in (*chunks, b""):
        received += relay.receive_data(chunk)
        while question := relay.question:
            upstream = Connection()
            upstream.receive_data(b"product\n" if question.product_mode else b"sum\n")
            received += relay.receive_answer(upstream.receive_data(question.line + b"\n"))
    assert relay.closed
    return received


@given(pieces)
def test_a_relay_answers_as_its_upstream_would(chunks: list[bytes]) -> None:
    chunks = [chunk for chunk in chunks if chunk]
    assert relayed(*chunks) == relayed(b"".join(chunks)) == oracle(b"".join(chunks))


def test_a_relay_answers_by_itself_up_to_the_first_list() -> None:
    relay = Relay()
    assert relay.receive_data(b"product\nhello\n 1,\t2 \r\nsum\n3\nquit\n4\n") == TO_PRODUCT + ERROR
    assert relay.question == Question(product_mode=True, line=b" 1,\t2 ")
    assert relay.receive_answer(b"the answer\n") == b"the answer\n" + TO_SUM
    assert relay.question == Question(product_mode=False, line=b"3")
    assert not relay.closed
    assert relay.receive_answer(NO_ANSWER) == NO_ANSWER + GOODBYE
    assert relay.question is None
    assert relay.closed


def test_the_last_line_may_be_a_question() -> None:
    relay = Relay()
    assert relay.receive_data(b"3,4") == b""
    assert relay.question is None
    assert relay.receive_data(b"") == b""
    assert relay.question == Question(product_mode=False, line=b"3,4")
    assert relay.receive_answer(SEVEN) == SEVEN
    assert relay.closed


@pytest.mark.parametrize(
    "line",
    [b"", b" ", b"1,", b",1", b"1 2", b"1_0", b"--1", b"+", b"1,,2", b"1\r2", b"quit\r\r", LONGEST + b"0"],
)
def test_what_is_no_list_is_not_asked(line: bytes) -> None:
    relay = Relay()
    assert relay.receive_data(line + b"\n") == ERROR
    assert relay.question is None


def test_the_oracle_replays_the_chapters_transcript() -> None:
    dialogue = [
        ("", "<welcome: starting in sum mode>\n"),
        ("1,2\r\n", "Sum of input numbers: '3'\r\n"),
        ("4,9\r\n", "Sum of input numbers: '13'\r\n"),
        ("product\r\n", "<switching to product mode>\r\n"),
        ("0,-3\r\n", "Product of input numbers: '0'\r\n"),
        ("5,-9,10\r\n", "Product of input numbers: '-450'\r\n"),
        ("hello\r\n", "ERROR. Enter only integers separated by commas\n"),
        ("a,1\r\n", "ERROR. Enter only integers separated by commas\n"),
        ("quit\r\n", "connection closed\r\n"),
    ]
    sent, received = ("".join(column).encode() for column in zip(*dialogue, strict=True))
    assert oracle(sent) == received
    assert converse(sent) == received


def test_the_oracle_only_ever_adds() -> None:
    sent = b"1,2\r\nproduct\n" + b"9" * 4100 + b"\n3,4\nquit\n5\n"
    answers = [oracle(sent[:end]) for end in range(len(sent) + 1)]
    complete = [answers[end] for end in range(len(sent) + 1) if sent[:end].endswith(b"\n") or not end]
    for earlier, later in itertools.pairwise(complete):
        assert later.startswith(earlier)
