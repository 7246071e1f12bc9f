"""The command line's contract: what it prints, and its exit codes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.cli.app import NO_THREAD, main
from harness.cli.options import measured_so
from harness.experiments.effects import effects, postgres
from harness.experiments.effects.effects import selected_effects
from harness.experiments.faults.faults import FAULTS
from harness.launch.process import launch
from harness.launch.selection import ours
from harness.plan import WORKLOADS
from harness.record import held, read_results
from implementations.catalogue import SERVERS

PROJECT = Path(__file__).resolve().parents[2]
FAULTY = Path(__file__).parents[1] / "servers" / "faulty.py"
LIMIT_S = 300


def harness(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *words]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def faulty(defect: str) -> list[str]:
    return ["--server", f"faulty={sys.executable} {FAULTY} {{port}} {defect}"]


SHORT_GATE = """
from harness.cli.app import main
from harness.study import bench, phases

bench.known_verdicts = lambda _: {}
whole = phases.run_apart

def short(words):
    return whole([*words[:-1], "--case", "F01,F02,A01", words[-1]] if words[0] == "conform" else words)

phases.run_apart = short
main()
"""
"""Our command, whose gate is of few cases, whatever the reference run knows: it is whole for every server in `tests/implementations`."""
BENCH = (sys.executable, "-c", SHORT_GATE, "bench")


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BENCH, *words], cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Return what runs a command in our own process, since most of what a short one takes is to be loaded."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run_here(*words: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["harness", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(words, code, *capfd.readouterr())

    return run_here


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["conform", "nobody"], 2, "no server is called 'nobody'"),
        (["conform", "blocking", "--case", "X1"], 2, "no case is called 'X1'"),
        (["conform", "--connect", "nowhere"], 2, "HOST:PORT"),
        (["conform", "--connect", "127.0.0.1:1"], 3, "nothing answers at 127.0.0.1:1"),
        (["load", "--connect", "127.0.0.1:1"], 3, "nothing answers at 127.0.0.1:1: Connection refused"),
        (["load", "--connect", f"{'x' * 70}:1"], 3, "it is no host's name"),
        (["conform", *faulty("does_not_start"), "--case", "F01"], 3, "cannot start, for a reason"),
        (["conform", "--server", "x=/no/such/thing", "--case", "F01"], 3, "cannot run /no/such/thing"),
        (["conform", *faulty("adds_one"), "--case", "F02"], 1, None),
        (["torture", "nobody"], 2, "no server is called 'nobody'"),
        (["torture", "blocking", "--fault", "flood"], 2, "no fault is called 'flood'"),
        (["torture", "blocking", "--scale", "0"], 2, "not in the range"),
        (["torture", *faulty("does_not_start")], 3, "cannot start, for a reason"),
        (["torture", *faulty("silent"), "--fault", "pause"], 3, "does not even serve one client"),
        (["costs", "nobody"], 2, "no server is called 'nobody'"),
        (["costs", "blocking", "--scale", "0"], 2, "not in the range"),
        (["costs", *faulty("does_not_start"), "--scale", "0.01"], 3, "cannot start, for a reason"),
        (["costs", *faulty("adds_one"), "--scale", "0.01"], 3, "faulty answers wrongly"),
        (["effect", "nothing"], 2, "no effect is called 'nothing'"),
        (["effect", "convoy", "--database", "postgresql:///"], 2, "for the effect called 'database'"),
        (["fuzz", "nobody"], 2, "no server is called 'nobody'"),
        (["fuzz", "blocking", "--seconds", "0"], 2, "0.0 is not in the range"),
        (["fuzz", "blocking", "--seed", "-1"], 2, "-1 is not in the range"),
        (["fuzz", "--connect", "127.0.0.1:1"], 3, "nothing answers at 127.0.0.1:1"),
        (["fuzz", *faulty("does_not_start")], 3, "cannot start, for a reason"),
        (["load"], 2, "one server is needed"),
        (["load", "blocking", "--clients", "2"], 2, "one client at a time"),
        (["load", "blocking", "--clients", "0"], 2, "0 is not in the range"),
        (["load", "threaded", "--duration", "-1"], 2, "not in the range"),
        (["load", "threaded", "--line", "quit"], 2, "quit"),
        (["load", "--connect", "127.0.0.1:1", "--fresh"], 2, "leave out --connect"),
        (["load", "threaded", "--placement", "free", "--placement", "pinned"], 2, "one --placement"),
        (["load", "threaded", "--wait", "5"], 2, "a time with its unit"),
        (["load", "threaded", "--wait", "10us"], 2, "as good as the timer is"),
        (["load", "threaded", "--pool", "3"], 2, "they need --wait"),
        (["load", "threaded", "--wait", "5ms", "--pool", "0"], 2, "0 is not in the range"),
        (
            ["load", "threaded", "--wait", "5ms", "--clients", "9000", "--pool", "90000"],
            2,
            "a pool of 90,000 are too many",
        ),
        (["load", "threaded", "--wait", "5ms", "--pipeline", "2"], 2, "leave out --pipeline"),
        (["load", "threaded", "--wait", "1s"], 2, "--duration 10 or more"),
        (["load", "--connect", "127.0.0.1:1", "--wait", "5ms"], 2, "leave out --connect"),
        (["load", *faulty("adds_one"), "--clients", "1", "--wait", "5ms"], 2, "has no {upstream}"),
        (["upstream", "--wait", "never"], 2, "a time with its unit"),
        (["upstream", "--wait", "10us"], 2, "as good as the timer is"),
        (["upstream", "--fail", "5"], 2, "a percentage from 0% to 100%"),
        (["upstream", "--fail", "101%"], 2, "a percentage from 0% to 100%"),
        (["bench", "threaded", "--fresh", "--workload", "churn"], 2, "no server stays fresh"),
        (["bench", "threaded", "--generators", "64"], 2, "64 generators need 65 cores"),
        (["load", "threaded", "--cluster", "local:0"], 2, "local:N, of 1 to 64 workers, or tcp://HOST:PORT"),
        (["sweep", "threaded", "--cluster", "10.0.0.1:8786"], 2, "local:N, of 1 to 64 workers"),
        (["load", "threaded", "--on", "a"], 2, "it needs --cluster"),
        (["load", "threaded", "--wait", "5ms", "--cluster", "local:2"], 2, "leave out --cluster"),
        (["compare", "threaded", "blocking", "--cluster", "local:2"], 2, "servers that are measured now"),
        (["limits", "--on", "a"], 2, "No such option '--on'"),
        (["namespaces", "--loss", "100%", "load"], 2, "a percentage below 100%"),
        (
            ["load", "threaded", "--json", "/no/such/x"],
            2,
            "cannot write /no/such/x: No such file or directory",
        ),
        (["conform", "blocking", "--junit", "/"], 2, "cannot write /: Is a directory"),
        (["conform", "blocking", "--junit", "x", "--json", "x"], 2, "cannot both be written to x"),
        (["resolution", "--log", "/no/such/log"], 2, "cannot write to /no/such/log"),
        (["load", "threaded", "--rate", "0"], 2, "a rate is a number of requests per second above 0"),
        (["load", "threaded", "--rate", "nan"], 2, "a rate is a number of requests per second above 0"),
        (["load", "threaded", "--rate", "1e9"], 2, "1,000,000,000 requests/s cannot be"),
        (["load", "threaded", "--rate", "0.1"], 2, "no request falls into 5 s at 0.1 requests/s"),
        (["load", "threaded", "--rate", "500000", "--duration", "3600"], 2, "too many to keep"),
        (["load", "threaded", "--rate", "100", "--arrivals", "bursty"], 2, "bursty"),
        (["load", "threaded", "--arrivals", "poisson"], 2, "it needs --rate"),
        (
            ["load", "threaded", "--generators", "64"],
            2,
            "64 generators need 65 cores, one of them for the server",
        ),
        (["load", "threaded", "--generators", "2", "--clients", "1"], 2, "2 generators need a client each"),
        (["load", "threaded", "--clients", "100000"], 2, "100,000 clients are too many"),
        (["sweep"], 2, "one server is needed"),
        (["sweep", "blocking"], 2, "one client at a time"),
        (["sweep", "threaded", "--slo", "p98=1ms"], 2, "--slo takes a quantile and a time"),
        (["sweep", "threaded", "--slo", "p99=0ms"], 2, "--slo takes a quantile and a time"),
        (["sweep", "threaded", "--rates", "1000,x"], 2, "--rates takes numbers"),
        (
            ["sweep", "threaded", "--rates", "500"],
            2,
            "p99 takes 10,000 requests: at 500 requests/s use --duration 20",
        ),
        (["load", *faulty("adds_one"), "--duration", "0.2"], 3, "faulty answers wrongly"),
        (["load", *faulty("dies_after_a_while"), "--duration", "0.2"], 1, None),
        (["bench", "--workload", "nothing"], 2, "no workload is called 'nothing'"),
        (["bench", "blocking", "--workload", "clients_64"], 2, "nothing is left to measure"),
        (["bench", "--frobnicate"], 2, "frobnicate"),
        (["bench", "--precision", "x"], 2, "--precision takes a percentage"),
        (["bench", "--precision", "3%", "--blocks", "3"], 2, "leave out --blocks"),
        (["bench", "--within", "3", "--blocks", "2"], 2, "--within chooses the number of blocks"),
        (["bench", "threaded", "--precision", "3%"], 2, "it takes two servers"),
        (["bench", "--out", "/proc/nowhere"], 2, "cannot write to /proc/nowhere"),
        (["bench", "--full", "--out", "/proc/nowhere"], 2, "cannot write to /proc/nowhere"),
        (["bench", "--out", "results"], 2, "not empty"),
        (["bench", "--resume", "/nowhere"], 3, "/nowhere holds no results"),
        (["bench", "--resume", "/nowhere", "--within", "5"], 3, "/nowhere holds no results"),
        (["bench", "blocking", "--resume", "{tmp}"], 2, "leave out the rest"),
        (["limits", "nobody"], 2, "no server is called 'nobody'"),
        (["limits", "blocking", "--connections", "0"], 2, "0 is not in the range"),
        (["limits", "blocking", "--connections", "100000"], 2, "100,000 connections are too many"),
        (["limits", *faulty("does_not_start")], 3, "cannot start, for a reason"),
        (["bench", "--out", "{tmp}", *faulty("does_not_start")], 3, "cannot start, for a reason"),
        (["report", "/nowhere"], 3, "/nowhere holds no results"),
        (["load", "thread_pool", "--clients", "65"], 2, "64 clients at once"),
        (["conform", "threaded", "--python", "/nowhere"], 3, "/nowhere: No such file or directory"),
        *(
            (
                [command, "asyncio_streams", "--loop", "mine=nowhere:new"],
                2,
                "mine=nowhere:new: No module named",
            )
            for command in ("load", "sweep", "conform", "torture", "costs", "limits", "bench")
        ),
        (["load", "asyncio_streams", "--loop", "a=a:a", "--loop", "b=b:b"], 2, "give one --loop"),
        (["load", "threaded", "--loop", "mine=asyncio:new_event_loop"], 2, "none runs on asyncio"),
        (["serve", "threaded@/nowhere"], 3, "/nowhere: No such file or directory"),
        (["bench", "threaded", "--python", "/bin/cat"], 3, "does not run Python code"),
        (["serve", "nobody"], 2, "no server is called 'nobody'"),
        (["serve", "threaded+free"], 2, "+free says how a server is measured, not how it serves"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_what_cannot_be_done_ends_in_one_clear_line(
    words: Sequence[str], code: int, reason: str | None, tmp_path: Path, here: Here
) -> None:
    done = here(*(word.replace("{tmp}", f"{tmp_path}/run") for word in words))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if reason is not None:
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["conform", "nobody"], "no server is called 'nobody'"),
        (["serve", "blocking", "--port", "x"], "x is not a whole number"),
    ],
)
def test_what_cannot_be_done_ends_the_process_with_its_code(words: Sequence[str], reason: str) -> None:
    done = harness(*words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert reason in done.stderr


def test_that_no_thread_can_be_started_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where a limit of processes is reached, which are threads to the kernel."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError(NO_THREAD)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(sys, "argv", ["harness", "conform", "threaded", "--case", "F01"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert capsys.readouterr().err == f"harness: {NO_THREAD}\n"


def test_switches_of_the_interpreter_change_nothing_or_are_refused() -> None:
    words = [sys.executable, "-m", "harness", "conform", "threaded", "--case", "A"]
    for name, value, code in (("PYTHONINTMAXSTRDIGITS", "640", 0), ("PYTHONOPTIMIZE", "2", 3)):
        done = subprocess.run(
            words,
            cwd=PROJECT,
            env=os.environ | {name: value},
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert done.stderr.count(b"\n") == (code == 3)


def test_the_list_is_the_catalogue() -> None:
    listed = json.loads(harness("list", "--json").stdout)
    assert [set(server) for server in listed] == [{"name", "model", "declares", "file", "factors"}] * len(
        SERVERS
    )
    assert [server["name"] for server in listed] == [*SERVERS]
    assert all((PROJECT / server["file"]).exists() for server in listed)
    shown = harness("list").stdout
    assert all(
        shown.count(server["name"]) >= 2 for server in listed
    )  # with what it declares, and its factors
    assert max(map(len, shown.splitlines())) <= 100


def test_the_workloads_are_listed_with_what_they_are_for() -> None:
    listed = json.loads(harness("list", "--workloads", "--json").stdout)
    assert [workload["name"] for workload in listed] == [workload.name for workload in WORKLOADS]
    assert all(workload["purpose"] and workload["separates"] for workload in listed)
    shown = harness("list", "--workloads").stdout
    assert all(workload.name in shown for workload in WORKLOADS)
    assert max(map(len, shown.splitlines())) <= 100


def test_limits_are_found_and_held_against_what_is_declared() -> None:
    words = ["limits", "blocking", "asyncio_streams", *faulty("greets_wrongly"), "--connections", "20"]
    done = harness(*words, "--json", "-")
    assert done.returncode == 1, done.stderr
    one, many, wrong = json.loads(done.stdout)
    assert (one["held"], one["answered"], one["told"]) == (1, 1, None)
    assert "more than this model can serve at once" in one["refused"]
    assert "client 2 was not greeted" in one["error"]
    assert (many["held"], many["answered"], many["error"]) == (20, 20, "")
    assert wrong["held"] == 0
    assert "client 1 was greeted with b'<WELCOME" in wrong["error"]
    assert done.stderr.count("NO") == 1
    assert max(map(len, done.stderr.splitlines())) <= 100


def test_conform_writes_the_matrix_json_and_junit(tmp_path: Path) -> None:
    done = harness(
        "conform", "blocking", "threaded", "--case", "F02,C01", "--json", "-", "--junit", f"{tmp_path}/j.xml"
    )
    assert done.returncode == 0, done.stderr
    judged = json.loads(done.stdout)
    assert [(each["server"], each["case"], each["verdict"]) for each in judged] == [
        ("blocking", "F02", "PASS"),
        ("blocking", "C01", "BY-DESIGN"),
        ("threaded", "F02", "PASS"),
        ("threaded", "C01", "PASS"),
    ]
    assert {"server", "case", "title", "level", "verdict", "detail"} <= judged[0].keys()
    assert (tmp_path / "j.xml").read_text().count("<testcase ") == 4


def test_a_relative_command_is_the_callers(tmp_path: Path) -> None:
    """As if it had been called in that folder; a case that runs the command itself finds it, too."""
    script = tmp_path / "mine"
    script.write_text(f'#!/bin/sh\ncd {PROJECT}\nexec {sys.executable} -m implementations.threaded "$@"\n')
    script.chmod(0o755)
    server = "mine=./mine --port {port}"
    done = harness("-C", str(tmp_path), "conform", "--server", server, "--case", "F01,L08", "--json", "said")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads((tmp_path / "said").read_text())) == 2


def test_conform_judges_a_server_by_its_address() -> None:
    with launch(ours("asyncio_streams")) as launched:
        done = harness("conform", "--connect", f"127.0.0.1:{launched.address[1]}", "--case", "F01,F02,L01")
    assert done.returncode == 0
    assert "2 PASS, 1 N/A" in done.stdout


def test_torture_shows_and_writes_what_was_survived(tmp_path: Path) -> None:
    file = tmp_path / "torture.json"
    words = ["torture", "blocking", "threaded", "--scale", "0.05", "--json", str(file)]
    done = harness(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(file.read_text())
    assert [each["server"] for each in found] == ["blocking"] * len(FAULTS) + ["threaded"] * len(FAULTS)
    assert [each["fault"] for each in found] == 2 * [fault.name for fault in FAULTS]
    assert all(each["survived"] and each["probe_checked"] > 0 for each in found)
    assert {each["place"] for each in found[: len(FAULTS)]} == {"alone", "after"}
    assert {each["place"] for each in found[len(FAULTS) :]} == {"beside"}
    assert "had the only place" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    "words",
    [
        ["conform", "--case", "F01"],
        ["limits", "--connections", "2"],
        ["fuzz", "--seconds", "0.1"],
        ["torture", "--fault", "pause", "--scale", "0.05"],
    ],
)
def test_a_server_that_does_not_start_takes_nothing_from_the_others(
    words: Sequence[str], tmp_path: Path, here: Here
) -> None:
    file = tmp_path / "found.json"
    done = here(words[0], "blocking", *faulty("does_not_start"), *words[1:], "--json", str(file))
    assert done.returncode == 1
    assert {each["server"] for each in json.loads(file.read_text())} == {"blocking"}
    assert done.stderr.startswith("harness: faulty is left out: ")
    assert "cannot start, for a reason" in done.stderr


def test_torture_names_what_was_not_survived() -> None:
    done = harness("torture", *faulty("dies_on_x"), "--fault", "bad-path,pause", "--scale", "0.1")
    assert done.returncode == 1
    said = " ".join(done.stdout.split())  # what is long is wrapped
    assert "not survived bad-path: " in said
    assert "not survived pause: " not in said
    assert "exit code 3" in said
    assert not done.stderr


def test_costs_are_shown_and_written(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    done = harness("costs", "select_generators", "--scale", "0.02", "--json", str(file))
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(file.read_text())
    assert found["server"] == "select_generators"
    assert found.keys() == {"server", "loads", "crowd", "lifetime", "untraced", "regime"}
    shown = " ".join(done.stdout.split())
    for words in ("clients_64_pipeline_16", "wake-ups", "per connection RSS", "this model's limit"):
        assert words in shown
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_server_that_replies_wrongly_does_not_hide_what_others_cost(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    bad = faulty("goes_wrong_after_a_while")
    done = harness("costs", "blocking", *bad, "--scale", "0.02", "--json", str(file))
    assert done.returncode == 1
    assert [each["server"] for each in json.loads(file.read_text())] == ["blocking"]
    assert "harness: no costs of faulty: received " in done.stderr


def test_an_effect_is_shown_and_written() -> None:
    done = harness("effect", "convoy", "--json", "-")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["effect"], found["named_present"], found["named_absent"]) == ("convoy", True, False)
    assert "names it" in done.stderr


def test_a_database_that_is_not_installed_is_left_out_unless_it_is_named(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    reason = f"psycopg, which asks the database, is not installed: {postgres.INSTALL}"
    done = here("effect", "database")
    assert (done.returncode, done.stderr) == (3, f"harness: {reason}\n")
    monkeypatch.setattr(effects, "EFFECTS", selected_effects(["convoy", "database"]))
    done = here("effect", "--json", "-")
    assert [each["effect"] for each in json.loads(done.stdout)] == ["convoy"]
    assert f"harness: database is left out: {reason}\n" in done.stderr


def test_fuzz_tells_what_it_tried_and_what_it_found() -> None:
    words = ["fuzz", "blocking", "--seconds", "1", "--seed", "3", *faulty("greets_wrongly"), "--json", "-"]
    done = harness(*words)
    assert done.returncode == 1, done.stderr
    right, wrong = json.loads(done.stdout)
    assert [right["server"], wrong["server"]] == ["blocking", "faulty"]
    assert right["seed"] == wrong["seed"] == 3
    assert right["sequences"] > 0 < right["bytes"]
    assert right["failure"] is None
    assert {"message", "reproducer"} <= wrong["failure"].keys()
    assert "WELCOME" in wrong["failure"]["message"]
    assert f"{right['sequences']:,} sequences" in done.stderr
    assert max(map(len, done.stderr.splitlines())) <= 100


def test_fuzz_takes_an_address() -> None:
    with launch(ours("trio_nursery")) as launched:
        done = harness("fuzz", "--connect", f"127.0.0.1:{launched.address[1]}", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert "nothing found" in done.stdout


def figures_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Read the figures of a load that went well, but for the machine's being busy with other things."""
    assert done.returncode in {0, 1}, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    codes = {reason.partition(":")[0] for reason in figures["reasons"]}
    assert figures["valid"] == (done.returncode == 0)
    assert figures["valid"] or codes & {"steal", "lag", "foreign-work"}
    return figures


