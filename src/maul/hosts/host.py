"""The contract of a machine: what maul may ask of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProcessId:
    """Who a process is.

    A bare pid may be somebody else's tomorrow; its start time (clock ticks since boot) tells.
    """

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class ProcessState:
    """`letter` as in /proc/PID/stat (R running, S sleeping, D disk wait, T stopped), and its command line."""

    letter: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended by itself (`code` ≥ 0), by a signal (`code` < 0), or was killed at its timeout."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool


@dataclass(frozen=True, slots=True)
class SpawnSpec:
    """A long-lived process: everything needed to start it, and to start it again.

    `env` is the whole environment: nothing is inherited. Output is appended to `log`. When `pidfile` is
    given, the identity is on disk there before the program runs. With `inside` it runs in the namespaces that this
    process holds open.
    """

    argv: tuple[str, ...]
    cwd: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    pidfile: Path | None = None
    inside: ProcessId | None = None


class Host(Protocol):
    """A machine.

    Implementations must not retry, must not print, and must not touch any process but the one named.

    Errors of the machine itself (no such program, no permission, no room) are `MachineError`.
    """

    def run(self, argv: tuple[str, ...], timeout_s: float) -> Completed:
        """Run a short command to its end. Must not use a shell; must not outlive `timeout_s`."""
        ...

    def spawn(self, spec: SpawnSpec) -> ProcessId:
        """Start a process that outlives the caller, in a session of its own.

        Must not let the program run before its identity is in the pidfile. Does not wait: a program that
        cannot start says why in its log and is gone at the next `process()`.
        """
        ...

    def process(self, process: ProcessId) -> ProcessState | None:
        """Its state; None when it is gone, is a zombie, or when its pid belongs to another process by now."""
        ...

    def signal(self, process: ProcessId, signal_number: int) -> bool:
        """Send a signal.

        Must not signal a process whose start time differs: then False, and nothing was sent.
        """
        ...

    def read_bytes(self, path: Path) -> bytes | None:
        """A whole file; None when there is none."""
        ...

    def write_bytes(self, path: Path, content: bytes, mode: int = 0o644) -> None:
        """Replace a file in one step (temporary file, fsync, rename): a reader sees the old or the new, never
        half.
        """
        ...
