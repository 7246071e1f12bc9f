"""What is kept of a run: frozen data, and the files that hold it. `results/README.md` describes them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from harness.errors import CannotRun
from harness.record.conformance import AlarmRun, Finding, Proof, Trial
from harness.record.costs import Arm, Crowd, EffectResult, Holding, Lifetime, LoadCosts, ServerCosts
from implementations import ONE_CORE

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA: Final = 2
MANIFEST: Final = "manifest.json"
SAMPLES: Final = "samples.jsonl"
CONFORMANCE: Final = "conformance.json"
PROOF: Final = "suite.json"
TORTURE: Final = "torture.json"
SELFTEST: Final = "selftest.json"
LIMITS: Final = "limits.json"
COSTS: Final = "costs.json"
EFFECTS: Final = "effects.json"

BUCKETS_PER_DOUBLING: Final = 64
"""A histogram's buckets are so many for each power of two: a value is known to within 1.6 %."""

Histogram = dict[int, int]
"""How many values fall into each bucket; `bucket_of` numbers the buckets."""

Times = npt.NDArray[np.int64]


class ResultsError(CannotRun):
    """Results that cannot be read: exit code 3."""


@dataclass(frozen=True)
class Sample:
    """One launch of one server under one workload. Times are of the measuring window unless it says otherwise.

    Attributes:
        block, server, workload: its place in the plan.
        clients, pipeline: the workload's size.
        arrivals: "closed": a closed loop; "constant" or "poisson": an open one.
        rate: requests per second that the open loop was to send in the window; 0 in a closed loop.
        seed: of random arrivals.
        generators: how many processes loaded the server.
        pinned: server and generator had a core each.
        timeout_s: how long a reply was waited for.
        warmup_s: the time before the window.
        window_s: the measuring window: as it was in a closed loop, as planned in an open one.
        offered: requests that were intended in the window; in a closed loop, the answered ones.
        answered: requests answered in the window.
        answered_in_warmup: requests answered before it.
        late: in an open loop, requests intended in the window and sent more than 1 ms later, whoever was to blame.
        censored: requests intended in the window and never answered rightly, whose response times are therefore not
            known; in a closed loop, all that were sent and never answered rightly.
        planned, sent, never_sent: all requests of the launch; planned = sent + never_sent.
        ok, wrong, error, timeout, in_flight: what became of those that were sent; sent is their sum.
        fault: the first thing that went wrong, in words.
        series: requests answered in each twentieth of the window.
        warmup_series: the same before the window, in steps of the same length, the last one perhaps shorter.
        response_slices_ns: in an open loop, the 99 % quantile of the responses of the requests intended in each
            hundredth of the window; 0 if none was answered.
        server_cpu_ns, generator_cpu_ns: CPU time used in the window; the server's from its CPU clock, all threads; that
            of all generators together.
        generator_spin_ns: of the generators' time, what they spent waiting busily, so as to be on time.
        switches_voluntary, switches_involuntary: of the server, while all requests of the launch were served.
        startup_s: from starting the process to its readiness line.
        connect_s: to connect all clients one after the other, greetings included.
        memory_ready_bytes: the server's resident memory before any client.
        memory_connected_bytes: the same with all clients connected, before any request.
        memory_peak_bytes: the most it ever was.
        threads, descriptors: of the server with all clients connected.
        steal_share: of all cores' time, what the hypervisor gave to others.
        response_ns: from the time a request was intended to its reply. In an open loop these four are of the requests
            intended in the window, whenever they were answered: offered = their number + censored. In a closed loop a
            request is intended when it can be sent, and they are of those answered in the window.
        service_ns: from the time it was sent to its reply.
        queueing_ns: from the time it was intended to the time its connection was free: the server's fault.
        lag_ns: from the time it could be sent to the time it was: the generator's own delay.
        response_repeats_ns: those of response_ns that waited through the same stall as a longer one: a stall of the
            server is one observation, however many requests were in flight (see `tally.repeats`).
        response_sum_ns: of all responses, exactly.
        response_max_ns, service_max_ns, queueing_max_ns, lag_max_ns: the largest of each, exactly.
        foreign_share: of the time of the cores of server and generator, or of the generator's alone if that is more, what
            other processes took, in the window.
        attempt: 1, or more if the block was measured again since a launch of it was invalid.
        churn: each request came on a connection of its own, `clients` of them at a time.
        connect_ns: with churn, from the time a request was intended, and its connection begun, to the greeting.
        fairness_jain: of the clients' answers in the window, in a closed loop of several: Jain's index.
        worst_client_share: likewise, what the one with the fewest answers got, as a share of the mean.
        company, company_clients: the kind and the number of clients in the background; "" and 0 if there were none.
        company_asked, company_ok, company_wrong, company_error: what became of all their requests; asked is the sum.
        company_fault: the first thing that went wrong with them, in words.
        server_user_ns, server_system_ns: the server's CPU time, divided by what the kernel saw at its ticks: sampled 100
            times a second, so approximate.
        memory_series_bytes: the server's resident memory, read once a second in the window.
        relief_s: how much longer an open loop went on, at a lower rate, after the window.
        recovery_s: after the window, until 99 % of the responses took 10 ms or less for good; all of relief_s if they
            did not; None if there was no relief.
        regime: "one core" or "all cores": what the server may use. Figures of different regimes are never compared.
        server_cores: how many cores that is.
    """

    block: int
    server: str
    workload: str
    clients: int
    pipeline: int
    arrivals: str
    rate: float
    seed: int
    generators: int
    pinned: bool
    timeout_s: float
    warmup_s: float
    window_s: float
    offered: int
    answered: int
    answered_in_warmup: int
    late: int
    censored: int
    planned: int
    sent: int
    never_sent: int
    ok: int
    wrong: int
    error: int
    timeout: int
    in_flight: int
    fault: str
    series: tuple[int, ...]
    warmup_series: tuple[int, ...]
    response_slices_ns: tuple[int, ...]
    server_cpu_ns: int
    generator_cpu_ns: int
    generator_spin_ns: int
    switches_voluntary: int
    switches_involuntary: int
    startup_s: float
    connect_s: float
    memory_ready_bytes: int
    memory_connected_bytes: int
    memory_peak_bytes: int
    threads: int
    descriptors: int
    steal_share: float
    response_ns: Histogram
    service_ns: Histogram
    queueing_ns: Histogram
    lag_ns: Histogram
    response_sum_ns: int
    response_max_ns: int
    service_max_ns: int
    queueing_max_ns: int
    lag_max_ns: int
    attempt: int = 1
    foreign_share: float = 0.0
    response_repeats_ns: Histogram = field(default_factory=dict)
    churn: bool = False
    connect_ns: Histogram = field(default_factory=dict)
    fairness_jain: float | None = None
    worst_client_share: float | None = None
    company: str = ""
    company_clients: int = 0
    company_asked: int = 0
    company_ok: int = 0
    company_wrong: int = 0
    company_error: int = 0
    company_fault: str = ""
    server_user_ns: int = 0
    server_system_ns: int = 0
    memory_series_bytes: tuple[int, ...] = ()
    relief_s: float = 0.0
    recovery_s: float | None = None
    regime: str = ONE_CORE
    server_cores: int = 1


