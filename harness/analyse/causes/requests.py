"""Causes that show in what a request makes a server do: memory that is mapped, batches, the price of a library. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from harness.analyse.causes.evidence import CALLS, MANY, PIPELINED, Cause, Evidence
from harness.plan import model_of

RECEIVE: Final = ("recvfrom", "recvmsg", "read")
SEND: Final = ("sendto", "sendmsg", "write", "writev")
WAIT: Final = ("epoll_wait", "epoll_pwait", "select", "pselect6", "poll", "ppoll")
OTHER_MEMORY: Final = ("brk", "mprotect", "madvise")
"""Calls by which memory grows and shrinks that was mapped before: they explain page faults, too."""
TRIVIAL: Final = ("getpid", "gettid", "clock_gettime", "restart_syscall")
"""Calls that take next to no time: they do not make two servers different."""

OFTEN: Final = 0.5
"""Of the receives, so many mappings mean that a receive maps memory, as a rule and not now and then."""
SELDOM: Final = 0.1
MOST_OF: Final = 0.5
BUSY: Final = 0.8
"""A core that is busy for more of its time is what limits a ping-pong, and not the waking up."""
ALONE: Final = 1.5
"""With at most so many requests in flight, on average, none waits for another."""
FEWER: Final = 2.0
CHEAPER: Final = 1.2
SAME_CALLS: Final = 0.25
DEARER: Final = 1.3
IN_THE_LIBRARY: Final = 0.7


def mapped_receive_buffer(seen: Evidence) -> Iterator[Cause]:
    """Name a receive buffer so large that the allocator maps memory for it, and gives it back, request after request.

    Seen by mmap and munmap about as often as recv; where nothing could be traced, or only in another launch, by the page
    faults that touching new memory takes. What a variant of the same model without it saves is told where there is one.
    """
    for server, workload in seen.places():
        mappings = mappings_per_request(seen, server, workload)
        faults = None if mappings else faults_of_mapping(seen, server, workload)
        if mappings is None and faults is None:
            continue
        spared = [
            saving(seen, server, other, workload)
            for other in seen.servers
            if other != server
            and seen.models.get(other, other) == seen.models.get(server, server)
            and not _maps(seen, other, workload)
        ]
        yield Cause(
            "mapped receive buffer",
            (server,),
            workload,
            mappings or faults or 0.0,
            "mmap per request" if mappings else "page faults per request",
            "each receive asks for a buffer above the allocator's threshold (128 KiB), so that "
            + (
                f"a request pays for {mappings:.2f} mmap, an munmap with it, and the page faults of touching fresh memory"
                if mappings
                else f"it touches fresh memory, in launches that were not traced: {faults:.2f} page faults per request"
            )
            + "".join(f"; {text}" for text in spared if text),
            "python/cpython issue 85451; mallopt(3), M_MMAP_THRESHOLD",
            "harness costs; strace -c -f -p PID",
        )


def mappings_per_request(seen: Evidence, server: str, workload: str) -> float | None:
    """Return how many mappings a request makes, if receiving makes them."""
    receives = seen.calls(server, workload, *RECEIVE)
    mapped = min(seen.calls(server, workload, "mmap"), seen.calls(server, workload, "munmap"))
    return mapped if receives and mapped >= OFTEN * receives else None


def faults_of_mapping(seen: Evidence, server: str, workload: str) -> float | None:
    """Return the page faults of a request, if nothing but fresh mappings explains that many."""
    faults = seen.get(server, workload, "page_faults_most")
    receives = seen.calls(server, workload, *RECEIVE) or 1.0
    other_memory = seen.calls(server, workload, *OTHER_MEMORY)
    return faults if faults is not None and faults >= receives and other_memory < SELDOM * receives else None


def _maps(seen: Evidence, server: str, workload: str) -> bool:
    """Tell whether it maps memory, even now and then; a server of which nothing is known counts as if it did."""
    faults = seen.get(server, workload, "page_faults_most")
    receives = seen.calls(server, workload, *RECEIVE)
    return faults is None or max(faults, seen.calls(server, workload, "mmap")) >= SELDOM * (receives or 1.0)


def saving(seen: Evidence, server: str, variant: str, workload: str) -> str:
    """Say what a variant saves."""
    dear, cheap = seen.get(server, workload, "cpu_us"), seen.get(variant, workload, "cpu_us")
    if dear is None or cheap is None:
        return ""
    return f"`{variant}`, which does not, takes {cheap:.1f} µs of CPU instead of {dear:.1f}"


def waking_up(seen: Evidence) -> Iterator[Cause]:
    """Name the time that the machine takes to wake a process, where that is most of a response and no core is busy."""
    for server, workload in seen.places():
        found = seen.all(server, workload, "response_mean_us", "cpu_us_per_request", "server_core_share")
        if found is None:
            continue
        response_us, cpu_us, server_share = found
        generator_share = seen.get(server, workload, "generator_core_share") or 0.0
        waiting_us = response_us - cpu_us
        in_flight = (seen.get(server, workload, "throughput_rps") or 0.0) * response_us / 1e6  # Little's law
        if in_flight > ALONE:
            continue  # it waits for others, too
        if max(server_share, generator_share) < BUSY and waiting_us > MOST_OF * response_us:
            yield Cause(
                "waking up",
                (server,),
                workload,
                waiting_us,
                "µs per request",
                f"of the {response_us:.0f} µs of a request the server works {cpu_us:.0f}; the other {waiting_us:.0f} µs "
                f"({waiting_us / response_us:.0%}) go by while the kernel wakes one side after the other and the client "
                "works, with no core busy all the time",
                "sched(7); epoll_wait(2)",
                "harness load NAME --clients 1",
            )


def batching(seen: Evidence) -> Iterator[Cause]:
    """Name what requests share that come in one segment: one wait, one receive, one send for all of them."""
    for server in seen.servers:
        alone, together = (seen.all(server, workload, "calls", "cpu_us") for workload in (MANY, PIPELINED))
        if alone is None or together is None:
            continue
        fewer, cheaper = alone[0] / max(together[0], 1e-9), alone[1] / max(together[1], 1e-9)
        if fewer >= FEWER and cheaper >= CHEAPER:
            yield Cause(
                "batching",
                (server,),
                PIPELINED,
                cheaper,
                "times less CPU",
                f"requests that come together are received, answered and sent together: {together[0]:.2f} syscalls "
                f"per request instead of {alone[0]:.2f}, {together[1]:.1f} µs of CPU instead of {alone[1]:.1f}",
                "recv(2); tcp(7)",
                "harness costs; harness load NAME --clients 64 --pipeline 16",
            )


def scheduler_price(seen: Evidence) -> Iterator[Cause]:
    """Name what a scheduler and its API cost: two servers on the same loop ask the same of the kernel, and one takes more time in user mode."""
    for server in seen.servers:
        peers = [other for other in _alike(seen, server) if seen.loop(other) == seen.loop(server)]
        for cheapest, price in _prices(seen, server, peers):
            yield Cause(
                "price of a scheduler",
                (server, cheapest),
                MANY,
                price.in_user_us,
                "µs per request",
                f"on the same loop it asks the same of the kernel as `{cheapest}` does, but for calls like getpid that take no time, and {price}: "
                "what tasks and their API do before and after each call",
                "proc(5), utime and stime; strace(1)",
                "harness costs",
            )


def loop_price(seen: Evidence) -> Iterator[Cause]:
    """Name what a loop costs with all that is above it, where nobody else is on the same loop: which of them it is cannot be told."""
    for server in seen.servers:
        alike = _alike(seen, server)
        if seen.loop(server) and not any(seen.loop(other) == seen.loop(server) for other in alike):
            for cheapest, price in _prices(seen, server, [other for other in alike if seen.loop(other)]):
                yield Cause(
                    "price of a loop",
                    (server, cheapest),
                    MANY,
                    price.in_user_us,
                    "µs per request",
                    f"it asks the same of the kernel as `{cheapest}` does, which is on another loop, and {price}: loop, scheduler and API together, since "
                    "nobody else here is on its loop",
                    "proc(5), utime and stime; strace(1)",
                    "harness costs",
                )


class _Price(NamedTuple):
    """What a request costs two servers, and how much of the difference is time in user mode."""

    cpu_us: float
    least_us: float
    in_user_us: float

    def __str__(self) -> str:
        return (
            f"takes {self.cpu_us:.1f} µs per request instead of {self.least_us:.1f}; {self.in_user_us:.1f} of the "
            f"{self.cpu_us - self.least_us:.1f} µs between them are time in user mode"
        )


def _prices(seen: Evidence, server: str, peers: Sequence[str]) -> Iterator[tuple[str, _Price]]:
    """Yield the cheapest of its peers, of those in stock form if there are any, if a server is dearer by much, and mostly in user mode."""
    stock = [other for other in peers if other == model_of(other)]
    costs = _costs(seen, (server, *(stock or peers)))
    if len(costs) < 2 or server not in costs:
        return
    cheapest = min(costs, key=lambda each: costs[each][0])
    (cpu_us, user_us), (least_us, least_user_us) = costs[server], costs[cheapest]
    more_us = cpu_us - least_us
    in_user_us = min(more_us, user_us - least_user_us)  # the kernel's ticks tell it roughly
    if cpu_us >= DEARER * least_us and in_user_us >= IN_THE_LIBRARY * more_us:
        yield cheapest, _Price(cpu_us, least_us, in_user_us)


def _costs(seen: Evidence, servers: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return what a request costs servers, and how much of it in user mode: of all launches together where all have these, or of one."""
    of_one = {other: both for other in servers if (both := seen.all(other, MANY, "cpu_us", "user_us"))}
    of_all = {
        other: cpu_us
        for other in of_one
        if (cpu_us := seen.get(other, MANY, "cpu_us_per_request")) is not None
    }
    if len(of_all) < len(of_one):
        return {other: (cpu_us, user_us) for other, (cpu_us, user_us) in of_one.items()}
    return {
        other: (of_all[other], of_all[other] * user_us / cpu_us)
        for other, (cpu_us, user_us) in of_one.items()
    }


