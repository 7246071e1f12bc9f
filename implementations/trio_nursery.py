"""trio: one thread, structured concurrency: no task outlives the nursery that it was started in.

Cancellation and timeouts are scopes that one can see, and an error nobody expected ends the server instead of being
lost. It costs a checkpoint and a pass of the scheduler at each operation; and one long computation stops everybody.

- Who accepts: the main task, while there is a place.
- Who decides to switch: the handler, at each `await`, even one that need not wait.
- Where it can wait: in receive_some(), send_all() and sleep().
- What pushes back on a slow reader: send_all() waits for the kernel, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or the deadline of its scope, moved on as lines come.
- What ends the server: a stop ends the input of all clients and of the listener; the nursery awaits all tasks.
"""

from math import inf

import trio

from implementations.relays.tasks import Pool
from implementations.server import (
    DELIVERY_CHECK_S,
    LINGER_BYTES,
    LINGER_S,
    RECEIVE_BYTES,
    SLACK,
    SLICE_BYTES,
    Server,
    pause_after,
    run,
    undelivered_bytes,
)


async def serve(server: Server) -> None:
    """Accept a client whenever there is a place for it, and give it a task."""
    listener = trio.socket.from_stdlib_socket(server.listener)
    places = trio.Semaphore(server.options.max_clients)
    pool = Pool(server.options.upstream)

    async def occupy_place(client: trio.SocketStream) -> None:
        try:
            await handle(client, server, pool)
        finally:
            places.release()

    async with trio.open_nursery() as clients:
        while True:
            await places.acquire()
            try:
                client, _ = await listener.accept()
            except (OSError, MemoryError) as error:
                places.release()
                if server.stopping:
                    break
                await trio.sleep(pause_after(error))
                continue
            clients.start_soon(occupy_place, trio.SocketStream(client))


async def handle(client: trio.SocketStream, server: Server, pool: Pool) -> None:
    """Serve one client to its end. If it resets, vanishes or falls silent, that harms nobody else."""
    idle_timeout_s = server.options.idle_timeout_s
    try:
        async with client:
            with trio.fail_after(idle_timeout_s) as idle:
                with server.serving(client.socket) as connection:
                    await send(client, connection.greeting, idle, idle_timeout_s)
                    while not connection.closed:
                        data = await client.receive_some(RECEIVE_BYTES)
                        if server.stopping and not data:
                            break
                        lines_before = connection.lines_completed
                        await send(client, connection.receive_data(data), idle, idle_timeout_s)
                        while question := connection.question:
                            suspend(idle, server.options.upstream.timeout_s)
                            answer = await pool.ask(question)
                            renew(idle, idle_timeout_s)
                            await send(client, connection.receive_answer(answer), idle, idle_timeout_s)
                        if connection.lines_completed > lines_before:
                            renew(idle, idle_timeout_s)
            await hang_up(client, server)
    except (trio.BrokenResourceError, trio.TooSlowError, MemoryError):
        pass


async def send(
    client: trio.SocketStream, replies: bytes, idle: trio.CancelScope, idle_timeout_s: float
) -> None:
    """Send everything; the scope ends it when the kernel has taken nothing for a whole idle timeout."""
    for start in range(0, len(replies), SLICE_BYTES):
        if start:
            renew(idle, idle_timeout_s)
        await client.send_all(replies[start : start + SLICE_BYTES])


def renew(idle: trio.CancelScope, idle_timeout_s: float) -> None:
    """Put the deadline off; moving it for every line would cost more than the line."""
    now = trio.current_time()
    if not idle_timeout_s <= idle.deadline - now <= SLACK * idle_timeout_s:
        idle.deadline = now + SLACK * idle_timeout_s


def suspend(idle: trio.CancelScope, longest_wait_s: float) -> None:
    """Let the clock stand still during a wait; most often it needs no touch, since the deadline is far off."""
    if idle.deadline - trio.current_time() <= longest_wait_s:
        idle.deadline = inf


async def hang_up(client: trio.SocketStream, server: Server) -> None:
    """Close in such a way that the last replies arrive, even if there is input that nobody will read."""
    while server.stopping and undelivered_bytes(client.socket):
        await trio.sleep(DELIVERY_CHECK_S)
    with trio.move_on_after(LINGER_S):
        await client.send_eof()
        to_discard = LINGER_BYTES
        while to_discard > 0:
            data = await client.receive_some(RECEIVE_BYTES)
            if not data:
                break
            to_discard -= len(data)


if __name__ == "__main__":
    run(lambda server: trio.run(serve, server))
