"""Files of jobs."""

from pathlib import Path

import pytest

from spexporter.config import JobEntry, parse_jobs
from spexporter.domain.errors import ConfigError
from spexporter.domain.job import Operation

FILE = Path("jobs.yaml")
JOBS = """\
- {id: 00017, operation: export}
- {id: 00017, operation: import, name: "${NAME}", max_age: 30m, preview: false}
"""


@pytest.mark.parametrize(
    "text", [JOBS, f"jobs:\n{JOBS}", "\ufeff" + JOBS.replace("\n", "\r\n")], ids=["list", "mapping", "windows"]
)
def test_entries_are_those_of_a_tenant(text: str) -> None:
    """Keys, values and variables work as under `jobs`."""
    assert parse_jobs(FILE, text.encode(), {"NAME": "nightly"}) == (
        JobEntry("00017", Operation.EXPORT),
        JobEntry("00017", Operation.IMPORT, "nightly", max_age_s=1800, preview=False),
    )


@pytest.mark.parametrize("text", ["", "\n", "# later\n", "---\n", "[]", "{}", "jobs:"])
def test_empty_file_has_no_jobs(text: str) -> None:
    """A pipeline may write the file before there is a job."""
    assert parse_jobs(FILE, text.encode(), {}) == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a", "1: the top level must be a list of jobs"),
        (b"[a]", "1: [0]: must be a mapping of keys to values, not a single text"),
        (b"[{id: a}]", "1: [0].operation: is missing; say export or import"),
        (b"[{id: a, operation: backup}]", "1: [0].operation: must be one of export, import, got 'backup'"),
        (b"[{id: a, operation: export, when: now}]", "1: [0].when: unknown key; known here are id, operation, name,"),
        (b"id: a", "1: id: is not looked for: a file of jobs is a list, each with id and operation"),
        (
            b"- {id: a, operation: export}\n- {id: a, operation: import}\n- {id: a, operation: export}\n",
            "3: [2].id: 'a' is listed for this operation on line 1; keep one of the two",
        ),
        (b"[{id: '${ID}', operation: export}]", "1: [0].id: the environment variable ID is not set"),
        (b"[", "1: not valid YAML:"),
        (b"\xff", "1: not UTF-8 text; save the file in UTF-8"),
        (b"#" * (16 * 1024**2 + 1), " the file is larger than 16 MiB"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_mistake_is_told_with_its_place(content: bytes, problem: str) -> None:
    """File, line and path, what is wrong and what would be right."""
    with pytest.raises(ConfigError) as raised:
        parse_jobs(FILE, content, {})
    (told,) = raised.value.problems
    assert str(told).startswith(f"jobs.yaml:{problem}")


def test_every_mistake_is_told_at_once() -> None:
    """In the order of the file."""
    with pytest.raises(ConfigError) as raised:
        parse_jobs(FILE, b"- {id: a, operation: x}\n- {operation: export}\n- {id: b, operation: y}\n", {})
    assert [(problem.line, problem.path) for problem in raised.value.problems] == [
        (1, "[0].operation"),
        (2, "[1].id"),
        (3, "[2].operation"),
    ]
