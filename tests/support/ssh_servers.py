"""Real SSH servers on loopback for the tests: asyncssh's own, and OpenSSH's where it is installed."""

import asyncio
import os
import shutil
import subprocess  # noqa: TID251 — starts a server of our own
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh

from maul.core.clock import SystemClock
from maul.hosts.ssh import SshAddress

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SEPARATION = Path("/run/sshd")


def make_keys(folder: Path) -> tuple[Path, Path]:
    """A host key and a client key with its `.pub`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host", "client"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / name)
        key.write_public_key(folder / f"{name}.pub")
        (folder / name).chmod(0o600)
    return folder / "host", folder / "client"


def known(folder: Path, port: int) -> Path:
    public = (folder / "host.pub").read_text().strip()
    path = folder / "known_hosts"
    path.write_text(f"[127.0.0.1]:{port} {public}\n")
    return path


async def _execute(process: asyncssh.SSHServerProcess, home: Path) -> None:
    pipe, env = asyncio.subprocess.PIPE, {**os.environ, "HOME": str(home)}
    command = process.command or "true"
    child = await asyncio.create_subprocess_shell(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env)
    feeding = asyncio.ensure_future(_feed(process, child))
    await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
    code = await child.wait()
    feeding.cancel()
    process.exit(code)


async def _feed(process: asyncssh.SSHServerProcess, child: asyncio.subprocess.Process) -> None:
    try:
        while content := await process.stdin.read(65536):
            child.stdin.write(content)
            await child.stdin.drain()
    except (OSError, asyncssh.Error):
        pass
    finally:
        child.stdin.close()


async def _copy(source: asyncio.StreamReader, target: asyncssh.SSHWriter) -> None:
    while content := await source.read(65536):
        try:
            target.write(content)
            await target.drain()
        except (OSError, asyncssh.Error):  # the client hung up: the command is to see that, not to block
            continue


@contextmanager
def asyncssh_server(folder: Path) -> Iterator[SshAddress]:
    host_key, client_key = make_keys(folder)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[str(host_key)],
            authorized_client_keys=f"{client_key}.pub",
            process_factory=lambda process: _execute(process, folder),
            encoding=None,
        )

    async def end(server: asyncssh.SSHAcceptor) -> None:
        server.close()
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    try:
        port = server.get_port()
        yield SshAddress("127.0.0.1", port, "tester", known(folder, port), (client_key,))
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


@contextmanager
def openssh_server(folder: Path) -> Iterator[SshAddress]:
    """sshd with keys of its own, on a port of loopback, for this user only."""
    assert SSHD is not None
    host_key, client_key = make_keys(folder)
    made = os.geteuid() == 0 and not SEPARATION.exists()
    if made:
        SEPARATION.mkdir(mode=0o755)
    port = 20_000 + os.getpid() % 10_000
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {host_key}\nAuthorizedKeysFile {client_key}.pub\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n"
        f"PidFile none\nPermitRootLogin prohibit-password\n"
    )
    log = (folder / "sshd.log").open("wb")
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stdout=log, stderr=log)
    try:
        for _ in range(250):
            if b"listening" in (folder / "sshd.log").read_bytes() or server.poll() is not None:
                break
            SystemClock().wait(0.02)
        assert server.poll() is None, (folder / "sshd.log").read_text()
        yield SshAddress("127.0.0.1", port, None, known(folder, port), (client_key,))
    finally:
        server.terminate()
        server.wait(10)
        log.close()
        if made:
            SEPARATION.rmdir()
