"""Modules of a package as syntax trees, for tests that hold the source to a rule."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Module:
    """One file: its dotted name (that of the package for `__init__.py`), its path and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module


def read_modules(package: Path) -> Iterator[Module]:
    """Read every module below a package's folder, in order of their paths; nothing is imported or run."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield Module(name, path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
