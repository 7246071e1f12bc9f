"""The files of a run: what is written is read, and what is not ours is refused by file, line and field."""

import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.errors import ResultsError
from harness.plan import Cell
from harness.record import (
    CONFORMANCE,
    COSTS,
    EFFECTS,
    LIMITS,
    MANIFEST,
    REFERENCE,
    RESULTS,
    SAMPLES,
    SCHEMA,
    TORTURE,
    UNMEASURED,
    Arm,
    ConnectionLimit,
    EffectResult,
    FaultResult,
    Results,
    ServerCosts,
    append_samples,
    append_to_log,
    as_json,
    drop_half_written_sample,
    read_log,
    read_results,
    schema,
    write_manifest,
)
from tests.makers import changed


def write(folder: Path, results: Results) -> None:
    write_manifest(folder, results.manifest)
    for sample in results.samples:
        append_samples(folder, [sample])
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
    assert read_results(tmp_path) == changed(results, torture=torture)
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
    assert read_results(tmp_path) == changed(results, costs=(make_costs(),), effects=(effect,))
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


def test_a_sample_that_is_not_written_to_its_end_may_be_dropped(
    tmp_path: Path, make_results: Callable[..., Results]
) -> None:
    results = make_results()
    write(tmp_path, results)
    drop_half_written_sample(tmp_path)
    assert read_results(tmp_path) == results
    (tmp_path / SAMPLES).write_bytes((tmp_path / SAMPLES).read_bytes()[:-20])
    assert read_results(tmp_path, interrupted=True).samples == results.samples[:-1]
    drop_half_written_sample(tmp_path)
    assert read_results(tmp_path).samples == results.samples[:-1]
    (tmp_path / SAMPLES).unlink()
    drop_half_written_sample(tmp_path)


def test_of_a_sample_that_does_not_fit_on_the_disk_nothing_is_left(
    tmp_path: Path, make_results: Callable[..., Results]
) -> None:
    """A limit of file sizes stands for the disk: some of the line is written before the rest is refused."""
    results = make_results()
    write(tmp_path, results)
    kept = (tmp_path / SAMPLES).read_bytes()
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) + 100, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*samples.jsonl"):
            append_samples(tmp_path, results.samples[:1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / SAMPLES).read_bytes() == kept


def test_samples_load_with_pandas_in_two_lines(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    write(tmp_path, make_results())
    with (tmp_path / SAMPLES).open() as lines:
        samples = pd.json_normalize([json.loads(line) for line in lines])
    assert list(samples.groupby("cell.server")["window.answered"].count()) == [5, 5]


def test_missing_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no results"):
        read_results(tmp_path / "nowhere")


def test_another_schema_is_refused(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    write_manifest(tmp_path, changed(make_results().manifest, schema=99))
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


@pytest.mark.parametrize("name", [SAMPLES, UNMEASURED, CONFORMANCE])
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(
    tmp_path: Path, make_results: Callable[..., Results], name: str
) -> None:
    write(tmp_path, make_results())
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(ResultsError, match=f"{name} is no regular file"):
        read_results(tmp_path)


def spoilt(folder: Path, spoil: Callable[[dict[str, Any]], object]) -> str:
    """Spoil the second of a run's samples; return what is said of it."""
    lines = (folder / SAMPLES).read_text(encoding="utf-8").splitlines()
    sample = json.loads(lines[1])
    spoil(sample)
    (folder / SAMPLES).write_text("\n".join([lines[0], json.dumps(sample), *lines[2:]]), encoding="utf-8")
    with pytest.raises(ResultsError) as refused:
        read_results(folder)
    return str(refused.value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda sample: sample["window"].pop("length_s"),
            "missing required field `length_s` - at `$.window`",
        ),
        (lambda sample: sample["server"].update(colour=1), "unknown field `colour` - at `$.server`"),
        (lambda sample: sample.update(clients=64), "unknown field `clients`"),
        (
            lambda sample: sample["requests"].update(ok="all"),
            "Expected `int`, got `str` - at `$.requests.ok`",
        ),
    ],
)
def test_what_is_wrong_with_a_sample_is_named_with_its_line_and_field(
    tmp_path: Path,
    make_results: Callable[..., Results],
    spoil: Callable[[dict[str, Any]], object],
    said: str,
) -> None:
    write(tmp_path, make_results())
    reason = spoilt(tmp_path, spoil)
    assert f"{tmp_path / SAMPLES}, line 2 is not of schema {SCHEMA}: " in reason
    assert said in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    "manifest", [b"[]", b"{}", b'{"schema": 2, "servers": []}', b'{"schema": "3"}', b"\xff"]
)
def test_what_is_no_manifest_of_ours_is_refused_in_one_line(tmp_path: Path, manifest: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(manifest)
    with pytest.raises(ResultsError, match=MANIFEST) as refused:
        read_results(tmp_path)
    assert "\n" not in str(refused.value)


def test_the_schema_is_made_from_the_types() -> None:
    assert (RESULTS / "schema.json").read_text(encoding="utf-8") == schema()


def test_the_reference_run_is_of_this_schema() -> None:
    assert read_results(REFERENCE).manifest.schema == SCHEMA


def test_a_log_goes_on_after_a_line_that_was_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    cells = [Cell(block, "a", "b") for block in range(3)]
    append_to_log(cells[0], log)
    append_to_log(cells[1], log)
    log.write_bytes(log.read_bytes()[:-5])
    append_to_log(cells[2], log)
    assert read_log(Cell, log) == [cells[0], cells[2]]
    log.write_text('{"block": 1}', encoding="utf-8")
    with pytest.raises(ResultsError, match=r"line 1: .*`server`"):
        read_log(Cell, log)


@pytest.mark.parametrize("line", [b"some notes", b"\xff", b'{"colour": 1', b"{'block': 1}"])
def test_a_file_of_other_lines_is_no_log_to_add_to(tmp_path: Path, line: bytes) -> None:
    log = tmp_path / "log.jsonl"
    append_to_log(Cell(1, "a", "b"), log)
    log.write_bytes(log.read_bytes() + line)
    with pytest.raises(ResultsError, match="line 2"):
        read_log(Cell, log)
