"""The non-blocking server: lesson 3's experiment again, and both clients are served side by side, each in its own mode.

The server is `implementations/select_generators.py`, its reactor `select_reactor.py`: one thread. It is lesson 5 with many
coroutines:

    lesson 5                                    the server
    process(), which waits as if it blocked     `async def handle(`, one for each client
    read_data(), the generator at the bottom    `def until(`, with the only `yield` of both files
    the yielded inner(): how to be resumed      the yielded `Wait(`: what to wait for; `def resume(` does the rest
    `processing` and `callback` in main()       `self.waiting`: the handlers, in the table of what they wait for
    main()'s loop over 0 to 4                   `def run(`: select() tells whose data has come

Look at
- accept(), receive() and send() there: each is called when select() has said that it need not wait, or is ready to be
  refused (BlockingIOError). Only select() itself waits, for everybody at once;
- the callback that has become data. A function can only be called; a `Wait` can also be looked at: which client,
  which event, until when. So one sweep() can end whatever has waited too long;
- handle(), nearly line by line the same as in `implementations/blocking_handler.py`, but for `await`.
"""

from contextlib import closing

from implementations.lessons.two_clients import Client, running


def main() -> None:
    """Let both type what they typed in lesson 3, and B one line more; each is now answered at once."""
    with running("select_generators") as address, closing(Client("A", address)) as a:
        a.receives()
        a.asks("1,2")
        with closing(Client("B", address)) as b:
            b.receives()
            for line in ("hello", "1,5", "product", "6,7"):
                b.asks(line)
            a.asks("4,9")
            b.asks("4,9")
            a.quits()
            b.quits()


if __name__ == "__main__":
    main()
