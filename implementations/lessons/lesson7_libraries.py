"""The same in asyncio, trio and gevent: what was made by hand in lesson 6, and what each library calls it.

usage: lesson 7 [LIBRARY]

It prints the map; with `asyncio`, `trio` or `gevent` it prints how that file differs from the hand-made one.

Look at
- what is in no file any more: the loop around select() and the callback table. That is what a library is for;
- what stays in every file: handle(), in the same steps. gevent's is nearly that of `implementations/blocking_handler.py`;
- where a switch may happen. By hand, in asyncio and in trio the text shows it: `await`, or `async with`; in gevent it is
  in no text at all.
"""

import argparse
import difflib
import signal
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).resolve().parent.parent
BY_HAND: Final = "select_generators"
FILES: Final = {"asyncio": "asyncio_streams", "trio": "trio_nursery", "gevent": "gevent_greenlets"}


class Part(NamedTuple):
    """A part of the hand-made reactor, and what does its work elsewhere; backquotes mark words of the file."""

    purpose: str
    by_hand: str
    asyncio: str
    trio: str
    gevent: str


MAP: Final = (
    Part(
        "The event loop: waits for everybody at once, and picks who goes on",
        "`reactor.run(`, in select_reactor.py around `select(awaited, writers, (), SWEEP_S)`",
        "`run(serve)` of event_loop.py, by asyncio.Runner; the loop is in the library",
        "`trio.run(serve, server)`; the loop is in the library",
        "the hub: a greenlet of the library's own, which the first wait starts",
    ),
    Part(
        "A new client",
        "`if descriptor == listener:` in the loop, then `self.server.listener.accept()`",
        "`await asyncio.get_running_loop().sock_accept(server.listener)`",
        "`await listener.accept()`",
        "`listener.accept()`",
    ),
    Part(
        "The sessions table: who is being served",
        "the handlers in `self.waiting`, counted by `occupied_places()`",
        "the task group: `asyncio.TaskGroup()`, `clients.create_task(`",
        "the nursery: `trio.open_nursery()`, `clients.start_soon(`",
        "nobody holds it: `spawn(occupy_place, client)`; the places are counted by `Semaphore`",
    ),
    Part(
        "The callback table: whom to resume at which event",
        "`self.waiting[wait.event][wait.key] = handler, wait.deadline`",
        "in the loop: a selector, and a future for each wait",
        "in the loop: an I/O manager, and a sleeping task for each wait",
        "in the hub: a watcher for each wait",
    ),
    Part(
        "The inline readline: a wait that reads like a call",
        "`await receive(client, deadline)`, which leads down to `yield Wait(`",
        "`await reader.read(RECEIVE_BYTES)`",
        "`await client.receive_some(RECEIVE_BYTES)`",
        "`client.recv(RECEIVE_BYTES)`",
    ),
    Part(
        "Sending: waits for a slow reader",
        "`await until(client.fileno(), Event.WRITABLE, monotonic() + idle_timeout_s)`",
        "`await writer.drain()`",
        "`await client.send_all(`",
        "`client.send(unsent)`",
    ),
    Part(
        "A deadline for a wait",
        "`Wait(key, event, deadline)`, and `def sweep(`",
        "`asyncio.timeout(idle_timeout_s)`",
        "`trio.fail_after(idle_timeout_s)`",
        "`client.settimeout(`",
    ),
)


def show_map() -> None:
    """Print what does each part's work in each file."""
    for part in MAP:
        print(part.purpose)
        for who, what in zip(("by hand", *FILES), part[1:], strict=True):
            print(f"    {who:8} {what}")
        print()
    print("The files, compared with", f"{BY_HAND}.py:")
    for library in FILES:
        print(f"    {library:8} harness lesson 7 {library}")


def differences(library: str) -> list[str]:
    """Return how the library's file differs from the hand-made one, without the two lines of the heading."""
    old, new = (source(name) for name in (BY_HAND, FILES[library]))
    return list(difflib.unified_diff(old, new, lineterm=""))[2:]


def source(name: str) -> list[str]:
    """Return the lines of one of the servers."""
    return (FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()


def main() -> None:
    """Print the map, or one of the differences."""
    description = "The same in asyncio, trio and gevent."
    parser = argparse.ArgumentParser(prog="lesson 7", usage=argparse.SUPPRESS, description=description)
    parser.add_argument("library", nargs="?", choices=FILES, help="show how its file differs")
    library = parser.parse_args().library
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads it in a pager may leave before its end
    if library is None:
        show_map()
    else:
        print(*differences(library), sep="\n")


if __name__ == "__main__":
    main()
