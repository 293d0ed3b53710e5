"""Good files become values in base units."""

import re
from pathlib import Path

import pytest

from spexporter.config import Config, Counters, JobEntry, Limits, MaxAnswer, Store, Tenant, load
from spexporter.config.patterns import find
from spexporter.domain.budget import RateLimit
from spexporter.domain.errors import ConfigError, Problem
from spexporter.domain.job import Operation
from spexporter.domain.schedule import Pace

GOOD = Path(__file__).parent / "good"
ENVIRON = {"CLIENT_ID": "planted-id", "CLIENT_SECRET": "planted-secret", "PROXY_PASSWORD": "planted-password"}
DAY_S = 86_400
TENANT = "tenants: [{name: a, org: a, client_id: a, client_secret: a, %s}]"


def load_text(folder: Path, text: str | bytes) -> Config:
    file = folder / "spexporter.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(file, ENVIRON)


def load_jobs(folder: Path, jobs: str) -> tuple[JobEntry, ...]:
    return load_text(folder, TENANT % f"jobs: {jobs}").tenants[0].jobs


def test_smallest_file_gets_all_defaults() -> None:
    """A tenant that says the least is complete, with the documented defaults."""
    config = load(GOOD / "minimal.yaml", ENVIRON)
    (tenant,) = config.tenants
    assert tenant == Tenant(
        name="acme",
        base_url="https://acme.api.identitynow.com",
        token_url="https://acme.api.identitynow.com/oauth/token",
        client_id="planted-id",
        secret=tenant.secret,
        credential_expires=None,
        api_version="auto",
        rate_limit=RateLimit(requests=100, per_s=10, use=0.8),
        poll=Pace(fastest_s=2, slowest_s=60, probe_s=300),
        timeout_s=10,
        max_staleness_s=3600,
        max_answer=MaxAnswer(results_bytes=64 * 1024**2, other_bytes=1024**2),
        retention_s=7 * DAY_S,
        count_new_within_s=3600,
        expect={},
        discover=(),
        follow_backups=True,
        proxy=None,
        ca_file=None,
        allow_http=False,
        former_names=(),
        jobs=(),
        job_files=(),
    )
    assert tenant.secret.reveal() == "planted-secret"
    assert config.store == Store(Path("spexporter.db"), remember_counted_s=400 * DAY_S)
    assert config.counters == Counters(hold_s=120, created=False)
    assert (config.limits, config.per_job_metrics) == (Limits(max_series=250_000, max_jobs_per_tenant=1000), True)
    assert (config.patterns, config.tenant_files, config.bad_files) == ((), (), ())


def test_tenant_inherits_what_it_does_not_say() -> None:
    """What stands in defaults holds for a tenant that is silent."""
    tenant = load(GOOD / "everything.yaml", ENVIRON).tenants[0]
    assert tenant.secret.reveal() == (GOOD / "minimal.yaml").read_text().rstrip("\n")
    assert (tenant.api_version, tenant.timeout_s, tenant.allow_http) == ("v2025", 60, True)
    assert tenant.rate_limit == RateLimit(requests=50, per_s=5, use=0.29)
    assert tenant.poll == Pace(fastest_s=0.5, slowest_s=90, probe_s=3600)
    assert tenant.max_answer == MaxAnswer(results_bytes=1024**3, other_bytes=2048)
    assert tenant.proxy == "http://user:planted-password@proxy.example:3128"
    assert (tenant.retention_s, tenant.count_new_within_s) == (30 * DAY_S, 600)
    assert tenant.expect == {Operation.EXPORT: DAY_S, Operation.BACKUP: DAY_S}
    assert tenant.former_names == ("00017", "1e5", "x.y-z_")
    assert (tenant.discover, tenant.follow_backups) == (("backups", "drafts"), False)
    assert tenant.credential_expires == 1_801_353_600  # 2027-01-31, 00:00 UTC
    assert tenant.job_files == (str(GOOD / "jobs.d/one-*.yaml"), "/var/lib/spexporter/[a-z].yaml")
    assert tenant.jobs == (
        JobEntry("00017", Operation.EXPORT),
        JobEntry("00017", Operation.IMPORT, name="nightly: all", max_age_s=5400, preview=True),
        JobEntry("1e5", Operation.EXPORT, preview=False),
    )


