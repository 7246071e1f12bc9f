"""The processes of one load: how they are started, told what to do, and waited for."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from harness.drive.orders import CompanyOrder, Order, Outcome, Reading
from harness.errors import MeasureError
from harness.machine.connections import Address
from harness.machine.processes import reap
from harness.machine.resources import pinned
from harness.plan import Load
from harness.record import PROJECT

START_IN_NS: Final = 20_000_000
GENERATOR: Final = "harness.drive.generator"
COMPANY: Final = "harness.drive.background"
GO_ON: Final = "go on"
COMPANY_GREETING_S: Final = 10.0
COMPANY_ANSWER_S: Final = 30.0
"""Ten thousand that all ask at the same moment may have to wait."""
Progress = Callable[[float, int], None]


@dataclass(frozen=True)
class Workers:
    """The processes that load a server: its generators, and the company's, if there is any."""

    generators: Sequence["Worker"]
    company: "Worker | None"


def let_company_come(company: "Worker", address: Address, load: Load) -> None:
    """Let the clients in the background connect; MeasureError if they are not all greeted."""
    assert load.company is not None  # noqa: S101 - the company is of this load
    kind, clients = load.company.kind, load.company.clients
    order = CompanyOrder(*address, kind, clients, COMPANY_GREETING_S, COMPANY_ANSWER_S)
    came = company.tell(as_line(order), "connected")
    if came["refused"]:
        raise MeasureError(f"of {load.company.clients:,} clients in the background, {came['refused']}")


def orders_for(
    address: Address, load: Load, server_pids: tuple[int, ...], company_pids: tuple[int, ...], scratch: str
) -> list[Order]:
    """Deal the clients out to the generators; the first reads the clocks of server and company."""
    return [
        Order(
            host=address[0],
            port=address[1],
            clients=len(range(place, load.clients, load.generators)),
            pipeline=load.pipeline,
            warmup_s=load.warmup_s,
            duration_s=load.duration_s,
            timeout_s=load.timeout_s,
            times_file=f"{scratch}/times-{place}",
            line=load.line,
            server_pids=server_pids if place == 0 else (),
            company_pids=company_pids if place == 0 else (),
            arrivals=load.arrivals,
            rate=load.rate,
            warmup_rate=load.rate if load.warmup_rate is None else load.warmup_rate,
            seed=load.seed,
            generator=place,
            generators=load.generators,
            cores=load.cores,
            own_core=load.generators_alone,
            relief_s=load.relief_s,
            relief_rate=load.relief_rate,
            churn=load.churn,
        )
        for place in range(load.generators)
    ]


def outcomes_of(generators: Sequence["Worker"], progress: Progress) -> list[Outcome]:
    """Let all generators start at the same moment, and wait for them; the first one's progress stands for all."""
    start_ns = time.monotonic_ns() + START_IN_NS
    for each in generators:
        each.tell(str(start_ns), "started")

    def of_all(elapsed_s: float, sent_by_one: int) -> None:
        progress(elapsed_s, sent_by_one * len(generators))

    return [_outcome(each.tell(None, "done", of_all)["outcome"]) for each in generators]


class Worker:
    """A process of ours that takes part: it is told one line at a time, and tells events."""

    def __init__(self, process: subprocess.Popen[bytes], module: str) -> None:
        """Take over a process that runs one of our modules."""
        self.pid = process.pid
        self._process = process
        self._module = module

    def tell(self, line: str | None, awaited: str, progress: Progress = lambda *_: None) -> dict[str, Any]:
        """Write a line to it, unless that is None, and wait for an event of that name, passing progress on.

        Raises:
            MeasureError: it cannot do what it was told, or has ended.
        """
        if line is not None:
            self._write(line)
        while True:
            told = self._process.stdout.readline() if self._process.stdout else b""
            if not told:
                raise self._ended()
            event: dict[str, Any] = json.loads(told)
            if event["event"] == awaited:
                return event
            if event["event"] == "failed":
                raise MeasureError(event["reason"])
            progress(event["elapsed_s"], event["sent"])

    def _write(self, line: str) -> None:
        try:
            if self._process.stdin:
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> MeasureError:
        return MeasureError(f"{self._module} has ended too early")


@contextmanager
def worker(module: str, cores: Sequence[int]) -> Iterator[Worker]:
    """Start the load generator or its company, on these cores, and wait for nothing; end it afterwards."""
    with pinned(cores):
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
    try:
        yield Worker(process, module)
    finally:
        if process.stdin:
            with suppress(BrokenPipeError):
                process.stdin.close()
        reap(process)


def _outcome(given: dict[str, Any]) -> Outcome:
    return Outcome(**given | {"begin": Reading(**given["begin"]), "end": Reading(**given["end"])})


def as_line(order: Order | CompanyOrder) -> str:
    """Write an order as a process of the load reads it."""
    return json.dumps(asdict(order))
