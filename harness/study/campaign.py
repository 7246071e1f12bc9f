"""Measure a plan: rounds of launches with progress shown and every sample kept, until done, precise enough or out of time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Final

from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from harness.analyse.blocks import Launch, Repetition, repetition, under
from harness.analyse.precision import PILOT_BLOCKS, Reach, blocks_in_time, reach, sentence
from harness.analyse.samples.metrics import throughput_rps
from harness.analyse.samples.validity import assess
from harness.launch.candidates import Candidate
from harness.plan import CLOSED, OF_PEAK, PEAK, RELIEF, Cell, Load, Plan, launch_seconds
from harness.record import PrecisionGoal, Sample
from harness.study.cell import measure
from harness.study.rounds import Allowance, run_rounds

PEAK_S: Final = 0.5
"""So long is a server's peak measured if it is needed and not known."""


class Campaign:
    """The measuring of one plan.

    Attributes:
        plan: what is measured.
        samples: all so far, invalid ones included.
        done: blocks so far, of each workload.
    """

    def __init__(  # noqa: PLR0913 - what is measured, how, and what becomes of it
        self,
        candidates: Sequence[Candidate],
        plan: Plan,
        loads: Mapping[str, Load],
        keep: Callable[[Sample], None],
        progress: Progress,
        recorded: Sequence[Sample] = (),
    ) -> None:
        """Take the servers, what each workload does to them, what to do with each sample, and what was measured before."""
        self.plan = plan
        self.samples: list[Sample] = []
        self._launches: list[Launch] = []
        self.done = dict.fromkeys(plan.workloads, 0)
        self._candidates = {candidate.label: candidate for candidate in candidates}
        self._loads = loads
        self._keep = keep
        self._progress = progress
        self._task = progress.add_task("measuring", total=None, launches=0, of=0)
        self._recorded = {sample.cell: sample for sample in recorded}
        self._short_peaks: dict[str, float] = {}
        self._allowance = Allowance()
        self._begun_s = time.monotonic()

    def measure_blocks(self, wanted: Mapping[str, int], until_s: float | None = None) -> None:
        """Measure so many blocks of each workload in all; no new ones after a moment of the monotonic clock."""
        rounds = self.plan.rounds(wanted, self.done)
        cells = [cell for each in rounds for cell in each]
        to_come_s = sum(self._seconds_of(cell) for cell in cells if cell not in self._recorded)
        task = self._progress.tasks[self._task]
        self._progress.update(self._task, total=task.completed + to_come_s, of=len(self.samples) + len(cells))
        out_of_time = (lambda: time.monotonic() > until_s) if until_s is not None else (lambda: False)
        run_rounds(self.plan, rounds, self._measure, self._allowance, out_of_time)
        for measured in rounds:
            workload, block = measured[0].workload, measured[0].block
            if any((sample.cell.workload, sample.cell.block) == (workload, block) for sample in self.samples):
                self.done[workload] = max(self.done[workload], block + 1)

    def reach(self, target: PrecisionGoal) -> None:
        """Measure a pilot, and then what the target takes, as far as time allows; say how far that was."""
        until_s = time.monotonic() + target.within_s
        wanted = dict.fromkeys(self.plan.workloads, PILOT_BLOCKS)
        while wanted != self.done and time.monotonic() <= until_s:
            self.measure_blocks(wanted, until_s)
            needed = {found.workload: found.needed for found in self._reaches(target)}
            left_s = until_s - time.monotonic()
            wanted = blocks_in_time(needed, self.done, self._seconds_per_block(), left_s)
        found = {one.workload: one for one in self._reaches(target)}
        for workload in self.plan.workloads:
            if workload in found:
                self._tell(found[workload], target)
            elif any(len(cells) > 1 for cells in self.plan.rounds_of(0, workload)):
                self._say(
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
            self._say(sentence(found, target))
        else:
            self._say(f"{sentence(found, target)}, {more_s / 60:,.0f} minutes more", "yellow")

    def _say(self, text: str, style: str = "") -> None:
        self._progress.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _reaches(self, target: PrecisionGoal) -> list[Reach]:
        found = [reach(self._launches, workload, target) for workload in self.plan.workloads]
        return [one for one in found if one is not None]

    def _seconds_per_block(self) -> dict[str, float]:
        """Return what a block of each workload has taken so far, with its share of what was measured again."""
        first = sum(sample.cell.attempt == 1 for sample in self.samples)
        per_launch_s = (time.monotonic() - self._begun_s) / max(1, first)
        launches = {name: sum(map(len, self.plan.rounds_of(0, name))) for name in self.plan.workloads}
        return {name: per_launch_s * launches[name] for name in self.plan.workloads}

    def _measure(self, cell: Cell) -> Sample:
        """Make a launch, unless that has been done before the run was resumed."""
        known = self._recorded.get(cell)
        self._show(cell, f", attempt {cell.attempt}" if cell.attempt > 1 else "")
        sample = known or measure(self._candidates[cell.server], self._load(cell), cell=cell)
        launch = Launch(sample, assess(sample))
        self.samples.append(sample)
        self._launches.append(launch)
        if known is None:
            self._keep(sample)
            for reason in launch.validity.invalidity:
                self._say(f"  invalid: {cell.server}, {cell.workload}: {reason}")
            self._progress.advance(self._task, self._seconds_of(cell))
        return sample

    def _show(self, cell: Cell, again: str) -> None:
        task = self._progress.tasks[self._task]
        of, total = task.fields["of"], task.total or 0
        if again:
            of += 1
            total += 0 if cell in self._recorded else self._seconds_of(cell)
        self._progress.update(
            self._task,
            description=f"{cell.workload}, block {cell.block + 1}{again}",
            total=total,
            launches=len(self.samples) + 1,
            of=of,
        )

    def _load(self, cell: Cell) -> Load:
        """Return what is done to a server: the same in each block, but for random arrivals."""
        load = self._loads[cell.workload]
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
            self._short_peaks[server] = max(1.0, throughput_rps(measure(self._candidates[server], load)))
        return self._short_peaks[server]

    def _seconds_of(self, cell: Cell) -> float:
        return launch_seconds(self._loads[cell.workload])


@contextmanager
def campaign(  # noqa: PLR0913 - likewise
    candidates: Sequence[Candidate],
    plan: Plan,
    console: Console,
    keep: Callable[[Sample], None] = lambda _: None,
    loads: Mapping[str, Load] | None = None,
    recorded: Sequence[Sample] = (),
) -> Iterator[Campaign]:
    """Show progress while a plan is measured, and count at the end what was measured again.

    Args:
        candidates: the servers of the plan.
        plan: what to measure.
        console: where progress is shown.
        keep: is given each sample as soon as there is one.
        loads: what the plan's workloads do, if they are not those known by these names.
        recorded: samples of the plan that are there already: they are neither made again nor kept again.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[launches]}/{task.fields[of]} launches,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console) as progress:
        under_way = Campaign(
            candidates,
            plan,
            loads or {name: plan.load_of(name) for name in plan.workloads},
            keep,
            progress,
            recorded,
        )
        yield under_way
        found = under_way.repetition
        if found.invalid:
            progress.console.print(
                f"{found.invalid} of {found.made} launches were invalid; measured again: {found.repeated} of "
                f"{found.blocks} blocks, in {found.launches} launches; {found.left} cells stayed invalid",
                highlight=False,
                soft_wrap=True,
            )
