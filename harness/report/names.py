"""Names for narrow columns, and of figures."""

from collections.abc import Sequence


def short_names(labels: Sequence[str]) -> dict[str, str]:
    """Return names for narrow columns: the part before the first underscore, where that tells them apart."""
    return {
        label: name
        if (name := label.partition("_")[0]) and sum(other.startswith(name) for other in labels) == 1
        else label
        for label in labels
    }


def figure_of(pool: int | None) -> str:
    """Return the name of the file of a map of relays."""
    return "relays.svg" if pool is None else f"relays-pool-{pool}.svg"
