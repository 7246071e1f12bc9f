"""By what a result stands: the sources of ours that a module reaches by its imports, found by the syntax tree.

A name that a package hands on is followed to where it is defined. Comments and layout do not count.
"""

import ast
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from harness.record.folders import PROJECT

OURS: Final = "harness"
DIGITS: Final = 12


@cache
def fingerprint(*modules: str, root: Path = PROJECT) -> str:
    """Return a hash of modules and of all of ours that they reach."""
    digest = sha256()
    for module in sorted(reached_from(*modules, root=root)):
        digest.update(f"{module}\n{ast.dump(_tree(_path(module, root)))}\n".encode())
    return digest.hexdigest()[:DIGITS]


def reached_from(*modules: str, root: Path = PROJECT) -> set[str]:
    """Return modules and all of ours that they import, and those that these import, and so on.

    Raises:
        FileNotFoundError: there is none of such a name.
    """
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += _imported(module, root)
    return reached


def _imported(module: str, root: Path) -> Iterator[str]:
    """Yield the modules of ours that a module imports, for whatever reason and wherever in it."""
    for node in ast.walk(_tree(_path(module, root))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == OURS:
            for alias in node.names:
                yield _home_of(node.module, alias.name, root)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == OURS)


def _home_of(module: str, name: str, root: Path) -> str:
    """Return the module that `from module import name` is about: a module of a package, or where a name is defined."""
    path = _path(module, root)
    if path.name != "__init__.py":
        return module
    if (path.parent / f"{name}.py").exists() or (path.parent / name / "__init__.py").exists():
        return f"{module}.{name}"
    for node in _tree(path).body:
        if isinstance(node, ast.ImportFrom) and node.module and name in {alias.name for alias in node.names}:
            return _home_of(node.module, name, root)
    return module


def _path(module: str, root: Path) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
