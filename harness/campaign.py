"""Measure a plan: rounds of launches with progress shown and every sample kept, until done, precise enough or out of time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.analyse import repetition
from harness.candidates import Candidate
from harness.measure import Load, measure, two_cores
from harness.plan import Cell, Plan, by_name
from harness.precision import PILOT_BLOCKS, Reach, Target, blocks_in_time, reach, sentence
from harness.record import Sample
from harness.rounds import Allowance, carry_out
from harness.validity import invalidity


class Campaign:
    """The measuring of one plan.

    Attributes:
        plan: what is measured.
        samples: all so far, invalid ones included.
        done: blocks so far, of each workload.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        plan: Plan,
        loads: Mapping[str, Load],
        keep: Callable[[Sample], None],
        progress: Progress,
    ) -> None:
        """Take the servers by label, what each workload does to them, and what to do with each sample."""
        self.plan = plan
        self.samples: list[Sample] = []
        self.done = dict.fromkeys(plan.workloads, 0)
        self._candidates = {candidate.label: candidate for candidate in candidates}
        self._loads = loads
        self._keep = keep
        self._progress = progress
        self._task = progress.add_task("measuring", total=None)
        self._allowance = Allowance()
        self._begun_s = time.monotonic()

    def carry_out(self, wanted: Mapping[str, int], until_s: float | None = None) -> None:
        """Measure so many blocks of each workload in all; no new ones after a moment of the monotonic clock."""
        rounds = self.plan.rounds(wanted, self.done)
        self._progress.update(self._task, total=len(self.samples) + sum(map(len, rounds)))
        out_of_time = (lambda: time.monotonic() > until_s) if until_s is not None else (lambda: False)
        carry_out(self.plan, rounds, self._measure, self._allowance, out_of_time)
        for cells in rounds:
            workload, block = cells[0].workload, cells[0].block
            if any((sample.workload, sample.block) == (workload, block) for sample in self.samples):
                self.done[workload] = max(self.done[workload], block + 1)

    def reach(self, target: Target) -> None:
        """Measure a pilot, and then what the target takes, as far as time allows; say how far that was."""
        until_s = time.monotonic() + target.within_s
        wanted = dict.fromkeys(self.plan.workloads, PILOT_BLOCKS)
        while wanted != self.done and time.monotonic() <= until_s:
            self.carry_out(wanted, until_s)
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

    def _tell(self, found: Reach, target: Target) -> None:
        more_s = (found.needed - found.blocks) * self._seconds_per_block()[found.workload]
        if found.reached:
            self._say(sentence(found, target))
        else:
            self._say(f"{sentence(found, target)}, {more_s / 60:,.0f} minutes more", "yellow")

    def _say(self, text: str, style: str = "") -> None:
        self._progress.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _reaches(self, target: Target) -> list[Reach]:
        found = [reach(self.samples, workload, target) for workload in self.plan.workloads]
        return [one for one in found if one is not None]

    def _seconds_per_block(self) -> dict[str, float]:
        """Return what a block of each workload has taken so far, with its share of what was measured again."""
        first = sum(sample.attempt == 1 for sample in self.samples)
        per_launch_s = (time.monotonic() - self._begun_s) / max(1, first)
        launches = {name: sum(map(len, self.plan.rounds_of(0, name))) for name in self.plan.workloads}
        return {name: per_launch_s * launches[name] for name in self.plan.workloads}

    def _measure(self, cell: Cell) -> Sample:
        again = f", attempt {cell.attempt}" if cell.attempt > 1 else ""
        self._progress.update(self._task, description=f"{cell.workload}, block {cell.block + 1}{again}")
        sample = replace(
            measure(
                self._candidates[cell.server],
                self._loads[cell.workload],
                block=cell.block,
                workload=cell.workload,
            ),
            attempt=cell.attempt,
        )
        self._keep(sample)
        self.samples.append(sample)
        for reason in invalidity(sample):
            self._say(f"  invalid: {cell.server}, {cell.workload}: {reason}")
        if cell.attempt > 1:
            self._progress.update(self._task, total=(self._progress.tasks[self._task].total or 0) + 1)
        self._progress.advance(self._task)
        return sample


@contextmanager
def campaign(
    candidates: Sequence[Candidate],
    plan: Plan,
    console: Console,
    keep: Callable[[Sample], None] = lambda _: None,
    loads: Mapping[str, Load] | None = None,
) -> Iterator[Campaign]:
    """Show progress while a plan is measured, and count at the end what was measured again.

    Args:
        candidates: the servers of the plan.
        plan: what to measure.
        console: where progress is shown.
        keep: is given each sample as soon as there is one.
        loads: what the plan's workloads do, if they are not those known by these names.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("launches,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console) as progress:
        under_way = Campaign(candidates, plan, loads or loads_of(plan), keep, progress)
        yield under_way
        found = repetition(under_way.samples)
        if found.invalid:
            progress.console.print(
                f"{found.invalid} of {len(under_way.samples)} launches were invalid; measured again: {found.repeated} of "
                f"{found.blocks} blocks, in {found.launches} launches; {found.left} cells stayed invalid",
                highlight=False,
                soft_wrap=True,
            )


def loads_of(plan: Plan) -> dict[str, Load]:
    """Return what a plan's workloads do to a server, on this machine's cores."""
    server_cores, generator_cores = two_cores()
    return {
        name: Load(
            clients=by_name(name).clients,
            pipeline=by_name(name).pipeline,
            warmup_s=plan.warmup_s,
            duration_s=plan.duration_s,
            server_cores=server_cores,
            generator_cores=generator_cores,
        )
        for name in plan.workloads
    }
