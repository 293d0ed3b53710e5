"""The workflow does what everybody else does: the same targets, over every version of Python that we promise."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.support.modules import ROOT

WORKFLOW: Mapping[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def commands() -> list[str]:
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    return [step["run"] for step in steps if "run" in step]


def test_every_target_exists() -> None:
    """It calls `make`, and nothing that only it knows."""
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    called = {name for line in commands() for name in re.findall(r"\bmake (\w+)", line) if "apt-get" not in line}
    assert called == {"check", "sbom", "version"}
    assert called <= targets
    assert ".ci/run" in commands()


def test_every_python_that_we_promise_is_tried() -> None:
    """From `requires-python` to the newest, without a gap; the classifiers say the same."""
    tried = WORKFLOW["jobs"]["check"]["strategy"]["matrix"]["python"]
    assert tried == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)
    assert tried == [f"3.{minor}" for minor in range(11, 15)]
    assert f'requires-python = ">={tried[0]}"' in PYPROJECT


def test_it_may_only_read() -> None:
    """Its token is good for nothing else."""
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [name for name, job in WORKFLOW["jobs"].items() if "permissions" in job] == []
