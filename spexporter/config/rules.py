"""Rules that look at several keys, at several tenants, or at the files that the configuration names."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from spexporter.config import urls
from spexporter.config.model import RateLimitSection
from spexporter.config.nodes import Block, Complaints, Items, Text, plain
from spexporter.config.secret import read_secret

NO_TENANT = "needs at least one tenant, with name, org, client_id and client_secret or client_secret_file"


def check(root: Block, folder: Path, complaints: Complaints) -> None:
    """Note what is wrong in a file whose tenants have inherited already; relative paths start at `folder`.

    It looks at text alone, so that a wrong value elsewhere hides nothing.
    """
    defaults, tenants = root.entries.get("defaults"), _blocks(root, "tenants")
    for section in [*([defaults] if isinstance(defaults, Block) else []), *tenants]:
        _not_both(section, "client_secret", "client_secret_file", complaints)
        _files(section, folder, complaints)
    listed = root.entries.get("tenants")
    if isinstance(listed, Items) and not listed.nodes:
        complaints.about(listed, NO_TENANT)
    for tenant in tenants:
        _complete(tenant, complaints)
        _encrypted(tenant, complaints)
        _unique_jobs(_blocks(tenant, "jobs"), complaints)
    _unique_names(tenants, complaints)
    _one_limit_per_client(tenants, complaints)


def _blocks(parent: Block, key: str) -> list[Block]:
    items = parent.entries.get(key)
    return [node for node in items.nodes if isinstance(node, Block)] if isinstance(items, Items) else []


def _not_both(section: Block, one: str, other: str, complaints: Complaints) -> None:
    first, second = section.entries.get(one), section.entries.get(other)
    if first and second:
        later, name = (first, other) if first.line > second.line else (second, one)
        complaints.about(later, f"cannot stand beside {name}; keep one of the two")


def _complete(tenant: Block, complaints: Complaints) -> None:
    _not_both(tenant, "org", "base_url", complaints)
    if not tenant.entries.keys() & {"org", "base_url"}:
        complaints.about(tenant, "is missing; say org: acme, or base_url: https://… for another host", key="org")
    if "client_id" not in tenant.entries:
        complaints.about(tenant, "is missing; write it here or in defaults", key="client_id")
    if not tenant.entries.keys() & {"client_secret", "client_secret_file"}:
        complaints.about(tenant, "is missing; write it or client_secret_file, here or in defaults", key="client_secret")


def _encrypted(tenant: Block, complaints: Complaints) -> None:
    if tenant.text("allow_http") == "true":
        return
    for key in ("base_url", "token_url"):
        node = tenant.entries.get(key)
        if isinstance(node, Text) and _readable_by_others(node.text):
            complaints.about(node, "must be https, because secrets travel there; allow_http: true would permit it")


def _readable_by_others(text: str) -> bool:
    try:
        return urls.needs_tls(urls.api_url(text))
    except ValueError:
        return False


def _unique_jobs(jobs: Sequence[Block], complaints: Complaints) -> None:
    seen: dict[tuple[str, str], Text] = {}
    for job in jobs:
        node, operation = job.entries.get("id"), job.text("operation")
        if isinstance(node, Text) and operation is not None:
            first = seen.setdefault((operation, node.text), node)
            if first is not node:
                complaints.about(
                    node,
                    f"{node.shown or 'this id'} is listed for this operation on line {first.line}; keep one of the two",
                )


def _unique_names(tenants: Sequence[Block], complaints: Complaints) -> None:
    seen: dict[str, Text] = {}
    for tenant in tenants:
        node = tenant.entries.get("name")
        if isinstance(node, Text):
            first = seen.setdefault(node.text, node)
            if first is not node:
                complaints.about(
                    node,
                    f"{node.shown or 'this name'} is used on line {first.line}; give each tenant a name of its own",
                )


def _one_limit_per_client(tenants: Sequence[Block], complaints: Complaints) -> None:
    seen: dict[str, tuple[Block, RateLimitSection]] = {}
    for tenant in tenants:
        client_id, limit = tenant.text("client_id"), _rate_limit(tenant)
        if client_id is None or limit is None:
            continue
        first, its_limit = seen.setdefault(client_id, (tenant, limit))
        if limit != its_limit:
            message = (
                f"{_called(tenant)} has the client_id of {_called(first)} (line {first.line}) but another rate_limit;"
                " they share one budget, so give both the same"
            )
            if own := tenant.own("rate_limit"):
                complaints.about(own, message)
            else:
                complaints.about(tenant, message, key="rate_limit")


def _rate_limit(tenant: Block) -> RateLimitSection | None:
    node = tenant.entries.get("rate_limit")
    try:
        return RateLimitSection.model_validate(plain(node)) if node else RateLimitSection()
    except ValidationError:
        return None


def _called(tenant: Block) -> str:
    node = tenant.entries.get("name")
    return node.shown if isinstance(node, Text) and node.shown else tenant.path


def _files(section: Block, folder: Path, complaints: Complaints) -> None:
    for key, wrong_with in (("client_secret_file", _wrong_secret_file), ("ca_file", _wrong_ca_file)):
        node = section.own(key)
        if isinstance(node, Text) and node.text and (wrong := wrong_with(folder / node.text)):
            complaints.about(node, wrong, show=True)


def _wrong_secret_file(path: Path) -> str | None:
    try:
        read_secret(path)
    except (OSError, ValueError) as error:
        return f"the secret's file cannot be used: {_reason(error)}"
    return None


def _wrong_ca_file(path: Path) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "holds no PEM certificates; it needs at least one -----BEGIN CERTIFICATE----- block"
    except (OSError, ValueError) as error:
        return f"the certificates cannot be read: {_reason(error)}"
    return None


def _reason(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) else str(error)
