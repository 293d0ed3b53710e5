"""The closed list of what we ask a tenant, and where it lives in each API version."""

from collections.abc import Collection, Mapping
from enum import StrEnum

from spexporter.domain.job import Operation

# In the order in which `api_version: auto` tries them: newest layout first.
# Source: SailPoint "API Versioning Strategy": beta and the yearly versions end in 2029, v1 replaces them.
VERSIONS = ("v1", "v2026", "v2025", "v2024", "beta")


class Endpoint(StrEnum):
    """The label `endpoint`."""

    TOKEN = "token"  # noqa: S105 (the name of an endpoint)
    CONFIG_OBJECTS = "config-objects"
    EXPORT_STATUS = "export-status"
    IMPORT_STATUS = "import-status"
    IMPORT_RESULT = "import-result"
    BACKUPS = "backups"
    UPLOADS = "uploads"
    DRAFTS = "drafts"
    DEPLOYS = "deploys"
    PERSONAL_ACCESS_TOKENS = "personal-access-tokens"

    # That of an enumeration is reckoned in Python, at each of several look-ups for each request.
    __hash__ = str.__hash__


STATUS_ENDPOINT: Mapping[Operation, Endpoint] = {
    Operation.EXPORT: Endpoint.EXPORT_STATUS,
    Operation.IMPORT: Endpoint.IMPORT_STATUS,
}

LIST_ENDPOINT: Mapping[Operation, Endpoint] = {
    Operation.BACKUP: Endpoint.BACKUPS,
    Operation.UPLOAD: Endpoint.UPLOADS,
    Operation.DRAFT: Endpoint.DRAFTS,
    Operation.DEPLOY: Endpoint.DEPLOYS,
}


def listed_operations(words: Collection[str]) -> tuple[Operation, ...]:
    """Return whose lists `words` name, as `discover` in the configuration does."""
    return tuple(operation for operation, endpoint in LIST_ENDPOINT.items() if endpoint in words)


# The service, and what follows it and its version.
_PLACES = {
    Endpoint.CONFIG_OBJECTS: ("sp-config", "/config-objects"),
    Endpoint.EXPORT_STATUS: ("sp-config", "/export/{id}"),
    Endpoint.IMPORT_STATUS: ("sp-config", "/import/{id}"),
    Endpoint.IMPORT_RESULT: ("sp-config", "/import/{id}/download"),
    Endpoint.BACKUPS: ("configuration-hub", "/backups"),
    Endpoint.UPLOADS: ("configuration-hub", "/backups/uploads"),
    Endpoint.DRAFTS: ("configuration-hub", "/drafts"),
    Endpoint.DEPLOYS: ("configuration-hub", "/deploys"),
    # Without the query it asks for everybody's, which wants a scope that is no business of ours.
    Endpoint.PERSONAL_ACCESS_TOKENS: ("personal-access-tokens", "?owner-id=me"),
}


def exists(endpoint: Endpoint, version: str) -> bool:
    """Tell whether an API version has `endpoint`: beta is older than Configuration Hub's lists."""
    return version != "beta" or endpoint not in LIST_ENDPOINT.values()


def path(endpoint: Endpoint, version: str, job_id: str = "") -> str:
    """Return the path below `base_url`; `job_id` needs no quoting (configuration allows only [A-Za-z0-9._-])."""
    service, rest = _PLACES[endpoint]
    root = f"/{service}/v1" if version == "v1" else f"/{version}/{service}"
    return root + rest.format(id=job_id)
