"""Measure a plan: rounds of launches with progress shown and every sample kept, until done, precise enough or out of time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median
from typing import Final

from msgspec.structs import replace
from rich.console import Console

from harness.analyse.blocks import Launch, Repetition, counting, repetition, under
from harness.analyse.precision import PILOT_BLOCKS, Reach, blocks_in_time, reach, sentence
from harness.analyse.samples.metrics import throughput_rps
from harness.analyse.samples.validity import assess
from harness.errors import CannotRun
from harness.launch.candidates import Candidate
from harness.plan import CLOSED, OF_PEAK, PEAK, RELIEF, Cell, Load, Plan, Round, in_slices
from harness.record import PrecisionGoal, Sample, Unmeasured
from harness.study.block import Crew, FleetCrew, measure_block
from harness.study.board import Board, board
from harness.study.cell import measure
from harness.study.fleet import Fleet
from harness.study.from_many import measure_from_many
from harness.study.rounds import Allowance, run_rounds

MeasureAlone = Callable[..., Sample]
"""Measures a server by itself, under a load; `cell` is its place in the plan."""
MOST_FAILURES: Final = 2
"""A server that could not be measured so often under a workload is spared it from then on."""
PEAK_S: Final = 0.5
"""So long is a server's peak measured if it is needed and not known."""


