"""Which servers a command line selects."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.launch.candidates import Candidate
from harness.launch.facts import facts
from harness.launch.selection import ours, selected
from harness.plan import FREE, FRESH, is_as_usual
from implementations.catalogue import CATALOGUE


def test_nothing_named_means_all_of_ours() -> None:
    assert [candidate.label for candidate in selected([])] == [
        implementation.name for implementation in CATALOGUE
    ]


def test_a_command_alone_means_only_that_one() -> None:
    (candidate,) = selected([], ["mine=./server --port {port}"], ["mine=concurrent"])
    assert candidate.label == "mine"
    assert candidate.command == ("./server", "--port", "{port}")
    assert candidate.declares == frozenset({"concurrent"})
    assert candidate.takes("port")
    assert not candidate.takes("grace")


def test_declaring_nothing_and_saying_nothing_are_different() -> None:
    assert selected([], ["mine=x"])[0].declares is None
    assert selected([], ["mine=x"], ["mine="])[0].declares == frozenset()


def test_placeholders_are_filled_and_other_braces_stay() -> None:
    (candidate,) = selected([], ["mine=sh -c '{port} {other}' {host}:{port}"])
    assert candidate.filled_command({"port": "7", "host": "h"}) == ["sh", "-c", "7 {other}", "h:7"]


def test_an_address_may_be_ipv6() -> None:
    assert selected([], connect="[::1]:80")[0].address == ("::1", 80)


def test_ours_take_every_option() -> None:
    assert all(
        ours("threaded").takes(word) for word in ("host", "port", "max_clients", "idle_timeout", "grace")
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((["nobody"],), "no server is called 'nobody'"),
        ((["blocking", "blocking"],), "two servers are called 'blocking'"),
        (([], ["x"]), "LABEL=COMMAND"),
        (([], ["x="]), "LABEL=COMMAND"),
        (([], ["x='"]), "quotation"),
        (([], ["x=y"], ["x=flies"]), "no capability is called 'flies'"),
        (([], ["x=y"], ["z=concurrent"]), "which is not selected"),
        (([], [], [], "nowhere"), "HOST:PORT"),
        (([], [], [], "h:0"), "HOST:PORT"),
        (([], [], [], "h:٣"), "HOST:PORT"),
    ],
)
def test_what_makes_no_sense_is_named(arguments: tuple[list[str]], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        selected(*arguments)


def test_others_are_given_by_their_commands() -> None:
    command = ("serve", "a b", "{port}")
    assert ours("trio_nursery").words == ("trio_nursery",)
    assert Candidate("x", command).words == ("--server", "x=serve 'a b' '{port}'")
    both = frozenset({"fair", "concurrent"})
    assert Candidate("x", command, both).words[2:] == ("--declare", "x=concurrent,fair")
    assert Candidate("x", command, frozenset()).words[2:] == ("--declare", "x=")


LOOPS = """
import asyncio, selectors

def polling(): return asyncio.SelectorEventLoop(selectors.PollSelector())
def none(): return None
def late(): raise RuntimeError("not today")
number = 3
"""


@pytest.fixture
def loops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with a module that makes loops."""
    (tmp_path / "loops.py").write_text(LOOPS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_asyncio_servers_run_on_a_loop_of_ones_own_as_well(loops: Path) -> None:
    found = selected(["asyncio_streams", "threaded"], loops=["mine=loops:polling"])
    assert [each.label for each in found] == ["asyncio_streams", "asyncio_streams+mine", "threaded"]
    model, own, _ = found
    assert own.command[:5] == (*model.command[:3], "--loop", f"{loops}/loops:polling")
    assert own.declares == model.declares
    of_model, described = facts([model, own])
    assert described.factors["event loop"] == "mine"
    assert described.file == of_model.file


def test_a_server_on_a_loop_of_ones_own_can_be_named_alone_and_its_words_do_so(loops: Path) -> None:
    (own,) = selected(["asyncio_protocol+mine"], loops=["mine=loops:polling"])
    assert own.words == ("asyncio_protocol+mine", "--loop", f"mine={loops}/loops:polling")
    name, _, loop = own.words
    assert selected([name], loops=[loop, loop]) == [own]
    with pytest.raises(UsageError, match=r"no server is called 'asyncio_protocol\+mine'"):
        selected(["asyncio_protocol+mine"])


def test_with_nothing_named_every_asyncio_server_runs_on_each_loop(loops: Path) -> None:
    given = ["a=loops:polling", f"b={loops}/loops:polling"]
    labels = [each.label for each in selected([], loops=given)]
    assert [label for label in labels if "+" in label] == [
        f"{model}+{loop}" for model in ("asyncio_protocol", "asyncio_streams") for loop in "ab"
    ]


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize(
    ("names", "loop", "reason"),
    [
        ([], "mine", "--loop takes NAME="),
        ([], "mine=polling", "--loop takes NAME="),
        ([], "=loops:polling", "--loop takes NAME="),
        ([], "uvloop=loops:polling", "'uvloop' is taken"),
        (
            ["threaded"],
            "mine=loops:polling",
            "none runs on asyncio, as asyncio_protocol and asyncio_streams do",
        ),
        ([], "mine=nowhere:polling", "mine=nowhere:polling: No module named 'nowhere'"),
        ([], "mine=loops:gone", "loops:gone: module 'loops' has no attribute 'gone'"),
        ([], "mine=loops:none", "loops:none: it makes no event loop, but None"),
        ([], "mine=loops:number", "loops:number: TypeError: 'int' object is not callable"),
        ([], "mine=loops:late", "loops:late: RuntimeError: not today"),
    ],
)
def test_a_loop_that_cannot_be_is_named_before_anything_starts(
    names: list[str], loop: str, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        selected(names, loops=[loop])


def test_two_loops_need_two_names(loops: Path) -> None:
    with pytest.raises(UsageError, match="'mine' is taken"):
        selected([], loops=["mine=loops:polling", f"mine={loops}/loops:none"])


@pytest.mark.parametrize(
    ("name", "plain", "ways"),
    [
        ("threaded", "threaded", ()),
        ("threaded+free", "threaded", (FREE,)),
        ("asyncio_streams+fresh", "asyncio_streams", (FRESH,)),
        ("asyncio_streams+uvloop+fresh", "asyncio_streams+uvloop", (FRESH,)),
        ("asyncio_streams+fresh+free", "asyncio_streams", (FREE, FRESH)),
    ],
)
def test_a_name_says_how_a_server_is_measured(name: str, plain: str, ways: tuple[str, ...]) -> None:
    (candidate,) = selected([name])
    assert candidate.ways == ways
    assert candidate.label == plain + "".join(f"+{way}" for way in ways)
    assert candidate.plain == ours(plain)
    assert is_as_usual(candidate.label) == (not ways)
    assert selected(candidate.plain.words) == [candidate.plain]
