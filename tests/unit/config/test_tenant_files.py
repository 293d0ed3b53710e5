"""Files of tenants: each stands or falls alone."""

import os
from pathlib import Path

import pytest

from spexporter.config import BadFile, Config, load
from spexporter.domain.budget import RateLimit
from spexporter.domain.errors import ConfigError, Problem

MAIN = "tenant_files: [tenants.d/*.yaml]\n"
ENTRY = "- {name: %s, org: acme, client_id: %s, client_secret: planted%s}\n"

LIMIT = (
    ".rate_limit: the tenant in {}:1 has the same client_id but another rate_limit; they share one budget, so give both"
    " the same"
)


class Folder:
    """A main file and its files of tenants, loaded as a daemon does: again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loaded: Config | None = None
        self.write("main.yaml", MAIN)

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    def tenants(self, name: str, *entries: str) -> Path:
        return self.write(f"tenants.d/{name}.yaml", "".join(entries))

    def load(self) -> Config:
        self.loaded = load(self.path / "main.yaml", {"VARIABLE": "planted"}, self.loaded)
        return self.loaded

    def names(self) -> list[str]:
        return [tenant.name for tenant in self.load().tenants]

    def problems(self) -> list[str]:
        """What is wrong in files of tenants, with paths from this folder on."""
        problems = [str(problem) for bad in self.load().bad_files for problem in bad.problems]
        return [problem.replace(f"{self.path}/", "") for problem in problems]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def entry(name: str, more: str = "", client_id: str = "planted") -> str:
    return ENTRY % (name, client_id, f", {more}" if more else "")


def test_tenants_of_all_files_are_used_in_order(folder: Folder) -> None:
    """The main file's come first, then those of each file by its path."""
    folder.write("main.yaml", f"{MAIN}tenants: [{entry('main').removeprefix('- ').rstrip()}]\n")
    folder.tenants("b", entry("third"))
    folder.tenants("a", entry("first"), entry("second"))
    assert folder.names() == ["main", "first", "second", "third"]
    assert folder.load().bad_files == ()


@pytest.mark.parametrize("text", ["tenants:\n" + entry("a"), entry("a")], ids=["mapping", "list"])
def test_file_is_a_list_or_a_mapping_with_one(folder: Folder, text: str) -> None:
    """Both forms say the same."""
    folder.tenants("a", text)
    assert folder.names() == ["a"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "[]", "{}", "tenants:\n"])
def test_file_can_be_empty(folder: Folder, text: str) -> None:
    """Tenants may come later; so may the files."""
    assert folder.names() == []
    folder.tenants("a", text)
    assert folder.names() == []
    assert folder.load().bad_files == ()


def test_defaults_of_the_main_file_are_inherited_and_paths_start_where_they_are_written(folder: Folder) -> None:
    """An inherited path is the main file's, an own one the tenant file's."""
    folder.write("main.yaml", f"defaults: {{client_secret_file: inherited, timeout: 7s}}\n{MAIN}")
    inherited = folder.write("inherited", "planted")
    own = folder.write("tenants.d/own", "planted")
    folder.tenants("a", "- {name: a, org: a, client_id: a, job_files: [jobs/*.yaml]}\n")
    folder.tenants("b", "- {name: b, org: b, client_id: b, client_secret_file: own}\n")
    a, b = folder.load().tenants
    assert (a.secret.source, a.timeout_s) == (inherited, 7)
    assert a.job_files == (str(folder.path / "tenants.d/jobs/*.yaml"),)
    assert b.secret.source == own


