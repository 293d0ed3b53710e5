"""A configuration file to a `Config`, or to every mistake in it at once."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from spexporter.config import rules
from spexporter.config.mistakes import validate
from spexporter.config.model import DefaultsSection, ExpectSection, JobSection, TenantSection
from spexporter.config.nodes import Block, Complaints, Items, inherit
from spexporter.config.read import read, read_text
from spexporter.config.secret import Secret
from spexporter.config.values import Config, Counters, JobEntry, MaxAnswer, Store, Tenant
from spexporter.domain.budget import RateLimit
from spexporter.domain.errors import ConfigError
from spexporter.domain.job import Operation
from spexporter.domain.schedule import Pace

_SECRETS = frozenset({"client_secret", "client_secret_file"})


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Return the configuration in the file at `path`, with the variables of `environ` filled in.

    Relative paths in the file start at its folder. The files it names are looked at, too.

    Raises:
        ConfigError: The file cannot be used; it carries every mistake, in file order.
    """
    complaints = Complaints(str(path))
    text = read_text(path)
    root = _inherited(read(text, path, environ, complaints))
    file = validate(root, complaints)
    rules.check(root, path.parent, complaints)
    problems = complaints.in_file_order()
    if problems or file is None:
        raise ConfigError(problems)
    return Config(
        tenants=tuple(_tenant(tenant, path.parent) for tenant in file.tenants),
        digest=_digest(text),
        store=Store(file.store.url, file.store.remember_counted),
        counters=Counters(file.counters.hold, file.counters.created),
    )


def _inherited(root: Block) -> Block:
    """Return the file with `defaults` filled into each tenant; mistakes keep the place where they were written."""
    defaults, tenants = root.entries.get("defaults"), root.entries.get("tenants")
    if not isinstance(defaults, Block) or not isinstance(tenants, Items):
        return root
    filled = tuple(_inheriting(node, defaults) if isinstance(node, Block) else node for node in tenants.nodes)
    return replace(root, entries={**root.entries, "tenants": replace(tenants, nodes=filled)})


def _inheriting(tenant: Block, defaults: Block) -> Block:
    # A tenant that names a secret of its own, in either form, does not want the other form from `defaults`.
    unwanted = _SECRETS if tenant.entries.keys() & _SECRETS else frozenset()
    wanted = {
        key: node
        for key, node in defaults.entries.items()
        if key in DefaultsSection.fields_by_key() and key not in unwanted
    }
    return inherit(tenant, replace(defaults, entries=wanted))


def _tenant(section: TenantSection, folder: Path) -> Tenant:
    base_url = section.base_url or f"https://{section.org}.api.identitynow.com"
    return Tenant(
        name=section.name,
        base_url=base_url,
        token_url=section.token_url or f"{base_url}/oauth/token",
        client_id=cast("SecretStr", section.client_id).get_secret_value(),  # its presence is one of the rules
        secret=Secret(_secret_source(section, folder)),
        api_version=section.api_version,
        rate_limit=RateLimit(section.rate_limit.requests, section.rate_limit.per, section.rate_limit.use),
        poll=Pace(section.poll.fastest, section.poll.slowest, section.poll.probe),
        timeout_s=section.timeout,
        max_staleness_s=section.max_staleness,
        max_answer=MaxAnswer(section.max_answer.results, section.max_answer.other),
        retention_s=section.retention,
        count_new_within_s=section.count_new_within,
        expect=_expected(section.expect),
        proxy=section.proxy,
        ca_file=folder / section.ca_file if section.ca_file else None,
        allow_http=section.allow_http,
        former_names=section.former_names,
        jobs=tuple(_job(job) for job in section.jobs),
    )


def _expected(section: ExpectSection) -> Mapping[Operation, float]:
    given_s = section.model_dump(by_alias=True, exclude_none=True)
    return {Operation(key): seconds for key, seconds in given_s.items()}


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


def _secret_source(section: TenantSection, folder: Path) -> SecretStr | Path:
    if section.client_secret_file:
        return folder / section.client_secret_file
    return cast("SecretStr", section.client_secret)  # the presence of one of the two is one of the rules


def _job(section: JobSection) -> JobEntry:
    return JobEntry(section.id, section.operation, section.name or "", section.max_age, section.preview)
