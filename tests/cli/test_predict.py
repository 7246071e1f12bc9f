"""`harness predict`: its contract."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.analyse.prediction.laws import Setting
from harness.cli.app import main
from harness.record import Results, Sample, append_samples, write_manifest
from tests.analyse.prediction.relays import SETTINGS, measured, sample_of
from tests.makers import changed

FIGURES = ("throughput_rps", "cpu_us_per_request", "p50_us", "p99_us", "knee_rps")
Run = Callable[..., tuple[object, str, str]]
SERVERS = ("a", "b", "c", "d", "e", "f", "g")
"""Of each three cells are held out: as many as it takes to say how far off a prediction may be."""


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    make_results: Callable[..., Results],
    make_relayed: Callable[..., Sample],
) -> Path:
    cells = [cell for server in SERVERS for cell in measured(server, machines=(1.0, 1.0))]
    cells += measured("hasty", settings=SETTINGS[:2])
    cells += measured("lonely", settings=[Setting(1, wait_s, 1) for wait_s in (0.005, 0.02)])
    path = tmp_path_factory.mktemp("relays")
    write_manifest(path, make_results().manifest)
    append_samples(path, [sample_of(cell, make_relayed) for cell in cells])
    return path


@pytest.fixture
def predict(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command in this process, on a run of relays unless another is given."""

    def run(*words: str) -> tuple[object, str, str]:
        in_folder = () if "--in" in words else ("--in", str(folder))
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr(sys, "argv", ["harness", "predict", *words, *in_folder])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_each_figure_has_a_range_and_keeps_to_the_laws(predict: Run) -> None:
    code, out, err = predict("a", "--clients", "300", "--wait", "12ms", "--pool", "50", "--json", "-")
    assert code == 0, err
    found = json.loads(out)
    for name in FIGURES:
        assert 0 < found[name]["low"] < found[name]["value"] < found[name]["high"]
    assert found["ceiling_rps"] == pytest.approx(50 / 0.012)
    assert found["limited_by"] == "pool"
    assert found["throughput_rps"]["value"] < found["ceiling_rps"]
    assert found["p50_us"]["value"] == pytest.approx(300 / found["throughput_rps"]["value"] * 1e6, rel=0.05)
    assert not found["extrapolated"]


def test_a_person_reads_what_is_the_limit_and_how_good_it_is(predict: Run) -> None:
    code, out, _ = predict("a", "--clients", "400", "--wait", "5ms")
    assert code == 0
    assert "its core, which is always busy" in out
    assert "of the predictions of cells that were held out" in out
    assert max(map(len, out.splitlines())) <= 100


def test_beyond_what_was_measured_it_predicts_only_if_told_to_and_says_so(predict: Run) -> None:
    words = ("a", "--clients", "5000", "--wait", "5ms")
    code, _, err = predict(*words)
    assert (code, "5,000 clients, and measured were 16 to 600 (--extrapolate" in err) == (2, True)
    code, out, _ = predict(*words, "--extrapolate")
    assert code == 0
    assert "extrapolated: 5,000 clients" in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["a", "--clients", "0"], "0 is not in the range"),
        (["a", "--clients", "16", "--pool", "0"], "0 is not in the range"),
        (["a", "--clients", "16", "--wait", "10us"], "as good as the timer is"),
        (["a", "--clients", "16", "--wait", "soon"], "a time with its unit"),
        (["a"], "Missing option '--clients'"),
        (
            ["nobody", "--clients", "16"],
            "has no server 'nobody' of one core that waits, as usual; it has a, b",
        ),
        (["hasty", "--clients", "16"], "has too few cells of hasty that wait: run `harness bench"),
        (["lonely", "--clients", "16"], "of lonely that wait to learn from: it serves one client at a time"),
    ],
)
def test_what_cannot_be_predicted_ends_in_one_clear_line(
    predict: Run, words: Sequence[str], reason: str
) -> None:
    code, _, err = predict(*words)
    assert (code, err.count("\n")) == (2, 1), err
    assert reason in err


def test_a_run_in_which_nothing_waited_predicts_nothing(
    predict: Run, tmp_path: Path, make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> None:
    write_manifest(tmp_path, make_results().manifest)
    append_samples(tmp_path, [make_sample()])
    code, _, err = predict("threaded", "--clients", "16", "--in", str(tmp_path))
    assert (code, err.count("\n")) == (2, 1), err
    assert "has no cells that wait: run `harness bench" in err


def test_cells_that_are_not_valid_are_none(
    predict: Run, tmp_path: Path, make_results: Callable[..., Results], make_relayed: Callable[..., Sample]
) -> None:
    write_manifest(tmp_path, make_results().manifest)
    append_samples(tmp_path, [changed(make_relayed("a"), wrong=1)])
    code, _, err = predict("a", "--clients", "16", "--in", str(tmp_path))
    assert (code, "has no valid cells that wait" in err) == (2, True)


def test_no_results_is_no_usage(predict: Run) -> None:
    code, _, err = predict("a", "--clients", "16", "--in", "/nowhere")
    assert (code, "/nowhere holds no results" in err) == (3, True)
