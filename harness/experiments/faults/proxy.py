"""A proxy in the path: it passes every byte on, but late, in pieces, slowly, or not to the end."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event, Thread
from typing import Final, Self

from harness.launch.candidates import HOST
from harness.machine.connections import Address

RECEIVE_BYTES: Final = 4096
RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Conditions:
    """What the path does to what comes from either side.

    Attributes:
        delay_s: before each chunk that came is passed on.
        slice_bytes: the most that is passed on at once; 0 for whatever came.
        bytes_per_s: the bandwidth; 0 for no limit.
        reset_after_bytes: of the client's input; then both connections are reset. 0 for never.
    """

    delay_s: float = 0.0
    slice_bytes: int = 0
    bytes_per_s: float = 0.0
    reset_after_bytes: int = 0


class BrokenPathError(ConnectionError):
    """The path is to be reset."""


class Proxy:
    """Listens, and connects each client with the server under the same conditions, while the context lasts."""

    def __init__(self, server: Address, conditions: Conditions) -> None:
        """Take the server's address; `address` is the proxy's own."""
        self._server = server
        self._conditions = conditions
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self._started = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.address: Address = self._listener.getsockname()

    def __enter__(self) -> Self:
        """Begin to accept."""
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """Reset what is still connected, and leave no thread behind."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._listener.close()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        relays: set[asyncio.Task[None]] = set()

        def relay(reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
            # Not by the library's own task: up to Python 3.11 that prints a traceback when it is cancelled.
            task = self._loop.create_task(self._relay(reader, client))
            relays.add(task)
            task.add_done_callback(relays.discard)

        server = await asyncio.start_server(relay, sock=self._listener)
        self._started.set()
        await self._over.wait()
        server.close()

    async def _relay(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Connect one client with the server, until both have ended their output or the path breaks."""
        ends = [client]
        try:
            answers, server = await asyncio.open_connection(*self._server)
            ends.append(server)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pass_on(reader, server, self._conditions.reset_after_bytes))
                directions.create_task(self._pass_on(answers, client, 0))
            for end in ends:
                end.close()
        except* OSError:
            pass  # a reset on one side is one on the other
        finally:
            for end in ends:
                if not end.is_closing():
                    reset(end)

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, reset_after_bytes: int
    ) -> None:
        """Pass on what comes from one side, and then its end."""
        passed = 0
        while data := await source.read(RECEIVE_BYTES):
            await asyncio.sleep(self._conditions.delay_s)
            if reset_after_bytes:
                data = data[: reset_after_bytes - passed]
            for piece in pieces(data, self._conditions.slice_bytes):
                sink.write(piece)
                await sink.drain()
                if self._conditions.bytes_per_s:
                    await asyncio.sleep(len(piece) / self._conditions.bytes_per_s)
            passed += len(data)
            if reset_after_bytes and passed == reset_after_bytes:
                raise BrokenPathError
        sink.write_eof()


def pieces(data: bytes, most_bytes: int) -> Iterator[bytes]:
    """Cut into pieces of so many bytes at most; 0 for no limit."""
    step = most_bytes or len(data)
    return (data[at : at + step] for at in range(0, len(data), step))


def reset(end: asyncio.StreamWriter) -> None:
    """Close with RST."""
    connection: socket.socket = end.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    end.transport.abort()
