"""A naive asyncio server: readline(), and no limits, timeouts or draining.

It is written as textbooks write it, and the suite says what is wrong with it.

usage: asyncio_readline.py PORT
"""

import asyncio
import math
import sys


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client."""
    writer.write(b"<welcome: starting in sum mode>\n")
    product_mode = False
    while line := await reader.readline():
        command = line.decode().strip()
        if command == "quit":
            writer.write(b"connection closed\r\n")
            break
        if command == "sum":
            product_mode = False
            writer.write(b"<switching to sum mode>\r\n")
        elif command == "product":
            product_mode = True
            writer.write(b"<switching to product mode>\r\n")
        else:
            writer.write(calculate(command, product_mode).encode())
    writer.close()


def calculate(line: str, product_mode: bool) -> str:  # noqa: FBT001 - as textbooks have it
    """Add or multiply."""
    try:
        numbers = [int(item) for item in line.split(",")]
    except ValueError:
        return "ERROR. Enter only integers separated by commas\n"
    if product_mode:
        return f"Product of input numbers: '{math.prod(numbers)}'\r\n"
    return f"Sum of input numbers: '{sum(numbers)}'\r\n"


async def main() -> None:
    """Serve for ever."""
    server = await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1]))
    host, port = server.sockets[0].getsockname()
    print("Server up, running, and waiting for call on", host, port, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
