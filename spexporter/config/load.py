"""Configuration files to a `Config`, or to every mistake in them at once."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import SecretStr

from spexporter.config import build, convert, rules
from spexporter.config.heirs import inherited
from spexporter.config.mistakes import validate
from spexporter.config.model import FileSection, StoreSection
from spexporter.config.nodes import Block, Complaints, texts
from spexporter.config.patterns import resolve
from spexporter.config.read import decode, read_bytes, read_main
from spexporter.config.tenantfiles import TenantFiles, TenantFilesReader
from spexporter.config.values import Config, Counters, Limits, Store, TenantFile
from spexporter.domain.errors import ConfigError


def load(path: Path, environ: Mapping[str, str], previous: Config | None = None) -> Config:
    """Return the configuration in the file at `path`, with the variables of `environ` filled in.

    Relative paths start at the folder of the file in which they stand. The files it names are looked at, too. A bad
    file of tenants stops no other: it is one of `bad_files`, and what it said in `previous` is kept.

    Raises:
        ConfigError: The file itself cannot be used; it carries every mistake, by file, in file order.
    """
    complaints = Complaints()
    text = decode(read_bytes(path), path)
    root = read_main(text, path, environ, complaints)
    root = inherited(root, root.entries.get("defaults"))
    section = validate(root, FileSection, complaints)
    rules.check_main(root, complaints)
    patterns = tuple(_patterns(root, path.parent))
    known = {file.path: file for file in previous.tenant_files} if previous else {}
    more = TenantFilesReader(path, root, environ, complaints).read(patterns, known)
    problems = complaints.of(path)
    if problems or section is None:
        raise ConfigError((*problems, *(problem for bad in more.bad for problem in bad.problems)))
    files = dict.fromkeys([path, *rules.named_files(root), *more.files])
    return _config(section, root, more, digest=_digest(text, more.used), files=tuple(files), patterns=patterns)


def _patterns(root: Block, folder: Path) -> Iterator[str]:
    """Yield the patterns of tenant files that can be read, whatever else is wrong."""
    for node in texts(root, "tenant_files"):
        try:
            pattern = convert.pattern(node.text)
        except ValueError:
            continue
        if not node.broken:
            yield resolve(pattern, folder)


def _config(
    section: FileSection,
    root: Block,
    more: TenantFiles,
    *,
    digest: int,
    files: tuple[Path, ...],
    patterns: tuple[str, ...],
) -> Config:
    return Config(
        tenants=(*build.tenants(section.tenants, root), *more.tenants),
        digest=digest,
        store=_store(section.store),
        counters=Counters(section.counters.hold, section.counters.created),
        limits=Limits(section.limits.max_series, section.limits.max_jobs_per_tenant),
        per_job_metrics=section.per_job_metrics,
        files=files,
        patterns=patterns,
        tenant_files=more.used,
        bad_files=more.bad,
    )


def _store(section: StoreSection) -> Store:
    path = section.url if isinstance(section.url, Path) else None
    server = section.url if isinstance(section.url, SecretStr) else None
    return Store(path, section.remember_counted, server, section.lease)


def _digest(text: str, files: Iterable[TenantFile]) -> int:
    digest = hashlib.sha256(text.encode())
    for file in files:
        digest.update(file.digest)
    return int.from_bytes(digest.digest()[:6])
