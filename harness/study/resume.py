"""Whether an interrupted run may be gone on with."""

from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from harness.errors import UsageError
from harness.record import Environment, Manifest, shown


def gone_on_with(folder: Path, begun: Manifest, now: Manifest) -> Manifest:
    """Return the manifest of a run that is resumed; UsageError if its figures and the coming ones would not go together."""
    if changed := list(differing(begun, now)):
        raise UsageError(
            f"{shown(folder)} cannot be resumed: since it was begun, {', '.join(changed)} changed"
        )
    progress = replace(begun.progress, complete=False, resumed=begun.progress.resumed + 1)
    return replace(begun, progress=progress)


def differing(begun: Manifest, now: Manifest) -> Iterator[str]:
    """Name what has changed: of the servers, of the harness, of the plan, and of the machine."""
    if begun.harness_hash != now.harness_hash:
        yield "the harness's source"
    if [each.label for each in begun.servers] != [each.label for each in now.servers]:
        yield "the servers"
    else:
        yield from (a.label for a, b in zip(begun.servers, now.servers, strict=True) if a != b)
    for name in ("workloads", "blocks_of", "warmup_s", "duration_s", "seed"):
        if getattr(begun.design, name) != getattr(now.design, name):
            yield f"the plan's {name}"
    for name in Environment.__struct_fields__:
        if getattr(begun.environment, name) != getattr(now.environment, name):
            yield f"the machine's {name}"
