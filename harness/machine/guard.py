"""Nothing that we have started outlives us by much, whatever our end is: a guardian sees to it."""

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

MARK: Final = "HARNESS_STARTED_BY"
"""What we start has this in its environment, and so has all that it starts itself."""
PROGRAM: Final = Path(__file__).with_name("guardian.py")
_lock = Lock()


def be_guarded() -> None:
    """Start the guardian, unless it is there: to be called before any process is started."""
    with _lock:
        _guardian()


def keep_group(group: int) -> None:
    """Let the guardian know of a process group that may not carry the mark."""
    _tell(b"+%d\n" % group)


def forget_group(group: int) -> None:
    """Let it forget one that has ended: its number may be another's soon."""
    _tell(b"-%d\n" % group)


def _tell(line: bytes) -> None:
    be_guarded()
    with suppress(BrokenPipeError):  # somebody has killed it
        os.write(_guardian(), line)


@cache
def _guardian() -> int:
    """Start it; return our end of its pipe, which no child of ours inherits."""
    theirs, ours = os.pipe()
    token = os.urandom(16).hex()
    unmarked = {name: value for name, value in os.environ.items() if name != MARK}
    os.environ[MARK] = " ".join(filter(None, (os.environ.get(MARK), token)))  # we may be marked ourselves
    quiet = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_WRONLY, 0) for descriptor in (1, 2)]
    command = [sys.executable, "-I", "-S", str(PROGRAM), token]
    try:
        os.posix_spawn(
            sys.executable,
            command,
            unmarked,
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs, 0), *quiet],
            setsid=True,  # neither Ctrl-C nor a closed terminal is for it
        )
    finally:
        os.close(theirs)
    return ours
