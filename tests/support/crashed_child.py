"""The daemon as a fork of a process that has imported it already, and as one that kills itself around a commit.

Nothing in the product knows of this: what is wrapped is aiosqlite's commit, after the fork.
"""

import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import aiosqlite

from spexporter.cli.run import run
from spexporter.ledger.backend import Holds
from spexporter.ledger.database import Database
from spexporter.logs import LogFormat, LogLevel

PRELOAD = ("spexporter.cli.run",)
"""What the process to fork from imports: nearly all of what a start costs."""


class When(StrEnum):
    """Where in a commit the end comes."""

    BEFORE = "right before a commit"
    DURING = "during a commit"
    AFTER = "right after a commit"


@dataclass(frozen=True, slots=True)
class SelfKill:
    """The end of a daemon at its `commit`th commit, the first being 1.

    With `changes_only` just the commits of what has changed count, not those that open and read the store. `during`
    comes `delay_s` seconds after the commit began, which may already be after it.
    """

    when: When
    commit: int
    changes_only: bool
    delay_s: float = 0.0

    def prepare(self) -> None:
        """Wrap what commits in this process."""
        write, commit = Database.write, aiosqlite.Connection.commit
        left, writing = self.commit, not self.changes_only

        async def watched_write(database: Database, changed: Mapping[str, object], now_s: float, holds: Holds) -> None:
            nonlocal writing
            writing = True
            await write(database, changed, now_s, holds)  # type: ignore[arg-type]  # handed on as it is
            writing = not self.changes_only

        async def deadly_commit(connection: aiosqlite.Connection) -> None:
            nonlocal left
            left -= writing
            if left or not writing:
                await commit(connection)
                return
            if self.when is When.BEFORE:
                _die()
            if self.when is When.DURING:
                threading.Thread(target=_die, args=(self.delay_s,), daemon=True).start()
            await commit(connection)
            _die()

        Database.write = watched_write  # type: ignore[method-assign,assignment]
        aiosqlite.Connection.commit = deadly_commit  # type: ignore[method-assign,assignment]


def live(config: Path, listen: str, log: Path, kill: SelfKill | None) -> None:
    """Do what `spexporter run` does, with the log in a file."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(handle, stream)
    if kill:
        kill.prepare()
    run(config_file=config, listen=[listen], log_level=LogLevel.INFO, log_format=LogFormat.LOGFMT)


def _die(after_s: float = 0.0) -> None:
    if after_s:
        time.sleep(after_s)
    os.kill(os.getpid(), signal.SIGKILL)
