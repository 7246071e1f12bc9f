"""What is said of known effects: what was made to happen, and what became of it when its cause was taken away."""

from collections.abc import Sequence

from harness.record import Arm, EffectResult
from harness.report.blocks import Blocks, Heading, Text, grid, numbers, words
from harness.report.wording import capital


def effects_page(effects: Sequence[EffectResult]) -> Blocks:
    """Show every effect, with its cause and without it; nothing if none was looked for."""
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
        *(block for each in effects if each.others for block in _sides(each)),
    ]


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
