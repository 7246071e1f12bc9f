"""The summary of a run: the figures of its tables, for programs."""

from collections.abc import Callable
from math import expm1, log
from pathlib import Path

import msgspec
import pytest

from harness.analyse.analysis import analyse
from harness.plan import ALL_CORES, ONE_CORE
from harness.record import REFERENCE, SUMMARY, Results, Sample, Summary, write_manifest
from harness.report.files import write_report
from harness.report.summary import summary_of
from tests.makers import changed

CPU = "cpu_us_per_request"


def test_the_summary_has_the_figures_of_the_tables(make_results: Callable[..., Results]) -> None:
    analysis = analyse(make_results(factor=0.5))
    table = analysis.one_core.tables["clients_64"]
    summary = summary_of(analysis)
    assert summary.complete
    (workload,) = summary.workloads
    assert (workload.workload, workload.regime) == ("clients_64", ONE_CORE)
    assert [each.server for each in workload.servers] == ["threaded", "trio_nursery"]
    for each in workload.servers:
        row = table.row(each.server)
        assert each.metrics.keys() == {name for name, found in row.estimates.items() if found}
        found, given = row.estimates[CPU], each.metrics[CPU]
        assert found
        assert (given.mean, given.low, given.high) == pytest.approx((found.mean, found.low, found.high), 1e-5)
        assert (given.letters, given.launches) == (row.letters[CPU], 5)
        assert not each.metrics["response_p50_us"].letters
    (pair,) = table.comparisons[CPU]
    assert workload.half_widths[CPU] == pytest.approx(expm1(log(pair.ci_high / pair.ci_low) / 2), 1e-4)


def test_a_server_alone_has_figures_and_no_half_width(make_results: Callable[..., Results]) -> None:
    results = make_results()
    alone = tuple(sample for sample in results.samples if sample.cell.server == "threaded")
    (workload,) = summary_of(analyse(changed(results, samples=alone))).workloads
    assert [each.server for each in workload.servers] == ["threaded"]
    assert workload.half_widths == {}


def test_the_regimes_stand_apart(make_results: Callable[..., Results]) -> None:
    results = make_results()

    def on_all(sample: Sample) -> Sample:
        return changed(sample, regime=ALL_CORES) if sample.cell.server == "trio_nursery" else sample

    one, other = results.manifest.servers
    manifest = changed(results.manifest, servers=(one, changed(other, regime=ALL_CORES)))
    both = changed(results, manifest=manifest, samples=tuple(map(on_all, results.samples)))
    found = [
        (each.regime, [of.server for of in each.servers]) for each in summary_of(analyse(both)).workloads
    ]
    assert found == [(ONE_CORE, ["threaded"]), (ALL_CORES, ["trio_nursery"])]


def test_it_is_written_with_the_report_and_is_of_its_type(
    tmp_path: Path, make_results: Callable[..., Results]
) -> None:
    write_manifest(tmp_path, make_results().manifest)
    write_report(tmp_path)
    written = msgspec.json.decode((tmp_path / SUMMARY).read_bytes(), type=Summary)
    assert written.workloads == ()  # nothing was measured
    reference = msgspec.json.decode((REFERENCE / SUMMARY).read_bytes(), type=Summary)
    assert {each.workload for each in reference.workloads} > {"ping_pong", "clients_64"}
