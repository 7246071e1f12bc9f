"""Run cases against servers, and say of each what came of it."""

import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from queue import SimpleQueue
from typing import Final

from harness.conformance.case import Case
from harness.conformance.catalogue import CASES
from harness.conformance.target import Target, shared_target
from harness.conformance.violations import NotApplicable, StaleClaim, Violation
from harness.errors import LaunchError
from harness.launch.candidates import GREETING, STOP, Candidate
from harness.machine.processes import GONE
from harness.record import Judgement, Verdict

SIDE_BY_SIDE: Final = 8
ENDING_S: Final = 0.3
FEW_CASES: Final = 8
"""So few are judged at once; before more of them it is found out what is hopeless."""
HOPELESS: Final = {
    GREETING: "it greets nobody who says nothing",
    STOP: "it does not end when it is told to stop",
}


def judge(
    candidate: Candidate,
    cases: Sequence[Case] = CASES,
    progress: Callable[[Judgement], None] = lambda _: None,
    *,
    isolated: bool = False,
    side_by_side: int = SIDE_BY_SIDE,
) -> list[Judgement]:
    """Run cases against one server, several side by side, each worker with an instance of its own.

    Args:
        candidate: the server.
        cases: what to run.
        progress: is told of each judgement, from some thread.
        isolated: every case gets a fresh instance, for servers that a case which passes may leave unusable.
        side_by_side: how many cases are run at once.

    Raises:
        LaunchError: the server cannot even be started, or does not answer at its address.
    """
    if candidate.refusal:
        return _not_applicable(candidate, cases, progress)
    if len(cases) > FEW_CASES:
        candidate = replace(candidate, hopeless=hopeless(candidate))
    batches = batches_of(cases)
    workers = 1 if candidate.address is not None else min(side_by_side, len(batches))
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        idle: SimpleQueue[JudgingWorker] = SimpleQueue()
        for _ in range(workers):
            idle.put(stack.enter_context(JudgingWorker(candidate, isolated=isolated)))

        def run_batch(batch: Sequence[Case]) -> list[Judgement]:
            worker = idle.get()
            try:
                return [worker.judge(case, progress) for case in batch]
            finally:
                idle.put(worker)

        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        # The longest waits come last in the catalogue: start with them. The order of the results is the catalogue's.
        futures = [pool.submit(run_batch, batch) for batch in reversed(batches)]
        found = {judgement.case: judgement for future in futures for judgement in future.result()}
        return [found[case.id] for case in cases]


def _not_applicable(
    candidate: Candidate, cases: Sequence[Case], progress: Callable[[Judgement], None]
) -> list[Judgement]:
    """Say of a server that cannot run on its interpreter why no case applies to it."""
    judgements = [
        Judgement(candidate.label, case.id, case.title, case.level, Verdict.NOT_APPLICABLE, candidate.refusal)
        for case in cases
    ]
    for judgement in judgements:
        progress(judgement)
    return judgements


def batches_of(cases: Sequence[Case]) -> list[list[Case]]:
    """Divide cases into what one worker runs after the other: each by itself, but for those that share something."""
    batches: dict[str, list[Case]] = {}
    for case in cases:
        batches.setdefault(case.shares or case.id, []).append(case)
    return list(batches.values())


def hopeless(candidate: Candidate) -> frozenset[str]:
    """Say what a server does not do at all, within the time that every case would wait for it: greet, end when told to.

    Raises:
        LaunchError: the server cannot even be started, or does not answer at its address.
    """
    found = set()
    with shared_target(candidate) as target:
        try:
            with target.connect() as peer:
                peer.greeted()
        except TimeoutError:
            found.add(GREETING)
        except Violation:
            pass  # whatever that is, cases tell
        if target.launched is not None:
            target.launched.process.terminate()
            try:
                target.launched.process.wait(target.patience_s)
            except subprocess.TimeoutExpired:
                found.add(STOP)
    return frozenset(found)


