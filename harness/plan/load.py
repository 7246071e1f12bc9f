"""What is done to a server: one load, from the workload to the generator's process and to the record."""

import math
from typing import Final

from harness.plan.base import Record

CLOSED: Final = "closed"
CONSTANT: Final = "constant"
POISSON: Final = "poisson"
OPEN: Final = (CONSTANT, POISSON)
"""How requests arrive in an open loop; in a closed one each comes when the one before it is answered."""

IDLE: Final = "idle"
SLOW_READERS: Final = "slow_readers"
TRICKLE: Final = "trickle"
COSTLY: Final = "costly"
FLOOD: Final = "flood"
"""The kinds of clients in the background; `harness.drive.background` tells how each behaves."""

REPLY_LIMIT_S: Final = 5.0


class Background(Record, frozen=True):
    """Clients in the background, beside those that are measured: of a kind, and so many."""

    kind: str
    clients: int


EXPONENTIAL: Final = "exponential"
STRAGGLING: Final = "straggling"
MIXED: Final = "mixed"
SPREADS: Final = (CONSTANT, EXPONENTIAL, STRAGGLING, MIXED)
"""How an upstream's waits are spread: all the same; at random; one in a hundred slow; one in ten not at all."""
SLOW_SHARE, SLOW_TIMES = 0.01, 20
"""Of straggling waits so many are slow, and take so many times as long."""
PROMPT_SHARE: Final = 0.1
"""Of mixed waits so many are none at all."""


class Waiting(Record, frozen=True, kw_only=True):
    """What a relay asks of its upstream costs it: so long a wait, and no more than so many of them at a time.

    Attributes:
        wait_s: what an upstream takes for an answer: always, or on average if that is exponential; what the usual one takes
            if some are slow, or none at all.
        spread: one of `SPREADS`.
        pool: how many questions the server may have under way, each on a connection of its own.
        stall_s: at the end of an open loop's window it answers nothing for so long, and then at once whatever was due meanwhile.
    """

    wait_s: float
    spread: str = CONSTANT
    pool: int
    stall_s: float = 0.0

    @property
    def mean_s(self) -> float:
        """Return what an answer takes on average."""
        factors = {STRAGGLING: 1 + SLOW_SHARE * (SLOW_TIMES - 1), MIXED: 1 - PROMPT_SHARE}
        return self.wait_s * factors.get(self.spread, 1.0)


class Load(Record, frozen=True, kw_only=True):
    """What to do to a server: a closed loop, unless it says otherwise.

    Attributes:
        clients: how many connections are measured; with `churn`, how many are there at a time.
        pipeline: how many requests each has in flight; in an open loop, at most.
        line: what every request is; None for lists of three integers, all different.
        arrivals: "closed": a closed loop; "constant" or "poisson": an open one.
        rate: requests per second in the window, in an open loop; 0 in a closed one.
        warmup_rate: the same during the warm-up; None for the same rate.
        seed: of random arrivals.
        timeout_s: how long to wait for a reply.
        warmup_s, duration_s: before, and of, the measuring window.
        relief_s, relief_rate: how much longer an open loop goes on after the window, and at which rate: to see how the
            server recovers.
        churn: in a closed loop, whether each request comes on a connection of its own.
        background: who is there beside the measured clients.
        upstream: what a relay waits for; None for servers that answer by themselves.
    """

    clients: int = 64
    pipeline: int = 1
    line: str | None = None
    arrivals: str = CLOSED
    rate: float = 0.0
    warmup_rate: float | None = None
    seed: int = 0
    timeout_s: float = REPLY_LIMIT_S
    warmup_s: float = 0.3
    duration_s: float = 1.0
    relief_s: float = 0.0
    relief_rate: float = 0.0
    churn: bool = False
    background: Background | None = None
    upstream: Waiting | None = None

    @property
    def connections(self) -> int:
        """Count the clients that are there at once, those in the background included."""
        return self.clients + (self.background.clients if self.background else 0)

    @property
    def lasts_s(self) -> float:
        """Return how long it takes, from the first request to the last."""
        return self.warmup_s + self.duration_s + self.relief_s

    @property
    def most_under_way(self) -> int:
        """Count the questions that a relay can have under way at its upstream at once; 0 if it is none."""
        return min(self.clients, self.upstream.pool) if self.upstream else 0

    @property
    def ceiling_rps(self) -> float:
        """Return how many requests a second a relay can answer at most, however fast it is; infinity if it waits for nothing."""
        if self.upstream is None or not self.upstream.wait_s:
            return math.inf
        return self.most_under_way / self.upstream.mean_s

    @property
    def worked_off_s(self) -> float:
        """Return how soon after a stall of its upstream a relay can have caught up: what has piled up, by what it can do besides."""
        stall_s = self.upstream.stall_s if self.upstream else 0.0
        spare_rps = self.ceiling_rps - self.rate
        return stall_s * self.rate / spare_rps if spare_rps > 0 else math.inf
