"""Figures that stand out: found by rules over figures, which follow them when two servers swap theirs."""

from collections.abc import Callable

from harness.analyse.analysis import analyse
from harness.analyse.oddities import EffectNotMet, Scattered, SeldomSleeps, SlowToAnswerAll, oddities
from harness.record import Arm, ConnectionLimit, EffectResult, Results, ServerCosts
from harness.report.sections.questions import oddity_in_words
from tests.makers import changed, with_one_client

A, B, C = "threaded", "trio_nursery", "processes"
EFFECT = EffectResult(
    "receive-buffer",
    "It is mapped",
    "faults",
    "faults",
    Arm("256", {}),
    Arm("64", {}),
    True,
    False,
    "",
    "",
    "",
)

CROWD = EffectResult(
    "lock-crowd", "They fight", "cpu_us", "µs", Arm("free", {"cpu_us": 265.0, "switches_voluntary": 31.0}),
    Arm("pinned", {"cpu_us": 55.0, "switches_voluntary": 4.0}), True, False, "", "", "harness effect lock-crowd",
)  # fmt: skip


def a_limit(server: str, answered_s: float, held: int = 10_000) -> ConnectionLimit:
    return ConnectionLimit(server, 10_000, None, "", held, held, "", 1.0, answered_s)


def test_one_that_takes_far_longer_to_answer_all_is_found(make_costs: Callable[..., ServerCosts]) -> None:
    costs = (make_costs(A), make_costs(C))
    for slow, others in ((A, (C,)), (B, (A, C))):
        limits = tuple(a_limit(server, 40.0 if server == slow else 0.4) for server in (A, B, C))
        (found,) = oddities({}, limits, costs, (), {})
        assert isinstance(found, SlowToAnswerAll)
        assert (found.server, found.took_s, found.others_s, found.each_ms) == (slow, 40.0, 0.4, 4.0)
        assert (found.threads, found.also_threads, found.shown) == (slow == A, others, None)
    (explained,) = oddities({}, (a_limit(A, 40.0), a_limit(B, 0.4)), costs, (CROWD,), {})
    assert isinstance(explained, SlowToAnswerAll)
    assert explained.shown == CROWD
    assert "free a request took 265 µs of CPU and 31 waits, pinned 55 and 4" in oddity_in_words(explained)
    (unexplained,) = oddities({}, (a_limit(B, 40.0), a_limit(A, 0.4)), costs, (CROWD,), {})
    assert "Unexplained by this run's figures." in oddity_in_words(unexplained), "it has no threads"
    assert oddities({}, (a_limit(A, 0.4), a_limit(B, 0.5)), (), (), {}) == ()
    assert oddities({}, (a_limit(A, 40, held=64), a_limit(B, 0.5)), (), (), {}) == (), "not as many"


def test_one_whose_launches_are_far_from_each_other_is_found(make_results: Callable[..., Results]) -> None:
    results = make_results(blocks=3)
    for odd in (A, B):
        samples = tuple(
            changed(sample, answered=sample.window.answered // 100)
            if (sample.cell.server, sample.cell.block) == (odd, 1)
            else sample
            for sample in results.samples
        )
        (found,) = analyse(changed(results, samples=samples)).oddities
        assert isinstance(found, Scattered)
        assert (found.server, found.workload) == (odd, "clients_64")
        often, seldom, again = found.answered_rps
        assert seldom < often / 90 < again
        assert found.others_least_rps > seldom
        text = oddity_in_words(found)
        assert (
            f"`{odd}` answered {often:,.0f}, {seldom:,.0f} and {again:,.0f} requests/s, with 64 clients"
            in text
        )
    assert analyse(results).oddities == ()


def test_those_of_a_kind_that_take_far_longer_are_told_of_together(
    make_costs: Callable[..., ServerCosts],
) -> None:
    costs = (make_costs(A), make_costs(C))
    took_s = {A: 11.0, B: 40.0, C: 12.0, "another": 0.4, "one more": 0.4, "a third": 0.4, "a fourth": 0.4}
    limits = [a_limit(server, seconds) for server, seconds in took_s.items()]
    with_threads, without = oddities({}, limits, costs, (), {})
    assert isinstance(with_threads, SlowToAnswerAll)
    assert isinstance(without, SlowToAnswerAll)
    assert (with_threads.server, with_threads.also_slow, with_threads.also_threads) == (C, ((A, 11.0),), ())
    assert (without.server, without.also_slow) == (B, ())
    assert f"**`{C}` took 12.0 s to answer 10,000 clients" in oddity_in_words(with_threads)
    assert f"one try), `{A}` 11.0 s; half of the others 0.4 s or less.**" in oddity_in_words(with_threads)


def test_one_that_is_seldom_woken_is_found(make_results: Callable[..., Results]) -> None:
    results = make_results(workloads=("ping_pong",))
    for awake in (A, B):
        samples = with_one_client(results.samples, {awake: 0.7})
        (found,) = analyse(changed(results, samples=samples)).oddities
        assert isinstance(found, SeldomSleeps)
        assert found.server == awake
        assert [(each.server, round(each.each, 2)) for each in found.seldom] == [(awake, 0.7)]


def test_one_that_is_seldom_woken_in_one_launch_is_not_odd(make_results: Callable[..., Results]) -> None:
    """Its mean is low, but so uncertain that it may as well be that of all."""
    results = make_results(workloads=("ping_pong",))
    first = [each for each in results.samples if (each.cell.server, each.cell.block) == (A, 0)]
    others = [each for each in results.samples if each not in first]
    samples = (*with_one_client(first, {A: 0.4}), *with_one_client(others, {}))
    assert analyse(changed(results, samples=samples)).oddities == ()


def test_an_effect_that_no_server_shows_that_might_is_found(make_costs: Callable[..., ServerCosts]) -> None:
    large = {A: "256 KiB", B: "256 KiB", C: "16 KiB"}
    calm = (make_costs(A), make_costs(B), make_costs(C))
    (found,) = oddities({}, (), calm, (EFFECT,), large)
    assert isinstance(found, EffectNotMet)
    assert (found.server, found.others) == (A, (B,))
    assert oddities({}, (), (make_costs(A, page_faults=2.0), *calm[1:]), (EFFECT,), large) == ()
    assert oddities({}, (), calm, (), large) == ()
