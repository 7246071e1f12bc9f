"""What rules look at: figures, by server, workload and metric; and what they find. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from harness.analyse.blocks import Launch, counted
from harness.analyse.samples.metrics import METRICS, Metric
from harness.analyse.slopes import per_connection
from harness.analyse.tables import estimated, values_of
from harness.plan import CLOSED, CONSTANT, Load
from harness.record import Arm, ServerCosts, ServerFacts

CONNECTIONS: Final = "connections"
"""The workload under which figures of connections stand."""
ONE: Final = "ping_pong"
MANY: Final = "clients_64"
PIPELINED: Final = "clients_64_pipeline_16"
BESIDE_COSTLY: Final = "costly"
ALONE: Final = "clients_8"
"""The same light clients with nobody beside them."""
NO_LOOP: Final = "none"
CALLS: Final = "calls."
"""Before a syscall's name: how many a request makes."""

SLOPES: Final = {
    "rss_kib_per_connection": ("rss_bytes", 1024),
    "page_table_kib_per_connection": ("page_table_bytes", 1024),
    "kernel_stack_kib_per_connection": ("kernel_stack_bytes", 1024),
    "threads_per_connection": ("threads", 1),
}

OF_MEANS: Final = (
    Metric(
        "response_mean_us",
        "mean µs",
        higher_is_better=False,
        value=lambda sample: sample.times.response_sum_ns / 1e3 / sample.window.answered,
    ),
    Metric(
        "server_core_share",
        "share of a core",
        higher_is_better=False,
        value=lambda sample: (
            sample.server.cpu_ns / 1e9 / sample.window.length_s if sample.server.cpu_ns else None
        ),
    ),
    Metric(
        "generator_core_share",
        "the generator's",
        higher_is_better=False,
        value=lambda sample: sample.generator.cpu_ns / 1e9 / sample.window.length_s,
    ),
)
"""What only rules look at, of launches in which something was answered."""


@dataclass(frozen=True)
class Evidence:
    """Figures by server, workload and metric; the model of each server, by its file, which its variants share; and its event loop.

    A metric has its unit in its name. Costs are per request: `cpu_us`, `user_us`, `system_us`, `calls.NAME`, `calls` (all),
    `switches_voluntary`, `switches_involuntary`, `page_faults_most` (of the worst launch). A workload's samples add all that
    `harness.analyse.samples.metrics` knows, and `response_mean_us`, `server_core_share`, `generator_core_share`.
    """

    figures: Mapping[tuple[str, str, str], float]
    models: Mapping[str, str] = field(default_factory=dict)
    loops: Mapping[str, str] = field(default_factory=dict)

    def get(self, server: str, workload: str, metric: str) -> float | None:
        """Return a figure; None if it was not recorded."""
        return self.figures.get((server, workload, metric))

    def all(self, server: str, workload: str, *metrics: str) -> tuple[float, ...] | None:
        """Return several figures; None if one of them was not recorded."""
        found = [
            self.figures[place] for metric in metrics if (place := (server, workload, metric)) in self.figures
        ]
        return tuple(found) if len(found) == len(metrics) else None

    def calls(self, server: str, workload: str, *names: str) -> float:
        """Return how many of these syscalls a request makes."""
        return sum(self.figures.get((server, workload, f"{CALLS}{name}"), 0.0) for name in names)

    def loop(self, server: str) -> str:
        """Return the loop on which a server runs; "" if it has none, or that is not known."""
        return self.loops.get(server, "")

    @property
    def servers(self) -> tuple[str, ...]:
        """Return all servers of which there is a figure."""
        return tuple(dict.fromkeys(server for server, _, _ in self.figures))

    def places(self) -> tuple[tuple[str, str], ...]:
        """Return each server with each workload of which there is a figure."""
        return tuple(dict.fromkeys((server, workload) for server, workload, _ in self.figures))


@dataclass(frozen=True)
class Cause:
    """What explains a figure.

    Attributes:
        effect: its name, the same for all servers.
        servers: those that it is about, the one that pays first.
        workload: under which it was seen.
        figure, unit: how much it is.
        sentence: what happens, with its figures; complete but for the full stop.
        source: who says so: an issue, a manual page.
        command: shows it.
    """

    effect: str
    servers: tuple[str, ...]
    workload: str
    figure: float
    unit: str
    sentence: str
    source: str
    command: str


Rule = Callable[[Evidence], Iterator[Cause]]


