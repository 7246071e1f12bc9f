"""Rules over the evidence: each names its effect where it is, and does not where its cause was taken away."""

from collections.abc import Callable, Mapping

import pytest

from harness.analyse.blocks import launches_of
from harness.analyse.causes.connections import list_of_descriptors, thread_for_each
from harness.analyse.causes.evidence import (
    ALONE,
    BESIDE_COSTLY,
    CONNECTIONS,
    MANY,
    ONE,
    PIPELINED,
    Cause,
    Evidence,
    Rule,
    evidence,
)
from harness.analyse.causes.requests import (
    batching,
    loop_price,
    mapped_receive_buffer,
    scheduler_price,
    waking_up,
)
from harness.analyse.causes.rules import RULES, causes
from harness.analyse.causes.waiting import (
    convoy,
    delayed_acknowledgement,
    full_backlog,
    head_of_line,
    interpreter_lock,
    lock_between_cores,
    turns_by_chance,
    unyielding_wait,
)
from harness.plan import Background, Load, Waiting
from harness.record import Results, Sample, ServerCosts
from tests.makers import changed

Figures = Mapping[str, float]


def laid_out_of(results: Results) -> Evidence:
    return evidence(launches_of(results.samples), results.costs, results.manifest.servers)


def seen(*places: tuple[str, str, Figures], models: Mapping[str, str] | None = None) -> Evidence:
    return Evidence(
        {(server, workload, name): value for server, workload, of in places for name, value in of.items()},
        models or {},
    )


def found(
    rule: Rule, *places: tuple[str, str, Figures], models: Mapping[str, str] | None = None
) -> list[Cause]:
    return list(rule(seen(*places, models=models)))


MAPPING: Figures = {
    "calls": 6.0, "calls.recvfrom": 1.0, "calls.sendto": 1.0, "calls.mmap": 1.0, "calls.mremap": 1.0,
    "calls.munmap": 1.0, "calls.epoll_wait": 0.03, "page_faults_most": 2.0, "cpu_us": 22.0, "user_us": 9.0,
}  # fmt: skip
PLAIN: Figures = {
    "calls": 2.03, "calls.recvfrom": 1.0, "calls.sendto": 1.0, "calls.epoll_wait": 0.03, "page_faults_most": 0.0,
    "cpu_us": 10.0, "user_us": 6.0,
}  # fmt: skip


def test_a_receive_buffer_that_is_mapped_is_named_with_what_a_variant_saves() -> None:
    models = {"stock": "tasks", "stock+small": "tasks", "other": "threads"}
    (cause,) = found(
        mapped_receive_buffer,
        ("stock", MANY, MAPPING),
        ("stock+small", MANY, PLAIN),
        ("other", MANY, PLAIN),
        models=models,
    )
    assert cause.servers == ("stock",)
    assert cause.figure == 1.0
    assert "`stock+small`, which does not, takes 10.0 µs of CPU instead of 22.0" in cause.sentence
    assert "`other`" not in cause.sentence


def test_a_receive_buffer_from_the_heap_is_not_named() -> None:
    now_and_then = {**PLAIN, "calls.mmap": 0.05, "calls.munmap": 0.05}
    assert not found(mapped_receive_buffer, ("small", MANY, PLAIN), ("trimming", MANY, now_and_then))


def test_mapping_shows_by_page_faults_where_nothing_was_traced() -> None:
    (cause,) = found(mapped_receive_buffer, ("stock", MANY, {"page_faults_most": 2.0, "cpu_us": 22.0}))
    assert cause.unit == "page faults per request"


def test_page_faults_that_have_another_reason_are_not_taken_for_mapping() -> None:
    stacks = {**PLAIN, "calls.mprotect": 0.4, "page_faults_most": 1.2}
    assert not found(mapped_receive_buffer, ("threads", MANY, stacks))


