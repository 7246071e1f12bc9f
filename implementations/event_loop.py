"""What can be chosen apart from the model of an asyncio server: its event loop, how many, and what it asks an upstream through.

The stock loop is the default, one, and left as it is; how much it receives at once can be set. These are factors: the same
server is measured with and without.
"""

import argparse
import asyncio
import os
import sys
from asyncio import AbstractEventLoop, selector_events
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module
from threading import Semaphore
from typing import Final

from implementations import server
from implementations.relays.drivers import DRIVERS, OWN, Driver
from implementations.server import Server, fail, shares, start_thread

STOCK: Final = "asyncio"
LOOPS: Final = {STOCK: "asyncio:SelectorEventLoop", "uvloop": "uvloop:new_event_loop"}
"""Loops that have a short name, and what makes them; any other loop is named by what makes it."""
FORM: Final = "[FOLDER/]MODULE:FACTORY"


Serve = Callable[[Server, Driver], Coroutine[None, None, None]]


def run(serve: Serve, *, buffered: Serve | None = None) -> None:
    """Be a server process that runs on the event loop that its command line names.

    Args:
        serve: accepts and serves clients until the server stops.
        buffered: the same, with a buffer of its own to receive into, if it can have one.
    """
    parser = server.Parser(add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--loop",
        metavar="LOOP",
        default=STOCK,
        help=f"event loop: {', '.join(LOOPS)} or {FORM} (%(default)s)",
    )
    parser.add_argument(
        "--receive-kib", type=_kibibytes, help="what asyncio's own loop receives at once (256)"
    )
    parser.add_argument(
        "--driver", choices=DRIVERS, default=OWN, help="what a relay asks through (%(default)s)"
    )
    parser.add_argument(
        "--loop-per-core",
        action="store_true",
        help="where Python has no lock, run a loop in a thread for each core, not one for all",
    )
    parser.set_defaults(serve=serve)
    if buffered:
        parser.add_argument(
            "--buffered",
            dest="serve",
            action="store_const",
            const=buffered,
            help="receive into a buffer of its own",
        )
    chosen, _ = parser.parse_known_args(sys.argv[1:])
    make_loop = loop_factory(chosen.loop)
    if chosen.receive_kib is not None:
        receive_at_once(chosen.receive_kib, chosen.loop)

    async def serve_relaying(ready: Server) -> None:
        await chosen.serve(ready, DRIVERS[chosen.driver](ready.options.upstream))

    def run_loop(ready: Server) -> None:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(serve_relaying(ready))

    if chosen.loop_per_core:
        loops = Loops(run_loop)
        server.run(loops.wait, own_options=parser, prepare=loops.start)
    else:
        server.run(run_loop, own_options=parser)


class Loops:
    """A loop in a thread for each core, all of which are there before the server is ready.

    They share the listener, and each has its share of the places, as the workers of `processes` have. Where the interpreter has
    a lock, one at a time could run, and one there is.
    """

    def __init__(self, run_loop: Callable[[Server], None]) -> None:
        """Begin with none."""
        self.run_loop = run_loop
        self.ended = Semaphore(0)
        self.count = 0

    def start(self, server: Server) -> None:
        """Start all loops, and the thread that waits for signals."""
        self.count = min(cores_at_once(), server.options.max_clients)
        for share in shares(server.options, self.count):
            if not start_thread(self.serve, server.part(share)):
                fail(1, f"cannot start: no thread is to be had for each of {self.count} loops")
        server.stop_on_signal()

    def serve(self, part: Server) -> None:
        """Serve a share of the clients: the life of a thread."""
        try:
            self.run_loop(part)
        finally:
            self.ended.release()

    def wait(self, _: Server) -> None:
        """Await all loops."""
        for _loop in range(self.count):
            self.ended.acquire()


def cores_at_once() -> int:
    """Return on how many cores threads can run Python at once."""
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()  # there from 3.13 on
    return 1 if locked else len(os.sched_getaffinity(0))


def loop_factory(name: str) -> Callable[[], AbstractEventLoop]:
    """Return the maker of a loop, and let what it makes be a loop; exit code 2 and one line if there is none."""
    place, _, factory = LOOPS.get(name, name).rpartition(":")
    folder, _, module = place.rpartition("/")
    if not (module and factory):
        fail(2, f"--loop takes {', '.join(LOOPS)} or {FORM}, not {name!r}")
    if folder:
        sys.path.insert(0, folder)
    try:
        make_loop = getattr(import_module(module), factory)
    except (ImportError, AttributeError) as error:
        fail(2, f"--loop {name}: {error}")

    return partial(_checked, make_loop, name)


def _checked(make_loop: Callable[[], object], name: str) -> AbstractEventLoop:
    loop = make_loop()
    if not isinstance(loop, AbstractEventLoop):
        fail(2, f"--loop {name}: it makes no event loop, but {loop!r}")
    return loop


def receive_at_once(kibibytes: int, loop: str) -> None:
    """Set how much the transports of asyncio's own loop receive at once; exit code 2 for any other loop."""
    if loop != STOCK:
        fail(2, f"--receive-kib is for asyncio's own loop: {loop} decides for itself how much it receives")
    # No public way leads there. CPython allocates as much for each recv(), whatever comes.
    selector_events._SelectorTransport.max_size = kibibytes * 1024  # type: ignore[attr-defined] # noqa: SLF001


def _kibibytes(text: str) -> int:
    kibibytes = int(text)
    if not 1 <= kibibytes <= 1024:
        raise argparse.ArgumentTypeError(f"{kibibytes} is not between 1 and 1024 KiB")
    return kibibytes