def test_own_keys_win_one_by_one() -> None:
    """A tenant's own keys win, also inside nested mappings, and its own form of secret replaces the other form."""
    tenant = load(GOOD / "everything.yaml", ENVIRON).tenants[1]
    assert tenant.base_url == "http://api.example:8080/gateway"
    assert tenant.token_url == "https://login.example/oauth/token"
    assert tenant.secret.reveal() == "planted-secret"
    assert tenant.rate_limit == RateLimit(requests=50, per_s=5, use=0.9)
    assert tenant.poll == Pace(fastest_s=0.5, slowest_s=120, probe_s=3600)
    assert tenant.max_answer == MaxAnswer(results_bytes=1024**3, other_bytes=4096)
    assert (tenant.retention_s, tenant.count_new_within_s) == (3600, 0.5)
    assert tenant.expect == {Operation.EXPORT: DAY_S, Operation.IMPORT: 7 * DAY_S, Operation.BACKUP: DAY_S / 2}
    assert (tenant.former_names, tenant.jobs, tenant.job_files) == ((), (), ())
    assert (tenant.discover, tenant.follow_backups) == ((), True)
    assert tenant.credential_expires is None


def test_keys_beside_the_tenants_hold_for_the_whole_program() -> None:
    """What outlives a restart, and how counters are shown, is one matter for all tenants."""
    config = load(GOOD / "everything.yaml", ENVIRON)
    assert config.store == Store(Path("memory of spexporter/counted.db"), remember_counted_s=30 * DAY_S)
    assert config.counters == Counters(hold_s=0, created=True)
    assert (config.limits, config.per_job_metrics) == (Limits(max_series=500, max_jobs_per_tenant=7), False)
    assert config.patterns == (str(GOOD / "tenants.d/*.yaml"),)


def test_configuration_names_every_file_that_it_was_read_from() -> None:
    """Who watches them sees each change that could change the configuration."""
    assert load(GOOD / "everything.yaml", ENVIRON).files == (GOOD / "everything.yaml", GOOD / "minimal.yaml")


def test_same_text_gives_equal_tenants_and_another_secret_an_unequal_one(tmp_path: Path) -> None:
    """A reload can tell what has changed, inline secrets included; what a secret's file holds is no part of it."""
    text = TENANT.replace("client_secret: a", "%s")
    (tmp_path / "secret").write_text("old")
    inline, in_file = (text % ("client_secret: a", ""), text % ("client_secret_file: secret", ""))
    assert load_text(tmp_path, inline).tenants == load_text(tmp_path, inline).tenants
    assert load_text(tmp_path, inline).tenants != load_text(tmp_path, text % ("client_secret: b", "")).tenants
    before = load_text(tmp_path, in_file).tenants
    (tmp_path / "secret").write_text("new")
    assert load_text(tmp_path, in_file).tenants == before
    (tmp_path / "other").write_text("new")
    assert load_text(tmp_path, text % ("client_secret_file: other", "")).tenants != before


def test_discover_has_one_order(tmp_path: Path) -> None:
    """The order and number in which lists are written change nothing."""
    (tenant,) = load_text(tmp_path, TENANT % "discover: [deploys, backups, deploys]").tenants
    assert tenant.discover == ("backups", "deploys")


@pytest.mark.parametrize("own", ["api_version: v2025", "discover: []"])
def test_tenant_can_leave_a_version_without_lists(own: str, tmp_path: Path) -> None:
    """What stands in defaults matters only where a tenant inherits both."""
    (tenant,) = load_text(tmp_path, "defaults: {api_version: beta, discover: [drafts]}\n" + TENANT % own).tenants
    assert (tenant.api_version == "beta") == (tenant.discover == ())


@pytest.mark.parametrize(
    ("defaults", "own", "expires"),
    [
        ("auto", "client_id: b", "auto"),
        ("2027-01-31", "client_id: b", None),
        ("2027-01-31", "timeout: 1s", 1_801_353_600),
        ("auto", "credential_expires: 1970-01-02", DAY_S),
    ],
    ids=["auto-is-for-all", "date-of-another-token", "date-of-the-inherited-token", "own"],
)
def test_date_is_inherited_with_the_token_that_it_belongs_to(
    defaults: str, own: str, expires: object, tmp_path: Path
) -> None:
    """A tenant with a token of its own gets no alert for another's."""
    text = f"defaults: {{client_id: a, client_secret: a, credential_expires: {defaults}}}\n"
    (tenant,) = load_text(tmp_path, f"{text}tenants: [{{name: a, org: a, {own}}}]").tenants
    assert tenant.credential_expires == expires


