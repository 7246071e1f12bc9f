"""Reports: made from results alone, the same bytes each time, saying what the figures say."""

import re
from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree as ET

from harness.analyse.analysis import analyse
from harness.launch.facts import changed_since
from harness.plan import ALL_CORES, Background, Cell, Slicing, model_of, twin_of
from harness.record import (
    PROJECT,
    REFERENCE,
    Arm,
    ConnectionLimit,
    EffectResult,
    FaultResult,
    JudgedArm,
    Judgement,
    Results,
    Sample,
    SelfCheck,
    ServerCosts,
    Unmeasured,
    Verdict,
    WorkerShare,
    read_results,
)
from harness.report.figures.look import look
from harness.report.files import stale_files
from harness.report.page.page import PAGE
from harness.report.pages import CASES, PAIRS, REPORT, WORKLOAD_TABLES
from harness.report.render import FIGURES, render
from implementations.catalogue import SERVERS
from tests.makers import changed, undrawn


def rendered(results: Results, figures_at: str = FIGURES) -> dict[str, str]:
    return render(analyse(results), figures_at)


def written(results: Results, figures_at: str = FIGURES) -> dict[str, str]:
    """Render a report of which only the text is read."""
    with undrawn():
        return rendered(results, figures_at)


def text_of(results: Results) -> str:
    """Return all pages, one after the other."""
    return "\n".join(written(results).values())


def tables_of(results: Results) -> str:
    return written(results)[WORKLOAD_TABLES]


def test_the_same_results_give_the_same_bytes(make_results: Callable[..., Results]) -> None:
    assert rendered(make_results()) == rendered(make_results())


def test_the_short_answer_follows_the_data(make_results: Callable[..., Results]) -> None:
    slower, faster = text_of(make_results(factor=0.5)), text_of(make_results(factor=2.0))
    assert "`threaded` answered the most" in slower
    assert "the least CPU under this load (64 clients) in `threaded`" in slower
    assert "`trio_nursery` answered the most" in faster
    assert "the least CPU under this load (64 clients) in `trio_nursery`" in faster


def test_a_tie_is_said_to_be_one(make_results: Callable[..., Results]) -> None:
    text = text_of(make_results(factor=1.0))
    assert "the first and the last were not told apart" in text
    assert "Equivalent in requests/s: `threaded` and `trio_nursery`" in text


def test_a_server_that_failed_the_gate_is_named_and_gets_no_figures(
    make_results: Callable[..., Results],
) -> None:
    results = make_results()
    failed = Judgement("trio_nursery", "F02", "A line ends at LF", "MUST", Verdict.FAIL, "sent b'1'")
    samples = tuple(sample for sample in results.samples if sample.cell.server == "threaded")
    text = text_of(changed(results, samples=samples, conformance=(*results.conformance, failed)))
    assert "`trio_nursery`: did not pass the conformance gate" in text
    assert "**FAIL** F02 `trio_nursery`: sent b'1'" in text


def test_an_interrupted_run_says_so(make_results: Callable[..., Results]) -> None:
    results = make_results(complete=False, planned_cells=40)
    assert "**Incomplete**: 10 of 40 launches were measured" in text_of(results)


def test_it_says_how_long_slices_were_with_few_clients_where_they_were_shorter(
    make_results: Callable[..., Results],
) -> None:
    results = make_results()

    def told(slicing: Slicing) -> bool:
        design = changed(results.manifest.design, slicing=slicing)
        text = text_of(changed(results, manifest=changed(results.manifest, design=design)))
        assert "in 10 cycles with a slice of 0.1 s for each" in text
        return "(with up to 100 clients in 40 cycles with slices of 0.025 s)" in text

    assert told(Slicing(finer=4))
    assert not told(Slicing())


def test_a_run_without_samples_is_still_a_report(make_results: Callable[..., Results]) -> None:
    text = text_of(changed(make_results(complete=False), samples=(), conformance=()))
    assert "Nothing was measured." in text
    assert "The suite was not run." in text


def test_invalid_samples_are_shown_with_their_reason(make_results: Callable[..., Results]) -> None:
    results = make_results()
    broken = changed(
        results.samples[0], wrong=1, sent=results.samples[0].requests.sent + 1, fault="received b'x'"
    )
    text = text_of(changed(results, samples=(broken, *results.samples[1:])))
    assert "- Not used: `threaded`: wrong-replies: 1 (received b'x')." in text


