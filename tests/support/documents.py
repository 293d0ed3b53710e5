"""What the documents show to be run."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.modules import ROOT

FOLDERS = (".", "docs", "grafana", "benchmarks", "deploy/systemd", "deploy/helm", "deploy/compose")


class Shown(NamedTuple):
    """A block of shell commands: in which document, as which of them, and what it says."""

    document: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.number}"

    @property
    def commands(self) -> list[str]:
        """Its commands, continued lines as one, without comments."""
        joined = re.sub(r" *\\\n *", " ", self.text)
        return [line for each in joined.splitlines() if (line := re.sub(r"  #.*", "", each).strip())]


def documents() -> Iterator[Path]:
    """Yield every document that is written for people."""
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).glob("*.md"))


def shown() -> Iterator[Shown]:
    """Yield every block of shell commands, document by document."""
    for path in documents():
        blocks = re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        yield from (Shown(str(path.relative_to(ROOT)), number, text) for number, text in enumerate(blocks, 1))
