"""Facts for the manifest."""

import platform
from collections.abc import Callable
from pathlib import Path

from harness.launch.facts import changed_since, code_branches, code_lines, facts, loop_sources, source_hash
from harness.launch.selection import ours, selected
from harness.plan import ALL_CORES, ONE_CORE
from harness.record import PROJECT, SAMPLES, Results
from harness.study.environment import gather
from harness.study.parts import states_of
from tests.makers import changed


def test_code_lines_are_neither_blank_nor_comment_nor_docstring(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text(
        '"""A docstring\n\nof three lines."""\n\n# a comment\nx = [\n    1,\n]\n\n\ndef f():\n    """Doc."""\n    return """a\nb"""\n'
    )
    assert code_lines(file) == 6


def test_servers_are_described() -> None:
    mine, theirs = facts([ours("threaded"), *selected([], ["mine=./server {port}"])])
    assert mine.file == "implementations/threaded.py"
    assert mine.code_lines == sum(
        code_lines(PROJECT / file)
        for file in ("implementations/threaded.py", "implementations/blocking_handler.py")
    )
    assert mine.source_hash == source_hash(mine.file) != source_hash("implementations/blocking.py")
    assert mine.command.startswith("python -m implementations.threaded")
    assert (theirs.file, theirs.code_lines, theirs.command) == ("", 0, "./server {port}")


def test_an_event_loop_of_ones_own_is_a_source_of_the_servers_that_run_on_it(
    tmp_path: Path, make_results: Callable[..., Results]
) -> None:
    loop = tmp_path / "own" / "loop.py"
    loop.parent.mkdir()
    loop.write_text("from asyncio import SelectorEventLoop as make\n")
    model, own = facts(selected(["asyncio_streams"], loops=[f"mine={tmp_path}/own.loop:make"]))
    assert (model.loop, own.loop) == ("", f"{tmp_path}/own.loop:make")
    assert model.source_hash != own.source_hash
    results = make_results()
    results = changed(results, manifest=changed(results.manifest, servers=(model, own)))
    assert changed_since(results) == []
    states = states_of((model, own), results.manifest.design, {})
    loop.write_text("from asyncio import SelectorEventLoop as make  # and more\n")
    assert changed_since(results) == [own.label]
    now = states_of((model, own), results.manifest.design, {})
    assert {part.name for part in states if states[part] != now[part] and part.file != SAMPLES} == {own.label}


def test_what_is_installed_is_no_source_of_ours() -> None:
    assert loop_sources("uvloop:new_event_loop") == []


def test_the_machine_is_described() -> None:
    environment = gather()
    assert environment.cores >= 1
    assert environment.libraries["trio"]
    assert environment.kernel.startswith("Linux")


def test_branches_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(
        "def f(x):\n"
        "    if x and x > 1 or x < 0:\n"  # 1 + 2
        "        return [y if y else 0 for y in x if y]\n"  # 2
        "    elif x:\n"  # 1
        "        for y in x:\n"  # 1
        "            while y:\n"  # 1
        "                try:\n"
        "                    y -= 1\n"
        "                except OSError:\n"  # 1
        "                    pass\n"
        "    match x:\n"
        "        case 1:\n"  # 1
        "            pass\n"
        "        case _:\n"  # 1
        "            pass\n"
    )
    assert code_branches(file) == 11


def test_factors_are_recorded() -> None:
    variant, trio, theirs = facts(
        [ours("asyncio_streams+uvloop"), ours("trio_nursery"), *selected([], ["mine=x"])]
    )
    assert variant.factors["event loop"] == "uvloop, libuv, epoll"
    assert variant.factors["libraries"].startswith("uvloop 0")
    assert variant.code_branches == code_branches(PROJECT / variant.file) > 5
    assert trio.factors["interpreter"].startswith(platform.python_implementation())
    assert theirs.factors == {"regime": ONE_CORE}
    (parallel,) = facts(selected([], ["mine=x"], ["mine=concurrent,parallel"]))
    assert parallel.regime == ALL_CORES
