"""Files that are either whole or absent, and what a refusing disk means."""

import contextlib
import errno
import os
from pathlib import Path

from maul.core.errors import CampaignError, MachineError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_STILL_READABLE = "What is recorded can still be read."


def disk_error(error: OSError, where: Path) -> MachineError:
    """What an OSError in a run directory means to the owner of the machine."""
    if error.errno in _NO_ROOM:
        return MachineError(
            "no room is left on this disk: the run is recorded up to here and no further",
            str(where),
            f"Free some space, or keep the runs on another disk, and run again. {_STILL_READABLE}",
        )
    if error.errno in _NOT_ALLOWED:
        return MachineError(
            f"may not be written ({error.strerror})",
            str(where),
            "Give this user the right to write here, or keep the runs in another directory.",
        )
    return MachineError(
        f"cannot be written ({error.strerror or error})",
        str(where),
        f"Check this disk (dmesg, mount), or keep the runs on another one. {_STILL_READABLE}",
    )


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte; OSError when the disk refuses, after which the tail may be torn."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file: a reader sees the old one or the new one, never half. OSError leaves the old one."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # it may never have come to be; the first error is the one to tell
            temporary.unlink()
        raise
    fsync_directory(path.parent)


def fsync_directory(path: Path) -> None:
    """Make renames in a directory last."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def point_link(link: Path, target: str) -> None:
    """Point a symbolic link at a name beside it, in one step. CampaignError when its name is taken."""
    if link.exists() and not link.is_symlink():
        what = "is in the way: maul keeps a link of this name here"
        raise CampaignError(what, str(link), "Move it elsewhere.")
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()  # of a process that died with our number
    temporary.symlink_to(target)
    temporary.replace(link)
