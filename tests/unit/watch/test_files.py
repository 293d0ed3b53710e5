"""Files of jobs, looked at now and then; the property at the end compares any history with a plain model."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spexporter.config import JobEntry, parse_jobs
from spexporter.domain.errors import Problem
from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.watch import files as module
from spexporter.watch.files import JobFiles, Looked, listed_jobs


def entries(*ids: str, name: str = "") -> tuple[JobEntry, ...]:
    return tuple(JobEntry(job_id, Operation.EXPORT, name) for job_id in ids)


def written(*ids: str, name: str = "") -> str:
    named = f", name: {name}" if name else ""
    return "".join(f"- {{id: {job_id}, operation: export{named}}}\n" for job_id in ids)


class Folder:
    """Files with dates that a test can tell apart: each writing moves the file system's clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ticks = count(1)

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        tick = next(self._ticks)
        os.utime(file, (tick, tick))
        return file

    def files(self, *patterns: str) -> JobFiles:
        return JobFiles({"acme": self.patterns(*patterns or ("*.yaml",))}, partial(parse_jobs, environ={}))

    def patterns(self, *patterns: str) -> tuple[str, ...]:
        return tuple(str(self.path / pattern) for pattern in patterns)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_first_look_reads_everything(folder: Folder) -> None:
    """All that is there has appeared, and the tenant has jobs that it did not have."""
    a, b = folder.write("a.yaml", written("1", "2")), folder.write("b.yaml", written("3"))
    assert folder.files().look() == Looked(
        jobs={"acme": entries("1", "2", "3")},
        changed_tenants=("acme",),
        files=(a, b),
        appeared=(a, b),
        changed=(),
        gone=(),
        bad_files=(),
    )


def test_each_look_tells_what_came_changed_and_went(folder: Folder) -> None:
    """Every file is in one of three lists at most, and in none when it is as it was."""
    stays, goes = folder.write("a.yaml", written("1")), folder.write("b.yaml", written("2"))
    files = folder.files()
    files.look()
    goes.unlink()
    comes, changes = folder.write("c.yaml", written("3")), folder.write("a.yaml", written("4"))
    assert stays == changes
    looked = files.look()
    assert (looked.appeared, looked.changed, looked.gone) == ((comes,), (changes,), (goes,))
    assert (looked.jobs, looked.changed_tenants) == ({"acme": entries("4", "3")}, ("acme",))
    looked = files.look()
    assert (looked.appeared, looked.changed, looked.gone, looked.changed_tenants) == ((), (), (), ())
    assert looked.jobs == {"acme": entries("4", "3")}


def test_file_that_was_only_touched_has_not_changed(folder: Folder) -> None:
    """Another date, or another text that says the same to the parser, changes no job; only the text counts as news."""
    file = folder.write("a.yaml", written("1"))
    files = folder.files()
    files.look()
    folder.write("a.yaml", written("1"))
    assert files.look().changed == ()
    folder.write("a.yaml", "# the same\n" + written("1"))
    looked = files.look()
    assert (looked.changed, looked.changed_tenants) == ((file,), ())


def test_file_as_it_was_is_not_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second reading has found the same, a look costs no more than asking for dates."""
    folder.write("a.yaml", written("1"))
    files = folder.files()
    files.look()
    files.look()
    monkeypatch.setattr(module, "read_bytes", None)
    assert files.look().jobs == {"acme": entries("1")}


def test_two_writings_within_one_tick_are_seen(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file system's clock stands still, the look after a change finds the next one of the same size."""
    monkeypatch.setattr(module, "_signature", lambda stat: (stat.st_size,))
    folder.write("a.yaml", written("1"))
    files = folder.files()
    for job_id in ("1", "2", "3"):
        folder.write("a.yaml", written(job_id))
        assert files.look().jobs == {"acme": entries(job_id)}


