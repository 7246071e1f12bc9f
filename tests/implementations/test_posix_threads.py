"""The example in C, by the very commands that the README shows: it keeps the whole specification but relays."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.app import cli
from harness.record import PROJECT

COMPILE = re.compile(r"^    (cc .*)$", re.MULTILINE)
CONFORM = re.compile(r"^    harness (conform --server c='.*)$", re.MULTILINE)
MADE = "results/posix_threads"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")
def test_the_example_in_another_language_conforms(tmp_path: Path) -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8").replace(MADE, str(tmp_path / "server"))
    compiled, judged = COMPILE.search(readme), CONFORM.search(readme)
    assert compiled
    assert judged
    subprocess.run([*shlex.split(compiled[1]), "-Wall", "-Wextra", "-Werror"], cwd=PROJECT, check=True)
    done = CliRunner().invoke(cli, shlex.split(judged[1]), standalone_mode=False)
    assert done.return_value == 0, done.output
