"""Files of jobs: looked at now and then, and read when they have changed.

A look tells one moment from the next without any clock or notification, because those of the kernel do not come from
network file systems, nor through the links by which Kubernetes exchanges what is mounted.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spexporter.config.patterns import Found, find
from spexporter.config.read import read_bytes
from spexporter.config.values import BadFile, JobEntry
from spexporter.domain.errors import ConfigError, Problem
from spexporter.domain.job import JobKey, Source, WatchedJob
from spexporter.domain.values import replace

# Takes the path and content of a file; raises ConfigError for one that cannot be used.
Parse = Callable[[Path, bytes], tuple[JobEntry, ...]]
Signature = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look has found.

    `jobs` has the jobs of every tenant, by path and then in file order, each once: what the first file says holds.
    `changed_tenants` are those whose jobs are others than at the look before; at the first look, those that have any.
    `files` are all that the patterns name, by path. Of these, `appeared` and `changed` say something new, bad or good;
    `gone` are not there any more. `bad_files` keep what they said when they were good, until they are good or gone.
    """

    jobs: Mapping[str, tuple[JobEntry, ...]]
    changed_tenants: tuple[str, ...]
    files: tuple[Path, ...]
    appeared: tuple[Path, ...]
    changed: tuple[Path, ...]
    gone: tuple[Path, ...]
    bad_files: tuple[BadFile, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """What is known of one file: its last good `jobs`, what is wrong in it, and why it could not be `read` at last.

    `settled` means that a second reading found the same: a file can be written twice within one tick of the clock by
    which its file system dates it.
    """

    signature: Signature | None = None
    settled: bool = False
    digest: bytes = b""
    jobs: tuple[JobEntry, ...] | None = None
    wrong: tuple[Problem, ...] = ()
    unread: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.unread or self.wrong

    @property
    def said(self) -> tuple[bytes, tuple[Problem, ...]]:
        """What makes one look differ from another."""
        return self.digest, self.problems


@dataclass(frozen=True, slots=True)
class _Sight:
    """All that one look has seen."""

    files: Mapping[Path, _File] = field(default_factory=dict)
    by_pattern: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    bad_folders: tuple[BadFile, ...] = ()


class JobFiles:
    """Looks for the files that the patterns of each tenant name; not to be used by two threads at once."""

    def __init__(self, patterns: Mapping[str, Sequence[str]], parse: Parse) -> None:
        self._patterns = patterns
        self._parse = parse
        self._sight = _Sight()
        self._jobs: Mapping[str, tuple[JobEntry, ...]] = dict.fromkeys(patterns, ())

    def replace(self, patterns: Mapping[str, Sequence[str]]) -> None:
        """Look for other files from the next look on; what is known of those that stay is kept."""
        self._patterns = patterns

    def look(self) -> Looked:
        """Return what the files say now. While nothing changes this asks for each folder and file, and reads none."""
        before, self._sight = self._sight, self._seen()
        files, jobs = self._sight.files, self._jobs
        self._jobs = {tenant: self._merged(patterns) for tenant, patterns in self._patterns.items()}
        return Looked(
            jobs=self._jobs,
            changed_tenants=tuple(tenant for tenant, its in self._jobs.items() if its != jobs.get(tenant, ())),
            files=tuple(files),
            appeared=tuple(path for path in files if path not in before.files),
            changed=tuple(it for it in files if it in before.files and files[it].said != before.files[it].said),
            gone=tuple(path for path in before.files if path not in files),
            bad_files=(*self._sight.bad_folders, *_bad(files)),
        )

    def _seen(self) -> _Sight:
        before = self._sight
        found = {pattern: find(pattern) for patterns in self._patterns.values() for pattern in patterns}
        by_pattern = {
            pattern: (
                *it.paths,
                *(path for path in it.hidden(before.by_pattern.get(pattern, ())) if path not in it.paths),
            )
            for pattern, it in found.items()
        }
        files = {}
        for path in sorted({path for paths in by_pattern.values() for path in paths}):
            if (file := self._file(path, before.files.get(path, _File()))) is not None:
                files[path] = file
        return _Sight(files, by_pattern, _bad_folders(found.values(), before.files))

    def _file(self, path: Path, before: _File) -> _File | None:
        """Return what is known of a file now, None where it has just gone."""
        try:
            signature = _signature(path.stat())
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError) and not path.is_symlink():
                return None
            return _unread(before, path, f"the file cannot be read: {error.strerror}")
        if signature == before.signature and before.settled:
            return before
        try:
            content = read_bytes(path, regular=True)
        except ConfigError as error:
            return replace(before, signature=None, unread=error.problems)
        digest = hashlib.sha256(content).digest()
        if digest == before.digest:
            return replace(before, signature=signature, settled=signature == before.signature, unread=())
        return self._parsed(path, content, _File(signature, digest=digest, jobs=before.jobs))

    def _parsed(self, path: Path, content: bytes, file: _File) -> _File:
        try:
            return replace(file, jobs=self._parse(path, content))
        except ConfigError as error:
            return replace(file, wrong=error.problems)

    def _merged(self, patterns: Iterable[str]) -> tuple[JobEntry, ...]:
        paths = {path for pattern in patterns for path in self._sight.by_pattern[pattern]}
        merged: dict[tuple[str, str], JobEntry] = {}
        for path in sorted(paths):
            file = self._sight.files.get(path)
            for entry in (file and file.jobs) or ():
                merged.setdefault((entry.operation, entry.id), entry)
        return tuple(merged.values())


def listed_jobs(tenant: str, entries: Iterable[JobEntry]) -> tuple[WatchedJob, ...]:
    """Return the jobs that files name for a tenant, in their order."""
    return tuple(
        WatchedJob(JobKey(tenant, it.operation, it.id), Source.FILE, it.name, it.max_age_s, it.preview)
        for it in entries
    )


def _signature(stat: os.stat_result) -> Signature:
    """Return what differs when a file does. The link that led to it is no part: another target has another inode."""
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _unread(before: _File, path: Path, message: str) -> _File:
    # Without a signature it is tried again at each look, because nothing need change in a file that becomes readable.
    return replace(before, signature=None, unread=(Problem(str(path), 0, "", message),))


def _bad(files: Mapping[Path, _File]) -> Iterable[BadFile]:
    return (BadFile(path, it.problems, kept=it.jobs is not None) for path, it in files.items() if it.problems)


def _bad_folders(found: Iterable[Found], known: Mapping[Path, _File]) -> tuple[BadFile, ...]:
    bad = {folder.path: folder for it in found for folder in it.bad_folders(known)}
    return tuple(bad[path] for path in sorted(bad))
