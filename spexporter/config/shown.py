"""A configuration in use, as a file could say it: what is inherited is written out, secrets are hidden."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from spexporter.config.convert import show_duration
from spexporter.config.urls import server_place
from spexporter.config.values import Config, JobEntry, Store, Tenant

SECRET = "<secret>"  # noqa: S105 (what is shown instead)
HIDDEN = "<hidden>"
_SIZES = (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1))

Shown = dict[str, Any]


def show(config: Config) -> str:
    """Return YAML that could be read again but for what is hidden: client ids, secrets, and passwords in URLs.

    Tenants from files of their own stand among the others.
    """
    files = [f"# {len(file.tenants)} of the tenants are from {file.path}\n" for file in config.tenant_files]
    head = "# The configuration in use, with everything that is inherited; secrets and client ids are hidden.\n"
    return "".join(
        (head, *files, yaml.safe_dump(_escaped(_file(config)), sort_keys=False, allow_unicode=True, width=120))
    )


def _file(config: Config) -> Shown:
    return {
        "tenants": [_tenant(tenant) for tenant in config.tenants],
        "store": _store(config.store),
        "counters": {"hold": show_duration(config.counters.hold_s), "created": config.counters.created},
        "limits": {
            "max_series": config.limits.max_series,
            "max_jobs_per_tenant": config.limits.max_jobs_per_tenant,
        },
        "per_job_metrics": config.per_job_metrics,
    }


def _store(store: Store) -> Shown:
    facts: Shown = {"url": "sqlite://" if store.path is None else f"sqlite:///{store.path}"}
    if store.server:
        facts = {"url": server_place(store.server.get_secret_value()), "lease": show_duration(store.lease_s)}
    return {**facts, "remember_counted": show_duration(store.remember_counted_s)}


def _tenant(tenant: Tenant) -> Shown:
    limit, pace, source = tenant.rate_limit, tenant.poll, tenant.secret.source
    facts: Shown = {
        "name": tenant.name,
        "base_url": tenant.base_url,
        "token_url": tenant.token_url,
        "client_id": HIDDEN,
        **({"client_secret_file": str(source)} if isinstance(source, Path) else {"client_secret": SECRET}),
        "credential_expires": _time(tenant.credential_expires),
        "api_version": tenant.api_version,
        "rate_limit": {
            "requests": limit.requests,
            "per": show_duration(limit.per_s),
            "use": f"{limit.use * 100:.0f}%",
        },
        "poll": {
            "fastest": show_duration(pace.fastest_s),
            "slowest": show_duration(pace.slowest_s),
            "probe": show_duration(pace.probe_s),
        },
        "timeout": show_duration(tenant.timeout_s),
        "max_staleness": show_duration(tenant.max_staleness_s),
        "max_answer": {
            "results": _size(tenant.max_answer.results_bytes),
            "other": _size(tenant.max_answer.other_bytes),
        },
        "retention": show_duration(tenant.retention_s),
        "count_new_within": show_duration(tenant.count_new_within_s),
        "expect": {operation.value: show_duration(within_s) for operation, within_s in tenant.expect.items()},
        "discover": list(tenant.discover),
        "follow_backups": tenant.follow_backups,
        "proxy": _without_password(tenant.proxy) if tenant.proxy else None,
        "ca_file": str(tenant.ca_file) if tenant.ca_file else None,
        "allow_http": tenant.allow_http,
        "former_names": list(tenant.former_names),
        "jobs": [_job(job) for job in tenant.jobs],
        "job_files": list(tenant.job_files),
    }
    return {key: value for key, value in facts.items() if value not in (None, [], {})}


def _job(job: JobEntry) -> Shown:
    facts: Shown = {"id": job.id, "operation": job.operation.value}
    if job.name:
        facts["name"] = job.name
    if job.max_age_s is not None:
        facts["max_age"] = show_duration(job.max_age_s)
    if job.preview is not None:
        facts["preview"] = job.preview
    return facts


def _time(expires: str | float | None) -> str | None:
    if isinstance(expires, float | int):
        return datetime.fromtimestamp(expires, UTC).isoformat().replace("+00:00", "Z")
    return expires


def _size(size_bytes: int) -> str:
    return next(f"{size_bytes // unit_bytes}{unit}" for unit, unit_bytes in _SIZES if not size_bytes % unit_bytes)


def _without_password(url: str) -> str:
    """Return a URL with its user and password hidden."""
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    return url.replace(f"{user}{at}", f"{SECRET}@", 1) if at else url


def _escaped(shown: object) -> object:
    """Write a dollar sign as a file does, where it would stand for a variable."""
    match shown:
        case str():
            return shown.replace("$", "$$")
        case list():
            return [_escaped(entry) for entry in shown]
        case Mapping():
            return {key: _escaped(value) for key, value in shown.items()}
        case _:
            return shown
