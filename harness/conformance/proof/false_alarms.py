"""False alarms: the suite on servers that conform, again and again, while the machine is busy.

A failure there is the suite's own. The number of runs and failures is published with the suite: none in 200 runs says
that, with 95 % confidence, fewer than 1.5 % of runs raise one.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Final

from harness.conformance.catalogue import CASES, selected_cases
from harness.conformance.judge import JudgingWorker
from harness.conformance.proof.states import suite_state
from harness.errors import LaunchError
from harness.launch.candidates import Candidate
from harness.machine.guard import be_guarded
from harness.machine.spinning import spinning
from harness.record import PROJECT, AlarmRun, CaseAlarms, SuiteState, Verdict, append_to_log, read_log

Process = subprocess.Popen[str]

LOG: Final = PROJECT / "results/false_alarms.jsonl"
STATES: Final = "suite_states.jsonl"
"""Beside the log: what the suite was like in each of its runs."""
ENOUGH_RUNS: Final = 200
STALE_AT_ONCE: Final = 16
WHOLE: Final = len(CASES)
OPTIONS: Final[tuple[str, ...]] = ()
"""Of the suite's command: none."""


def read_alarm_runs(log: Path = LOG) -> list[AlarmRun]:
    """Read what was recorded so far; a last line that was cut off by an interruption does not count."""
    return read_log(AlarmRun, log)


def standing_runs(log: Path = LOG) -> tuple[list[AlarmRun], list[CaseAlarms]]:
    """Return the runs that tell of a case as it is now, and what they come to for each case."""
    now = suite_state()
    then = {state.suite: state.cases for state in read_log(SuiteState, log.with_name(STATES))}
    runs, alarms, used = Counter[str](), Counter[str](), []
    for run in read_alarm_runs(log):
        cases = then.get(run.suite, {})
        judged = [case for case in run.only or cases if cases.get(case) == now.cases.get(case, "")]
        if judged:
            used.append(run)
            runs.update(dict.fromkeys(judged, run.times))
            alarms.update(case for case in map(case_of_alarm, run.alarms) if case in judged)
    return used, [CaseAlarms(case.id, now.cases[case.id], runs[case.id], alarms[case.id]) for case in CASES]


def case_of_alarm(alarm: str) -> str:
    """Return the case that an alarm, `VERDICT CASE: detail`, is of."""
    return alarm.split(":", maxsplit=1)[0].split()[1]


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy with somebody else's work."""
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            stack.enter_context(spinning())
        yield


def run_until(
    runs: int,
    candidates: Sequence[Candidate],
    log: Path = LOG,
    at_once: int = 1,
    progress: Callable[[AlarmRun], None] = lambda _: None,
) -> list[AlarmRun]:
    """Run the suite until so many runs of its present sources are on record; return all of them.

    Args:
        runs: how many there shall be in all.
        candidates: servers that conform; they take turns.
        log: a line for each run; what is there already counts.
        at_once: how many suites run beside each other, to make the machine busier still.
        progress: is told of each run.
    """
    suite = note_state(log)
    done = [run for run in read_alarm_runs(log) if run.suite == suite and not run.only]
    turns = [candidates[number % len(candidates)] for number in range(len(done), runs)]
    with busy_cores(), ThreadPoolExecutor(at_once) as pool, running_suites() as suites, ExitStack() as stack:
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        for finished in as_completed([pool.submit(_run, suite, candidate, suites) for candidate in turns]):
            done.append(finished.result())
            append_to_log(done[-1], log)
            progress(done[-1])
    return done