@dataclass(frozen=True)
class ServerFacts:
    """What is known of a server besides its figures.

    Attributes:
        code_lines: lines of code, without blank lines, comments and docstrings.
        code_branches: places where its code branches; `environment.code_branches` says what counts.
        factors: what besides its model has a share in its figures, by name: event loop, API level, ...
        regime: "one core" or "all cores".
        most_clients: how many it can serve at once, if that is known to be limited.
    """

    label: str
    model: str
    declares: tuple[str, ...]
    command: str
    file: str
    code_lines: int
    source_hash: str
    code_branches: int = 0
    factors: dict[str, str] = field(default_factory=dict)
    regime: str = ONE_CORE
    most_clients: int | None = None


@dataclass(frozen=True)
class Environment:
    """Where a run was made."""

    python: str
    libraries: dict[str, str]
    kernel: str
    cpu: str
    cores: int
    server_cores: tuple[int, ...]
    generator_cores: tuple[int, ...]
    memory_bytes: int
    open_files_limit: tuple[int, int]


@dataclass(frozen=True)
class Manifest:
    """What a run was meant to do, where and when.

    Attributes:
        complete: every cell of the plan was measured.
        blocks: of the workload that has the most.
        planned_cells: launches, those not counted that were made again.
        seconds: how long it took, the conformance gate included; of several sittings together, if it was resumed.
        precision, precision_of, within_minutes: the half-width that was asked for, of which metric, and the time for
            it; None and empty if the number of blocks was given.
        blocks_of: of each workload, as planned; empty if all were to have the same.
        harness_hash: of the harness's own sources.
        resumed: how often it was interrupted, and gone on with.
        twin_of, twin: a server that was measured under two names, and the second name; empty if none was.
        remark: what else a reader has to know of how this run came about.
    """

    schema: int
    started: str
    command: tuple[str, ...]
    revision: str
    servers: tuple[ServerFacts, ...]
    workloads: tuple[str, ...]
    blocks: int
    warmup_s: float
    duration_s: float
    seed: int
    planned_cells: int
    environment: Environment
    complete: bool
    seconds: float
    precision: float | None = None
    precision_of: str = ""
    within_minutes: float | None = None
    blocks_of: dict[str, int] = field(default_factory=dict)
    harness_hash: str = ""
    remark: str = ""
    resumed: int = 0
    twin_of: str = ""
    twin: str = ""


