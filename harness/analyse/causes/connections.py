"""Causes that show in the number of connections: a list that is handed over each time, a thread for each. Pure."""

from collections.abc import Iterator
from typing import Final

from harness.analyse.causes.evidence import CONNECTIONS, ONE, Cause, Evidence
from harness.analyse.causes.requests import WAIT

LISTED: Final = ("select", "pselect6", "poll", "ppoll")
"""Calls that are handed every descriptor each time; epoll_wait is told of each but once."""
GROWN: Final = 1.2
ONE_EACH: Final = 0.9


def list_of_descriptors(seen: Evidence) -> Iterator[Cause]:
    """Name select() and poll(), where a request costs more the more connections are open that say nothing.

    One client alone asks: with more of them one call serves several, and hides what it costs.
    """
    for server, workload in seen.places():
        found = seen.all(server, workload, "cpu_us_few", "few", "cpu_us_most", "most")
        called_under = ONE if workload == CONNECTIONS else workload
        listed = seen.calls(server, called_under, *LISTED)
        if found is None or not listed or listed < seen.calls(server, called_under, *WAIT) / 2:
            continue
        cpu_us_few, few, cpu_us_most, most = found
        if cpu_us_most >= GROWN * cpu_us_few:
            each_ns = (cpu_us_most - cpu_us_few) * 1000 / max(1.0, most - few)
            yield Cause(
                "list of descriptors",
                (server,),
                workload,
                cpu_us_most / cpu_us_few,
                "times the CPU",
                f"each call of select() or poll() is handed every descriptor: a request takes {cpu_us_most:.1f} µs of CPU "
                f"with {most:,.0f} connections open and {cpu_us_few:.1f} µs with {few:,.0f}, {each_ns:.1f} ns for each "
                "that stays silent",
                "select(2), which also ends at 1,024 descriptors; epoll(7)",
                "harness costs; harness effect idle-watch",
            )


def thread_for_each(seen: Evidence) -> Iterator[Cause]:
    """Name what a thread for each client takes: stacks, in the process and in the kernel."""
    for server in seen.servers:
        threads = seen.get(server, CONNECTIONS, "threads_per_connection")
        memory = seen.all(
            server,
            CONNECTIONS,
            "rss_kib_per_connection",
            "page_table_kib_per_connection",
            "kernel_stack_kib_per_connection",
            "held",
        )
        if threads is None or threads < ONE_EACH or memory is None:
            continue
        rss_kib, tables_kib, stack_kib, held = memory
        yield Cause(
            "a thread for each client",
            (server,),
            CONNECTIONS,
            rss_kib + tables_kib + stack_kib,
            "KiB per connection",
            f"each of {held:,.0f} connections has a thread: {rss_kib:.1f} KiB of the process, {tables_kib:.1f} KiB of page "
            f"tables and {stack_kib:.1f} KiB of the kernel's stacks",
            "pthreads(7); proc(5), VmPTE and KernelStack",
            "harness costs",
        )
