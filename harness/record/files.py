"""What is kept of a run: frozen data, and the files that hold it. `results/README.md` describes them."""

import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from harness.errors import ResultsError
from harness.record.conformance import AlarmRun, Finding, Judgement, Proof, Trial, Verdict
from harness.record.costs import Crowd, Holding, Lifetime, LoadCosts, ServerCosts
from harness.record.experiments import Arm, ConnectionLimit, EffectResult, FaultResult, SelfCheck
from harness.record.manifest import Environment, Manifest, ServerFacts
from harness.record.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


@dataclass(frozen=True)
class Results:
    """A run's folder in memory; what was not tried or looked for is not there.

    Attributes:
        samples: all launches but those under the twin's name, which are never compared with other servers'.
        twins: these.
    """

    manifest: Manifest
    samples: tuple[Sample, ...]
    conformance: tuple[Judgement, ...]
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
    conformance = tuple(_judgement(folder / CONFORMANCE, verdict) for verdict in verdicts)
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


def _judgement(where: Path, given: Any) -> Judgement:  # noqa: ANN401 - JSON is anything
    flat = _built(Judgement, where, given)
    return replace(flat, verdict=Verdict(flat.verdict))


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
