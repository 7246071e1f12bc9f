"""Facts about the machine, the project and the servers, gathered once for a run's manifest."""

import ast
import hashlib
import importlib.metadata
import io
import platform
import resource
import subprocess
import sys
import tokenize
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil

from harness.launch.candidates import Candidate
from harness.launch.interpreters import interpreter, library_version
from harness.launch.process import PROJECT
from harness.record.files import Environment, ServerFacts
from harness.study.cell import two_cores

SHARED_SOURCES: Final = ("implementations/protocol.py", "implementations/server.py")
_NO_CODE: Final = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER
}  # fmt: skip


def gather() -> Environment:
    """Look at this machine."""
    server_cores, generator_cores = two_cores()
    cpu_lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in cpu_lines if line.startswith("model name")]
    return Environment(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries=libraries(),
        kernel=f"{platform.system()} {platform.release()}",
        cpu=models[0] if models else platform.machine(),
        cores=psutil.cpu_count() or 1,
        server_cores=server_cores,
        generator_cores=generator_cores,
        memory_bytes=psutil.virtual_memory().total,
        open_files_limit=resource.getrlimit(resource.RLIMIT_NOFILE),
    )


def libraries() -> dict[str, str]:
    """Return the version of every installed library."""
    found = {
        distribution.metadata["Name"].lower(): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    return dict(sorted(found.items()))


def revision() -> str:
    """Return the project's git revision, marked if files differ from it; "unknown" outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "implementations", "harness")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + (" with local changes" if changed else "")


def facts(candidates: Iterable[Candidate]) -> tuple[ServerFacts, ...]:
    """Describe the servers of a run."""
    described = []
    for candidate in candidates:
        implementation = candidate.implementation
        described.append(
            ServerFacts(
                label=candidate.label,
                model=implementation.model if implementation else "given by its command",
                declares=tuple(sorted(candidate.declares or ())),
                command=" ".join(("python", *candidate.command[1:]) if implementation else candidate.command),
                file=implementation.file if implementation else "",
                code_lines=code_lines(PROJECT / implementation.file) if implementation else 0,
                source_hash=source_hash(implementation.file) if implementation else "",
                code_branches=code_branches(PROJECT / implementation.file) if implementation else 0,
                factors=factors(candidate),
                regime=candidate.regime,
                most_clients=candidate.most_clients,
            )
        )
    return tuple(described)


def factors(candidate: Candidate) -> dict[str, str]:
    """Return what besides its model has a share in a server's figures; of a command nobody knows."""
    if candidate.implementation is None:
        return {"regime": candidate.regime}
    python = candidate.python or interpreter(sys.executable)
    needed = [
        f"{library} {library_version(python, library)}" for library in candidate.implementation.libraries
    ]
    return candidate.implementation.factors | {
        "regime": candidate.regime,
        "interpreter": str(python),
        "libraries": ", ".join(needed) or "none",
    }


def source_hash(file: str) -> str:
    """Return a hash of an implementation and of what it shares with the others."""
    digest = hashlib.sha256()
    for source in (file, *SHARED_SOURCES):
        digest.update((PROJECT / source).read_bytes())
    return digest.hexdigest()[:16]


def harness_hash() -> str:
    """Return a hash of the harness's own sources."""
    digest = hashlib.sha256()
    for source in sorted((PROJECT / "harness").rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def code_lines(path: Path) -> int:
    """Count the lines that hold code: neither blank, nor comment, nor docstring."""
    text = path.read_text(encoding="utf-8")
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def code_branches(path: Path) -> int:
    """Count the places where code may go on in more than one way, as cyclomatic complexity does (McCabe 1976).

    Each `if` (`elif` and conditional expressions too), `for`, `while`, `except`, `case` and condition of a comprehension
    is one, and so is each `and` and `or`.
    """
    branching = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
    count = 0
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        count += isinstance(node, branching)
        if isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            count += len(node.ifs)
    return count


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=True)  # noqa: S607 - git is found by its name
    return done.stdout.strip()
