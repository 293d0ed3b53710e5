"""Rules that look at several keys, at several tenants of one file, or at the files that it names."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from spexporter.config import convert, urls
from spexporter.config.model import DefaultsSection, RateLimitSection, Section, StoreSection
from spexporter.config.nodes import Block, Complaints, Items, Node, Text, blocks, plain, texts
from spexporter.config.secret import read_secret
from spexporter.domain.budget import RateLimit

NO_TENANT = "needs at least one tenant, with name, org, client_id and client_secret or client_secret_file"


def check_main(root: Block, complaints: Complaints) -> None:
    """Note what is wrong in a main file whose tenants have inherited already.

    It looks at text alone, so that a wrong value elsewhere hides nothing.
    """
    defaults, tenants = root.entries.get("defaults"), blocks(root, "tenants")
    heirs = list(tenants)
    if isinstance(defaults, Block):
        _not_both(defaults, "client_secret", "client_secret_file", complaints)
        _files(defaults, complaints)
        if texts(root, "tenant_files"):
            # Tenants of other files inherit, too, and what is wrong here must not show only when there is one.
            heirs.append(defaults)
    _some_tenant(root, complaints)
    _check_tenants(tenants, complaints)
    for heir in heirs:
        _lists_of_the_version(heir, complaints)
    _remembered_long_enough(root, heirs, complaints)


def check_tenants(root: Block, remembered_s: float, complaints: Complaints) -> None:
    """Note what is wrong in a file of tenants that have inherited already, which are remembered for `remembered_s`."""
    tenants = blocks(root, "tenants")
    _check_tenants(tenants, complaints)
    for tenant in tenants:
        _lists_of_the_version(tenant, complaints)
        _shown_no_longer_than(remembered_s, tenant, complaints)


def _check_tenants(tenants: Sequence[Block], complaints: Complaints) -> None:
    for tenant in tenants:
        _not_both(tenant, "client_secret", "client_secret_file", complaints)
        _files(tenant, complaints)
        _complete(tenant, complaints)
        _encrypted(tenant, complaints)
        check_jobs(tenant, complaints)
    _unique_names(tenants, complaints)
    _former_names(tenants, complaints)
    _one_limit_per_client(tenants, complaints)


def _some_tenant(root: Block, complaints: Complaints) -> None:
    listed = root.entries.get("tenants")
    if texts(root, "tenant_files") or (listed and not (isinstance(listed, Items) and not listed.nodes)):
        return
    if node := listed or root.empty.get("tenants"):
        complaints.about(node, NO_TENANT)
    else:
        complaints.about(root, NO_TENANT, key="tenants")


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


def check_jobs(parent: Block, complaints: Complaints) -> None:
    """Note each operation and id that `jobs` has a second time."""
    seen: dict[tuple[str, str], Text] = {}
    for job in blocks(parent, "jobs"):
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


def _former_names(tenants: Sequence[Block], complaints: Complaints) -> None:
    """Note former names that are another tenant's, or are claimed twice: what was counted cannot go to two."""
    present = {node.text: node for it in reversed(tenants) if isinstance(node := it.entries.get("name"), Text)}
    claims: dict[str, tuple[Block, Text]] = {}
    for tenant in tenants:
        for node in texts(tenant, "former_names"):
            claimant, first = claims.setdefault(node.text, (tenant, node))
            if node.text == tenant.text("name"):
                wrong = "is the tenant's present name; list only names that it had before"
            elif its_name := present.get(node.text):
                wrong = f"is the name of the tenant on line {its_name.line}; leave it out or rename that tenant"
            elif claimant is not tenant:
                wrong = f"is claimed by {_called(claimant)} on line {first.line}; keep it in one of the two"
            elif first is not node:
                wrong = f"is listed on line {first.line}; keep one of the two"
            else:
                continue
            complaints.about(node, f"{node.shown or 'this name'} {wrong}")


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
            complaints.about_key(tenant, "rate_limit", message)


def _lists_of_the_version(tenant: Block, complaints: Complaints) -> None:
    version, listed = tenant.entries.get("api_version"), tenant.entries.get("discover")
    if not isinstance(version, Text) or version.text != "beta" or not isinstance(listed, Items) or not listed.nodes:
        return
    complaints.about(
        tenant.own("discover") or tenant.own("api_version") or listed,
        "beta has no lists of Configuration Hub: choose another api_version, or write discover: []",
    )


