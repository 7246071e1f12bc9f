"""Which servers a command line selects."""

import pytest

from harness.errors import UsageError
from harness.launch.candidates import Candidate
from harness.launch.selection import ours, selected
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
