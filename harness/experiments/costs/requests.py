"""What a request costs: syscalls, switches, CPU time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from harness.experiments.costs.clients import connected_clients
from harness.experiments.costs.serving import Metered, in_service, metered, scaled
from harness.launch.candidates import Candidate
from harness.machine.processes import Usage
from harness.machine.strace import TraceError, traced
from harness.plan import by_name
from harness.record import LoadCosts

RARE: Final = 0.01
"""Fewer calls per request than this are added up and not named: attaching alone makes a call for each client."""
MOST_ATTEMPTS: Final = 3
FOREIGN_LIMIT: Final = 0.05
UNTRACED_LAUNCHES: Final = 3


@dataclass(frozen=True)
class CountedLoad:
    """A load, and how many requests each of its clients makes when nobody traces the server, and when strace does."""

    workload: str
    requests_each: int
    traced_each: int

    @property
    def clients(self) -> int:
        """Return how many clients the workload of this name has."""
        return by_name(self.workload).load.clients

    @property
    def pipeline(self) -> int:
        """Return how many requests each of them has in flight."""
        return by_name(self.workload).load.pipeline


LOADS: Final = (
    CountedLoad("clients_64", 800, 200),
    CountedLoad("clients_64_pipeline_16", 3_200, 640),
    CountedLoad("ping_pong", 20_000, 4_000),
)


def traced_load(candidate: Candidate, load: CountedLoad, scale: float) -> tuple[Mapping[str, float], str]:
    """Count syscalls per request, by name.

    Returns:
        The calls, and an empty text; or none, and why nothing could be traced.
    """
    each = scaled(load.traced_each, scale, load.pipeline)
    with (
        in_service(candidate, load.clients) as launched,
        connected_clients(launched.address, load.clients, load.pipeline) as clients,
    ):
        clients.ask(load.pipeline)  # what is done once is done
        try:
            with traced(launched.pids) as trace:
                requests = clients.ask(each)
        except TraceError as error:
            return {}, str(error)
    return {name: count / requests for name, count in trace.calls.items()}, ""


def untraced_load(
    candidate: Candidate, load: CountedLoad, scale: float, calls: Mapping[str, float]
) -> LoadCosts:
    """Measure what requests take of CPU and scheduler, in launches of their own, and add the syscalls that are known."""
    each = scaled(load.requests_each / UNTRACED_LAUNCHES, scale, load.pipeline)
    metered_launches = [quiet_launch(candidate, load, each) for _ in range(UNTRACED_LAUNCHES)]
    requests = sum(one.requests for one in metered_launches)
    used = sum((one.used for one in metered_launches), Usage())
    named = {name: count for name, count in calls.items() if count >= RARE}
    return LoadCosts(
        workload=load.workload,
        clients=load.clients,
        pipeline=load.pipeline,
        traced_requests=load.clients * scaled(load.traced_each, scale, load.pipeline) if calls else 0,
        syscalls=dict(sorted(named.items(), key=lambda item: -item[1])),
        other_syscalls=sum(calls.values()) - sum(named.values()),
        requests=requests,
        cpu_us=used.cpu_ns / 1e3 / requests,
        user_share=used.user_share,
        switches_voluntary=used.voluntary / requests,
        switches_involuntary=used.involuntary / requests,
        wakeups=used.wakeups / requests,
        page_faults=used.page_faults / requests,
        page_faults_by_launch=tuple(one.used.page_faults / one.requests for one in metered_launches),
        foreign_share=max(one.foreign_share for one in metered_launches),
    )


def quiet_launch(candidate: Candidate, load: CountedLoad, each: int) -> Metered:
    """Load a fresh server; again if others were at work meanwhile, but not for ever: then the quietest launch counts."""
    found: list[Metered] = []
    while len(found) < MOST_ATTEMPTS and not (found and found[-1].foreign_share <= FOREIGN_LIMIT):
        with (
            in_service(candidate, load.clients) as launched,
            connected_clients(launched.address, load.clients, load.pipeline) as clients,
        ):
            clients.ask(load.pipeline)
            found.append(metered(launched, clients, each))
    return min(found, key=lambda one: one.foreign_share)