def test_bad_file_keeps_what_it_said_until_it_is_good_or_gone(folder: Folder) -> None:
    """It is told as bad at each look meanwhile, and as changed once."""
    file = folder.write("a.yaml", written("1"))
    files = folder.files()
    files.look()
    folder.write("a.yaml", "- {id: 1, operation: x}\n- {operation: export}\n")
    for changed in ((file,), ()):
        looked = files.look()
        assert (looked.jobs, looked.changed, looked.changed_tenants) == ({"acme": entries("1")}, changed, ())
        (bad,) = looked.bad_files
        assert (bad.path, bad.kept, [problem.line for problem in bad.problems]) == (file, True, [1, 2])
    folder.write("a.yaml", written("2"))
    looked = files.look()
    assert (looked.jobs, looked.changed, looked.bad_files) == ({"acme": entries("2")}, (file,), ())
    folder.write("a.yaml", "[")
    files.look()
    file.unlink()
    looked = files.look()
    assert (looked.jobs, looked.gone, looked.bad_files) == ({"acme": ()}, (file,), ())
    folder.write("a.yaml", "[")
    looked = files.look()
    assert (looked.jobs, looked.appeared) == ({"acme": ()}, (file,))
    assert [bad.kept for bad in looked.bad_files] == [False]


def test_first_file_by_path_holds(folder: Folder) -> None:
    """Over several files an id may stand several times, also where patterns overlap or come in another order."""
    folder.write("b.yaml", written("1", "2", name="second"))
    folder.write("a.yaml", written("2", name="first"))
    looked = folder.files("b.*", "*.yaml", "a.yaml").look()
    assert looked.jobs == {"acme": entries("2", name="first") + entries("1", name="second")}


def test_each_tenant_has_the_jobs_of_its_own_patterns(folder: Folder) -> None:
    """A file can be several tenants'; one without a pattern has no jobs."""
    folder.write("a.yaml", written("1"))
    folder.write("b.yaml", written("2"))
    patterns = {"acme": folder.patterns("*.yaml"), "globex": folder.patterns("b.yaml"), "initech": ()}
    looked = JobFiles(patterns, partial(parse_jobs, environ={})).look()
    assert looked.jobs == {"acme": entries("1", "2"), "globex": entries("2"), "initech": ()}
    assert looked.changed_tenants == ("acme", "globex")
    assert len(looked.files) == 2


def test_other_patterns_keep_what_is_known_of_files(folder: Folder) -> None:
    """After a reload a bad file that is still named says what it said when it was good."""
    a, b = folder.write("a.yaml", written("1")), folder.write("b.yaml", written("2"))
    files = folder.files()
    files.look()
    folder.write("a.yaml", "[")
    files.replace({"acme": (), "globex": folder.patterns("a.yaml")})
    looked = files.look()
    assert looked.jobs == {"acme": (), "globex": entries("1")}
    assert looked.changed_tenants == ("acme", "globex")
    assert (looked.files, looked.gone) == ((a,), (b,))


def test_exchanged_link_is_a_change(folder: Folder) -> None:
    """As Kubernetes does it: names lead through `..data`, which another link replaces in one step."""
    for version in ("1", "2"):
        folder.write(f"..{version}/a.yaml", written(version))
    (folder.path / "..data").symlink_to("..1")
    file = folder.path / "a.yaml"
    file.symlink_to("..data/a.yaml")
    files = folder.files()
    assert files.look().jobs == {"acme": entries("1")}
    (folder.path / "..new").symlink_to("..2")
    (folder.path / "..new").replace(folder.path / "..data")
    looked = files.look()
    assert (looked.jobs, looked.changed) == ({"acme": entries("2")}, (file,))


def test_link_to_nothing_is_bad(folder: Folder) -> None:
    """Somebody meant a file to be there; it keeps what it said."""
    target = folder.write("target", written("1"))
    (folder.path / "a.yaml").symlink_to("target")
    files = folder.files()
    files.look()
    target.unlink()
    looked = files.look()
    assert looked.jobs == {"acme": entries("1")}
    (bad,) = looked.bad_files
    assert [str(problem) for problem in bad.problems] == [
        f"{folder.path}/a.yaml: the file cannot be read: No such file or directory"
    ]


