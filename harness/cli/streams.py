"""The standard streams, made such that whatever is printed arrives readable, or ends in one clear line.

An encoding that lacks a character gets another one for it; a reader that has gone ends the command quietly, as it ends
other tools; a full disk ends it in one line. What standard error does not take is nobody's loss.
"""

import codecs
import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

from harness.errors import CannotRun

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

READABLE: Final = "harness.readable"
PLAIN: Final = {
    "µ": "u", "–": "-", "…": "...", "±": "+-", "→": "->", "≥": ">=", "×": "x", "¹": "(1)", "²": "(2)",
    **dict.fromkeys("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "*"),
}  # fmt: skip
"""What we print besides ASCII, and rich while one waits, for streams that cannot."""


class NobodyReadsError(Exception):
    """Whoever read our standard output has gone: no more is to be said, and nothing is wrong."""


class OutputError(CannotRun):
    """Standard output does not take what is printed: exit code 3."""


class StandardOutput(io.FileIO):
    """Standard output: all of it is written, or an error tells why not."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, if need be when there is room again: somebody else may have made the stream non-blocking."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except BrokenPipeError:
            raise NobodyReadsError from None
        except OSError as error:
            raise OutputError(f"cannot write to standard output: {error.strerror}") from None
        return written


class StandardError(io.FileIO):
    """Standard error: nothing is done differently because it cannot be said."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write as far as that is possible."""
        with suppress(OSError):
            super().write(data)
        return memoryview(data).nbytes


def make_streams_safe() -> None:
    """Put safe streams in the place of those that the process was given; those of a test are left alone."""
    codecs.register_error(READABLE, _readable)
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        _open_if_closed(descriptor, mode)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as we live
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(StandardOutput(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(StandardError(2, "w", closefd=False), sys.stderr)


def let_go_of_output() -> None:
    """Write what is still to be written, or else forget it, so that nothing is tried again as the interpreter ends."""
    try:
        sys.stdout.flush()
    except (NobodyReadsError, OutputError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _open_if_closed(descriptor: int, mode: int) -> None:
    """Take a place that is free, lest a socket gets it; what is written to standard output there is an error, as it was."""
    try:
        os.fstat(descriptor)
    except OSError as error:
        if error.errno == errno.EBADF:
            os.open(os.devnull, mode)  # the lowest that is free
            os.set_inheritable(descriptor, True)


def _text(raw: io.FileIO, given: TextIO | None) -> TextIO:
    """Return a text stream that writes as the given one, but for what its encoding lacks."""
    encoding = given.encoding if given is not None else "utf-8"
    at_once = raw.isatty() or raw.fileno() == 2
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, READABLE, line_buffering=at_once)


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(each, ascii(each)[1:-1]) for each in lacking), error.end
