"""From the turns of a block to its slices: what each says, and which are left out. Pure: no process, socket or clock."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
from msgspec.structs import replace

from harness.analyse.reached import was_hit
from harness.drive.journal import Columns
from harness.drive.orders import LoadOutcome
from harness.record import Slice
from harness.study.observe import TurnSeen

MOST_LEFT_OUT: Final = 1 / 3
"""If more of a block's cycles would be left out than this, the machine is shared, and none is."""
NEIGHBOUR: Final = "neighbour"
"""Why a cycle is left out: something else ran on the generator's core."""


def slice_of(turn: TurnSeen, before: TurnSeen, cycle: int, place: int) -> Slice:
    """Say what happened between the marks of a turn.

    Args:
        turn: the slice.
        before: the server's turn before; the server was to lie still since then.
        cycle: its number.
        place: of the slice in its cycle.
    """
    outcome, last = turn.outcome, before.outcome
    begin, end = outcome.begin, outcome.end
    received_ns = turn.times.received_ns
    return Slice(
        cycle=cycle,
        place=place,
        length_s=(end.at_ns - begin.at_ns) / 1e9,
        answered=int(turn.times.count[(received_ns >= begin.at_ns) & (received_ns < end.at_ns)].sum()),
        cpu_ns=end.server_cpu_ns - begin.server_cpu_ns,
        in_flight_ns=in_flight_ns(outcome, turn.times),
        waited_ns=end.generator_waited_ns - begin.generator_waited_ns,
        rest_cpu_ns=outcome.server_found_ns - last.server_left_ns,
        rest_s=(outcome.started_ns - last.ended_ns) / 1e9,
    )


def in_flight_ns(outcome: LoadOutcome, times: Columns) -> int:
    """Add up for how long each request was in flight between the marks of a turn."""
    begun_ns = np.maximum(times.intended_ns, outcome.begin.at_ns)
    ended_ns = np.minimum(times.received_ns, outcome.end.at_ns)
    return int((np.maximum(ended_ns - begun_ns, 0) * times.count).sum())


def without_neighbours(
    slices: Mapping[str, Sequence[Slice]], pinned: Collection[str]
) -> dict[str, tuple[Slice, ...]]:
    """Leave out the cycles in which the generator was kept from its core, whole, for all servers of a block alike.

    None if they are too many: the block says then what the machine is like.

    Args:
        slices: of each server.
        pinned: the servers that leave the generator's core alone. The others may run there themselves, so that nothing can
            be told from them.
    """
    kept_from = {
        each.cycle
        for server, of_server in slices.items()
        if server in pinned
        for each in of_server
        if was_hit(each)
    }
    cycles = {each.cycle for of_server in slices.values() for each in of_server}
    if len(kept_from) > MOST_LEFT_OUT * len(cycles):
        kept_from = set()
    return {
        server: tuple(
            replace(each, reason=NEIGHBOUR) if each.cycle in kept_from else each for each in of_server
        )
        for server, of_server in slices.items()
    }
