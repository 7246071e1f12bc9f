"""Measure one block of a steady workload: all servers are alive at the same time, and loaded in turn, in short slices.

What slows the machine down for a moment slows down all of them, so that their ratios are known far better than from one
launch after the other (Bulej et al. 2020; Abedi & Brecht 2017). In each cycle every server has one slice, in a random
order. Each has a continuous window besides, since a slice cuts off what comes seldom and takes long.
"""

import random
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from harness.drive.fleet import GENERATOR, RELAY_GENERATOR, WorkerProcess, Workers, worker
from harness.errors import CannotRun
from harness.launch.candidates import Candidate
from harness.machine.resources import Cores
from harness.plan import Cell, Load, Round, Slicing
from harness.record import Sample
from harness.study.cell import cores_of, placement_of, put_into_service, sample_of, serving
from harness.study.fleet import Fleet
from harness.study.from_many import FleetSession
from harness.study.observe import Observation, Session
from harness.study.slices import slice_of, without_neighbours

TURNS_APART: Final = 10_000
"""More turns than a block has."""


class Crew:
    """Generators, for each server of a block its own, on the same cores. They live for the whole run; one server's work at a time."""

    def __init__(self, stack: ExitStack, generators: int = 1) -> None:
        """Begin with nobody; the stack ends all of them.

        Args:
            stack: of what is to be ended with the run.
            generators: of each server.
        """
        self._stack = stack
        self._generators = generators
        self._members: dict[str, list[WorkerProcess]] = {}
        self._of_relays = stack.enter_context(ExitStack())
        self._relaying: Workers | None = None

    def cores_of(self, candidate: Candidate) -> Cores:
        """Choose where a server and its generators run."""
        return cores_of(candidate, self._generators)

    def members(self, server: str, cores: Cores) -> list[WorkerProcess]:
        """Return a server's generators, each on a core of its own."""
        if server not in self._members:
            self._members[server] = [
                self._stack.enter_context(worker(GENERATOR, cores.generators[place : place + 1]))
                for place in range(self._generators)
            ]
        return self._members[server]

    def session(self, candidate: Candidate, load: Load, scratch: Path, running: ExitStack) -> Session:
        """Start a server, put it into service, and let the clients come that are to load it.

        Args:
            candidate: the server.
            load: with the longest times of all turns.
            scratch: an empty folder, for the times.
            running: ends the server.
        """
        cores = self.cores_of(candidate)
        workers = Workers(self.members(candidate.label, cores), None)
        address, launched = running.enter_context(serving(candidate, load, cores))
        ready = put_into_service(candidate, address, launched, load)
        return Session(address, launched, ready, load, cores, workers, scratch)

    def dismiss(self, server: str) -> None:
        """Forget generators that may not be able to go on."""
        self._members.pop(server, None)

    def relaying(self, cores: Cores) -> Workers:
        """Return the generator that loads relays, one after the other: a server waits for its upstream to listen before it starts."""
        if self._relaying is None:
            generator = self._of_relays.enter_context(worker(RELAY_GENERATOR, cores.generators[:1]))
            self._relaying = Workers([generator], None)
        return self._relaying

    def end_relaying(self) -> None:
        """End it: it may not be able to go on."""
        self._of_relays.close()
        self._relaying = None


class FleetCrew:
    """The same on the workers of a cluster, which all turn to the same server at the same time."""

    def __init__(self, fleet: Fleet) -> None:
        """Take those that are there."""
        self._fleet = fleet

    def session(self, candidate: Candidate, load: Load, _: Path, running: ExitStack) -> FleetSession:
        """Start a server, put it into service, and let the clients come that are to load it."""
        return FleetSession(self._fleet, candidate, load, running)

    def dismiss(self, server: str) -> None:
        """End generators that may not be able to go on."""
        self._fleet.dismiss(server)


@dataclass(frozen=True)
class Participant:
    """A server of a block, its clients connected.

    Attributes:
        slices: of each, which turn it was, its cycle, and its place in that.
    """

    cell: Cell
    candidate: Candidate
    session: Session | FleetSession
    slices: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class BlockOutcome:
    """What came of a block: samples, and of the cells without one, why there is none."""

    samples: tuple[Sample, ...]
    unmeasured: Mapping[Cell, str]


