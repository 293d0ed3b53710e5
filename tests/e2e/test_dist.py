"""What a release consists of: it installs where nothing else is, and runs."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from spexporter import __version__
from tests.support.modules import ROOT
from tests.support.program import LOOPBACK, answer, started

WITHIN_S = 110
PINS = re.compile(r"^([A-Za-z0-9._-]+==\S+(?: ; .*?)?) *\\$", re.MULTILINE)


def run(*command: str | Path) -> None:
    """Run a command in the checkout; the test fails with what it said where it fails."""
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    if done.returncode:
        pytest.fail(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"], ids=["wheel", "sdist"])
async def test_release_installs_into_an_empty_environment_and_runs(kind: str, tmp_path: Path) -> None:
    """With the pinned set and nothing else: demo serves, and the version is this one."""
    run("make", "dist", f"DIST={tmp_path / 'dist'}")
    (release,) = (tmp_path / "dist").glob(kind)
    assert __version__ in release.name
    run(ROOT / "scripts" / "make-venv", sys.executable, tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements.txt", "-r", ROOT / "requirements-build.txt")
    run(*pip, "--no-build-isolation", release)
    demo = (python.parent / "spexporter", "demo", "--web.listen-address", LOOPBACK)
    async with started([*demo, "--simulator.listen-address", LOOPBACK], tmp_path) as program:
        url = await program.url("metrics")
        page = (await answer(f"{url}/metrics"))[1]
        assert re.search(rf'^spexporter_build_info{{.*version="{re.escape(__version__)}"}} 1', page, re.MULTILINE)
        assert (await program.end(signal.SIGTERM)).status == 0


def test_bill_of_materials_names_what_is_installed(tmp_path: Path) -> None:
    """Each pinned package that this machine needs, at its version, and no path of this machine."""
    run("make", "sbom", f"DIST={tmp_path / 'dist'}")
    text = (tmp_path / "dist" / "spexporter.cdx.json").read_text(encoding="utf-8")
    bill = json.loads(text)
    named = {f"{canonicalize_name(part['name'])} {part['version']}" for part in bill["components"]}
    pins = map(Requirement, PINS.findall((ROOT / "requirements.txt").read_text(encoding="utf-8")))
    wanted = {
        f"{canonicalize_name(pin.name)} {str(pin.specifier).removeprefix('==')}"
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }
    assert len(wanted) > 20
    assert named == wanted
    main = bill["metadata"]["component"]
    assert (bill["bomFormat"], main["name"], main["version"]) == ("CycloneDX", "spexporter", __version__)
    assert str(tmp_path) not in text
