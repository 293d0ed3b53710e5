"""The documents say what the program does: commands, options, targets, log events and links exist."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from typer.main import get_group

from scripts import generate_docs
from spexporter.cli.main import program
from spexporter.config import load
from spexporter.config.webconfig import load_web_config
from spexporter.config.webmodel import HttpServerSection, WebSection
from tests.support.documents import documents
from tests.support.modules import ROOT, read_modules
from tests.support.papers import papers

DOCUMENTS = list(documents())
OPERATIONS = ROOT / "docs" / "operations.md"
LEVELS = {"exception": "error", "log": "any"}

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def code(text: str) -> Iterator[str]:
    """Every line of a document's code blocks, continued lines as one, and every code span."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def logged_events() -> Iterator[tuple[str, str, set[str]]]:
    """Each log call's event, the level under which it is documented, and its fields; ** shows as a missing name."""
    for module in read_modules(ROOT / "spexporter"):
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if ast.unparse(node.func.value) not in {"log", "self._log"}:
                continue
            method = node.func.attr
            if method == "is_enabled_for":
                continue  # asks whether a line would be written
            event = node.args[1 if method == "log" else 0]
            fields = {keyword.arg for keyword in node.keywords if keyword.arg}
            yield ast.literal_eval(event), LEVELS.get(method, method), fields


def documented_events() -> dict[str, tuple[str, set[str]]]:
    """Each row of the table of log events: its level and its fields."""
    section = OPERATIONS.read_text(encoding="utf-8").partition("## Log events")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| ", section, re.MULTILINE)
    return {event: (level, set(re.findall(r"`(\w+)`", fields))) for event, level, fields in rows}


@pytest.mark.parametrize(
    ("path", "page"), [pytest.param(path, page, id=path.name) for path, page in generate_docs.PAGES.items()]
)
def test_generated_page_is_fresh(path: Path, page: Callable[[], str]) -> None:
    """`make docs` would change nothing."""
    assert path.read_text(encoding="utf-8") == page(), "stale: run `make docs`"


def test_command_reference_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither width nor colour of the terminal that runs `make docs` changes the page."""
    for name, value in {"COLUMNS": "30", "TERMINAL_WIDTH": "30", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert generate_docs.cli() == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


@every_document
def test_shown_command_exists(document: Path) -> None:
    """Each `spexporter COMMAND --option` that a document shows is one that the program takes."""
    commands = get_group(program()).commands
    for line in code(document.read_text(encoding="utf-8")):
        for name, rest in re.findall(r"(?<![\w-])spexporter ([a-z]+)\b(.*)", line):
            assert name in commands, line
            known = {option for parameter in commands[name].params for option in parameter.opts}
            assert set(re.findall(r"(?<!\S)--[a-z][\w.-]*", rest)) <= known, line


@every_document
def test_shown_make_target_exists(document: Path) -> None:
    """Each `make TARGET` that a document shows is one of the Makefile."""
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {name for line in code(document.read_text(encoding="utf-8")) for name in re.findall(r"^make (\S+)", line)}
    assert shown <= targets


@every_document
def test_linked_file_exists(document: Path) -> None:
    """No link of one document to another, or to a file of the project, is dead."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    dead = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert dead == []


def test_every_log_event_is_documented_with_its_level_and_fields() -> None:
    """Operators find each event that they meet in the log, and no event that they can never meet."""
    documented, logged = documented_events(), list(logged_events())
    assert {event for event, _, _ in logged} == documented.keys()
    for event, level, fields in logged:
        assert level == documented[event][0], event
        assert fields <= documented[event][1], event


def test_configuration_in_the_readme_loads(tmp_path: Path) -> None:
    """A newcomer can paste it as it is, and the scrape configuration beside it names the port that it is served on."""
    own, scrape = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    file = tmp_path / "config.yaml"
    file.write_text(own, encoding="utf-8")
    config = load(file, {"SAILPOINT_CLIENT_ID": "planted", "SAILPOINT_CLIENT_SECRET": "planted"})
    assert [len(tenant.jobs) for tenant in config.tenants] == [2]
    example = yaml.safe_load((ROOT / "prometheus" / "scrape.example.yml").read_text(encoding="utf-8"))
    assert yaml.safe_load(scrape) == example


@pytest.mark.parametrize(
    "text", re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "web-config.md").read_text(), re.DOTALL | re.MULTILINE)
)
def test_web_configuration_in_the_documents_loads(text: str, tmp_path: Path) -> None:
    """Where the files that it names are there; none of it is remarked on."""
    server = papers(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(server.authority.read_bytes())
    (tmp_path / "web.yaml").write_text(text)
    web = load_web_config(tmp_path / "web.yaml")
    assert web.tls
    assert web.users or web.headers
    assert web.remarks == ()


def test_every_key_of_a_web_configuration_is_in_the_documents() -> None:
    """Those that work in another way than elsewhere, or do not work."""
    page = (ROOT / "docs" / "web-config.md").read_text()
    for section in (WebSection, HttpServerSection):
        assert [key for key in section.fields_by_key() if key not in page] == []
