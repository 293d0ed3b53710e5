import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.modules import ROOT, Module, read_modules

ONLY_IN = "spexporter.clock"
# asyncio.timeout is no part of this: time-outs of sockets use the loop's own time, which no test moves.
CLOCK_CALLS = {
    "asyncio.sleep",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "time.time",
    "time.time_ns",
}


def full_names(tree: ast.Module) -> dict[str, str]:
    """Map each imported name to what it stands for: `nap` to `time.sleep` after `from time import sleep as nap`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.partition(".")[0]
                names[alias.asname or package] = alias.name if alias.asname else package
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def clock_reads(modules: Iterator[Module]) -> Iterator[str]:
    """Yield "module:line name" for each place outside the clock that reads time or sleeps, called or handed on."""
    for module in modules:
        if module.name == ONLY_IN:
            continue
        names = full_names(module.tree)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute | ast.Name):
                first, dot, rest = ast.unparse(node).partition(".")
                if (full := names.get(first, "") + dot + rest) in CLOCK_CALLS:
                    yield f"{module.name}:{node.lineno} {full}"


def test_only_the_clock_reads_time_or_sleeps() -> None:
    """Everything else asks a `Clock`, so that tests can move time."""
    assert list(clock_reads(read_modules(ROOT / "spexporter"))) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("import time\ntime.time()", ["spexporter.app:2 time.time"], id="module"),
        pytest.param("import time as t\nt.monotonic()", ["spexporter.app:2 time.monotonic"], id="renamed-module"),
        pytest.param("from time import sleep as nap\nnap(1)", ["spexporter.app:2 time.sleep"], id="renamed-function"),
        pytest.param("import asyncio\nawait asyncio.sleep(0)", ["spexporter.app:2 asyncio.sleep"], id="asyncio"),
        pytest.param("import datetime\ndatetime.datetime.now()", ["spexporter.app:2 datetime.datetime.now"], id="long"),
        pytest.param(
            "from datetime import datetime as D, UTC\nD.now(UTC)",
            ["spexporter.app:2 datetime.datetime.now"],
            id="class",
        ),
        pytest.param(
            "import time\nrun(clock=time.monotonic)", ["spexporter.app:2 time.monotonic"], id="handed-on-uncalled"
        ),
        pytest.param("import asyncio\nasyncio.timeout(1)", [], id="timeout"),
        pytest.param("from datetime import datetime\ndatetime.fromtimestamp(0, UTC)", [], id="conversion"),
        pytest.param("self.time.time()\nsleep(1)\ntime.time()", [], id="other-things-of-that-name"),
    ],
)
def test_clock_read_is_found(tmp_path: Path, source: str, expected: list[str]) -> None:
    """The check sees through renamed imports and leaves time-outs, conversions and like names alone."""
    package = tmp_path / "spexporter"
    package.mkdir()
    (package / "app.py").write_text(source)
    (package / "clock.py").write_text("import time\ntime.time()")
    assert list(clock_reads(read_modules(package))) == expected
