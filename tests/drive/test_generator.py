"""The generator: its script, its bookkeeping, and what it notices."""

import socket
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from select import epoll
from threading import Thread
from time import monotonic_ns

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.drive.client import Client, ClientFailure, ConnectError, connected
from harness.drive.fleet import as_line, worker
from harness.drive.generator import connected_loop
from harness.drive.journal import ROW, Columns, Journal, read_times
from harness.drive.loops.churn import source_for
from harness.drive.loops.loop import Loop
from harness.drive.loops.open import OpenLoop
from harness.drive.orders import LoadOrder, LoadOutcome, Turn
from harness.drive.schedule import intended_ns, phases_of
from harness.drive.script import Script
from harness.errors import LaunchError, MeasureError
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.launch.selection import ours
from harness.machine.connections import input_of
from harness.oracle import GREETING, oracle
from harness.plan import Load
from tests.makers import changed


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
    script, journal = Script(None, 16), Journal(4)
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        client = Client(data.draw(st.integers(0, script.cycle - 1)), near, script, journal)
        asked = answered = 0
        for _ in range(data.draw(st.integers(1, 6))):
            count = data.draw(st.integers(1, 16 - (asked - answered))) if asked - answered < 16 else 0
            if count:
                client.ask(count, asked, asked)
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
        assert journal.requests() == asked


