"""What a run writes down before it begins."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from harness.launch.candidates import Candidate
from harness.launch.facts import facts, interpreter_facts
from harness.plan import Plan, twin_of
from harness.record import SCHEMA, Design, Manifest, PrecisionGoal
from harness.study.environment import gather, harness_hash, revision
from harness.study.parts import states_of


def manifest_of(
    candidates: Sequence[Candidate],
    plan: Plan,
    command: Sequence[str],
    target: PrecisionGoal | None,
    effects: Mapping[str, str],
) -> Manifest:
    """Describe a run that is to be made: what it measures, of which servers, on which machine, and what that stands on."""
    servers = facts(candidates)
    design = Design(
        workloads=plan.workloads,
        blocks=max(plan.blocks.values()),
        blocks_of=dict(plan.blocks),
        warmup_s=plan.warmup_s,
        duration_s=plan.duration_s,
        seed=plan.seed,
        planned_cells=len(plan.cells()),
        twin_of=plan.doubled,
        twin=twin_of(plan.doubled) if plan.doubled else "",
        slicing=plan.slicing,
        whole_s=plan.whole_s,
        generators=plan.generators,
        gate_cases=plan.gate_cases,
    )
    return Manifest(
        schema=SCHEMA,
        started=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        command=tuple(command),
        revision=revision(),
        harness_hash=harness_hash(),
        servers=servers,
        interpreters=interpreter_facts(candidates),
        environment=gather(),
        design=design,
        goal=target,
        states={str(part): state for part, state in states_of(servers, design, effects).items()},
    )
