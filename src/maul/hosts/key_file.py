"""Private keys on disk: readable by their owner alone, written once, never overwritten."""

import os
from pathlib import Path

from maul.core.errors import CampaignError, MachineError

_BYTES_MAX = 16 * 1024


def read_private(path: Path) -> bytes:
    """A private key's file. CampaignError when it cannot be read, or when others can read or change it."""
    try:
        with path.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode  # of the opened file: the name may change places
            text = opened.read(_BYTES_MAX)
    except OSError as error:
        raise CampaignError(
            f"the key cannot be read ({error.strerror})", str(path), "make one: maul permit keygen"
        ) from None
    if mode & 0o077:
        raise CampaignError(
            f"others than its owner may read or change this key (mode {mode & 0o777:04o})",
            str(path),
            "make a new key: maul permit keygen; this one may be known to others",
        )
    return text


def write_private(path: Path, content: bytes) -> None:
    """A new file of mode 0600. CampaignError when something of this name is there, MachineError for the disk."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise CampaignError("there is a file of this name, and a key is never overwritten", str(path)) from None
    except OSError as error:
        raise MachineError(f"cannot be written ({error.strerror})", str(path)) from None
    with os.fdopen(handle, "wb") as stream:
        os.fchmod(handle, 0o600)
        stream.write(content)
        stream.flush()
        os.fsync(handle)
