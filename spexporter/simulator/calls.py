"""What a request asks for, read from its method and path."""

from dataclasses import dataclass

API_VERSIONS = ("v1", "v2026", "v2025", "v2024", "beta")
"""Every layout of the paths, newest first."""
TOKEN, INFO, CONFIG_OBJECTS, UNKNOWN = "token", "oauth_info", "config_objects", "unknown"
START, STATUS, RESULT = "start", "status", "result"
BACKUPS, UPLOADS, DRAFTS, DEPLOYS = "backups", "uploads", "drafts", "deploys"
HUB_LISTS = (BACKUPS, UPLOADS, DRAFTS, DEPLOYS)
"""The lists of Configuration Hub, which every version has but beta."""
PERSONAL_TOKENS = "personal_access_tokens"
_LISTS = {
    ("configuration-hub", "backups"): BACKUPS,
    ("configuration-hub", "backups", "uploads"): UPLOADS,
    ("configuration-hub", "drafts"): DRAFTS,
    ("configuration-hub", "deploys"): DEPLOYS,
    ("personal-access-tokens",): PERSONAL_TOKENS,
}
"""By the service and what follows it, without the version."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a tenant; `action` is one of the words above, `operation` and `job_id` are empty where none is."""

    tenant: str
    version: str
    action: str
    operation: str = ""
    job_id: str = ""

    @property
    def endpoint(self) -> str:
        """The name under which the call is recorded, such as `import_status`."""
        return f"{self.operation}_{self.action}" if self.operation else self.action


def read_call(method: str, tenant: str, path: str) -> Call:
    """Read `path`, as it follows the tenant's name without a leading slash.

    The versions up to v2026 lead the path (`v2026/sp-config/export`), the v1 layout has its version behind the service
    (`sp-config/v1/export`). What fits neither is `UNKNOWN`, and counted with v1 unless its version is known.
    """
    match (method, *path.split("/")):
        case ("POST", "oauth", "token"):
            return Call(tenant, TOKEN, TOKEN)
        case ("GET", "oauth", "info"):
            return Call(tenant, INFO, INFO)
        case (_, "sp-config", "v1", *rest):
            return _read_operation(method, tenant, "v1", rest)
        case (_, version, "sp-config", *rest) if version in API_VERSIONS and version != "v1":
            return _read_operation(method, tenant, version, rest)
        case ("GET", *parts) if found := _read_list(parts):
            return Call(tenant, *found)
    version = path.partition("/")[0]
    return Call(tenant, version if version in API_VERSIONS else "v1", UNKNOWN)


def _read_list(parts: list[str]) -> tuple[str, str] | None:
    """Return version and action of a list that is no part of SP-Config, None where there is none."""
    match parts:
        case [service, "v1", *rest]:
            version = "v1"
        case [version, service, *rest] if version in API_VERSIONS and version != "v1":
            pass
        case _:
            return None
    action = _LISTS.get((service, *rest))
    return None if action is None or (action in HUB_LISTS and version == "beta") else (version, action)


def _read_operation(method: str, tenant: str, version: str, rest: list[str]) -> Call:
    match (method, *rest):
        case ("GET", "config-objects"):
            return Call(tenant, version, CONFIG_OBJECTS)
        case ("POST", (("export" | "import") as operation)):
            return Call(tenant, version, START, operation)
        case ("GET", (("export" | "import") as operation), job_id) if job_id:
            return Call(tenant, version, STATUS, operation, job_id)
        case ("GET", (("export" | "import") as operation), job_id, "download") if job_id:
            return Call(tenant, version, RESULT, operation, job_id)
    return Call(tenant, version, UNKNOWN)
