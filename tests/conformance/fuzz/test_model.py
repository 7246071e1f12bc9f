"""Several clients at once against the model of what each must receive, and the servers against each other."""

import select
from collections.abc import Iterator
from contextlib import ExitStack

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


class ClientsOfOneServer(RuleBasedStateMachine):
    """What clients may do, in any order; nothing waits unless the model says that what is awaited must come."""

    target: Target

    def __init__(self) -> None:
        super().__init__()
        self.crowd = ServerModel(self.target)

    @initialize(target=Clients)
    def somebody_comes(self) -> ModelClient:
        return self.crowd.connect()

    @precondition(lambda self: len(self.crowd.clients) < MOST_CLIENTS)
    @rule(target=Clients, buffer_bytes=st.sampled_from([None, None, SMALL_BUFFER_BYTES]))
    def connect(self, buffer_bytes: int | None) -> ModelClient:
        return self.crowd.connect(buffer_bytes)

    @rule(client=Clients, segments=cut(), pace=st.sampled_from(Pace))
    def send(self, client: ModelClient, segments: tuple[bytes, ...], pace: Pace) -> None:
        for segment in segments:
            if not client.half_closed and len(client.peer.sent) + len(segment) <= MOST_STREAM_BYTES:
                self.crowd.send(client, segment, pace)

    @rule(client=Clients)
    def send_much_and_read_nothing(self, client: ModelClient) -> None:
        if not client.half_closed and not client.peer.sent:
            self.crowd.send(client, FLOOD)

    @rule(client=Clients, most_bytes=st.integers(1, 65536))
    def read_some(self, client: ModelClient, most_bytes: int) -> None:
        self.crowd.read_some(client, most_bytes)

    @rule(client=Clients)
    def expect_all(self, client: ModelClient) -> None:
        self.crowd.catch_up(client)

    @rule(client=Clients)
    def half_close(self, client: ModelClient) -> None:
        self.crowd.half_close(client)

    @rule(client=consumes(Clients))
    def finish(self, client: ModelClient) -> None:
        if self.crowd.must_be_served(client):
            self.crowd.finish(client)
        else:
            self.crowd.close(client)

    @rule(client=consumes(Clients))
    def reset(self, client: ModelClient) -> None:
        self.crowd.reset(client)

    @rule(client=consumes(Clients))
    def close(self, client: ModelClient) -> None:
        self.crowd.close(client)

    @invariant()
    def what_came_is_a_prefix_of_what_is_due(self) -> None:
        self.crowd.check_all()

    def teardown(self) -> None:
        try:
            self.crowd.end()
            assert not trouble_of(self.target)
        finally:
            self.crowd.scatter()


@pytest.fixture(scope="module")
def targets() -> Iterator[dict[str, Target]]:
    """Run one process of each server for all tests of this module."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(shared_target(ours(name))) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_clients_do_what_they_like(name: str, targets: dict[str, Target]) -> None:
    target = targets[name]
    ServerModel(target).end()
    files, threads = target.files(), target.threads()
    machine = type(f"ClientsOf_{name}", (ClientsOfOneServer,), {"target": target})
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
    target.settles(target.files, files)
    target.settles(target.threads, threads)
    assert target.server.process.poll() is None


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
