import json
from pathlib import Path

import pytest

from spexporter.simulator import HUB_SCOPES, OWN_TOKENS_SCOPE, SP_CONFIG_SCOPES, TenantPlan, result_of
from tests.support.program import ran
from tests.support.secrets import leaks
from tests.support.tenants import plan, stores, visited


async def test_everything_that_works_is_said(tmp_path: Path) -> None:
    """Token, user context, object types, and each job with its result; exit status 0, and nothing is stored."""
    async with visited(tmp_path) as there:
        there.simulator.start("acme-prod", "import", job_id="import-1", duration_s=0.0, result=result_of({"ROLE": {}}))
        there.simulator.start("acme-prod", "export", job_id="export-1", duration_s=0.0)
        there.write()
        status, out, err = await ran("check", "--config.file", there.config, "--live", folder=tmp_path)
    assert (status, err) == (0, "")
    head, *lines = out.splitlines()
    assert head.endswith(": ok, 1 tenant, 2 jobs")
    assert {line.partition(" ok: ")[0].removeprefix("acme-prod: ") for line in lines} == {
        "token",
        "user context",
        "config-objects",
        "import-status import import-1",
        "import-result import import-1",
        "export-status export export-1",
    }
    assert not leaks(out)
    assert not stores(tmp_path)


@pytest.mark.parametrize(
    ("tenant", "bad", "cure"),
    [
        pytest.param(plan(scopes=("sp:config:read",)), {"import-status"}, "the scope sp:config:manage", id="scope"),
        pytest.param(plan(has_user=False), {"user context", "import-status", "config-objects"}, "no user", id="user"),
        pytest.param(plan(has_admin=False), {"import-status", "config-objects"}, "user level Admin", id="level"),
    ],
)
async def test_what_the_credential_lacks_is_named(tenant: TenantPlan, bad: set[str], cure: str, tmp_path: Path) -> None:
    """Exit status 1; JSON names what does not work, and what helps."""
    async with visited(tmp_path, tenant) as there:
        there.simulator.start("acme-prod", "import", job_id="import-1", duration_s=0.0)
        there.write()
        arguments = ("--config.file", there.config, "--live", "--output", "json")
        status, out, err = await ran("check", *arguments, folder=tmp_path)
    (live,) = json.loads(out)["live"]
    wrong = [finding for finding in live["findings"] if finding["works"] is False]
    assert (status, err, live["well"]) == (1, "", False)
    assert {finding["subject"] for finding in wrong} == bad
    assert all(cure in finding["cure"] for finding in wrong)


async def test_wrong_secret_and_unknown_job_are_named(tmp_path: Path) -> None:
    """A credential that gets no token is asked for nothing else; a job id that is not known is a mistake, too."""
    async with visited(tmp_path) as there:
        there.write()
        text = there.config.read_text().replace("jobs: []", "jobs: [{id: missing, operation: export}]")
        refused = f"\n  - {{name: refused, base_url: '{there.url}/acme-prod', client_id: a, client_secret: planted}}\n"
        there.config.write_text(text + refused)
        status, out, _ = await ran("check", "--config.file", there.config, "--live", folder=tmp_path)
    assert status == 1
    assert "acme-prod: export-status export missing no: NOT_FOUND; check id, operation and tenant" in out
    (line,) = (line for line in out.splitlines() if line.startswith("refused: "))
    assert line.startswith("refused: token no: the token endpoint answered ")
    assert "check client_id and client_secret" in line


@pytest.mark.parametrize("granted", [True, False])
async def test_what_features_need_is_tried(tmp_path: Path, *, granted: bool) -> None:
    """Each list that `discover` names, and the credential's end where it is asked for; the scopes are named."""
    scopes = (*SP_CONFIG_SCOPES, *HUB_SCOPES, OWN_TOKENS_SCOPE) if granted else SP_CONFIG_SCOPES
    async with visited(tmp_path, plan(scopes=scopes, credential_lasts_s=86_400.0)) as there:
        there.write(hub=True)
        status, out, _ = await ran("check", "--config.file", there.config, "--live", folder=tmp_path)
    tried = [line.removeprefix("acme-prod: ") for line in out.splitlines()][4:]
    subjects = ["backups", "uploads", "drafts", "deploys", "personal-access-tokens"]
    assert [line.split(maxsplit=1)[0] for line in tried] == subjects
    assert status == (0 if granted else 1)
    if granted:
        assert all(" ok: " in line for line in tried)
        assert tried[-1].startswith("personal-access-tokens ok: it ends 20")
    else:
        wanted = ("config-backup", "config-backup", "config-draft", "config-deploy", "my-personal-access-tokens")
        assert all(f"lacks the scope sp:{scope}:read" in line for scope, line in zip(wanted, tried, strict=True))
