"""Blocks: which launches count, and what was measured again."""

from collections.abc import Callable, Iterable

from harness.analyse.blocks import Launch, by_block, counted, launches_of, repetition
from harness.analyse.samples.metrics import Metric, metric
from harness.plan import Cell
from harness.record import Sample
from tests.makers import changed

THROUGHPUT = metric("throughput_rps")


def cells(launches: Iterable[Launch]) -> list[Cell]:
    return [launch.sample.cell for launch in launches]


def test_of_a_block_the_attempt_with_the_most_valid_launches_counts(
    make_sample: Callable[..., Sample],
) -> None:
    samples = [
        make_sample("a", 0, rps=1000),
        make_sample("b", 0, rps=1000, wrong=1),
        make_sample("b", 0, rps=2000, attempt=2),
        make_sample("a", 0, rps=2000, attempt=2),
        make_sample("a", 1, rps=3000, wrong=1),
        make_sample("b", 1, rps=3000, wrong=1),
        make_sample("a", 1, rps=4000, wrong=1, attempt=2),
        make_sample("b", 1, rps=4000, attempt=2),
        make_sample("a", 1, rps=5000, attempt=3),
        make_sample("b", 1, rps=5000, wrong=1, attempt=3),
    ]
    assert [(cell.block, cell.server, cell.attempt) for cell in cells(counted(launches_of(samples)))] == [
        (0, "b", 2), (0, "a", 2), (1, "a", 2), (1, "b", 2)
    ]  # fmt: skip
    values = by_block(launches_of(samples), "clients_64", THROUGHPUT)
    assert values == {"a": {0: 2000.0}, "b": {0: 2000.0, 1: 4000.0}}


def test_an_attempt_that_was_interrupted_does_not_count_for_having_no_invalid_launch(
    make_sample: Callable[..., Sample],
) -> None:
    first = [make_sample("a", 0), make_sample("b", 0), make_sample("c", 0, wrong=1)]
    again = make_sample("c", 0, attempt=2)
    assert cells(counted(launches_of([*first, again]))) == [sample.cell for sample in first]


def test_what_counts_is_chosen_by_all_servers_of_a_block(make_sample: Callable[..., Sample]) -> None:
    """Of "a" alone, or of "a" without the second name of "b", the first attempt would have been as good."""
    first = [make_sample("a", 0), make_sample("b", 0, wrong=1), make_sample("b again", 0, wrong=1)]
    second = [make_sample(server, 0, attempt=2) for server in ("a", "b", "b again")]
    second[0] = changed(second[0], wrong=1)
    launches = launches_of([*first[:2], *second[:2]], beside=[first[2], second[2]])
    mine = [launch for launch in launches if launch.sample.cell.server == "a"]
    assert [cell.attempt for cell in cells(counted(mine))] == [2]
    assert {cell.server for cell in cells(launches)} == {"a", "b"}


def test_what_was_measured_again_is_counted(make_sample: Callable[..., Sample]) -> None:
    again = [make_sample(server, 1, attempt=2, timeout=server == "b", sent=10_011) for server in "ab"]
    samples = [
        make_sample("a", 0),
        make_sample("b", 0),
        make_sample("a", 1, wrong=1),
        make_sample("b", 1),
        *again,
    ]
    found = repetition(launches_of(samples))
    assert (found.blocks, found.repeated, found.launches) == (2, 1, 2)
    assert (found.invalid, found.left) == (3, 1)


def test_a_server_that_cannot_always_say_is_not_judged_by_when_it_can(
    make_sample: Callable[..., Sample],
) -> None:
    samples = [make_sample("a", block, rps=rps) for block, rps in enumerate((20_000, 80, 20_000))]
    assert by_block(launches_of(samples), "clients_64", metric("response_p99_us")) == {}


def test_a_metric_is_worked_out_once_for_each_launch(make_sample: Callable[..., Sample]) -> None:
    asked: list[Sample] = []

    def value(sample: Sample) -> float:
        asked.append(sample)
        return 1.0

    of = Metric("made_up", "made up", higher_is_better=True, value=value)
    launches = launches_of([make_sample("a", 0), make_sample("a", 1)])
    assert by_block(launches, "clients_64", of) == by_block(launches, "clients_64", of) == {"a": {0: 1, 1: 1}}
    assert len(asked) == 2
