"""What can be chosen apart from the model of an asyncio server: its event loop, and how much that receives at once.

The stock loop is the default, and left as it is. These are factors: the same server is measured with and without.
"""

import argparse
import asyncio
import sys
from asyncio import selector_events
from collections.abc import Callable, Coroutine
from typing import Final, TypeAlias

from implementations import server
from implementations.server import Server, fail

STOCK: Final = "asyncio"
UVLOOP: Final = "uvloop"

LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]


def run(serve: Callable[[Server], Coroutine[None, None, None]]) -> None:
    """Be a server process that runs on the event loop that its command line names."""
    parser = server.Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--loop", choices=(STOCK, UVLOOP), default=STOCK, help="event loop (%(default)s)")
    parser.add_argument(
        "--receive-kib", type=_kibibytes, help="what asyncio's own loop receives at once (256)"
    )
    chosen, _ = parser.parse_known_args(sys.argv[1:])
    make_loop = (
        uvloop_factory(chosen.receive_kib) if chosen.loop == UVLOOP else stock_factory(chosen.receive_kib)
    )

    def run_loop(ready: Server) -> None:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(serve(ready))

    server.run(run_loop, own_options=parser)


def stock_factory(receive_kib: int | None) -> LoopFactory:
    """Return the maker of asyncio's own loop, after setting how much its transports receive at once."""
    if receive_kib is not None:
        # No public way leads there. CPython allocates as much for each recv(), whatever comes.
        selector_events._SelectorTransport.max_size = receive_kib * 1024  # type: ignore[attr-defined] # noqa: SLF001
    return asyncio.SelectorEventLoop


def uvloop_factory(receive_kib: int | None) -> LoopFactory:
    """Return the maker of uvloop's; exit code 2 if it is not installed, or was to receive as it never does."""
    if receive_kib is not None:
        fail(2, "--receive-kib is for asyncio's own loop: uvloop has one buffer for all, of 250 KiB")
    try:
        import uvloop  # noqa: PLC0415 - only who chooses it needs it
    except ImportError as error:
        fail(2, f"--loop uvloop: {error}")
    return uvloop.new_event_loop


def _kibibytes(text: str) -> int:
    kibibytes = int(text)
    if not 1 <= kibibytes <= 1024:
        raise argparse.ArgumentTypeError(f"{kibibytes} is not between 1 and 1024 KiB")
    return kibibytes