def run_stale(
    runs: int,
    candidates: Sequence[Candidate],
    log: Path = LOG,
    at_once: int = STALE_AT_ONCE,
    progress: Callable[[AlarmRun], None] = lambda _: None,
) -> list[CaseAlarms]:
    """Run each case until it has met servers so many times as it is now; return how often each has, and was wrong.

    Args:
        runs: how many there shall be of each case.
        candidates: servers that conform; they share the runs.
        log: a line for each part of the work; what is there already counts.
        at_once: how many servers are judged beside each other, each by one case at a time.
        progress: is told of each part.
    """
    suite = note_state(log)
    missing = Counter({each.case: runs - each.runs for each in standing_runs(log)[1] if each.runs < runs})
    stopped = Event()
    with busy_cores(), ThreadPoolExecutor(at_once) as pool, ExitStack() as stack:
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        stack.callback(stopped.set)
        parts = [
            pool.submit(_run_cases, suite, candidate, cases, times, stopped)
            for candidate, cases, times in shared_out(missing, candidates)
        ]
        for finished in as_completed(parts):
            append_to_log(finished.result(), log)
            progress(finished.result())
    return standing_runs(log)[1]


Share = tuple[Candidate, tuple[str, ...], int]
"""A server, cases, and how often each of them is run on it."""


def shared_out(missing: Mapping[str, int], candidates: Sequence[Candidate]) -> list[Share]:
    """Share runs of cases out: to each server as many, in parts of as many verdicts at most as the suite has cases."""
    shares: list[Share] = []
    for count in sorted(set(missing.values())):
        cases = tuple(case for case, runs in missing.items() if runs == count)
        at_a_time = max(1, WHOLE // len(cases))
        for number, candidate in enumerate(candidates):
            share = count // len(candidates) + (number < count % len(candidates))
            while share:
                times = min(share, at_a_time)
                shares.append((candidate, cases, times))
                share -= times
    return shares


def note_state(log: Path) -> str:
    """Write down what the suite is like, unless that is known; return its hash."""
    now, states = suite_state(), log.with_name(STATES)
    if now not in read_log(SuiteState, states):
        append_to_log(now, states)
    return now.suite


@contextmanager
def running_suites() -> Iterator[set[Process]]:
    """Offer a place for the suites that run, and end those that still do when nobody waits for them any more."""
    suites: set[Process] = set()
    try:
        yield suites
    finally:
        for process in tuple(suites):
            process.terminate()


def verdicts_of(candidate: Candidate, suites: set[Process]) -> list[dict[str, Any]]:
    """Run the suite as users do, in a process of its own: several in one would wait for each other.

    What it writes counts, whatever its exit code: a verdict that is the suite's own failure is an alarm, too.

    Raises:
        LaunchError: it could not be run.
    """
    command = [sys.executable, "-m", "harness", "conform", *candidate.words, *OPTIONS, "--json", "-"]
    be_guarded()
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        process_group=0,  # Ctrl-C is for us, who then end it
    ) as process:
        suites.add(process)
        written, said = process.communicate()
        suites.discard(process)
    if not written:
        raise LaunchError(said.strip().rpartition("\n")[2] or f"it ended with {process.returncode}")
    verdicts: list[dict[str, Any]] = json.loads(written)
    return verdicts


def _run_cases(
    suite: str, candidate: Candidate, case_ids: tuple[str, ...], times: int, stopped: Event
) -> AlarmRun:
    started = time.monotonic()
    with JudgingWorker(candidate) as worker:
        verdicts = [
            worker.judge(case)
            for _ in range(times)
            for case in selected_cases(case_ids)
            if not stopped.is_set()
        ]
    return AlarmRun(
        suite=suite,
        server=candidate.label,
        cases=len(verdicts),
        alarms=tuple(
            f"{each.verdict} {each.case}: {each.detail}" for each in verdicts if each.verdict.failed
        ),
        seconds=round(time.monotonic() - started, 1),
        load=load_per_core(),
        only=case_ids,
        times=times,
    )


def load_per_core() -> float:
    """Return how many processes wanted a core, on average over the last minute, per core."""
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 1)


def _run(suite: str, candidate: Candidate, suites: set[Process]) -> AlarmRun:
    started = time.monotonic()
    verdicts = verdicts_of(candidate, suites)
    return AlarmRun(
        suite=suite,
        server=candidate.label,
        cases=len(verdicts),
        alarms=tuple(
            f"{each['verdict']} {each['case']}: {each['detail']}"
            for each in verdicts
            if Verdict(each["verdict"]).failed
        ),
        seconds=round(time.monotonic() - started, 1),
        load=load_per_core(),
    )
