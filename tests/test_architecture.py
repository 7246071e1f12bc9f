"""The rules of the architecture, over the sources' syntax trees. Each rule is shown to notice a breach that is planted."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from harness.cli.app import COMMANDS, COMPUTING, SECTIONS
from implementations.catalogue import CAPABILITIES, CATALOGUE, SERVERS
from implementations.lessons import LESSONS, Lesson

PROJECT = Path(__file__).resolve().parent.parent

Sources = Mapping[str, str]
"""The text of every module of ours, by its name."""


def module_name(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES: Sources = {
    module_name(path): path.read_text(encoding="utf-8")
    for folder in ("harness", "implementations")
    for path in sorted((PROJECT / folder).rglob("*.py"))
    if "specimens" not in path.parts
}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "oracle": set(),
    "machine": {"errors"},
    "plan": {"errors"},
    "record": {"errors", "plan"},
    "launch": {"errors", "machine", "plan", "record", "implementations"},
    "drive": {"errors", "oracle", "machine", "plan", "record"},
    "analyse": {"plan", "record"},
    "report": {"plan", "record", "analyse"},
    "conformance": {"errors", "oracle", "machine", "record", "launch"},
    "study": {"errors", "machine", "plan", "record", "launch", "drive", "analyse", "conformance"},
    "experiments": {
        "errors", "oracle", "machine", "plan", "record", "launch", "drive", "analyse", "conformance", "study",
        "implementations",
    },
    "cli": {
        "errors", "machine", "plan", "record", "launch", "analyse", "report", "conformance", "study", "experiments",
        "implementations",
    },
    "__main__": {"cli"},
}  # fmt: skip
"""Each entry of `harness/`, and the others that it may import."""

PURE = (
    "harness.oracle",
    "harness.plan",
    "harness.record",
    "harness.analyse",
    "harness.report",
    "harness.drive.clocks",
    "harness.drive.schedule",
    "harness.drive.questions",
    "harness.drive.orders",
    "harness.drive.script",
    "harness.study.merging",
    "harness.study.rounds",
    "harness.study.window",
    "harness.study.upstream",
    "harness.conformance.fuzz.inputs",
    "harness.experiments.faults.accounts",
)
"""Modules, and packages with all that is in them, that touch no process, socket, clock or file."""
NOT_PURE = {
    "harness.record.files",
    "harness.record.folders",
    "harness.record.fingerprint",
    "harness.report.files",
}
IO_MODULES = {
    "asyncio", "gevent", "io", "os", "select", "selectors", "signal", "socket", "ssl", "threading", "time", "trio",
}  # fmt: skip
TOUCHING = IO_MODULES - {"io"} | {"subprocess", "psutil", "pathlib", "tempfile", "resource"}

READS_THE_KERNEL = {
    "harness.drive.generator": "it sets its own timer slack, of which nobody else wants anything",
}
"""Modules outside `machine` that do, and why."""

USES_IMPLEMENTATIONS = (
    "harness.launch",
    "harness.cli",
    "harness.experiments.selftest.null_server",
    "harness.experiments.effects.programs.database_relay",
)

CATCHES_EVERYTHING = {"harness.conformance.judge": "whatever a case raises must become a verdict"}


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def imported(name: str, sources: Sources) -> Iterator[str]:
    """Yield the modules that a module imports, those for types alone and those within functions, too."""
    for node in ast.walk(parsed(sources[name])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if module in sources else node.module


def entry_of(module: str) -> str:
    """Return the entry of `harness/` that a module belongs to, or the package beside it."""
    return module.split(".")[1] if module.startswith("harness.") else module.split(".", maxsplit=1)[0]


def is_within(module: str, places: Iterable[str]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def ours(sources: Sources) -> list[str]:
    return [name for name in sources if name.startswith("harness.")]


def entries_import_what_they_may(sources: Sources) -> Iterator[str]:
    used: dict[str, set[str]] = {entry: set() for entry in MAY_IMPORT}
    for name in ours(sources):
        entry = entry_of(name)
        if entry not in MAY_IMPORT:
            yield f"{name} is in no entry that has a place"
            continue
        for module in imported(name, sources):
            other = entry_of(module)
            if module.startswith(("harness.", "implementations")) and other != entry:
                used[entry].add(other)
                if other not in MAY_IMPORT[entry]:
                    yield f"{name} imports {module}"
    for entry, allowed in MAY_IMPORT.items():
        yield from (f"{entry} may import {other}, and does not" for other in sorted(allowed - used[entry]))


def modules_make_no_circle(sources: Sources) -> Iterator[str]:
    graph = {name: {other for other in imported(name, sources) if other in sources} for name in sources}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"a circle: {error.args[1]}"


def nothing_of_ours_is_for_types_alone(sources: Sources) -> Iterator[str]:
    for name in ours(sources):
        for node in ast.walk(parsed(sources[name])):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                lines = [ast.unparse(line) for line in node.body]
                yield from (f"{name}: {line}" for line in lines if "harness" in line)


def pure_modules_touch_nothing(sources: Sources) -> Iterator[str]:
    for name in ours(sources):
        if is_within(name, PURE) and name not in NOT_PURE:
            touched = {module.partition(".")[0] for module in imported(name, sources)} & TOUCHING
            yield from (f"{name} imports {module}" for module in sorted(touched))


def the_kernel_is_read_in_one_place(sources: Sources) -> Iterator[str]:
    for name in ours(sources):
        if is_within(name, ("harness.machine", *READS_THE_KERNEL)):
            continue
        for module in imported(name, sources):
            if module in {"psutil", "resource"}:
                yield f"{name} imports {module}"
        for node in ast.walk(parsed(sources[name])):
            if isinstance(node, ast.Constant) and str(node.value).startswith("/proc"):
                yield f"{name} reads {node.value!r}"
            if isinstance(node, ast.Attribute) and node.attr in {"sched_getaffinity", "sched_setaffinity"}:
                yield f"{name} asks for cores"


def few_know_the_servers(sources: Sources) -> Iterator[str]:
    for name in ours(sources):
        if not is_within(name, USES_IMPLEMENTATIONS):
            yield from (
                f"{name} imports {module}"
                for module in imported(name, sources)
                if module.startswith("implementations")
            )


def statistics_knows_no_server(sources: Sources) -> Iterator[str]:
    for name in ours(sources):
        if is_within(name, ("harness.analyse.statistics",)):
            for module in imported(name, sources):
                if module.startswith("harness.") and not is_within(module, ("harness.analyse.statistics",)):
                    yield f"{name} imports {module}"


def public_classes_have_names_of_their_own(sources: Sources) -> Iterator[str]:
    places: dict[str, list[str]] = {}
    for name in ours(sources):
        for node in parsed(sources[name]).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    yield from (f"{cls} stands in {', '.join(where)}" for cls, where in places.items() if len(where) > 1)


def private_names_stay_at_home(sources: Sources) -> Iterator[str]:
    for name in ours(sources):
        for node in ast.walk(parsed(sources[name])):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness"):
                private = [alias.name for alias in node.names if alias.name.startswith("_")]
                yield from (f"{name} takes {each} from {node.module}" for each in private)


def nobody_catches_everything(sources: Sources) -> Iterator[str]:
    for name in sources:
        for node in ast.walk(parsed(sources[name])):
            if isinstance(node, ast.ExceptHandler) and name not in CATCHES_EVERYTHING:
                caught = ast.unparse(node.type) if node.type else "everything"
                if caught in {"everything", "Exception", "BaseException"}:
                    yield f"{name}, line {node.lineno}, catches {caught}"


def whoever_starts_a_process_is_guarded(sources: Sources) -> Iterator[str]:
    for name in ours(sources):
        tree = parsed(sources[name])
        starts = any(
            isinstance(node, ast.Call) and ast.unparse(node.func) == "subprocess.Popen"
            for node in ast.walk(tree)
        )
        if starts and "harness.machine.guard.be_guarded" not in {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }:
            yield f"{name} starts a process that may be left behind"


@dataclass(frozen=True)
class Rule:
    """What must hold of all sources, and a module that would break it, by its name and its text."""

    check: Callable[[Sources], Iterable[str]]
    module: str
    text: str


RULES = (
    Rule(entries_import_what_they_may, "harness.plan.planted", "from harness.drive.client import Client"),
    Rule(entries_import_what_they_may, "harness.tools", "import os"),
    Rule(
        entries_import_what_they_may, "harness.drive.planted", "def f():\n    import harness.launch.process"
    ),
    Rule(modules_make_no_circle, "harness.errors", "from harness.machine import resources"),
    Rule(
        nothing_of_ours_is_for_types_alone,
        "harness.study.planted",
        "if TYPE_CHECKING:\n    from harness.plan import Plan",
    ),
    Rule(pure_modules_touch_nothing, "harness.analyse.causes.planted", "from time import monotonic"),
    Rule(pure_modules_touch_nothing, "harness.record.planted", "import pathlib"),
    Rule(
        the_kernel_is_read_in_one_place,
        "harness.study.planted",
        "from pathlib import Path\nPath('/proc/stat')",
    ),
    Rule(the_kernel_is_read_in_one_place, "harness.study.planted", "import psutil"),
    Rule(the_kernel_is_read_in_one_place, "harness.cli.planted", "import os\nos.sched_getaffinity(0)"),
    Rule(few_know_the_servers, "harness.experiments.planted", "from implementations import protocol"),
    Rule(
        statistics_knows_no_server, "harness.analyse.statistics.planted", "from harness.record import Sample"
    ),
    Rule(public_classes_have_names_of_their_own, "harness.study.planted", "class Sample: ..."),
    Rule(private_names_stay_at_home, "harness.study.planted", "from harness.plan.design import _mix"),
    Rule(
        whoever_starts_a_process_is_guarded,
        "harness.study.planted",
        "import subprocess\nsubprocess.Popen(['sleep', '600'])",
    ),
    Rule(nobody_catches_everything, "harness.study.planted", "try: ...\nexcept Exception: ..."),
)


@pytest.mark.parametrize(
    "rule", {rule.check: rule for rule in RULES}.values(), ids=lambda rule: rule.check.__name__
)
def test_a_rule_holds(rule: Rule) -> None:
    assert not list(rule.check(SOURCES))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.check.__name__)
def test_a_rule_notices_a_breach(rule: Rule) -> None:
    assert list(rule.check({**SOURCES, rule.module: rule.text}))


def test_the_top_of_the_harness_has_no_entry_without_a_place() -> None:
    found = {path.stem for path in (PROJECT / "harness").iterdir()} - {"__init__", "__pycache__"}
    assert found == MAY_IMPORT.keys()


TESTED_IN = {
    "analyse.advice": "report/sections/test_choice.py",
    "analyse.causes": "analyse/causes/test_rules.py",
    "analyse.samples.recovery": "study/test_window.py",
    "cli": "cli/test_app.py",
    "conformance.cases": "conformance/proof/test_mutants.py",
    "conformance.fuzz.inputs": "conformance/fuzz/test_search.py",
    "conformance.fuzz.reproducer": "conformance/fuzz/test_search.py",
    "conformance.shell": "conformance/test_peer.py",
    "conformance.smoke": "study/test_cell.py",
    "conformance.target": "conformance/test_judge.py",
    "drive": "drive/test_generator.py",
    "drive.dask": "study/test_fleet.py",
    "drive.fleet": "study/test_cell.py",
    "drive.orders": "study/test_window.py",
    "experiments.capacity": "cli/test_app.py",
    "experiments.capacity_from_many": "study/test_fleet.py",
    "experiments.costs": "experiments/costs/test_run.py",
    "experiments.effects": "experiments/effects/test_effects.py",
    "experiments.faults": "experiments/faults/test_run.py",
    "experiments.selftest": "experiments/selftest/test_check.py",
    "launch.selection": "launch/test_candidates.py",
    "machine.guardian": "machine/test_guard.py",
    "machine.threads": "conformance/proof/test_mutants.py",
    "oracle": "implementations/test_protocol.py",
    "plan.regimes": "implementations/test_factors.py",
    "record.buckets": "record/test_histogram.py",
    "report.names": "conformance/test_judge.py",
    "report": "report/test_render.py",
    "report.page": "report/page/test_page.py",
    "study": "study/test_bench.py",
}
"""Where modules are tested that have no file of tests of their own: themselves, or all of a package."""


def has_functions(name: str) -> bool:
    return any(
        isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        for node in parsed(SOURCES[name]).body
    )


def test_every_module_with_functions_is_tested_in_its_own_file_or_it_is_said_where() -> None:
    used = set()
    for name in ours(SOURCES):
        *folders, leaf = name.removeprefix("harness.").split(".")
        own = PROJECT.joinpath("tests", *folders, f"test_{leaf}.py")
        if leaf == "__main__" or not has_functions(name) or own.exists():
            continue
        path = name.removeprefix("harness.")
        places = [place for place in TESTED_IN if is_within(path, (place,))]
        assert places, f"{own} is missing"
        used.add(max(places, key=len))
    assert used == TESTED_IN.keys()
    assert all((PROJECT / "tests" / file).exists() for file in TESTED_IN.values())


def test_a_generator_loads_no_server_and_nothing_large() -> None:
    unwanted = {"implementations", "scipy", "rich", "click", "matplotlib", "hypothesis"}
    assert not unwanted & loaded_with("harness.drive.generator")


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - COMPUTING))
def test_a_command_that_computes_no_figures_does_not_wait_for_what_would(command: str) -> None:
    module, _, _ = COMMANDS[command].partition(":")
    needed = {"hypothesis"} if command == "fuzz" else set()
    assert not {"numpy", "scipy", "matplotlib", "hypothesis"} - needed & loaded_with(f"harness.cli.{module}")


def test_help_lists_every_command_and_loads_none() -> None:
    assert [name for section in SECTIONS.values() for name in section] == list(COMMANDS)
    told = "import sys; from harness.cli.app import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    listing, _, loaded = done.stdout.rstrip().rpartition("\n")
    assert all(said in listing for section in SECTIONS.values() for said in section.values())
    assert not {f"harness.cli.{place.partition(':')[0]}" for place in COMMANDS.values()} & set(loaded.split())


def loaded_with(module: str) -> set[str]:
    """Return the packages that are loaded with a module of ours."""
    command = f"import sys; import {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", command], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    return {name.partition(".")[0] for name in loaded}


LIBRARY_OF = {"trio_nursery": {"trio"}, "gevent_greenlets": {"gevent"}}
SHARED = {"implementations.protocol", "implementations.server"}
EVENT_LOOP = "implementations.event_loop"  # shared by those that run on asyncio


@pytest.mark.parametrize("core", ["implementations.protocol", "implementations.relays.session"])
def test_the_core_imports_no_io(core: str) -> None:
    assert set(imported(core, SOURCES)) <= {
        "collections",
        "implementations.protocol",
        "math",
        "re",
        "typing",
    }


@pytest.mark.parametrize("name", [implementation.name for implementation in CATALOGUE])
def test_an_implementation_imports_its_library_and_what_is_shared(name: str) -> None:
    model = SERVERS[name]
    files = [file.removesuffix(".py").replace("/", ".") for file in model.files]
    modules = {module for file in files for module in imported(file, SOURCES)}
    of_ours = {module for module in modules if module.startswith("implementations")}
    pools = {module for module in of_ours if module.startswith("implementations.relays.")}
    assert len(pools) == 1
    loop = {EVENT_LOOP} if name.startswith("asyncio_") else set()
    assert of_ours == SHARED & of_ours | set(files[1:]) | pools | loop
    roots = {module.partition(".")[0] for module in modules - of_ours}
    assert roots - LIBRARY_OF.get(name, set()) <= sys.stdlib_module_names


def test_every_implementation_is_in_the_catalogue() -> None:
    files = {path.stem for path in (PROJECT / "implementations").glob("*.py")}
    parts = {implementation.part for implementation in CATALOGUE} - {None}
    assert files - {"__init__", "catalogue", "protocol", "server", "event_loop"} - parts == {
        implementation.name for implementation in CATALOGUE
    }
    assert all(implementation.declares <= CAPABILITIES.keys() for implementation in SERVERS.values())


PARTS_OF_LESSONS = {
    "two_clients",
    "total_threads",
    "total_asyncio",
    "slow_upstream",
    "relay",
    "relay_threads",
    "relay_callbacks",
    "relay_generators",
    "relay_async",
}


def test_every_lesson_is_in_the_catalogue() -> None:
    files = {path.stem for path in (PROJECT / "implementations/lessons").glob("*.py")}
    assert files - {"__init__"} - PARTS_OF_LESSONS == {lesson.name for lesson in LESSONS}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_stands_alone_and_says_what_to_look_at(lesson: Lesson) -> None:
    name = f"implementations.lessons.{lesson.name}"
    modules = set(imported(name, SOURCES))
    of_ours = {module for module in modules if module.startswith(("implementations", "harness"))}
    assert of_ours <= {"implementations.lessons"} | {
        f"implementations.lessons.{name}" for name in PARTS_OF_LESSONS
    }
    assert {module.partition(".")[0] for module in modules - of_ours} <= sys.stdlib_module_names
    assert "\nLook at\n- " in (ast.get_docstring(ast.parse(SOURCES[name])) or "")