def connected_client(script: Script) -> tuple[Client, socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    return Client(0, near, script, Journal(100)), near, far


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
        client.ask(1, 0, 0)
        far.sendall(change(script.replies[: script.reply_bytes]))
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(ClientFailure) as failure:
            hear_until_it_fails(client)
        assert failure.value.kind == kind


def test_a_reply_without_a_request_is_noticed() -> None:
    script = Script(None, 4)
    client, near, far = connected_client(script)
    with near, far:
        far.sendall(script.replies[: script.reply_bytes])
        with pytest.raises(ClientFailure, match="was not sent"):
            client.hear()


def test_what_the_kernel_does_not_take_is_sent_later() -> None:
    script = Script("1" * 4000, 500)
    client, near, far = connected_client(script)
    with near, far:
        client.ask(500, 0, 0)
        assert client.unsent
        received = bytearray()
        while len(received) < 500 * script.request_bytes:
            received += far.recv(1 << 20)
            if client.unsent:
                client.resume()
        assert bytes(received) == script.requests[: script.request_bytes] * 500


def test_a_clients_turn_is_to_hear_and_to_ask_as_many_again() -> None:
    """The quick way and the careful one say the same things and keep the same books, whatever the cuts."""
    script, journal = Script(None, 4), Journal(4)
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        client = Client(7, near, script, journal)
        client.ask(4, 0, 0)
        asked = b""
        for cut in (None, 1, script.reply_bytes * 2, None, -3, script.reply_bytes, None):
            request = far.recv(1000)
            asked += request
            replies = oracle(request).removeprefix(GREETING)
            for part in (replies[:cut], replies[cut:]) if cut else (replies,):
                far.sendall(part)
                client.turn()
        asked += far.recv(1000)
        assert asked == (script.requests[7 * script.request_bytes :] + script.requests * 2)[: len(asked)]
        assert journal.requests() + 4 == asked.count(b"\n")
        assert client.in_flight == 4


def test_a_journal_grows_when_there_are_more_rows_than_expected(tmp_path: Path) -> None:
    journal = Journal(2)
    for n in range(9):
        journal.write(ROW.pack(n, n + 1, n + 2, n + 3, 2, n % 4))
    assert (journal.used, journal.requests()) == (9, 18)
    journal.move_to(str(tmp_path / "times"))
    assert journal.used == 0
    (times,) = read_times([tmp_path / "times"], [[9]])
    assert list(times.intended_ns) == list(range(9))
    assert set(times.ready_ns - times.intended_ns) == {1}
    assert set(times.received_ns - times.sent_ns) == {1}
    assert set(times.count) == {2}
    assert set(times.client) == {0, 1, 2, 3}


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with launch(ours("threaded")) as launched:
        yield launched.address


def order_for(address: tuple[str, int], tmp_path: Path, clients: int = 5, pipeline: int = 3) -> LoadOrder:
    load = Load(clients=clients, pipeline=pipeline, warmup_s=0.05, duration_s=0.2, timeout_s=2.0)
    return LoadOrder(host=address[0], port=address[1], load=load, times_file=str(tmp_path / "times"))


def work(order: LoadOrder) -> tuple[LoadOutcome, Columns]:
    loop = connected_loop(order)
    try:
        outcome = take_turn(loop, order.load)
    finally:
        loop.leave()
    (times,) = read_times([Path(order.times_file)], [[outcome.records]])
    return outcome, times


def take_turn(loop: Loop, load: Load, *, settled: bool = False) -> LoadOutcome:
    outcome = loop.run(Turn(start_ns=monotonic_ns(), load=load, settled=settled), lambda *_: None)
    loop.journal.move_to(loop.order.times_file)
    return outcome


def assert_conserved(outcome: LoadOutcome) -> None:
    assert outcome.requests.planned == outcome.requests.sent + outcome.requests.never_sent
    assert outcome.requests.sent == (
        outcome.requests.ok
        + outcome.requests.wrong
        + outcome.requests.error
        + outcome.requests.timeout
        + outcome.requests.in_flight
    )


@pytest.mark.parametrize("pipeline", [1, 3, 64])
def test_every_request_is_accounted_for(address: tuple[str, int], tmp_path: Path, pipeline: int) -> None:
    outcome, times = work(order_for(address, tmp_path, pipeline=pipeline))
    assert outcome.requests.fault == ""
    assert (
        outcome.requests.planned
        == outcome.requests.sent
        == outcome.requests.ok
        == times.count.sum()
        > 5 * pipeline
    )
    assert (times.intended_ns == times.ready_ns).all()
    assert (times.ready_ns <= times.sent_ns).all()
    assert (times.sent_ns < times.received_ns).all()
    assert times.ready_ns.min() >= outcome.started_ns
    assert outcome.begin.at_ns - outcome.started_ns >= 0.05e9
    assert outcome.end.at_ns - outcome.started_ns >= 0.25e9


def test_comers_and_goers_are_accounted_for(address: tuple[str, int], tmp_path: Path) -> None:
    outcome, times = work(changed(order_for(address, tmp_path, clients=4, pipeline=1), churn=True))
    assert outcome.requests.fault == ""
    assert outcome.requests.planned == outcome.requests.sent == outcome.requests.ok == times.count.sum() > 8
    assert set(times.client) == {0, 1, 2, 3}
    assert (times.intended_ns == times.ready_ns).all()
    assert (times.ready_ns < times.sent_ns).all(), "the greeting comes before the request"
    assert (times.sent_ns < times.received_ns).all()
    for client in range(4):
        mine = times.where(times.client == client)
        assert (mine.intended_ns[1:] == mine.received_ns[:-1]).all(), "the next one comes at once"


@pytest.mark.parametrize("churn", [False, True])
def test_a_server_of_the_other_family_is_loaded(tmp_path: Path, *, churn: bool) -> None:
    threaded = ours("threaded")
    command = tuple("::1" if word == "{host}" else word for word in threaded.command)
    try:
        with launch(replace(threaded, command=command)) as launched:
            outcome, _ = work(changed(order_for(launched.address, tmp_path, pipeline=1), churn=churn))
    except LaunchError as error:
        pytest.skip(f"this machine has no ::1: {error}")
    assert outcome.requests.fault == ""
    assert outcome.requests.sent == outcome.requests.ok > 8


def test_comers_and_goers_have_addresses_of_their_own() -> None:
    assert len({source_for("127.0.0.1", place) for place in range(64)}) > 8
    assert source_for("10.0.0.1", 3) is None


@pytest.mark.parametrize("defect", ["dies_on_x", "greets_wrongly", "silent"])
def test_comers_that_are_not_served_are_accounted_for(
    faulty: Callable[..., Candidate], tmp_path: Path, defect: str
) -> None:
    with launch(faulty(defect)) as launched:
        order = order_for(launched.address, tmp_path, clients=4, pipeline=1)
        outcome, _ = work(changed(order, churn=True, line="x", timeout_s=0.3))
    assert_conserved(outcome)
    assert outcome.requests.ok == 0
    assert outcome.requests.sent == 4
    found = {
        "dies_on_x": outcome.requests.error,
        "greets_wrongly": outcome.requests.wrong,
        "silent": outcome.requests.timeout,
    }
    assert found[defect] == 4


def test_comers_that_cannot_connect_are_accounted_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        address = ("127.0.0.1", closed_soon.getsockname()[1])
    outcome, _ = work(changed(order_for(address, tmp_path, clients=2, pipeline=1), churn=True))
    assert (outcome.requests.sent, outcome.requests.error, outcome.requests.ok) == (2, 2, 0)
    assert_conserved(outcome)


def test_littles_law_holds(address: tuple[str, int], tmp_path: Path) -> None:
    """In a closed loop the requests in flight are the throughput times the mean response: a check of the bookkeeping."""
    outcome, times = work(order_for(address, tmp_path, clients=8, pipeline=2))
    span_ns = times.received_ns.max() - outcome.started_ns
    in_flight = float(((times.received_ns - times.ready_ns) * times.count).sum()) / span_ns
    assert in_flight == pytest.approx(16, rel=0.1)


def open_order_for(address: tuple[str, int], tmp_path: Path, **changes: object) -> LoadOrder:
    order = order_for(address, tmp_path, clients=5, pipeline=1)
    values: dict[str, object] = {"arrivals": "constant", "rate": 1000.0, "warmup_rate": 1000.0}
    return changed(order, **values | changes)


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_an_open_loop_sends_its_schedule(address: tuple[str, int], tmp_path: Path, arrivals: str) -> None:
    order = open_order_for(address, tmp_path, arrivals=arrivals, seed=5)
    outcome, times = work(order)
    intended = intended_ns(phases_of(order.load), arrivals, 5) + outcome.started_ns
    assert outcome.requests.planned == outcome.requests.sent == outcome.requests.ok == len(intended)
    assert sorted(times.intended_ns) == list(intended)
    assert (times.intended_ns <= times.ready_ns).all()
    assert (times.ready_ns <= times.sent_ns).all()
    assert (times.sent_ns < times.received_ns).all()


def test_an_open_loop_asks_more_than_can_be_answered_and_drops_nothing(
    address: tuple[str, int], tmp_path: Path
) -> None:
    outcome, times = work(
        open_order_for(address, tmp_path, rate=100_000.0, warmup_rate=1000.0, timeout_s=30.0)
    )
    assert outcome.requests.planned == outcome.requests.sent == outcome.requests.ok == 20_050
    assert times.received_ns.max() > outcome.end.at_ns
    per_connection = [times.where(times.intended_ns % 5 == place) for place in range(5)]
    assert all((np.diff(each.received_ns) >= 0).all() for each in per_connection)


def test_what_cannot_be_sent_in_time_is_counted(address: tuple[str, int], tmp_path: Path) -> None:
    order = open_order_for(address, tmp_path, rate=2_000_000.0, warmup_rate=1000.0, timeout_s=0.2)
    outcome, times = work(order)
    assert_conserved(outcome)
    assert outcome.requests.never_sent > 0
    assert times.count.sum() == outcome.requests.ok


class TwelveAtOnce(OpenLoop):
    """An open loop whose twelve requests are all due at once."""

    def prepare(self, _: Load) -> None:
        self._offsets_ns = array("q", [0] * 12)
        self.planned = 12


@pytest.fixture
def open_loop() -> Iterator[tuple[OpenLoop, Client, socket.socket]]:
    """An open loop whose twelve requests are all due on one connection, four at a time; and the server's end."""
    near, far = socket.socketpair()
    near.setblocking(False)
    journal = Journal(12)
    client = Client(0, near, Script(None, 4), journal)
    load = Load(
        clients=1, pipeline=4, arrivals="constant", rate=1000.0, warmup_s=0.0, duration_s=0.05, timeout_s=2.0
    )
    order = LoadOrder(host="", port=0, load=load, times_file="")
    with near, far, epoll() as poller:
        yield TwelveAtOnce(order, poller, [client], journal), client, far


def test_a_connection_that_breaks_at_the_first_of_several_requests_is_lost_once(
    open_loop: tuple[OpenLoop, Client, socket.socket],
) -> None:
    loop, _, far = open_loop
    far.close()
    outcome = loop.run(Turn(start_ns=monotonic_ns(), load=loop.order.load), lambda *_: None)
    assert_conserved(outcome)
    assert (outcome.requests.sent, outcome.requests.error, outcome.requests.never_sent) == (1, 1, 11)
    assert outcome.requests.fault.startswith("sending: ")


def test_a_connection_that_breaks_as_several_replies_make_room_is_lost_once(
    open_loop: tuple[OpenLoop, Client, socket.socket],
) -> None:
    loop, client, far = open_loop
    loop.prepare(loop.order.load)
    loop.start(0)
    assert loop.outstanding()
    asked = far.recv(1000).splitlines(keepends=True)
    assert len(asked) == 4
    far.sendall(oracle(b"".join(asked[:3])).removeprefix(GREETING))
    far.close()
    loop.listen(client)
    assert (loop.sent, loop.lost["error"], loop.journal.requests()) == (5, 2, 3)
    assert not loop.clients
    assert not loop.outstanding()


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
        order = changed(order_for(launched.address, tmp_path), duration_s=4.0, timeout_s=0.5)
        outcome, _ = work(order)
    lost = {
        "wrong": outcome.requests.wrong,
        "error": outcome.requests.error,
        "timeout": outcome.requests.timeout,
    }
    assert lost[kind] > 0
    assert_conserved(outcome)
    assert any(word in outcome.requests.fault for word in reason.split("|"))


def test_a_greeting_may_come_in_pieces() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        greeted = Thread(target=greet_in_pieces, args=(server,))
        greeted.start()
        connected(*server.getsockname()).close()
        greeted.join()


def greet_in_pieces(server: socket.socket) -> None:
    """Send each piece once the one before has been taken."""
    client, peer = server.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client:
        for at in range(0, len(GREETING), 8):
            while (found := input_of(peer, server.getsockname())) is not None and found.unread_bytes:
                pass
            client.sendall(GREETING[at : at + 8])


def test_what_the_system_refuses_is_told(tmp_path: Path) -> None:
    """As a disk that is full, in the place where the times are to go."""
    with launch(ours("threaded")) as launched:
        order = changed(order_for(launched.address, tmp_path), duration_s=0.1)
        order = changed(order, times_file="/no/such/folder/times")
        with worker("harness.drive.generator", ()) as generator:
            generator.tell(as_line(order), "connected")
            turn = Turn(start_ns=monotonic_ns(), load=order.load)
            generator.tell(as_line(turn), "started")
            with pytest.raises(MeasureError, match="No such file or directory: '/no/such/folder/times'"):
                generator.tell(None, "done")


def test_a_generator_is_one_thread(tmp_path: Path) -> None:
    """It can be started where no thread can, and none of numpy's shares its core."""
    with launch(ours("threaded")) as launched, worker("harness.drive.generator", ()) as generator:
        generator.tell(as_line(order_for(launched.address, tmp_path)), "connected")
        assert psutil.Process(generator.pid).num_threads() == 1


def test_a_wrong_greeting_is_noticed(faulty: Callable[..., Candidate], tmp_path: Path) -> None:
    with (
        launch(faulty("greets_wrongly")) as launched,
        pytest.raises(ConnectError, match="client 1 of 5 cannot connect: it was greeted with"),
    ):
        connected_loop(order_for(launched.address, tmp_path))
