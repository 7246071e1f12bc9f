"""How many clients servers hold that say nothing of it: found out before they are measured, and not in the middle."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from harness.launch.candidates import Candidate
from harness.plan import Plan, by_name
from harness.study.phases import run_apart

FEW: Final = 64
"""Whoever is to be given no more is not asked: the gate had as many."""


def places_found(candidates: Iterable[Candidate], plan: Plan) -> dict[str, int]:
    """Return how many clients servers hold, of those that do not hold as many as they would be given, as far as it can be found out.

    Ours declare it. Others are filled once, with as many as the plan's largest workload has.

    Args:
        candidates: the servers that are to be measured.
        plan: of what.

    Raises:
        LaunchError: it could not be found out.
    """
    most = max(by_name(workload).connections for workload in plan.workloads)
    unknown = [each for each in candidates if each.implementation is None and each.most_clients is None]
    if most <= FEW or not unknown:
        return {}
    words = [word for each in unknown for word in each.plain.words]
    written, _ = run_apart(["limits", *words, "--connections", str(most), "--json"])
    held: Mapping[str, int] = {each["server"]: each["held"] for each in json.loads(written)}
    found = {each.label: held.get(each.plain.label, most) for each in unknown}
    return {label: clients for label, clients in found.items() if clients < most}
