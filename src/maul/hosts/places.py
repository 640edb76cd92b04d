"""Where maul keeps its own state on this machine."""

import os
from collections.abc import Mapping
from pathlib import Path


def state_directory(env: Mapping[str, str] | None = None) -> Path:
    """`$MAUL_STATE`, else `$XDG_STATE_HOME/maul`, else `~/.local/state/maul`. Not created here.

    >>> state_directory({"MAUL_STATE": "/var/lib/maul"}).as_posix()
    '/var/lib/maul'
    """
    env = os.environ if env is None else env
    if env.get("MAUL_STATE"):
        return Path(env["MAUL_STATE"]).absolute()
    base = env.get("XDG_STATE_HOME", "")
    # The XDG standard says that a relative path is to be ignored.
    home = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return home / "maul"


def journal_directory(env: Mapping[str, str] | None = None) -> Path:
    """Where undo journals are kept until everything in them is undone."""
    return state_directory(env) / "undo"


LAB_VARIABLE = "MAUL_LAB"
"""Set for what runs inside a lab with a network: the directory of that lab. A hint where to look, never a proof."""


def lab_directories(env: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Where labs may stand: the one that this process was started in, then those in maul's state."""
    env = os.environ if env is None else env
    named = (Path(env[LAB_VARIABLE]),) if env.get(LAB_VARIABLE) else ()
    return (*named, *sorted((state_directory(env) / "labs").glob("*/")))
