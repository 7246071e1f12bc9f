"""Two clocks: their offset lies within the error that is given, whatever the way between them is like."""

from hypothesis import given
from hypothesis import strategies as st

from harness.drive.clocks import ClockOffset, Exchange, best_of, moved_ns, offset_of

DELAYS = st.integers(0, 10**9)
OFFSETS = st.integers(-(10**15), 10**15)


def exchange(offset_ns: int, there_ns: int, thinking_ns: int, back_ns: int) -> Exchange:
    """Return the four times of an exchange that begins at 10 s of our clock."""
    sent_ns = 10**10
    received_ns = sent_ns + there_ns + offset_ns
    answered_ns = received_ns + thinking_ns
    return sent_ns, received_ns, answered_ns, answered_ns - offset_ns + back_ns


@given(OFFSETS, DELAYS, DELAYS, DELAYS)
def test_the_error_bounds_what_is_wrong(
    offset_ns: int, there_ns: int, thinking_ns: int, back_ns: int
) -> None:
    found = offset_of(exchange(offset_ns, there_ns, thinking_ns, back_ns))
    assert abs(found.offset_ns - offset_ns) <= found.error_ns
    assert found.error_ns <= (there_ns + back_ns) / 2 + 1


@given(OFFSETS, st.lists(st.tuples(DELAYS, DELAYS, DELAYS), min_size=1))
def test_the_quickest_exchange_tells_most(offset_ns: int, ways: list[tuple[int, int, int]]) -> None:
    exchanges = [exchange(offset_ns, *way) for way in ways]
    found = best_of(exchanges)
    assert found.error_ns == min(offset_of(each).error_ns for each in exchanges)
    assert abs(found.offset_ns - offset_ns) <= found.error_ns


def test_a_clock_has_moved_when_the_errors_do_not_explain_it() -> None:
    before = ClockOffset(1_000_000, 400)
    assert moved_ns(before, ClockOffset(1_000_900, 600)) == 0
    assert moved_ns(before, ClockOffset(1_006_000, 600)) == 5_000
    assert moved_ns(before, ClockOffset(994_000, 600)) == 5_000


@given(OFFSETS, DELAYS, DELAYS, st.integers(0, 10**8))
def test_a_clock_that_did_not_move_is_never_said_to_have(
    offset_ns: int, there_ns: int, back_ns: int, later_ns: int
) -> None:
    before = offset_of(exchange(offset_ns, there_ns, 0, back_ns))
    after = offset_of(exchange(offset_ns, back_ns, later_ns, there_ns))
    assert moved_ns(before, after) == 0
