"""Files of tenants: each stands or falls alone, and one that falls keeps what it said before."""

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spexporter.config import build, rules
from spexporter.config.heirs import inherited
from spexporter.config.mistakes import validate
from spexporter.config.model import TenantFileSection
from spexporter.config.nodes import Block, Complaints
from spexporter.config.patterns import find_all
from spexporter.config.read import decode, read_bytes, read_list
from spexporter.config.taken import Taken
from spexporter.config.values import BadFile, Tenant, TenantFile
from spexporter.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TenantFiles:
    """The files in use, by path; their tenants; what is bad; and every file that was read, looked for or named."""

    used: tuple[TenantFile, ...]
    tenants: tuple[Tenant, ...]
    bad: tuple[BadFile, ...]
    files: tuple[Path, ...]


class TenantFilesReader:
    """Reads them beside the main file `root`, of which their tenants inherit."""

    def __init__(self, main: Path, root: Block, environ: Mapping[str, str], complaints: Complaints) -> None:
        self._main = main
        self._defaults = root.entries.get("defaults")
        self._environ = environ
        self._complaints = complaints
        remembered_s = rules.remembered(root)
        self._remembered_s = math.inf if remembered_s is None else remembered_s
        self._taken = Taken()
        self._taken.take(root, rules.rate_limits(root))
        self._files: dict[Path, None] = {}

    def read(self, patterns: Iterable[str], previous: Mapping[Path, TenantFile]) -> TenantFiles:
        """Read all files that the patterns name, by path; a later one cannot have what an earlier one has.

        Good files come first: what a bad one said before, in `previous`, is used only as far as it still fits.
        """
        paths, bad_folders = self._paths(patterns, previous)
        good = {path: file for path in paths if (file := self._file(path))}
        kept = {path: previous[path] for path in paths if path in previous and path not in good}
        used = good | {path: self._fitting(file) for path, file in kept.items()}
        bad = (BadFile(path, self._complaints.of(path), kept=path in kept) for path in paths if path not in good)
        return TenantFiles(
            used=tuple((good | kept)[path] for path in sorted(used)),
            tenants=tuple(tenant for path in sorted(used) for tenant in used[path].tenants),
            bad=(*bad_folders, *bad),
            files=tuple(self._files),
        )

    def _paths(
        self, patterns: Iterable[str], previous: Mapping[Path, TenantFile]
    ) -> tuple[tuple[Path, ...], tuple[BadFile, ...]]:
        """Return the files to read, and the folders that cannot be listed; of these, the files known before."""
        found = find_all(patterns)
        main = os.path.realpath(self._main)
        bad = tuple(found.bad_folders(previous))
        paths = {*found.paths, *found.hidden(previous)}
        return tuple(sorted(path for path in paths if os.path.realpath(path) != main)), bad

    def _file(self, path: Path) -> TenantFile | None:
        """Return a good file, whose tenants have then taken their names; None for one with mistakes."""
        complaints = self._complaints
        self._files[path] = None
        try:
            content = read_bytes(path, regular=True)
            root = read_list(decode(content, path), path, "tenants", self._environ, complaints)
        except ConfigError as error:
            complaints.add(*error.problems)
            return None
        root = inherited(root, self._defaults)
        section = validate(root, TenantFileSection, complaints)
        limits = rules.rate_limits(root)
        rules.check_tenants(root, self._remembered_s, complaints)
        self._taken.complain(root, limits, complaints)
        self._files |= dict.fromkeys(rules.named_files(root))
        if section is None or complaints.of(path):
            return None
        self._taken.take(root, limits)
        return TenantFile(path, hashlib.sha256(content).digest(), tuple(build.tenants(section.tenants, root)))

    def _fitting(self, file: TenantFile) -> TenantFile:
        """Return what fits of a file's last good content, which has then taken its names."""
        tenants = self._taken.fit(file.tenants, self._remembered_s)
        self._taken.keep(tenants, file.path)
        self._files |= dict.fromkeys(_named(tenants))
        return TenantFile(file.path, file.digest, tenants)


def _named(tenants: Iterable[Tenant]) -> Iterator[Path]:
    for tenant in tenants:
        if isinstance(tenant.secret.source, Path):
            yield tenant.secret.source
        if tenant.ca_file:
            yield tenant.ca_file
