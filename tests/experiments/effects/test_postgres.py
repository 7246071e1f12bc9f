"""A PostgreSQL to ask: what is not there is said in one line, and our own is not left behind, whatever our end is."""

import shutil
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import NoReturn

import pytest

from harness.errors import LaunchError
from harness.experiments.effects import postgres
from harness.experiments.effects.postgres import INSTALL, Database, database, trouble_with
from harness.record import PROJECT
from tests.makers import needs_database

LIMIT_S = 60
KEEPER = """
import os, signal
from harness.experiments.effects.postgres import database
with database() as found:
    print(found.url, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def refusal(url: str | None = None) -> str:
    with pytest.raises(LaunchError) as refused, database(url):
        pass
    return str(refused.value)


def test_a_driver_that_is_missing_is_said_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    assert refusal() == f"psycopg, which asks the database, is not installed: {INSTALL}"
    assert refusal("postgresql:///") == refusal()


def test_a_database_that_is_missing_is_said_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> NoReturn:
        raise PackageNotFoundError

    monkeypatch.setattr(postgres, "find_spec", lambda _: object())
    monkeypatch.setattr(postgres, "distribution", missing)
    assert refusal() == f"PostgreSQL is not installed: {INSTALL}, or --database URL for another"


@needs_database
def test_a_database_that_does_not_answer_is_said_in_one_line(tmp_path: Path) -> None:
    assert refusal(f"postgresql:///?host={tmp_path}").startswith("the database does not answer: connection")
    assert refusal("mysql://").startswith("the database does not answer: ")


@needs_database
def test_a_program_that_is_no_postgresql_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pgserver.libs").mkdir()
    programs = tmp_path / "pgserver/pginstall/bin"
    programs.mkdir(parents=True)
    (programs / "initdb").symlink_to("/bin/false")
    monkeypatch.setattr(postgres, "_installed", lambda: tmp_path)
    assert refusal() == "the database was not made: it said nothing"


@needs_database
def test_a_database_answers_while_it_is_kept_and_whoever_has_its_url() -> None:
    with database() as ours:
        assert trouble_with(ours.url) == ""
        assert ours.cpu_ns() > 0
        with database(ours.url) as somebodys:
            assert somebodys == Database(ours.url)
            assert somebodys.cpu_ns() == 0
    assert trouble_with(ours.url)


@needs_database
def test_a_database_does_not_outlive_whoever_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KEEPER], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as keeper:
        url, _ = keeper.communicate(timeout=LIMIT_S)
    ends_at = time.monotonic() + LIMIT_S
    while not trouble_with(url.strip()):
        assert time.monotonic() < ends_at
        time.sleep(postgres.LOOK_S)
    shutil.rmtree(url.strip().partition("host=")[2])