GROWING: Figures = {"cpu_us_few": 20.0, "few": 1, "cpu_us_most": 120.0, "most": 1000}
LISTING: Figures = {"calls.pselect6": 1.0, "calls.recvfrom": 1.0}
WAITING: Figures = {"calls.epoll_wait": 1.0, "calls.recvfrom": 1.0}


def test_select_is_named_where_a_request_costs_more_with_idle_connections() -> None:
    (cause,) = found(list_of_descriptors, ("loop", CONNECTIONS, GROWING), ("loop", ONE, LISTING))
    assert cause.figure == pytest.approx(6.0)
    assert "100.1 ns for each that stays silent" in cause.sentence


def test_select_is_not_named_where_the_cost_does_not_grow_or_epoll_is_asked() -> None:
    flat = {**GROWING, "cpu_us_most": 21.0}
    assert not found(list_of_descriptors, ("loop", CONNECTIONS, flat), ("loop", ONE, LISTING))
    assert not found(list_of_descriptors, ("loop", CONNECTIONS, GROWING), ("loop", ONE, WAITING))


HOLDING: Figures = {
    "threads_per_connection": 1.0, "rss_kib_per_connection": 29.0, "page_table_kib_per_connection": 4.2,
    "kernel_stack_kib_per_connection": 16.0, "held": 10_000,
}  # fmt: skip


def test_threads_are_named_with_their_memory() -> None:
    (cause,) = found(thread_for_each, ("any", CONNECTIONS, HOLDING))
    assert cause.figure == pytest.approx(49.2)
    assert "each of 10,000 connections has a thread" in cause.sentence
    assert "4.2 KiB of page tables and 16.0 KiB of the kernel's stacks" in cause.sentence


def test_connections_without_threads_of_their_own_are_not_named() -> None:
    assert not found(thread_for_each, ("any", CONNECTIONS, {**HOLDING, "threads_per_connection": 0.0}))


SLEEPING: Figures = {
    "response_mean_us": 134.0, "cpu_us_per_request": 31.0, "server_core_share": 0.23, "generator_core_share": 0.2,
}  # fmt: skip


def test_waking_up_is_named_where_no_core_is_busy() -> None:
    (cause,) = found(waking_up, ("any", ONE, SLEEPING))
    assert cause.figure == pytest.approx(103.0)
    assert "(77%)" in cause.sentence


@pytest.mark.parametrize(
    "change",
    [
        {"server_core_share": 1.0},
        {"generator_core_share": 0.98},
        {"response_mean_us": 50.0},
        {"response_mean_us": 13_000.0, "throughput_rps": 5_000.0},  # a queue, at a server for one client
    ],
)
def test_waking_up_is_not_named_where_a_core_is_busy_or_work_is_most(change: Figures) -> None:
    assert not found(waking_up, ("any", ONE, {**SLEEPING, **change}))


def test_batching_is_named_where_calls_and_cpu_fall() -> None:
    together = {"calls": 0.13, "cpu_us": 1.5}
    (cause,) = found(batching, ("any", MANY, PLAIN), ("any", PIPELINED, together))
    assert cause.figure == pytest.approx(10 / 1.5)
    assert "0.13 syscalls per request instead of 2.03" in cause.sentence


def test_batching_is_not_named_where_each_request_keeps_its_calls() -> None:
    assert not found(batching, ("any", MANY, PLAIN), ("any", PIPELINED, {"calls": 2.0, "cpu_us": 9.0}))


DEAR: Figures = {**PLAIN, "cpu_us": 22.0, "user_us": 17.0}


def priced(rule: Rule, loops: Mapping[str, str], **figures: Figures) -> list[Cause]:
    places = {(server, MANY, name): value for server, of in figures.items() for name, value in of.items()}
    return list(rule(Evidence(places, loops=loops)))


