"""A process that does nothing but work: somebody else's, for whoever wants a busy core."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from harness.machine.guard import be_guarded
from harness.machine.resources import pinned

SPIN: Final = "print('busy', flush=True)\nwhile True: pass"


@contextmanager
def spinning(cores: Sequence[int] = ()) -> Iterator[int]:
    """Keep a core busy for as long as the context lasts: one of these, or any; yield the process's id."""
    be_guarded()
    with pinned(cores):
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", SPIN], stdout=subprocess.PIPE, process_group=0
        )
    with process:
        assert process.stdout  # noqa: S101 - it was started with a pipe
        process.stdout.readline()  # from now on it is busy
        try:
            yield process.pid
        finally:
            process.kill()
