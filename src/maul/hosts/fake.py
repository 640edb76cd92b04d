"""A machine for tests: processes and files in memory. Passes the same contract suite as `LocalHost`."""

import signal
from dataclasses import dataclass, field
from pathlib import Path

from maul.core.errors import MachineError
from maul.hosts.host import Completed, ProcessId, ProcessState, SpawnSpec
from maul.hosts.pidfile import pidfile_text


@dataclass
class FakeHost:
    """Satisfies `Host`. `stubborn` argv words survive SIGTERM; `doomed` ones end at once."""

    files: dict[Path, bytes] = field(default_factory=dict)
    processes: dict[ProcessId, ProcessState] = field(default_factory=dict)
    stubborn: set[str] = field(default_factory=set)
    doomed: set[str] = field(default_factory=set)
    sent: list[tuple[ProcessId, int]] = field(default_factory=list)
    _pid_next: int = 100

    def run(self, argv: tuple[str, ...], timeout_s: float) -> Completed:
        """Answers `true`, `false` and `sleep`; anything else is not installed."""
        match Path(argv[0]).name:
            case "true":
                return Completed(argv, 0, b"", b"", timed_out=False)
            case "false":
                return Completed(argv, 1, b"", b"", timed_out=False)
            case "sleep" if float(argv[1]) > timeout_s:
                return Completed(argv, -signal.SIGKILL, b"", b"", timed_out=True)
        raise MachineError(f"cannot run {argv[0]}: No such file or directory")

    def spawn(self, spec: SpawnSpec) -> ProcessId:
        """A new process, sleeping."""
        process = ProcessId(self._pid_next, 1000 + self._pid_next)
        self._pid_next += 1
        if spec.pidfile is not None:
            self.write_bytes(spec.pidfile, pidfile_text(process, spec).encode())
        if not self.doomed & set(spec.argv):
            self.processes[process] = ProcessState("S", spec.argv)
        return process

    def process(self, process: ProcessId) -> ProcessState | None:
        """Its state, if it lives."""
        return self.processes.get(process)

    def signal(self, process: ProcessId, signal_number: int) -> bool:
        """Die, stop or go on."""
        state = self.processes.get(process)
        if state is None:
            return False
        self.sent.append((process, signal_number))
        if signal_number == signal.SIGKILL:
            del self.processes[process]
        elif signal_number == signal.SIGSTOP:
            self.processes[process] = ProcessState("T", state.argv)
        elif signal_number == signal.SIGCONT:
            self.processes[process] = ProcessState("S", state.argv)
        elif signal_number == signal.SIGTERM and state.letter != "T" and not self.stubborn & set(state.argv):
            del self.processes[process]
        return True

    def read_bytes(self, path: Path) -> bytes | None:
        """From memory."""
        return self.files.get(path)

    def write_bytes(self, path: Path, content: bytes, mode: int = 0o644) -> None:  # noqa: ARG002
        """To memory; a path under /full has no room."""
        if path.parts[:2] == ("/", "full"):
            raise MachineError("cannot write this file: No space left on device", str(path))
        self.files[path] = content
