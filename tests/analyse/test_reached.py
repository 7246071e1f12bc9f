"""What a run has come to: precision, decided pairs, and what noise made it leave out."""

from collections.abc import Callable

import pytest
from msgspec import structs

from harness.analyse.blocks import launches_of
from harness.analyse.comparisons import UNDECIDED, compare_all
from harness.analyse.reached import Noise, noise_of, noise_sentence, precision_of, precision_sentence
from harness.analyse.samples.metrics import metric
from harness.record import Sample, Slice

CPU = metric("cpu_us_per_request")


def sliced(make_sample: Callable[..., Sample], block: int, waited: list[float], reason: str = "") -> Sample:
    """Return a sample whose generator was kept from its core for such a share of each slice."""
    slices = tuple(
        Slice(cycle, 0, 0.1, 100, 1000, 640_000_0000, int(share * 1e8), reason=reason if share > 0.2 else "")
        for cycle, share in enumerate(waited)
    )
    return structs.replace(make_sample("threaded", block), slices=slices)


def test_the_precision_is_that_of_the_widest_interval(make_sample: Callable[..., Sample]) -> None:
    costs = {"a": (20, 21, 22), "b": (30, 33, 31), "c": (22, 22, 23)}
    samples = [
        make_sample(server, block, cpu_us=cost)
        for server, of_server in costs.items()
        for block, cost in enumerate(of_server)
    ]
    launches = launches_of(samples)
    found = precision_of(launches, "clients_64", CPU)
    pairs = compare_all(launches, "clients_64", CPU)
    assert found
    assert (found.blocks, found.pairs) == (3, 3)
    assert found.undecided == sum(pair.verdict == UNDECIDED for pair in pairs)
    assert found.half_width == pytest.approx(max(pair.ci_high / pair.ratio - 1 for pair in pairs))
    decided = f"{3 - found.undecided} of 3 pairs are decided"
    assert precision_sentence(found).endswith(decided)
    assert precision_of(launches, "clients_500", CPU) is None


def test_a_server_that_scatters_by_itself_is_named(make_sample: Callable[..., Sample]) -> None:
    calm = {
        name: (20 + at, 20.1 + at, 20.3 + at, 20.2 + at, 20.1 + at, 20 + at)
        for at, name in enumerate("abcdef")
    }
    launches = [
        launches_of(
            [
                make_sample(server, block, cpu_us=cost)
                for server, of_server in {**calm, "g": of_g}.items()
                for block, cost in enumerate(of_server)
            ]
        )
        for of_g in ((20, 31, 24, 40, 22, 38), (26, 26.1, 26.3, 26.2, 26.1, 26))
    ]
    wild, tame = (precision_of(each, "clients_64", CPU) for each in launches)
    assert wild
    assert tame
    assert wild.widest == "g"
    assert wild.without < wild.half_width
    assert f", those without `g` to ±{wild.without:.0%}" in precision_sentence(wild)
    assert (tame.widest, tame.without) == ("", tame.half_width)


def test_noise_is_counted(make_sample: Callable[..., Sample]) -> None:
    samples = [
        sliced(make_sample, 0, [0.0, 0.1, 0.9], "neighbour"),
        sliced(make_sample, 1, [0.9, 0.9, 0.9]),
        structs.replace(
            sliced(make_sample, 2, [0.0, 0.0, 0.0]),
            machine=structs.replace(make_sample().machine, steal_share=0.5),
        ),
    ]
    found = noise_of(launches_of(samples))
    assert found == Noise(slices=9, left_out=1, blocks=3, shared=1, launches=3, neighbours=1)
    assert noise_of(launches_of([make_sample()])) is None
    free = structs.replace(samples[1], placement=structs.replace(samples[1].placement, pinned=False))
    assert noise_of(launches_of([free])) == Noise(
        slices=3, left_out=0, blocks=1, shared=0, launches=1, neighbours=0
    )


def test_noise_is_one_sentence() -> None:
    quiet = Noise(slices=1200, left_out=0, blocks=4, shared=0, launches=40, neighbours=0)
    assert noise_sentence(quiet) == "Nothing disturbed the 1,200 slices."
    loud = Noise(slices=1200, left_out=90, blocks=4, shared=1, launches=40, neighbours=3)
    text = noise_sentence(loud)
    assert text.startswith("90 of 1,200 slices were left out")
    assert text.count(".") == 1
    for part in ("in 1 of 4 blocks", "beside 3 of 40 launches"):
        assert part in text
