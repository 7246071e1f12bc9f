"""The upstream's side, sans I/O: however what it says is cut, it is the answer or it is none; modes never leak."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from implementations.protocol import ERROR, GREETING, TO_PRODUCT, TO_SUM, Connection, Question
from implementations.relays.session import MAX_ANSWER_BYTES, NoAnswerError, Session

SUM = Question(product_mode=False, line=b"1,2")
PRODUCT = Question(product_mode=True, line=b"3,4 ")
SEVEN = b"Sum of input numbers: '7'\r\n"
LONGEST = SEVEN.replace(b"7", b"7" * (MAX_ANSWER_BYTES - len(SEVEN) + 1))

questions = st.builds(
    Question,
    st.booleans(),
    st.lists(st.integers(), min_size=1, max_size=4).map(lambda n: b",".join(b"%d" % i for i in n)),
)


def heard(session: Session, said: bytes, cuts: list[int]) -> bytes | None:
    """Let a session hear something in pieces, up to its answer; None if there is none."""
    bounds = sorted({0, len(said), *(cut % (len(said) + 1) for cut in cuts)})
    for start, end in pairwise(bounds):
        try:
            if answer := session.receive_data(said[start:end]):
                return answer
        except NoAnswerError:
            return None
    return b""


@given(st.lists(questions, min_size=1), st.lists(st.integers(min_value=0), max_size=5))
def test_modes_never_leak(asked: list[Question], cuts: list[int]) -> None:
    """Whatever was asked before: each is answered as a calculator of its own would answer it."""
    session, upstream = Session(), Connection()
    said = upstream.greeting
    for question in asked:
        said += upstream.receive_data(session.ask(question))
        alone = Connection()
        alone.receive_data(b"product\n" if question.product_mode else b"sum\n")
        assert heard(session, said, cuts) == alone.receive_data(question.line + b"\n")
        assert session.reusable
        said = b""


def test_a_switch_comes_with_the_question_that_needs_it() -> None:
    session = Session()
    assert session.ask(SUM) == b"1,2\n"
    assert session.receive_data(GREETING + SEVEN) == SEVEN
    assert session.ask(PRODUCT) == b"product\n3,4 \n"
    assert session.receive_data(TO_PRODUCT + b"Product of input numbers: '-12'\r\n")
    assert session.ask(PRODUCT) == b"3,4 \n"
    assert session.receive_data(b"Product of input numbers: '-12'\r\n")
    assert session.ask(SUM) == b"sum\n1,2\n"
    assert session.receive_data(TO_SUM + SEVEN) == SEVEN


@pytest.mark.parametrize(
    "said",
    [
        SEVEN,  # without a greeting
        GREETING + ERROR,
        GREETING + TO_SUM + SEVEN,
        GREETING + TO_PRODUCT + SEVEN,
        GREETING + b"Product of input numbers: '7'\r\n",
        GREETING + b"Sum of input numbers: '7'\n",
        GREETING + b"Sum of input numbers: ''\r\n",
        GREETING + b"Sum of input numbers: '7'\r\r\n",
        GREETING + b" " + SEVEN,
        GREETING + b"\n",
        GREETING + LONGEST.replace(b"'7", b"'77"),
        GREETING + b"7" * MAX_ANSWER_BYTES,
    ],
)
@given(cuts=st.lists(st.integers(min_value=0), max_size=5))
def test_what_is_no_answer(said: bytes, cuts: list[int]) -> None:
    session = Session()
    session.ask(SUM)
    assert heard(session, said, cuts) is None
    assert not session.reusable


@given(cuts=st.lists(st.integers(min_value=0), max_size=5))
def test_the_longest_answer(cuts: list[int]) -> None:
    session = Session()
    session.ask(SUM)
    assert heard(session, GREETING + LONGEST, cuts) == LONGEST
    assert session.reusable


def test_an_end_is_no_answer() -> None:
    session = Session()
    session.ask(SUM)
    assert session.receive_data(GREETING + SEVEN[:-1]) == b""
    with pytest.raises(NoAnswerError):
        session.receive_data(b"")
    assert not session.reusable


def test_who_says_more_is_not_asked_again() -> None:
    session = Session()
    session.ask(SUM)
    assert session.receive_data(GREETING + SEVEN + b"S") == SEVEN
    assert not session.reusable


def test_an_answer_to_no_question_is_none() -> None:
    session = Session()
    assert session.receive_data(GREETING) == b""
    session.ask(SUM)
    assert session.receive_data(SEVEN) == SEVEN
    with pytest.raises(NoAnswerError):
        session.receive_data(SEVEN)
    with pytest.raises(NoAnswerError):
        Session().receive_data(GREETING + b"S")


def test_an_endless_answer_takes_no_memory() -> None:
    session = Session()
    session.ask(SUM)
    session.receive_data(GREETING)
    while heard(session, b"7" * 7, []) is not None:
        pass
    assert (
        sum(len(value) for value in vars(session).values() if isinstance(value, bytes)) < 2 * MAX_ANSWER_BYTES
    )
