"""Every way in which a file of jobs can be bad, beside what an operator reads of it; none stops the file beside it."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from spexporter.config import JobEntry, parse_jobs
from spexporter.domain.job import Operation
from spexporter.watch.files import JobFiles

GOOD = "- {id: e1, operation: export}\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)
DURATION = "must be a duration such as 500ms, 10s, 5m, 24h, 7d or 1h30m"
ID = "must be 1 to 64 letters, digits, dots, underscores or hyphens"

CONTENTS = {
    "not YAML": (
        b"- {id: e1, operation: export\n",
        "jobs.yaml:2: not valid YAML: expected ',' or '}', but got '<stream end>'",
    ),
    "two documents": (
        b"- {id: e1, operation: export}\n---\n- {id: e2, operation: export}\n",
        "jobs.yaml:2: a second document starts here; the file must hold one",
    ),
    "UTF-16": (
        "- {id: e1, operation: export}\n".encode("utf-16"),
        "jobs.yaml:1: not UTF-8 text; save the file in UTF-8",
    ),
    "Latin-1": (
        "- {id: e1, operation: export,\n   name: café}\n".encode("latin-1"),
        "jobs.yaml:2: not UTF-8 text; save the file in UTF-8",
    ),
    "control character": (
        b"- {id: e1\x00, operation: export}\n",
        "jobs.yaml:1: not valid YAML: a control character stands here",
    ),
    "single text": (b"e1 export\n", "jobs.yaml:1: the top level must be a list of jobs"),
    "mapping": (
        b"e1: export\n",
        "jobs.yaml:1: e1: is not looked for: a file of jobs is a list, each with id and operation",
    ),
    "text in the list": (b"- e1\n", "jobs.yaml:1: [0]: must be a mapping of keys to values, not a single text"),
    "unknown key": (
        b"- {id: e1, operation: export, maxage: 30m}\n",
        "jobs.yaml:1: [0].maxage: unknown key; did you mean max_age?",
    ),
    "key twice": (
        b"- id: e1\n  id: e2\n  operation: export\n",
        "jobs.yaml:2: [0].id: is given a second time, first on line 1",
    ),
    "no id": (b"- {operation: export}\n", "jobs.yaml:1: [0].id: is missing; give the id that SailPoint gave the job"),
    "bad id": (b"- {id: a/b, operation: export}\n", f"jobs.yaml:1: [0].id: {ID}, got 'a/b'"),
    "id of dots": (
        b"- {id: .., operation: export}\n",
        "jobs.yaml:1: [0].id: must be more than dots: it becomes a part of a path, got '..'",
    ),
    "bad operation": (
        b"- {id: e1, operation: exports}\n",
        "jobs.yaml:1: [0].operation: must be one of export, import, got 'exports'",
    ),
    "bad duration": (
        b"- {id: e1, operation: export, max_age: 30}\n",
        f"jobs.yaml:1: [0].max_age: {DURATION}, got '30'",
    ),
    "bad preview": (
        b"- {id: i1, operation: import, preview: maybe}\n",
        "jobs.yaml:1: [0].preview: must be true or false, got 'maybe'",
    ),
    "entry twice": (
        b"- {id: e1, operation: export}\n- {id: e1, operation: export}\n",
        "jobs.yaml:2: [1].id: 'e1' is listed for this operation on line 1; keep one of the two",
    ),
    "tag": (
        b"- !!python/object/apply:os.system [x]\n",
        "jobs.yaml:1: [0]: YAML tags have no meaning here; a text that starts with ! needs quotes",
    ),
    "alias bomb": (BOMB.encode(), "jobs.yaml:1: aliases repeat this too often; write it out"),
    "too deep": (
        b"[" * 10_000,
        "jobs.yaml:1: mappings and lists are nested too deeply, or an alias is part of itself",
    ),
    "too large": (b"#" * (16 * 1024**2 + 1), "jobs.yaml: the file is larger than 16 MiB"),
}
KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (Path.mkdir, "jobs.yaml: the file cannot be read: Is a directory"),
    "pipe": (os.mkfifo, "jobs.yaml: must be a regular file, because it is read again when it changes"),
    "link to nothing": (
        lambda path: path.symlink_to("nothing"),
        "jobs.yaml: the file cannot be read: No such file or directory",
    ),
    "link to itself": (
        lambda path: path.symlink_to("jobs.yaml"),
        "jobs.yaml: the file cannot be read: Too many levels of symbolic links",
    ),
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of jobs with one job, and beside it another that is always good."""
    monkeypatch.chdir(tmp_path)
    Path("jobs.yaml").write_text(GOOD)
    Path("other.yaml").write_text(GOOD.replace("e1", "e2"))
    return Path("jobs.yaml")


def entries(*ids: str) -> tuple[JobEntry, ...]:
    return tuple(JobEntry(job_id, Operation.EXPORT) for job_id in ids)


def job_files() -> JobFiles:
    return JobFiles({"acme": ("*.yaml",)}, partial(parse_jobs, environ={}))


def said(files: JobFiles) -> tuple[tuple[JobEntry, ...], list[str], list[bool]]:
    """Look, and return the jobs, what is said of bad files, and of each whether its last good content is kept."""
    looked = files.look()
    problems = [str(problem) for bad in looked.bad_files for problem in bad.problems]
    return looked.jobs["acme"], problems, [bad.kept for bad in looked.bad_files]


@pytest.mark.parametrize(("content", "answer"), CONTENTS.values(), ids=CONTENTS.keys())
def test_bad_content_is_named_exactly_and_what_was_said_before_is_kept(file: Path, content: bytes, answer: str) -> None:
    """Once bad, the file keeps its job; were it bad from the beginning, the other file would go on alone."""
    files = job_files()
    assert said(files) == (entries("e1", "e2"), [], [])
    file.write_bytes(content)
    assert said(files) == (entries("e1", "e2"), [answer], [True])
    assert said(job_files()) == (entries("e2"), [answer], [False])


@pytest.mark.parametrize(("make", "answer"), KINDS.values(), ids=KINDS.keys())
def test_what_is_no_file_is_named_exactly(file: Path, make: Callable[[Path], object], answer: str) -> None:
    """The look does not wait for it, and the file that was there before keeps its job."""
    files = job_files()
    files.look()
    file.unlink()
    make(file)
    assert said(files) == (entries("e1", "e2"), [answer], [True])
    assert said(job_files()) == (entries("e2"), [answer], [False])


def test_what_may_not_be_read_is_named_exactly(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the operating system's."""
    path_open = Path.open

    def refuse(path: Path, mode: str) -> object:
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return path_open(path, mode)

    monkeypatch.setattr(Path, "open", refuse)
    assert said(job_files()) == (entries("e2"), ["jobs.yaml: the file cannot be read: Permission denied"], [False])