@pytest.mark.parametrize(
    ("options", "arrivals"),
    [
        ([], "closed"),
        (["--rate", "400"], "constant"),
        (["--rate", "400", "--arrivals", "poisson"], "poisson"),
    ],
)
def test_load_writes_the_keys_of_the_contract(options: list[str], arrivals: str) -> None:
    words = ["load", "threaded", "--clients", "4", "--duration", "0.5", "--warmup", "0.1", "--json", "-"]
    figures = figures_of(harness(*words, *options))
    assert figures["throughput_rps"] > 0
    for view in ("response_us", "service_us", "queueing_us", "lag_us"):
        assert list(figures[view]) == ["p50", "p90", "p99", "p999", "max"]
        for name, behind in figures["behind"][view].items():
            assert (figures[view][name] is None) == (behind["beyond"] == 0)
            assert behind["events"] <= behind["beyond"]
    requests = figures["requests"]
    assert requests["planned"] == requests["sent"] + requests["never_sent"] > 0
    assert requests["sent"] == sum(requests[k] for k in ("ok", "wrong", "error", "timeout", "in_flight"))
    assert figures["server"]["cpu_us_per_request"] > 0
    assert figures["generator"]["cpu_share"] > 0
    assert figures["loop"]["arrivals"] == arrivals


