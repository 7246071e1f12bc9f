"""Turns: who has waited longest is next, and who is late for a turn gives it to nobody."""

from threading import Lock, Thread
from time import monotonic, sleep

from implementations.relays.threads import Turns

LIMIT_S = 30


def test_turns_are_handed_on_in_order() -> None:
    turns = Turns(2, Lock)
    served: list[int] = []
    deadline = monotonic() + LIMIT_S

    def wait(number: int) -> None:
        assert turns.take(deadline)
        served.append(number)
        turns.give_back()

    assert turns.take(deadline)
    assert turns.take(deadline)
    threads = [Thread(target=wait, args=(number,)) for number in range(5)]
    for waiting, thread in enumerate(threads):
        thread.start()
        while len(turns.waiting) == waiting:
            sleep(0)
    turns.give_back()
    for thread in threads:
        thread.join(LIMIT_S)
    assert served == [0, 1, 2, 3, 4]
    assert turns.free == 1


def test_a_turn_is_not_taken_past_those_who_wait() -> None:
    turns = Turns(1, Lock)
    assert turns.take(monotonic())
    baton = Lock()
    baton.acquire()
    turns.waiting.append(baton)
    turns.give_back()
    assert not baton.locked()
    assert not turns.take(monotonic())


def test_who_has_waited_for_too_long_is_out_of_the_queue() -> None:
    turns = Turns(1, Lock)
    assert turns.take(monotonic())
    assert not turns.take(monotonic() - 1)
    assert not turns.waiting
    turns.give_back()
    assert turns.free == 1