def measure_block(  # noqa: PLR0913 - what, how, and by whom
    cells: Round,
    candidates: Mapping[str, Candidate],
    load: Load,
    slicing: Slicing,
    crew: Crew | FleetCrew,
    seed: str,
    pause: Callable[[], None] = lambda: None,
) -> BlockOutcome:
    """Launch all servers of a block, load them in turn, and stop them.

    A server that cannot be started, or asked, is left out from then on; the others go on.

    Args:
        cells: of the block, in the order in which the servers are started.
        candidates: the servers, by label.
        load: what is done to each.
        slicing: how long, and how often.
        crew: the generators.
        seed: decides on the orders.
        pause: called before each cycle, while all servers lie still.
    """
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as running:
        block = _Block(load, slicing, random.Random(seed))  # noqa: S311 - no secret
        for cell in cells:
            block.enter(candidates[cell.server], cell, crew, Path(scratch), running)
        block.warm_up()
        passes: list[Callable[[], None]] = [partial(block.cycle, cycle) for cycle in range(slicing.cycles)]
        passes.insert(block.random.randint(0, slicing.cycles), block.windows)
        for each in passes:
            pause()
            each()
        return block.end()


class _Block:
    """The servers of a block that can still be measured."""

    def __init__(self, load: Load, slicing: Slicing, random_: random.Random) -> None:
        self.random = random_
        self._slicing = slicing
        self._window = replace(load, warmup_s=slicing.settle_s, duration_s=slicing.window_s)
        self._there: list[Participant] = []
        self._windows: dict[Cell, int] = {}
        self._unmeasured: dict[Cell, str] = {}
        self._turns = 0

    def enter(
        self, candidate: Candidate, cell: Cell, crew: Crew | FleetCrew, scratch: Path, running: ExitStack
    ) -> None:
        """Start a server, put it into service, and let the clients come that are to load it."""
        place = Path(tempfile.mkdtemp(dir=scratch))
        try:
            session = crew.session(candidate, self._window, place, running)
        except CannotRun as error:
            self._unmeasured[cell] = str(error)
            crew.dismiss(candidate.label)
        else:
            self._there.append(Participant(cell, candidate, session))

    def warm_up(self) -> None:
        """Let every server work for a while of which nothing counts."""
        self._let_each(lambda each, _: self._turn(each, self._slicing.warmup_s))

    def cycle(self, number: int) -> None:
        """Let every server have a slice."""

        def slice_(each: Participant, place: int) -> None:
            each.slices.append((each.session.turns, number, place))
            self._turn(each, self._slicing.slice_s)

        self._let_each(slice_)

    def windows(self) -> None:
        """Let every server have its continuous window."""

        def window(each: Participant, _: int) -> None:
            self._windows[each.cell] = each.session.turns
            self._turn(each, self._slicing.window_s)

        self._let_each(window)

    def end(self) -> BlockOutcome:
        """Let all clients leave; sum up what was seen."""
        seen: dict[Cell, Observation] = {}

        def leave(each: Participant, _: int) -> None:
            seen[each.cell] = each.session.end()

        self._let_each(leave)
        slices = without_neighbours(
            {
                each.cell.server: [
                    slice_of(turns[turn], turns[turn - 1], cycle, place) for turn, cycle, place in each.slices
                ]
                for each in self._there
                for turns in [seen[each.cell].turns]
            },
            pinned={each.cell.server for each in self._there if each.session.cores.pinned},
        )
        samples = tuple(
            sample_of(
                each.cell,
                self._window,
                placement_of(each.candidate, each.session.cores, each.session.generators),
                each.session.cores,
                seen[each.cell],
                self._windows[each.cell],
                slices[each.cell.server],
            )
            for each in self._there
        )
        return BlockOutcome(samples, self._unmeasured)

    def _turn(self, each: Participant, duration_s: float) -> None:
        self._turns += 1  # random arrivals differ from turn to turn, and from block to block
        seed = TURNS_APART * self._window.seed + self._turns
        each.session.turn(replace(self._window, duration_s=duration_s, seed=seed), settled=True)

    def _let_each(self, do: Callable[[Participant, int], None]) -> None:
        """Do something with every server, in a random order; one with which it cannot be done is left out."""
        for place, each in enumerate(self.random.sample(self._there, len(self._there))):
            try:
                do(each, place)
            except CannotRun as error:
                self._unmeasured[each.cell] = str(error)
                self._there.remove(each)