class JudgingWorker(ExitStack):
    """Holds an instance of the server, for one case at a time."""

    def __init__(self, candidate: Candidate, *, isolated: bool = False) -> None:
        """Start an instance; `isolated` gives each case a fresh one."""
        super().__init__()
        self.candidate = candidate
        self.isolated = isolated
        self._target: Target | None = self.enter_context(shared_target(candidate))

    def judge(self, case: Case, progress: Callable[[Judgement], None] = lambda _: None) -> Judgement:
        """Run one case; whatever a failure leaves behind must not count against the next one, which then starts anew."""
        target = self._target or self.enter_context(shared_target(self.candidate))
        started = time.monotonic()
        verdict, detail = run_case(case, target)
        if verdict is Verdict.TIMEOUT and self.candidate.hopeless:
            known = " and ".join(HOPELESS[each] for each in sorted(self.candidate.hopeless))
            detail = f"{detail} (tried before: {known}, so that nobody waits long for it)"
        if self.isolated or (verdict.failed and self.candidate.address is None):
            self.close()
            self._target = None
        else:
            target.peers.clear()
            target.error_outputs.clear()
            self._target = target
        seconds = time.monotonic() - started
        judgement = Judgement(self.candidate.label, case.id, case.title, case.level, verdict, detail, seconds)
        progress(judgement)
        return judgement


def run_case(case: Case, target: Target) -> tuple[Verdict, str]:
    """Run one case against one server; return the verdict and, unless it passed, why."""
    verdict, detail = _verdict_of(case, target)
    for peer in target.peers:
        peer.close()
    if verdict in {Verdict.PASS, Verdict.BY_DESIGN}:
        try:
            for peer in target.peers:
                peer.check_against_oracle()
        except Violation as violation:
            verdict, detail = Verdict.FAIL, str(violation)
    if crash := _crash_of(case, target, patience_s=ENDING_S if verdict.failed else 0):
        verdict, detail = Verdict.CRASH, crash
    if verdict.failed and (how := _reproducer(case, target)):
        detail = f"{detail} [{how}]"
    return verdict, detail


def _verdict_of(case: Case, target: Target) -> tuple[Verdict, str]:
    capability = case.capability
    lacks_it = capability is not None and not target.has(capability)
    try:
        if lacks_it and case.check_absence is not None:
            case.check_absence(target)
            return Verdict.BY_DESIGN, f"does not declare {capability!r}, and behaves so"
        case.check(target)
    except StaleClaim as claim:
        return Verdict.STALE_CLAIM, str(claim)
    except NotApplicable as reason:
        return Verdict.NOT_APPLICABLE, str(reason)
    except (Violation, TimeoutError) as violation:
        if capability is not None and target.candidate.declares is None:
            return Verdict.NOT_APPLICABLE, f"{capability!r} was not observed; the server says nothing of it"
        verdict = Verdict.TIMEOUT if isinstance(violation, TimeoutError) else Verdict.FAIL
        return verdict, str(violation)
    except LaunchError as error:
        return Verdict.CRASH, str(error)
    except GONE:
        return Verdict.CRASH, "the server has ended"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not the server's doing, and must be told
        return Verdict.HARNESS, f"{type(error).__name__}: {error}"
    return Verdict.PASS, ""


def _crash_of(case: Case, target: Target, patience_s: float) -> str:
    """Tell how a server has crashed during the case, if one has; its connections end a little before it does."""
    shared = target.launched
    if shared is not None:
        with suppress(subprocess.TimeoutExpired):
            code = shared.process.wait(patience_s)
            return f"the server ended, exit code {code}; standard error: {shared.error_output()[-500:]!r}"
    running = [each.launched for each in (target, target.relay) if each is not None and each.launched]
    outputs = [*target.error_outputs, *(each.error_output() for each in running)]
    tracebacks = [said for said in outputs if "Traceback" in said]
    if tracebacks and not case.may_log:
        return f"the server printed a traceback: {tracebacks[0][-500:]!r}"
    return ""


def _reproducer(case: Case, target: Target) -> str:
    used = [peer for peer in target.peers if peer.segments]
    if len(used) == 1 and (line := used[0].reproducer(target.endpoint)):
        return line
    return f"harness conform --case {case.id}"