def test_pattern_starts_at_a_folder_of_any_name(tmp_path: Path) -> None:
    """A folder whose name looks like a pattern is that folder and no other."""
    folder = tmp_path / "[ab]*"
    folder.mkdir()
    (folder / "jobs.yaml").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "jobs.yaml").touch()
    (tenant,) = load_text(folder, TENANT % "job_files: ['*.yaml']").tenants
    assert find(tenant.job_files[0]).paths == (folder / "jobs.yaml",)


@pytest.mark.parametrize("operation", list(Operation))
def test_success_of_any_operation_can_be_expected(operation: Operation, tmp_path: Path) -> None:
    """Configuration Hub's operations have a rhythm, too, though no id of theirs can be listed."""
    (tenant,) = load_text(tmp_path, TENANT % f"expect: {{{operation}: 1h}}").tenants
    assert tenant.expect == {operation: 3600}


def test_jobs_are_exports_and_imports(tmp_path: Path) -> None:
    """An operation that can only be expected is refused for a job, with those that can be given."""
    with pytest.raises(ConfigError, match=re.escape("operation: must be one of export, import, got 'backup'")):
        load_jobs(tmp_path, "[{id: a, operation: backup}]")


def test_store_starts_at_the_working_directory(tmp_path: Path) -> None:
    """Its path is left as it is written: the file's folder, where secrets are looked for, may be read-only."""
    config = load_text(tmp_path, "store: {url: 'sqlite:///a/b.db'}\n" + TENANT % "timeout: 1s")
    assert config.store.path == Path("a/b.db")


def test_store_can_be_memory_alone(tmp_path: Path) -> None:
    """No file is meant, and a variable can say so."""
    config = load_text(tmp_path, "store: {url: '${STORE:-sqlite://}'}\n" + TENANT % "timeout: 1s")
    assert config.store == Store(None, remember_counted_s=400 * DAY_S)


@pytest.mark.parametrize(("remembered", "retention"), [("7d", "7d"), ("2y", "401d"), ("1h", "60m")])
def test_job_is_remembered_as_long_as_it_is_shown(remembered: str, retention: str, tmp_path: Path) -> None:
    """The memory may be as short as the longest retention, and both may be long."""
    config = load_text(tmp_path, f"store: {{remember_counted: {remembered}}}\n" + TENANT % f"retention: {retention}")
    assert config.store.remember_counted_s >= config.tenants[0].retention_s


@pytest.mark.parametrize("text", ["store: {remember_counted: soon}", "store: {remember_counted: [1d]}", "store: 1d"])
def test_wrong_memory_is_not_compared(text: str, tmp_path: Path) -> None:
    """What cannot be read gets its own message alone."""
    with pytest.raises(ConfigError) as raised:
        load_text(tmp_path, f"{text}\n" + TENANT % "timeout: 1s")
    assert len(raised.value.problems) == 1


@pytest.mark.parametrize("retention", ["soon", "'7${UNSET}00d'", "{a: b}"])
def test_wrong_retention_is_not_compared(retention: str, tmp_path: Path) -> None:
    """The same the other way round, also where a variable is missing in it."""
    with pytest.raises(ConfigError) as raised:
        load_text(tmp_path, "store: {remember_counted: 1d}\n" + TENANT % f"retention: {retention}")
    assert len(raised.value.problems) == 1


def test_several_tenants_can_have_had_other_names(tmp_path: Path) -> None:
    """Each keeps the order in which they were given."""
    tenant = "{name: %s, org: a, client_id: a, client_secret: a, former_names: [%s]}"
    config = load_text(tmp_path, f"tenants: [{tenant % ('a', 'c, d')}, {tenant % ('b', 'e')}]")
    assert [tenant.former_names for tenant in config.tenants] == [("c", "d"), ("e",)]


