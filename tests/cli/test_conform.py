"""`harness conform`: where it writes."""

from pathlib import Path

import pytest

from harness.cli.conform import same_file


def test_one_file_is_one_by_whatever_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("x")
    assert all(same_file("x", name) for name in ("x", "./x", f"{tmp_path}/x", "link"))
    assert same_file("-", "-")
    assert not same_file("x", "y")
    assert not same_file("x", "-")
