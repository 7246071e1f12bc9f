"""What is said of known effects: what was made to happen, and what became of it when its cause was taken away."""

from collections.abc import Sequence
from typing import Final

from harness.analyse.causes.evidence import Cause
from harness.analyse.literature import LITERATURE, met
from harness.record import Arm, EffectResult
from harness.report.blocks import Blocks, Heading, Text, grid, numbers, words
from harness.report.sections.database import database_blocks
from harness.report.wording import capital, few

MOST_NAMED: Final = 4
BEYOND_NUMBERS: Final = 1000
"""A ratio beyond says no more than its two figures."""


def effects_page(effects: Sequence[EffectResult], causes: Sequence[Cause]) -> Blocks:
    """Show every effect, with its cause and without it, what is said of it, and whether that holds; nothing if none was looked for."""
    if not effects:
        return []
    columns = (
        *words("effect", "figure"),
        *numbers("with it", "without it"),
        *words("named", "cause", "source", "shown by"),
    )
    return [
        Heading("Known effects", 1),
        Text(
            "Each was made to happen on this machine, and then its cause was taken away. A rule that looks at the figures alone "
            "had to name it on the first side, and not to name it on the second."
        ),
        grid(columns, map(_row, effects)),
        Heading("What is said of them, and whether it holds"),
        Text(
            "In the experiment an effect is alone; in the figures of the servers the same rules look for it beside all else."
        ),
        grid(
            words("effect", "what is said", "alone, on this machine", "in the servers' own figures"),
            (_said(each, met(each, causes)) for each in effects),
        ),
        *(block for each in effects if each.others for block in _sides(each)),
        *database_blocks(effects),
    ]


def _said(each: EffectResult, servers: Sequence[str]) -> tuple[str, ...]:
    times = _times(each)
    return (
        f"`{each.effect}`",
        LITERATURE.get(each.effect, "–"),
        times if each.shown else f"**not as expected**: {times}",
        few(servers, MOST_NAMED) if servers else "named in none",
    )


def _times(each: EffectResult) -> str:
    """Say how much larger the figure is with the effect."""
    present, absent = (arm.figures.get(each.metric) for arm in (each.present, each.absent))
    if present is None or absent is None:
        return "no figure"
    if absent <= 0 or present / absent > BEYOND_NUMBERS:
        return f"{_figure(each, each.present)} instead of {_figure(each, each.absent)} {each.unit}"
    return f"{present / absent:.1f} times as much ({each.unit})"


def _row(each: EffectResult) -> tuple[str, ...]:
    return (
        each.title,
        each.unit,
        f"{each.present.label}: {_figure(each, each.present)}",
        f"{each.absent.label}: {_figure(each, each.absent)}",
        _named(each),
        capital(each.because) or "–",
        each.source or "–",
        f"`{each.command}`",
    )


def _sides(result: EffectResult) -> Blocks:
    """List all sides of an experiment that had more than two."""
    rows = (
        (
            each.arm.label,
            *(f"{each.arm.figures.get(name, 0.0):,.2f}" for name in result.columns),
            f"{'yes' if each.named else 'no'}{'' if each.as_it_should else ', **wrongly**'}",
        )
        for each in result.arms
    )
    return [
        Text(f"**{result.title}**: all sides of `{result.command}`."),
        grid((*words("side"), *numbers(*result.columns.values()), *words("named")), rows),
    ]


def _figure(result: EffectResult, arm: Arm) -> str:
    value = arm.figures.get(result.metric)
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def _named(result: EffectResult) -> str:
    if result.shown:
        return "yes, and not without it"
    return "**not by the rule**" if not result.named_present else "**also where its cause was taken away**"
