"""A thread for each client, a pool of threads, and the lock that lets only one of them run Python at a time.

usage: lesson 8 [--python PATH]

The servers are `implementations/threaded.py`, `thread_pool.py` and `processes.py`; this script starts them, and plays two
clients. First these talk, then they make the server compute. With --python it makes threads compute on that interpreter,
too: one without the lock (Python 3.13 or later, built "free-threaded") shows what the lock was for.

Look at
- serve() of threaded.py: accept() again at once, and handle() in a thread of its own. handle() is lesson 3's: it blocks,
  and holds up nobody but its own client;
- the pool: its threads are all there beforehand, and each is lesson 3's server. With one thread, it is lesson 3;
- the times for two clients that compute. Threads take turns at the *interpreter lock* (CPython's "GIL"): whoever runs
  Python code has it, and lets go where it waits, or when another has asked for it for 5 ms. So threads wait side by side,
  and compute one after the other;
- processes: each has an interpreter, and so a lock, of its own. They share no variables either: see lesson 9.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from time import perf_counter
from typing import Final

from implementations.lessons.two_clients import Client, all_at_once, running

COSTLY_LINE: Final = "1," * 2000 + "1"
COSTLY_LINES: Final = 200
TRIES: Final = 5
WHO_IS_IT: Final = (
    "import platform, sys; has_lock = getattr(sys, '_is_gil_enabled', lambda: True)();"
    "print(platform.python_implementation(), platform.python_version(), 'with' if has_lock else 'without', 'the lock')"
)


def talk_to_threads() -> None:
    """Lesson 3 again, as far as A's silence: B is served all the same."""
    print("threaded: a thread for each client")
    with running("threaded") as address, closing(Client("A", address)) as a:
        a.receives()
        with closing(Client("B", address)) as b:
            b.receives()
            b.asks("1,2")
            b.quits()
        a.quits()


def talk_to_a_pool() -> None:
    """Keep the only thread of a pool busy with A."""
    print("\nthread_pool --max-clients 1: a pool of one thread")
    with running("thread_pool", "--max-clients", "1") as address, closing(Client("A", address)) as a:
        a.receives()
        with closing(Client("B", address)) as b:
            b.types("1,2")
            b.looks()
            a.quits()
            b.receives(2)
            b.quits()


def time_computing(server: str, python: str) -> None:
    """Print how long A's costly lines take alone, and then A's and B's at once."""
    # For two clients `processes` has two workers with a place each: A and B cannot meet in one of them.
    with running(server, "--max-clients", "2", python=python) as address, ExitStack() as stack:
        a, b = (stack.enter_context(closing(Client(name, address, is_shown=False))) for name in "AB")
        for client in (a, b):
            client.receives()
        # Whatever disturbs a try makes it longer: the shortest tells most.
        alone_s = min(seconds_for([a]) for _ in range(TRIES))
        both_s = min(seconds_for([a, b]) for _ in range(TRIES))
    print(f"{server:12}{alone_s:8.3f} s{both_s:16.3f} s   {both_s / alone_s:8.1f} times")


def seconds_for(clients: Sequence[Client]) -> float:
    """Return how long it takes until all of them have all their answers."""
    began = perf_counter()
    all_at_once(clients, COSTLY_LINE, COSTLY_LINES)
    return perf_counter() - began


def described(python: str) -> str:
    """Return what an interpreter says of itself; OSError or CalledProcessError if it is none."""
    return subprocess.run(
        [python, "-c", WHO_IS_IT], capture_output=True, text=True, check=True
    ).stdout.strip()


def compare(servers: Sequence[str], python: str) -> None:
    """Print what computing takes in these servers on an interpreter."""
    print(f"\n{described(python)}\n{'':12}{'A alone':>10}{'A and B at once':>18}", flush=True)
    for server in servers:
        time_computing(server, python)


def warn_if_busy() -> None:
    """Say so if others want the cores that are to be shared out here; an idle machine has a load near 0."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load >= cores:
        print(
            f"(This machine is busy: load {load:.0f}, {cores} cores. The times say little.)", file=sys.stderr
        )


def main() -> None:
    """Talk, and then compute."""
    parser = argparse.ArgumentParser(prog="lesson 8", usage=argparse.SUPPRESS, description="Threads.")
    parser.add_argument("--python", help="compute with threads on this interpreter, too")
    python = parser.parse_args().python
    try:
        described(python or sys.executable)
    except (OSError, subprocess.CalledProcessError):
        parser.error(f"{python}: it does not run Python code")
    talk_to_threads()
    talk_to_a_pool()
    warn_if_busy()
    compare(["threaded", "processes"], sys.executable)
    if python:
        compare(["threaded"], python)


if __name__ == "__main__":
    main()
