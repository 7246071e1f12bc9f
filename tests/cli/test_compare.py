"""`harness compare`: its contract."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli.app import main
from harness.launch.candidates import Candidate
from harness.plan import CORE, Cell, Load
from harness.record import Sample
from harness.study import campaign
from tests.makers import blocks_of

PROJECT = Path(__file__).resolve().parents[2]
KEYS = ["workload", "metric", "a", "b", "ratio", "ci_low", "ci_high", "verdict"]


@dataclass(frozen=True)
class Done:
    """What a run of the command line left behind."""

    returncode: object
    stdout: str
    stderr: str


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Return a function that runs the command in this process, which is quicker than starting one."""

    def run(*words: str) -> Done:
        monkeypatch.chdir(PROJECT)
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr(sys, "argv", ["harness", "compare", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(ended.value.code, said.out, said.err)

    return run


def test_two_servers_of_the_reference_run(compare: Callable[..., Done]) -> None:
    done = compare("threaded", "trio_nursery", "--json", "-")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {each["workload"] for each in found} >= {each.name for each in CORE}
    assert all(set(KEYS) <= each.keys() for each in found)
    assert all((each["a"], each["b"]) == ("threaded", "trio_nursery") for each in found)
    assert {each["verdict"] for each in found} <= {"better", "worse", "equivalent", "undecided"}


def test_the_table_is_narrow_enough(compare: Callable[..., Done]) -> None:
    shown = compare("threaded", "trio_nursery").stdout
    assert "trio_nursery against threaded" in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown


@pytest.mark.parametrize(
    ("limit", "code"), [("cpu_us_per_request > +5%", 1), ("cpu_us_per_request > +900%", 0)]
)
def test_a_threshold_decides_on_the_exit_code(compare: Callable[..., Done], limit: str, code: int) -> None:
    done = compare("threaded", "trio_nursery", "--fail-if", limit)
    assert done.returncode == code
    assert ("cpu_us_per_request > +5%: trio_nursery against threaded" in done.stderr) == bool(code)


def test_a_threshold_that_could_not_be_judged_is_not_kept(
    compare: Callable[..., Done], monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., Sample]
) -> None:
    """Four clients do not tell what a silent one takes: whoever asks for a limit of that is not told that all is well."""

    def fake(_: Candidate, __: Load, *, cell: Cell) -> Sample:
        return make_sample(
            cell=cell, rps=1000, cpu_us=(1 + cell.block) * (10 if cell.server == "other" else 20)
        )

    monkeypatch.setattr(campaign, "measure_block", blocks_of(fake))
    words = ("threaded", "--server", "other=x", "--blocks", "4", "--clients", "4")
    done = compare(*words, "--fail-if", "idle_kib_per_connection > +5%")
    assert done.returncode == 3
    assert done.stderr.startswith("harness: --fail-if: idle_kib_per_connection could not be judged: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["threaded"], 2, "two are compared"),
        (["threaded", "nobody"], 2, "no server 'nobody'"),
        (["threaded", "threaded"], 2, "always equal to itself"),
        (["results/reference", "./results/../results/reference"], 2, "a run is always equal to itself"),
        (["a", "b", "--in", "/nowhere"], 3, "/nowhere holds no results"),
        (["threaded", "trio_nursery", "--fail-if", "cpu > 5%"], 2, "a threshold is like"),
        (["--server", "a=x"], 2, "two servers are compared, and 1 are given"),
        (["--server", "a=x", "--server", "b=y", "--in", "results/reference"], 2, "one of the two"),
        (
            ["asyncio_streams", "--loop", "a=asyncio:SelectorEventLoop", "--in", "x"],
            2,
            "--loop asks for a new",
        ),
        (["threaded", "--loop", "a=asyncio:SelectorEventLoop"], 2, "none runs on asyncio"),
        (["--server", "a=/no/such/thing", "--server", "b=/no/such/thing"], 3, "cannot run /no/such/thing"),
        (["blocking", "--server", "b=/no/such/thing"], 2, "one client at a time"),
        (["thread_pool", "--server", "b=x", "--clients", "65"], 2, "64 clients at once"),
        (
            ["threaded", "trio_nursery", "--clients", "64"],
            2,
            "--clients is for servers that are measured now",
        ),
        (
            ["threaded", "trio_nursery", "--declare", "a=x"],
            2,
            "--declare is for servers that are measured now",
        ),
        (
            ["threaded", "trio_nursery", "--cluster", "local:2"],
            2,
            "--cluster is for servers that are measured",
        ),
        (["threaded", "trio_nursery", "--force"], 2, "--force is for two runs"),
        (["blocking", "--server", "b=x", "--force"], 2, "--force is for two runs"),
        (["results/reference"] * 2 + ["--in", "results/reference"], 2, "--in names the run"),
        (
            ["results/reference"] * 2 + ["--duration", "2"],
            2,
            "--duration is for servers that are measured now",
        ),
        (["processes", "--server", "b=x"], 2, "processes uses all cores and b uses one core"),
    ],
)
def test_what_cannot_be_compared_ends_in_one_clear_line(
    compare: Callable[..., Done], words: Sequence[str], code: int, reason: str
) -> None:
    done = compare(*words)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert reason in done.stderr


def test_runs_made_under_unlike_conditions_are_refused_unless_forced(
    compare: Callable[..., Done], tmp_path: Path
) -> None:
    reference = PROJECT / "results" / "reference"
    manifest = json.loads((reference / "manifest.json").read_text())
    manifest["environment"]["cpu"] = "another"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "samples.jsonl").write_bytes((reference / "samples.jsonl").read_bytes())
    refused = compare(str(reference), str(tmp_path))
    assert refused.returncode == 2
    assert "and another" in refused.stderr
    forced = compare(str(reference), str(tmp_path), "--force")
    assert forced.returncode == 0, forced.stderr
    assert "differs: processor" in forced.stdout
    assert "equivalent" not in forced.stdout or "undecided" in forced.stdout


def test_two_servers_measured_now(
    compare: Callable[..., Done], monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., Sample]
) -> None:
    """The order in which they are launched varies, that in which they are compared does not."""

    def fake(_: Candidate, load: Load, *, cell: Cell) -> Sample:
        assert load.clients == 4
        cost_us = (1 + cell.block) * (10 if cell.server == "threaded" else 20 + cell.block / 10)
        return make_sample(cell=cell, rps=1000, cpu_us=cost_us)

    monkeypatch.setattr(campaign, "measure_block", blocks_of(fake))
    words = ("threaded", "--server", "other=x", "--blocks", "6", "--clients", "4", "--json", "-")
    done = compare(*words, "--metric", "cpu_us_per_request")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["workload"], found["a"], found["b"], found["verdict"]) == (
        "clients_4",
        "threaded",
        "other",
        "worse",
    )
    assert found["ratio"] == pytest.approx(2.025, rel=0.01)
    assert compare(*words, "--fail-if", "cpu_us_per_request > +50%").returncode == 1
