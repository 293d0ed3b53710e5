"""Sections without a mistake to the values that the program uses."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from spexporter.config.model import LISTS, ExpectSection, JobSection, TenantSection
from spexporter.config.nodes import Block, Node, blocks
from spexporter.config.patterns import resolve
from spexporter.config.secret import Secret
from spexporter.config.values import JobEntry, MaxAnswer, Tenant
from spexporter.domain.budget import RateLimit
from spexporter.domain.job import Operation
from spexporter.domain.schedule import Pace


def tenants(sections: tuple[TenantSection, ...], root: Block) -> Iterator[Tenant]:
    """Yield the tenants of a file; `root` tells in which file a path was written, which may be an inherited one."""
    for section, node in zip(sections, blocks(root, "tenants"), strict=True):
        yield _tenant(section, node.entries)


def jobs(sections: tuple[JobSection, ...]) -> tuple[JobEntry, ...]:
    """Return the jobs of a list, in its order."""
    return tuple(JobEntry(it.id, it.operation, it.name or "", it.max_age, it.preview) for it in sections)


def _tenant(section: TenantSection, nodes: Mapping[str, Node]) -> Tenant:
    base_url = section.base_url or f"https://{section.org}.api.identitynow.com"
    return Tenant(
        name=section.name,
        base_url=base_url,
        token_url=section.token_url or f"{base_url}/oauth/token",
        client_id=cast("SecretStr", section.client_id).get_secret_value(),  # its presence is one of the rules
        secret=Secret(_secret_source(section, nodes)),
        credential_expires=section.credential_expires,
        api_version=section.api_version,
        rate_limit=RateLimit(section.rate_limit.requests, section.rate_limit.per, section.rate_limit.use),
        poll=Pace(section.poll.fastest, section.poll.slowest, section.poll.probe),
        timeout_s=section.timeout,
        max_staleness_s=section.max_staleness,
        max_answer=MaxAnswer(section.max_answer.results, section.max_answer.other),
        retention_s=section.retention,
        count_new_within_s=section.count_new_within,
        expect=_expected(section.expect),
        discover=tuple(word for word in LISTS if word in section.discover),
        follow_backups=section.follow_backups,
        proxy=section.proxy,
        ca_file=_folder(nodes["ca_file"]) / section.ca_file if section.ca_file else None,
        allow_http=section.allow_http,
        former_names=section.former_names,
        jobs=jobs(section.jobs),
        job_files=tuple(resolve(pattern, _folder(nodes["job_files"])) for pattern in section.job_files),
    )


def _folder(node: Node) -> Path:
    """Return where a relative path in `node` starts."""
    return Path(node.file).parent


def _expected(section: ExpectSection) -> Mapping[Operation, float]:
    given_s = section.model_dump(by_alias=True, exclude_none=True)
    return {Operation(key): seconds for key, seconds in given_s.items()}


def _secret_source(section: TenantSection, nodes: Mapping[str, Node]) -> SecretStr | Path:
    if section.client_secret_file:
        return _folder(nodes["client_secret_file"]) / section.client_secret_file
    return cast("SecretStr", section.client_secret)  # the presence of one of the two is one of the rules