def test_what_never_came_is_censored_and_named() -> None:
    words = ["load", "blocking", "--clients", "1", "--rate", "60000", "--duration", "0.5", "--timeout", "0.1"]
    done = harness(*words, "--json", "-")
    figures = json.loads(done.stdout)
    assert figures["requests"]["never_sent"] > 0
    assert figures["response_us"]["p90"] is figures["response_us"]["max"] is None
    assert figures["censored"]["above_us"]["response_us"]["p90"] >= 100_000
    assert figures["censored"]["requests"] > 0
    assert {"overloaded", "censored"} <= {reason.partition(":")[0] for reason in figures["reasons"]}
    assert "> 0." in done.stderr


def test_sweep_shows_the_curve_and_writes_it() -> None:
    words = ["sweep", "blocking", "--clients", "1", "--rates", "300,100000", "--slo", "p50=50ms"]
    done = harness(*words, "--duration", "0.7", "--warmup", "0.1", "--timeout", "0.2", "--json", "-")
    assert done.returncode in {0, 1}, done.stderr
    figures = json.loads(done.stdout)
    assert figures["slo"] == {"quantile": "p50", "limit_us": 50_000}
    assert [point["rate"] for point in figures["points"]] == [300, 100_000]
    assert all(point["requests"]["planned"] > 0 for point in figures["points"])
    assert figures["points"][1]["sustained"] is not True
    assert figures["knee"].keys() == {"low_rps", "high_rps"}
    assert "seconds" in figures["recovery"]
    assert all(word in done.stderr for word in ("offered/s", "knee", "recovery"))
    assert max(map(len, done.stderr.splitlines())) <= 100


