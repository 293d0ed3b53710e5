import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.modules import ROOT, Module, read_modules

PACKAGE = "spexporter"
# From the core outwards: a room may import those of the rings before its own, and none beside it.
RINGS = (
    {"domain"},
    {"clock", "config"},
    {"sailpoint", "watch", "ledger", "board", "exposition", "telemetry", "supervisor", "turns"},
    {"poller", "web", "connect"},
    {"desk"},
    {"fleet", "direct"},
    {"files", "remote"},
    {"orders"},
    {"share"},
    {"app", "logs"},
    {"cli"},
)
# What does not follow from the rings.
EXCEPTIONS = {
    "config": {"domain", "clock"},  # it reads durations and dates
    "simulator": {"clock"},  # it stands for somebody else's server, so it must not share our mistakes
    "cli": {"simulator"}.union(*RINGS),  # commands start anything
    "__main__": {"cli"},
}
ALLOWED = {room: set().union(*RINGS[:ring]) for ring, rooms in enumerate(RINGS) for room in rooms} | EXCEPTIONS


def imported_rooms(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Rooms of ours that a statement imports, "." for a relative import; the bare package (its version) is none."""
    if isinstance(node, ast.ImportFrom) and node.level:
        yield "."
    elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
        yield from (alias.name for alias in node.names if alias.name != "__version__")
    else:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}."))


def wrong_arrows(modules: Iterator[Module]) -> Iterator[str]:
    """Yield "module:line imports room" for each import that the rings do not allow, types and functions included."""
    for module in modules:
        room = module.name.partition(".")[2].partition(".")[0]
        if room and room not in ALLOWED:
            yield f"{module.name} is in no ring: give the room {room} its place in RINGS"
            continue
        allowed = ALLOWED[room] | {room} if room else set()
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                wrong = (imported for imported in imported_rooms(node) if imported not in allowed)
                yield from (f"{module.name}:{node.lineno} imports {imported}" for imported in wrong)


def test_imports_point_one_way() -> None:
    """No module of ours imports outwards, or a room beside its own."""
    assert list(wrong_arrows(read_modules(ROOT / PACKAGE))) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        pytest.param(
            "domain/job.py", "import spexporter.clock", "spexporter.domain.job:1 imports clock", id="outwards"
        ),
        pytest.param(
            "clock.py", "from spexporter.config import load", "spexporter.clock:1 imports config", id="beside"
        ),
        pytest.param(
            "web/pages.py", "from spexporter.poller import Poller", "spexporter.web.pages:1 imports poller", id="peers"
        ),
        pytest.param(
            "board.py", "from spexporter import __version__, app", "spexporter.board:1 imports app", id="as-a-name"
        ),
        pytest.param(
            "ledger/__init__.py",
            "def f():\n    from spexporter.cli import x",
            "spexporter.ledger:2 imports cli",
            id="late",
        ),
        pytest.param(
            "watch/files.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import os, spexporter.sailpoint.client",
            "spexporter.watch.files:3 imports sailpoint",
            id="for-types-only",
        ),
        pytest.param("app.py", "import spexporter.simulator", "spexporter.app:1 imports simulator", id="simulator"),
        pytest.param(
            "simulator/jobs.py", "import spexporter.domain.job", "spexporter.simulator.jobs:1 imports domain", id="back"
        ),
        pytest.param("web/pages.py", "from . import api", "spexporter.web.pages:1 imports .", id="relative"),
        pytest.param("__init__.py", "from spexporter import app", "spexporter:1 imports app", id="package-itself"),
        pytest.param("__main__.py", "import spexporter.app", "spexporter.__main__:1 imports app", id="main"),
        pytest.param(
            "attic.py", "", "spexporter.attic is in no ring: give the room attic its place in RINGS", id="new-room"
        ),
    ],
)
def test_wrong_arrow_is_found(tmp_path: Path, path: str, source: str, expected: str) -> None:
    """The check names the module, the line and the room wherever and however the import is written."""
    file = tmp_path / PACKAGE / path
    file.parent.mkdir(parents=True)
    file.write_text(source)
    assert list(wrong_arrows(read_modules(tmp_path / PACKAGE))) == [expected]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        pytest.param("config/load.py", "import spexporter.clock, spexporter.domain.errors", id="config-and-clock"),
        pytest.param("ledger/memory.py", "from spexporter import __version__, domain", id="version-and-core"),
        pytest.param("web/pages.py", "from spexporter.web import api\nfrom spexporter.board import B", id="own-room"),
        pytest.param("app.py", "import aiohttp, spexporter.web, spexporter.poller", id="app"),
        pytest.param("cli/demo.py", "from spexporter import app, simulator", id="cli"),
        pytest.param("simulator/jobs.py", "from spexporter.clock import Clock", id="simulator"),
    ],
)
def test_right_arrow_is_let_be(tmp_path: Path, path: str, source: str) -> None:
    """Imports inwards, within a room, of the version and of foreign packages are nobody's concern."""
    file = tmp_path / PACKAGE / path
    file.parent.mkdir(parents=True)
    file.write_text(source)
    assert list(wrong_arrows(read_modules(tmp_path / PACKAGE))) == []