def test_who_has_figures_of_some_launches_only_is_named(make_results: Callable[..., Results]) -> None:
    results = make_results()
    lost = tuple(
        Unmeasured(
            Cell(block, results.samples[0].cell.server, results.samples[0].cell.workload), "it hung up"
        )
        for block in (7, 8)
    )
    text = text_of(changed(results, unmeasured=lost))
    assert "- Could not be made: 2 launches of `threaded`: it hung up." in text
    assert "Could not be made" not in text_of(results)


def test_a_quantile_behind_which_little_stands_is_marked(
    make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> None:
    results = make_results()
    samples = tuple(
        make_sample(server, block, rps=3_000) for block in range(5) for server in ("threaded", "trio_nursery")
    )
    (line,) = (
        line
        for line in text_of(changed(results, samples=samples)).splitlines()
        if line.startswith("| `threaded` |") and "| 5.0 |" in line
    )
    cells = [cell.strip() for cell in line.split("|")]
    assert [cell.endswith("\\*") for cell in cells[2:6]] == [False, False, False, True]


def test_every_table_is_a_table(make_results: Callable[..., Results]) -> None:
    lines = text_of(make_results()).splitlines()
    for line, following in pairwise(lines):
        if line.startswith("|") and following.startswith("|"):
            assert line.count("|") == following.count("|")


def test_workloads_are_summed_up_and_their_tables_are_linked(
    make_results: Callable[..., Results],
) -> None:
    results = make_results(workloads=("clients_64", "clients_250"))
    others = [changed(sample, workload="clients_250") for sample in results.samples]
    files = written(changed(results, samples=(*results.samples, *others)), "somewhere/figures")
    text = files[WORKLOAD_TABLES]
    line = next(line for line in text.splitlines() if line.startswith("| [250 clients]"))
    assert "](workloads.md#250-clients) | `threaded` " in line
    assert "| `trio_nursery` " in line
    assert "## 250 clients" in text
    assert "## 64 clients" in text
    assert "## 64 clients" not in files[REPORT]


def test_every_case_has_a_line_of_its_own_beside_the_report(make_results: Callable[..., Results]) -> None:
    results = make_results()
    files = written(results)
    for verdict in results.conformance:
        assert f"| {verdict.case} | {verdict.title} |" in files[CASES]
        assert f"| {verdict.case} |" not in files[REPORT]


def test_a_run_without_faults_has_no_section_on_them(make_results: Callable[..., Results]) -> None:
    assert "# Faults" not in text_of(make_results())


def test_faults_are_shown_and_what_is_remarkable_is_said(
    make_results: Callable[..., Results], make_fault: Callable[..., FaultResult]
) -> None:
    torture = (
        make_fault(),
        make_fault(fault="pause", probe_worst_ns=1_000_000_000),
        make_fault(
            fault="stop",
            stop_took_s=1.26,
            descriptors_after=None,
            threads_after=None,
            memory_after_bytes=None,
        ),
        make_fault("blocking", place="alone"),
        make_fault("trio_nursery", "resets", probe_worst_ns=250_000_000),
        make_fault("trio_nursery", "churn", survived=False, reasons=("2 descriptors more than before",)),
    )
    results = changed(make_results(), torture=torture)
    text = text_of(results)
    assert text == text_of(results)
    assert "| `threaded` | 3 of 3 | 4.0 | stalled | 3,300 | 0 | 0 | 7 → 7 | 2 → 2 | 20 → 21 |" in text
    assert "| `trio_nursery` | 1 of 2 | 250.0 | resets |" in text
    assert "- **Not survived**: `trio_nursery`, churn: 2 descriptors more than before." in text
    assert "- `trio_nursery`: the probe waited up to 250.0 ms (median 0.3 ms) while" in text
    assert "let the probe wait from 1,000.0 to 1,000.0 ms" in text
    assert "- `blocking`: one client at a time. In stalled the probe had the only place" in text
    assert "- Told to stop, from the signal to the end of the process: `threaded` 1.3 s." in text
    assert "survived every fault" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert any("| stop | yes |" in line and "7 → ended" in line for line in lines)


def test_that_all_survived_is_said(
    make_results: Callable[..., Results], make_fault: Callable[..., FaultResult]
) -> None:
    torture = (make_fault(), make_fault("trio_nursery"))
    assert "- `threaded` and `trio_nursery` survived every fault." in text_of(
        changed(make_results(), torture=torture)
    )


def test_a_run_without_costs_has_no_section_on_them(make_results: Callable[..., Results]) -> None:
    text = text_of(make_results())
    assert not any(
        title in text for title in ("a start and a stop cost", "request's time goes", "Known effects")
    )


def test_costs_are_shown_in_tables(
    make_results: Callable[..., Results], make_costs: Callable[..., ServerCosts]
) -> None:
    limited = make_costs("trio_nursery", syscalls={}, foreign_share=0.2)
    limited = changed(
        limited,
        untraced="strace is not installed",
        crowd=changed(limited.crowd, ended_at=7, ended_by="Too many"),
    )
    text = text_of(changed(make_results(), costs=(make_costs(), limited)))
    assert "| `threaded` | 20.0 | 60% | 2.00 | `recvfrom` 1.00, `sendto` 1.00 | 4.00 | 1.00 |" in text
    assert "| `trio_nursery` | 20.0 | 60% | – | – | – | 1.00 |" in text
    assert "- Syscalls were not counted of `trio_nursery`: strace is not installed." in text
    assert "CPU, waits and preemptions may be too high: `trio_nursery` under 64 clients (20%)." in text
    assert (
        "| `threaded` | 10,000 | 30.00 ± 0.00 | 29.00 ± 0.00 | 4.00 ± 0.00 | 16.00 ± 0.00 | 0.00 ± 0.00 |"
        in text
    )
    assert "- `trio_nursery` ended at 7 connections: Too many" in text
    assert "| `threaded` | 50 | 15 | 35 (30–40) | 64 | 5,000 | 0 | 90 |" in text


def test_where_the_time_goes_follows_the_data(
    make_results: Callable[..., Results], make_costs: Callable[..., ServerCosts]
) -> None:
    waiting = {"user_share": 0.3, "switches_voluntary": 1.5}
    busy = {"user_share": 0.9, "switches_voluntary": 0.0, "cpu_us": 35.0}
    pairs = (("threaded", waiting), ("trio_nursery", busy)), (("threaded", busy), ("trio_nursery", waiting))
    one, other = (
        text_of(changed(make_results(), costs=tuple(make_costs(server, **costs) for server, costs in pair)))
        for pair in pairs
    )
    of_busy = "64 clients: a request takes 35.0 µs of CPU, most of it in the interpreter and the library"
    of_waiting = "64 clients: a request takes 20.0 µs of CPU, most of it in the kernel"
    assert f"**`threaded`**, {of_waiting}" in one
    assert f"**`trio_nursery`**, {of_busy}" in one
    assert f"**`threaded`**, {of_busy}" in other
    assert f"**`trio_nursery`**, {of_waiting}" in other
    assert "Its threads wait 1.50 times." in one
    assert "It hardly ever gives its core up" in one
    assert one.count("- **A thread for each client**") == 2


def test_known_effects_are_shown_with_both_sides(make_results: Callable[..., Results]) -> None:
    arms = Arm("Nagle's algorithm", {"response_us": 43_998.2}), Arm("TCP_NODELAY", {"response_us": 64.82})
    shown = EffectResult(
        "no-delay",
        "It waits",
        "response_us",
        "µs",
        *arms,
        True,
        False,
        "it is so",
        "RFC 896",
        "harness effect no-delay",
    )
    text = text_of(changed(make_results(), effects=(shown, changed(shown, named_present=False))))
    sides = "| It waits | µs | Nagle's algorithm: 43,998 | TCP_NODELAY: 64.82 "
    assert f"{sides}| yes, and not without it | It is so | RFC 896 | `harness effect no-delay` |" in text
    assert f"{sides}| **not by the rule** |" in text
    assert "all sides of" not in text
    others = (
        JudgedArm(Arm("a server", {"response_us": 5.0}), to_be_named=True, named=False),
        JudgedArm(Arm("another", {"response_us": 7.0}), to_be_named=None, named=True),
    )
    more = changed(shown, others=others, columns={"response_us": "response, µs"})
    assert not more.shown
    text = text_of(changed(make_results(), effects=(more,)))
    assert "**It waits**: all sides of `harness effect no-delay`." in text
    assert "| side | response, µs | named |" in text
    assert "| TCP_NODELAY | 64.82 | no |" in text
    assert "| a server | 5.00 | no, **wrongly** |" in text
    assert "| another | 7.00 | yes |" in text


def test_figures_of_their_own_are_shown_where_there_are_any(
    make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> None:
    assert "| server | fairness |" not in tables_of(make_results())
    results = make_results(workloads=("flood", "soak"))
    flood = [
        make_sample(
            server,
            block,
            "flood",
            fairness_jain=jain,
            worst_client_share=0.5,
            background=Background("flood", 1),
        )
        for block in range(5)
        for server, jain in (("threaded", 0.9), ("trio_nursery", 0.5))
    ]
    soak = [
        make_sample(
            "threaded", block, "soak", memory_series_bytes=tuple(size * second for second in range(10))
        )
        for block, size in enumerate((-2048, 0, 2048))
    ]
    text = tables_of(changed(results, samples=(*flood, *soak)))
    assert "| server | fairness | worst client |\n|---|---:|---:|\n" in text
    assert "| `threaded` | 0.900 (0.900–0.900) | 0.50 (0.50–0.50) |" in text
    assert "| server | memory KiB/s |\n|---|---:|\n| `threaded` | +0.0 (-5.0–+5.0) |" in text
    assert "What should show: fairness" in text
    assert "- `trio_nursery`: measured under other workloads only." in text


def given_most_clients(results: Results, most: int) -> Results:
    servers = tuple(changed(facts, most_clients=most) for facts in results.manifest.servers)
    return changed(results, manifest=changed(results.manifest, servers=servers))


def test_what_a_server_cannot_be_given_is_said_with_the_reason(make_results: Callable[..., Results]) -> None:
    results = given_most_clients(make_results(workloads=("idle_10000",)), 1000)
    text = tables_of(changed(results, samples=()))
    assert "Nothing was measured." in text
    one = [each for each in results.samples if each.cell.server == "threaded"]
    there = tuple(changed(each, workload="idle_10000", background=Background("idle", 10_000)) for each in one)
    text = tables_of(changed(results, samples=there))
    assert "- `trio_nursery`: serves 1,000 clients at once, and cannot be given 10,064." in text


def test_blocks_are_counted_by_workload(make_results: Callable[..., Results]) -> None:
    blocks = {"clients_64": 12, "churn": 5, "flood": 5}
    text = text_of(make_results(blocks=5, blocks_of=blocks, workloads=tuple(blocks)))
    assert "The core workloads had 12 blocks, all others 5." in text
    often = text_of(make_results(blocks=5, blocks_of={**blocks, "flood": 12}, workloads=tuple(blocks)))
    assert "The core workloads, and `flood`, had 12 blocks, all others 5." in often
    assert "There were 5 blocks of each workload." in text_of(make_results(blocks=5))


def test_limits_of_connections_are_shown(make_results: Callable[..., Results]) -> None:
    assert "# How many connections" not in text_of(make_results())
    limits = (
        ConnectionLimit(
            "threaded", 10_000, None, "no more than 99", 99, 98, "client 100 was reset", 2.0, 1.5
        ),
    )
    text = text_of(changed(given_most_clients(make_results(), 1000), limits=limits))
    assert "| `threaded` | 1,000 | 99 | 98 | 1.5 | no more than 99; client 100 was reset |" in text


def test_a_run_that_was_resumed_says_so(make_results: Callable[..., Results]) -> None:
    assert "resumed" not in text_of(make_results())
    assert "interrupted and resumed once" in text_of(make_results(resumed=1))
    assert "interrupted and resumed 3 times" in text_of(make_results(resumed=3))


def test_figures_are_well_formed_and_shown(make_results: Callable[..., Results]) -> None:
    files = rendered(make_results(), "somewhere")
    shown = set(re.findall(r"!\[.+\]\((?:somewhere|figures)/(.+?)\)", "\n".join(files.values())))
    assert {f"figures/{name}" for name in shown} == {name for name in files if name.startswith(FIGURES)}
    for name in shown:
        assert ET.fromstring(files[f"figures/{name}"]).tag.endswith("svg")  # noqa: S314 - our own


def test_all_panels_have_one_quantile_and_every_server_a_mark(
    make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> None:
    """Of few requests, too: then what is known of all launches together is drawn, without their dots."""
    for rps, dots in ((20_000, 2), (90, 0)):
        samples = tuple(
            make_sample(server, block, name, rps=rps, background=Background(name, 1))
            for name in ("flood", "costly")
            for block in range(5)
            for server in ("threaded", "trio_nursery")
        )
        figure = rendered(changed(make_results(workloads=("flood", "costly")), samples=samples))[
            "figures/beside.svg"
        ]
        assert figure.count(">99 % of the responses within … ms<") == 2
        assert "no figure" not in figure
        assert (figure.count("opacity: 0.35") > 0) == (dots > 0)


def test_text_in_figures_is_text_and_says_what_dots_and_bars_are(
    make_results: Callable[..., Results],
) -> None:
    figure = rendered(make_results())["figures/cpu.svg"]
    assert ">threaded<" in figure
    assert "Pale dot: a launch. Mark and bar: the mean of all launches" in figure


def test_who_was_not_to_be_measured_is_not_drawn(make_results: Callable[..., Results]) -> None:
    results = make_results()
    alone = tuple(sample for sample in results.samples if sample.cell.server == "threaded")
    drawn = rendered(changed(results, samples=alone))["figures/cpu.svg"]
    assert ">threaded<" in drawn
    assert ">trio_nursery<" not in drawn
    limited = rendered(given_most_clients(changed(results, samples=alone), 1))["figures/cpu.svg"]
    assert "cannot serve it" in limited


def test_a_server_keeps_its_look_whoever_is_beside_it() -> None:
    names = [*SERVERS]
    assert len({look(name, names) for name in names}) == len(names)
    assert all(look(name, [name]) == look(name, names) for name in names)
    assert look("mine", ["mine"]) not in {look(name, names) for name in names}


def test_the_report_is_short_and_its_answer_comes_first() -> None:
    lines = (PROJECT / REPORT).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 200
    assert len([line for line in lines[: lines.index("## So")] if not line.startswith("|")]) <= 40
    first_screen = "\n".join(lines[:60])
    assert "**Measured**" in first_screen
    assert "\n1. **" in first_screen
    assert "500 clients, all busy" in first_screen
    assert "\n## So\n" in first_screen


def test_every_link_of_a_page_leads_to_a_page_that_is_there(make_results: Callable[..., Results]) -> None:
    files = written(make_results(), "somewhere/figures")
    linked = {
        target.partition("#")[0]
        for name, text in files.items()
        if name.endswith(".md")
        for target in re.findall(r"(?<!!)\[[^\]\n]*\]\((?!https?:)([^)]+)\)", text)
    }
    assert {target.removeprefix("somewhere/") for target in linked} <= {*files, PAGE}


def test_the_report_of_the_reference_run_is_what_its_results_give() -> None:
    assert stale_files(REFERENCE) == []


def test_the_reference_run_is_complete_and_of_conforming_servers() -> None:
    results = read_results(REFERENCE)
    assert results.manifest.progress.complete
    plain = {re.sub(r"@[^+]*|\+(free|fresh)", "", facts.label) for facts in results.manifest.servers}
    assert plain <= SERVERS.keys()
    assert {model_of(name) for name in plain} == {model_of(name) for name in SERVERS}
    of_one_process = [verdict.case for verdict in results.conformance if verdict.verdict == "N/A"]
    assert {*of_one_process} <= {"C16"}
    assert {verdict.verdict for verdict in results.conformance} <= {"PASS", "BY-DESIGN", "N/A"}
    rounds: dict[tuple[str, str], dict[int, set[str]]] = {}
    for sample in (*results.samples, *results.twins):
        of_block = rounds.setdefault((sample.cell.workload, sample.placement.regime), {})
        of_block.setdefault(sample.cell.block, set()).add(sample.cell.server)
    left_out = 0
    for (workload, _), of_block in rounds.items():
        everybody = of_block[0]
        assert all(servers == everybody for servers in of_block.values()), (
            "a round is measured whole, or not at all"
        )
        missing = results.manifest.design.blocks_of[workload] - len(of_block)
        assert of_block.keys() == {*range(len(of_block))}
        assert missing <= 1, "the last one alone may be left out, if there was no time for it"
        left_out += missing * len(everybody)
    assert results.measured_cells + left_out == results.manifest.design.planned_cells


def test_a_changed_source_is_noticed() -> None:
    results = read_results(REFERENCE)
    altered = tuple(changed(facts, source_hash="another") for facts in results.manifest.servers)
    found = changed_since(changed(results, manifest=changed(results.manifest, servers=altered)))
    assert found == [facts.label for facts in altered]


def test_the_instrument_is_told_of(
    make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> None:
    results = make_results(twin_of="threaded", twin=twin_of("threaded"))
    twins = tuple(make_sample(twin_of("threaded"), block, rps=20_000, cpu_us=49) for block in range(5))
    check = SelfCheck("delay", "a known delay is what is measured", "failed", "5 ms came out as 9 ms", {})
    text = text_of(changed(results, twins=twins, selftest=(check,)))
    assert re.search(r"\| 64 clients \| requests/s \| (0\.99|1\.00)\d \| .+ \| no \| 5 \|", text)
    assert "| `delay` | a known delay is what is measured | **failed** | 5 ms came out as 9 ms |" in text
    assert f"`{twin_of('threaded')}`" not in text
    assert "## The instrument" not in text_of(results)


def test_a_twin_that_is_slower_is_told_of(
    make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> None:
    results = make_results(twin_of="threaded", twin=twin_of("threaded"))
    twins = tuple(make_sample(twin_of("threaded"), block, rps=15_000, cpu_us=49) for block in range(5))
    assert "| **yes** | 5 |" in text_of(changed(results, twins=twins))


def test_servers_on_all_cores_have_a_section_of_their_own(make_results: Callable[..., Results]) -> None:
    results = make_results()
    servers = tuple(
        changed(facts, regime=ALL_CORES) if facts.label == "trio_nursery" else facts
        for facts in results.manifest.servers
    )
    samples = tuple(
        changed(sample, regime=ALL_CORES, pinned=False) if sample.cell.server == "trio_nursery" else sample
        for sample in results.samples
    )
    mixed = changed(results, manifest=changed(results.manifest, servers=servers), samples=samples)
    before, heading, after = tables_of(mixed).partition("## On all cores")
    assert heading
    assert "trio_nursery" not in before
    assert "threaded" not in after
    assert "| `trio_nursery` |" in after
    assert "## On all cores" not in tables_of(results)
    assert "`trio_nursery` / `threaded`" in written(results)[PAIRS]
    assert "`trio_nursery` / `threaded`" not in text_of(mixed)


def test_branches_and_factors_are_shown_if_they_were_recorded(make_results: Callable[..., Results]) -> None:
    results = make_results()
    servers = tuple(
        changed(facts, code_branches=17, factors={"event loop": f"that of {facts.label}"})
        for facts in results.manifest.servers
    )
    text = text_of(changed(results, manifest=changed(results.manifest, servers=servers)))
    assert "| `threaded` | a model | 90 | 17 |" in text
    assert "| `trio_nursery` | that of trio_nursery |" in text
    assert "Factors" not in text_of(results)


def test_who_cannot_be_given_so_many_clients_is_named(make_results: Callable[..., Results]) -> None:
    results = make_results()
    servers = tuple(changed(facts, most_clients=10) for facts in results.manifest.servers)
    samples = tuple(sample for sample in results.samples if sample.cell.server == "threaded")
    text = text_of(changed(results, manifest=changed(results.manifest, servers=servers), samples=samples))
    assert "`trio_nursery`: serves 10 clients at once, and cannot be given 64." in text


def test_a_server_whose_costs_are_not_known_is_named(
    make_results: Callable[..., Results], make_costs: Callable[..., ServerCosts]
) -> None:
    results = make_results()
    both = changed(results, costs=(make_costs("threaded"), make_costs("trio_nursery")))
    one = changed(results, costs=(make_costs("threaded"),))
    assert "No costs are known of `trio_nursery`" in text_of(one)
    assert "No costs are known" not in text_of(both)


def test_what_else_is_to_be_known_of_a_run_comes_first(make_results: Callable[..., Results]) -> None:
    assert "> Faults came later." in text_of(make_results(remark="Faults came later.")).splitlines()[:4]


def test_a_load_from_many_machines_is_not_said_to_come_over_loopback(
    make_results: Callable[..., Results],
) -> None:
    here = make_results()
    from_afar = tuple(
        changed(sample, workers=(WorkerShare(worker="afar", clients=64, requests=sample.requests),))
        for sample in here.samples
    )
    assert "over the loopback interface" in text_of(here)
    text = text_of(changed(here, samples=from_afar))
    assert "loopback" not in text
    assert "no network in these figures" not in text
    assert "server and load on one machine" not in text
    assert "load from 1 worker of a cluster" in text
