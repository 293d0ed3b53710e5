"""Wrong usage of what talks to an exporter: exit status 2 with what would be right, before anything is asked."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from spexporter.cli.main import program

URL = "http://127.0.0.1:1"
JOB = ("acme", "import", "i1")


def used(*arguments: str) -> tuple[int, str]:
    """Return exit status and standard error, its frame and line breaks left out."""
    result = CliRunner(env={"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}).invoke(program(), arguments)
    assert result.stdout == ""
    return result.exit_code, " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("track", *JOB), "Missing option '--url'", id="track-nowhere"),
        pytest.param(("track", "--url", URL, "acme", "deploy", "i1"), "'deploy' is not one of", id="operation"),
        pytest.param(("track", "--url", URL, "acme", "import", "a/b"), "JOB_ID: must be 1 to 64 letters", id="id"),
        pytest.param(("track", "--url", URL, "a b", "import", "i1"), "TENANT: must be 1 to 64 letters", id="tenant"),
        pytest.param(("track", "--url", URL, *JOB, "--max-age", "soon"), "--max-age: must be a duration", id="age"),
        pytest.param(("track", "--url", URL, *JOB, "--name", " "), "--name: must not begin or end", id="name"),
        pytest.param(("track", "--url", "localhost:9977", *JOB), "such as http://localhost:9977", id="scheme"),
        pytest.param(("wait", *JOB), "give exactly one of them", id="wait-nowhere"),
        pytest.param(("wait", *JOB, "--url", URL, "--config.file", "c.yaml"), "exactly one of them", id="wait-twice"),
        pytest.param(
            ("wait", *JOB, "--config.file", "c.yaml", "--http.config.file", "h.yaml"),
            "--http.config.file: says how to reach an exporter; give --url, too",
            id="wait-http-without-url",
        ),
        pytest.param(("wait", *JOB, "--url", URL, "--timeout", "1"), "--timeout: must be a duration", id="timeout"),
        pytest.param(("wait", "a b", "import", "i1", "--url", URL), "TENANT: must be 1 to 64", id="wait-tenant"),
        pytest.param(("healthcheck", "--url", "ftp://x"), "must be an http or https URL", id="healthcheck"),
    ],
)
def test_wrong_usage_is_exit_status_2(arguments: tuple[str, ...], said: str) -> None:
    """The option or argument is named."""
    status, err = used(*arguments)
    assert status == 2
    assert said in err


@pytest.mark.parametrize("command", [("track", *JOB), ("wait", *JOB), ("healthcheck",)], ids=lambda it: it[0])
@pytest.mark.parametrize(
    "url",
    [
        "http://ci:hunter2@exporter:9977",
        "http://ci:hun ter2@exporter",
        "http://exporter/?token=hunter2",
        "hunter2@exporter",
    ],
)
def test_secret_in_a_url_is_refused_and_not_repeated(command: tuple[str, ...], url: str) -> None:
    """It would stand in logs of the pipeline; the file is named that is meant for it."""
    status, err = used(*command, "--url", url)
    assert status == 2
    assert "--http.config.file" in err or "query" in err
    assert "hunter2" not in err


@pytest.mark.parametrize("command", [("track", *JOB), ("wait", *JOB), ("healthcheck",)], ids=lambda it: it[0])
def test_mistake_in_the_file_is_exit_status_2(command: tuple[str, ...], tmp_path: Path) -> None:
    """All commands take the same file, and nothing is asked."""
    file = tmp_path / "http.yaml"
    file.write_text("basic_auth: {username: ci, pasword: hunter2}\n")
    result = CliRunner().invoke(program(), [*command, "--url", URL, "--http.config.file", str(file)])
    assert type(result.exception).__name__ == "ConfigError"  # `entry` makes exit status 2 of it
    assert "did you mean password?" in str(result.exception)
    assert "hunter2" not in str(result.exception)
