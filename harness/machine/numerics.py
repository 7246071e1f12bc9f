"""What is seen to before numpy is loaded, since its OpenBLAS does not bear to be refused a thread or memory.

As it is loaded it starts a thread for each further core, for products larger than any of ours. Where no thread is to be
had, it interrupts the process, as Ctrl-C would; where no memory is, it ends the process, or never comes back.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from harness.errors import CannotRun

THREADS: Final = "OPENBLAS_NUM_THREADS"
ONE_THREAD: Final = {THREADS: "1"}
"""What a process of ours that loads numpy has in its environment, and no server."""
LIBRARIES_BYTES: Final = 512 * 1024 * 1024
"""Addresses that numpy, scipy and matplotlib take together, and some more: they were found to load with 400 MiB."""


@contextmanager
def numerics_loaded() -> Iterator[None]:
    """Let numpy be loaded meanwhile, with one thread; CannotRun if there is no room for it."""
    _check_room()
    given = os.environ.get(THREADS)
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        del os.environ[THREADS]
        if given is not None:
            os.environ[THREADS] = given


def _check_room() -> None:
    try:
        mmap.mmap(-1, LIBRARIES_BYTES, mmap.MAP_PRIVATE, mmap.PROT_READ).close()
    except OSError:
        raise CannotRun(
            f"there is not enough memory: numpy and its like take {LIBRARIES_BYTES // 2**20} MiB of addresses"
        ) from None
