"""Torture one server: fault after fault on one launch, and a fresh one after whatever it did not survive."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final

from harness.conformance.relay import Relay, started_relay
from harness.conformance.target import Target, patience_for
from harness.conformance.violations import Violation
from harness.errors import LaunchError
from harness.experiments.faults.accounts import ProbeFigures, judged
from harness.experiments.faults.faults import FAULTS, PATHS, UPSTREAM_TIMEOUT_S, Fault, Happening
from harness.experiments.faults.probe import Probe
from harness.experiments.faults.scene import Scene
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.machine.processes import GONE, Footprint
from harness.machine.resources import allow_files
from harness.record import FaultResult

SPARE_FILES: Final = 200
SETTLE_CHECK_S: Final = 0.02
WARM_UP_CLIENTS: Final = 20
WARM_UP_LIMIT_S: Final = 1.0
RELAYS_CLIENTS: Final = 60
"""The probe, and all that ask beside it."""

BESIDE: Final = "beside"
ALONE: Final = "alone"
AFTER: Final = "after"


def torture(
    candidate: Candidate,
    faults: Sequence[Fault] = FAULTS,
    scale: float = 1.0,
    progress: Callable[[FaultResult], None] = lambda _: None,
    patience_s: float | None = None,
) -> list[FaultResult]:
    """Let faults happen to one server, one after the other.

    Args:
        candidate: the server.
        faults: which.
        scale: of the full number of clients, and of the time that a fault lasts.
        progress: is told of each result.
        patience_s: how long to wait for anything; generous, by how long the server took to start, if not given.

    Raises:
        LaunchError: the server cannot be started, or this machine does not allow as many open files.
    """
    at_once = [sized(fault, scale) for fault in faults if fault.name != "resets"]
    allow_files(max(at_once, default=0) + SPARE_FILES)
    results: list[FaultResult] = []
    left = [fault for fault in faults if candidate.can_relay or not fault.of_relays]
    while left:
        with running(candidate, patience_s, as_relay=left[0].of_relays) as target:
            before = warmed_up(target)
            while left and left[0].of_relays == isinstance(target, Relay):
                fault = left.pop(0)
                results.append(endure(target, fault, scale, before))
                progress(results[-1])
                if fault.ends_server or not results[-1].survived:
                    break
                before = before if isinstance(target, Relay) else target.footprint()
    return results


@contextmanager
def running(candidate: Candidate, patience_s: float | None, *, as_relay: bool) -> Iterator[Target]:
    """Offer an instance of the server, or one that asks an upstream, which answers everything at once."""
    with launch(candidate) as launched:
        target = Target(candidate, launched.address, launched, patience_s or patience_for(launched))
        if not as_relay:
            yield target
            return
        clients = {"max_clients": RELAYS_CLIENTS} if target.serves_several else {}
        with (
            started_relay(target, {"upstream_timeout_s": UPSTREAM_TIMEOUT_S, **clients}) as relay,
            relay.upstream.answering(),
        ):
            yield relay


def sized(fault: Fault, scale: float) -> int:
    """Return the size of a fault at a scale: as many as there are bad paths, at least."""
    return max(len(PATHS), round(fault.size * scale))


def endure(target: Target, fault: Fault, scale: float, before: Footprint) -> FaultResult:
    """Let one fault happen, and say what came of it."""
    started = time.monotonic()
    said_before = len(target.server.error_output())
    served = target.has("concurrent") or fault.must_be_served
    scene = Scene(target, sized(fault, scale), scale, served)
    place = BESIDE if target.has("concurrent") else AFTER if fault.must_be_served else ALONE
    probe = Probe(target.address, target.patience_s)
    try:
        with closing(fault.happen(scene)) as happening:
            happen(happening, probe, place, scene)
    except (Violation, TimeoutError) as trouble:
        scene.troubles.append(str(trouble))
    except GONE:
        pass  # that it has ended is told below
    all_leave(target)
    after = aftermath(scene, fault, before, said_before)
    if probe.figures.refused and not fault.of_relays:
        scene.troubles.append("the probe was told of an upstream that is none")
    if scene.stopped_ns is None and probe.figures.cut_off:
        scene.troubles.append("the server closed on the probe")
    seconds = round(time.monotonic() - started, 2)
    return judged(result_of(fault, scene, place, probe.figures, before, after, seconds))


def result_of(  # noqa: PLR0913 - all that is known
    fault: Fault,
    scene: Scene,
    place: str,
    figures: ProbeFigures,
    before: Footprint,
    after: Footprint | None,
    seconds: float,
) -> FaultResult:
    """Put together what came of a fault; it is judged elsewhere."""
    return FaultResult(
        server=scene.target.candidate.label,
        fault=fault.name,
        title=fault.title,
        size=scene.size,
        place=place,
        survived=False,
        reasons=tuple(scene.troubles),
        seconds=seconds,
        probe_checked=figures.checked,
        probe_lost=lost_by_the_probe(figures, scene),
        probe_duplicated=figures.duplicated,
        probe_wrong=figures.wrong,
        probe_median_ns=figures.median_ns,
        probe_worst_ns=figures.worst_ns,
        others_checked=scene.others.checked,
        others_lost=scene.others.lost,
        others_wrong=scene.others.wrong,
        descriptors_before=before.descriptors,
        descriptors_after=after and after.descriptors,
        threads_before=before.threads,
        threads_after=after and after.threads,
        memory_before_bytes=before.memory_bytes,
        memory_after_bytes=after and after.memory_bytes,
        stop_took_s=scene.stop_took_s,
        refused=figures.refused + scene.refused,
    )


def happen(happening: Happening, probe: Probe, place: str, scene: Scene) -> None:
    """Bring the fault and the probe together, as far as the server has places."""
    if place == AFTER:
        finish(happening)
    with probe:
        if place == ALONE:
            next(happening)
        elif place == BESIDE:
            finish(happening)
        else:
            scene.hold()
    if place == ALONE:
        finish(happening)


def finish(happening: Happening) -> None:
    """Go through all that is left of a fault."""
    for _ in happening:
        pass


def aftermath(scene: Scene, fault: Fault, before: Footprint, said_before: int) -> Footprint | None:
    """Wait until the server is at rest, and note what speaks against it; None if it has ended."""
    server = scene.target.server
    after = settled(scene.target, before, scene.target.patience_s)
    if after is None and scene.stopped_ns is None:
        scene.troubles.append(f"the server ended, exit code {server.process.wait()}")
    if after is not None and fault.ends_server:
        scene.troubles.append("the server did not end")
    said = server.error_output()[said_before:]
    if "Traceback" in said and not fault.may_log:
        scene.troubles.append(f"the server printed a traceback: {said.strip().splitlines()[-1][:200]}")
    return after


def all_leave(target: Target) -> None:
    """Close what clients are left."""
    for peer in target.peers:
        peer.close()
    target.peers.clear()


def lost_by_the_probe(figures: ProbeFigures, scene: Scene) -> int:
    """Count what was never answered: of a server that was told to stop, what it had received by then."""
    return sum(scene.stopped_ns is None or sent_ns < scene.stopped_ns for sent_ns in figures.unanswered_ns)


def settled(target: Target, most: Footprint, limit_s: float) -> Footprint | None:
    """Wait until descriptors and threads are at most so many, but not for ever; return what is, None without a process."""
    limit = time.monotonic() + limit_s
    while target.server.process.poll() is None:
        try:
            found = target.footprint()
        except GONE:
            continue  # it has just ended
        if found[:2] <= most[:2] or time.monotonic() > limit:
            return found
        time.sleep(SETTLE_CHECK_S)
    return None


def warmed_up(target: Target) -> Footprint:
    """Serve a few clients, so that what a library opens at its first use counts as there before; look at what is then."""
    ready = target.footprint()
    scene = Scene(target, WARM_UP_CLIENTS, 1.0, served=True)
    try:
        for _ in range(WARM_UP_CLIENTS):
            scene.converse(scene.target.connect(), b"1,2\n")
    except (Violation, TimeoutError) as trouble:
        raise LaunchError(f"{target.candidate.label} does not even serve one client: {trouble}") from None
    finally:
        all_leave(target)
    found = settled(target, ready, WARM_UP_LIMIT_S)
    if found is None:
        raise LaunchError(f"{target.candidate.label} ended after its first clients")
    if isinstance(
        target, Relay
    ):  # its pool may fill, and a driver that blocks have a thread for each connection
        to_come = target.pool - len(target.upstream.open_connections)
        return found._replace(descriptors=found.descriptors + to_come, threads=found.threads + to_come)
    return found
