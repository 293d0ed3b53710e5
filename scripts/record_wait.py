#!/usr/bin/env python3
"""Write docs/wait.md: what `spexporter wait` shows, recorded from real runs against the simulator on a terminal."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import yaml

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = (sys.executable, "-m", "spexporter")
COLUMNS = 120
FRAMES = 3  # shown of each run, spread over it
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_URL = re.compile(r"http://127\.0\.0\.1:\d+")

HEAD = """\
# What `spexporter wait` shows

<!-- Written by `scripts/record_wait.py` from real runs against the simulator. -->

On a terminal the first lines, with a bar that is full when 95 of 100 such jobs have ended, change in place; here are
some of their states below each other. Elsewhere, as in a pipeline's log, there is one line for each state and
trouble. The last lines stay.
"""


def main() -> None:
    """Record all runs and write the page."""
    with TemporaryDirectory(prefix="spexporter-record-") as folder, simulator(Path(folder)) as there:
        sections = [
            HEAD,
            section(
                "A job of unknown length", "No job has ended yet, so nobody knows how long it will take.", there, 12
            ),
        ]
        there.teach([10, 12, 15, 18])
        text = "Others have ended, so the exporter says how long they usually take and when this one is likely to end."
        wished = {"SOURCE": {"errors": 2, "warnings": 1, "objects": 3}, "RULE": {"warnings": 3}}
        sections += [
            section("A job with history, and errors in its result", text, there, 16, result=wished),
            section("In a pipeline's log", "Nobody watches there.", there, 8, terminal=False),
            section(
                "Directly, without an exporter",
                "SailPoint's own texts are told.",
                there,
                10,
                result=wished,
                direct=True,
            ),
        ]
    (ROOT / "docs" / "wait.md").write_text("\n".join(sections), encoding="utf-8")


class Place:
    """A simulated tenant and an exporter that watches it."""

    def __init__(self, url: str, config: Path) -> None:
        self.url = url
        self.config = config
        self._tenant = yaml.safe_load(config.read_text())["tenants"][0]
        form = {"grant_type": "client_credentials"} | {it: self._tenant[it] for it in ("client_id", "client_secret")}
        self._token = _post(f"{self._tenant['base_url']}/oauth/token", urlencode(form).encode())["access_token"]

    def start(self, seconds: float, result: object = None) -> str:
        """Start an import that goes well, hand it over and return its id."""
        wishes = {"state": "COMPLETE", "seconds": seconds, "result": result or {"SOURCE": {"objects": 3}}}
        content = json.dumps({"simulate": wishes})
        part = 'Content-Disposition: form-data; name="data"; filename="release.json"'
        body = f"--cut\r\n{part}\r\n\r\n{content}\r\n--cut--\r\n".encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "multipart/form-data; boundary=cut"}
        job = str(_post(f"{self._tenant['base_url']}/sp-config/v1/import", body, headers)["jobId"])
        subprocess.run([*PROGRAM, "track", "--url", self.url, "acme-prod", "import", job], check=True, cwd=ROOT)  # noqa: S603 (our own)
        return job

    def teach(self, durations_s: Sequence[float]) -> None:
        """Let imports end, so that the exporter learns how long they take."""
        for job in [self.start(seconds) for seconds in durations_s]:
            subprocess.run(self.wait(job), check=True, cwd=ROOT)  # noqa: S603 (our own)

    def wait(self, job: str, *, direct: bool = False) -> list[str]:
        """Return the command that waits for a job."""
        way = ("--config.file", str(self.config)) if direct else ("--url", self.url)
        return [*PROGRAM, "wait", *way, "acme-prod", "import", job]


@contextmanager
def simulator(folder: Path) -> Iterator[Place]:
    """Run both programs for as long as the block lasts."""
    listen = ("--listen", "127.0.0.1:0", "--tenants", "1")
    with running("simulate", *listen, said="/acme-prod", folder=folder) as simulated:
        tenant = yaml.safe_load(urllib.request.urlopen(f"{simulated}/-/config.yaml").read())["tenants"][0]  # noqa: S310 (our own)
        config = folder / "config.yaml"
        quiet = {"defaults": {"allow_http": True, "poll": {"fastest": "1s"}}, "store": {"url": "sqlite://"}}
        config.write_text(yaml.safe_dump({**quiet, "tenants": [{**tenant, "jobs": []}]}), encoding="utf-8")
        more = ("--web.listen-address", "127.0.0.1:0", "--web.enable-lifecycle")
        with running("run", "--config.file", str(config), *more, said="event=started", folder=folder) as url:
            yield Place(url, config)


@contextmanager
def running(command: str, *arguments: str, said: str, folder: Path) -> Iterator[str]:
    """Run a program until the block ends; yield the URL in the line with `said`."""
    log = folder / f"{command}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([*PROGRAM, command, *arguments], stdout=out, stderr=out, cwd=ROOT)  # noqa: S603 (our own)
    try:
        for _ in range(300):
            line = next((line for line in log.read_text().splitlines() if said in line), "")
            if found := _URL.search(line):
                yield found[0]
                return
            time.sleep(0.1)
        raise TimeoutError(log.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def section(
    title: str,
    text: str,
    there: Place,
    seconds: float,
    *,
    result: object = None,
    terminal: bool = True,
    direct: bool = False,
) -> str:
    """Record one run as a section of the page."""
    command = there.wait(there.start(seconds, result), direct=direct)
    lines, status = on_terminal(command) if terminal else in_a_log(command)
    shown = " ".join(["spexporter", *command[len(PROGRAM) :]]).replace(str(there.config), "config.yaml")
    told = "\n".join(lines).replace(there.url, "http://localhost:9977")
    shown = shown.replace(there.url, "http://localhost:9977")
    return f"## {title}\n\n{text}\n\n```console\n$ {shown}\n{told}\n$ echo $?\n{status}\n```\n"


def in_a_log(command: Sequence[str]) -> tuple[list[str], int]:
    """Return what a run prints where there is no terminal, and its exit status."""
    done = subprocess.run(  # noqa: S603 (our own)
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd=ROOT, text=True
    )
    return done.stdout.splitlines(), done.returncode


def on_terminal(command: Sequence[str]) -> tuple[list[str], int]:
    """Return some states of the live display, what stays at the end, and the exit status."""
    # A terminal of its own: the display must believe that somebody watches.
    child, terminal = pty.fork()
    if child == 0:
        env = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": "40", "TERM": "xterm", "NO_COLOR": "1"}
        os.chdir(ROOT)
        os.execve(command[0], command, env)  # noqa: S606 (our own program)
    written = bytearray()
    while select.select([terminal], [], [], 60)[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        written += chunk
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    frames, last = _frames(written.decode())
    chosen = [frames[len(frames) * (2 * number + 1) // (2 * FRAMES)] for number in range(FRAMES)]
    return [*chosen, *last], status


def _frames(written: str) -> tuple[list[str], list[str]]:
    """Return the states of the display, and the lines after the last of them."""
    before, _, after = written.rpartition("\x1b[?25h")  # the cursor comes back when the display has gone
    states: list[str] = []
    for frame in re.split(r"\x1b\[2K", before):
        text = "\n".join(line.rstrip() for line in _ESCAPES.sub("", frame).replace("\r", "").splitlines()).strip()
        if " " in text and "asking" not in text and text not in states:
            states.append(text)
    return states, [line.rstrip() for line in _ESCAPES.sub("", after).replace("\r", "").splitlines() if line.strip()]


def _post(url: str, body: bytes, headers: dict[str, str] | None = None) -> dict[str, str]:
    request = urllib.request.Request(url, body, headers or {})  # noqa: S310 (our own)
    with urllib.request.urlopen(request) as response:  # noqa: S310 (our own)
        answer: dict[str, str] = json.load(response)
    return answer


if __name__ == "__main__":
    main()
