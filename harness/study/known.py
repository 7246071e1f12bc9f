"""What earlier runs on this machine have proved, of exactly the same suite and servers, is not proved again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from harness.conformance.catalogue import CASES
from harness.conformance.proof.renewal import cases_to_prove
from harness.errors import ResultsError
from harness.record import (
    CONFORMANCE,
    MANIFEST,
    PROOF,
    REFERENCE,
    RESULTS,
    Judgement,
    Manifest,
    Proof,
    check_schema,
    decode,
)
from harness.study.parts import Part

SAME: Final = ("python", "libraries", "kernel", "cpu", "cores", "memory_bytes", "open_files_limit")
"""What of the environment a verdict may depend on."""


class KnownVerdicts(NamedTuple):
    """The verdicts on a server, and the folder of the run that found them."""

    verdicts: tuple[Judgement, ...]
    folder: str


def known_verdicts(manifest: Manifest, runs: Path = RESULTS) -> dict[str, KnownVerdicts]:
    """Find what earlier runs say of the servers of a new one; the newest has the word.

    Only of servers whose sources are known, that passed every case of the suite, with nothing changed since that a verdict
    may depend on.

    Args:
        manifest: of the new run.
        runs: where the folders of earlier ones lie.
    """
    found: dict[str, KnownVerdicts] = {}
    for folder, earlier, verdicts in sorted(_earlier_runs(runs), key=lambda each: each[1].started):
        if any(getattr(earlier.environment, name) != getattr(manifest.environment, name) for name in SAME):
            continue
        of_earlier = {each.label: each for each in earlier.servers}
        for server in manifest.servers:
            part = str(Part(CONFORMANCE, server.label))
            mine = tuple(each for each in verdicts if each.server == server.label)
            if (
                server.file
                and server == of_earlier.get(server.label)
                and manifest.states.get(part) == earlier.states.get(part)
                and {each.case for each in mine} == {case.id for case in CASES}
                and not any(each.verdict.failed for each in mine)
            ):
                found[server.label] = KnownVerdicts(mine, folder.name)
    return found


def _earlier_runs(runs: Path) -> Iterator[tuple[Path, Manifest, tuple[Judgement, ...]]]:
    """Read the runs that have verdicts; one that cannot be read is none."""
    for path in runs.glob(f"*/{CONFORMANCE}"):
        try:
            check_schema(path.parent)
            manifest = decode(Manifest, str(path), (path.parent / MANIFEST).read_bytes())
            verdicts = decode(tuple[Judgement, ...], str(path), path.read_bytes())
        except (ResultsError, OSError):
            continue
        yield path.parent, manifest, verdicts


def standing_proof(run: Path = REFERENCE) -> str | None:
    """Return the proof of the suite that a run holds, if none of it is older than its sources."""
    path = run / PROOF
    if not path.exists():
        return None
    proof = decode(Proof, str(path), path.read_bytes())
    return None if cases_to_prove(proof) else path.read_text(encoding="utf-8")
