"""What is done to a server: one load, from the workload to the generator's process and to the record."""

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

    @property
    def connections(self) -> int:
        """Count the clients that are there at once, those in the background included."""
        return self.clients + (self.background.clients if self.background else 0)

    @property
    def lasts_s(self) -> float:
        """Return how long it takes, from the first request to the last."""
        return self.warmup_s + self.duration_s + self.relief_s
