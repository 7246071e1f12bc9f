"""The rules of the architecture."""

import ast
import re
import sys
from pathlib import Path

import pytest

from harness.conformance.judge import CASES, GROUPS
from harness.plan.workloads import WORKLOADS
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
    "harness.launch.interpreters",
    "harness.launch.candidates",
    "harness.launch.process",
    "harness.oracle",
    "harness.conformance.case",
    "harness.conformance.peer",
    "harness.conformance.target",
    "harness.conformance.cases.framing",
    "harness.conformance.cases.arithmetic",
    "harness.conformance.cases.sessions",
    "harness.conformance.cases.concurrency",
    "harness.conformance.cases.capabilities",
    "harness.conformance.cases.stopping",
    "harness.conformance.judge",
    "harness.cli.matrix",
    "harness.record.conformance",
    "harness.conformance.fuzz.inputs",
    "harness.machine.connections",
    "harness.conformance.fuzz.model",
    "harness.conformance.fuzz.search",
    "harness.conformance.fuzz.reproducer",
    "harness.conformance.proof.mutants",
    "harness.conformance.proof.specimens",
    "harness.conformance.proof.false_alarms",
    "harness.drive.orders",
    "harness.plan.workloads",
    "harness.drive.schedule",
    "harness.drive.client",
    "harness.drive.loops.loop",
    "harness.drive.generator",
    "harness.drive.background.guests",
    "harness.record.costs",
    "harness.analyse.slopes",
    "harness.record.files",
    "harness.experiments.faults.accounts",
    "harness.experiments.faults.probe",
    "harness.experiments.faults.proxy",
    "harness.experiments.faults.scene",
    "harness.experiments.faults.faults",
    "harness.experiments.faults.run",
    "harness.study.window",
    "harness.study.cell",
    "harness.experiments.capacity",
    "harness.machine.processes",
    "harness.machine.strace",
    "harness.experiments.costs.clients",
    "harness.experiments.costs.run",
    "harness.study.environment",
    "harness.analyse.statistics.inference",
    "harness.analyse.samples.quantiles",
    "harness.analyse.samples.steadiness",
    "harness.analyse.samples.validity",
    "harness.analyse.knee",
    "harness.analyse.samples.metrics",
    "harness.analyse.causes.evidence",
    "harness.analyse.causes.requests",
    "harness.analyse.causes.connections",
    "harness.analyse.causes.waiting",
    "harness.analyse.causes.rules",
    "harness.experiments.effects.programs.beside_a_computation",
    "harness.experiments.effects.programs.costly_and_light",
    "harness.experiments.effects.programs.idle_watch",
    "harness.experiments.effects.programs.receive_buffer",
    "harness.experiments.effects.programs.short_queue",
    "harness.experiments.effects.programs.sleep_or_spin",
    "harness.experiments.effects.programs.two_writes",
    "harness.experiments.effects.setup",
    "harness.experiments.effects.effects",
    "harness.analyse.comparisons",
    "harness.analyse.tables",
    "harness.analyse.precision",
    "harness.study.rounds",
    "harness.analyse.statistics.power",
    "harness.report.wording",
    "harness.analyse.rankings",
    "harness.report.figures.panels",
    "harness.report.sections.answer",
    "harness.report.sections.workloads",
    "harness.report.sections.overview",
    "harness.report.sections.pairs",
    "harness.report.sections.method",
    "harness.report.sections.code",
    "harness.report.sections.instrument",
    "harness.report.sections.proof",
    "harness.report.sections.conformance",
    "harness.report.sections.faults",
    "harness.report.sections.capacity",
    "harness.report.sections.costs",
    "harness.report.sections.causes",
    "harness.report.sections.choice",
    "harness.report.markdown",
    "harness.study.campaign",
    "harness.study.phases",
    "harness.study.bench",
    "harness.experiments.selftest.check",
    "harness.experiments.selftest.null_server",
    "harness.experiments.selftest.basics",
    "harness.experiments.selftest.stall",
    "harness.experiments.selftest.queueing",
    "harness.experiments.selftest.known_effect",
    "harness.experiments.selftest.trials",
    "harness.cli.options",
    "harness.cli.catalogue",
    "harness.cli.conform",
    "harness.cli.prove",
    "harness.cli.false_alarms",
    "harness.cli.torture",
    "harness.cli.costs",
    "harness.cli.effect",
    "harness.cli.fuzz",
    "harness.cli.limits",
    "harness.cli.load_options",
    "harness.cli.load_table",
    "harness.cli.lesson",
    "harness.cli.load",
    "harness.cli.sweep",
    "harness.cli.bench",
    "harness.cli.compare",
    "harness.cli.selftest",
    "harness.cli.resolution",
    "harness.__main__",
]
PURE = [
    "harness/plan/workloads.py",
    "harness/analyse/statistics/inference.py",
    "harness/drive/orders.py",
    "harness/drive/schedule.py",
    "harness/experiments/faults/accounts.py",
    "harness/record/costs.py",
    "harness/analyse/slopes.py",
    "harness/study/window.py",
    "harness/analyse/samples/quantiles.py",
    "harness/analyse/samples/steadiness.py",
    "harness/analyse/samples/validity.py",
    "harness/analyse/knee.py",
    "harness/analyse/samples/metrics.py",
    "harness/analyse/comparisons.py",
    "harness/analyse/tables.py",
    "harness/analyse/precision.py",
    "harness/study/rounds.py",
    "harness/analyse/statistics/power.py",
    "harness/experiments/selftest/check.py",
    *(
        str(file.relative_to(PROJECT))
        for folder in ("analyse", "report")
        for file in sorted((PROJECT / "harness" / folder).rglob("*.py"))
    ),
    "harness/report/figures/panels.py",
    "harness/oracle.py",
    "harness/conformance/fuzz/inputs.py",
]
NOT_PURE = IO_MODULES - {"io"} | {
    "subprocess",
    "psutil",
    "pathlib",
    "tempfile",
    "harness.launch.process",
    "harness.study.cell",
    "harness.drive.client",
    "harness.drive.loops.loop",
    "harness.drive.generator",
    "harness.drive.background.guests",
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
        "drive/generator.py",
        "drive/background/guests.py",
        "drive/loops/loop.py",
        "drive/client.py",
        "drive/schedule.py",
        "drive/orders.py",
        "oracle.py",
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
