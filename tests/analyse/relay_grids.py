"""Made-up launches of two relays in the fields of a map."""

from collections.abc import Callable
from typing import Final

from harness.plan import by_name
from harness.record import Sample

Make = Callable[..., Sample]
A, B = "threaded", "trio_nursery"
GRID: Final = tuple(f"relay_{wait}ms_{clients}" for wait in (5, 20) for clients in (16, 64, 256))


def make_grid(make_relayed: Make, factors: dict[str, float], scatter: float = 0.02) -> list[Sample]:
    """Return launches in which the second server answers so many times as much as the first, field by field."""
    uneven = (1.0, 1 + scatter, 1.0, 1 - scatter)
    return [
        make_relayed(
            server, block, workload=name, rps=350 * times * (1 + 0.002 * block), load=by_name(name).load
        )
        for name in GRID
        for block in range(4)
        for server, times in ((A, 1.0), (B, factors.get(name, 1.0) * uneven[block]))
    ]