def test_serve_runs_a_server_in_the_foreground_and_ends_with_its_code() -> None:
    command = [sys.executable, "-m", "harness", "serve", "threaded", "--port", "0"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline().startswith(b"Server up")
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one small run that all of these tests look at, of two servers, and one that is not measured since it does not conform."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = bench(
        "--no-prove",
        "--no-costs",
        "--no-limits",
        "--no-torture",
        "blocking",
        "threaded",
        *faulty("adds_one"),
        "--workload",
        "ping_pong",
        "--blocks",
        "2",
        "--seed",
        "5",
        "--out",
        str(folder),
    )
    assert done.returncode == 1, done.stderr
    return folder


def test_bench_leaves_a_complete_folder(run: Path) -> None:
    results = read_results(run)
    assert results.manifest.progress.complete
    assert results.manifest.design.seed == 5
    assert results.manifest.command[:3] == ("harness", "bench", "--no-prove")
    first = [(s.cell.block, s.cell.workload) for s in results.samples if s.cell.attempt == 1]
    assert first == [(0, "ping_pong")] * 2 + [(1, "ping_pong")] * 2
    of_a_proof_that_stands = {"suite.json", "proof.md"}
    assert {file.name for file in run.iterdir()} - of_a_proof_that_stands == {
        "manifest.json",
        "samples.jsonl",
        "summary.json",
        "conformance.json",
        "report.md",
        "pairs.md",
        "method.md",
        "report.html",
        "clauses.json",
        "servers.md",
        "workloads.md",
        "cases.md",
        "figures",
    }


