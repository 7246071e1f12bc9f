"""A real database behind the relays: whether what holds for our own upstream holds there, too."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from harness.analyse.database import NAME, RelaysCompared, compared_by_clients
from harness.record import EffectResult
from harness.report.blocks import Blocks, Text, points
from harness.report.wording import listed

FULL: Final = 0.9
"""Of its core: whoever takes more has no time left."""
NO_FACE: Final = "trio is left out, since psycopg has no face for it (psycopg issue 29, open since 2021)."
QUESTION: Final = (
    "**Does it hold at a real database?** PostgreSQL through psycopg 3, a query that sleeps as long as our upstream waits, and a "
    "connection for each client; the database shares the cores."
)
MISSING: Final = (
    "A real database was not asked in this run: `harness effect database` does, with what `pip install -e '.[database]'` installs, or a "
    "PostgreSQL at a `--database URL`."
)


def database_blocks(effects: Sequence[EffectResult]) -> Blocks:
    """Say what was found where relays asked a database; or that this was not measured."""
    result = next((each for each in effects if each.effect == NAME), None)
    if result is None:
        return [Text(f"{MISSING} {NO_FACE}")]
    return [Text(f"{QUESTION} {NO_FACE}"), *points(database_sentences(result))]


def database_sentences(result: EffectResult) -> Iterator[str]:
    """Compare relays that asked a database with those that asked our upstream; nothing for any other effect."""
    if result.effect == NAME:
        for asking in compared_by_clients(result):
            if asking.of_upstream:
                yield from _compared(asking)


def _compared(asking: RelaysCompared) -> Iterator[str]:
    clients = f"**{asking.clients} clients**"
    reached, reached_upstream = _shares(asking.of_database), _shares(asking.of_upstream)
    yield (
        f"{clients}: asking the database the relays reach {reached} of the ceiling, asking our upstream {reached_upstream}. "
        + " ".join(_why_short(asking))
    ).rstrip()
    yield f"{clients}: {_order(asking)} {_added(asking)}"


def _shares(figures: Mapping[str, Mapping[str, float]]) -> str:
    shares = sorted(each["share"] for each in figures.values())
    return f"{shares[0]:.0%} to {shares[-1]:.0%}"


def _why_short(asking: RelaysCompared) -> Iterator[str]:
    """Say of each relay that did not reach the ceiling whether it had time left."""
    if not asking.short:
        yield "So the model decides on CPU alone."
    for model in asking.short:
        figures = asking.of_database[model]
        why = "it was out of CPU" if figures["core_share"] >= FULL else "the database had the core as well"
        yield (
            f"`{model}` reached {figures['share']:.0%}, and took {figures['core_share']:.0%} of a core: {why}."
        )


def _order(asking: RelaysCompared) -> str:
    by_cpu = sorted(asking.of_database, key=lambda model: asking.of_database[model]["cpu_us"])
    costs = ", ".join(f"`{model}` {asking.of_database[model]['cpu_us']:.0f}" for model in by_cpu)
    said = f"a request takes {costs} µs of CPU"
    if not asking.reversed_pairs:
        return f"{said}: nobody who is clearly cheaper there is dearer with our upstream."
    pairs = "; ".join(
        f"{listed([first])} before {listed([second])}" for first, second in asking.reversed_pairs
    )
    return f"{said}, which is not the order with our upstream: {pairs}."


def _added(asking: RelaysCompared) -> str:
    added = asking.added_us
    least, most = min(added, key=added.__getitem__), max(added, key=added.__getitem__)
    return f"The driver adds {added[least]:.0f} (`{least}`) to {added[most]:.0f} µs (`{most}`) to what the relay takes with our upstream."
