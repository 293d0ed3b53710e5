"""Configuration Hub's lists and the credential's end, read from the simulator over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from spexporter.config import MaxAnswer
from spexporter.domain import errors
from spexporter.domain.budget import RateLimit
from spexporter.domain.hub import ListedJob
from spexporter.domain.job import JobState, Operation
from spexporter.domain.values import replace
from spexporter.sailpoint.auth import Credential, TokenSource
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.gate import Gate
from spexporter.sailpoint.transport import Route, Transport
from spexporter.sailpoint.vitals import Vitals
from spexporter.simulator import (
    ALL_QUIRKS,
    HUB_SCOPES,
    OWN_TOKENS_SCOPE,
    SP_CONFIG_SCOPES,
    Fault,
    Simulator,
    TenantPlan,
    default_plans,
    serving,
)
from tests.support.clients import Heard
from tests.support.clock import START_WALL_S, FakeClock

ACME = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0)
LISTED = (Operation.BACKUP, Operation.UPLOAD, Operation.DRAFT, Operation.DEPLOY)
SCOPES = dict(zip(LISTED, (HUB_SCOPES[0], *HUB_SCOPES), strict=True))
DAY_S = 86_400.0


@dataclass
class Tenant:
    """A simulated tenant, and the client that asks it."""

    simulator: Simulator
    clock: FakeClock
    client: TenantClient
    heard: Heard

    def wait(self, seconds: float) -> None:
        self.clock.jump_to(self.clock.monotonic() + seconds)

    def start(self, operation: Operation, **options: Any) -> None:  # noqa: ANN401 (handed on)
        """Plant a job that is over at once and leaves out nothing."""
        at_once = {"duration_s": 0, "queue_s": 0, "absent": (), **options}
        self.simulator.start(ACME.name, operation.value, **at_once)

    def truth(self, part: str) -> dict[str, Any]:
        found: Any = self.simulator.truth()["configuration_hub"]
        return {entry["id"]: entry for entry in found[part]}


@asynccontextmanager
async def tenant_of(plan: TenantPlan = ACME, version: str | None = "v1", *, seed: int = 1) -> AsyncIterator[Tenant]:
    """Serve a tenant and connect a client to it."""
    clock, heard = FakeClock(), Heard()
    simulator = Simulator((plan,), clock=clock, requests=1000, seed=seed)
    async with serving(simulator) as url, aiohttp.ClientSession() as http:
        base = f"{url}/{plan.name}"
        vitals, gate = Vitals(base, version, clock), Gate(RateLimit(requests=1000), clock)
        transport = Transport(plan.name, http, Route(), gate=gate, vitals=vitals, exchanges=heard, clock=clock)
        credential = Credential(f"{base}/oauth/token", plan.client_id, lambda: plan.client_secret)
        tokens, limits = TokenSource(credential, transport, clock), MaxAnswer(1 << 20, 1 << 20)
        client = TenantClient(base, version, tokens=tokens, transport=transport, limits=limits, clock=clock)
        yield Tenant(simulator, clock, client, heard)


def tells_truth(job: ListedJob, true: dict[str, Any], pending: dict[str, Any]) -> bool:
    """Compare a job with the simulator's truth; an end that is not told must not be known either."""
    seen = job.observation
    state = true["last_state_sent"]
    assert (seen.raw_state, seen.state) == (state, JobState(state) if state in {*JobState} else JobState.UNKNOWN)
    assert seen.created_s == pytest.approx(true["created_s"], abs=1e-3)
    assert seen.ended_s in {None, seen.completed_s}
    if seen.ended_s is not None:
        assert seen.ended_s == pytest.approx(true["ended_s"], abs=1e-3)
    facts = job.facts
    told = (
        *(job.name, facts.object_count, facts.synced, facts.partial, facts.of_other_tenant),
        job.pending_approval,
    )
    assert told == (
        *(true[name] for name in ("name", "object_count", "synced", "partial", "of_other_tenant")),
        true["id"] in pending,
    )
    if job.pending_approval:
        assert job.pending_since_s == pytest.approx(pending[true["id"]]["pending_since_s"], abs=2e-3)
    return seen.ended_s is not None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", [(), ALL_QUIRKS, (Fault("bare_deploys"),)], ids=["plain", "quirks", "bare deploys"])
async def test_lists_say_what_is_true_whatever_their_shape(faults: tuple[Fault, ...], seed: int) -> None:
    """States, ends, counts, storage, partial and foreign backups and waiting drafts, while a tenant lives."""
    plan = replace(ACME, hub_jobs_at_start=30, hub_starts_per_minute=0.1, hub_old_failures=3, faults=faults)
    async with tenant_of(plan, seed=seed) as tenant:
        known = set()
        for _ in range(8):
            tenant.wait(1800)
            for operation in LISTED:
                jobs = await tenant.client.listed(operation)
                truth, pending = tenant.truth("jobs"), tenant.truth("pending_drafts")
                listed = {name for name, true in truth.items() if true["listed"] and true["kind"] == operation}
                assert {job.observation.key.job_id for job in jobs} == listed
                known |= {operation for job in jobs if tells_truth(job, truth[job.observation.key.job_id], pending)}
        assert known == set(LISTED)
        assert set(tenant.heard.unknowns) <= ({"status"} if faults is ALL_QUIRKS else set())


