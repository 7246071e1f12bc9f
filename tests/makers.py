"""Records that tests change by the names of their fields, whichever group these are in; reports without figures; a mutant by its title."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass, replace
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import pytest
from msgspec import Struct, structs

from harness.conformance.proof.mutants import Mutant, mutants
from harness.drive.orders import LoadOrder, LoadOutcome
from harness.launch.candidates import Candidate
from harness.plan import Cell, Load, Round
from harness.record import (
    BackgroundRequests,
    Design,
    GeneratorUse,
    MachineUse,
    Manifest,
    Placement,
    Requests,
    RunProgress,
    Sample,
    ServerUse,
    Window,
)
from harness.report.blocks import Block, Page
from harness.report.markdown import markdown
from harness.study.block import BlockOutcome

Path = tuple[str, ...]

needs_database = pytest.mark.skipif(
    find_spec("psycopg") is None or find_spec("pgserver") is None,
    reason="the extra called database is not installed: pip install -e '.[database]'",
)


def blocks_of(measure: Callable[..., Sample]) -> Callable[..., BlockOutcome]:
    """Return what measures a block by measuring its servers one after the other."""

    def measure_block(cells: Round, candidates: dict[str, Candidate], load: Load, *_: object) -> BlockOutcome:
        return BlockOutcome(tuple(measure(candidates[cell.server], load, cell=cell) for cell in cells), {})

    return measure_block


def with_one_client(samples: Iterable[Sample], waits: Mapping[str, float]) -> tuple[Sample, ...]:
    """Return the samples as those of one client, of whose every request these servers wait so often, and all others once."""
    return tuple(
        changed(
            sample,
            workload="ping_pong",
            clients=1,
            response_sum_ns=10**9,
            switches_voluntary=int(sample.requests.ok * waits.get(sample.cell.server, 1.0)),
        )
        for sample in samples
    )


Changed = TypeVar("Changed")

GROUPS: Final[dict[type[Struct], dict[str, type[Struct]]]] = {
    Sample: {
        "background": BackgroundRequests,
        "cell": Cell,
        "load": Load,
        "placement": Placement,
        "window": Window,
        "requests": Requests,
        "server": ServerUse,
        "generator": GeneratorUse,
        "machine": MachineUse,
    },
    Manifest: {"design": Design, "progress": RunProgress},
    LoadOrder: {"load": Load},
    LoadOutcome: {"requests": Requests},
}
PATHS: Final[dict[type[object], dict[str, Path]]] = {
    record: {field: (group, field) for group, kind in groups.items() for field in kind.__struct_fields__}
    for record, groups in GROUPS.items()
}
PATHS[Sample] |= {
    f"{view}_{of}": ("times", view, "histogram" if of == "ns" else of)
    for view in ("response", "service", "queueing", "lag")
    for of in ("ns", "max_ns")
}
PATHS[Sample] |= {
    **{
        name: ("times", name) for name in ("connect_ns", "response_sum_ns", "response_repeats_ns", "censored")
    },
    "window_s": ("window", "length_s"),
    "server_cpu_ns": ("server", "cpu_ns"),
    "server_user_ns": ("server", "user_ns"),
    "server_system_ns": ("server", "system_ns"),
    "generator_cpu_ns": ("generator", "cpu_ns"),
    "generator_spin_ns": ("generator", "spin_ns"),
    "connect_s": ("generator", "connect_s"),
    "server": ("cell", "server"),
    "background": ("load", "background"),
    "upstream": ("upstream",),
    **{f"background_{field}": ("background", field) for field in BackgroundRequests.__struct_fields__},
}


def changed(record: Changed, **changes: Any) -> Changed:  # noqa: ANN401 - of whatever type the field is
    """Return a record, or a dataclass, with some fields changed; those of its groups by their own names."""
    if is_dataclass(record):
        return replace(record, **changes)  # type: ignore[type-var] # whatever it is, it is a dataclass
    paths = PATHS.get(type(record), {})
    for name, value in changes.items():
        record = _put(record, paths.get(name, (name,)), value)
    return record


def _put(record: Any, path: Path, value: object) -> Any:  # noqa: ANN401 - likewise
    first, *rest = path
    if rest:
        value = _put(getattr(record, first), tuple(rest), value)
    return structs.replace(record, **{first: value})


@contextmanager
def undrawn() -> Iterator[None]:
    """Let a report's figures be set up but not drawn, which takes far longer than all the rest of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.report.figures.style.svg", lambda _: "")
        yield


def as_markdown(blocks: Iterable[Block]) -> str:
    """Return blocks as they stand in a page of a report."""
    return markdown(Page("page.md", tuple(blocks)), "", "figures")


def mutant(title: str) -> Mutant:
    """Return the mutant of a title."""
    return next(each for each in mutants() if each.title == title)