def test_the_price_of_a_scheduler_is_the_user_time_between_two_on_the_same_loop() -> None:
    same = {"tasks": "epoll", "callbacks": "epoll", "fastest": "in C"}
    fastest = {**PLAIN, "cpu_us": 5.0, "user_us": 2.0}
    (cause,) = priced(scheduler_price, same, tasks=DEAR, callbacks=PLAIN, fastest=fastest)
    assert cause.servers == ("tasks", "callbacks")
    assert cause.figure == pytest.approx(11.0)
    (swapped,) = priced(scheduler_price, same, tasks=PLAIN, callbacks=DEAR, fastest=fastest)
    assert swapped.servers == ("callbacks", "tasks")


def test_prices_are_of_one_interpreter_and_of_stock_forms_if_there_are_any() -> None:
    names = ("tasks", "callbacks", "callbacks+tuned", "tasks@other")
    loops = dict.fromkeys(names, "epoll")
    tuned = {**PLAIN, "cpu_us": 5.0, "user_us": 2.0}
    figures = {"tasks": DEAR, "callbacks+tuned": tuned, "tasks@other": DEAR}
    (cause,) = priced(scheduler_price, loops, **figures, callbacks=PLAIN)
    assert cause.servers == ("tasks", "callbacks")
    (cause,) = priced(scheduler_price, loops, **figures)
    assert cause.servers == ("tasks", "callbacks+tuned")


def test_prices_are_those_of_all_launches_where_all_have_them() -> None:
    loops = {"tasks": "epoll", "callbacks": "epoll"}
    often = {"cpu_us_per_request": 2 * PLAIN["cpu_us"]}
    (cause,) = priced(
        scheduler_price, loops, tasks={**DEAR, "cpu_us_per_request": 44.0}, callbacks={**PLAIN, **often}
    )
    assert cause.figure == pytest.approx(22.0)
    (cause,) = priced(scheduler_price, loops, tasks={**DEAR, "cpu_us_per_request": 44.0}, callbacks=PLAIN)
    assert cause.figure == pytest.approx(11.0)


def test_who_is_alone_on_a_loop_has_a_price_of_all_together() -> None:
    loops = {"tasks": "its own", "callbacks": "epoll"}
    assert priced(scheduler_price, loops, tasks=DEAR, callbacks=PLAIN) == []
    (cause,) = priced(loop_price, loops, tasks=DEAR, callbacks=PLAIN)
    assert cause.servers == ("tasks", "callbacks")
    assert "loop, scheduler and API together" in cause.sentence
    assert priced(loop_price, {**loops, "callbacks": "its own"}, tasks=DEAR, callbacks=PLAIN) == []
    assert priced(loop_price, {"callbacks": "epoll"}, tasks=DEAR, callbacks=PLAIN) == [], "no loop at all"


@pytest.mark.parametrize("rule", [scheduler_price, loop_price])
def test_nothing_is_blamed_for_other_calls_or_for_the_kernel(rule: Rule) -> None:
    loops = {"tasks": "epoll", "callbacks": "epoll" if rule is scheduler_price else "another"}
    in_the_kernel = {**PLAIN, "cpu_us": 22.0, "user_us": 7.0}
    assert not priced(rule, loops, tasks=in_the_kernel, callbacks=PLAIN)
    assert not priced(rule, loops, tasks={**MAPPING, "user_us": 18.0}, callbacks=PLAIN)
    assert not priced(rule, loops, tasks=PLAIN, callbacks=PLAIN)


def test_a_renamed_call_asks_the_same_of_the_kernel() -> None:
    renamed = {
        "calls": 2.03,
        "calls.read": 1.0,
        "calls.write": 1.0,
        "calls.pselect6": 0.03,
        "cpu_us": 7.0,
        "user_us": 4.0,
    }
    dear = {**PLAIN, "cpu_us": 22.0, "user_us": 18.0}
    assert priced(scheduler_price, {"tasks": "a", "callbacks": "a"}, tasks=dear, callbacks=renamed)


