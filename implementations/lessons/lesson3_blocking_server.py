"""A blocking server: a second client waits in silence, and is then flushed all its replies at once.

The server is `implementations/blocking.py`; this script starts it, and plays two clients.

Look at
- serve() there: handle() returns when the client has left, and only then is accept() called again;
- that B connects all the same, and may type: the kernel completes the connection, puts it into the listen queue and
  keeps what B sends. Nothing is lost, and nothing is answered;
- the moment when A leaves: B is accepted, greeted, and its four lines are answered out of one recv().
"""

from contextlib import closing

from implementations.lessons.two_clients import Client, running


def main() -> None:
    """Let B type while A is being served."""
    with running("blocking") as address, closing(Client("A", address)) as a:
        a.receives()
        a.asks("1,2")
        with closing(Client("B", address)) as b:
            for line in ("hello", "1,5", "product", "6,7"):
                b.types(line)
            a.asks("4,9")
            b.looks()
            a.quits()
            b.receives(5)
            b.quits()


if __name__ == "__main__":
    main()
