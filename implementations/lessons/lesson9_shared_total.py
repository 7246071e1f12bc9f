"""A total that all clients share: lost updates, a lock, two locks and a deadlock; then the same in an event loop.

usage: lesson 9 [VARIANT] [--port PORT]

The server is `implementations/lessons/total_threads.py`, and at last `total_asyncio.py`; this script starts each of their
variants, and plays two clients. With --port it serves one variant, for you to talk to.

Look at
- Race and `self.total += add_up(line)`: one line, three steps. The old total is read, the list is added up, the new total
  is written. What another thread has written between the first step and the last is overwritten: a *lost update*;
- Locked: the lock is held from reading to writing, and no longer. Whoever wants it meanwhile waits;
- Deadlock: each of two threads has the lock that the other one wants. Here mean() gives up after a while, so that this
  lesson ends; a plain `with` would wait for ever;
- Ordered: whoever takes both locks takes them in the same order, so of those who wait one can always go on;
- AwaitRace and AwaitFirst: the same line with `await`, the same fault. In an event loop others run only where there is an
  `await`, so the fault can be seen in the text, and the cure is to move it; it takes no lock.
"""

import argparse
import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from threading import Event, Thread
from typing import Final

from implementations.lessons import total_asyncio, total_threads
from implementations.lessons.two_clients import Client, all_at_once, running

LISTS: Final = 20
LIST: Final = "1" + ",0" * 99_999
"""It makes 1: so the total is the number of lists. To add it up takes more than the 5 ms after which a thread must let go: others
come in the middle."""
SHORTER_LIST: Final = "1" + ",0" * 19_999
"""Likewise; asyncio's readline() takes no more than 64 KiB, and its tasks take turns far more often than threads."""
QUESTIONS: Final = 10


def count_the_lost(a: Client, b: Client, numbers: str = LIST) -> None:
    """Send many lists from both at once, and see whether all are in the total."""
    all_at_once([a, b], numbers, LISTS)
    total = int(a.answer_to("total").split("'")[1])
    lost = 2 * LISTS - total
    print(f"    A and B send {LISTS} lists each, which add up to 1 each. Total: {total}, lost: {lost}")


def ask_until_refused(a: Client, b: Client) -> None:
    """Let A send lists, one after the other, and B ask for the mean until it gets none."""
    with sending_lists(a):
        while (answer := b.answer_to("mean")).startswith("Mean"):
            pass
    print(
        f"    A sends lists, and B asks for the mean, until nothing comes for a while, and then this:\n    {answer}"
    )


def ask_often(a: Client, b: Client) -> None:
    """Let A send lists, one after the other, and B ask for the mean many times."""
    with sending_lists(a):
        answers = [b.answer_to("mean") for _ in range(QUESTIONS)]
    means = sum(answer.startswith("Mean") for answer in answers)
    print(f"    A sends lists, and B asks for the mean {QUESTIONS} times. It gets it {means} times")


@contextmanager
def sending_lists(client: Client) -> Iterator[None]:
    """Send one list after the other, as long as the context lasts."""
    enough = Event()

    def send() -> None:
        while not enough.is_set():
            client.answer_to(LIST)

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


EXPERIMENTS: Final[dict[str, Callable[[Client, Client], None]]] = {
    "race": count_the_lost,
    "lock": count_the_lost,
    "deadlock": ask_until_refused,
    "order": ask_often,
    "await": partial(count_the_lost, numbers=SHORTER_LIST),
    "await-first": partial(count_the_lost, numbers=SHORTER_LIST),
}


def play_all(variants: Sequence[str]) -> None:
    """Play one after the other."""
    for number, variant in enumerate(variants):
        if number:
            print()
        play(variant)


def play(variant: str) -> None:
    """Start the server of a variant, and play both clients."""
    made = total_threads.VARIANTS.get(variant) or total_asyncio.VARIANTS[variant]
    print(f"{variant}: {made.__doc__}", flush=True)
    with running("lessons.lesson9_shared_total", variant) as address, ExitStack() as stack:
        a, b = (stack.enter_context(closing(Client(name, address, is_shown=False))) for name in "AB")
        EXPERIMENTS[variant](a, b)


def serve(variant: str, port: int) -> None:
    """Serve a variant until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        if variant in total_threads.VARIANTS:
            total_threads.serve(total_threads.VARIANTS[variant](), port)
        else:
            asyncio.run(total_asyncio.serve(total_asyncio.VARIANTS[variant](), port))


def main() -> None:
    """Play all variants, or one; or serve one."""
    parser = argparse.ArgumentParser(prog="lesson 9", usage=argparse.SUPPRESS, description="A shared total.")
    parser.add_argument("variant", nargs="?", choices=EXPERIMENTS, help="only this one")
    parser.add_argument("--port", type=int, help="serve the variant there; 0 takes a free one")
    options = parser.parse_args()
    if options.port is None:
        play_all([options.variant] if options.variant else list(EXPERIMENTS))
    elif options.variant is None:
        parser.error("--port goes with a variant: " + ", ".join(EXPERIMENTS))
    else:
        try:
            serve(options.variant, options.port)
        except OverflowError as error:
            parser.error(str(error))
        except OSError as error:
            parser.exit(1, f"cannot listen on 127.0.0.1 {options.port}: {error.strerror}\n")


if __name__ == "__main__":
    main()
