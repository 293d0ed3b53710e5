"""Somebody with tokens, who asks a simulator in which a job is planted."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from spexporter.clock import Clock
from spexporter.domain.values import replace
from spexporter.simulator import Fault, Simulator, TenantPlan, default_plans, result_of, serving
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

ACME, SANDBOX = (replace(plan, jobs_at_start=0, starts_per_minute=0) for plan in default_plans(2))
COUNTS = {"SOURCE": {"errors": 2, "warnings": 1, "infos": 0, "objects": 3}}
STATUS, RESULT, OBJECTS = "sp-config/v1/import/17", "sp-config/v1/import/17/download", "sp-config/v1/config-objects"


@dataclass
class Got:
    """An answer, read whole."""

    status: int
    body: bytes
    headers: Any

    @property
    def json(self) -> Any:  # noqa: ANN401 - decoded JSON
        return json.loads(self.body)


@dataclass
class Scene:
    """A simulator in which acme-prod has an import 17 that is over, and somebody with tokens."""

    simulator: Simulator
    clock: FakeClock
    http: aiohttp.ClientSession
    tokens: dict[str, str] = field(default_factory=dict)

    async def sign_in(self, plan: TenantPlan = ACME, secret: str | None = None) -> Got:
        form = {
            "grant_type": "client_credentials",
            "client_id": plan.client_id,
            "client_secret": plan.client_secret if secret is None else secret,
        }
        async with self.http.post(f"/{plan.name}/oauth/token", data=form) as response:
            got = Got(response.status, await response.read(), response.headers)
        if got.status == 200:
            self.tokens[plan.name] = got.json["access_token"]
        return got

    async def ask(self, path: str = STATUS, plan: TenantPlan = ACME) -> Got:
        headers = {"Authorization": f"Bearer {self.tokens[plan.name]}"}
        async with self.http.get(f"/{plan.name}/{path}", headers=headers, allow_redirects=False) as response:
            return Got(response.status, await response.read(), response.headers)

    def afflict(self, kind: str, **how: Any) -> None:  # noqa: ANN401 - handed on
        self.simulator.afflict(ACME.name, Fault(kind, **how))

    def wait(self, seconds: float) -> None:
        self.clock.jump_to(self.clock.monotonic() + seconds)

    def told(self, job_id: str = "17") -> Any:  # noqa: ANN401 - decoded JSON
        jobs: Any = self.simulator.truth()["jobs"]
        return next(job for job in jobs if job["id"] == job_id)

    def served(self) -> Any:  # noqa: ANN401 - decoded JSON
        return self.simulator.truth()["faults"]


@asynccontextmanager
async def scene_of(*plans: TenantPlan, clock: Clock | None = None, **options: Any) -> AsyncIterator[Scene]:  # noqa: ANN401
    fake = FakeClock()
    simulator = Simulator(plans or (ACME, SANDBOX), clock=clock or fake, **options)
    simulator.start(ACME.name, "import", job_id="17", duration_s=0, result=result_of(COUNTS))
    async with serving(simulator) as url, aiohttp.ClientSession(url) as http:
        scene = Scene(simulator, fake, http)
        await scene.sign_in()
        yield scene


async def until(seen: Callable[[], bool]) -> None:
    """Let others run until `seen` says yes."""

    async def look() -> bool:
        return seen()

    await eventually(look, "what the test waits for", within_s=5, every_s=0.001)
