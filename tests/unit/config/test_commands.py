"""`spexporter check` and `spexporter schema`."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from spexporter.cli.check import check
from spexporter.cli.schema import schema
from spexporter.config.schema import file_schema

FOLDER = Path(__file__).parent
ENVIRON = {"CLIENT_ID": "planted-id", "CLIENT_SECRET": "planted-secret"}

app = typer.Typer()
app.command()(check)
app.command()(schema)


@pytest.mark.parametrize(
    ("name", "counts"), [("minimal", "1 tenant, 0 jobs"), ("everything", "2 tenants, 3 jobs")], ids=["one", "many"]
)
def test_good_file_is_counted(name: str, counts: str) -> None:
    """A good file gets one line on stdout and exit status 0."""
    file = FOLDER / "good" / f"{name}.yaml"
    result = CliRunner().invoke(app, ["check", "--config.file", str(file)], env=ENVIRON)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{file}: ok, {counts}\n", "")


@pytest.mark.parametrize(("name", "count"), [("eight_mistakes", "8 problems"), ("job_operation", "1 problem")])
def test_bad_file_is_exit_status_2(name: str, count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every problem has a line on stderr below their number."""
    monkeypatch.chdir(FOLDER / "bad")
    result = CliRunner().invoke(app, ["check", "--config.file", f"{name}.yaml"], env=ENVIRON)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"{name}.yaml: {count}\n" + Path(f"{name}.txt").read_text(encoding="utf-8")


def test_mistakes_of_all_files_are_named(tmp_path: Path) -> None:
    """A bad file of tenants or of jobs is exit status 2, too, though a daemon would run without it."""
    tenant = "{name: %s, org: a, client_id: a, client_secret: a, job_files: [jobs.yaml]}"
    (tmp_path / "main.yaml").write_text(f"tenants: [{tenant % 'a'}]\ntenant_files: [more.yaml]\n")
    (tmp_path / "more.yaml").write_text(f"- {tenant % 'a'}\n")
    (tmp_path / "jobs.yaml").write_text("- {id: a}\n- {id: b, operation: export, name: '${NAME}'}\n")
    result = CliRunner().invoke(app, ["check", "--config.file", str(tmp_path / "main.yaml")], env={"NAME": "b"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.replace(f"{tmp_path}/", "").splitlines() == [
        "main.yaml: 2 problems",
        "more.yaml:1: [0].name: 'a' is used in main.yaml:1; give each tenant a name of its own",
        "jobs.yaml:1: [0].operation: is missing; say export or import",
    ]


def test_jobs_of_files_are_counted_once(tmp_path: Path) -> None:
    """A job that stands in two places is one job."""
    jobs = "[{id: a, operation: export}]"
    tenant = f"{{name: a, org: a, client_id: a, client_secret: a, jobs: {jobs}, job_files: ['jobs*.yaml']}}"
    (tmp_path / "main.yaml").write_text(f"tenants: [{tenant}]")
    (tmp_path / "jobs.yaml").write_text("- {id: a, operation: export}\n- {id: a, operation: import}\n")
    result = CliRunner().invoke(app, ["check", "--config.file", str(tmp_path / "main.yaml")])
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/main.yaml: ok, 1 tenant, 2 jobs\n")


def test_schema_is_printed_as_json() -> None:
    """The output can be given to an editor as it is."""
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == file_schema()