def test_a_server_that_does_not_conform_gets_no_figures(run: Path) -> None:
    assert {sample.cell.server for sample in read_results(run).samples} == {"blocking", "threaded"}
    assert "`faulty` failed the suite, and got no figures" in (run / "report.md").read_text()
    assert "`faulty`: did not pass the conformance gate" in (run / "workloads.md").read_text()


def test_a_fresh_report_is_not_stale_and_a_changed_one_is(run: Path, here: Here) -> None:
    assert here("report", str(run), "--check").returncode == 0
    report = run / "report.md"
    kept = report.read_text()
    report.write_bytes(kept.encode() + b"\nOne more line, \xff, which is no text.\n")
    done = here("report", str(run), "--check")
    assert done.returncode == 1
    assert "is not what" in done.stderr
    assert here("report", str(run)).returncode == 0
    assert report.read_text() == kept


def test_an_interrupted_run_is_gone_on_with(run: Path, tmp_path: Path) -> None:
    """As if it had been killed while its third sample was written."""
    shutil.copytree(run, tmp_path / "run")
    samples = tmp_path / "run" / "samples.jsonl"
    first, second, third, *_ = samples.read_bytes().splitlines(keepends=True)
    samples.write_bytes(first + second + third[:100])
    done = bench("--resume", str(tmp_path / "run"))
    assert done.returncode in {0, 1}, done.stderr
    assert samples.read_bytes().startswith(first + second)
    before, after = read_results(run), read_results(tmp_path / "run")
    planned = [(0, "ping_pong")] * 2 + [(1, "ping_pong")] * 2
    assert [(s.cell.block, s.cell.workload) for s in after.samples if s.cell.attempt == 1] == planned
    assert after.manifest.progress.complete
    assert (after.manifest.progress.resumed, after.manifest.design.seed) == (1, before.manifest.design.seed)
    assert after.manifest.command == before.manifest.command
    assert "interrupted and resumed once" in (tmp_path / "run" / "report.md").read_text()
    assert "2 of 8 launches were made before" in done.stdout
    assert "Conformance" not in done.stdout


