"""Whether an interrupted run may be gone on with, and a whole one be made anew in part."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from harness.errors import UsageError
from harness.record import Design, Environment, Manifest, shown
from harness.study.parts import Part, listed

MAY_DIFFER: Final = {"libraries", "cpu_mhz"}
"""Of a machine: those libraries that a server stands on are among its factors, and a frequency comes and goes."""
MOST_NAMED: Final = 4
"""In a run's remark, which is read by people."""
RENEWED: Final = "Made anew on"
"""So begins the remark of a run of which parts were made anew."""
NOT_KEPT: Final = (None, "")
"""What an older run says of the machine where it kept nothing."""


def gone_on_with(folder: Path, begun: Manifest, now: Manifest) -> Manifest:
    """Return the manifest of a run that is resumed; UsageError if its figures and the coming ones would not go together."""
    if changed := list(chain(differing_sources(begun, now), differing_setting(begun, now))):
        raise UsageError(
            f"{shown(folder)} cannot be resumed: since it was begun, {', '.join(changed)} changed"
        )
    progress = replace(begun.progress, complete=False, resumed=begun.progress.resumed + 1)
    return replace(begun, progress=progress)


def renewed(folder: Path, begun: Manifest, now: Manifest, parts: Sequence[Part]) -> Manifest:
    """Return the manifest of a run of which some parts are made anew; UsageError if they would not go with the others."""
    if changed := list(differing_setting(begun, now)):
        raise UsageError(
            f"{shown(folder)} cannot be renewed in part: since it was made, {', '.join(changed)} changed"
        )
    anew = f"{RENEWED} {datetime.now(UTC):%Y-%m-%d}: {listed(parts, MOST_NAMED)}." if parts else ""
    told = anew in begun.remark  # by a renewal that was interrupted
    return replace(
        begun,
        revision=now.revision,
        harness_hash=now.harness_hash,
        remark=begun.remark if told else f"{begun.remark} {anew}".strip(),
        servers=now.servers,
        environment=now.environment,
        progress=replace(begun.progress, complete=False),
    )


def blocks_are_settled(begun: Manifest, planned: Mapping[str, int]) -> bool:
    """Tell whether it is known how many blocks a run of fixed time has: it was measured to its end once, even if not since a renewal."""
    return begun.progress.complete or RENEWED in begun.remark or blocks_of(begun.design) != planned


def blocks_of(design: Design) -> dict[str, int]:
    """Return how many blocks of each workload a run has, or is to have."""
    return {name: design.blocks_of.get(name, design.blocks) for name in design.workloads}


def differing_sources(begun: Manifest, now: Manifest) -> Iterator[str]:
    """Name what has changed of the harness, of the servers, and of installed libraries."""
    if begun.harness_hash != now.harness_hash:
        yield "the harness's source"
    of_now = {each.label: each for each in now.servers}
    for each in begun.servers:
        mine = of_now.get(each.label, each)
        if each != replace(mine, most_clients=each.most_clients):  # that may have been found out
            yield each.label
    if begun.environment.libraries != now.environment.libraries:
        yield "the machine's libraries"


def differing_setting(begun: Manifest, now: Manifest) -> Iterator[str]:
    """Name what has changed of the plan and the machine, the versions of what the servers stand on included."""
    if [each.label for each in begun.servers] != [each.label for each in now.servers]:
        yield "the servers"
    of_now = {each.label: each for each in now.servers}
    for each in begun.servers:
        if each.factors != of_now.get(each.label, each).factors:
            yield f"what {each.label} stands on"
    for name in (
        "workloads",
        "blocks_of",
        "warmup_s",
        "duration_s",
        "seed",
        "slicing",
        "whole_s",
        "generators",
    ):
        if name == "blocks_of" and begun.design.whole_s is not None:
            continue  # as many as fitted
        if getattr(begun.design, name) != getattr(now.design, name):
            yield f"the plan's {name}"
    for name in Environment.__struct_fields__:
        before, after = getattr(begun.environment, name), getattr(now.environment, name)
        if before != after and name not in MAY_DIFFER and before not in NOT_KEPT:
            yield f"the machine's {name}"
