"""What was measured of relays, as the model takes it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import geometric_mean, median
from typing import Final

from harness.analyse.prediction.laws import Setting

METRICS: Final = ("throughput_rps", "cpu_us", "p50_us", "p99_us")
"""The fields of a cell that are predicted."""


@dataclass(frozen=True)
class RelayCell:
    """What was measured of a relay in one setting, in one launch or on average.

    Attributes:
        block: of the run: what was measured in the same one found the machine in about the same state.
        cpu_us: of the core, for each request.
        p50_us, p99_us: of the responses.
    """

    server: str
    block: int
    setting: Setting
    throughput_rps: float
    cpu_us: float
    p50_us: float
    p99_us: float


Place = tuple[str, Setting]
"""A server in a setting: of each there are as many cells as launches."""


def by_place(cells: Iterable[RelayCell]) -> dict[Place, list[RelayCell]]:
    """Sort launches."""
    found: dict[Place, list[RelayCell]] = {}
    for cell in cells:
        found.setdefault((cell.server, cell.setting), []).append(cell)
    return found


def averaged(launches: Sequence[RelayCell]) -> RelayCell:
    """Return the geometric means of the launches of one place."""
    return replace(
        launches[0],
        throughput_rps=geometric_mean(each.throughput_rps for each in launches),
        cpu_us=geometric_mean(each.cpu_us for each in launches),
        p50_us=geometric_mean(each.p50_us for each in launches),
        p99_us=geometric_mean(each.p99_us for each in launches),
    )


def machine_factors(cells: Iterable[RelayCell]) -> Mapping[int, float]:
    """Say of each block how many times as long everything took in it as it did on average.

    That is the median, over all that was measured in the block, of a request's cost against the same place's mean: one server in a
    bad state says nothing about the machine.
    """
    ratios: dict[int, list[float]] = {}
    for launches in by_place(cells).values():
        mean_us = averaged(launches).cpu_us
        for launch in launches:
            ratios.setdefault(launch.block, []).append(launch.cpu_us / mean_us)
    return {block: median(of_block) for block, of_block in ratios.items()}


def machine_of(launches: Sequence[RelayCell], factors: Mapping[int, float]) -> float:
    """Return the mean factor of the blocks that some launches were made in."""
    return geometric_mean(factors.get(launch.block, 1.0) for launch in launches)


@dataclass(frozen=True)
class Range:
    """From the least to the most of what was measured of a server.

    Attributes:
        pooled: in some settings clients waited for the pool, in which there were fewer connections than clients.
    """

    clients: tuple[int, int]
    wait_s: tuple[float, float]
    at_once: tuple[int, int]
    pooled: bool

    @classmethod
    def of(cls, settings: Sequence[Setting]) -> "Range":
        """Return the range of some settings."""
        clients = [each.clients for each in settings]
        waits_s = [each.wait_s for each in settings]
        at_once = [each.at_once for each in settings]
        pooled = any(each.pool < each.clients for each in settings)
        return cls(
            (min(clients), max(clients)), (min(waits_s), max(waits_s)), (min(at_once), max(at_once)), pooled
        )

    def beyond(self, setting: Setting) -> str:
        """Say what of a setting lies outside; empty if nothing does."""
        wait_ms = tuple(each * 1e3 for each in self.wait_s)
        for asked, (low, high), what in (
            (setting.clients, self.clients, "clients"),
            (setting.wait_s * 1e3, wait_ms, "ms of wait"),
            (setting.at_once, self.at_once, "questions at once"),
        ):
            if not low <= asked <= high:
                return f"{asked:,g} {what}, and measured were {low:,g} to {high:,g}"
        if setting.pool < setting.clients and not self.pooled:
            return f"a pool of {setting.pool:,} for {setting.clients:,} clients, and none was measured that is smaller than they are many"
        return ""