def test_link_to_itself_is_bad(folder: Folder) -> None:
    """No look ends in an exception."""
    (folder.path / "a.yaml").symlink_to("a.yaml")
    (bad,) = folder.files().look().bad_files
    assert (bad.kept, bad.problems[0].message) == (
        False,
        "the file cannot be read: Too many levels of symbolic links",
    )


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_regular_file_is_bad(folder: Folder, make: Callable[[Path], None]) -> None:
    """A pipe would keep the look waiting for ever."""
    make(folder.path / "a.yaml")
    (bad,) = folder.files().look().bad_files
    assert bad.path == folder.path / "a.yaml"


def test_unreadable_file_is_tried_again_at_each_look(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps what it said, and nothing in it need change for it to be good again."""
    file = folder.write("a.yaml", written("1"))
    files = folder.files()
    files.look()
    path_open = Path.open

    def refuse(path: Path, mode: str) -> object:
        raise PermissionError(13, "Permission denied", str(path), mode)

    folder.write("a.yaml", written("2"))
    monkeypatch.setattr(Path, "open", refuse)
    looked = files.look()
    assert (looked.jobs, looked.changed) == ({"acme": entries("1")}, (file,))
    assert [bad.problems for bad in looked.bad_files] == [
        (Problem(str(file), 0, "", "the file cannot be read: Permission denied"),)
    ]
    monkeypatch.setattr(Path, "open", path_open)
    looked = files.look()
    assert (looked.jobs, looked.bad_files) == ({"acme": entries("2")}, ())


def test_folder_that_cannot_be_listed_keeps_its_files(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in it is kept and still looked at, until the folder can be listed again."""
    file = folder.write("jobs.d/a.yaml", written("1"))
    files = folder.files("jobs.d/*.yaml")
    files.look()

    def refuse(path: Path) -> Iterator[str]:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("spexporter.config.patterns.os.scandir", refuse)
        for job_id in ("1", "2"):
            folder.write("jobs.d/a.yaml", written(job_id))
            looked = files.look()
            assert (looked.jobs, looked.files, looked.gone) == ({"acme": entries(job_id)}, (file,), ())
            assert [(str(bad.problems[0]), bad.kept) for bad in looked.bad_files] == [
                (f"{file.parent}: the folder cannot be read: Permission denied", True)
            ]
    file.unlink()
    assert files.look().gone == (file,)


def test_jobs_of_files_are_watched_as_such() -> None:
    """Each becomes what the list of watched jobs takes, with its source."""
    entry = JobEntry("1", Operation.IMPORT, "nightly", 60, preview=True)
    assert listed_jobs("acme", [entry]) == (
        WatchedJob(JobKey("acme", Operation.IMPORT, "1"), Source.FILE, "nightly", 60, preview=True),
    )


NAMES = ("a.yaml", "b.yaml", "c.yaml")
CONTENTS = st.one_of(
    st.lists(st.sampled_from("123"), unique=True, max_size=3).map(lambda ids: written(*ids)),
    st.sampled_from(["[", "- {id: 1}\n", written("1", "1"), "jobs: 1\n"]),
)
Operations = Sequence[tuple[str, ...]]
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(NAMES), CONTENTS),
        st.tuples(st.just("write atomically"), st.sampled_from(NAMES), CONTENTS),
        st.tuples(st.just("delete"), st.sampled_from(NAMES)),
        st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
        st.tuples(st.just("link"), st.sampled_from(NAMES), CONTENTS),
        st.tuples(st.just("swap"), CONTENTS),
        st.tuples(st.just("look")),
    ),
    max_size=20,
)


