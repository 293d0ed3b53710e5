"""A file of jobs."""

from collections.abc import Mapping
from pathlib import Path

from spexporter.config import build
from spexporter.config.mistakes import validate
from spexporter.config.model import JobFileSection
from spexporter.config.nodes import Complaints
from spexporter.config.read import decode, read_list
from spexporter.config.rules import check_jobs
from spexporter.config.values import JobEntry
from spexporter.domain.errors import ConfigError


def parse_jobs(path: Path, content: bytes, environ: Mapping[str, str]) -> tuple[JobEntry, ...]:
    """Return the jobs in the `content` of the file at `path`, in its order, with the variables of `environ` filled in.

    It is a list as that under `jobs`, or a mapping with `jobs` alone; an empty file has none.

    Raises:
        ConfigError: The content cannot be used; it carries every mistake, in file order.
    """
    complaints = Complaints()
    root = read_list(decode(content, path), path, "jobs", environ, complaints)
    file = validate(root, JobFileSection, complaints)
    check_jobs(root, complaints)
    problems = complaints.of(path)
    if problems or file is None:
        raise ConfigError(problems)
    return build.jobs(file.jobs)
