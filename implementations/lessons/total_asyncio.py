"""A total that all clients share, in an event loop: one thread, and still numbers get lost, by an `await` in the wrong place.

A client sends lists of integers, and may ask for the `total` of all lists of all clients.
"""

import asyncio
from collections.abc import Callable
from typing import Final

PIECE: Final = 1000


async def add_up(line: str) -> int:
    """Return the sum of a list; ValueError if it is not one. After each piece of a long list all others have a turn."""
    items = line.split(",")
    total = 0
    for begin in range(0, len(items), PIECE):
        total += sum(int(item) for item in items[begin : begin + PIECE])
        await asyncio.sleep(0)
    return total


class AwaitRace:
    """`self.total += await add_up(line)`: reads the old total, lets others run, writes the new total."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.total = 0

    async def add(self, line: str) -> None:
        """Add a list. Whatever others write between the reading and the writing is overwritten, and lost."""
        self.total += await add_up(line)


class AwaitFirst(AwaitRace):
    """First the `await`, then the addition: between reading and writing nobody else runs, and it takes no lock."""

    async def add(self, line: str) -> None:
        """Add a list."""
        number = await add_up(line)
        self.total += number


VARIANTS: Final[dict[str, Callable[[], AwaitRace]]] = {"await": AwaitRace, "await-first": AwaitFirst}


async def answer(line: str, shared: AwaitRace) -> str:
    """Return the answer to a line."""
    if line == "quit":
        return "connection closed"
    if line == "total":
        return f"Total of all lists: '{shared.total}'"
    try:
        await shared.add(line)
    except ValueError:
        return "ERROR. Enter only integers separated by commas"
    return "<added>"


async def serve(shared: AwaitRace, port: int) -> None:
    """Serve until Ctrl-C; what is shared is shared by all handlers."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each line of one client."""
        while received := await reader.readline():
            line = received.decode(errors="replace").strip()
            writer.write(f"{await answer(line, shared)}\r\n".encode())
            await writer.drain()
            if line == "quit":
                break
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", port) as listener:
        print("Server up, running, and waiting for call on", *listener.sockets[0].getsockname(), flush=True)
        await listener.serve_forever()
