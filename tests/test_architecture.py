"""The rules of the architecture."""

import ast
import re
import sys
from pathlib import Path

import pytest

from harness.conformance.judge import CASES, GROUPS
from harness.plan import WORKLOADS
from implementations import CAPABILITIES, CATALOGUE, SERVERS
from implementations.lessons import LESSONS, Lesson

PROJECT = Path(__file__).resolve().parent.parent

IO_MODULES = {
    "asyncio",
    "gevent",
    "io",
    "os",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "threading",
    "time",
    "trio",
}
LIBRARY_OF = {"trio_nursery": {"trio"}, "gevent_greenlets": {"gevent"}}
SHARED = {"implementations.protocol", "implementations.server"}
EVENT_LOOP = "implementations.event_loop"  # shared by those that run on asyncio

# Each module of the harness may import those before it, and itself no further.
DIRECTION = [
    "harness.errors",
    "harness.interpreters",
    "harness.candidates",
    "harness.launch",
    "harness.conformance.oracle",
    "harness.conformance.case",
    "harness.conformance.peer",
    "harness.conformance.target",
    "harness.conformance.framing",
    "harness.conformance.arithmetic",
    "harness.conformance.session",
    "harness.conformance.concurrency",
    "harness.conformance.contention",
    "harness.conformance.lifecycle",
    "harness.conformance.judge",
    "harness.conformance.matrix",
    "harness.conformance.evidence",
    "harness.conformance.inputs",
    "harness.conformance.diagnosis",
    "harness.conformance.crowd",
    "harness.conformance.fuzz",
    "harness.conformance.reproducer",
    "harness.conformance.mutants",
    "harness.conformance.specimens",
    "harness.conformance.alarms",
    "harness.order",
    "harness.plan",
    "harness.schedule",
    "harness.client",
    "harness.loops",
    "harness.drive",
    "harness.company",
    "harness.costs_record",
    "harness.slopes",
    "harness.record",
    "harness.torture.books",
    "harness.torture.probe",
    "harness.torture.proxy",
    "harness.torture.scene",
    "harness.torture.faults",
    "harness.torture.run",
    "harness.tally",
    "harness.measure",
    "harness.limits",
    "harness.costs.kernel",
    "harness.costs.strace",
    "harness.costs.load",
    "harness.costs.run",
    "harness.environment",
    "harness.inference",
    "harness.quantiles",
    "harness.steadiness",
    "harness.validity",
    "harness.search",
    "harness.analyse",
    "harness.causes.recordings",
    "harness.causes.requests",
    "harness.causes.connections",
    "harness.causes.waiting",
    "harness.causes.rules",
    "harness.effects.programs.beside_a_computation",
    "harness.effects.programs.costly_and_light",
    "harness.effects.programs.idle_watch",
    "harness.effects.programs.receive_buffer",
    "harness.effects.programs.short_queue",
    "harness.effects.programs.sleep_or_spin",
    "harness.effects.programs.two_writes",
    "harness.effects.scene",
    "harness.effects.experiments",
    "harness.compare",
    "harness.tables",
    "harness.precision",
    "harness.rounds",
    "harness.resolution",
    "harness.report.wording",
    "harness.report.rankings",
    "harness.figures",
    "harness.report.answer",
    "harness.report.workloads",
    "harness.report.overview",
    "harness.report.pairs",
    "harness.report.method",
    "harness.report.servers",
    "harness.report.instrument",
    "harness.report.proof",
    "harness.report.promises",
    "harness.report.faults",
    "harness.report.connections",
    "harness.report.costs",
    "harness.report.causes",
    "harness.report.choice",
    "harness.report.render",
    "harness.campaign",
    "harness.phases",
    "harness.bench",
    "harness.selftest.check",
    "harness.selftest.null_server",
    "harness.selftest.basics",
    "harness.selftest.stall",
    "harness.selftest.waiting",
    "harness.selftest.resolution",
    "harness.selftest.repeated",
    "harness.commands.options",
    "harness.commands.catalogue",
    "harness.commands.conform",
    "harness.commands.prove",
    "harness.commands.false_alarms",
    "harness.commands.torture",
    "harness.commands.costs",
    "harness.commands.effect",
    "harness.commands.fuzz",
    "harness.commands.limits",
    "harness.commands.loading",
    "harness.commands.shown",
    "harness.commands.lesson",
    "harness.commands.load",
    "harness.commands.sweep",
    "harness.commands.study",
    "harness.commands.compare",
    "harness.commands.selftest",
    "harness.commands.resolution",
    "harness.__main__",
]
PURE = [
    "harness/plan.py",
    "harness/inference.py",
    "harness/order.py",
    "harness/schedule.py",
    "harness/torture/books.py",
    "harness/costs_record.py",
    "harness/slopes.py",
    "harness/tally.py",
    "harness/quantiles.py",
    "harness/steadiness.py",
    "harness/validity.py",
    "harness/search.py",
    "harness/analyse.py",
    "harness/compare.py",
    "harness/tables.py",
    "harness/precision.py",
    "harness/rounds.py",
    "harness/resolution.py",
    "harness/selftest/check.py",
    *(
        str(file.relative_to(PROJECT))
        for folder in ("causes", "report")
        for file in sorted((PROJECT / "harness" / folder).glob("*.py"))
    ),
    "harness/figures.py",
    "harness/conformance/oracle.py",
    "harness/conformance/inputs.py",
]
NOT_PURE = IO_MODULES - {"io"} | {
    "subprocess",
    "psutil",
    "pathlib",
    "tempfile",
    "harness.launch",
    "harness.measure",
    "harness.client",
    "harness.loops",
    "harness.drive",
    "harness.company",
}


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports at run time."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {module if module in DIRECTION else node.module for module in modules}
    return found