@pytest.mark.parametrize("version", ["v1", "v2026", "v2025", "v2024"])
async def test_lists_are_found_in_each_version(version: str) -> None:
    """Each has its own jobs, is one exchange under its own name, and shows that the credential may use it."""
    async with tenant_of(version=version) as tenant:
        for operation in LISTED:
            tenant.start(operation, job_id=f"{operation}-1")
            (job,) = await tenant.client.listed(operation)
            assert (job.observation.key.tenant, job.observation.key.operation) == ("acme", operation)
            assert job.observation.key.job_id == f"{operation}-1"
        asked = ["backups", "uploads", "drafts", "deploys"]
        assert tenant.heard.exchanges == [("token", "200"), *((name, "200") for name in asked)]
        assert tenant.client.vitals.health.access == dict.fromkeys(asked, True)


@pytest.mark.parametrize("version", ["beta", None])
async def test_beta_is_not_asked_for_lists(version: str | None) -> None:
    """It has none; where it was found to be the tenant's version the error says what helps."""
    async with tenant_of(replace(ACME, versions=("beta",)), version) as tenant:
        with pytest.raises(errors.TenantNotFound, match="beta has no drafts") as raised:
            await tenant.client.listed(Operation.DRAFT)
        assert "discover" in raised.value.cure
        assert "drafts" not in {endpoint for endpoint, _ in tenant.heard.exchanges}
        assert await tenant.client.credential_expires() is None


@pytest.mark.parametrize("operation", LISTED)
async def test_a_list_that_is_forbidden_names_its_scope(operation: Operation) -> None:
    """Those of SP-Config and of the other lists do not open it."""
    scopes = (*SP_CONFIG_SCOPES, *(set(HUB_SCOPES) - {SCOPES[operation]}))
    async with tenant_of(replace(ACME, scopes=scopes)) as tenant:
        with pytest.raises(errors.TenantForbidden) as raised:
            await tenant.client.listed(operation)
        assert f"lacks the scope {SCOPES[operation]}:" in raised.value.cure
        assert list(tenant.client.vitals.health.access.values()) == [False]


async def test_forbidden_tokens_name_their_scope() -> None:
    """So the operator can do without, or make a token that may."""
    async with tenant_of(replace(ACME, scopes=SP_CONFIG_SCOPES)) as tenant:
        with pytest.raises(errors.TenantForbidden) as raised:
            await tenant.client.credential_expires()
        assert f"lacks the scope {OWN_TOKENS_SCOPE}:" in raised.value.cure


async def test_a_read_scope_of_configuration_hub_is_enough_for_its_lists() -> None:
    """They ask for no admin."""
    async with tenant_of(replace(ACME, scopes=(*HUB_SCOPES, OWN_TOKENS_SCOPE), has_admin=False)) as tenant:
        for operation in LISTED:
            assert await tenant.client.listed(operation) == ()
        assert await tenant.client.credential_expires() is None


@pytest.mark.parametrize(
    "kind", ["html", "garbage", "truncated", "bad_utf8", "deep", "empty", "list", "string", "null"]
)
async def test_a_spoilt_list_is_malformed_and_not_empty(kind: str) -> None:
    """Rubbish with status 200 must not make the jobs of a list disappear."""
    async with tenant_of() as tenant:
        for operation in LISTED:
            tenant.start(operation)
        tenant.simulator.afflict(ACME.name, Fault(kind, endpoints=frozenset({"backups", "deploys"})))
        for operation in (Operation.BACKUP, Operation.DEPLOY):
            with pytest.raises(errors.TenantMalformed):
                await tenant.client.listed(operation)
        assert tenant.client.vitals.health.up is False
        assert len(await tenant.client.listed(Operation.DRAFT)) == 1
        assert tenant.client.vitals.health.up is True


async def test_an_entry_carries_the_times_of_both_clocks() -> None:
    """Its own times are the tenant's, when we saw it is ours, and how far they are apart is known from then on."""
    async with tenant_of() as tenant:
        tenant.simulator.afflict(ACME.name, Fault("clock_skew", seconds=600))
        tenant.start(Operation.BACKUP)
        (job,) = await tenant.client.listed(Operation.BACKUP)
        assert job.observation.observed_s == START_WALL_S
        assert job.observation.completed_s == START_WALL_S + 600
        assert tenant.client.vitals.health.clock_offset_s == pytest.approx(600, abs=1)


@pytest.mark.parametrize("version", ["v1", "v2026", "v2025", "v2024", "beta"])
@pytest.mark.parametrize(("lasts_s", "ends_s"), [(20 * DAY_S, START_WALL_S + 20 * DAY_S), (None, None)])
async def test_the_credentials_own_end_is_known(version: str, lasts_s: float | None, ends_s: float | None) -> None:
    """Of the user's tokens it is that with our client id; one that never ends has no end."""
    plan = replace(ACME, credential_lasts_s=lasts_s, faults=ALL_QUIRKS)
    async with tenant_of(plan, version) as tenant:
        for _ in range(5):
            tenant.wait(60)
            assert await tenant.client.credential_expires() == ends_s
        assert tenant.heard.unknowns == []
        assert tenant.client.vitals.health.access == {"personal-access-tokens": True}
