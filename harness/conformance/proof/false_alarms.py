"""False alarms: the suite on servers that conform, again and again, while the machine is busy.

A failure there is the suite's own. The number of runs and failures is published with the suite: none in 200 runs says
that, with 95 % confidence, fewer than 1.5 % of runs raise one.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from harness.errors import LaunchError
from harness.launch.candidates import Candidate
from harness.machine.spinning import spinning
from harness.record import PROJECT, AlarmRun, Verdict, append_to_log, fingerprint, read_log

Process = subprocess.Popen[str]

LOG: Final = PROJECT / "results/false_alarms.jsonl"
SUITE: Final = "harness.conformance.judge"
"""What it reaches decides on a verdict, the servers excepted."""
OPTIONS: Final[tuple[str, ...]] = ()
"""Of the suite's command: none."""


def suite_hash() -> str:
    """Return a hash of the sources that a verdict depends on, the servers' excepted."""
    return fingerprint(SUITE)


def read_alarm_runs(log: Path = LOG) -> list[AlarmRun]:
    """Read what was recorded so far; a last line that was cut off by an interruption does not count."""
    return read_log(AlarmRun, log)


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
    suite = suite_hash()
    done = [run for run in read_alarm_runs(log) if run.suite == suite]
    turns = [candidates[number % len(candidates)] for number in range(len(done), runs)]
    with busy_cores(), ThreadPoolExecutor(at_once) as pool, running_suites() as suites, ExitStack() as stack:
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        for finished in as_completed([pool.submit(_run, suite, candidate, suites) for candidate in turns]):
            done.append(finished.result())
            append_to_log(done[-1], log)
            progress(done[-1])
    return done


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
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl-C is for us, who then end it
    ) as process:
        suites.add(process)
        written, said = process.communicate()
        suites.discard(process)
    if not written:
        raise LaunchError(said.strip().rpartition("\n")[2] or f"it ended with {process.returncode}")
    verdicts: list[dict[str, Any]] = json.loads(written)
    return verdicts


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
        load=round(os.getloadavg()[0] / (os.cpu_count() or 1), 1),
    )
