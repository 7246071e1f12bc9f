"""The generator: its script, its bookkeeping, and what it notices."""

import socket
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.candidates import Candidate, ours
from harness.conformance.oracle import oracle
from harness.drive import GREETING, Client, Failure, Generator, Order, Outcome, Script, Times
from harness.launch import launch
from harness.record import read_times


def test_the_script_is_what_the_oracle_answers() -> None:
    script = Script(None, 16)
    assert oracle(script.requests).removeprefix(GREETING).startswith(script.replies[: script.cycle_bytes])
    lines = script.requests.splitlines(keepends=True)
    assert {len(line) for line in lines} == {script.request_bytes}
    assert len(set(lines)) == script.cycle
    replies = {
        script.replies[at : at + script.reply_bytes]
        for at in range(0, script.cycle_bytes, script.reply_bytes)
    }
    assert len(replies) == script.cycle, "a reply that went astray must be noticed"


@pytest.mark.parametrize("line", ["1,2", "hello", "9" * 4096, "x" * 5000])
def test_a_script_may_be_one_line(line: str) -> None:
    script = Script(line, 4)
    assert oracle(script.requests[: script.request_bytes]) == GREETING + script.replies[: script.reply_bytes]


@given(st.data())
def test_replies_cut_anywhere_are_matched_with_their_requests(data: st.DataObject) -> None:
    """Whatever the cuts: every reply is counted once, and no time is that of another request."""
    script, times = Script(None, 16), Times(4)
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        client = Client(near, data.draw(st.integers(0, script.cycle - 1)), script, times)
        asked = answered = 0
        for _ in range(data.draw(st.integers(1, 6))):
            count = data.draw(st.integers(1, 16 - (asked - answered))) if asked - answered < 16 else 0
            if count:
                client.ask(count, ready_ns=asked)
                asked += count
            pending = oracle(far.recv(65536)).removeprefix(GREETING) if count else b""
            while pending:
                cut = data.draw(st.integers(1, len(pending)))
                far.sendall(pending[:cut])
                completed, now = client.hear()
                assert now > 0
                answered += completed
                pending = pending[cut:]
        assert answered == asked
        assert client.in_flight == 0
        assert sum(times.columns[3][: times.used]) == asked
        assert list(times.columns[0][: times.used]) == sorted(times.columns[0][: times.used])


def connected_client(script: Script) -> tuple[Client, socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    return Client(near, 0, script, Times(100)), near, far


def hear_until_it_fails(client: Client) -> None:
    while True:
        client.hear()


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda reply: reply.replace(b"Sum", b"sum"), "wrong"),
        (lambda reply: reply + b"\n", "wrong"),
        (lambda reply: reply + reply, "wrong"),
        (lambda reply: reply[1:], "wrong"),
        (lambda _: b"", "error"),
    ],
)
def test_a_reply_that_is_not_the_oracles_is_noticed(change: Callable[[bytes], bytes], kind: str) -> None:
    script = Script(None, 4)
    client, near, far = connected_client(script)
    with near, far:
        client.ask(1, 0)
        far.sendall(change(script.replies[: script.reply_bytes]))
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(Failure) as failure:
            hear_until_it_fails(client)
        assert failure.value.kind == kind


def test_a_reply_without_a_request_is_noticed() -> None:
    script = Script(None, 4)
    client, near, far = connected_client(script)
    with near, far:
        far.sendall(script.replies[: script.reply_bytes])
        with pytest.raises(Failure, match="was not sent"):
            client.hear()


def test_what_the_kernel_does_not_take_is_sent_later() -> None:
    script = Script("1" * 4000, 500)
    client, near, far = connected_client(script)
    with near, far:
        client.ask(500, 0)
        assert client.unsent
        received = bytearray()
        while len(received) < 500 * script.request_bytes:
            received += far.recv(1 << 20)
            if client.unsent:
                client.resume()
        assert bytes(received) == script.requests[: script.request_bytes] * 500


def test_times_grow_when_there_are_more_than_expected(tmp_path: Path) -> None:
    times = Times(2)
    for n in range(9):
        times.add(n, n + 1, n + 2, 1)
    times.save(str(tmp_path / "times"))
    ready, sent, received, counts = read_times(tmp_path / "times", times.used)
    assert list(ready) == list(range(9))
    assert list(sent - ready) == [1] * 9
    assert list(received - ready) == [2] * 9
    assert counts.sum() == 9
    assert all(isinstance(column, array) for column in times.columns)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with launch(ours("threaded")) as launched:
        yield launched.address


def order_for(address: tuple[str, int], tmp_path: Path, clients: int = 5, pipeline: int = 3) -> Order:
    return Order(*address, clients, pipeline, 0.05, 0.2, 2.0, str(tmp_path / "times"))


def work(order: Order) -> tuple[Generator, Outcome]:
    generator = Generator(order)
    generator.connect()
    try:
        return generator, generator.run(lambda *_: None)
    finally:
        for client in generator.clients.values():
            client.socket.close()


@pytest.mark.parametrize("pipeline", [1, 3, 64])
def test_every_request_is_accounted_for(address: tuple[str, int], tmp_path: Path, pipeline: int) -> None:
    generator, outcome = work(order_for(address, tmp_path, pipeline=pipeline))
    assert outcome.fault == ""
    assert outcome.sent == outcome.ok > 5 * pipeline
    generator.times.save(str(tmp_path / "times"))
    ready, sent, received, counts = read_times(tmp_path / "times", outcome.records)
    assert counts.sum() == outcome.ok
    assert (ready <= sent).all()
    assert (sent < received).all()
    assert ready.min() >= outcome.started_ns
    assert outcome.begin.at_ns - outcome.started_ns >= 0.05e9
    assert outcome.end.at_ns - outcome.begin.at_ns >= 0.2e9


def test_littles_law_holds(address: tuple[str, int], tmp_path: Path) -> None:
    """In a closed loop the requests in flight are the throughput times the mean response: a check of the bookkeeping."""
    order = order_for(address, tmp_path, clients=8, pipeline=2)
    generator, outcome = work(order)
    ready, _, received, counts = (np.array(column[: outcome.records]) for column in generator.times.columns)
    span_ns = received.max() - outcome.started_ns
    in_flight = float(((received - ready) * counts).sum()) / span_ns
    assert in_flight == pytest.approx(16, rel=0.1)


@pytest.mark.parametrize(
    ("defect", "kind", "reason"),
    [
        ("goes_wrong_after_a_while", "wrong", "expected"),
        ("dies_after_a_while", "error", "closed the connection|reset|receiving"),
        ("stops_answering_after_a_while", "timeout", "no reply within"),
    ],
)
def test_a_server_that_goes_wrong_under_load_is_noticed(
    faulty: Callable[..., Candidate], tmp_path: Path, defect: str, kind: str, reason: str
) -> None:
    with launch(faulty(defect)) as launched:
        order = replace(order_for(launched.address, tmp_path), duration_s=4.0, timeout_s=0.5)
        _, outcome = work(order)
    lost = {"wrong": outcome.wrong, "error": outcome.error, "timeout": outcome.timeout}
    assert lost[kind] > 0
    assert outcome.sent == outcome.ok + sum(lost.values()) + outcome.in_flight
    assert any(word in outcome.fault for word in reason.split("|"))


def test_a_wrong_greeting_is_noticed(faulty: Callable[..., Candidate], tmp_path: Path) -> None:
    with (
        launch(faulty("greets_wrongly")) as launched,
        pytest.raises(ValueError, match="client 1 was greeted with"),
    ):
        Generator(order_for(launched.address, tmp_path)).connect()
