"""From the turns of a block to its slices: what each says, and which are left out. Pure: no process, socket or clock."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from harness.analyse.reached import was_hit
from harness.record import Slice
from harness.study.observe import AnyTurn

MOST_LEFT_OUT: Final = 1 / 3
"""If more of a block's cycles would be left out than this, the machine is shared, and none is."""
UNSETTLED: Final = "unsettled"
"""Why a slice is left out: its first mark came before every client had had a reply."""
NEIGHBOUR: Final = "neighbour"
"""Why a cycle is left out: something else ran on the generator's core."""


def slice_of(turn: AnyTurn, before: AnyTurn, cycle: int, place: int) -> Slice:
    """Say what happened between the marks of a turn.

    Args:
        turn: the slice.
        before: the server's turn before; the server was to lie still since then.
        cycle: its number.
        place: of the slice in its cycle.
    """
    outcome, last = turn.outcome, before.outcome
    begin, end = outcome.begin, outcome.end
    return Slice(
        cycle=cycle,
        place=place,
        length_s=(end.at_ns - begin.at_ns) / 1e9,
        answered=turn.answered,
        cpu_ns=end.server_cpu_ns - begin.server_cpu_ns,
        in_flight_ns=turn.in_flight_ns,
        waited_ns=end.generator_waited_ns - begin.generator_waited_ns,
        rest_cpu_ns=outcome.server_found_ns - last.server_left_ns,
        rest_s=(outcome.started_ns - last.ended_ns) / 1e9,
        reason=UNSETTLED if turn.unsettled else "",
    )


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
