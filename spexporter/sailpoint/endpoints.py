"""The closed list of what we ask a tenant, and where it lives in each API version."""

from collections.abc import Mapping
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


STATUS_ENDPOINT: Mapping[Operation, Endpoint] = {
    Operation.EXPORT: Endpoint.EXPORT_STATUS,
    Operation.IMPORT: Endpoint.IMPORT_STATUS,
}

_TAILS = {
    Endpoint.CONFIG_OBJECTS: "config-objects",
    Endpoint.EXPORT_STATUS: "export/{id}",
    Endpoint.IMPORT_STATUS: "import/{id}",
    Endpoint.IMPORT_RESULT: "import/{id}/download",
}


def path(endpoint: Endpoint, version: str, job_id: str = "") -> str:
    """Return the path below `base_url`; `job_id` needs no quoting (configuration allows only [A-Za-z0-9._-])."""
    root = "/sp-config/v1" if version == "v1" else f"/{version}/sp-config"
    return f"{root}/{_TAILS[endpoint].format(id=job_id)}"