def test_bad_file_stops_no_other(folder: Folder) -> None:
    """Every mistake in it is told, and the tenants of other files are used."""
    folder.tenants("a", entry("good"))
    folder.tenants("b", entry("x", "timeout: soon"), entry("y", "timeouts: 1"))
    folder.tenants("c", entry("fine"))
    assert folder.names() == ["good", "fine"]
    assert folder.problems() == [
        "tenants.d/b.yaml:1: [0].timeout: must be a duration such as 500ms, 10s, 5m, 24h, 7d or 1h30m, got 'soon'",
        "tenants.d/b.yaml:2: [1].timeouts: unknown key; did you mean timeout?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", "1: the top level must be a list of tenants"),
        ("[a]", "1: [0]: must be a mapping of keys to values, not a single text"),
        ("tenants: a", "1: tenants: must be a list, not a single text"),
        ("defaults: {}", "1: defaults: is one for all tenants; write it in the main file"),
        ("tenant: []", "1: tenant: unknown key; did you mean tenants?"),
        ("\t", "1: not valid YAML: indent with blanks, not with tabs"),
        (
            "- {name: '${NO}', org: a, client_id: a, client_secret: a}",
            "1: [0].name: the environment variable NO is not",
        ),
        (entry("a", "jobs: [{id: a, operation: export}, {id: a, operation: export}]"), "1: [0].jobs[1].id: 'a' is"),
        (entry("a") + entry("a"), "2: [1].name: 'a' is used on line 1; give each tenant a name of its own"),
        (
            entry("a", "retention: 401d"),
            "1: [0].retention: must be at most `store.remember_counted` (400d), got '401d'",
        ),
        (entry("a", "api_version: beta, discover: [drafts]"), "1: [0].discover: beta has no lists"),
    ],
)
def test_mistake_in_a_file_is_told_with_its_place(folder: Folder, text: str, problem: str) -> None:
    """Rules for tenants hold in every file."""
    folder.tenants("a", text)
    (told,) = folder.problems()
    assert told.startswith(f"tenants.d/a.yaml:{problem}")


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (entry("a"), entry("a"), ".name: 'a' is used in {}:1; give each tenant a name of its own"),
        (
            entry("a", "former_names: [b]"),
            entry("b"),
            ".name: 'b' is a former name of the tenant in {}:1; choose another name",
        ),
        (
            entry("a"),
            entry("b", "former_names: [a]"),
            ".former_names[0]: 'a' is the name of the tenant in {}:1; leave it out or rename that one",
        ),
        (
            entry("a", "former_names: [c]"),
            entry("b", "former_names: [c]"),
            ".former_names[0]: 'c' is claimed by the tenant in {}:1; keep it in one of the two",
        ),
        (
            entry("a"),
            entry("b", "rate_limit: {requests: 7}"),
            LIMIT,
        ),
        (
            entry("a", "rate_limit: {requests: 7}"),
            entry("b"),
            LIMIT,
        ),
    ],
    ids=["name", "name-that-was", "former-name-that-is", "former-name-twice", "limit", "default-limit"],
)
@pytest.mark.parametrize("in_main", [True, False], ids=["main-and-file", "two-files"])
def test_later_file_cannot_have_what_an_earlier_one_has(
    folder: Folder, first: str, second: str, problem: str, *, in_main: bool
) -> None:
    """Names and budgets are one matter for all files; the later file is the bad one, and the earlier is used."""
    if in_main:
        place = folder.write("main.yaml", f"tenants:\n{first}{MAIN}")
        problem = problem.replace(":1", ":2")
    else:
        place = folder.tenants("a", first)
    later = folder.tenants("b", second)
    config = folder.load()
    assert [tenant.name for tenant in config.tenants] == ["a"]
    (bad,) = config.bad_files
    assert [str(it) for it in bad.problems] == [f"{later}:1: [0]{problem.format(place)}"]


def test_client_id_in_a_message_is_never_shown(folder: Folder) -> None:
    """Two tenants with one client are told apart by their places."""
    folder.tenants("a", entry("a", client_id="hunter2"))
    folder.tenants("b", entry("b", "rate_limit: {requests: 7}", client_id="hunter2"))
    (problem,) = folder.problems()
    assert "hunter2" not in problem


def test_bad_file_takes_no_name_from_a_good_one(folder: Folder) -> None:
    """What is not used does not stand in the way of what could be."""
    folder.tenants("a", entry("x", "timeout: soon"))
    folder.tenants("b", entry("x"))
    assert folder.names() == ["x"]
    assert [bad.path.name for bad in folder.load().bad_files] == ["a.yaml"]


def test_file_that_was_good_keeps_what_it_said(folder: Folder) -> None:
    """A mistake stops nothing that was running, until the file is good again or gone."""
    file = folder.tenants("a", entry("old"))
    before = folder.load()
    folder.tenants("a", "- {")
    for _ in range(2):
        config = folder.load()
        assert (config.tenants, config.tenant_files, config.digest) == (
            before.tenants,
            before.tenant_files,
            before.digest,
        )
        assert [(bad.path, bad.kept) for bad in config.bad_files] == [(file, True)]
    folder.tenants("a", entry("new"))
    assert folder.names() == ["new"]
    folder.tenants("a", "- {")
    assert folder.names() == ["new"]
    file.unlink()
    assert (folder.names(), folder.load().bad_files) == ([], ())


def test_file_that_never_was_good_keeps_nothing(folder: Folder) -> None:
    """A restart does not know what it said before."""
    file = folder.tenants("a", "- {")
    (bad,) = folder.load().bad_files
    assert (bad.path, bad.kept, len(bad.problems)) == (file, False, 1)


