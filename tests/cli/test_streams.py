"""What is printed arrives readable, whatever the streams; or the command ends in one clear line."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
HARNESS = (sys.executable, "-m", "harness")
ODD_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
FULL = Path("/dev/full")


def harness(
    *words: str,
    environment: dict[str, str] | None = None,
    stdout: int = subprocess.PIPE,
    redirected: str = "",
) -> subprocess.CompletedProcess[bytes]:
    command = (
        ["sh", "-c", f'exec "$@" {redirected}', "sh", *HARNESS, *words] if redirected else [*HARNESS, *words]
    )
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


PRINTING = [
    ["--help"],
    ["bench", "--help"],
    ["list", "--workloads"],
    ["lesson", "7"],
    ["compare", "threaded", "trio_nursery"],
    ["load", "threaded", "--clients", "2", "--duration", "0.2"],
]


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "latin-1"}, ODD_LOCALE], ids=["latin-1", "C"])
@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_what_an_encoding_lacks_is_said_in_other_characters(
    words: Sequence[str], environment: dict[str, str]
) -> None:
    done = harness(*words, environment=environment)
    assert done.returncode in {0, 1}, done.stderr
    assert not done.stderr


def test_a_table_is_readable_in_ascii() -> None:
    done = harness("list", "--workloads", environment=ODD_LOCALE)
    assert b"-> how soon a scheduler has enough to do to be busy" in done.stdout
    assert done.stdout.isascii()


def test_what_is_for_programs_is_utf_8_whatever_the_terminal_speaks() -> None:
    server = f"µ={sys.executable} -m implementations.threaded --port {{port}}"
    words = ("conform", "--server", server, "--case", "F01")
    for option in ("--json", "--junit"):
        done = harness(*words, option, "-", environment={"PYTHONIOENCODING": "latin-1"})
        assert done.returncode == 0
        assert "µ" in done.stdout.decode()


def test_an_argument_that_is_no_text_is_refused() -> None:
    done = harness("load", "threaded", "--line", "µ", environment=ODD_LOCALE)
    assert done.returncode == 2
    assert done.stderr == b"harness: '\\udcc2\\udcb5' is no text in this locale's encoding\n"


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "words", [["list"], ["list", "--json"], ["conform", "--help"], ["lesson", "3"]], ids=" ".join
)
def test_a_full_disk_is_named_in_one_line(words: Sequence[str]) -> None:
    with FULL.open("wb") as full:
        done = harness(*words, stdout=full.fileno())
    assert done.returncode == 3
    assert done.stderr == b"harness: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--json"], ["conform", "--help"], ["lesson", "3"]], ids=" ".join
)
def test_a_reader_that_has_gone_ends_a_command_quietly(words: Sequence[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = harness(*words, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_standard_output_that_is_closed_is_named() -> None:
    done = harness("list", redirected=">&-")
    assert done.returncode == 3
    assert done.stderr == b"harness: cannot write to standard output: Bad file descriptor\n"


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
def test_what_cannot_be_said_on_standard_error_changes_nothing(redirected: str) -> None:
    assert harness("conform", "nobody", redirected=redirected).returncode == 2
    done = harness(
        "load", "threaded", "--clients", "2", "--duration", "0.2", "--json", "-", redirected=redirected
    )
    assert done.returncode in {0, 1}
    assert done.stdout.startswith(b"{\n")


def test_a_stream_that_others_made_non_blocking_gets_everything() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with subprocess.Popen([*HARNESS, "list", "--json"], cwd=PROJECT, stdout=writing) as process:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read() == harness("list", "--json").stdout
    assert process.returncode == 0


def test_names_that_tables_would_read_as_style_are_refused() -> None:
    done = harness("load", "--server", "[/red]=x {port}")
    assert done.returncode == 2
    assert b"a LABEL is a name" in done.stderr