def rate_limits(root: Block) -> Mapping[str, RateLimit]:
    """Return the limit of each client of a file, as its first tenant says it; without those that cannot be read."""
    limits: dict[str, RateLimit] = {}
    for tenant in blocks(root, "tenants"):
        client_id, limit = tenant.text("client_id"), _rate_limit(tenant)
        if client_id and limit:
            limits.setdefault(client_id, RateLimit(limit.requests, limit.per, limit.use))
    return limits


def _rate_limit(tenant: Block) -> RateLimitSection | None:
    node = tenant.entries.get("rate_limit")
    try:
        return RateLimitSection.model_validate(plain(node)) if node else RateLimitSection()
    except ValidationError:
        return None


def _remembered_long_enough(root: Block, tenants: Sequence[Block], complaints: Complaints) -> None:
    """Note a job's series that would outlive the memory of its having been counted."""
    store = root.entries.get("store")
    memory = store.entries.get("remember_counted") if isinstance(store, Block) else None
    remembered_s = remembered(root)
    retentions = [tenant.entries.get("retention") for tenant in tenants]
    retained = [(_seconds(node, DefaultsSection, "retention") or 0, node) for node in retentions]
    longest_s, longest = max(retained, key=itemgetter(0), default=(0, None))
    if remembered_s is None or longest_s <= remembered_s:
        return
    if memory:
        origin = f"line {longest.line}" if longest else "the default"
        shown = convert.show_duration(longest_s)
        complaints.about(memory, f"must be at least the longest `retention` ({shown}, {origin})", show=True)
    else:  # Only a `retention` that is written can be longer than the default memory.
        shown = convert.show_duration(remembered_s)
        message = f"must be at most `store.remember_counted` ({shown} unless you say more there)"
        complaints.about(cast("Node", longest), message, show=True)


def _shown_no_longer_than(remembered_s: float, tenant: Block, complaints: Complaints) -> None:
    node = tenant.entries.get("retention")
    if (_seconds(node, DefaultsSection, "retention") or 0) <= remembered_s:
        return
    message = f"must be at most `store.remember_counted` ({convert.show_duration(remembered_s)})"
    if node:
        complaints.about(node, message, show=True)
    else:
        complaints.about(tenant, f"is longer by default; it {message}", key="retention")


def remembered(root: Block) -> float | None:
    """Return for how many seconds a counted job is remembered, None where that cannot be read."""
    store = root.entries.get("store")
    memory = store.entries.get("remember_counted") if isinstance(store, Block) else None
    return _seconds(memory, StoreSection, "remember_counted")


def _seconds(node: Node | None, section: type[Section], key: str) -> float | None:
    """Return the duration under `key`, or its default where nothing is written; None for one that cannot be read."""
    if node is None:
        return convert.duration(section.model_fields[key].default)
    try:
        return convert.duration(node.text) if isinstance(node, Text) and not node.broken else None
    except ValueError:
        return None


def _called(tenant: Block) -> str:
    node = tenant.entries.get("name")
    return node.shown if isinstance(node, Text) and node.shown else tenant.path


def _files(section: Block, complaints: Complaints) -> None:
    for key, wrong_with in _FILES.items():
        node = section.own(key)
        if isinstance(node, Text) and node.text and (wrong := wrong_with(Path(node.file).parent / node.text)):
            complaints.about(node, wrong, show=True)


def named_files(root: Block) -> Iterator[Path]:
    """Yield each file whose content belongs to `defaults` or `tenants` of a file, whether it is there or not."""
    defaults = root.entries.get("defaults")
    for section in [*([defaults] if isinstance(defaults, Block) else []), *blocks(root, "tenants")]:
        for key in _FILES:
            node = section.own(key)
            if isinstance(node, Text) and node.text and not node.broken:
                yield Path(node.file).parent / node.text


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


_FILES = {"client_secret_file": _wrong_secret_file, "ca_file": _wrong_ca_file}


def _reason(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) else str(error)