def _alike(seen: Evidence, server: str) -> list[str]:
    """Return the others that ask the same of the kernel, on the same interpreter."""
    return [
        other
        for other in seen.servers
        if other != server
        and other.partition("@")[2] == server.partition("@")[2]
        and _ask_the_same(seen, server, other)
    ]


def _ask_the_same(seen: Evidence, a: str, b: str) -> bool:
    kinds_a, kinds_b = kinds(seen, a), kinds(seen, b)
    return bool(kinds_a and kinds_b) and all(
        abs(kinds_a[kind] - kinds_b[kind]) <= SAME_CALLS for kind in kinds_a
    )


def kinds(seen: Evidence, server: str, workload: str = MANY) -> Mapping[str, float]:
    """Count what a request asks of the kernel, by kind, whatever the call is called; empty if nothing was traced."""
    if seen.get(server, workload, "calls") is None:
        return {}
    named = (*RECEIVE, *SEND, *WAIT, *TRIVIAL)
    return {
        "receive": seen.calls(server, workload, *RECEIVE),
        "send": seen.calls(server, workload, *SEND),
        "wait": seen.calls(server, workload, *WAIT),
        "other": sum(
            count
            for (of, under, metric), count in seen.figures.items()
            if (of, under) == (server, workload)
            and metric.startswith(CALLS)
            and metric.removeprefix(CALLS) not in named
        ),
    }
