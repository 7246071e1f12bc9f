"""Questions under way at an upstream: when each is to be answered, and how many there were, exactly.

Sans I/O: times are nanoseconds on whatever clock, and nothing here sleeps, sends or reads a clock.
"""

import math
import random
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count, repeat
from typing import Final, NamedTuple

from harness.plan import EXPONENTIAL, MIXED, PROMPT_SHARE, SLOW_SHARE, SLOW_TIMES, STRAGGLING, Waiting

NOBODY: Final = -1
"""Who asks a question that is none of the measured clients'."""
NEVER: Final = range(0)


class Question(NamedTuple):
    """A question under way; the first that is due is the least of all.

    Attributes:
        due_ns: when it is to be answered.
        place: its number, which decides between those that are due at the same time.
        asked_ns: when it was asked.
        connection: on which it was asked.
        client: whose request it is, `NOBODY` if that is not known.
        answer: what is to be sent.
    """

    due_ns: int
    place: int
    asked_ns: int
    connection: int
    client: int
    answer: bytes


class Questions:
    """All questions under way, in the order in which they are due; and for how long they have been, added up.

    Attributes:
        under_way: how many there are.
        most: how many there were at most.
        asked: how many there were in all.
    """

    def __init__(self, waits_ns: Iterator[int]) -> None:
        """Begin with none.

        Args:
            waits_ns: how long each takes.
        """
        self.under_way = 0
        self.most = 0
        self.asked = 0
        self._waits_ns = waits_ns
        self._places = count()
        self._due: list[Question] = []
        self._area_ns = 0
        self._known_until_ns = 0
        self._silent_ns = NEVER

    @property
    def next_ns(self) -> float:
        """Return when the next one is due; infinity if there is none."""
        return self._due[0].due_ns if self._due else math.inf

    def ask(self, connection: int, client: int, answer: bytes, now_ns: int) -> None:
        """Take a question."""
        self._advance(now_ns)
        self.under_way += 1
        self.asked += 1
        self.most = max(self.most, self.under_way)
        due_ns = now_ns + next(self._waits_ns)
        if due_ns in self._silent_ns:
            due_ns = self._silent_ns.stop
        heappush(self._due, Question(due_ns, next(self._places), now_ns, connection, client, answer))

    def answer(self, now_ns: int) -> Question:
        """Return the question that is due first: it is answered now."""
        self._advance(now_ns)
        self.under_way -= 1
        return heappop(self._due)

    def begin(self, silent_ns: range = NEVER) -> None:
        """Count from now on: what is still under way stays so.

        Args:
            silent_ns: when nothing is to be answered: what would be due then is due at its end.
        """
        self.asked, self.most = 0, self.under_way
        self._silent_ns = silent_ns

    def area_ns(self, now_ns: int) -> int:
        """Return for how long all questions so far have been under way until now, added up: the integral of their number."""
        self._advance(now_ns)
        return self._area_ns

    def _advance(self, now_ns: int) -> None:
        self._area_ns += self.under_way * (now_ns - self._known_until_ns)
        self._known_until_ns = now_ns


def waits_ns(waiting: Waiting, seed: int) -> Iterator[int]:
    """Yield how long each answer takes; the same seed gives the same waits."""
    usual_ns = round(waiting.wait_s * 1e9)
    drawn = random.Random(seed)  # noqa: S311 - no secret
    if waiting.spread == EXPONENTIAL:
        return (round(drawn.expovariate(1.0) * usual_ns) for _ in repeat(None))
    if waiting.spread == STRAGGLING:
        return (usual_ns * (SLOW_TIMES if drawn.random() < SLOW_SHARE else 1) for _ in repeat(None))
    if waiting.spread == MIXED:
        return (0 if drawn.random() < PROMPT_SHARE else usual_ns for _ in repeat(None))
    return repeat(usual_ns)
