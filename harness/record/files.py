"""The files of a run's folder: one table of their names and types, and how they are written and read.

`results/README.md` describes them for people, `results/schema.json` for programs.
"""

from collections.abc import Iterable, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import fields

from harness.errors import ResultsError
from harness.plan import Record
from harness.record.conformance import Judgement, Proof
from harness.record.costs import ServerCosts
from harness.record.experiments import ConnectionLimit, EffectResult, FaultResult, SelfCheck
from harness.record.manifest import Manifest
from harness.record.sample import Sample, Unmeasured
from harness.record.summary import Summary

SCHEMA: Final = 3
MANIFEST: Final = "manifest.json"
SAMPLES: Final = "samples.jsonl"
UNMEASURED: Final = "unmeasured.jsonl"
CONFORMANCE: Final = "conformance.json"
CLAUSES: Final = "clauses.json"
PROOF: Final = "suite.json"
TORTURE: Final = "torture.json"
SELFTEST: Final = "selftest.json"
LIMITS: Final = "limits.json"
COSTS: Final = "costs.json"
EFFECTS: Final = "effects.json"
SUMMARY: Final = "summary.json"

FILES: Final[dict[str, Any]] = {
    MANIFEST: Manifest,
    CONFORMANCE: tuple[Judgement, ...],
    CLAUSES: dict[str, str],
    PROOF: Proof,
    TORTURE: tuple[FaultResult, ...],
    SELFTEST: tuple[SelfCheck, ...],
    LIMITS: tuple[ConnectionLimit, ...],
    COSTS: tuple[ServerCosts, ...],
    EFFECTS: tuple[EffectResult, ...],
}
"""What each file holds; `SAMPLES` holds a `Sample` on each of its lines, `UNMEASURED` an `Unmeasured`. `SUMMARY` is made from these, as the report is."""

Kind = TypeVar("Kind")
Logged = TypeVar("Logged", bound=Record)


class Results(Record, frozen=True, kw_only=True):
    """A run's folder in memory; what was not tried or looked for is not there.

    Attributes:
        samples: all launches but those under the twin's name, which are never compared with other servers'.
        twins: these.
        unmeasured: launches of which there is no sample.
        clauses: of the specification, that each case cites.
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
    unmeasured: tuple[Unmeasured, ...] = ()
    clauses: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def measured_cells(self) -> int:
        """Count the launches, those not counted that were made again."""
        return sum(sample.cell.attempt == 1 for sample in (*self.samples, *self.twins))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write, or write anew, what a run is: all of it or nothing, since without it nothing can be resumed."""
    write_whole(folder / MANIFEST, as_json(manifest))


def append_samples(folder: Path, samples: Sequence[Sample]) -> None:
    """Add lines to the samples, all at once; a run that is interrupted keeps what it has measured."""
    path = folder / SAMPLES
    whole_bytes = path.stat().st_size if path.exists() else 0
    try:
        with path.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(sample) + b"\n" for sample in samples))
    except OSError as error:  # such as a disk that is full: no part of a line is left
        with path.open("ab") as file:
            file.truncate(whole_bytes)
        raise OSError(error.errno, error.strerror, str(path)) from None


def drop_half_written_sample(folder: Path) -> None:
    """Forget a last sample that was not written to its end, as when the machine went down; of a run that is ours."""
    if not (folder / SAMPLES).exists():
        return
    written = (folder / SAMPLES).read_bytes()
    whole = _whole_lines(written)
    if whole != written:
        write_whole(folder / SAMPLES, whole.decode())


