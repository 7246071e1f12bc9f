"""An echo server whose receive buffer is so large that the allocator maps it anew for each request: `SIZE_BYTES`.

glibc serves what is above 128 KiB from mmap. CPython then shrinks the buffer to what has come, which is an mremap, and
frees it, which is an munmap. The threshold does not learn from that, since what is freed is but one page by then.
"""

import socket
import sys


def main() -> None:
    """Serve one client."""
    size_bytes = int(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        client, _ = listener.accept()
        with client:
            while data := client.recv(size_bytes):
                client.sendall(data)


if __name__ == "__main__":
    main()
