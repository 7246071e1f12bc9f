"""Handlers that wait: the same question to an upstream, asked in threads, callbacks, generators and async.

usage: lesson 10 [--upstream HOST:PORT]

A server that asks another one is a *relay*, the other one its *upstream*. Here the upstream (`slow_upstream.py`) takes 0.2 s
for an answer, and each relay passes on what its clients ask, and what they are answered: `relay_threads.py`, `relay_callbacks.py`,
`relay_generators.py`, `relay_async.py`. This script starts them, one after the other. With --upstream they ask any server of
the protocol, one that `harness serve` has started for instance.

Look at
- handle() in threads, in generators and in async: one text, and what differs is the mark where it waits: none, `yield`,
  `await`;
- the callbacks: the same steps, cut at each wait. What comes next is said at the end of each piece, and what has to be
  remembered in between is in attributes;
- what they cost: the threads are counted by the kernel; the text is what you read;
- where each of them stands when the upstream does not answer. Each tells it at a signal (SIGUSR1), by its where(): in
  threads any stack says it; in the others the stack of the only thread shows the loop, whoever waits. One must know
  where the handlers are kept.
"""

import argparse
import os
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from time import perf_counter, sleep
from typing import Final

from implementations.lessons.relay import THAT_WAS_ALL, address
from implementations.lessons.slow_upstream import NEVER, Upstream, running_here
from implementations.lessons.two_clients import Client, Server, all_at_once, started

WAYS: Final = ("threads", "callbacks", "generators", "async")
CLIENTS: Final = 5
LOOK_S: Final = 0.01


def ask_at_once(way: str, upstream: str) -> None:
    """Let some clients ask at once, and print how long it took, and how many threads that needed."""
    with started(f"lessons.relay_{way}", "--upstream", upstream) as relay, ExitStack() as stack:
        clients = [
            stack.enter_context(closing(Client("A", relay.address, is_shown=False))) for _ in range(CLIENTS)
        ]
        for client in clients:
            client.receives()
        began = perf_counter()
        all_at_once(clients, "1,2", 1)
        print(f"{way:12}{perf_counter() - began:20.1f} s{len(threads_of(relay)):9}", flush=True)


def threads_of(server: Server) -> list[Path]:
    """Return the kernel's folders on the threads of a server."""
    return list(Path(f"/proc/{server.process.pid}/task").iterdir())


def ask_in_vain(way: str, upstream: Upstream, upstream_address: str) -> None:
    """Ask what is never answered, and print where the relay says that it stands."""
    upstream.was_asked_never.clear()
    print(f"\n{way}", flush=True)
    with (
        started(f"lessons.relay_{way}", "--upstream", upstream_address) as relay,
        closing(Client("A", relay.address, is_shown=False)) as client,
    ):
        client.receives()
        client.socket.sendall(f"{NEVER}\n".encode())
        upstream.was_asked_never.wait()
        while not all(is_asleep(thread) for thread in threads_of(relay)):
            sleep(LOOK_S)
        os.kill(relay.process.pid, signal.SIGUSR1)
        while (said := relay.output.readline().strip()) != THAT_WAS_ALL:
            print(f"    {said}")


def is_asleep(thread: Path) -> bool:
    """Tell whether a thread waits in the kernel, by its state in /proc."""
    state = (thread / "stat").read_text().rpartition(")")[2].split()[0]
    return state == "S"


def main() -> None:
    """Ask in four ways; then ask in vain."""
    parser = argparse.ArgumentParser(
        prog="lesson 10", usage=argparse.SUPPRESS, description="Handlers that wait."
    )
    parser.add_argument(
        "--upstream", type=address, metavar="HOST:PORT", help="ask this one, not one of our own"
    )
    asked = parser.parse_args().upstream
    with ExitStack() as stack:
        own = Upstream()
        upstream_address = "{}:{}".format(*asked) if asked else stack.enter_context(running_here(own))
        print(f"{CLIENTS} clients ask at once\n{'':12}{'until all are answered':>22}{'threads':>9}")
        for way in WAYS:
            ask_at_once(way, upstream_address)
        if not asked:
            print("\nOne asks what is never answered. Where do they stand?", flush=True)
            for way in WAYS:
                ask_in_vain(way, own, upstream_address)


if __name__ == "__main__":
    main()
