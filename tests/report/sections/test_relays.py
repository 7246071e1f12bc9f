"""What the report says of handlers that wait: made from the figures, and nothing where there are none."""

from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from harness.analyse.analysis import analyse
from harness.plan import ALL_CORES, SLICING, Cell, by_name
from harness.record import Results, Sample, Unmeasured
from harness.report.pages import RELAY_TABLES
from harness.report.render import render
from harness.report.sections.relays import ON_ALL_CORES
from tests.makers import changed, undrawn

A, B = "threaded", "trio_nursery"
NAMES = (
    "relay_5ms_16",
    "relay_5ms_256",
    "relay_20ms_16",
    "relay_20ms_256",
    "relay_5ms_16_pool_10",
    "relay_5ms_64_pool_10",
)


@pytest.fixture
def run(make_results: Callable[..., Results], make_relayed: Callable[..., Sample]) -> Results:
    samples = tuple(
        make_relayed(server, block, workload=name, rps=rps * (1 + 0.002 * block), load=by_name(name).load)
        for name in NAMES
        for block in range(4)
        for server, rps in ((A, 700), (B, 350))
    )
    results = make_results()
    design = changed(results.manifest.design, workloads=NAMES, slicing=SLICING)
    return changed(results, samples=samples, manifest=changed(results.manifest, design=design))


def test_a_report_with_relays_has_their_maps_and_tables(run: Results) -> None:
    with undrawn():
        files = render(analyse(run))
    section = files[RELAY_TABLES]
    assert "(figures/relays.svg)" in section
    assert "(figures/relays-pool-10.svg)" in section
    assert f"| 5 ms | 16 | `{A}` 702/s | 22% |" in section
    assert all(f"`{name}`: at most" in section for name in NAMES)
    assert "| `threaded` | 702 (" in section
    assert "nine in ten were late by less than 0.4% of the wait" in section
    for line, following in pairwise(section.splitlines()):
        if line.startswith("|") and following.startswith("|"):
            assert line.count("|") == following.count("|")
    assert "Each server was launched by itself" in "".join(files.values())


def test_a_report_without_relays_says_nothing_of_them(make_results: Callable[..., Results]) -> None:
    with undrawn():
        files = render(analyse(make_results()))
    assert RELAY_TABLES not in files


def test_who_uses_all_cores_and_who_could_not_be_measured_is_named(run: Results) -> None:
    samples = tuple(
        changed(sample, regime=ALL_CORES, pinned=False) if sample.cell.server == B else sample
        for sample in run.samples
    )
    servers = tuple(
        changed(facts, regime=ALL_CORES) if facts.label == B else facts for facts in run.manifest.servers
    )
    failed = Unmeasured(Cell(0, "select", NAMES[0]), "too many descriptors")
    mixed = changed(
        run, samples=samples, manifest=changed(run.manifest, servers=servers), unmeasured=(failed,)
    )
    with undrawn():
        section = render(analyse(mixed))[RELAY_TABLES]
    shown = next(part for part in section.split("\n## ") if f"`{NAMES[0]}`: at most" in part)
    on_one_core, on_all_cores = shown.split(ON_ALL_CORES)
    assert f"| `{A}` | 70" in on_one_core
    assert f"| `{B}` | 35" not in on_one_core
    assert f"| `{B}` | 35" in on_all_cores
    assert "- `select` could not be measured: too many descriptors." in section


def test_a_share_of_the_ceiling_is_at_most_one(run: Results, make_relayed: Callable[..., Sample]) -> None:
    scattered = tuple(
        make_relayed(
            sample.cell.server,
            sample.cell.block,
            workload=sample.cell.workload,
            rps=(3150 if sample.cell.block % 2 else 2000) if sample.cell.server == A else 350,
            load=sample.load,
        )
        for sample in run.samples
        if sample.cell.workload == "relay_5ms_16"
    )
    design = changed(run.manifest.design, workloads=("relay_5ms_16",))
    with undrawn():
        section = render(
            analyse(changed(run, samples=scattered, manifest=changed(run.manifest, design=design)))
        )[RELAY_TABLES]
    share = next(
        line for line in section.splitlines() if line.startswith(f"| `{A}` |") and "–" in line
    ).split(" | ")[4]
    assert share.endswith("–1.00)"), share


def test_three_sentences_end_the_argument_and_lines_say_where_the_answer_changes(
    run: Results, make_relayed: Callable[..., Sample]
) -> None:
    turned = tuple(
        make_relayed(
            sample.cell.server,
            sample.cell.block,
            workload=sample.cell.workload,
            rps=(350 if sample.cell.server == A else 700) * (1 + 0.002 * sample.cell.block),
            load=sample.load,
        )
        if sample.cell.workload == "relay_5ms_256"
        else sample
        for sample in run.samples
    )
    with undrawn():
        section = render(analyse(changed(run, samples=turned)))[RELAY_TABLES]
    assert f"| requests/s | `{A}` (16 clients, 5 ms) | `{B}` (256 clients, 5 ms) | 64 clients (" in section
    assert f"| requests/s | `{B}` (256 clients, 5 ms) | `{A}` (256 clients, 20 ms) | 10.0 ms (" in section
    assert f"| `{B}` | > 256 | ≤ 16 |" in section, "with 5 ms it catches up"
    assert "- **Handlers that wait for something else**: " in section
    assert "- **Threads, though handlers wait**: " in section


def test_a_gate_of_some_cases_is_no_whole_suite(run: Results) -> None:
    design = changed(run.manifest.design, gate_cases=("R",))
    with undrawn():
        some = render(analyse(changed(run, manifest=changed(run.manifest, design=design))))
        whole = render(analyse(run))
    assert any(
        "had to pass the cases R of the conformance suite, and no others" in text for text in some.values()
    )
    assert any("had to pass the whole conformance suite" in text for text in whole.values())


def test_who_stays_below_the_ceiling_is_named_with_the_cause(run: Results) -> None:
    with undrawn():
        section = render(analyse(run))[RELAY_TABLES]
    assert f"| `{A}` | `relay_5ms_16` | 0.2" in section
    assert "Below 85% of the ceiling" in section


def test_a_mistake_is_called_one(run: Results) -> None:
    servers = tuple(
        changed(facts, mistake="it sleeps" if facts.label == B else "") for facts in run.manifest.servers
    )
    with undrawn():
        section = render(analyse(changed(run, manifest=changed(run.manifest, servers=servers))))[RELAY_TABLES]
    assert f"**`{B}` is a mistake, made on purpose**: it sleeps." in section


def test_a_stall_says_when_it_can_be_over(run: Results, make_relayed: Callable[..., Sample]) -> None:
    name = "relay_5ms_64_pool_16_offered_50_stall"
    stalled = tuple(
        make_relayed(server, block, workload=name, rps=rps, load=by_name(name).load, recovery_s=2.5)
        for block in range(4)
        for server, rps in ((A, 700), (B, 350))
    )
    design = changed(run.manifest.design, workloads=(name,))
    with undrawn():
        section = render(
            analyse(changed(run, samples=stalled, manifest=changed(run.manifest, design=design)))
        )[RELAY_TABLES]
    assert "has worked off what has piled up 2.0 s later" in section
    assert "recovered after s" in section
    assert "no wait" not in section


def test_a_map_is_drawn_and_names_who_is_first(run: Results) -> None:
    files = render(analyse(run))
    for name in ("figures/relays.svg", "figures/relays-pool-10.svg"):
        assert ET.fromstring(files[name]).tag.endswith("svg")  # noqa: S314 - our own
