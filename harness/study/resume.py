"""Whether an interrupted run may be gone on with."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

from harness.errors import UsageError
from harness.record import Manifest, shown


def gone_on_with(folder: Path, begun: Manifest, now: Manifest) -> Manifest:
    """Return the manifest of a run that is resumed; UsageError if its figures and the coming ones would not go together."""
    if changed := list(differing(begun, now)):
        raise UsageError(
            f"{shown(folder)} cannot be resumed: since it was begun, {', '.join(changed)} changed"
        )
    return replace(begun, complete=False, resumed=begun.resumed + 1)


def differing(begun: Manifest, now: Manifest) -> Iterator[str]:
    """Name what has changed: of the servers, of the harness, of the plan, and of the machine."""
    if begun.harness_hash != now.harness_hash:
        yield "the harness's source"
    if [each.label for each in begun.servers] != [each.label for each in now.servers]:
        yield "the servers"
    else:
        yield from (a.label for a, b in zip(begun.servers, now.servers, strict=True) if a != b)
    for name in ("workloads", "blocks_of", "warmup_s", "duration_s", "seed"):
        if getattr(begun, name) != getattr(now, name):
            yield f"the plan's {name}"
    for each in fields(now.environment):
        if getattr(begun.environment, each.name) != getattr(now.environment, each.name):
            yield f"the machine's {each.name}"
