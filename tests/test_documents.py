"""What the documents at the top of the project name is there: files, make targets, subcommands."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click import Context
from click.testing import CliRunner

from harness.analyse.analysis import analyse
from harness.cli.app import COMMANDS, cli
from harness.record import (
    COSTS,
    PROJECT,
    SUMMARY,
    Results,
    Sample,
    ServerCosts,
    append_samples,
    as_json,
    write_whole,
)
from harness.report.export import as_csv
from harness.report.summary import summary_of
from tests.report.page.runs import whole_run

DOCUMENTS = ("README.md", "CONTRIBUTING.md")
RESULTS_README = PROJECT / "results" / "README.md"
PATHS = re.compile(r"[`(]((?:harness|implementations|tests|results)/[\w./-]*\w/?)[`)]")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_paths_that_a_document_names_exist(document: str) -> None:
    named = set(PATHS.findall((PROJECT / document).read_text(encoding="utf-8")))
    assert named
    missing = {path for path in named if not (PROJECT / path).exists()}
    assert missing <= {"implementations/LIBRARY_MECHANISM.py"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_make_targets_that_a_document_names_exist(document: str) -> None:
    named = set(
        re.findall(r"`make ([\w-]+)`|^    make ([\w-]+)", (PROJECT / document).read_text(), re.MULTILINE)
    )
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert {target for pair in named for target in pair if target} <= targets


def test_make_alone_lists_the_targets() -> None:
    said = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout  # noqa: S607 - make is found by its name
    phony = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert set(re.findall(r"^make ([\w-]+)", said, re.MULTILINE)) == set(phony[1].split()) - {"help"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_help(command: str) -> None:
    found = CliRunner().invoke(cli, [command, "--help"])
    assert found.exit_code == 0
    assert f"{command} [" in found.output
    assert command in CliRunner().invoke(cli, ["--help"]).output


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_shows_each_command(command: str) -> None:
    assert f"harness {command}" in (PROJECT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", [*DOCUMENTS, "results/README.md", "results/PUBLISH.md"])
def test_the_commands_that_a_document_shows_take_these_options(document: str) -> None:
    text = (PROJECT / document).read_text(encoding="utf-8").replace("\\\n", " ")
    shown = re.findall(r"(?:^    |`)(?:\.venv/bin/)?harness ([a-z-]+)([^`\n#]*)", text, re.MULTILINE)
    assert shown
    for name, rest in shown:
        command = cli.get_command(Context(cli), name)
        assert command, name
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        typed = re.sub(r"'[^']*'", "", rest)  # the command of a server has its own
        given = {word for word in typed.split() if re.match(r"--[a-z]", word)}
        own = {"--port", "--upstream"} if name == "serve" else set()
        assert given - own <= known, (name, given - known)


def test_the_python_of_the_results_readme_runs(
    make_results: Callable[..., Results],
    make_sample: Callable[..., Sample],
    make_relayed: Callable[..., Sample],
    make_costs: Callable[..., ServerCosts],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = whole_run(make_results, make_sample, make_relayed, make_costs)
    summary = summary_of(analyse(run))
    monkeypatch.chdir(tmp_path)
    for name in ("reference", "FOLDER"):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        append_samples(folder, run.samples)
        write_whole(folder / COSTS, as_json(run.costs))
        write_whole(folder / SUMMARY, as_json(summary))
    write_whole(tmp_path / "figures.csv", as_csv(summary))
    blocks = re.findall(r"```python\n(.*?)```", RESULTS_README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)  # noqa: S102 - it is our own
        assert "threaded" in capsys.readouterr().out or "print" not in block
    assert len(blocks) == 6
