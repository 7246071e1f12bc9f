"""How figures and names are put into words, the same way everywhere."""

import math
import re
from collections.abc import Collection, Sequence
from typing import Final

from harness.analyse.crossings import Behind
from harness.analyse.rankings import Ranking
from harness.analyse.statistics.inference import Estimate
from harness.analyse.tables import Row
from harness.plan import WAYS, factors_of, model_of

WIDE: Final = 1.3
UNKNOWN: Final = 10.0
"""An interval of two launches that reaches so many times as far as their mean says nothing."""
TEN_MS: Final = 10_000
MARK: Final = "\\*"
"""Of a quantile behind which little stands."""


def listed(names: Sequence[str]) -> str:
    """List names as a sentence does."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def few(names: Sequence[str], most: int) -> str:
    """List names as a sentence does, but no more than so many of them; count the others."""
    if len(names) <= most:
        return listed(names)
    return f"{', '.join(f'`{name}`' for name in names[:most])} and {len(names) - most} more"


def mean_of(row: Row, name: str) -> Estimate:
    """Return an estimate that is known to be there."""
    found = row.estimates[name]
    assert found is not None  # noqa: S101 - callers have looked
    return found


def interval(found: Estimate | None, form: str) -> str:
    """Write a mean and its interval."""
    if found is None:
        return "–"
    mean = form.format(found.mean)
    if found.low is None or found.high is None:
        return mean
    return f"{mean} ({form.format(found.low)}–{form.format(found.high)})"


def with_error(found: Estimate | None, form: str) -> str:
    """Write a mean and its relative error; an interval on logarithms that is wide is not the same on both sides."""
    if found is None:
        return "–"
    if found.high is None:
        return form.format(found.mean)
    factor = found.high / found.mean
    error = (
        f"±{factor - 1:.0%}" if factor < WIDE else f"×/÷ {factor:.1f}" if factor < UNKNOWN else "×/÷ unknown"
    )
    return f"{form.format(found.mean)} {error}"


def rate_of(row: Row, written: str) -> str:
    """Mark a rate that is but a lower bound, since the generator was what limited it."""
    return f"{'≥ ' if row.generator_bound else ''}{written}"


def quantile_of(row: Row, name: str) -> str:
    """Write a quantile in µs, with a mark if little stands behind it."""
    found = row.estimates[name]
    return with_error(found, "{:,.0f}") + (MARK if found is not None and name in row.few else "")


def all_quantiles(row: Row) -> str:
    """Write all quantiles of the response together, in ms: none stands for the others."""
    names = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9"}
    shown = (
        f"{title} {'–' if found is None else in_ms(found.mean)}{MARK if metric in row.few and found else ''}"
        for name, title in names.items()
        for metric in [f"response_{name}_us"]
        for found in [row.estimates[metric]]
    )
    return f"{', '.join(shown)} ms"


def in_ms(us: float) -> str:
    """Write a time in ms with as many digits as tell something."""
    return f"{us / 1e3:.2f}" if us < TEN_MS else f"{us / 1e3:,.0f}"


def counted(number: int, what: str) -> str:
    """Count things, of which one has another name than several."""
    several = f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"{number:,} {what if number == 1 else several}"


def servers_counted(labels: Collection[str]) -> str:
    """Count servers, each once however it was run, and in how many ways they were: placed, fresh, on which interpreter."""
    forms = {
        (
            model_of(label),
            frozenset(each for each in factors_of(label) if each not in WAYS and each[0] != "@"),
        )
        for label in labels
    }
    ways = f" (run in {len(labels)} ways)" if len(labels) > len(forms) else ""
    return counted(len(forms), "server") + ways


def capital(text: str) -> str:
    """Begin with a capital letter."""
    return text[:1].upper() + text[1:]


def anchor(heading: str) -> str:
    """Return what a link to a heading ends in, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def clients_in_words(found: Behind) -> str:
    """Say from how many clients on something is true, with the interval; as far as it was measured."""

    def bound(number: float) -> str:
        if number <= 0:
            return f"≤ {found.fewest:,}"
        return f"> {found.most:,}" if math.isinf(number) else f"{number:,.0f}"

    if found.low == found.high:
        return bound(found.at)
    return f"{bound(found.at)} ({bound(found.low)} to {bound(found.high)})"


def span(found: Ranking) -> str:
    """Give the figures of those who were not told apart from the first: they may be far from being equal."""
    means = [found.mean(server) for server in found.leaders]
    return " to ".join(dict.fromkeys(f"{each:,.0f}" for each in (min(means), max(means))))
