import pytest

from spexporter.simulator.calls import Call, read_call


@pytest.mark.parametrize("version", ["beta", "v2024", "v2025", "v2026", "v1"])
@pytest.mark.parametrize(
    ("method", "rest", "endpoint", "job_id"),
    [
        ("POST", "export", "export_start", ""),
        ("GET", "export/17", "export_status", "17"),
        ("GET", "export/17/download", "export_result", "17"),
        ("POST", "import", "import_start", ""),
        ("GET", "import/17", "import_status", "17"),
        ("GET", "import/17/download", "import_result", "17"),
        ("GET", "config-objects", "config_objects", ""),
    ],
)
def test_all_operations_are_known_in_every_layout(
    version: str, method: str, rest: str, endpoint: str, job_id: str
) -> None:
    """The version leads the path, or follows the service in the v1 layout."""
    path = f"sp-config/v1/{rest}" if version == "v1" else f"{version}/sp-config/{rest}"
    call = read_call(method, "acme", path)
    assert (call.tenant, call.version, call.endpoint, call.job_id) == ("acme", version, endpoint, job_id)


HUB = {"backups": "backups", "backups/uploads": "uploads", "drafts": "drafts", "deploys": "deploys"}


@pytest.mark.parametrize("version", ["v2024", "v2025", "v2026", "v1"])
@pytest.mark.parametrize("rest", HUB)
def test_lists_of_configuration_hub_are_known_in_all_layouts_but_beta(version: str, rest: str) -> None:
    """Each is recorded under its last word."""
    path = f"configuration-hub/v1/{rest}" if version == "v1" else f"{version}/configuration-hub/{rest}"
    assert read_call("GET", "acme", path) == Call("acme", version, HUB[rest])
    assert read_call("POST", "acme", path).endpoint == "unknown"


@pytest.mark.parametrize("version", ["beta", "v2024", "v2025", "v2026", "v1"])
def test_personal_access_tokens_are_known_in_every_layout(version: str) -> None:
    """In beta too, which has no Configuration Hub."""
    path = "personal-access-tokens/v1" if version == "v1" else f"{version}/personal-access-tokens"
    assert read_call("GET", "acme", path) == Call("acme", version, "personal_access_tokens")


@pytest.mark.parametrize(
    ("method", "path", "version"),
    [
        ("GET", "beta/configuration-hub/backups", "beta"),
        ("GET", "v1/configuration-hub/backups", "v1"),
        ("GET", "v3/configuration-hub/backups/uploads", "v1"),
        ("GET", "v2026/configuration-hub/uploads", "v2026"),
        ("GET", "v2026/configuration-hub/backups/17", "v2026"),
        ("DELETE", "v2026/configuration-hub/backups", "v2026"),
        ("GET", "v2026/personal-access-tokens/17", "v2026"),
        ("GET", "v3/sp-config/export/17", "v1"),
        ("GET", "v1/sp-config/export/17", "v1"),
        ("GET", "v2026/sp-config/import/status/17", "v2026"),
        ("GET", "beta/sp-config/export/", "beta"),
        ("DELETE", "sp-config/v1/export/17", "v1"),
        ("GET", "beta/roles", "beta"),
        ("GET", "oauth/token", "v1"),
        ("GET", "", "v1"),
    ],
)
def test_what_is_no_operation_is_unknown(method: str, path: str, version: str) -> None:
    """It is counted with its version where that can be told, else with v1."""
    assert read_call(method, "acme", path) == Call("acme", version, "unknown")


def test_token_and_info_belong_to_no_version() -> None:
    """The token service has names of its own in the record."""
    assert read_call("POST", "acme", "oauth/token") == Call("acme", "token", "token")
    assert read_call("GET", "acme", "oauth/info") == Call("acme", "oauth_info", "oauth_info")
