"""All rules, and all that they find. Pure."""

from typing import Final

from harness.analyse.causes.connections import list_of_descriptors, thread_for_each
from harness.analyse.causes.evidence import Cause, Evidence, Rule
from harness.analyse.causes.requests import (
    batching,
    loop_price,
    mapped_receive_buffer,
    scheduler_price,
    waking_up,
)
from harness.analyse.causes.waiting import (
    convoy,
    delayed_acknowledgement,
    full_backlog,
    head_of_line,
    interpreter_lock,
    lock_between_cores,
    turns_by_chance,
    unyielding_wait,
)

RULES: Final[tuple[Rule, ...]] = (
    mapped_receive_buffer,
    list_of_descriptors,
    thread_for_each,
    waking_up,
    batching,
    scheduler_price,
    loop_price,
    interpreter_lock,
    lock_between_cores,
    head_of_line,
    unyielding_wait,
    turns_by_chance,
    convoy,
    delayed_acknowledgement,
    full_backlog,
)


def causes(seen: Evidence) -> list[Cause]:
    """Return every cause that some rule finds."""
    return [cause for rule in RULES for cause in rule(seen)]
