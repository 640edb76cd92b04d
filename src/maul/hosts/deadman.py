"""The dead-man's switch as maul holds it: arm the helper, renew its lease, disarm it."""

import contextlib
import os
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from maul.core.clock import Clock, SystemClock
from maul.core.errors import MachineError, UnhealedError
from maul.hosts import reaper
from maul.hosts.host import Host
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost, own_process_id
from maul.hosts.undo import Undone, undo_pending

START_LIMIT_S = 10.0
END_LIMIT_S = 5.0
BUDGET_S = 30.0


class DeadMan:
    """A journal with a helper that undoes it when we die.

    Leaving the `with` block undoes what is still pending.

    >>> with DeadMan.arm(UndoJournal(path)) as deadman:         # doctest: +SKIP
    ...     deadman.journal.record("process.kill", "volume-r1-1", UndoSpawn(pidfile))
    """

    def __init__(self, journal: UndoJournal, helper: "subprocess.Popen[bytes]", budget_s: float) -> None:
        """Use `arm`."""
        self.journal = journal
        self._helper = helper
        self._budget_s = budget_s

    @classmethod
    def arm(
        cls,
        journal: UndoJournal,
        lease_s: float | None = None,
        budget_s: float = BUDGET_S,
        log: Path | None = None,
    ) -> Self:
        """Start the helper and wait until it watches.

        With `lease_s`, `renew` must be called more often than that.

        The journal is claimed for this process. MachineError when the helper cannot start: then do no harm.
        """
        us = own_process_id()
        journal.claim(us)
        command = [sys.executable, "-m", "maul.hosts.reaper", "--journal", str(journal.path.absolute())]
        command += ["--parent", f"{us.pid}:{us.start_ticks}", "--budget-s", str(budget_s)]
        command += [] if lease_s is None else ["--lease-s", str(lease_s)]
        with contextlib.ExitStack() as stack:
            errors = stack.enter_context((log or Path(os.devnull)).open("ab"))
            helper = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd="/",
                start_new_session=True,
                env=_environment(),
                bufsize=0,
            )
        deadman = cls(journal, helper, budget_s)
        deadman._wait_armed()
        return deadman

    def _wait_armed(self) -> None:
        assert self._helper.stdout is not None
        with self._helper.stdout as out:
            readable, _, _ = select.select([out], [], [], START_LIMIT_S)
            if readable and out.read(len(reaper.READY)) == reaper.READY:
                return
        self._end()
        raise MachineError(
            "the dead-man helper did not start; nothing is hurt without it",
            cure=f"try: {sys.executable} -m maul.hosts.reaper --help",
        )

    @property
    def armed(self) -> bool:
        """Whether the helper still watches."""
        return self._helper.poll() is None

    def renew(self) -> None:
        """Say that we live.

        MachineError when the helper is gone: whatever is hurt now would stay hurt if we died.
        """
        if not self._say(b"renew\n"):
            raise MachineError("the dead-man helper is gone", cure="stop; undo what is hurt: maul heal")

    def disarm(self) -> None:
        """Send the helper away; it undoes nothing. Harmless when it is gone already."""
        self._say(b"disarm\n")
        self._end()

    def close(self, host: Host | None = None, clock: Clock | None = None) -> list[Undone]:
        """Undo what is pending ourselves, then disarm.

        What could not be undone stays in the journal, for `maul heal`.

        The helper is disarmed only after: if we die while undoing, it goes on.
        """
        results = undo_pending(self.journal, host or LocalHost(), clock or SystemClock(), self._budget_s)
        self.disarm()
        self.journal.retire()
        return results

    def __enter__(self) -> Self:
        """Armed already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo and disarm. UnhealedError when something stays hurt, unless another error is on its way."""
        left = [result for result in self.close() if not result.done]
        if left and error is None:
            raise UnhealedError(
                "; ".join(f"{item.entry.fault} of {item.entry.target}: {item.says}" for item in left),
                str(self.journal.path),
                "run: maul heal",
            )

    def _say(self, line: bytes) -> bool:
        try:
            assert self._helper.stdin is not None
            self._helper.stdin.write(line)
        except (BrokenPipeError, ValueError):  # ValueError: closed by us
            return False
        return True

    def _end(self) -> None:
        """Close the pipe and see the helper off."""
        with contextlib.suppress(BrokenPipeError):
            assert self._helper.stdin is not None
            self._helper.stdin.close()
        try:
            self._helper.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._helper.kill()
            self._helper.wait(END_LIMIT_S)


def _environment() -> dict[str, str]:
    """What the helper needs to import us, and nothing that could carry a secret."""
    wanted = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "HOME")
    return {name: os.environ[name] for name in wanted if name in os.environ}
