"""Micro-benchmarks: the core by itself, and one request's round trip with each server.

`make benchmark` measures; in `make test` they run once, as plain tests.
"""

import socket

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.launch.process import launch
from harness.launch.selection import ours
from harness.oracle import oracle
from implementations.catalogue import CATALOGUE
from implementations.protocol import GREETING, Connection

LINE = b"334,998,350\n"
CHUNKS = {
    "one_line": LINE,
    "16_lines": LINE * 16,
    "1000_lines": LINE * 1000,
    "16_KiB_of_empty_lines": b"\n" * 16384,
    "the_longest_line": b"9" * 4096 + b"\n",
}


@pytest.mark.benchmark(group="core: one chunk")
@pytest.mark.parametrize("name", CHUNKS)
def test_core(benchmark: BenchmarkFixture, name: str) -> None:
    chunk = CHUNKS[name]
    replies = benchmark(Connection().receive_data, chunk)
    assert replies == oracle(chunk).removeprefix(GREETING)


@pytest.mark.benchmark(group="core: the costliest line")
def test_costliest_product(benchmark: BenchmarkFixture) -> None:
    connection = Connection()
    connection.receive_data(b"product\n")
    line = b",".join([b"9"] * 2048) + b"\n"
    assert benchmark(connection.receive_data, line).startswith(b"Product of input numbers: '")


@pytest.mark.benchmark(group="round trip")
@pytest.mark.parametrize("name", [implementation.name for implementation in CATALOGUE])
def test_round_trip(benchmark: BenchmarkFixture, name: str) -> None:
    with launch(ours(name)) as launched, socket.create_connection(launched.address) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert client.recv(1024) == GREETING

        def round_trip() -> bytes:
            client.sendall(LINE)
            return client.recv(1024)

        assert benchmark(round_trip) == oracle(LINE).removeprefix(GREETING)
