"""This machine, through /proc, pidfd and posix_spawn."""

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from maul.core.errors import MachineError
from maul.hosts.enter import enter_argv
from maul.hosts.host import Completed, ProcessId, ProcessState, SpawnSpec
from maul.hosts.pidfile import pidfile_text

# The shell waits for "go" so that the program runs only after its identity is on disk; when we die before
# that, `read` meets the end of the pipe and the shell ends. `exec` keeps pid and start time.
_LAUNCHER = 'cd -- "$1" && read -r go && [ "$go" = go ] && shift && exec </dev/null && exec "$@"'
_DEAD = frozenset("ZXx")


def parse_stat(text: str) -> tuple[str, int]:
    """State letter and start time (ticks since boot) of a /proc/PID/stat line.

    >>> parse_stat("42 (a) b (c) S 1 " + " ".join(str(n) for n in range(5, 25)))
    ('S', 22)
    """
    fields = text[text.rindex(")") + 2 :].split()  # the name may hold spaces and brackets: count from its end
    return fields[0], int(fields[19])


def read_process(pid: int) -> tuple[str, int] | None:
    """State letter and start ticks of a pid; None when there is no such process."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def own_process_id() -> ProcessId:
    """Who we are."""
    found = read_process(os.getpid())
    if found is None:
        raise MachineError("/proc is not mounted: processes cannot be told apart", cure="mount /proc")
    return ProcessId(os.getpid(), found[1])


def _inheritable() -> list[int]:
    """Descriptors besides 0, 1, 2 that a child would inherit.

    Whoever started us with `3>pipe` waits until the last holder of that pipe is gone; a lab must not be it.
    """
    found = []
    for descriptor in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):  # the one that listed the directory is closed by now
            if descriptor > 2 and os.get_inheritable(descriptor):
                found.append(descriptor)
    return found


class LocalHost:
    """This machine. Satisfies `Host`."""

    def run(self, argv: tuple[str, ...], timeout_s: float) -> Completed:
        """Run a short command to its end; see `Host.run`."""
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                check=False,
                shell=False,
            )
        except subprocess.TimeoutExpired as late:
            return Completed(argv, -signal.SIGKILL, late.stdout or b"", late.stderr or b"", timed_out=True)
        except OSError as error:
            raise MachineError(f"cannot run {argv[0]}: {error.strerror}", cure="is it installed?") from error
        return Completed(argv, done.returncode, done.stdout, done.stderr, timed_out=False)

    def spawn(self, spec: SpawnSpec) -> ProcessId:
        """Start a long-lived process; see `Host.spawn`."""
        gate, opener = os.pipe()  # neither end is inheritable: no other child can hold the gate open
        try:
            process = self._spawn_waiting(spec, gate)
            os.close(gate)
            gate = -1
            if spec.pidfile is not None:
                self.write_bytes(spec.pidfile, pidfile_text(process, spec).encode(), mode=0o600)
            os.write(opener, b"go\n")
        except BrokenPipeError:
            pass  # the launcher is gone (no such directory): its log says why, and process() is None
        except OSError as error:
            raise MachineError(f"cannot start {spec.argv[0]}: {error.strerror}", str(spec.cwd)) from error
        finally:
            os.close(opener)
            if gate >= 0:
                os.close(gate)
        return process

    def _spawn_waiting(self, spec: SpawnSpec, gate: int) -> ProcessId:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        argv = spec.argv if spec.inside is None else enter_argv(spec.inside, spec.cwd, spec.argv)
        pid = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _LAUNCHER, "sh", str(spec.cwd), *argv],
            dict(spec.env),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, gate, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(spec.log), flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[
                signal.SIGINT,
                signal.SIGQUIT,
                signal.SIGPIPE,
                signal.SIGHUP,
                signal.SIGTERM,
                signal.SIGXFSZ,
            ],
        )
        found = read_process(pid)  # our own child stays in /proc, if only as a zombie, until we wait for it
        if found is None:
            raise MachineError("/proc is not mounted: processes cannot be told apart", cure="mount /proc")
        return ProcessId(pid, found[1])

    def process(self, process: ProcessId) -> ProcessState | None:
        """The state of exactly this process; see `Host.process`."""
        found = read_process(process.pid)
        if found is None or found[1] != process.start_ticks:
            return None
        if found[0] in _DEAD:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)  # bury it, if it is our child
            return None
        try:
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[:-1]
        except (FileNotFoundError, ProcessLookupError):
            return None
        return ProcessState(found[0], tuple(word.decode(errors="replace") for word in words))

    def signal(self, process: ProcessId, signal_number: int) -> bool:
        """Signal exactly this process; see `Host.signal`.

        The pidfd is opened before the start time is compared: from then on it names that process and no
        other, even if the pid is given away between the look and the act.
        """
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return False
        try:
            if self.process(process) is None:
                return False
            signal.pidfd_send_signal(descriptor, signal_number)
        except ProcessLookupError:
            return False
        except PermissionError as error:
            raise MachineError(
                f"not allowed to send {signal.Signals(signal_number).name} to process {process.pid}",
                cure="run maul as the user who owns that process",
            ) from error
        finally:
            os.close(descriptor)
        return True

    def read_bytes(self, path: Path) -> bytes | None:
        """A whole file; see `Host.read_bytes`."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MachineError(f"cannot read this file: {error.strerror}", str(path)) from error

    def write_bytes(self, path: Path, content: bytes, mode: int = 0o644) -> None:
        """Replace a file in one step; see `Host.write_bytes`."""
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        except OSError as error:
            raise MachineError(f"cannot write this file: {error.strerror}", str(path)) from error
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(temporary).replace(path)
        except OSError as error:
            Path(temporary).unlink(missing_ok=True)
            raise MachineError(f"cannot write this file: {error.strerror}", str(path)) from error
