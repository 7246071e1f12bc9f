"""Files to write to: possible before any work begins, and as they were or as they are to be in the end."""

import errno
import os
from pathlib import Path

import click
import pytest

from harness.cli.app import COMMANDS, cli
from harness.cli.options import OutputFile, show_possible, write_to
from harness.cli.streams import OutputError
from harness.record import unfinished


def test_every_option_that_names_a_file_to_write_is_tried_before_work_begins() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        for option in command.params:
            if option.name in {"json_file", "junit_file"}:
                assert isinstance(option.type, OutputFile), (name, option.name)


def test_what_is_possible_leaves_nothing_behind(tmp_path: Path) -> None:
    show_possible(tmp_path / "new")
    assert not list(tmp_path.iterdir())
    (tmp_path / "there").write_text("as it was")
    show_possible(tmp_path / "there")
    assert (tmp_path / "there").read_text() == "as it was"
    show_possible(Path(os.devnull))


@pytest.mark.parametrize("name", ["no/such/folder", "file/below", "", "x" * 300, "x" * 250, "loop"])
def test_what_is_not_possible_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop/further")
    with pytest.raises(OSError, match=r"No such|Not a|Is a|too long|Too many"):
        show_possible(tmp_path / name)


def test_a_file_is_replaced_and_keeps_its_mode_and_the_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("file")
    before = (tmp_path / "file").stat()
    write_to(str(tmp_path / "link"), "µ\n")
    after = (tmp_path / "file").stat()
    assert (tmp_path / "file").read_bytes() == b"\xc2\xb5\n"
    assert (after.st_mode, (tmp_path / "link").is_symlink()) == (before.st_mode, True)
    assert after.st_ino != before.st_ino, "it was written aside, and renamed"


def test_a_failure_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("before")

    def full(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text.encode(encoding)[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left"):
        write_to(str(file), "after")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_replaced_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file that is mounted by itself, which says EBUSY."""
    file = tmp_path / "file"
    file.write_text("before, and longer")

    def refuse(*_: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(Path, "replace", refuse)
    write_to(str(file), "after")
    assert file.read_text() == "after"
    assert not unfinished(file).exists()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_to(str(tmp_path / "pipe"), "all of it")
    assert os.read(descriptor, 100) == b"all of it"
    os.close(descriptor)


def test_standard_output_by_another_name_is_standard_output() -> None:
    assert OutputFile().convert(f"/proc/{os.getpid()}/fd/1", None, None) == "-"
