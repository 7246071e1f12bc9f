"""Causes that show in how long somebody waits: locks, queues, timers of the kernel. Pure.

What a rule here needs, by metric:

- `response_p50_us`, `response_p99_us`: of the light clients; `cpu_us_per_request`: what their requests cost the server.
- `alone_p50_us`, `alone_p99_us`: the same clients, with nobody beside them.
- `cost_ms`: what one costly request beside them computes.
- `cores`, `switches_voluntary`, `cpu_us`: on how many cores the server may run, and what a request costs it there.
- `busy_threads`: threads of the server's process that want to compute all the time.
- `held_s`, `waited_s`: how long a client stayed, and how long one that came meanwhile waited for its first reply.
- `wait_ms`, `mean_under_way`, `most_under_way`: how long a handler waits for somebody else; how many of these waits were under way at
  once, on average, and how many could have been.
- `turn_comes_ms`: after how long each client of a pool that is smaller than they are many would have its turn, if turns went round.
- `connects`, `connects_at_1s`, `connects_at_3s`: how many connects were tried, how many took 1 to 2 s, and how many 3 s or
  more.
"""

from collections.abc import Iterator
from typing import Final

from harness.analyse.causes.evidence import Cause, Evidence

SWITCH_INTERVAL_US: Final = 5_000.0
"""CPython's default (sys.getswitchinterval)."""
DELAYED_ACK_US: Final = (38_000.0, 60_000.0)
"""Linux delays an acknowledgement by 40 ms at least (TCP_DELACK_MIN, include/net/tcp.h); with some room for waking up."""
CHEAP_US: Final = 5_000.0
NEARLY: Final = 0.9
MUCH_SLOWER: Final = 3.0
BUSY: Final = 0.5
MOST_OF: Final = 0.5
SOME: Final = 0.05
SEVERAL: Final = 2.0
ONE_AT_A_TIME: Final = 1.1
FAR_LATER: Final = 4.0
"""So many times as long as a turn takes to come round is chance, and no busy machine."""
OWN_WAITS: Final = 1.0
"""A thread with one client waits once for each request: for the request itself."""
LOCK_WAITS: Final = 1.0
"""So many waits more come from the lock: once in each request, or oftener, somebody else has it."""


def interpreter_lock(seen: Evidence) -> Iterator[Cause]:
    """Name the interpreter's lock, where a light request waits as long as a thread may keep it, or longer.

    A loop that is blocked by a costly request makes it wait, too: here it is another thread that computes.
    """
    for server, workload in seen.places():
        found = seen.all(server, workload, "response_p50_us", "busy_threads")
        if found is None:
            continue
        response_us, busy = found
        if busy >= 1 and response_us >= NEARLY * SWITCH_INTERVAL_US:
            yield Cause(
                "interpreter lock",
                (server,),
                workload,
                response_us / 1000,
                "ms",
                "a thread that computes keeps the interpreter's lock until it is asked to let go, which is "
                f"{SWITCH_INTERVAL_US / 1000:g} ms after another one has come back from a call: half of the light replies "
                f"took {response_us / 1000:.1f} ms or more",
                "sys.setswitchinterval, docs.python.org/3/library/sys.html",
                "harness effect interpreter-lock",
            )


def lock_between_cores(seen: Evidence) -> Iterator[Cause]:
    """Name the interpreter's lock on its way between cores: threads that can run at once, and wait for each other.

    On one core the thread that lets go of the lock, to send or to receive, mostly has it again before another one runs. On
    several the other one is there at once, takes it, and the first one has to wait: that shows in its switches.
    """
    for server, workload in seen.places():
        found = seen.all(server, workload, "cores", "switches_voluntary", "cpu_us")
        if found is None:
            continue
        cores, waits, cpu_us = found
        if cores > 1 and waits >= OWN_WAITS + LOCK_WAITS:
            yield Cause(
                "interpreter lock between cores",
                (server,),
                workload,
                waits,
                "waits per request",
                f"threads on {cores:.0f} cores wait for each other's lock: {waits:.2f} waits for each request, where one, for the "
                f"request, would do, and {cpu_us:.1f} µs of CPU",
                "docs.python.org/3/c-api/threads.html, thread states and the global interpreter lock; sched_setaffinity(2)",
                "harness effect placement; taskset -c 0",
            )


def head_of_line(seen: Evidence) -> Iterator[Cause]:
    """Name head-of-line blocking: light requests wait while one costly request is worked on, half of them or more."""
    for server, workload in seen.places():
        found = seen.all(server, workload, "response_p50_us", "alone_p50_us", "cost_ms")
        if found is None:
            continue
        p50_us, alone_p50_us, cost_ms = found
        slower = p50_us / alone_p50_us
        if slower >= MUCH_SLOWER and p50_us >= MOST_OF * cost_ms * 1000:
            tails = seen.all(server, workload, "response_p99_us", "alone_p99_us")
            tail = (
                f", 99 % of them {tails[0] / 1000:.1f} instead of {tails[1] / 1000:.2f} ms" if tails else ""
            )
            yield Cause(
                "head-of-line blocking",
                (server,),
                workload,
                slower,
                "times the p50",
                f"whoever comes while costly requests are worked on, of {cost_ms:.2g} ms each, waits for all that came before: half "
                f"of the light replies take {p50_us / 1000:.2f} ms or more, instead of {alone_p50_us / 1000:.2f} ms with nobody "
                f"beside them{tail}",
                "docs.python.org/3/library/asyncio-dev.html, running blocking code",
                "harness effect head-of-line",
            )


