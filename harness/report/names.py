"""Names for narrow columns."""

from collections.abc import Sequence


def short_names(labels: Sequence[str]) -> dict[str, str]:
    """Return names for narrow columns: the part before the first underscore, where that tells them apart."""
    return {
        label: name
        if (name := label.partition("_")[0]) and sum(other.startswith(name) for other in labels) == 1
        else label
        for label in labels
    }
