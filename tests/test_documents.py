"""What the documents at the top of the project name is there: files, make targets, subcommands."""

import re
import subprocess

import pytest
from click.testing import CliRunner

from harness.cli.app import COMMANDS, cli
from harness.record import PROJECT

DOCUMENTS = ("README.md", "CONTRIBUTING.md")
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
