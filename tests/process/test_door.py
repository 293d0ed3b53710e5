"""How the daemon is opened: sockets of systemd, and mistakes in what it is opened with."""

import signal
import sys
from pathlib import Path

import aiohttp

from tests.support.papers import hashed, papers
from tests.support.program import LOOPBACK, answer, ran, spexporter, started

CONFIG = 'tenants: [{name: acme, base_url: "http://127.0.0.1:1", client_id: c, client_secret: s}]\n'
# What systemd does: it opens sockets, puts them at 3 and 4, and becomes the program.
SYSTEMD = """
import os, socket, sys
address, path = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
path.bind("web.sock")
path.listen()
for number, each in enumerate([os.dup(address.fileno()), os.dup(path.fileno())], 3):
    os.dup2(each, number + 20)
for number in (3, 4):
    os.dup2(number + 20, number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": sys.argv[1]}
os.execv(sys.executable, [sys.executable, "-m", "spexporter", *sys.argv[2:]])
"""


def config(folder: Path) -> Path:
    path = folder / "spexporter.yaml"
    path.write_text(CONFIG)
    return path


async def test_sockets_of_systemd_are_served(tmp_path: Path) -> None:
    """An address and a path, which stays where it is: systemd has made it."""
    flags = ("run", "--config.file", config(tmp_path), "--web.systemd-socket")
    async with started([sys.executable, "-c", SYSTEMD, "2", *flags], tmp_path) as daemon:
        assert (await answer(f"{await daemon.url()}/-/healthy"))[0] == 200
        connector = aiohttp.UnixConnector(str(tmp_path / "web.sock"))
        async with aiohttp.ClientSession(connector=connector) as http, http.get("http://x/metrics") as response:
            assert response.status == 200
        assert (await daemon.end(signal.SIGTERM)).status == 0
    assert (tmp_path / "web.sock").is_socket()


async def test_what_is_no_socket_of_systemd_is_refused_with_the_cure(tmp_path: Path) -> None:
    """No sockets at all, one that is none, and an address beside them."""
    flags = ("run", "--config.file", config(tmp_path), "--web.systemd-socket")
    status, _, said = await ran(*flags, folder=tmp_path)
    assert (status, "start it with a .socket unit, or leave --web.systemd-socket out" in said) == (1, True)
    status, _, said = await ran(*flags, "--web.listen-address", LOOPBACK, folder=tmp_path)
    assert (status, "cannot stand beside --web.systemd-socket" in said) == (2, True)
    async with started([sys.executable, "-c", SYSTEMD, "3", *flags], tmp_path) as daemon:
        assert await daemon.process.wait() == 1
    assert "the socket 5 of systemd" in daemon.printed()


async def test_mistakes_of_both_files_are_told_at_once(tmp_path: Path) -> None:
    """Exit status 2, and a line for each."""
    main, web = config(tmp_path), tmp_path / "web.yaml"
    main.write_text("tenant: []\n")
    web.write_text("tls_server_config: {cert_file: gone.pem}\n")
    flags = ("--config.file", main, "--web.config.file", web)
    status, _, said = await ran("run", *flags, folder=tmp_path)
    assert status == 2
    for part in ("spexporter.yaml:1: tenant: unknown key", "web.yaml:1: tls_server_config.key_file: is missing"):
        assert part in said


async def test_commands_come_in_with_what_they_are_given(tmp_path: Path) -> None:
    """`track` through TLS and a password: without, it is told what is missing; `healthcheck` needs TLS alone."""
    server = papers(tmp_path, "server")
    web, trust, whole = tmp_path / "web.yaml", tmp_path / "trust.yaml", tmp_path / "whole.yaml"
    pair = "tls_server_config: {cert_file: server.pem, key_file: server.key}"
    web.write_text(f"{pair}\nbasic_auth_users: {{ci: {hashed('planted-hunter2')}}}\n")
    trust.write_text(f"tls_config: {{ca_file: {server.authority}}}\n")
    whole.write_text(f"{trust.read_text()}basic_auth: {{username: ci, password: planted-hunter2}}\n")
    flags = ("--config.file", config(tmp_path), "--web.config.file", web, "--web.listen-address", LOOPBACK)
    async with spexporter("run", *flags, "--web.enable-lifecycle", folder=tmp_path) as daemon:
        url = await daemon.url()
        track = ("track", "--url", url, "acme", "import", "i1", "--http.config.file")
        status, _, said = await ran(*track, trust, folder=tmp_path)
        assert status == 1
        assert "401" in said
        assert "--http.config.file" in said
        assert (await ran(*track, whole, folder=tmp_path))[0] == 0
        status, _, said = await ran("healthcheck", "--url", url, "--http.config.file", trust, folder=tmp_path)
        assert "401" not in said
        assert (await daemon.end(signal.SIGTERM)).status == 0
    assert "hunter2" not in daemon.printed()
