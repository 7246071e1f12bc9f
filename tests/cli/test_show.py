"""What a finished run is said to say: what decides, where it lies, and in the terminal with small plots."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from harness.analyse.analysis import analyse
from harness.cli.app import cli
from harness.cli.told import report_and_tell
from harness.plan import by_name
from harness.record import (
    CONFORMANCE,
    Results,
    Sample,
    Summary,
    append_samples,
    as_json,
    read_results,
    write_manifest,
    write_whole,
)
from harness.report.blocks import plain
from harness.report.page.page import PAGE
from harness.report.pages import REPORT
from harness.report.sections.answer import deciding as report_deciding
from tests.makers import changed, undrawn


@pytest.fixture(scope="module")
def folder(make_results: Callable[..., Results], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of two servers, the second of which answers half as much."""
    folder, results = tmp_path_factory.mktemp("run"), make_results(factor=0.5)
    write_manifest(folder, results.manifest)
    append_samples(folder, results.samples)
    write_whole(folder / CONFORMANCE, as_json(results.conformance))
    return folder


def run(*words: str | Path) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_report_ends_with_what_decides_and_where_it_lies(folder: Path) -> None:
    with undrawn():
        *deciding, report, page = report_and_tell(folder)
    assert report == f"Report: {folder / REPORT}"
    assert page == f"To ask it: {folder / PAGE}"
    assert [line.partition(".")[0] for line in deciding] == [str(n) for n in range(1, len(deciding) + 1)]
    sentences = report_deciding(analyse(read_results(folder)))
    assert [line.partition(". ")[2] for line in deciding] == list(map(plain, sentences))
    assert not any("**" in line or "`" in line for line in deciding)


def test_that_a_run_is_not_complete_is_said(make_results: Callable[..., Results], tmp_path: Path) -> None:
    manifest = make_results().manifest
    write_manifest(tmp_path, changed(manifest, complete=False))
    with undrawn():
        assert f"Incomplete report: {tmp_path / REPORT}" in report_and_tell(tmp_path)


def test_a_run_is_shown_with_bars(folder: Path) -> None:
    said = run("show", folder)
    bars = {
        line.split()[0]: line.split()[1].count("█")
        for line in said.splitlines()
        if line.startswith(("threaded ", "trio_nursery ")) and "█" in line
    }
    assert bars == {"threaded": 16, "trio_nursery": 8}
    first = next(report_deciding(analyse(read_results(folder))))
    start = plain(first).partition(".")[0]
    assert f"1. {start}" in said
    assert start not in run("show", folder, "--workload", "clients_64")


def test_who_was_given_fewer_clients_is_named_below_the_table(
    make_results: Callable[..., Results], make_relayed: Callable[..., Sample], tmp_path: Path
) -> None:
    name = "relay_5ms_256"
    load = by_name(name).load
    append_samples(
        tmp_path,
        [
            make_relayed(server, block, workload=name, load=changed(load, clients=clients))
            for server, clients in (("threaded", load.clients), ("trio_nursery", 64))
            for block in range(3)
        ],
    )
    manifest = make_results(workloads=(name,)).manifest
    write_manifest(tmp_path, changed(manifest, design=changed(manifest.design, workloads=(name,))))
    said = run("show", tmp_path, "--workload", name)
    assert (
        "trio_nursery was given 64 clients, as many as it serves at once: its p99 is not that of more" in said
    )
    assert "threaded was given" not in said


def test_what_was_not_measured_cannot_be_shown(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["show", str(folder), "--workload", "churn"])
    assert "it has clients_64" in str(done.exception)


def test_figures_are_exported(folder: Path, tmp_path: Path) -> None:
    lines = run("export", folder, "--format", "csv").splitlines()
    assert lines[0].startswith("workload,regime,server,metric,mean")
    summary = msgspec.json.decode(run("export", folder, "--format", "json"), type=Summary)
    assert len(lines) == 1 + sum(len(each.metrics) for each in summary.workloads[0].servers)
    run("export", folder, "--format", "hgrm", "--out", tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "clients_64.threaded.hgrm",
        "clients_64.trio_nursery.hgrm",
    }


def test_percentiles_need_a_folder(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["export", str(folder), "--format", "hgrm"])
    assert "--out FOLDER" in str(done.exception)
