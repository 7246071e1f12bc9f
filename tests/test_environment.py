"""Facts for the manifest."""

from pathlib import Path

from harness.candidates import ours, selected
from harness.environment import code_lines, facts, gather, source_hash


def test_code_lines_are_neither_blank_nor_comment_nor_docstring(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text(
        '"""A docstring\n\nof three lines."""\n\n# a comment\nx = [\n    1,\n]\n\n\ndef f():\n    """Doc."""\n    return """a\nb"""\n'
    )
    assert code_lines(file) == 6


def test_servers_are_described() -> None:
    mine, theirs = facts([ours("threaded"), *selected([], ["mine=./server {port}"])])
    assert mine.file == "implementations/threaded.py"
    assert mine.code_lines > 20
    assert mine.source_hash == source_hash(mine.file) != source_hash("implementations/blocking.py")
    assert mine.command.startswith("python -m implementations.threaded")
    assert (theirs.file, theirs.code_lines, theirs.command) == ("", 0, "./server {port}")


def test_the_machine_is_described() -> None:
    environment = gather()
    assert environment.cores >= 1
    assert environment.libraries["trio"]
    assert environment.kernel.startswith("Linux")
