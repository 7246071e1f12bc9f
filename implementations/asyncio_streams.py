"""asyncio streams: one thread, the standard library's event loop, a task per client.

The reactor and its tables come with Python; the handler waits in a reader and a writer that buffer. It costs a task
switch and several layers of callbacks a request; and one long computation stops everybody.

- Who accepts: the main task, while there is a place.
- Who decides to switch: the handler, at each `await` that has to wait.
- Where it can wait: in read(), drain() and sleep().
- What pushes back on a slow reader: drain() waits until the transport's buffer is empty, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or the task's one timeout, moved on as lines come.
- What ends the server: a stop ends the input of all clients and of the listener; the task group awaits all tasks.
"""

import asyncio
from contextlib import suppress
from socket import socket

from implementations.event_loop import run
from implementations.relays.drivers import Driver
from implementations.server import (
    DELIVERY_CHECK_S,
    LINGER_BYTES,
    LINGER_S,
    RECEIVE_BYTES,
    SLACK,
    SLICE_BYTES,
    Server,
    pause_after,
    undelivered_bytes,
)


async def serve(server: Server, pool: Driver) -> None:
    """Accept a client whenever there is a place for it, and give it a task."""
    server.listener.setblocking(False)
    places = asyncio.Semaphore(server.options.max_clients)

    async def occupy_place(client: socket) -> None:
        try:
            await handle(client, server, pool)
        finally:
            places.release()

    async with asyncio.TaskGroup() as clients:
        while True:
            await places.acquire()
            try:
                client, _ = await asyncio.get_running_loop().sock_accept(server.listener)
            except (OSError, MemoryError) as error:
                places.release()
                if server.stopping:
                    break
                await asyncio.sleep(pause_after(error))
                continue
            clients.create_task(occupy_place(client))


async def handle(client: socket, server: Server, pool: Driver) -> None:
    """Serve one client to its end. If it resets, vanishes or falls silent (all OSError), that harms nobody else."""
    try:
        reader, writer = await asyncio.open_connection(sock=client)
    except (OSError, MemoryError):
        client.close()
        return
    writer.transport.set_write_buffer_limits(high=0)
    idle_timeout_s = server.options.idle_timeout_s
    try:
        async with asyncio.timeout(idle_timeout_s) as idle:
            with server.serving(client) as connection:
                await send(writer, connection.greeting, idle, idle_timeout_s)
                while not connection.closed:
                    data = await reader.read(RECEIVE_BYTES)
                    if server.stopping and not data:
                        break
                    lines_before = connection.lines_completed
                    await send(writer, connection.receive_data(data), idle, idle_timeout_s)
                    while question := connection.question:
                        suspend(idle, server.options.upstream.timeout_s)
                        answer = await pool.ask(question)
                        renew(idle, idle_timeout_s)
                        await send(writer, connection.receive_answer(answer), idle, idle_timeout_s)
                    if connection.lines_completed > lines_before:
                        renew(idle, idle_timeout_s)
                    if len(data) == RECEIVE_BYTES:
                        await asyncio.sleep(0)  # more may be buffered, and read() would not let others run
        await hang_up(reader, writer, client, server)
    except (OSError, MemoryError):
        writer.transport.abort()
    finally:
        writer.close()
        with suppress(OSError, MemoryError):
            await writer.wait_closed()


async def send(
    writer: asyncio.StreamWriter, replies: bytes, idle: asyncio.Timeout, idle_timeout_s: float
) -> None:
    """Send everything; the timeout ends it when the kernel has taken nothing for a whole idle timeout."""
    for start in range(0, len(replies), SLICE_BYTES):
        if start:
            renew(idle, idle_timeout_s)
        writer.write(replies[start : start + SLICE_BYTES])
        await writer.drain()


def renew(idle: asyncio.Timeout, idle_timeout_s: float) -> None:
    """Put the timeout off; moving it for every line would cost more than the line."""
    now = asyncio.get_running_loop().time()
    if (idle.when() or now) - now < idle_timeout_s:
        idle.reschedule(now + SLACK * idle_timeout_s)


def suspend(idle: asyncio.Timeout, longest_wait_s: float) -> None:
    """Let the clock stand still during a wait; most often it needs no touch, since the timeout is far off."""
    now = asyncio.get_running_loop().time()
    if (idle.when() or now) - now <= longest_wait_s:
        idle.reschedule(None)


async def hang_up(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: socket, server: Server
) -> None:
    """Close in such a way that the last replies arrive, even if there is input that nobody will read."""
    while server.stopping and undelivered_bytes(client):
        await asyncio.sleep(DELIVERY_CHECK_S)
    async with asyncio.timeout(LINGER_S):
        writer.write_eof()
        to_discard = LINGER_BYTES
        while to_discard > 0:
            data = await reader.read(RECEIVE_BYTES)
            if not data:
                break
            to_discard -= len(data)


if __name__ == "__main__":
    run(serve)
