"""Which files a pattern names."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spexporter.config.patterns import Found, find, find_all, resolve

FILES = ("a.yaml", "b.yaml", "b.yml", ".c.yaml", "x/a.yaml", "x/y/a.yaml", ".h/a.yaml", "[a].yaml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.yaml", ["a.yaml"]),
        ("none.yaml", []),
        ("none/*.yaml", []),
        ("a.yaml/*", []),
        ("a.yaml/b", []),
        ("?.yaml", ["a.yaml", "b.yaml"]),
        ("b.y*ml", ["b.yaml", "b.yml"]),
        ("[b-z].yaml", ["b.yaml"]),
        ("[!b].yaml", ["a.yaml"]),
        ("[[]a].yaml", ["[a].yaml"]),
        (".*.yaml", [".c.yaml"]),
        ("*/a.yaml", ["x/a.yaml"]),
        ("*/*/a.*", ["x/y/a.yaml"]),
        ("x/../?.yml", ["x/../b.yml"]),
    ],
)
def test_pattern_names_files_of_one_folder_per_part(folder: Path, pattern: str, names: list[str]) -> None:
    """By path, hidden ones only on demand, from the working directory as from the root."""
    assert find(pattern) == Found(tuple(Path(name) for name in names), {})
    assert find(resolve(pattern, folder)).paths == tuple(folder / name for name in names)


def test_file_is_found_once(folder: Path) -> None:
    """Patterns may overlap."""
    assert find_all(["?.yaml", "a.*", str(folder / "none")]).paths == (Path("a.yaml"), Path("b.yaml"))


def test_link_is_found_even_when_it_leads_nowhere(folder: Path) -> None:
    """Whoever reads it can tell what is wrong."""
    (folder / "link.yaml").symlink_to("none")
    assert find("l*.yaml").paths == find("link.yaml").paths == (Path("link.yaml"),)


def test_name_that_cannot_be_looked_up_is_found(folder: Path) -> None:
    """Nothing is taken for absent of which nobody knows."""
    name = "a" * 300
    assert find(name).paths == (Path(name),)
    assert str(folder)


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ELOOP])
def test_folder_that_cannot_be_listed_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """It is not taken for empty, and the other folders are listed all the same."""
    scandir = os.scandir

    def refuse(path: Path) -> Iterator[os.DirEntry[str]]:
        if path.name == "x":
            raise OSError(error, os.strerror(error), str(path))
        return scandir(path)

    monkeypatch.setattr("spexporter.config.patterns.os.scandir", refuse)
    found = find_all([str(folder / "*/*.yaml"), str(folder / "a.yaml")])
    assert found == Found((folder / "a.yaml",), {folder / "x": os.strerror(error)})
    known = [folder / "x" / "a.yaml", folder / "b.yaml"]
    assert list(found.hidden(known)) == known[:1]
    assert [(bad.path, bad.kept) for bad in found.bad_folders(known)] == [(folder / "x", True)]
    assert [bad.kept for bad in found.bad_folders(known[1:])] == [False]
