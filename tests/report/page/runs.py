"""A made-up run that has something of everything that the page shows, and names and texts that are to be escaped."""

from collections.abc import Callable
from typing import Final

from harness.analyse.prediction.laws import Setting
from harness.plan import by_name, twin_of
from harness.record import (
    Judgement,
    Proof,
    Results,
    Sample,
    SelfCheck,
    ServerCosts,
    ServerFacts,
    Trial,
    Verdict,
)
from tests.analyse.prediction.relays import measured, sample_of
from tests.makers import changed

SERVERS: Final = ("threaded", "trio_nursery", "<i>mine</i>")
SPEEDS: Final = (1.0, 0.5, 0.8)
CLOSED: Final = ("clients_8", "clients_64", "clients_500")
SETTINGS: Final = tuple(
    Setting(clients, wait_s, clients) for wait_s in (0.005, 0.02) for clients in (16, 64, 256)
)
RELAYED: Final = tuple(f"relay_{each.wait_s * 1e3:g}ms_{each.clients}" for each in SETTINGS)
BREAKS_OUT: Final = "</script><script>alert('broken out')</script>"
FAILURE: Final = f"sent b'1,2\\n'; expected b'3'; received b'{BREAKS_OUT}' [printf '1,2\\n' | nc HOST PORT]"


def whole_run(
    make_results: Callable[..., Results],
    make_sample: Callable[..., Sample],
    make_relayed: Callable[..., Sample],
    make_costs: Callable[..., ServerCosts],
) -> Results:
    """Return the run."""
    workloads = (*CLOSED, "open_5k", *RELAYED)
    results = make_results(workloads=workloads, twin_of="threaded", twin=twin_of("threaded"))
    manifest = changed(results.manifest, servers=tuple(map(_facts, SERVERS)))
    relays = [
        sample_of(cell, make_relayed)
        for server in SERVERS[:2]
        for cell in measured(server, settings=SETTINGS)
    ]
    trial = Trial("F02", "forgets the end", "threaded", "- a\n+ b", "FAIL", FAILURE, True, (), ())
    return changed(
        results,
        manifest=manifest,
        samples=(*_samples(make_sample), *relays),
        twins=tuple(make_sample(twin_of("threaded"), block, rps=20_000, cpu_us=49) for block in range(5)),
        costs=tuple(map(make_costs, SERVERS)),
        conformance=tuple(_judgements()),
        clauses={"F02": "2.1, 2.2"},
        proof=Proof("state", (trial,), (), (), ()),
        selftest=(SelfCheck("delay", "a known delay is what is measured", "passed", "5 ms were 5 ms", {}),),
    )


def _facts(label: str) -> ServerFacts:
    return ServerFacts(
        label, "a model", ("concurrent",), f"python -m {label}", f"implementations/{label}.py", 90, "0"
    )


def _samples(make_sample: Callable[..., Sample]) -> list[Sample]:
    return [
        make_sample(
            server,
            block,
            name,
            rps=rps,
            cpu_us=0.98e6 / rps,
            load=by_name(name).load,
            response_sum_ns=by_name(name).load.clients * 10**9,
        )
        for name, share in zip((*CLOSED, "open_5k"), (0.9, 1.0, 0.8, 0.25), strict=True)
        for server, speed in zip(SERVERS, SPEEDS, strict=True)
        for block in range(5)
        for rps in [20_000 * share * speed * (1 + 0.002 * block)]
    ]


def _judgements() -> list[Judgement]:
    return [
        Judgement(server, case, title, "MUST", verdict, detail)
        for server in SERVERS
        for case, title in (("F01", "The greeting"), ("F02", "The <end> of a line"), ("C01", "Side by side"))
        for failed in [(server, case) == (SERVERS[1], "F02")]
        for verdict, detail in [(Verdict.FAIL, FAILURE) if failed else (Verdict.PASS, "")]
    ]
