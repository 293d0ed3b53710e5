"""The image that `make image` has built, run as in a cluster that trusts nobody."""

import os
import subprocess

import pytest

from tests.support.containers import BASE, FOLDER, IMAGE, built, hindered, layers, podman, restricted
from tests.support.environments import installed
from tests.support.eventually import eventually
from tests.support.modules import ROOT
from tests.support.program import answer, free_port, ready

# What our layers may add to the image that they begin with.
LARGEST_BYTES = 125_000_000
STOPS_WITHIN_S = 2


@pytest.fixture
def image() -> str:
    """Return our image, as `make image` has built it, where containers can be run."""
    if why := hindered():
        pytest.skip(f"no container runs on this machine, of whatever image: {why}")
    assert (FOLDER / "built").exists(), "`make image` has failed, see above"
    return IMAGE


def test_dockerfile_is_clean() -> None:
    """Hadolint has nothing to say."""
    hadolint = installed("deploy", ROOT / "tests" / "e2e" / "deploy-requirements.txt") / "hadolint"
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_same_files_make_the_same_layers(image: str) -> None:
    """Built once more from nothing: whoever rebuilds a release gets what was released. It stays small, too."""
    assert layers(built(f"{image}:again")) == layers(image)
    ours, base = (int(podman("image", "inspect", name, "--format={{.Size}}")) for name in (image, BASE))
    assert ours - base < LARGEST_BYTES


async def test_image_runs_without_any_right(image: str) -> None:
    """Read-only, without capabilities, with 256 MB: demo serves, is healthy, and ends within two seconds."""
    listen, simulated = (f"127.0.0.1:{free_port()}" for _ in range(2))
    demo = ("demo", "--web.listen-address", listen, "--simulator.listen-address", simulated)
    options = ("--env", f"SPEXPORTER_URL=http://{listen}")
    with restricted(image, *demo, name=f"spexporter-{os.getpid()}", options=options) as container:
        await eventually(lambda: _answers(listen), "the demo serves", within_s=30)
        await ready(f"http://{listen}")
        assert container.healthy(), container.said()
        _, page = await answer(f"http://{listen}/metrics")
        assert 'spconfig_tenant_up{tenant="acme-prod"} 1' in page
        facts = container.inside(
            "sh", "-c", "id -u; grep CapEff /proc/self/status; touch /x 2>&1; touch /data/x && pwd"
        )
        assert container.inside("python", "-c", "import asyncpg; print('driver')") == "driver"  # for replicas
        denied = "touch: cannot touch '/x': Read-only file system"
        assert facts.split("\n") == ["10001", "CapEff:\t0000000000000000", denied, "/data"]
        assert container.stopped(STOPS_WITHIN_S) == 0, container.said()


async def _answers(listen: str) -> bool:
    try:
        return (await answer(f"http://{listen}/-/healthy"))[0] == 200
    except OSError:
        return False
