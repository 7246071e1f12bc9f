"""What the interpreter makes of each model: groups, ratios, and what a lock decides; it follows the figures when these are swapped."""

from collections.abc import Callable, Mapping

import pytest

from harness.analyse.advice import CheapestInterpreter, FreeOnAllCores
from harness.analyse.analysis import analyse
from harness.analyse.comparisons import BETTER, WORSE
from harness.analyse.interpreters import NamedServer, named_server
from harness.record import InterpreterFacts, PythonBuild, Results, Sample, ServerFacts
from harness.report.blocks import Page
from harness.report.markdown import markdown
from harness.report.sections.choice import choice_section
from harness.report.sections.interpreters import interpreters_page
from tests.makers import changed

LOCKED, UNLOCKED = "3.13", "3.13t"
CPU_US: Mapping[str, float] = {
    f"threaded@{LOCKED}": 25, f"threaded@{LOCKED}+free": 40, f"threaded@{UNLOCKED}": 30, f"threaded@{UNLOCKED}+free": 15,
    f"asyncio_streams@{LOCKED}": 35, f"asyncio_streams@{UNLOCKED}": 50,
}  # fmt: skip
"""Of one core; the throughput is what these give."""


def build(*, free_threaded: bool) -> PythonBuild:
    return PythonBuild(False, False, False, free_threaded, "GCC 12")


@pytest.fixture
def run(make_results: Callable[..., Results], make_sample: Callable[..., Sample]) -> Callable[..., Results]:
    def make(cpu_us: Mapping[str, float] = CPU_US) -> Results:
        samples = [
            changed(
                make_sample(server, block, rps=0.98e6 / cost * (1 + 0.002 * (block % 3)), cpu_us=cost),
                free=server.endswith("+free"),
            )
            for block in range(5)
            for server, cost in cpu_us.items()
        ]
        servers = tuple(
            ServerFacts(
                label, "a model", ("concurrent", *(["parallel"] * (UNLOCKED in label and "threaded" in label))), "", "x.py", 9, "0",
                refusal="it turns the lock on" if label.startswith("gevent") else "",
            )
            for label in (*cpu_us, f"gevent_greenlets@{UNLOCKED}")
        )  # fmt: skip
        interpreters = tuple(
            InterpreterFacts(
                label, f"CPython {label}", build(free_threaded=label == UNLOCKED), {"trio": "0.35.0"}
            )
            for label in (LOCKED, UNLOCKED)
        )
        results = make_results()
        manifest = changed(results.manifest, servers=servers, interpreters=interpreters)
        return changed(results, samples=tuple(samples), manifest=manifest)

    return make


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("threaded", NamedServer("threaded", "", ())),
        (
            "asyncio_streams+uvloop@3.13t+free+fresh",
            NamedServer("asyncio_streams+uvloop", "3.13t", ("free", "fresh")),
        ),
        ("threaded+fresh", NamedServer("threaded", "", ("fresh",))),
    ],
)
def test_a_name_says_model_interpreter_and_ways(label: str, named: NamedServer) -> None:
    assert named_server(label) == named


def test_a_model_is_compared_with_itself_on_the_first_interpreter(run: Callable[..., Results]) -> None:
    groups = analyse(run()).interpreters.groups
    assert [(group.model, group.ways) for group in groups] == [
        ("threaded", ()), ("threaded", ("free",)), ("asyncio_streams", ())
    ]  # fmt: skip
    first, second = groups[0].servers
    assert (first.named.interpreter, second.named.interpreter) == (LOCKED, UNLOCKED)
    assert not first.ratios
    assert second.ratios["cpu_us_per_request"].ratio == pytest.approx(30 / 25, rel=0.01)
    assert second.ratios["cpu_us_per_request"].verdict == WORSE
    assert (first.letters["cpu_us_per_request"], second.letters["cpu_us_per_request"]) == ("a", "b")


def test_what_no_longer_holds_without_the_lock_follows_the_figures(run: Callable[..., Results]) -> None:
    ((locked, unlocked),) = analyse(run()).interpreters.no_longer_holds
    assert (locked.named, unlocked.named) == (
        named_server(f"threaded@{LOCKED}"),
        named_server(f"threaded@{UNLOCKED}"),
    )
    assert (locked.found.verdict, unlocked.found.verdict) == (WORSE, BETTER)
    free = f"threaded@{LOCKED}+free", f"threaded@{UNLOCKED}+free"
    swapped = {**CPU_US, free[0]: CPU_US[free[1]], free[1]: CPU_US[free[0]]}
    assert not analyse(run(swapped)).interpreters.no_longer_holds


def test_what_is_chosen_follows_the_figures(run: Callable[..., Results]) -> None:
    def advised(results: Results) -> dict[type, tuple[str, ...]]:
        return {type(each): each.servers for each in analyse(results).advice}

    found = advised(run())
    assert found[CheapestInterpreter] == (LOCKED,)
    assert found[FreeOnAllCores] == (f"threaded@{UNLOCKED}+free",)
    other = {LOCKED: UNLOCKED, UNLOCKED: LOCKED}
    swapped = {
        server.replace(
            f"@{named_server(server).interpreter}", f"@{other[named_server(server).interpreter]}"
        ): cost
        for server, cost in CPU_US.items()
    }
    found = advised(run(swapped))
    assert found[CheapestInterpreter] == (UNLOCKED,)
    assert found[FreeOnAllCores] == (f"threaded@{LOCKED}+free",)


def test_it_is_put_into_words(run: Callable[..., Results]) -> None:
    analysis = analyse(run())
    text = markdown(Page("interpreters.md", tuple(interpreters_page(analysis))), "", "")
    assert (
        "| `3.13t` | CPython 3.13t | without PGO, without LTO, without the lock | GCC 12 | trio 0.35.0 |"
        in text
    )
    assert f"- `gevent_greenlets@{UNLOCKED}` is N/A: it turns the lock on." in text
    assert "What no longer holds without the lock" in text
    assert "All cores, for one server" in markdown(Page("x", tuple(choice_section(analysis.advice))), "", "")


def test_a_run_on_our_own_interpreter_alone_says_nothing_of_it(make_results: Callable[..., Results]) -> None:
    analysis = analyse(make_results())
    assert not interpreters_page(analysis)
    assert not analysis.interpreters.groups
