"""What the files of the exporter have to say to people: how the last reload ended, and which files are bad."""

from collections.abc import Sequence
from dataclasses import dataclass

from spexporter.config.values import BadFile


@dataclass(frozen=True, slots=True)
class Reloaded:
    """How the last reload ended, at `at_s` (Unix seconds): taken over, or refused because of `problems`."""

    at_s: float
    problems: Sequence[str] = ()


class Notices:
    """Hears of files and reloads as telemetry does, for the page for people."""

    def __init__(self) -> None:
        self.in_use_since_s: float | None = None
        self.reloaded: Reloaded | None = None
        self.bad_files: Sequence[BadFile] = ()

    def config_loaded(self, at_s: float) -> None:
        """Take note that another configuration is in use, at the start or by a reload."""
        self.in_use_since_s = at_s

    def config_reloaded(self, at_s: float) -> None:
        """Take note that a reload has ended well."""
        self.reloaded = Reloaded(at_s)

    def config_refused(self, at_s: float, problems: Sequence[str]) -> None:
        """Take note that a reload was refused: the configuration before goes on."""
        self.reloaded = Reloaded(at_s, problems)

    def watched_files(self, bad: Sequence[BadFile]) -> None:
        """Take note of which files, or folders, are bad now."""
        self.bad_files = bad
