"""What is known of servers besides their figures: their factors, and their sources."""

import ast
import hashlib
import io
import sys
import tokenize
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harness.launch.candidates import Candidate
from harness.launch.environments import added_at
from harness.launch.interpreters import Interpreter, interpreter, tried
from harness.record import PROJECT, InterpreterFacts, Results, ServerFacts
from harness.record.fingerprint import reached_from
from implementations.catalogue import SERVERS

LIBRARIES: Final = tuple(
    dict.fromkeys(library for server in SERVERS.values() for library in server.libraries)
)
IMPORTED: Final = {".py", ".so"}
_NO_CODE: Final = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER
}  # fmt: skip


def changed_since(results: Results) -> list[str]:
    """Return the servers whose source is no longer what was measured."""
    return [
        facts.label
        for facts in results.manifest.servers
        if facts.file
        and (not (PROJECT / facts.file).exists() or source_hash(facts.file, facts.loop) != facts.source_hash)
    ]


def facts(candidates: Iterable[Candidate]) -> tuple[ServerFacts, ...]:
    """Describe the servers of a run."""
    described = []
    for candidate in candidates:
        implementation = candidate.implementation
        files = [PROJECT / file for file in implementation.files] if implementation else []
        loop = candidate.loop.partition("=")[2]
        described.append(
            ServerFacts(
                label=candidate.label,
                model=implementation.model if implementation else "given by its command",
                declares=tuple(sorted(candidate.declares or ())),
                command=" ".join(("python", *candidate.command[1:]) if implementation else candidate.command),
                file=implementation.file if implementation else "",
                code_lines=sum(map(code_lines, files)),
                source_hash=source_hash(implementation.file, loop) if implementation else "",
                code_branches=sum(map(code_branches, files)),
                factors=factors(candidate),
                regime=candidate.regime,
                most_clients=candidate.most_clients,
                loop=loop,
                mistake=implementation.mistake if implementation else "",
                refusal=candidate.refusal,
            )
        )
    return tuple(described)


def factors(candidate: Candidate) -> dict[str, str]:
    """Return what besides its model has a share in a server's figures; of a command nobody knows."""
    if candidate.implementation is None:
        return {"regime": candidate.regime} | (
            {"measured": " and ".join(candidate.ways)} if candidate.ways else {}
        )
    python = candidate.python or interpreter(sys.executable)
    needed = [
        f"{library} {tried(python, library).version or 'none'}"
        for library in candidate.implementation.libraries
    ]
    return candidate.implementation.factors | {
        "regime": candidate.regime,
        "interpreter": str(python),
        "libraries": ", ".join(needed) or "none",
        **({"measured": " and ".join(candidate.ways)} if candidate.ways else {}),
    }


def interpreter_facts(candidates: Iterable[Candidate]) -> tuple[InterpreterFacts, ...]:
    """Describe the interpreters of a run, besides our own."""
    pythons = dict.fromkeys(candidate.python for candidate in candidates if candidate.python)
    return tuple(
        InterpreterFacts(python.label, str(python), python.build, libraries_of(python)) for python in pythons
    )


def libraries_of(python: Interpreter) -> dict[str, str]:
    """Return the libraries that servers need, each with its version there, or with why it is not to be had."""
    environment = added_at(python.path)
    found = {}
    for library in LIBRARIES:
        version, why = tried(python, library)
        refused = environment.refused.get(library) if environment else None
        found[library] = refused or why or version
    return found


def source_hash(file: str, loop: str = "") -> str:
    """Return a hash of an implementation, of all that it shares with others, and of an event loop of the caller's own."""
    package, _, _ = file.partition("/")
    module = file.removesuffix(".py").replace("/", ".")
    reached = sorted(reached_from(module, package=package))
    return hash_of([*(PROJECT / f"{source.replace('.', '/')}.py" for source in reached), *loop_sources(loop)])


def loop_sources(loop: str) -> list[Path]:
    """Return the files of an event loop that lies in a folder; an installed one's are not looked at."""
    folder, in_folder, module = loop.rpartition("/")
    if not in_folder:
        return []
    name = module.partition(":")[0].partition(".")[0]
    alone = [path for path in Path(folder).glob(f"{name}.*") if path.suffix in IMPORTED]
    return sorted([*alone, *(path for path in Path(folder, name).rglob("*") if path.suffix in IMPORTED)])


def hash_of(sources: Iterable[Path]) -> str:
    """Return a hash of files."""
    digest = hashlib.sha256()
    for source in sources:
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
