"""Awaiting a callback: a coroutine that reads as if it blocked, resumed from outside by what it has handed out.

`await` leads down to a `yield`, and what is yielded there comes out at the very top, where send() was called.

Look at
- process(), which waits for data like any blocking program, and does not know who resumes it;
- read_data(), an ordinary generator that types.coroutine allows others to await. It yields a function: call this one
  when there is data;
- main(), which keeps two things, the coroutine that waits and the callback that resumes it. A server keeps these two for
  each client: that is all of lesson 6.
"""

import types
from collections.abc import Callable, Coroutine, Generator
from typing import TypeAlias

Callback: TypeAlias = "Callable[[Processing, int], Callback]"
Processing: TypeAlias = Coroutine[Callback, int, None]


@types.coroutine
def read_data() -> Generator[Callback, int, int]:
    """Hand out a callback, wait until it is called, and return what it sends."""

    def inner(waiting: Processing, number: int) -> Callback:
        print("Printing from read_data():", number)
        return waiting.send(number * 2)

    return (yield inner)


async def process() -> None:
    """Print all data as it comes."""
    try:
        while True:
            print("Printing from process():", await read_data())
    finally:
        print("Processing done.")


def main() -> None:
    """Be the world outside: call back with 0 to 4."""
    processing = process()
    callback = processing.send(None)
    for number in range(5):
        print("Printing from main():", number)
        callback = callback(processing, number)
    processing.close()


if __name__ == "__main__":
    main()