@dataclass(frozen=True)
class Verdict:
    """One cell of the conformance matrix, and how long it took."""

    server: str
    case: str
    title: str
    level: str
    verdict: str
    detail: str
    seconds: float = 0.0


@dataclass(frozen=True)
class FaultResult:
    """What one fault did to one server.

    Attributes:
        server, fault, title: which of each; the title in words.
        size: how many clients the fault had, or what else it counts.
        place: where the probe was. "beside": served side by side with the fault's clients; "alone": it had the only
            place, and they waited in the queue until it had gone; "after": it came when they had been served.
        survived, reasons: whether, and why not.
        seconds: how long it took.
        probe_checked, probe_lost, probe_duplicated, probe_wrong: what became of the probe's replies.
        probe_median_ns, probe_worst_ns: of its right replies; None if there were none.
        others_checked, others_lost, others_wrong: what became of the replies to the fault's own clients.
        descriptors_before, ..., memory_after_bytes: of the server's process before any of these clients came and after
            all had left; None if the fault ended it.
        stop_took_s: from the stop signal to its end, if it was told to stop.
    """

    server: str
    fault: str
    title: str
    size: int
    place: str
    survived: bool
    reasons: tuple[str, ...]
    seconds: float
    probe_checked: int
    probe_lost: int
    probe_duplicated: int
    probe_wrong: int
    probe_median_ns: int | None
    probe_worst_ns: int | None
    others_checked: int
    others_lost: int
    others_wrong: int
    descriptors_before: int
    descriptors_after: int | None
    threads_before: int
    threads_after: int | None
    memory_before_bytes: int
    memory_after_bytes: int | None
    stop_took_s: float | None = None


Figure = float | int | str | bool | None


