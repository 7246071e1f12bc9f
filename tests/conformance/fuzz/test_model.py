"""Several clients at once against the model of what each must receive, and the servers against each other."""

import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from harness.conformance.fuzz.inputs import MOST_STREAM_BYTES, Conversation, Pace, cut
from harness.conformance.fuzz.model import ModelClient, ServerModel
from harness.conformance.fuzz.search import play, trouble_of
from harness.conformance.peer import SMALL_BUFFER_BYTES
from harness.conformance.target import Target, shared_target
from harness.conformance.violations import Violation
from harness.launch.selection import ours
from implementations.catalogue import CATALOGUE
from tests.makers import changed

NAMES = [implementation.name for implementation in CATALOGUE]
MOST_CLIENTS = 4
FLOOD = b"\n" * 8 * 1024  # answered with 48 times as much: more than any buffer on the way holds

Clients = Bundle("clients")


Everywhere = tuple[ModelClient, ...]
"""The same client, at each server."""


class ClientsOfAllServers(RuleBasedStateMachine):
    """What clients may do, in any order and the same at each server; nothing waits unless the model says that what is awaited must come."""

    targets: tuple[Target, ...]

    def __init__(self) -> None:
        super().__init__()
        self.crowds = [ServerModel(target) for target in self.targets]

    def at_each(self, do: Callable[..., object], client: Everywhere, *given: object) -> None:
        for target, crowd, there in zip(self.targets, self.crowds, client, strict=True):
            with naming(target):
                do(crowd, there, *given)

    @initialize(target=Clients)
    def somebody_comes(self) -> Everywhere:
        return tuple(crowd.connect() for crowd in self.crowds)

    @precondition(lambda self: len(self.crowds[0].clients) < MOST_CLIENTS)
    @rule(target=Clients, buffer_bytes=st.sampled_from([None, None, SMALL_BUFFER_BYTES]))
    def connect(self, buffer_bytes: int | None) -> Everywhere:
        return tuple(crowd.connect(buffer_bytes) for crowd in self.crowds)

    @rule(client=Clients, segments=cut(), pace=st.sampled_from(Pace))
    def send(self, client: Everywhere, segments: tuple[bytes, ...], pace: Pace) -> None:
        for segment in segments:
            if not client[0].half_closed and len(client[0].peer.sent) + len(segment) <= MOST_STREAM_BYTES:
                self.at_each(ServerModel.send, client, segment, pace)

    @rule(client=Clients)
    def send_much_and_read_nothing(self, client: Everywhere) -> None:
        if not client[0].half_closed and not client[0].peer.sent:
            self.at_each(ServerModel.send, client, FLOOD)

    @rule(client=Clients, most_bytes=st.integers(1, 65536))
    def read_some(self, client: Everywhere, most_bytes: int) -> None:
        self.at_each(ServerModel.read_some, client, most_bytes)

    @rule(client=Clients)
    def expect_all(self, client: Everywhere) -> None:
        self.at_each(ServerModel.catch_up, client)

    @rule(client=Clients)
    def half_close(self, client: Everywhere) -> None:
        self.at_each(ServerModel.half_close, client)

    @rule(client=consumes(Clients))
    def finish(self, client: Everywhere) -> None:
        self.at_each(finish_or_close, client)

    @rule(client=consumes(Clients))
    def reset(self, client: Everywhere) -> None:
        self.at_each(ServerModel.reset, client)

    @rule(client=consumes(Clients))
    def close(self, client: Everywhere) -> None:
        self.at_each(ServerModel.close, client)

    @invariant()
    def what_came_is_a_prefix_of_what_is_due(self) -> None:
        for target, crowd in zip(self.targets, self.crowds, strict=True):
            with naming(target):
                crowd.check_all()

    def teardown(self) -> None:
        try:
            for target, crowd in zip(self.targets, self.crowds, strict=True):
                with naming(target):
                    crowd.end()
                    assert not trouble_of(target)
        finally:
            for crowd in self.crowds:
                crowd.scatter()


def finish_or_close(crowd: ServerModel, client: ModelClient) -> None:
    """Let a client leave; whoever has to wait for its turn cannot be answered first."""
    if crowd.must_be_served(client):
        crowd.finish(client)
    else:
        crowd.close(client)


@contextmanager
def naming(target: Target) -> Iterator[None]:
    """Add to what goes wrong which server it is about."""
    try:
        yield
    except Exception as trouble:
        trouble.add_note(f"server: {target.candidate.label}")
        raise


@pytest.fixture(scope="module")
def targets() -> Iterator[dict[str, Target]]:
    """Run one process of each server for all tests of this module."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(shared_target(ours(name))) for name in NAMES}


def test_clients_do_what_they_like(targets: dict[str, Target]) -> None:
    """At all servers at once: to think up what they do takes longer than doing it."""
    for target in targets.values():
        ServerModel(target).end()
    held = {name: (target.files(), target.threads()) for name, target in targets.items()}
    machine = type("Machine", (ClientsOfAllServers,), {"targets": tuple(targets.values())})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    for name, (files, threads) in held.items():
        with naming(targets[name]):
            targets[name].settles(targets[name].files, files)
            targets[name].settles(targets[name].threads, threads)
            assert targets[name].server.process.poll() is None


@settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(segments=cut(), pace=st.sampled_from(Pace))
def test_the_same_segments_give_the_same_bytes(
    targets: dict[str, Target], segments: tuple[bytes, ...], pace: Pace
) -> None:
    received = {name: play(target, (Conversation(segments, pace),)) for name, target in targets.items()}
    assert len(set(received.values())) == 1, received


def test_the_model_notices_who_is_served_out_of_turn(targets: dict[str, Target]) -> None:
    concurrent = targets["threaded"]
    crowd = ServerModel(changed(concurrent, candidate=changed(concurrent.candidate, declares=frozenset())))
    crowd.catch_up(crowd.connect())
    second = crowd.connect()
    assert second.peer.wait_for(select.POLLIN, concurrent.patience_s)
    with pytest.raises(Violation, match="served while an earlier client was there"):
        crowd.check_all()
    crowd.scatter()
