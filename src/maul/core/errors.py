"""One tree of errors, split by who must act. Each leaf names the exit code that the shell sees.

- `MaulError`
    - `CampaignError`     the campaign author: a bad campaign, site, option, credential or bucket name (exit 3)
    - `PermitError`       the operator: the target may not be hit (exit 4)
    - `GuardError`        the guard stopped the run (exit 5)
    - `UnhealedError`     the operator: something that maul hurt is not healed; run `maul heal` (exit 6)
    - `MachineError`      the machine owner: missing program, port, privilege, disk space (exit 7)
    - `TargetError`       the target owner: unreachable, certificate not trusted, half dead (exit 7)
    - `InternalError`     us: a bug in maul; nothing is known about the target (exit 2)

A message says what happened, what it means, and what to do: the three arguments of every error.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell sees. Documented in docs/reference/exit-codes.md."""

    PASS = 0
    FAIL = 1
    UNKNOWN = 2
    USAGE = 3
    NOT_PERMITTED = 4
    GUARD = 5
    UNHEALED = 6
    ENVIRONMENT = 7


class MaulError(Exception):
    """Something that maul tells a person in one message: what, where, what to do."""

    exit_code = ExitCode.UNKNOWN

    def __init__(self, what: str, where: str = "", cure: str = "") -> None:
        """`what` happened, `where` (file:line, host, endpoint; may be empty), and the `cure` (may be empty)."""
        self.what, self.where, self.cure = what, where, cure
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The whole message on as few lines as it has parts."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.cure}" if self.cure else head


class CampaignError(MaulError):
    """The campaign, the site or the command line is wrong; the author mends it."""

    exit_code = ExitCode.USAGE


class PermitError(MaulError):
    """The target is neither loopback nor the lab, and no permit covers it."""

    exit_code = ExitCode.NOT_PERMITTED


class GuardError(MaulError):
    """The guard ended the run."""

    exit_code = ExitCode.GUARD


class UnhealedError(MaulError):
    """Something that maul hurt could not be put back."""

    exit_code = ExitCode.UNHEALED


class MachineError(MaulError):
    """This machine lacks a program, a port, a privilege or room."""

    exit_code = ExitCode.ENVIRONMENT


class TargetError(MaulError):
    """The target cannot be tested as it stands."""

    exit_code = ExitCode.ENVIRONMENT


class InternalError(MaulError):
    """A bug of ours."""

    exit_code = ExitCode.UNKNOWN