@dataclass(frozen=True)
class SelfCheck:
    """What one check of the instrument found.

    Attributes:
        check, purpose: its name, and what it would notice.
        outcome: "passed", "failed" or "not possible here".
        line: the finding in a sentence.
        figures: what it rests on, by name, with units.
    """

    check: str
    purpose: str
    outcome: str
    line: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class ConnectionLimit:
    """How many connections a server holds at once.

    Attributes:
        wanted: how many it was asked to hold.
        told: the capacity that it was started with; None if that was what it mostly is started with.
        refused: why it could not be told to take all of them, in its own words; "" if it could.
        held: how many were greeted, and open at the same time.
        answered: of these, how many were answered rightly when then each was asked once.
        error: why there are no more, or what went wrong with an answer; "" if all were held and answered.
        held_s: how long it took to open them, the start of the server included.
        answered_s: how long it took until all were answered.
    """

    server: str
    wanted: int
    told: int | None
    refused: str
    held: int
    answered: int
    error: str
    held_s: float
    answered_s: float


@dataclass(frozen=True)
class Results:
    """A run's folder in memory; what was not tried or looked for is not there.

    Attributes:
        samples: all launches but those under the twin's name, which are never compared with other servers'.
        twins: these.
    """

    manifest: Manifest
    samples: tuple[Sample, ...]
    conformance: tuple[Verdict, ...]
    proof: Proof | None = None
    torture: tuple[FaultResult, ...] = ()
    selftest: tuple[SelfCheck, ...] = ()
    limits: tuple[ConnectionLimit, ...] = ()
    costs: tuple[ServerCosts, ...] = ()
    effects: tuple[EffectResult, ...] = ()
    twins: tuple[Sample, ...] = ()

    @property
    def measured_cells(self) -> int:
        """Count the launches, those not counted that were made again."""
        return sum(sample.attempt == 1 for sample in (*self.samples, *self.twins))