@dataclass
class Model:
    """What a look must say: of each name the text behind it, and of each look the last good jobs.

    `links` are the names that lead through `..data`, whose text is `swapped`, None before there is any.
    """

    texts: dict[str, str] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    swapped: str | None = None
    good: dict[str, tuple[JobEntry, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        return self.swapped if name in self.links else self.texts.get(name)

    def look(self) -> tuple[tuple[JobEntry, ...], list[str]]:
        """The jobs, and the names of bad files."""
        there = sorted({*self.texts, *self.links})
        bad = []
        good = {}
        for name in there:
            ids = model_ids(self.text(name))
            if ids is None:
                bad.append(name)
                good[name] = self.good.get(name, ())
            else:
                good[name] = entries(*ids)
        self.good = good
        return tuple(dict.fromkeys(entry for name in there for entry in good[name])), bad


def model_ids(text: str | None) -> list[str] | None:
    """The ids of a text as `written` makes it, None for any other."""
    ids = [line.removeprefix("- {id: ")[0] for line in (text or "").splitlines() if len(line) > 1]
    return ids if text == written(*ids) and len(ids) == len({*ids}) else None


class History:
    """Does the same to a folder and to the model."""

    def __init__(self, path: Path) -> None:
        self.folder = Folder(path)
        self.model = Model()
        self._versions = count()

    def do(self, what: str, *names: str) -> None:
        getattr(self, f"_{what.replace(' ', '_')}")(*names)

    def _write(self, name: str, text: str) -> None:
        if name in self.model.links:  # What is behind a link is swapped, never written.
            return self._link(name, text)
        self.folder.write(name, text)
        self.model.texts[name] = text
        return None

    def _write_atomically(self, name: str, text: str) -> None:
        self.folder.write(".new", text).replace(self.folder.path / name)
        self.model.links.discard(name)
        self.model.texts[name] = text

    def _delete(self, name: str) -> None:
        (self.folder.path / name).unlink(missing_ok=True)
        self.model.texts.pop(name, None)
        self.model.links.discard(name)

    def _rename(self, name: str, other: str) -> None:
        if name == other or (not (self.folder.path / name).is_symlink() and name not in self.model.texts):
            return
        (self.folder.path / name).replace(self.folder.path / other)
        self.model.texts.pop(other, None)
        self.model.links.discard(other)
        if name in self.model.links:
            self.model.links.remove(name)
            self.model.links.add(other)
        else:
            self.model.texts[other] = self.model.texts.pop(name)

    def _link(self, name: str, text: str) -> None:
        self._delete(name)
        (self.folder.path / name).symlink_to("..data/jobs.yaml")
        self.model.links.add(name)
        self._swap(text)

    def _swap(self, text: str) -> None:
        version = f"..{next(self._versions)}"
        self.folder.write(f"{version}/jobs.yaml", text)
        (self.folder.path / "..next").symlink_to(version)
        (self.folder.path / "..next").replace(self.folder.path / "..data")
        self.model.swapped = text


def told(looked: Looked) -> tuple[tuple[JobEntry, ...], list[str]]:
    return looked.jobs["acme"], [bad.path.name for bad in looked.bad_files]


@settings(max_examples=150, deadline=None)
@given(OPERATIONS)
def test_any_history_of_files_is_seen_as_a_plain_model_says(operations: Operations) -> None:
    """Whatever was written, deleted, renamed and exchanged since the last look, the next one tells what is there."""
    with tempfile.TemporaryDirectory() as path:
        history = History(Path(path))
        files = history.folder.files()
        before: Iterable[str] = ()
        for what, *names in (*operations, ("look",)):
            if what != "look":
                history.do(what, *names)
                continue
            looked = files.look()
            assert told(looked) == history.model.look()
            now = sorted({*history.model.texts, *history.model.links})
            assert [file.name for file in looked.files] == now
            assert [file.name for file in looked.appeared] == [name for name in now if name not in before]
            assert [file.name for file in looked.gone] == [name for name in before if name not in now]
            before = now
