"""A real PostgreSQL for tests: one server for each test process, on loopback, and a database for each test."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

_USER = "spexporter"
# No test here takes the power away; what a server that dies has committed is there again.
_SETTINGS = ("fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.1")


def find_binaries() -> Path | None:
    """Return the folder of the server's programs, which Debian keeps off the PATH; the newest, None for none."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))


class Server:
    """A server of our own; it is a child of this process and ends with `close`."""

    def __init__(self, binaries: Path, settings: tuple[str, ...] = ()) -> None:
        self._binaries = binaries
        self._settings = settings
        self.folder = Path(mkdtemp(prefix="spexporter-pg-"))
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", self._data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def url(self, database: str) -> str:
        """Return what `store.url` says for one of its databases."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [part for setting in (*_SETTINGS, *self._settings) for part in ("-c", setting)]
        command = ["-D", self._data, "-p", str(self.port), "-c", f"unix_socket_directories={self.folder}", *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command("postgres", *command), stdout=log, stderr=log)
        deadline_s = time.monotonic() + 30
        while subprocess.run(self._command("pg_isready", *self._address), check=False, capture_output=True).returncode:
            assert time.monotonic() < deadline_s, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self, *, fast: bool = True) -> None:
        """Stop it: `fast` cuts all connections, else it dies as if killed."""
        if self._process is not None:
            with suppress(subprocess.CalledProcessError):
                self._run("pg_ctl", "-D", self._data, "-m", "fast" if fast else "immediate", "stop")
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        """Stop it, and leave nothing behind."""
        self.stop(fast=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu_s(self) -> float:
        """Return the processor's time that the server has used so far, that of sessions that have ended included."""
        assert self._process is not None
        pids = {str(self._process.pid)}
        total = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if stat.parent.name in pids or fields[1] in pids:
                    total += sum(map(int, fields[11:15] if stat.parent.name in pids else fields[11:13]))
        return total / os.sysconf("SC_CLK_TCK")

    def fresh(self) -> str:
        """Create a database and return its URL."""
        name = f"t{uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Execute one statement and return what it finds, a row a line, with | between columns."""
        command = self._command("psql", *self._address, "-U", _USER, "-qAtX", "-c", statement, database)
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd="/", timeout=60).stdout.strip()

    @property
    def _address(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port))

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(self._command(program, *arguments), check=True, capture_output=True, cwd="/")

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._binaries / program), *arguments]
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return [*as_postgres, *command] if os.geteuid() == 0 else command


@contextmanager
def serving(*settings: str) -> Iterator[Server]:
    """Run a server for as long as the block lasts."""
    binaries = find_binaries()
    assert binaries is not None, "these tests need PostgreSQL's server; on Debian: apt-get install postgresql"
    server = Server(binaries, settings)
    try:
        yield server
    finally:
        server.close()