def test_a_run_of_other_sources_is_not_gone_on_with(run: Path, tmp_path: Path, here: Here) -> None:
    shutil.copytree(run, tmp_path / "run")
    manifest = tmp_path / "run" / "manifest.json"
    manifest.write_text(re.sub(r'"harness_hash": "\w+"', '"harness_hash": "0"', manifest.read_text()))
    done = here("bench", "--resume", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "cannot be resumed: since it was begun, the harness's source changed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_older_than_its_sources_is_made_anew_and_nothing_else(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    manifest = tmp_path / "run" / "manifest.json"
    states = r'"(conformance.json threaded|samples.jsonl ping_pong)": "\w+"'
    manifest.write_text(re.sub(states, r'"\1": "before"', manifest.read_text()))
    assert (
        "samples of ping_pong; conformance of threaded (harness bench --stale)"
        in harness("report", str(tmp_path / "run")).stderr
    )
    done = bench("--stale", "--out", str(tmp_path / "run"))
    assert done.returncode in {0, 1}, done.stderr
    assert done.stderr.startswith("older than their sources: samples of ping_pong; conformance of threaded\n")
    before, after = read_results(run), read_results(tmp_path / "run")
    assert [each for each in after.conformance if each.server == "blocking"] == [
        each for each in before.conformance if each.server == "blocking"
    ]
    assert [(each.server, each.case) for each in after.conformance] == [
        (each.server, each.case) for each in before.conformance
    ]
    assert {each.cell for each in after.samples} >= {
        each.cell for each in before.samples if each.cell.attempt == 1
    }
    assert not {each.window for each in after.samples} & {each.window for each in before.samples}
    assert after.manifest.states == before.manifest.states
    assert after.manifest.progress.complete
    assert "ping_pong; conformance of threaded." in after.manifest.remark
    done = bench("--stale", "--out", str(tmp_path / "run"))
    assert (done.returncode, done.stderr) == (0, "older than their sources: nothing\n")


def test_a_run_of_another_machine_is_not_renewed_in_part(run: Path, tmp_path: Path, here: Here) -> None:
    shutil.copytree(run, tmp_path / "run")
    manifest = tmp_path / "run" / "manifest.json"
    changed = re.sub(r'"kernel": "[^"]+"', '"kernel": "another"', manifest.read_text())
    manifest.write_text(re.sub(r'"samples.jsonl ping_pong": "\w+"', '"samples.jsonl ping_pong": ""', changed))
    kept = (tmp_path / "run" / "samples.jsonl").read_bytes()
    done = here("bench", "--stale", "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "cannot be renewed in part: since it was made, the machine's kernel changed" in done.stderr
    assert (tmp_path / "run" / "samples.jsonl").read_bytes() == kept
    done = here("bench", "threaded", "--stale")
    assert done.returncode == 2
    assert "leave out all but --out" in done.stderr


def started_bench(command: list[str], number: signal.Signals) -> subprocess.Popen[str]:
    """Start a run in a group of its own, that a signal may end even if it is ignored here, as in background jobs."""
    handler = signal.signal(number, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
    finally:
        signal.signal(number, handler)


@contextmanager
def killing(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let a test that fails not wait for a process that does not end."""
    try:
        yield
    finally:
        process.kill()


def test_an_interrupted_bench_keeps_what_it_has_and_leaves_no_process(tmp_path: Path) -> None:
    """By each signal that ends it; the next run goes on with the first, whose servers need not be judged again."""
    folder = tmp_path / "run"
    begun = [
        *BENCH,
        "--no-prove",
        "--no-costs",
        "--no-limits",
        "blocking",
        "--workload",
        "ping_pong",
        "--blocks",
        "500",
        "--out",
        str(folder),
    ]
    interrupt_after_a_sample(begun, folder, signal.SIGINT, code=130)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129)):
        interrupt_after_a_sample([*BENCH, "--resume", str(folder)], folder, number, code)
    assert read_results(folder).manifest.progress.resumed == 2


def interrupt_after_a_sample(command: list[str], folder: Path, number: signal.Signals, code: int) -> None:
    samples = folder / "samples.jsonl"
    before = samples.read_bytes() if samples.exists() else b""
    process = started_bench(command, number)
    with process, killing(process):
        limit = time.monotonic() + LIMIT_S
        while not (samples.exists() and samples.stat().st_size > len(before)):
            assert time.monotonic() < limit
            assert process.poll() is None
            time.sleep(0.05)
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == code
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
    assert samples.read_bytes().startswith(before)
    results = read_results(folder)
    assert not results.manifest.progress.complete
    assert results.measured_cells
    assert "**Incomplete**" in (folder / "report.md").read_text()


def test_ctrl_c_in_the_gate_leaves_no_process(tmp_path: Path) -> None:
    """The terminal sends it to the whole group: the suite, which runs in a process of its own, must still end its servers."""
    command = [sys.executable, "-m", "harness", "bench", "blocking", "--out", str(tmp_path / "run")]
    process = started_bench(command, signal.SIGINT)
    with process, killing(process):
        limit = time.monotonic() + LIMIT_S
        while len(started := psutil.Process(process.pid).children(recursive=True)) < 2:
            assert time.monotonic() < limit
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


@pytest.mark.parametrize("words", [["--resume"], ["--stale", "--out"]])
def test_a_folder_of_somebody_elses_is_not_touched(tmp_path: Path, words: list[str], here: Here) -> None:
    samples = tmp_path / "samples.jsonl"
    samples.write_text('{"text": "mine"}\n{"text": "without an LF"}')
    done = here("bench", *words, str(tmp_path))
    assert done.returncode == 3
    assert "holds no results" in done.stderr
    assert [samples] == list(tmp_path.iterdir())
    assert samples.read_text() == '{"text": "mine"}\n{"text": "without an LF"}'


def test_a_run_that_is_under_way_is_not_gone_on_with(run: Path, here: Here) -> None:
    with held(run):
        done = here("bench", "--resume", str(run))
    assert done.returncode == 2
    assert "is in use: another run of ours writes to it" in done.stderr


def test_a_log_of_somebody_elses_is_not_added_to(tmp_path: Path, here: Here) -> None:
    log = tmp_path / "notes"
    log.write_text("mine, without an LF")
    assert here("resolution", "--log", str(log)).returncode == 3
    assert here("false-alarms", "blocking", "--log", str(log)).returncode == 3
    assert log.read_text() == "mine, without an LF"


@pytest.mark.parametrize("words", [["conform"], ["load", "--duration", "60"], ["bench"]], ids=" ".join)
def test_of_a_harness_that_is_killed_no_process_is_left(tmp_path: Path, words: list[str]) -> None:
    """The server listens to no signal but this one, and the generator and the phases have nobody to talk to any more."""
    command = [sys.executable, "-m", "harness", *words, *faulty("ignores_signals")]
    if words == ["bench"]:
        command += ["--out", str(tmp_path / "run")]
    process = started_bench(command, signal.SIGTERM)
    with process, killing(process):
        limit = time.monotonic() + LIMIT_S
        while len(started := psutil.Process(process.pid).children(recursive=True)) < 3:
            assert time.monotonic() < limit
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


def test_results_half_written_are_refused(run: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "manifest.json").write_text((run / "manifest.json").read_text()[:100])
    done = here("report", str(tmp_path))
    assert done.returncode == 3
    assert "half written" in done.stderr


@pytest.mark.parametrize(
    ("placements", "fresh", "labels"),
    [
        ((), False, ["threaded", "processes"]),
        (("free",), False, ["threaded+free", "processes"]),
        (("pinned", "free"), False, ["threaded", "threaded+free", "processes"]),
        (("pinned", "free"), True, ["threaded+fresh", "threaded+free+fresh", "processes+fresh"]),
    ],
)
def test_servers_are_measured_as_the_options_say(
    placements: tuple[str, ...],
    fresh: bool,  # noqa: FBT001 - a parameter of the test
    labels: list[str],
) -> None:
    found = measured_so([ours("threaded"), ours("processes")], placements, fresh=fresh)
    assert [each.label for each in found] == labels