def test_anchors_and_merge_keys_work() -> None:
    """Aliases repeat a value, merge keys fill in what a mapping does not say, the first one first."""
    first, second, third = load(GOOD / "anchors.yaml", ENVIRON).tenants
    assert [tenant.timeout_s for tenant in (first, second, third)] == [7, 8, 7]
    assert first.jobs == second.jobs == third.jobs == (JobEntry("a", Operation.EXPORT),)
    assert (second.name, second.base_url) == ("second", first.base_url)
    assert second.poll == Pace(fastest_s=10, slowest_s=20, probe_s=300)


@pytest.mark.parametrize("text", ["00017", "1e5", "yes", "null", "0x1F", "2024-01-01", "1.50", "true"])
def test_scalars_stay_the_text_they_are(tmp_path: Path, text: str) -> None:
    """Nothing that YAML would make a number, date or nothing of is anything but text."""
    (job,) = load_jobs(tmp_path, f"[{{id: {text}, operation: export}}]")
    assert job.id == text


def test_value_of_a_variable_is_text_and_not_expanded_again(tmp_path: Path) -> None:
    """What a variable holds is neither YAML nor another variable."""
    file = tmp_path / "spexporter.yml"
    file.write_text(TENANT.replace("client_secret: a", 'client_secret: "${X}-$${Y}-${Z:-d$$}"') % "proxy: ")
    (tenant,) = load(file, {"X": "[a]: ${CLIENT_ID} # b"}).tenants
    assert tenant.secret.reveal() == "[a]: ${CLIENT_ID} # b-${Y}-d$"


def test_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    """A file saved by a Windows editor is a file like any other."""
    text = (GOOD / "minimal.yaml").read_text().replace("\n", "\r\n")
    loaded = load_text(tmp_path, b"\xef\xbb\xbf" + text.encode())
    assert loaded.tenants == load(GOOD / "minimal.yaml", ENVIRON).tenants


def test_repr_shows_no_secret(tmp_path: Path) -> None:
    """Neither client id, secret nor the proxy's password is in a configuration's repr."""
    config = load_text(
        tmp_path,
        TENANT.replace("client_id: a, client_secret: a", "client_id: hunter2, client_secret: hunter2")
        % "proxy: 'http://a:hunter2@proxy.example'",
    )
    assert "hunter2" not in repr(config)


def test_same_limit_written_differently_is_no_conflict(tmp_path: Path) -> None:
    """Tenants that share a client need the same limit, not the same words."""
    tenant = "{name: %s, org: a, client_id: a, client_secret: a, rate_limit: {per: %s}}"
    config = load_text(tmp_path, f"tenants: [{tenant % ('a', '1m')}, {tenant % ('b', '60s')}]")
    assert config.tenants[0].rate_limit == config.tenants[1].rate_limit


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.yml", "the file cannot be read: No such file or directory"),
        (".", "the file cannot be read: Is a directory"),
        ("a\0b", "the file cannot be read: embedded null byte"),
    ],
    ids=["missing", "directory", "impossible name"],
)
def test_unreadable_file_is_a_problem(tmp_path: Path, name: str, message: str) -> None:
    """A file that cannot be opened is told like any other mistake."""
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / name, {})
    assert raised.value.problems == (Problem(str(tmp_path / name), 0, "", message),)


def test_huge_file_is_refused(tmp_path: Path) -> None:
    """A file beyond any configuration is not read into memory."""
    with pytest.raises(ConfigError, match="the file is larger than 16 MiB"):
        load_text(tmp_path, b"#" * (16 * 1024**2 + 1))


def test_text_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    """Half a surrogate pair, which no page could show, is a mistake."""
    with pytest.raises(ConfigError, match=r"tenants\[0\].jobs\[0\].name: is not valid Unicode text"):
        load_jobs(tmp_path, r'[{id: a, operation: export, name: "\uD800"}]')


def test_odd_keys_stand_in_quotes(tmp_path: Path) -> None:
    """A key that would spoil the path of a problem is shown escaped."""
    with pytest.raises(ConfigError, match=r"defaults\.'a\\nb c': unknown key"):
        load_text(tmp_path, 'defaults: {"a\\nb c": x}\n' + TENANT % "timeout: 1s")