# What the experiments recorded on one machine: with the effect, and without.
RECORDED: list[tuple[Rule, Figures, Figures]] = [
    (
        interpreter_lock,
        {"response_p50_us": 5109.6, "busy_threads": 1},
        {"response_p50_us": 108.4, "busy_threads": 0},
    ),
    (
        interpreter_lock,
        {"response_p50_us": 5117.0, "busy_threads": 1},
        {"response_p50_us": 616.2, "busy_threads": 1},
    ),
    (
        lock_between_cores,
        {"cores": 2, "switches_voluntary": 3.13, "cpu_us": 31.1},
        {"cores": 1, "switches_voluntary": 1.03, "cpu_us": 16.7},
    ),
    (
        lock_between_cores,
        {"cores": 2, "switches_voluntary": 3.13, "cpu_us": 31.1},
        {"cores": 2, "switches_voluntary": 1.13, "cpu_us": 14.8},  # others were at work on the second core
    ),
    (
        head_of_line,
        {
            "cost_ms": 50,
            "alone_p50_us": 9.1,
            "alone_p99_us": 13.0,
            "response_p50_us": 50063,
            "response_p99_us": 51526,
        },
        {
            "cost_ms": 50,
            "alone_p50_us": 9.1,
            "alone_p99_us": 13.0,
            "response_p50_us": 9.4,
            "response_p99_us": 17.1,
        },
    ),
    (
        unyielding_wait,
        {"wait_ms": 5, "most_under_way": 8, "mean_under_way": 0.91, "response_p50_us": 41_849},
        {"wait_ms": 5, "most_under_way": 8, "mean_under_way": 7.0, "response_p50_us": 5_704},
    ),
    (
        turns_by_chance,
        {"turn_comes_ms": 3, "response_p50_us": 26_878, "response_p90_us": 106_400},
        {"turn_comes_ms": 3, "response_p50_us": 4_602, "response_p90_us": 5_120},
    ),
    (convoy, {"held_s": 0.3, "waited_s": 0.3003}, {"held_s": 0.3, "waited_s": 0.0004}),
    (
        delayed_acknowledgement,
        {"response_p50_us": 43998.0, "cpu_us_per_request": 70.0},
        {"response_p50_us": 64.8, "cpu_us_per_request": 40.0},
    ),
    (
        full_backlog,
        {"connects": 8, "connects_at_1s": 3, "connects_at_3s": 2},
        {"connects": 8, "connects_at_1s": 0, "connects_at_3s": 0},
    ),
]


@pytest.mark.parametrize(("rule", "present", "absent"), RECORDED)
def test_an_effect_is_named_where_it_is_and_not_where_it_was_taken_away(
    rule: Rule, present: Figures, absent: Figures
) -> None:
    (cause,) = found(rule, ("with", "experiment", present), ("without", "experiment", absent))
    assert cause.servers == ("with",)
    assert all((cause.sentence, cause.source, cause.command, cause.unit))
    assert cause.figure > 0
    (swapped,) = found(rule, ("with", "experiment", absent), ("without", "experiment", present))
    assert swapped.servers == ("without",)


def test_a_server_that_is_busy_is_not_blamed_for_delayed_acknowledgements() -> None:
    slow = {"response_p50_us": 45_000.0, "cpu_us_per_request": 45.0}
    assert found(delayed_acknowledgement, ("idle", "clients_1000", slow | {"server_core_share": 0.01}))
    assert not found(delayed_acknowledgement, ("busy", "clients_1000", slow | {"server_core_share": 0.99}))