class Campaign:
    """The measuring of one plan.

    Attributes:
        plan: what is measured.
        samples: all so far, invalid ones included.
        unmeasured: launches that could not be made.
        done: blocks so far, of each workload.
    """

    def __init__(  # noqa: PLR0913 - what is measured, how, and what becomes of it
        self,
        candidates: Sequence[Candidate],
        plan: Plan,
        loads: Mapping[str, Load],
        keep: Callable[[Sequence[Sample]], None],
        note: Callable[[Unmeasured], None],
        board: Board,
        crew: Crew | FleetCrew,
        measure_alone: MeasureAlone,
        recorded: Sequence[Sample] = (),
    ) -> None:
        """Take the servers, what each workload does to them, what to do with each sample, and what was measured before."""
        self.plan = plan
        self.samples: list[Sample] = []
        self.unmeasured: list[Unmeasured] = []
        self._launches: tuple[Launch, ...] = ()
        self.done = dict.fromkeys(plan.workloads, 0)
        self._candidates = {candidate.label: candidate for candidate in candidates}
        self._loads = loads
        self._keep = keep
        self._note = note
        self._board = board
        self._recorded = {sample.cell: sample for sample in recorded}
        self._short_peaks: dict[str, float] = {}
        self._allowance = Allowance()
        self._crew = crew
        self._measure_alone = measure_alone
        self._seconds: dict[tuple[str, bool], float] = {}
        self._begun_s = time.monotonic()

    def measure_blocks(self, wanted: Mapping[str, int], until_s: float | None = None) -> None:
        """Measure so many blocks of each workload in all; none that would end after a moment of the monotonic clock."""
        rounds = self.plan.rounds(wanted, self.done)
        cells = [cell for each in rounds for cell in each]
        to_come_s = sum(self._seconds_of(cell) for cell in cells if cell not in self._recorded)
        self._board.expect(to_come_s, len(cells), until_s)

        def too_long(cells: Round) -> bool:
            took_s = self._seconds.get(self._kind(cells), 0.0)
            return until_s is not None and time.monotonic() + took_s > until_s

        run_rounds(self.plan, rounds, self._measure_round, self._allowance, too_long)
        for measured in rounds:
            workload, block = measured[0].workload, measured[0].block
            if any((sample.cell.workload, sample.cell.block) == (workload, block) for sample in self.samples):
                self.done[workload] = max(self.done[workload], block + 1)

    def reach(self, target: PrecisionGoal) -> None:
        """Measure a pilot, and then what the target takes, as far as time allows; say how far that was."""
        until_s = time.monotonic() + target.within_s
        wanted = dict.fromkeys(self.plan.workloads, PILOT_BLOCKS)
        before = None
        while self.done not in (wanted, before):
            before = dict(self.done)
            self.measure_blocks(wanted, until_s)
            needed = {found.workload: found.needed for found in self._reaches(target)}
            left_s = until_s - time.monotonic()
            wanted = blocks_in_time(needed, self.done, self._seconds_per_block(), left_s)
        found = {one.workload: one for one in self._reaches(target)}
        for workload in self.plan.workloads:
            if workload in found:
                self._tell(found[workload], target)
            elif any(len(cells) > 1 for cells in self.plan.rounds_of(0, workload)):
                self._board.say(
                    f"{workload}: no two usable blocks of two servers in {target.within_s / 60:g} minutes",
                    "yellow",
                )

    @property
    def repetition(self) -> Repetition:
        """Count what was measured again so far."""
        return repetition(self._launches)

    def _tell(self, found: Reach, target: PrecisionGoal) -> None:
        more_s = (found.needed - found.blocks) * self._seconds_per_block()[found.workload]
        if found.reached:
            self._board.say(sentence(found, target))
        else:
            self._board.say(f"{sentence(found, target)}, {more_s / 60:,.0f} minutes more", "yellow")

    def _reaches(self, target: PrecisionGoal) -> list[Reach]:
        found = [reach(self._launches, workload, target) for workload in self.plan.workloads]
        return [one for one in found if one is not None]

    def _seconds_per_block(self) -> dict[str, float]:
        """Return what a block of each workload has taken so far, with its share of what was measured again."""
        first = sum(sample.cell.attempt == 1 for sample in self.samples)
        per_launch_s = (time.monotonic() - self._begun_s) / max(1, first)
        launches = {name: sum(map(len, self.plan.rounds_of(0, name))) for name in self.plan.workloads}
        return {name: per_launch_s * launches[name] for name in self.plan.workloads}

    def _measure_round(self, cells: Round) -> list[Sample]:
        """Measure what of a round has not been measured before the run was resumed."""
        began_s = time.monotonic()
        known = [self._recorded[cell] for cell in cells if cell in self._recorded]
        self._take(known)
        in_turn = in_slices(cells[0].workload)
        if in_turn and known:  # who is missing has no others to be loaded in turn with
            return known
        to_measure = tuple(
            cell for cell in cells if cell not in self._recorded and not self._is_hopeless(cell)
        )
        if not to_measure:
            return known
        measured = self._block(to_measure) if in_turn else self._launches_of(to_measure)
        self._seconds[self._kind(cells)] = time.monotonic() - began_s
        self._board.show(self._launches, cells[0].workload)
        return known + measured

    def _kind(self, cells: Round) -> tuple[str, bool]:
        """Return what rounds that take about as long have in common."""
        return cells[0].workload, cells[0].server in self.plan.all_cores

    def _block(self, cells: Round) -> list[Sample]:
        """Measure servers that are loaded in turn."""
        self._show(cells[0], len(cells))
        first = cells[0]
        load = self._load(first)
        seed = f"{self.plan.seed} {first.workload} {first.block}"
        outcome = measure_block(
            cells,
            self._candidates,
            load,
            self.plan.slicing.under(load),
            self._crew,
            seed,
            self._board.redraw,
        )
        self._keep(outcome.samples)
        self._take(outcome.samples)
        self._board.done(sum(map(self._seconds_of, cells)))
        for cell, reason in outcome.unmeasured.items():
            self._give_up(cell, reason)
        return list(outcome.samples)

    def _launches_of(self, cells: Round) -> list[Sample]:
        """Measure servers one after the other, each launched by itself."""
        samples = []
        for cell in cells:
            self._show(cell)
            try:
                sample = self._launch(cell)
            except CannotRun as error:
                self._give_up(cell, str(error))
            else:
                samples.append(sample)
                self._keep([sample])
                self._take([sample])
            self._board.done(self._seconds_of(cell))
        return samples

    def _launch(self, cell: Cell) -> Sample:
        """Measure a server by itself."""
        candidate, load = self._candidates[cell.server], self._load(cell)
        if load.upstream is None or isinstance(self._crew, FleetCrew):
            return self._measure_alone(candidate, load, cell=cell)
        try:
            workers = self._crew.relaying(self._crew.cores_of(candidate))
            return measure(candidate, load, cell=cell, workers=workers)
        except CannotRun:
            self._crew.end_relaying()
            raise

    def _give_up(self, cell: Cell, reason: str) -> None:
        """Take note that a launch could not be made; its server is tried once more, and then spared this workload."""
        self.unmeasured.append(Unmeasured(cell, reason))
        self._note(self.unmeasured[-1])
        self._board.say(f"  not measured: {cell.server}, {cell.workload}: {reason}", "yellow")

    def _is_hopeless(self, cell: Cell) -> bool:
        failures = [each for each in self.unmeasured if each.cell.workload == cell.workload]
        return sum(each.cell.server == cell.server for each in failures) >= MOST_FAILURES

    def _take(self, samples: Sequence[Sample]) -> None:
        """Take note of samples."""
        launches = [Launch(sample, assess(sample)) for sample in samples]
        self.samples += samples
        self._launches = counting([*self._launches, *launches])
        for launch in launches:
            cell = launch.sample.cell
            for reason in launch.validity.invalidity if cell not in self._recorded else ():
                self._board.say(f"  invalid: {cell.server}, {cell.workload}: {reason}")

    def _show(self, cell: Cell, launches: int = 1) -> None:
        """Show what is measured next."""
        again = f", attempt {cell.attempt}" if cell.attempt > 1 else ""
        if again:
            self._board.more(self._seconds_of(cell))
        self._board.doing(f"{cell.workload}, block {cell.block + 1}{again}", launches)

    def _load(self, cell: Cell) -> Load:
        """Return what is done to a server: the same in each block, but for random arrivals."""
        load = self._loads[cell.workload]
        if load.upstream is not None:
            return replace(self.plan.given(cell.server, load), seed=cell.block)
        if load.arrivals == CLOSED:
            return load
        load = replace(load, seed=cell.block)
        if cell.workload not in OF_PEAK:
            return load
        peak_rps = self._peak_rps(cell.server)
        half = RELIEF * peak_rps
        return replace(load, rate=OF_PEAK[cell.workload] * peak_rps, warmup_rate=half, relief_rate=half)

    def _peak_rps(self, server: str) -> float:
        """Return what a server answers at most: from this run's launches, or else from a short one."""
        known = [
            throughput_rps(launch.sample)
            for launch in under(self._launches, PEAK)
            if launch.sample.cell.server == server and launch.valid
        ]
        if known:
            return median(known)
        if server not in self._short_peaks:
            load = replace(self.plan.load_of(PEAK), duration_s=PEAK_S)
            self._short_peaks[server] = max(
                1.0, throughput_rps(self._measure_alone(self._candidates[server], load))
            )
        return self._short_peaks[server]

    def _seconds_of(self, cell: Cell) -> float:
        load = self.plan.given(cell.server, self._loads[cell.workload])
        return self.plan.seconds_under(cell.workload, load)


