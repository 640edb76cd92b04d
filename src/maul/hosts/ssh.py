"""Another machine, through SSH. Needs a POSIX shell and Python 3.9 there, nothing of ours.

Host keys are verified against the user's known hosts; we log in by key only, never by password.
"""

import asyncio
import base64
import contextlib
import json
import shlex
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from maul.core.closing import Closes
from maul.core.errors import MachineError
from maul.hosts import ssh_remote
from maul.hosts.host import Completed, ProcessId, ProcessState, SpawnSpec

CONNECT_S = 10.0
ACT_S = 20.0
_KILLED = 128
_SIGNALS_MAX = 64
_SLACK_S = 3.0
_NO_PROGRAM = b"maul: no such program"
# Standard input is the lifeline: when it ends, because we say so or because the line broke, the command is killed.
_RUN = """command -v "$1" >/dev/null 2>&1 || { echo 'maul: no such program' >&2; exit 127; }
exec 3<&0
"$@" </dev/null 3<&- &
p=$!
( read -r _ <&3; kill -9 "$p" ) >/dev/null 2>&1 &
w=$!
exec 3<&-
wait "$p"
c=$?
kill "$w" 2>/dev/null
exit "$c"
"""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SshAddress:
    """How to get there. `known_hosts`, `keys`: files; None: the user's own. `python`: its name there."""

    host: str
    port: int = 22
    user: str | None = None
    known_hosts: Path | None = None
    keys: tuple[Path, ...] = ()
    python: str = "python3"

    def __str__(self) -> str:
        """For messages."""
        return f"ssh {self.user + '@' if self.user else ''}{self.host}:{self.port}"


class SshHost(Closes):
    """Satisfies `Host`. Connects when it is first needed; close it, or use it as a context manager."""

    def __init__(self, address: SshAddress) -> None:
        """Nothing is connected yet."""
        self.address = address
        self._connection: asyncssh.SSHClientConnection | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="maul-ssh", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up; commands that still run there end. Harmless a second time."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(MachineError):
            self._wait(self._hang_up(), _SLACK_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SLACK_S)
        self._loop.close()

    def run(self, argv: tuple[str, ...], timeout_s: float) -> Completed:
        """Run a short command to its end; see `Host.run`. A code above 128 is taken for a signal, as shells tell it."""
        code, out, err, late = self._wait(self._run(argv, timeout_s), CONNECT_S + timeout_s + 2 * _SLACK_S)
        if code == 127 and err.startswith(_NO_PROGRAM):
            raise MachineError(f"cannot run {argv[0]}: no such program", str(self.address), "is it installed there?")
        if _KILLED < code <= _KILLED + _SIGNALS_MAX:
            code = _KILLED - code
        return Completed(argv, code, out, err, timed_out=late)

    def spawn(self, spec: SpawnSpec) -> ProcessId:
        """Start a long-lived process; see `Host.spawn`. Its environment goes through the pipe, not through argv."""
        request = {
            "argv": list(spec.argv),
            "cwd": str(spec.cwd),
            "env": dict(spec.env),
            "log": str(spec.log),
            "pidfile": None if spec.pidfile is None else str(spec.pidfile),
        }
        found = self._act("spawn", request)
        return ProcessId(int(found["pid"]), int(found["start_ticks"]))

    def process(self, process: ProcessId) -> ProcessState | None:
        """The state of exactly this process; see `Host.process`."""
        found = self._act("process", {"pid": process.pid, "start_ticks": process.start_ticks})
        return None if found is None else ProcessState(str(found["letter"]), tuple(found["argv"]))

    def signal(self, process: ProcessId, signal_number: int) -> bool:
        """Signal exactly this process; see `Host.signal`."""
        request = {"pid": process.pid, "start_ticks": process.start_ticks, "signal": int(signal_number)}
        return bool(self._act("signal", request))

    def read_bytes(self, path: Path) -> bytes | None:
        """A whole file; see `Host.read_bytes`."""
        found = self._act("read", {"path": str(path)})
        return None if found is None else base64.b64decode(found)

    def write_bytes(self, path: Path, content: bytes, mode: int = 0o644) -> None:
        """Replace a file in one step; see `Host.write_bytes`."""
        self._act("write", {"path": str(path), "content": base64.b64encode(content).decode(), "mode": mode})

    # -- below -----------------------------------------------------------------------------------------------------

    def _act(self, what: str, request: Mapping[str, Any]) -> Any:
        text = json.dumps({"do": what, **request}).encode()
        code, out, err = self._wait(self._remote(text), CONNECT_S + ACT_S + _SLACK_S)
        try:
            answer = json.loads(out)
        except ValueError:
            says = err.decode(errors="replace").strip()[-300:] or f"it ended with {code}"
            raise MachineError(f"{self.address.python} did not do its part there: {says}", str(self.address)) from None
        if "error" in answer:
            where = f"{self.address}: {answer['where']}" if answer["where"] else str(self.address)
            raise MachineError(f"cannot {what}: {answer['error']}", where)
        return answer["result"]

    async def _remote(self, request: bytes) -> tuple[int, bytes, bytes]:
        source = Path(ssh_remote.__file__).read_text(encoding="utf-8")
        words = (self.address.python, "-I", "-c", source)
        connection = await self._connect()
        async with asyncio.timeout(ACT_S):
            done = await connection.run(shlex.join(words), input=request, encoding=None)
        return _code(done.exit_status), _bytes(done.stdout), _bytes(done.stderr)

    async def _run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, bytes, bytes, bool]:
        connection = await self._connect()
        command = shlex.join(("/bin/sh", "-c", _RUN, "sh", *argv))
        async with connection.create_process(command, encoding=None) as process:
            talking = asyncio.ensure_future(process.stdout.read())
            complaining = asyncio.ensure_future(process.stderr.read())
            late = False
            try:
                await asyncio.wait_for(process.wait_closed(), timeout_s)
            except TimeoutError:
                late = True
                process.stdin.write_eof()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait_closed(), _SLACK_S)
            out, err = await asyncio.wait_for(asyncio.gather(talking, complaining), _SLACK_S)
            return _code(process.exit_status), _bytes(out), _bytes(err), late

    async def _connect(self) -> asyncssh.SSHClientConnection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        address = self.address
        options: dict[str, Any] = {}
        if address.known_hosts is not None:
            options["known_hosts"] = str(address.known_hosts)
        if address.keys:
            options["client_keys"] = [str(key) for key in address.keys]
        if address.user is not None:
            options["username"] = address.user
        self._connection = await asyncssh.connect(
            address.host,
            address.port,
            preferred_auth="publickey",
            connect_timeout=CONNECT_S,
            keepalive_interval=5,
            **options,
        )
        return self._connection

    async def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            await self._connection.wait_closed()

    def _wait(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Do it in our thread. MachineError for whatever keeps us out."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except asyncssh.HostKeyNotVerifiable as error:
            cure = "check its key with its owner, then add it: ssh-keyscan … >> ~/.ssh/known_hosts"
            raise MachineError("its host key is not the one that we know", str(self.address), cure) from error
        except asyncssh.PermissionDenied as error:
            raise MachineError("it does not let us in", str(self.address), "add our public key there") from error
        except (asyncssh.Error, OSError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise MachineError(f"cannot reach it: {why}", str(self.address), "is it up, and the port right?") from error


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value or "").encode()


def _code(status: int | None) -> int:
    """None: the connection broke before it ended."""
    return -1 if status is None else status