def evidence(
    launches: Sequence[Launch], costs: Iterable[ServerCosts], servers: Iterable[ServerFacts]
) -> Evidence:
    """Lay out the figures of a run, or of that part of it in which causes are looked for."""
    figures: dict[tuple[str, str, str], float] = {}
    places: dict[tuple[str, str], list[Launch]] = {}
    for launch in launches:
        places.setdefault((launch.sample.cell.server, launch.sample.cell.workload), []).append(launch)
    for (server, workload), mine in places.items():
        for metric, value in _of_launches(mine).items():
            figures[server, workload, metric] = value
    for each in costs:
        figures |= _of_costs(each)
    for server in {server for server, workload, _ in figures if workload == BESIDE_COSTLY}:
        figures |= _of_neighbours(server, figures, places.get((server, BESIDE_COSTLY), []))
    known = tuple(servers)
    return Evidence(
        figures,
        {facts.label: facts.file or facts.label for facts in known},
        {
            facts.label: loop
            for facts in known
            if (loop := facts.factors.get("event loop", NO_LOOP)) != NO_LOOP
        },
    )


def of_arm(effect: str, arm: Arm) -> Evidence:
    """Lay out the figures of one side of an experiment: it stands for a server, the experiment for a workload."""
    return Evidence({(arm.label, effect, metric): value for metric, value in arm.figures.items()})


def _of_launches(launches: list[Launch]) -> dict[str, float]:
    valid = [launch.sample for launch in counted(launches) if launch.valid and launch.sample.window.answered]
    found = {each.name: estimated(values_of(valid, each), each) for each in (*METRICS, *OF_MEANS)}
    known = {name: each.mean for name, each in found.items() if each is not None}
    return known | (_of_waiting(valid[0].load, known["throughput_rps"]) if valid else {})


def _of_waiting(load: Load, rps: float) -> dict[str, float]:
    """Say how long handlers wait, how many at once, and when a turn of the pool comes round; nothing if requests come by themselves."""
    if load.upstream is None or load.arrivals != CLOSED or load.upstream.spread != CONSTANT:
        return {}
    waiting = {"wait_ms": 1e3 * load.upstream.wait_s, "most_under_way": float(load.most_under_way)}
    return waiting | (
        {"turn_comes_ms": 1e3 * load.clients / rps} if load.upstream.pool < load.clients else {}
    )


def _of_neighbours(
    server: str, figures: Mapping[tuple[str, str, str], float], launches: Sequence[Launch]
) -> dict[tuple[str, str, str], float]:
    """Say what light clients had without their costly neighbours, and what one request of these computes.

    A costly request's time is what is left of the server's when the light ones have had theirs, as it is without neighbours.
    """
    alone = {
        f"alone_{quantile}_us": figures.get((server, ALONE, f"response_{quantile}_us"))
        for quantile in ("p50", "p99")
    }
    light_us = figures.get((server, ALONE, "cpu_us_per_request"), 0.0)
    costs_ms = [
        (sample.server.cpu_ns / 1e6 - sample.window.answered * light_us / 1e3) / in_window
        for sample in (launch.sample for launch in counted(launches) if launch.valid)
        if (
            in_window := sample.background.ok
            * sample.window.length_s
            / (sample.load.warmup_s + sample.window.length_s)
        )
    ]
    found = alone | {"cost_ms": max(0.0, fmean(costs_ms)) if costs_ms else None}
    return {(server, BESIDE_COSTLY, metric): value for metric, value in found.items() if value is not None}


def _of_costs(costs: ServerCosts) -> dict[tuple[str, str, str], float]:
    figures: dict[tuple[str, str, str], float] = {}
    for load in costs.loads:
        of_load = {
            "cpu_us": load.cpu_us,
            "user_us": load.cpu_us * load.user_share,
            "system_us": load.cpu_us * (1 - load.user_share),
            "switches_voluntary": load.switches_voluntary,
            "switches_involuntary": load.switches_involuntary,
            "page_faults_most": max(load.page_faults_by_launch, default=load.page_faults),
        }
        if load.syscalls:
            of_load |= {f"{CALLS}{name}": count for name, count in load.syscalls.items()}
            of_load["calls"] = load.other_than_lock_calls
        figures |= {(costs.server, load.workload, metric): value for metric, value in of_load.items()}
    return figures | {
        (costs.server, CONNECTIONS, metric): value for metric, value in _of_crowd(costs).items()
    }


def _of_crowd(costs: ServerCosts) -> dict[str, float]:
    found = {
        metric: slope.value / unit
        for metric, (name, unit) in SLOPES.items()
        if (slope := per_connection(costs.crowd, name)) is not None
    }
    one = costs.load(ONE)
    busy = [holding for holding in costs.crowd.holdings if holding.active_clients]
    if costs.crowd.holdings:
        found |= {"held": costs.crowd.holdings[-1].connections, "threads": costs.crowd.holdings[-1].threads}
    if busy and one is not None:
        found |= {"cpu_us_few": one.cpu_us, "few": one.clients}
        found |= {"cpu_us_most": busy[-1].lone_cpu_us_per_request, "most": busy[-1].connections}
    return found