def unyielding_wait(seen: Evidence) -> Iterator[Cause]:
    """Name handlers that wait one after the other, although several clients are served side by side: who waits holds up all others."""
    for server, workload in seen.places():
        found = seen.all(server, workload, "wait_ms", "mean_under_way", "most_under_way")
        if found is None:
            continue
        wait_ms, under_way, most = found
        if most >= SEVERAL and under_way <= ONE_AT_A_TIME:
            yield Cause(
                "wait that does not yield",
                (server,),
                workload,
                under_way,
                "waits under way",
                f"while a handler waits {wait_ms:.3g} ms nobody else goes on: of {most:.0f} waits that could be under way at once "
                f"{under_way:.2f} were, on average",
                "docs.python.org/3/library/asyncio-dev.html, concurrency and multithreading",
                "harness effect blocking-wait",
            )


def turns_by_chance(seen: Evidence) -> Iterator[Cause]:
    """Name a pool whose turns go to whoever is there when one comes free, and not to who has waited longest."""
    for server, workload in seen.places():
        found = seen.all(server, workload, "response_p90_us", "turn_comes_ms")
        if found is None:
            continue
        p90_us, turn_comes_ms = found
        if p90_us >= FAR_LATER * turn_comes_ms * 1000:
            yield Cause(
                "turns by chance",
                (server,),
                workload,
                p90_us / 1000,
                "ms (p90)",
                f"a turn that comes free goes to whoever takes it first: going round, it would come to each within {turn_comes_ms:.3g} ms, and one in ten of "
                f"the replies took {p90_us / 1000:.1f} ms or more",
                "docs.python.org/3/library/threading.html, semaphores; Lampson and Redell, CACM 23(2), 1980",
                "harness effect pool-turns",
            )


def convoy(seen: Evidence) -> Iterator[Cause]:
    """Name a convoy: the next client is served when the one before it has gone, however little that one says."""
    for server, workload in seen.places():
        found = seen.all(server, workload, "held_s", "waited_s")
        if found is None:
            continue
        held_s, waited_s = found
        if waited_s >= MOST_OF * held_s:
            yield Cause(
                "convoy",
                (server,),
                workload,
                waited_s,
                "s",
                f"a client that stayed for {held_s:.2f} s and asked for nothing let the next one wait for {waited_s:.2f} s",
                "accept(2); listen(2)",
                "harness effect convoy",
            )


def delayed_acknowledgement(seen: Evidence) -> Iterator[Cause]:
    """Name Nagle's algorithm against delayed acknowledgements: a response of 40 ms, and next to no work in it."""
    for server, workload in seen.places():
        found = seen.all(server, workload, "response_p50_us", "cpu_us_per_request")
        if (
            found is None
            or seen.get(server, workload, "cost_ms")
            or seen.get(server, workload, "busy_threads")
            or seen.get(server, workload, "wait_ms")
        ):
            continue
        response_us, cpu_us = found
        least_us, most_us = DELAYED_ACK_US
        if (seen.get(server, workload, "server_core_share") or 0.0) >= BUSY:
            continue  # who is at work all the time may take as long for many clients
        if least_us <= response_us <= most_us and cpu_us <= CHEAP_US:
            yield Cause(
                "delayed acknowledgement",
                (server,),
                workload,
                response_us / 1000,
                "ms",
                f"a reply in two parts takes {response_us / 1000:.1f} ms: without TCP_NODELAY the kernel keeps the second "
                "part until the first is acknowledged, and the client's kernel puts that off for 40 ms",
                "RFC 896; tcp(7), TCP_NODELAY; TCP_DELACK_MIN in include/net/tcp.h",
                "harness effect no-delay",
            )


def full_backlog(seen: Evidence) -> Iterator[Cause]:
    """Name a listen queue that was full: connects that take one or more whole seconds, when the kernel tries again."""
    for server, workload in seen.places():
        found = seen.all(server, workload, "connects", "connects_at_1s", "connects_at_3s")
        if found is None:
            continue
        tried, at_1s, at_3s = found
        if at_1s + at_3s >= SOME * tried:
            yield Cause(
                "full listen queue",
                (server,),
                workload,
                at_1s + at_3s,
                f"of {tried:.0f} connects",
                f"the queue of connections to accept was full: of {tried:.0f} connects {at_1s:.0f} took 1 to 2 s and "
                f"{at_3s:.0f} took 3 s or more, when the client's kernel had sent its SYN again",
                "listen(2); RFC 6298, 2.1 and 5.5 (1 s, then doubled); tcp_syn_linear_timeouts (Linux since 6.5: after 1 s five times, then doubled)",
                "harness effect full-backlog",
            )
