"""Which files a pattern names now."""

import fnmatch
import glob
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spexporter.config.values import BadFile
from spexporter.domain.errors import Problem


@dataclass(frozen=True, slots=True)
class Found:
    """The files that patterns name, by path, and the folders that would not say what they hold, with the reason."""

    paths: tuple[Path, ...]
    unreadable: Mapping[Path, str]

    def hidden(self, known: Iterable[Path]) -> Iterator[Path]:
        """Yield those `known` files of which nobody can say whether they are still there."""
        return (path for path in known if not self.unreadable.keys().isdisjoint(path.parents))

    def bad_folders(self, known: Collection[Path]) -> Iterator[BadFile]:
        """Yield the folders that cannot be listed; what is `known` of the files in them is kept."""
        for folder, reason in self.unreadable.items():
            problem = Problem(str(folder), 0, "", f"the folder cannot be read: {reason}")
            yield BadFile(folder, (problem,), kept=any(folder in path.parents for path in known))


def resolve(pattern: str, folder: Path) -> str:
    """Return `pattern`, which starts at `folder`, as one that starts where the program does."""
    return str(Path(glob.escape(str(folder))) / pattern)


def find(pattern: str) -> Found:
    """Look for the files that a pattern of `*`, `?` and `[…]` names; a part that begins with one skips hidden files.

    What is not there is no mistake: a folder or a file may come later. Unlike `glob.glob`, this tells of folders that
    cannot be listed, so that nobody takes them for empty.
    """
    paths: set[Path] = set()
    unreadable: dict[Path, str] = {}
    _walk(Path(), Path(pattern).parts, paths, unreadable)
    return Found(tuple(sorted(paths)), unreadable)


def find_all(patterns: Iterable[str]) -> Found:
    """Look for the files that any of the patterns names, as `find` does."""
    found = [find(pattern) for pattern in patterns]
    paths = sorted({path for it in found for path in it.paths})
    return Found(tuple(paths), {folder: reason for it in found for folder, reason in it.unreadable.items()})


def _walk(folder: Path, parts: Sequence[str], paths: set[Path], unreadable: dict[Path, str]) -> None:
    part, rest = parts[0], parts[1:]
    for name in _names(folder, part, unreadable):
        if rest:
            _walk(folder / name, rest, paths, unreadable)
        elif glob.has_magic(part) or _is_there(folder / name):
            paths.add(folder / name)


def _names(folder: Path, part: str, unreadable: dict[Path, str]) -> Sequence[str]:
    if not glob.has_magic(part):
        return [part]
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        unreadable[folder] = str(error.strerror)
        return []
    return [name for name in fnmatch.filter(names, part) if part.startswith(".") or not name.startswith(".")]


def _is_there(path: Path) -> bool:
    """Tell whether there is such a name; one of which that cannot be said is looked at again by whoever reads it."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
