"""Relays at a real database: right answers, and many questions under way at once, unless the driver blocks."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from harness.analyse.database import DATABASE, UPSTREAM
from harness.errors import UsageError
from harness.experiments.costs.clients import connected_clients
from harness.experiments.effects import database as measured
from harness.experiments.effects.database import ITS_WAY, asked, relaying
from harness.experiments.effects.effects import RELAYS, at_database, let_happen, selected_effects
from harness.experiments.effects.postgres import Database, database
from tests.makers import needs_database

CLIENTS = 4
LONG_S = 600.0
LIMIT_S = 60
UNDER_WAY = b" FROM pg_stat_activity WHERE state = 'active' AND pid != pg_backend_pid()"
COUNT = b"SELECT count(*)" + UNDER_WAY
END = b"SELECT count(pg_terminate_backend(pid))" + UNDER_WAY


@pytest.fixture(scope="module")
def running() -> Iterator[Database]:
    with database() as ours:
        yield ours


@needs_database
@pytest.mark.parametrize("model", RELAYS)
def test_a_relay_has_all_that_its_clients_ask_under_way_at_once(
    model: str, running: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "WAIT_S", LONG_S)
    relay = measured.relay_of_database("database_relay", running, model, ITS_WAY)
    with (
        relaying(relay, running, CLIENTS) as (launched, _),
        connected_clients(launched.address, CLIENTS) as clients,
    ):
        for client in clients.all:
            client.ask(1, 0, 0)
        wait_until(lambda: number(running, COUNT) == CLIENTS)
    number(running, END)  # it does not see that they have gone
    wait_until(lambda: number(running, COUNT) == 0)


def number(asking: Database, query: bytes) -> int:
    from psycopg import connect  # noqa: PLC0415 - it may not be there

    with connect(asking.url, autocommit=True) as connection:
        (found,) = connection.execute(query).fetchone() or (0,)
    return int(found)


def wait_until(holds: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


@needs_database
@pytest.mark.parametrize(
    ("model", "whom"), [*((model, DATABASE) for model in RELAYS), ("threaded", UPSTREAM)]
)
def test_all_answers_are_right_and_counted(
    model: str, whom: str, running: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "MOST_MOMENTS", 1)
    figures = asked(running, model, whom, CLIENTS, ITS_WAY)
    assert figures["clients"] == CLIENTS
    assert figures["ceiling_rps"] == CLIENTS / measured.WAIT_S
    assert 0 < figures["share"] <= 1
    assert figures["mean_under_way"] == pytest.approx(CLIENTS * figures["share"])
    assert figures["cpu_us"] > 0
    assert figures["asked_cpu_us"] > 0


@needs_database
def test_nothing_is_told_of_the_cpu_of_somebodys_database(
    running: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "MOST_MOMENTS", 1)
    assert "asked_cpu_us" not in asked(Database(running.url), "threaded", DATABASE, 1, ITS_WAY)


@needs_database
def test_a_driver_that_blocks_is_named_and_its_own_way_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "MOST_MOMENTS", 2)
    (effect,) = selected_effects(["database"])
    result = let_happen(replace(effect, elsewhere=effect.elsewhere, cured=()))
    assert result.shown, result.arms
    assert result.present.figures["mean_under_way"] <= 1 < result.absent.figures["mean_under_way"]


def test_somebodys_database_is_for_the_effect_that_asks_one() -> None:
    url = "postgresql:///"
    convoy, asking = at_database(selected_effects(["convoy", "database"]), url)
    assert convoy == selected_effects(["convoy"])[0]
    assert isinstance(asking.setting, partial)
    assert asking.setting.args == (url,)
    assert "asked_cpu_us" not in asking.columns
    with pytest.raises(UsageError, match="--database is for the effect called 'database'"):
        at_database([convoy], url)