def test_what_is_kept_gives_way_to_good_files(folder: Folder) -> None:
    """A tenant that has moved or got a new name elsewhere is not kept, and what is kept shares the present budget."""
    limited = "rate_limit: {requests: 50}, former_names: [was, had]"
    folder.tenants("a", entry("moved"), entry("renamed", client_id="b"), entry("stays", limited, client_id="c"))
    folder.load()
    folder.tenants("a", "- {")
    folder.write("main.yaml", f"store: {{remember_counted: 1d}}\ndefaults: {{retention: 1d}}\n{MAIN}")
    folder.tenants("b", entry("moved"), entry("new", "former_names: [renamed, was]", client_id="c"))
    config = folder.load()
    assert [tenant.name for tenant in config.tenants] == ["stays", "moved", "new"]
    stays = config.tenants[0]
    assert (stays.former_names, stays.rate_limit, stays.retention_s) == (("had",), RateLimit(), 86_400)
    folder.tenants("b", entry("other"))
    assert folder.names() == ["moved", "renamed", "stays", "other"]


def test_two_kept_files_do_not_share_a_name(folder: Folder) -> None:
    """A name that was moved from one file to another while both are bad stays where it comes first."""
    folder.tenants("b", entry("x"))
    folder.load()
    folder.tenants("b", "- {")
    folder.tenants("a", entry("x"))
    folder.load()
    folder.tenants("a", "- {")
    assert folder.names() == ["x"]


def test_mistakes_of_all_files_are_told_where_the_main_file_is_bad(folder: Folder) -> None:
    """The main file's come first; nothing is loaded then."""
    folder.write("main.yaml", f"defaults: {{timeout: soon}}\n{MAIN}")
    folder.tenants("a", entry("a", "max_staleness: soon"))
    with pytest.raises(ConfigError) as raised:
        folder.load()
    assert [(Path(it.file).name, it.path) for it in raised.value.problems] == [
        ("main.yaml", "defaults.timeout"),
        ("a.yaml", "[0].max_staleness"),
    ]


def test_default_retention_is_compared_too(folder: Folder) -> None:
    """A tenant that says nothing is shown for the default time, which may be longer than what is remembered."""
    folder.write("main.yaml", f"store: {{remember_counted: 1d}}\n{MAIN}")
    folder.tenants("a", entry("a"))
    assert folder.problems() == [
        "tenants.d/a.yaml:1: [0].retention: is longer by default; it must be at most `store.remember_counted` (1d)"
    ]


def test_main_file_is_no_file_of_tenants(tmp_path: Path) -> None:
    """A pattern for a whole folder may meet it."""
    folder = Folder(tmp_path)
    folder.write("main.yaml", "tenant_files: ['*.yaml']")
    folder.write("a.yaml", entry("a"))
    assert folder.names() == ["a"]
    assert folder.load().bad_files == ()


def test_every_file_that_matters_is_named(folder: Folder) -> None:
    """Also those that only a bad file names, or that a bad file named when it was good: a change there can mend it."""
    main = folder.path / "main.yaml"
    secret = folder.write("secret", "planted")
    file = folder.tenants("a", "- {name: a, org: a, client_id: a, client_secret_file: ../secret}\n")
    named = folder.path / "tenants.d" / ".." / "secret"
    assert folder.load().files == (main, file, named)
    secret.unlink()
    config = folder.load()
    assert config.files == (main, file, named)
    assert [bad.kept for bad in config.bad_files] == [True]
    folder.tenants("a", "- {")
    assert folder.load().files == (main, file, named)
    assert folder.load().patterns == (str(folder.path / "tenants.d/*.yaml"),)


def test_digest_stands_for_all_files_in_use(folder: Folder) -> None:
    """Two replicas with the same files agree, and one file more or another word makes a difference."""
    digests = [folder.load().digest]
    for text in (entry("a"), entry("b")):
        folder.tenants("a", text)
        digests.append(folder.load().digest)
    assert len({*digests}) == 3
    folder.tenants("a", entry("a"))
    assert folder.load().digest == digests[1]


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_only_a_regular_file_is_read(folder: Folder, kind: str) -> None:
    """A pipe would keep its reader waiting for ever."""
    file = folder.tenants("a")
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    (bad,) = folder.load().bad_files
    message = {
        "pipe": "must be a regular file, because it is read again when it changes",
        "folder": "the file cannot be read: Is a directory",
    }[kind]
    assert bad == BadFile(file, (Problem(str(file), 0, "", message),), kept=False)


def test_folder_that_cannot_be_listed_keeps_its_files(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes it for empty; the folder is told with the reason."""
    file = folder.tenants("a", entry("a"))
    before = folder.load()

    def refuse(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("spexporter.config.patterns.os.scandir", refuse)
    config = folder.load()
    assert config.tenants == before.tenants
    problem = Problem(str(file.parent), 0, "", "the folder cannot be read: Permission denied")
    assert config.bad_files == (BadFile(file.parent, (problem,), kept=True),)
