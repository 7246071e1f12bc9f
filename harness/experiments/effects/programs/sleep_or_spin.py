"""An echo server that waits for its client by sleeping in the kernel, `sleep`, or by asking again and again, `spin`.

A process that sleeps has to be woken, which takes longer than its work; one that spins is there already, and burns a core.
"""

import socket
import sys


def main() -> None:
    """Serve one client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        client, _ = listener.accept()
        with client:
            client.setblocking(sys.argv[1] == "sleep")
            while True:
                try:
                    data = client.recv(1024)
                except BlockingIOError:
                    continue
                if not data:
                    break
                client.sendall(data)


if __name__ == "__main__":
    main()