def as_json(record: Record | Sequence[Record]) -> str:
    """Return a record as a JSON object, or several as a list of objects, for people to read, too."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n"


def write_whole(path: Path, text: str) -> None:
    """Write a file that others read: it is there as it was, or as it is to be, whatever interrupts."""
    aside = unfinished(path)
    try:
        aside.write_text(text, encoding="utf-8")
        if path.exists():
            aside.chmod(path.stat().st_mode)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def unfinished(path: Path) -> Path:
    """Return where a file is written before it takes its place."""
    return path.with_name(f"{path.name}.unfinished")


def read_results(folder: Path, *, interrupted: bool = False) -> Results:
    """Read a run's folder.

    Args:
        folder: where it lies.
        interrupted: a last sample that was not written to its end does not count, and is no error.

    Raises:
        ResultsError: it is missing, of another schema, half written, or holds what is not ours; with the file, and where
            in it.
    """
    if not (folder / MANIFEST).is_file():
        raise ResultsError(f"{folder} holds no results: there is no {MANIFEST}")
    check_schema(folder)
    found = {name: _read(folder / name, kind) for name, kind in FILES.items() if (folder / name).exists()}
    manifest: Manifest = found[MANIFEST]
    samples = tuple(_samples(folder / SAMPLES, interrupted=interrupted))
    twin = manifest.design.twin
    return Results(
        manifest=manifest,
        samples=tuple(sample for sample in samples if sample.cell.server != twin),
        twins=tuple(sample for sample in samples if sample.cell.server == twin),
        conformance=found.get(CONFORMANCE, ()),
        clauses=found.get(CLAUSES, {}),
        proof=found.get(PROOF),
        torture=found.get(TORTURE, ()),
        selftest=found.get(SELFTEST, ()),
        limits=found.get(LIMITS, ()),
        costs=found.get(COSTS, ()),
        effects=found.get(EFFECTS, ()),
        unmeasured=tuple(read_log(Unmeasured, folder / UNMEASURED)),
    )


def append_to_log(record: Record, log: Path) -> None:
    """Add a line to a log, which goes on where it was interrupted: what that has cut off stays on a line of its own."""
    unfinished = log.exists() and not log.read_bytes().endswith(b"\n")
    with log.open("ab") as file:
        file.write(b"\n" * unfinished + msgspec.json.encode(record) + b"\n")


def read_log(kind: type[Logged], log: Path) -> list[Logged]:
    """Read a log's records; a line that an interruption has cut off does not count.

    Raises:
        ResultsError: a line is no such record, nor the beginning of one: the file is not ours to add to.
    """
    found = []
    beginning = b'{"%s"' % fields(kind)[0].encode_name.encode()
    for number, line in enumerate(_bytes_of(log).splitlines() if log.exists() else (), 1):
        try:
            found.append(msgspec.json.decode(line, type=kind))
        except msgspec.ValidationError as error:
            raise ResultsError(f"{log}, line {number}: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            if line[: len(beginning)] != beginning[: len(line)]:
                raise ResultsError(f"{log}, line {number} is not of a log of ours") from None
    return found


class _OfSchema(msgspec.Struct):
    """All that is read of a manifest before its schema is known."""

    schema: int | None = None


def check_schema(folder: Path) -> None:
    """Raise ResultsError if a run's manifest is none that this harness reads."""
    where = folder / MANIFEST
    found = decode(_OfSchema, str(where), where.read_bytes()).schema
    if found != SCHEMA:
        raise ResultsError(f"{where} is of schema {found}, and this harness reads schema {SCHEMA}")


def decode(kind: type[Kind], where: str, text: bytes) -> Kind:
    """Read JSON of a type.

    Args:
        kind: the type.
        where: the file, and the line of it if it has many records; for the error.
        text: the JSON.

    Raises:
        ResultsError: it is half written, or something else: a field is missing, too many, or of another type.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise ResultsError(f"{where} is not of schema {SCHEMA}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{where} is not complete JSON, half written? {error}") from None


def _read(path: Path, kind: type[Kind]) -> Kind:
    return decode(kind, str(path), _bytes_of(path))


def _samples(path: Path, *, interrupted: bool) -> Iterable[Sample]:
    if path.exists():
        written = _bytes_of(path)
        lines = _whole_lines(written) if interrupted else written
        for number, line in enumerate(lines.splitlines(), 1):
            yield decode(Sample, f"{path}, line {number}", line)


def _bytes_of(path: Path) -> bytes:
    """Read a file; not a pipe or a device, which might never end."""
    if not path.is_file():
        raise ResultsError(f"{path} is no regular file")
    return path.read_bytes()


def _whole_lines(written: bytes) -> bytes:
    return written[: written.rfind(b"\n") + 1]


def schema() -> str:
    """Return the JSON Schema of all files, made from their types."""
    found, components = msgspec.json.schema_components((*FILES.values(), Sample, Unmeasured, Summary))
    for each in components.values():
        each["description"] = cleandoc(each["description"])
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"The files of a run's folder, schema {SCHEMA}",
        "description": f"Each line of {SAMPLES} and {UNMEASURED} is one object.",
        "properties": dict(zip((*FILES, SAMPLES, UNMEASURED, SUMMARY), found, strict=True)),
        "$defs": components,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=1).decode() + "\n"