def bucket_of(values_ns: Times) -> Times:
    """Number the buckets of values: exact up to 128 ns, from there on 64 buckets for each doubling."""
    shift = np.maximum(np.frexp(np.maximum(values_ns, 1).astype(np.float64))[1].astype(np.int64) - 7, 0)
    numbers: Times = shift * BUCKETS_PER_DOUBLING + (values_ns >> shift)
    return numbers


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """Return the lowest value of a bucket, and the lowest above it."""
    shift = max(bucket // BUCKETS_PER_DOUBLING - 1, 0)
    lowest = (bucket - shift * BUCKETS_PER_DOUBLING) << shift
    return lowest, lowest + (1 << shift)


def histogram(values_ns: Times, counts: Times) -> Histogram:
    """Count values, each given so many times."""
    totals = np.bincount(bucket_of(values_ns), weights=counts) if len(values_ns) else np.zeros(0)
    return {int(bucket): int(totals[bucket]) for bucket in np.flatnonzero(totals)}


@dataclass(frozen=True)
class Columns:
    """The generator's rows: four times of requests sent together and answered together, how many, and whose they are."""

    intended_ns: Times
    ready_ns: Times
    sent_ns: Times
    received_ns: Times
    count: Times
    client: Times

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Columns":
        """Return the chosen rows."""
        return Columns(*(getattr(self, each.name)[chosen] for each in fields(self)))


def read_times(paths: Sequence[Path]) -> Columns:
    """Read the rows of one generator, or of several, whose clients are then numbered all together."""
    each = [np.fromfile(path, dtype=np.int64).reshape(-1, len(fields(Columns))) for path in paths]
    for place, rows in enumerate(each):
        rows[:, -1] = rows[:, -1] * len(each) + place
    return Columns(*np.concatenate(each).T)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write, or write anew, what a run is: all of it or nothing, since without it nothing can be resumed."""
    text = json.dumps(asdict(manifest), indent=1, ensure_ascii=False) + "\n"
    unfinished = folder / f"{MANIFEST}.unfinished"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(folder / MANIFEST)


def append_sample(folder: Path, sample: Sample) -> None:
    """Add one line to the samples; a run that is interrupted keeps what it has measured."""
    with (folder / SAMPLES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(sample)) + "\n")


def drop_half_written_sample(folder: Path) -> None:
    """Forget a last sample that was not written to its end, as when the machine went down."""
    if not (folder / SAMPLES).exists():
        return
    written = (folder / SAMPLES).read_bytes()
    whole = written[: written.rfind(b"\n") + 1]
    if whole != written:
        (folder / SAMPLES).write_bytes(whole)


def torture_from_json(where: Path, text: bytes) -> tuple[FaultResult, ...]:
    """Read faults; ResultsError if they are half written, or of another kind."""
    built = [_built(FaultResult, where, each) for each in _parsed(where, text)]
    return tuple(replace(result, reasons=tuple(result.reasons)) for result in built)


def limits_from_json(where: Path, text: bytes) -> tuple[ConnectionLimit, ...]:
    """Read limits; ResultsError if they are half written, or of another kind."""
    return tuple(_built(ConnectionLimit, where, each) for each in _parsed(where, text))


def as_json(records: "Sequence[DataclassInstance]") -> str:
    """Return records as a JSON list of objects."""
    return json.dumps([asdict(record) for record in records], indent=1, ensure_ascii=False) + "\n"


def costs_from_json(where: Path, text: bytes) -> tuple[ServerCosts, ...]:
    """Read costs; ResultsError if they are half written, or of another kind."""
    found = []
    for given in _parsed(where, text):
        flat = _built(ServerCosts, where, given)
        crowd, life = _built(Crowd, where, flat.crowd), _built(Lifetime, where, flat.lifetime)
        found.append(
            replace(
                flat,
                loads=tuple(_load(where, load) for load in flat.loads),
                crowd=replace(crowd, holdings=tuple(_built(Holding, where, each) for each in crowd.holdings)),
                lifetime=replace(
                    life,
                    startup_s=tuple(life.startup_s),
                    stop_s=tuple(life.stop_s),
                    loaded_stop_s=tuple(life.loaded_stop_s),
                    exit_codes=tuple(life.exit_codes),
                ),
            )
        )
    return tuple(found)


def _load(where: Path, given: Any) -> LoadCosts:  # noqa: ANN401 - JSON is anything
    load = _built(LoadCosts, where, given)
    return replace(load, page_faults_by_launch=tuple(load.page_faults_by_launch))


def effects_from_json(where: Path, text: bytes) -> tuple[EffectResult, ...]:
    """Read effects; ResultsError likewise."""
    built = [_built(EffectResult, where, each) for each in _parsed(where, text)]
    return tuple(
        replace(each, present=_built(Arm, where, each.present), absent=_built(Arm, where, each.absent))
        for each in built
    )


def read_results(folder: Path) -> Results:
    """Read a run's folder.

    Raises:
        ResultsError: it is missing, of another schema, or half written.
    """
    if not (folder / MANIFEST).is_file():
        raise ResultsError(f"{folder} holds no results: there is no {MANIFEST}")
    given = _parsed(folder / MANIFEST, (folder / MANIFEST).read_bytes())
    if not isinstance(given, dict) or given.get("schema") != SCHEMA:
        found = given.get("schema") if isinstance(given, dict) else None
        raise ResultsError(
            f"{folder / MANIFEST} is of schema {found}, and this harness reads schema {SCHEMA}"
        )
    manifest = _manifest(folder / MANIFEST, given)
    samples = []
    if (folder / SAMPLES).exists():
        for number, line in enumerate((folder / SAMPLES).read_bytes().splitlines(), 1):
            where = f"{folder / SAMPLES}, line {number}"
            samples.append(_sample(where, _parsed(where, line)))
    verdicts: Iterable[Any] = []
    if (folder / CONFORMANCE).exists():
        verdicts = _parsed(folder / CONFORMANCE, (folder / CONFORMANCE).read_bytes())
    conformance = tuple(_built(Verdict, folder / CONFORMANCE, verdict) for verdict in verdicts)
    file = folder / TORTURE
    torture = torture_from_json(file, file.read_bytes()) if file.exists() else ()
    file = folder / LIMITS
    limits = limits_from_json(file, file.read_bytes()) if file.exists() else ()
    file = folder / COSTS
    costs = costs_from_json(file, file.read_bytes()) if file.exists() else ()
    file = folder / EFFECTS
    effects = effects_from_json(file, file.read_bytes()) if file.exists() else ()
    return Results(
        manifest=manifest,
        samples=tuple(sample for sample in samples if sample.server != manifest.twin),
        conformance=conformance,
        proof=_read_proof(folder / PROOF),
        torture=torture,
        selftest=_read_selftest(folder / SELFTEST),
        limits=limits,
        costs=costs,
        effects=effects,
        twins=tuple(sample for sample in samples if sample.server == manifest.twin),
    )


def _read_selftest(path: Path) -> tuple[SelfCheck, ...]:
    given = _parsed(path, path.read_bytes()) if path.exists() else ()
    return tuple(_built(SelfCheck, path, each) for each in given)


def _read_proof(path: Path) -> Proof | None:
    if not path.exists():
        return None
    given = _parsed(path, path.read_bytes())
    flat = _built(Proof, path, given)
    trials = [_built(Trial, path, trial) for trial in flat.trials]
    alarm_runs = [_built(AlarmRun, path, run) for run in flat.alarm_runs]
    return Proof(
        flat.suite,
        tuple(
            replace(one, passed=tuple(one.passed), also_caught_by=tuple(one.also_caught_by)) for one in trials
        ),
        tuple(flat.untested),
        tuple(_built(Finding, path, finding) for finding in flat.findings),
        tuple(replace(run, alarms=tuple(run.alarms)) for run in alarm_runs),
    )


Record = TypeVar("Record")


def _parsed(where: Path | str, text: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        return json.loads(text)
    except ValueError:
        raise ResultsError(f"{where} is not complete JSON: half written?") from None


def _built(kind: type[Record], where: Path | str, given: Any) -> Record:  # noqa: ANN401 - JSON is anything
    known = fields(kind)  # type: ignore[arg-type] # all are dataclasses
    names = {one.name for one in known}
    needed = {one.name for one in known if one.default is MISSING and one.default_factory is MISSING}
    if not isinstance(given, dict) or not needed <= given.keys() <= names:
        odd = (
            sorted(needed - given.keys() | given.keys() - names)
            if isinstance(given, dict)
            else [type(given).__name__]
        )
        raise ResultsError(f"{where} is not a {kind.__name__.lower()} of schema {SCHEMA}: {', '.join(odd)}")
    return kind(**given)


def _sample(where: str, given: Any) -> Sample:  # noqa: ANN401 - JSON is anything
    sample = _built(Sample, where, given)
    histograms = {
        name: {int(bucket): count for bucket, count in getattr(sample, name).items()}
        for name in (
            "response_ns",
            "service_ns",
            "queueing_ns",
            "lag_ns",
            "connect_ns",
            "response_repeats_ns",
        )
    }
    lists = ("series", "warmup_series", "response_slices_ns", "memory_series_bytes")
    series = {name: tuple(getattr(sample, name)) for name in lists}
    return Sample(**{**given, **histograms, **series})


def _manifest(where: Path, given: dict[str, Any]) -> Manifest:
    flat = _built(Manifest, where, given)
    environment = _built(Environment, where, given["environment"])
    lists = ("server_cores", "generator_cores", "open_files_limit")
    environment = Environment(
        **given["environment"] | {name: tuple(getattr(environment, name)) for name in lists}
    )
    servers = tuple(
        ServerFacts(**server | {"declares": tuple(_built(ServerFacts, where, server).declares)})
        for server in given["servers"]
    )
    replaced = {
        "environment": environment,
        "servers": servers,
        "command": tuple(flat.command),
        "workloads": tuple(flat.workloads),
    }
    return Manifest(**given | replaced)
