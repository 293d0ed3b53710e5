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


@pytest.mark.parametrize(
    ("method", "path", "version"),
    [
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
