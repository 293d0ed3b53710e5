"""Images and containers without a registry and without a daemon: buildah, podman and runc, in a folder of ours."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.modules import ROOT

# Git knows nothing of it, and `make clean` removes it.
FOLDER = ROOT / "build" / "images"
BASE = "docker.io/library/python:3.13-slim"
IMAGE = "localhost/spexporter"  # `make image` builds it
WITHIN_S = 110.0  # less than the time after which pytest ends everything
PACKAGES = "buildah debootstrap podman runc"
_STORAGE = ("--root", str(FOLDER / "storage"), "--runroot", str(FOLDER / "run"), "--storage-driver", "vfs")
# As in a cluster that trusts nobody; the limits of processes and files are those that a container may set in another.
_RESTRICTED = (
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"),
    *("--memory=256m", "--pids-limit=64", "--network=host", "--ulimit=nofile=1024:2048", "--ulimit=nproc=1024:2048"),
)


def tool(name: str) -> str:
    """Return the path of a program; the test fails where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not on the PATH: apt-get install --no-install-recommends {PACKAGES}")
    return path


def _ran(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=WITHIN_S, check=False)


def podman(*arguments: str | Path) -> str:
    """Run podman on our storage, with what works where neither systemd nor another manager of control groups does."""
    done = _podman(*arguments)
    if done.returncode:
        pytest.fail(f"podman {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def _podman(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    how = ("--cgroup-manager=cgroupfs", "--events-backend=file", "--runtime=runc")
    return _ran(tool("podman"), *_STORAGE, *how, *arguments)


@cache
def hindered() -> str:
    """Say why this machine runs no containers at all, of whatever image; empty where it does.

    It takes rights that root does not have everywhere, such as inside of another container.
    """
    tried = _podman("run", "--rm", "--pull=never", *_RESTRICTED, BASE, "true")
    return (tried.stderr.strip() or f"status {tried.returncode}") if tried.returncode else ""


def built(tag: str) -> str:
    """Build our image once more, from nothing, as `tag`."""
    done = _ran(ROOT / "scripts" / "make-image", FOLDER, tag, "--no-cache")
    if done.returncode:
        pytest.fail(f"the image cannot be built:\n{done.stdout}{done.stderr}")
    return tag


def layers(image: str) -> Sequence[str]:
    """Return the digests of an image's layers, the lowest first."""
    found: list[str] = json.loads(podman("image", "inspect", image, "--format={{json .RootFS.Layers}}"))
    return found


@dataclass(frozen=True, slots=True)
class Container:
    """A running container."""

    name: str

    def inside(self, *command: str) -> str:
        """Run a command in it and return what it printed."""
        return podman("exec", self.name, *command)

    def healthy(self) -> bool:
        """Run the image's own health check."""
        return _podman("healthcheck", "run", self.name).returncode == 0

    def said(self) -> str:
        """Return all that it has written."""
        return podman("logs", self.name)

    def stopped(self, seconds: int) -> int:
        """Stop it with SIGTERM, and after as many `seconds` otherwise; return its exit status, 137 after the latter."""
        podman("stop", "--time", str(seconds), self.name)
        return int(podman("inspect", self.name, "--format={{.State.ExitCode}}"))


@contextmanager
def restricted(image: str, *arguments: str, name: str, options: tuple[str, ...] = ()) -> Iterator[Container]:
    """Run an image read-only, without capabilities and with 256 MB, for as long as the block lasts."""
    podman(
        "run",
        "--detach",
        "--pull=never",
        "--health-interval=disable",
        *_RESTRICTED,
        *options,
        f"--name={name}",
        image,
        *arguments,
    )
    try:
        yield Container(name)
    finally:
        podman("rm", "--force", "--time=0", "--volumes", name)