def test_light_clients_beside_costly_ones_are_held_against_themselves_alone(
    make_results: Callable[..., Results], make_sample: Callable[..., Sample]
) -> None:
    alone = make_sample("loop", workload=ALONE, rps=20_000, cpu_us=49, clients=8, response_sum_ns=8 * 10**9)
    beside = make_sample(
        "loop", workload=BESIDE_COSTLY, rps=10_000, cpu_us=98, clients=8, response_sum_ns=8 * 10**9, background=Background("costly", 4),
        background_asked=1300, background_ok=1300, warmup_s=0.3,
    )  # fmt: skip
    run = laid_out_of(changed(make_results(), samples=(alone, beside)))
    assert run.get("loop", BESIDE_COSTLY, "cost_ms") == pytest.approx(
        0.49, rel=0.01
    )  # 0.98 s less 0.49 s for 1,000 of them
    assert run.get("loop", BESIDE_COSTLY, "alone_p50_us") == run.get("loop", ALONE, "response_p50_us")
    assert (
        laid_out_of(changed(make_results(), samples=(beside,))).get("loop", BESIDE_COSTLY, "alone_p99_us")
        is None
    )


def test_relays_say_how_many_wait_at_once_and_when_a_turn_comes_round(
    make_results: Callable[..., Results], make_relayed: Callable[..., Sample]
) -> None:
    small = Load(clients=64, upstream=Waiting(wait_s=0.005, pool=8))
    run = laid_out_of(changed(make_results(), samples=(make_relayed("loop", load=small, rps=1280),)))
    assert run.all("loop", "relay_5ms_64", "wait_ms", "most_under_way") == (5.0, 8.0)
    assert run.get("loop", "relay_5ms_64", "turn_comes_ms") == pytest.approx(50.0)
    large = laid_out_of(changed(make_results(), samples=(make_relayed("loop"),)))
    assert large.get("loop", "relay_5ms_64", "turn_comes_ms") is None, "nobody waits for a turn"


def test_a_reply_that_waits_for_an_upstream_is_not_blamed_on_acknowledgements() -> None:
    slow = {"response_p50_us": 45_000.0, "cpu_us_per_request": 45.0}
    assert not found(delayed_acknowledgement, ("relay", "relay_20ms_64", slow | {"wait_ms": 20.0}))


def test_no_rule_names_another_experiments_effect() -> None:
    for rule, present, _ in RECORDED:
        named = causes(seen(("with", "experiment", present)))
        assert {cause.effect for cause in named} == {
            cause.effect for cause in found(rule, ("with", "experiment", present))
        }


def test_no_rule_finds_anything_where_nothing_was_recorded() -> None:
    assert causes(Evidence({})) == []
    assert len(set(RULES)) == len(RULES)


def test_recordings_lay_out_samples_and_costs(
    make_results: Callable[..., Results], make_costs: Callable[..., ServerCosts]
) -> None:
    laid_out = laid_out_of(changed(make_results(), costs=(make_costs("threaded"),)))
    assert laid_out.get("threaded", MANY, "cpu_us") == 20.0
    assert laid_out.get("threaded", MANY, "user_us") == pytest.approx(12.0)
    assert laid_out.calls("threaded", MANY, "recvfrom", "sendto") == 2.0
    assert laid_out.get("threaded", MANY, "cpu_us_per_request") == pytest.approx(49, rel=0.05)
    assert laid_out.get("threaded", CONNECTIONS, "threads_per_connection") == pytest.approx(1.0)
    assert laid_out.get("threaded", CONNECTIONS, "rss_kib_per_connection") == pytest.approx(30.0)
    assert laid_out.get("trio_nursery", MANY, "cpu_us") is None
    assert laid_out.models == {name: f"implementations/{name}.py" for name in ("threaded", "trio_nursery")}


def test_a_rule_knows_no_server(
    make_results: Callable[..., Results], make_costs: Callable[..., ServerCosts]
) -> None:
    results = changed(make_results(), costs=(make_costs("threaded"),))
    renamed = changed(results, costs=(make_costs("mine"),))
    there = [cause for cause in causes(laid_out_of(results)) if cause.workload == CONNECTIONS]
    elsewhere = [cause for cause in causes(laid_out_of(renamed)) if cause.workload == CONNECTIONS]
    assert [cause.servers for cause in there] == [("threaded",)]
    assert [cause.servers for cause in elsewhere] == [("mine",)]
    assert [cause.sentence for cause in there] == [cause.sentence for cause in elsewhere]