def test_the_core_imports_no_io() -> None:
    assert imports(PROJECT / "implementations/protocol.py") <= {"math", "typing"}


@pytest.mark.parametrize("name", [implementation.name for implementation in CATALOGUE])
def test_an_implementation_imports_its_library_and_what_is_shared(name: str) -> None:
    roots = {module.partition(".")[0] for module in imports(PROJECT / f"implementations/{name}.py")}
    ours = {
        module
        for module in imports(PROJECT / f"implementations/{name}.py")
        if module.startswith("implementations")
    }
    assert ours <= SHARED | ({EVENT_LOOP} if name.startswith("asyncio_") else set())
    assert roots - {"implementations"} - LIBRARY_OF.get(name, set()) <= sys.stdlib_module_names


def test_every_implementation_is_in_the_catalogue() -> None:
    files = {path.stem for path in (PROJECT / "implementations").glob("*.py")}
    assert files - {"__init__", "protocol", "server", "event_loop"} == {
        implementation.name for implementation in CATALOGUE
    }
    assert all(implementation.declares <= CAPABILITIES.keys() for implementation in SERVERS.values())


def test_every_lesson_is_in_the_catalogue() -> None:
    files = {path.stem for path in (PROJECT / "implementations/lessons").glob("*.py")}
    assert files - {"__init__", "two_clients"} == {lesson.name for lesson in LESSONS}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_stands_alone_and_says_what_to_look_at(lesson: Lesson) -> None:
    path = PROJECT / lesson.file
    ours = {module for module in imports(path) if module.startswith(("implementations", "harness"))}
    assert ours <= {"implementations.lessons.two_clients"}
    assert {module.partition(".")[0] for module in imports(path) - ours} <= sys.stdlib_module_names
    assert "\nLook at\n- " in (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


def test_the_harness_imports_point_one_way() -> None:
    for place, module in enumerate(DIRECTION):
        path = PROJECT / f"{module.replace('.', '/')}.py"
        later = imports(path) & set(DIRECTION[place:])
        assert not later, f"{module} imports {later}"


def test_every_module_of_the_harness_has_its_place() -> None:
    files = {
        path.relative_to(PROJECT) for path in (PROJECT / "harness").rglob("*.py") if path.stem != "__init__"
    }
    assert {str(file.with_suffix("")).replace("/", ".") for file in files} == set(DIRECTION)


@pytest.mark.parametrize("file", PURE)
def test_pure_stages_touch_no_process_socket_clock_or_file(file: str) -> None:
    assert not imports(PROJECT / file) & NOT_PURE


def test_the_generator_shares_nothing_with_the_servers() -> None:
    for file in (
        "drive.py",
        "company.py",
        "loops.py",
        "client.py",
        "schedule.py",
        "order.py",
        "conformance/oracle.py",
    ):
        found = imports(PROJECT / "harness" / file)
        assert not any(module.startswith("implementations") for module in found), file


def test_nobody_catches_everything() -> None:
    allowed = {"harness/conformance/judge.py"}  # whatever a case raises must become a verdict
    for path in [*(PROJECT / "implementations").rglob("*.py"), *(PROJECT / "harness").rglob("*.py")]:
        handlers = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ExceptHandler)
        ]
        broad = [
            h for h in handlers if h.type is None or ast.unparse(h.type) in {"Exception", "BaseException"}
        ]
        assert not broad or str(path.relative_to(PROJECT)) in allowed, path


def test_every_clause_is_cited_and_every_citation_exists() -> None:
    text = (PROJECT / "implementations/PROTOCOL.md").read_text(encoding="utf-8")
    clauses = set(re.findall(r"^(\d\.\d+)\. ", text, re.MULTILINE))
    cited = {clause.strip() for case in CASES for clause in case.clause.split(",")}
    assert cited <= clauses
    # No case yet: the default options, --verbose and its absence, an immediate close (seen by L11 and L14).
    assert clauses - cited <= {"5.1", "5.6", "5.7", "6.8"}


def test_cases_have_ids_of_their_group_and_titles() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    for group in GROUPS:
        assert [case.id for case in group.cases] == [
            f"{group.letter}{n:02}" for n in range(1, len(group.cases) + 1)
        ]
    assert all(case.title and not case.title.endswith(".") for case in CASES)
    assert all((case.check_absence is None) == (case.capability is None) for case in CASES)
    assert all(case.capability in CAPABILITIES for case in CASES if case.capability)


def test_workload_names_are_unique() -> None:
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)


def test_the_readme_counts_the_cases() -> None:
    assert f"passed {len(CASES)} byte-exact cases" in (PROJECT / "README.md").read_text(encoding="utf-8")
