"""Relays that ask a database, and the same relays that ask our own upstream: as many clients, as long a wait."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from harness.analyse.database import UPSTREAM
from harness.experiments.costs.clients import Clients, connected_clients
from harness.experiments.costs.serving import CORES, Metered, metered, quiet
from harness.experiments.effects import programs
from harness.experiments.effects.postgres import Database, database
from harness.experiments.effects.servers import FOREIGN_LIMIT
from harness.launch.candidates import Candidate
from harness.launch.process import Launched, launch
from harness.launch.selection import ours
from harness.machine.processes import cpu_ns_of

WAIT_S: Final = 0.02
MOMENT_S: Final = 0.3
"""So long clients ask at a time, if a request takes no longer than that wait."""
ENOUGH: Final = 5
MOST_MOMENTS: Final = 15
WARM_UP: Final = 8
"""Requests of each client: psycopg prepares a statement when it has met it five times."""
ITS_WAY: Final = "its own way"
BLOCKING: Final = "blocking"


@contextmanager
def database_of(url: str | None = None) -> Iterator[tuple[Database]]:
    """Keep a database while the sides are measured: the one of this URL, or one of our own."""
    with database(url) as found:
        yield (found,)


class Moment(NamedTuple):
    """What was seen while clients asked for a moment, and the CPU time of whom the relay asked."""

    relay: Metered
    asked_ns: int

    @property
    def foreign_share(self) -> float:
        """Return the share of our cores' time that was taken by nobody of these."""
        asked_share = self.asked_ns / 1e9 / self.relay.seconds / max(1, len(CORES.both))
        return max(0.0, self.relay.foreign_share - asked_share)


def asked(asking: Database, model: str, whom: str, clients_count: int, waiting: str) -> dict[str, float]:
    """Measure a relay, all of whose clients ask, again and again; others' doings blur it, so that quiet moments count.

    Args:
        asking: the database.
        model: the relay.
        whom: it asks: the database, or our upstream.
        clients_count: how many clients there are.
        waiting: how it waits: `ITS_WAY`, or `BLOCKING`.
    """
    relay = ours(model) if whom == UPSTREAM else relay_of_database("database_relay", asking, model, waiting)
    at_once = 1 if waiting == BLOCKING else clients_count
    requests_each = max(1, round(MOMENT_S / WAIT_S * at_once / clients_count))
    with (
        relaying(relay, asking, clients_count) as (launched, cpu_ns),
        connected_clients(launched.address, clients_count) as clients,
        quiet(),
    ):
        clients.ask(WARM_UP)
        moments = _quietest(launched, clients, requests_each, cpu_ns)
    requests = sum(each.relay.requests for each in moments)
    seconds = sum(each.relay.seconds for each in moments)
    used_ns = sum(each.relay.used.cpu_ns for each in moments)
    figures = {
        "clients": clients_count,
        "answered_rps": requests / seconds,
        "ceiling_rps": clients_count / WAIT_S,
        "share": requests / seconds * WAIT_S / clients_count,
        "wait_ms": WAIT_S * 1000,
        "most_under_way": clients_count,
        "mean_under_way": requests / seconds * WAIT_S,  # Little's law
        "cpu_us": used_ns / 1e3 / requests,
        "core_share": used_ns / 1e9 / seconds,
        "foreign_share": max(each.foreign_share for each in moments),
    }
    if whom == UPSTREAM or asking.leader:
        figures["asked_cpu_us"] = sum(each.asked_ns for each in moments) / 1e3 / requests
    return figures


def _quietest(
    launched: Launched, clients: Clients, requests_each: int, cpu_ns: Callable[[], int]
) -> list[Moment]:
    """Ask so often until there were moments enough in which nobody else was at work, but not for ever."""
    found: list[Moment] = []
    while len(found) < MOST_MOMENTS and sum(each.foreign_share <= FOREIGN_LIMIT for each in found) < ENOUGH:
        began_ns = cpu_ns()
        seen = metered(launched, clients, requests_each)
        found.append(Moment(seen, cpu_ns() - began_ns))
    return sorted(found, key=lambda each: each.foreign_share)[:ENOUGH]


@contextmanager
def relaying(
    relay: Candidate, asking: Database, clients_count: int
) -> Iterator[tuple[Launched, Callable[[], int]]]:
    """Run a relay on its core, and an upstream of ours beside the clients if it is to be told one.

    Yields:
        The relay, and what tells the CPU time so far of whom it asks.
    """
    if not relay.relays:
        with launch(relay, max_clients=clients_count, cores=CORES.server) as launched:
            yield launched, asking.cpu_ns
        return
    with (
        launch(_upstream(), cores=CORES.generators) as upstream,
        launch(
            relay,
            max_clients=clients_count,
            upstream=upstream.address,
            pool=clients_count,
            cores=CORES.server,
        ) as launched,
    ):
        yield launched, lambda: cpu_ns_of(upstream.pids)


def _upstream() -> Candidate:
    command = (
        sys.executable,
        "-m",
        "harness.drive.upstream_server",
        "--port",
        "{port}",
        "--wait",
        str(WAIT_S),
    )
    return Candidate("our upstream", command, announces=True)


def relay_of_database(program: str, asking: Database, model: str, waiting: str) -> Candidate:
    """Return the program that is a relay of the database."""
    command = [sys.executable, "-m", f"{programs.__name__}.{program}"]
    command += ["--host", "{host}", "--port", "{port}", "--max-clients", "{max_clients}"]
    command += ["--idle-timeout", "{idle_timeout}", "--grace", "{grace}"]
    command += ["--database", asking.url, "--wait", str(WAIT_S), "--model", model]
    command += ["--blocking"] if waiting == BLOCKING else []
    return Candidate(f"{model}, asking the database", tuple(command), announces=True)
