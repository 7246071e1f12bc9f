"""Histograms, and the files of a run."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.drive.journal import read_times
from harness.errors import ResultsError
from harness.record import (
    CONFORMANCE,
    COSTS,
    EFFECTS,
    LIMITS,
    MANIFEST,
    SAMPLES,
    TORTURE,
    Arm,
    ConnectionLimit,
    EffectResult,
    FaultResult,
    Results,
    ServerCosts,
    append_sample,
    as_json,
    bucket_bounds,
    bucket_of,
    drop_half_written_sample,
    histogram,
    read_results,
    write_manifest,
)

nanoseconds = st.integers(min_value=0, max_value=2**50)


@given(nanoseconds)
def test_a_value_lies_in_its_bucket(value: int) -> None:
    low, above = bucket_bounds(int(bucket_of(np.array([value]))[0]))
    assert low <= value < above
    assert above - low <= max(1, value / 64)


@given(st.integers(min_value=0, max_value=3000))
def test_buckets_leave_no_gap(bucket: int) -> None:
    assert bucket_bounds(bucket)[1] == bucket_bounds(bucket + 1)[0]


@given(st.lists(st.tuples(nanoseconds, st.integers(min_value=1, max_value=9)), max_size=50))
def test_a_histogram_counts_everything(weighted: list[tuple[int, int]]) -> None:
    values, counts = (
        np.array(column, dtype=np.int64) for column in (zip(*weighted, strict=True) if weighted else ([], []))
    )
    assert sum(histogram(values, counts).values()) == sum(count for _, count in weighted)


def write(folder: Path, results: Results) -> None:
    write_manifest(folder, results.manifest)
    for sample in results.samples:
        append_sample(folder, sample)
    (folder / CONFORMANCE).write_text(as_json(results.conformance), encoding="utf-8")


def test_what_is_written_is_read(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    results = make_results()
    write(tmp_path, results)
    assert read_results(tmp_path) == results


def test_faults_are_read_if_they_were_tried(
    tmp_path: Path, make_results: Callable[..., Results], make_fault: Callable[..., FaultResult]
) -> None:
    results = make_results()
    write(tmp_path, results)
    assert read_results(tmp_path).torture == ()
    torture = (make_fault(), make_fault(fault="stop", descriptors_after=None, reasons=("why", "not")))
    (tmp_path / TORTURE).write_text(as_json(torture), encoding="utf-8")
    assert read_results(tmp_path) == replace(results, torture=torture)
    (tmp_path / TORTURE).write_text(as_json(torture)[:-9], encoding="utf-8")
    with pytest.raises(ResultsError, match=f"{TORTURE}.* half written"):
        read_results(tmp_path)


def test_costs_and_effects_are_read_if_they_were_looked_for(
    tmp_path: Path, make_results: Callable[..., Results], make_costs: Callable[..., ServerCosts]
) -> None:
    results = make_results()
    write(tmp_path, results)
    assert read_results(tmp_path).costs == ()
    assert read_results(tmp_path).effects == ()
    arms = Arm("with", {"x_us": 5000.0}), Arm("without", {"x_us": 5.0})
    effect = EffectResult("e", "It waits", "x_us", "µs", *arms, True, False, "because", "source", "command")
    (tmp_path / COSTS).write_text(as_json([make_costs()]), encoding="utf-8")
    (tmp_path / EFFECTS).write_text(as_json([effect]), encoding="utf-8")
    assert read_results(tmp_path) == replace(results, costs=(make_costs(),), effects=(effect,))
    for name in (COSTS, EFFECTS):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(kept[:-9])
        with pytest.raises(ResultsError, match=f"{name}.* half written"):
            read_results(tmp_path)
        (tmp_path / name).write_bytes(kept)


def test_limits_are_read_if_they_were_found(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    results = make_results()
    write(tmp_path, results)
    assert read_results(tmp_path).limits == ()
    limits = (
        ConnectionLimit("threaded", 10_000, 10_001, "", 9_000, 9_000, "client 9,001 was reset", 2.0, 1.5),
    )
    (tmp_path / LIMITS).write_text(as_json(limits), encoding="utf-8")
    assert read_results(tmp_path).limits == limits


def test_samples_of_before_company_are_read(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    """What came later has defaults."""
    results = make_results()
    write(tmp_path, results)
    later = {"churn", "connect_ns", "fairness_jain", "relief_s", "memory_series_bytes", "company_fault"}
    given_sample = {name: value for name, value in asdict(results.samples[0]).items() if name not in later}
    (tmp_path / SAMPLES).write_text(json.dumps(given_sample) + "\n")
    assert read_results(tmp_path).samples == results.samples[:1]


def test_a_sample_that_is_not_written_to_its_end_may_be_dropped(
    tmp_path: Path, make_results: Callable[..., Results]
) -> None:
    results = make_results()
    write(tmp_path, results)
    drop_half_written_sample(tmp_path)
    assert read_results(tmp_path) == results
    (tmp_path / SAMPLES).write_bytes((tmp_path / SAMPLES).read_bytes()[:-20])
    drop_half_written_sample(tmp_path)
    assert read_results(tmp_path).samples == results.samples[:-1]
    (tmp_path / SAMPLES).unlink()
    drop_half_written_sample(tmp_path)


def test_samples_load_with_pandas_in_two_lines(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    write(tmp_path, make_results())
    samples = pd.read_json(tmp_path / SAMPLES, lines=True)
    assert list(samples.groupby("server").answered.count()) == [5, 5]


def test_the_generators_times_are_read_as_columns(tmp_path: Path) -> None:
    np.arange(12, dtype=np.int64).tofile(tmp_path / "one")
    np.arange(12, 18, dtype=np.int64).tofile(tmp_path / "two")
    times = read_times([tmp_path / "one", tmp_path / "two"])
    assert list(times.intended_ns) == [0, 6, 12]
    assert list(times.count) == [4, 10, 16]
    assert list(times.where(times.count > 5).sent_ns) == [8, 14]


def test_two_generators_clients_stay_apart(tmp_path: Path) -> None:
    for place, name in enumerate(("one", "two")):
        np.array([[place, 0, 0, 0, 1, 7]], dtype=np.int64).tofile(tmp_path / name)
    assert len(set(read_times([tmp_path / "one", tmp_path / "two"]).client)) == 2


def test_missing_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no results"):
        read_results(tmp_path / "nowhere")


def test_another_schema_is_refused(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    write_manifest(tmp_path, replace(make_results().manifest, schema=99))
    with pytest.raises(ResultsError, match="of schema 99"):
        read_results(tmp_path)


@pytest.mark.parametrize("name", [MANIFEST, SAMPLES, CONFORMANCE])
def test_a_half_written_file_is_named(
    tmp_path: Path, make_results: Callable[..., Results], name: str
) -> None:
    write(tmp_path, make_results())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-20])
    with pytest.raises(ResultsError, match=f"{name}.* half written"):
        read_results(tmp_path)


def test_missing_fields_are_named(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    results = make_results()
    write(tmp_path, results)
    given_sample = asdict(results.samples[0])
    del given_sample["window_s"]
    (tmp_path / SAMPLES).write_text(json.dumps(given_sample))
    with pytest.raises(ResultsError, match=r"line 1 is not a sample .*window_s"):
        read_results(tmp_path)
