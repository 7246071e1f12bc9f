"""An asyncio echo server whose handler waits for something else before each reply: it `blocks`, or it `awaits`.

A call that blocks keeps the loop: nobody else is served meanwhile. One that is awaited gives it back.
"""

import asyncio
import sys
import time
from typing import Final

WAIT_S: Final = 0.005


async def serve(*, blocks: bool) -> None:
    """Serve whoever comes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            if blocks:
                time.sleep(WAIT_S)  # noqa: ASYNC251 - that is the mistake
            else:
                await asyncio.sleep(WAIT_S)
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(blocks=sys.argv[1] == "blocks"))
