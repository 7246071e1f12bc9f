"""The guardian: a process that waits for the end of the one that has started it, and then kills all that this has left.

Run by its path, with a token as its argument, and with nothing but the standard library, so that it is there within
milliseconds. Standard input is a pipe whose other end its keeper alone holds: the kernel closes it, whatever the keeper's
end is. (A parent-death signal would come when the keeper's *thread* ends that has forked.) Until then the pipe brings
process groups, `+PID`, and takes them back, `-PID`. Killed are these groups, for a server may clear its environment, and
every process whose environment has the token, for a server may leave its group.
"""

import os
import signal
import sys
import time
from contextlib import suppress

LOOKS = 100
LOOK_S = 0.02


def main() -> None:
    """Keep the groups, and kill in the end."""
    token = os.fsencode(sys.argv[1])
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(LOOKS):
        left = marked(token)
        if not left:
            return
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(LOOK_S)


def marked(token: bytes) -> list[int]:
    """Return the processes that carry the token; what has ended, or belongs to somebody else, does not."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - to import pathlib takes long
        with suppress(OSError), open(f"/proc/{name}/environ", "rb") as environment:  # noqa: PTH123 - likewise
            if token in environment.read():
                found.append(int(name))
    return found


if __name__ == "__main__":
    main()
