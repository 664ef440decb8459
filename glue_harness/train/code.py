"""The code that decides what becomes of a row: files, and what they import, libraries aside."""

from __future__ import annotations

import ast
import hashlib
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
LIBRARIES = tuple(
    Path(path).resolve() for name, path in sysconfig.get_paths().items() if name in ("stdlib", "purelib", "platlib")
)


def digest(*files: Path) -> str:
    """Changes with these files and with every module of the harness, or of a task's author, that they need."""
    found = hashlib.sha256()
    for source in sorted(sources(files)):
        found.update(f"{source.name}\n".encode())
        found.update(source.read_bytes())
    return found.hexdigest()


def sources(files: Iterable[Path]) -> set[Path]:
    """The files, and the sources that imports lead to from there."""
    found: set[Path] = set()
    waiting = [file.resolve() for file in files]
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            waiting += imports(source)
    return found


@cache
def imports(source: Path) -> list[Path]:
    return [file for name in names(ast.parse(source.read_bytes())) for file in files_of(name)]


def names(tree: ast.Module) -> Iterator[str]:
    """Every module that may be meant: of `from a import b`, a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(name: str) -> Iterator[Path]:
    """A module's source and those of the packages around it; nothing is imported to find them."""
    top, *inner = name.split(".")
    source = top_file(top)
    for part in inner:
        if source is None:
            return
        yield source
        below = (source.parent / part / "__init__.py", source.parent / f"{part}.py")
        source = next((f for f in below if f.is_file()), None) if source.name == "__init__.py" else None
    if source:
        yield source


@cache
def top_file(name: str) -> Path | None:
    try:
        found = find_spec(name)
    except ValueError:  # __main__, which has no specification
        return None
    source = Path(found.origin).resolve() if found and found.origin and found.origin.endswith(".py") else None
    return None if source is None or is_library(source) else source


def is_library(file: Path) -> bool:
    """Installed code, ours aside: a library counts by its version."""
    return not file.is_relative_to(HERE) and any(file.is_relative_to(path) for path in LIBRARIES)