@contextmanager
def campaign(  # noqa: PLR0913 - likewise
    candidates: Sequence[Candidate],
    plan: Plan,
    console: Console,
    keep: Callable[[Sequence[Sample]], None] = lambda _: None,
    note: Callable[[Unmeasured], None] = lambda _: None,
    loads: Mapping[str, Load] | None = None,
    recorded: Sequence[Sample] = (),
    fleet: Fleet | None = None,
) -> Iterator[Campaign]:
    """Show progress while a plan is measured, and count at the end what was measured again.

    Args:
        candidates: the servers of the plan.
        plan: what to measure.
        console: where progress is shown.
        keep: is given samples as soon as they are there.
        note: is given launches that could not be made.
        loads: what the plan's workloads do, if they are not those known by these names.
        recorded: samples of the plan that are there already: they are neither made again nor kept again.
        fleet: the workers that load the servers; None for generators beside them.
    """
    with board(console) as shown, ExitStack() as stack:
        under_way = Campaign(
            candidates,
            plan,
            loads or {name: plan.load_of(name) for name in plan.workloads},
            keep,
            note,
            shown,
            Crew(stack, plan.generators) if fleet is None else FleetCrew(fleet),
            partial(measure, generators=plan.generators)
            if fleet is None
            else partial(measure_from_many, fleet),
            recorded,
        )
        yield under_way
        found = under_way.repetition
        if found.invalid:
            shown.say(
                f"{found.invalid} of {found.made} launches were invalid; measured again: {found.repeated} of "
                f"{found.blocks} blocks, in {found.launches} launches; {found.left} cells stayed invalid"
            )
