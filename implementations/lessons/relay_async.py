"""A relay in asyncio: a handler asks the upstream, and awaits the answer."""

import asyncio
from collections.abc import Iterator
from functools import partial
from socket import socket

from implementations.lessons.relay import Address, standing_at, start


async def handle(upstream: Address, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
    """Pass on the greeting, then each question, and each answer."""
    answers, asked = await asyncio.open_connection(*upstream)
    to_client.write(await answers.readline())
    while question := await client.readline():
        asked.write(question)
        to_client.write(await answers.readline())
    asked.close()
    to_client.close()


def where() -> Iterator[str]:
    """Ask the event loop, which knows its tasks, and each task where it awaits."""
    for task in asyncio.all_tasks():
        for frame in task.get_stack(limit=1):
            yield f"a task: {standing_at(frame)}"


def serve(listener: socket, upstream: Address) -> None:
    """Run the event loop; it makes a task for each client."""

    async def accept() -> None:
        async with await asyncio.start_server(partial(handle, upstream), sock=listener) as server:
            await server.serve_forever()

    asyncio.run(accept())


if __name__ == "__main__":
    start(serve, where)
