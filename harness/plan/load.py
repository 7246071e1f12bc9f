"""What is done to a server: one load, from the plan to the generator's process and to the record."""

from dataclasses import dataclass
from typing import Final

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
"""The kinds of company; `harness.drive.background` tells how each behaves."""
REPLY_LIMIT_S: Final = 5.0


@dataclass(frozen=True)
class Company:
    """Clients in the background, beside those that are measured: of a kind, and so many."""

    kind: str
    clients: int


@dataclass(frozen=True)
class Load:
    """What to do to a server, and where.

    Attributes:
        clients, pipeline: how many connections, and how many requests each has in flight (at most, in an open loop).
        warmup_s, duration_s: before, and of, the measuring window.
        line: what every request is; None for lists of three integers, all different.
        server_cores, generator_cores: where each of them runs; empty means anywhere.
        arrivals: "closed", "constant" or "poisson".
        rate: requests per second, in an open loop.
        warmup_rate: the same during the warm-up; None for the same rate.
        seed: of random arrivals.
        generators: how many processes; each gets one of the generator's cores, if there are enough.
        timeout_s: how long to wait for a reply.
        relief_s, relief_rate: how much longer an open loop goes on after the window, and at which rate.
        churn: in a closed loop, whether each request comes on a connection of its own.
        company: who is there in the background.
        shared_cores: those of a server that uses all cores, its generators' among them.
    """

    clients: int
    pipeline: int
    warmup_s: float
    duration_s: float
    line: str | None = None
    server_cores: tuple[int, ...] = ()
    generator_cores: tuple[int, ...] = ()
    arrivals: str = CLOSED
    rate: float = 0.0
    warmup_rate: float | None = None
    seed: int = 0
    generators: int = 1
    timeout_s: float = REPLY_LIMIT_S
    relief_s: float = 0.0
    relief_rate: float = 0.0
    churn: bool = False
    company: Company | None = None
    shared_cores: tuple[int, ...] = ()

    @property
    def connections(self) -> int:
        """Count the clients that are there at once, the company included."""
        return self.clients + (self.company.clients if self.company else 0)

    @property
    def cores(self) -> tuple[int, ...]:
        """Return the cores that server and generators have to themselves, or should have; none if they have not."""
        return (*self.server_cores, *self.generator_cores) if self.pinned else self.shared_cores

    @property
    def pinned(self) -> bool:
        """Tell whether the server and every generator have a core each."""
        return bool(self.server_cores) and len(self.generator_cores) >= self.generators

    @property
    def generators_alone(self) -> bool:
        """Tell whether no server and no company runs on a generator's core."""
        return self.pinned and self.company is None
