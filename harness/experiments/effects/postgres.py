"""A PostgreSQL to ask: the one of a URL, or one of our own, which pip has installed, and which is gone in the end.

Nobody else can ask our own: its socket lies in a folder that only its user may enter. PostgreSQL refuses to be root; root
runs it as `nobody`, from a copy, since the environment may lie where `nobody` cannot read it.
"""

import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import IO, Final

from harness.errors import LaunchError
from harness.machine.guard import be_guarded, keep_group
from harness.machine.processes import cpu_ns_of, processes_of, reap

INSTALL: Final = "pip install -e '.[database]'"
NOT_ROOT: Final = "nobody"
NEW: Final = ("--username=postgres", "--auth=trust", "--no-locale", "--encoding=UTF8", "--no-sync")
SETTINGS: Final = ("listen_addresses=", "max_connections=80", "fsync=off", "autovacuum=off")
START_LIMIT_S: Final = 60.0
LOOK_S: Final = 0.02
STOP_S: Final = 5.0


@dataclass(frozen=True)
class Database:
    """A database that answers.

    Attributes:
        url: by which psycopg reaches it.
        leader: its first process, if it is ours.
    """

    url: str
    leader: int | None = None

    def cpu_ns(self) -> int:
        """Return the CPU time that it has used so far; 0 if it is somebody else's."""
        return cpu_ns_of(processes_of(self.leader)) if self.leader else 0


@contextmanager
def database(url: str | None = None) -> Iterator[Database]:
    """Yield a database: the one of this URL, or else one of our own.

    Raises:
        LaunchError: the driver or the database is not installed, or it does not answer.
    """
    if find_spec("psycopg") is None:
        raise LaunchError(f"psycopg, which asks the database, is not installed: {INSTALL}")
    if url is None:
        with tempfile.TemporaryDirectory() as folder, _postgres(Path(folder)) as ours:
            yield ours
    elif trouble := trouble_with(url):
        raise LaunchError(f"the database does not answer: {trouble}")
    else:
        yield Database(url)


@contextmanager
def _postgres(folder: Path) -> Iterator[Database]:
    """Make a database in a folder, and run it."""
    owner = pwd.getpwnam(NOT_ROOT) if os.geteuid() == 0 else None
    installed = _installed()
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        for part in ("pgserver", "pgserver.libs"):
            shutil.copytree(installed / part, folder / part)
        installed = folder
    programs = installed / "pgserver/pginstall/bin"
    data = str(folder / "data")
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    with tempfile.TemporaryFile() as said:
        with _running([str(programs / "initdb"), "-D", data, *NEW], said, owner) as making:
            if making.wait():
                raise LaunchError(f"the database was not made: {_last_line(said)}")
        command = [str(programs / "postgres"), "-D", data, "-k", str(folder), *settings]
        with _running(command, said, owner) as server:
            url = f"postgresql:///postgres?user=postgres&host={folder}"
            _await_answer(url, server, said)
            try:
                yield Database(url, server.pid)
            finally:
                server.send_signal(signal.SIGINT)  # at another one it would wait for its clients


def _installed() -> Path:
    """Return the folder in which pip has put PostgreSQL."""
    try:
        return Path(str(distribution("pgserver").locate_file("")))
    except PackageNotFoundError:
        raise LaunchError(f"PostgreSQL is not installed: {INSTALL}, or --database URL for another") from None


@contextmanager
def _running(
    command: Sequence[str], said: IO[bytes], owner: pwd.struct_passwd | None
) -> Iterator[Popen[bytes]]:
    be_guarded()
    process = Popen(
        command,
        stdin=DEVNULL,
        stdout=said,
        stderr=said,
        process_group=0,
        user=owner and owner.pw_uid,
        group=owner and owner.pw_gid,
        extra_groups=owner and [],
    )
    keep_group(process.pid)
    try:
        yield process
    finally:
        reap(process, STOP_S)


def _await_answer(url: str, server: Popen[bytes], said: IO[bytes]) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while trouble := trouble_with(url):
        if server.poll() is not None:
            raise LaunchError(f"the database did not start: {_last_line(said)}")
        if time.monotonic() > limit:
            raise LaunchError(f"the database was not ready within {START_LIMIT_S:g} s: {trouble}")
        time.sleep(LOOK_S)


def trouble_with(url: str) -> str:
    """Say why a database does not answer; "" if it does."""
    from psycopg import Error, connect  # noqa: PLC0415 - it may not be there

    try:
        connect(url).close()
    except Error as error:
        return str(error).partition("\n")[0]
    return ""


def _last_line(said: IO[bytes]) -> str:
    lines = os.pread(said.fileno(), 1 << 20, 0).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
