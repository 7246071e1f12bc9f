"""By what a result stands: the sources of ours that a module reaches by its imports, found by the syntax tree.

A name that a package hands on is followed to where it is defined. Comments and layout do not count. One function of a
module stands on itself and on the names that it uses, so that a change of its neighbour does not concern it.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from harness.record.folders import PROJECT

OURS: Final = "harness"
DIGITS: Final = 12


@cache
def fingerprint(
    *modules: str, root: Path = PROJECT, package: str = OURS, without: frozenset[str] = frozenset()
) -> str:
    """Return a hash of modules and of all of a package that they reach.

    Args:
        modules: where to begin.
        root: the folder that the package is in.
        package: what is followed; all else is taken as it is.
        without: modules that are not looked at, nor what only they reach.
    """
    reached = reached_from(*modules, root=root, package=package, without=without)
    return _digest({module: _dump(_path(module, root)) for module in reached})


def together(*parts: str) -> str:
    """Return one hash for several."""
    return sha256("\n".join(parts).encode()).hexdigest()[:DIGITS]


@cache
def fingerprint_of(
    module: str, name: str, within: str, *, root: Path = PROJECT, without: frozenset[str] = frozenset()
) -> str:
    """Return a hash of one function of a module, and of the names that it uses, and of those that these use.

    Args:
        module: where it is.
        name: what it is called.
        within: the package whose names are looked at one by one; a name from elsewhere stands for all that its module reaches.
        root: the folder that the package is in.
        without: modules elsewhere that are not looked at, nor what only they reach.
    """
    parts: dict[str, str] = {}
    elsewhere: set[str] = set()
    waiting = [(module, name)]
    while waiting:
        home, used = waiting.pop()
        if not _is_within(home, within):
            elsewhere.add(home)
        elif f"{home}.{used}" not in parts and (definition := _definition(home, used, root)):
            parts[f"{home}.{used}"] = ast.dump(definition)
            waiting += _names_used(home, definition, root)
    reached = reached_from(*elsewhere, root=root, without=without)
    return _digest(parts | {each: _dump(_path(each, root)) for each in reached})


def _is_within(module: str, package: str) -> bool:
    """Tell whether a module is a package, or in it."""
    return module == package or module.startswith(f"{package}.")


def reached_from(
    *modules: str, root: Path = PROJECT, package: str = OURS, without: Collection[str] = ()
) -> set[str]:
    """Return modules and all of a package that they import, and those that these import, and so on.

    Raises:
        FileNotFoundError: there is none of such a name.
    """
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached and module not in without:
            reached.add(module)
            waiting += (imported.home for imported in _imported(module, root, package))
    return reached


def _digest(parts: Mapping[str, str]) -> str:
    text = "".join(f"{name}\n{part}\n" for name, part in sorted(parts.items()))
    return sha256(text.encode()).hexdigest()[:DIGITS]


def _definition(module: str, name: str, root: Path) -> ast.stmt | None:
    """Return the statement of a module that defines a name, if one does."""
    for node in _tree(_path(module, root)).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef() if node.name == name:
                return node
            case ast.Assign() if name in {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}:
                return node
            case ast.AnnAssign(target=ast.Name(id=target)) if target == name:
                return node
    return None


def _names_used(module: str, definition: ast.AST, root: Path) -> Iterator[tuple[str, str]]:
    """Yield the names of ours in a definition, each with the module that defines it."""
    used = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}
    yield from ((module, name) for name in used)
    for imported in _imported(module, root, OURS):
        if imported.known_as in used:
            yield imported.home, imported.name


class _Import(NamedTuple):
    """A name that a module imports: what it is called there, the module that it is of, and its name in that."""

    known_as: str
    home: str
    name: str


@cache
def _imported(module: str, root: Path, package: str) -> tuple[_Import, ...]:
    """Return what a module imports of a package, for whatever reason and wherever in it."""
    found = []
    for node in _statements(_tree(_path(module, root))):
        if isinstance(node, ast.ImportFrom) and node.module and _is_within(node.module, package):
            for alias in node.names:
                home = _home_of(node.module, alias.name, root)
                found.append(_Import(alias.asname or alias.name, home, alias.name))
        elif isinstance(node, ast.Import):
            found += [
                _Import(alias.asname or package, alias.name, "")
                for alias in node.names
                if _is_within(alias.name, package)
            ]
    return tuple(found)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield a module's statements, wherever in it: most of a tree is expressions, and no import is in one."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


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


@cache
def _dump(path: Path) -> str:
    return ast.dump(_tree(path))
