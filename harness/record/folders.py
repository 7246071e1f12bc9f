"""Where runs lie, and which folder a new one gets."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from harness.errors import ResultsError, UsageError

PROJECT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = PROJECT / "results"
REFERENCE: Final = RESULTS / "reference"


def take(folder: Path) -> None:
    """Make a folder, or use an empty one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty: results are never mixed or overwritten")
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder, so that no other run of ours writes to it meanwhile: of two, the second is refused.

    The kernel keeps the lock, and lets go of it when the process ends, whatever its end is; nothing is left in the folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ResultsError(f"{folder} holds no results: {error.strerror}") from None
    with _locked(descriptor, folder):
        yield


@contextmanager
def held_log(log: Path) -> Iterator[None]:
    """Hold a log, likewise; UsageError if nothing can be added to it."""
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError as error:
        raise UsageError(f"cannot write to {log}: {error.strerror}") from None
    with _locked(descriptor, log):
        yield


@contextmanager
def _locked(descriptor: int, place: Path) -> Iterator[None]:
    try:
        with suppress(OSError):  # a file system without locks, such as some of networks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"{shown(place)} is in use: another run of ours writes to it") from None
        yield
    finally:
        os.close(descriptor)


def new_folder(runs: Path = RESULTS) -> Path:
    """Make a folder for a new run, named after the time; a number tells it from one that begins, or once began, then, too."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    folders = (runs / (now if number == 1 else f"{now}-{number}") for number in count(1))
    return next(folder for folder in folders if _made(folder))


def _made(folder: Path) -> bool:
    """Make a folder; tell whether it was not there before."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageError(f"cannot write to {folder.parent}: {error.strerror}") from None
    return True


def shown(path: Path) -> str:
    """Return a path as short as it can be."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
