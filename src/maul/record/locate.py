"""Which run is meant: `latest`, a run id, or a path."""

from pathlib import Path

from maul.core.errors import CampaignError
from maul.record.tables import EVENTS, parquet_name, stream_name

RUNS_ROOT = Path("runs")
_SHOWN_MAX = 5


def locate_run(run: str | Path, runs_root: Path = RUNS_ROOT) -> Path:
    """The directory of a run given as `latest`, as a run id below `runs_root`, or as a path.

    CampaignError when there is none: what stands there instead, and which runs there are.
    """
    beside = runs_root / run
    path = beside if beside.exists() or beside.is_symlink() else Path(run)
    if path.is_symlink() and not path.exists():
        raise CampaignError(f"points at {path.readlink()}, which is gone", str(path), _known(runs_root))
    if not path.exists():
        raise CampaignError(f"there is no run {str(run)!r}", cure=_known(runs_root))
    path = path.resolve()
    if not path.is_dir():
        raise CampaignError("is a file; a run is a directory", str(path), f"Did you mean {path.parent}?")
    if not holds_run(path):
        raise CampaignError(_what_instead(path), str(path), _known(path if runs_in(path) else runs_root))
    return path


def holds_run(path: Path) -> bool:
    """Whether a directory looks like a run: it has the events of one."""
    return any((path / name(EVENTS)).is_file() for name in (stream_name, parquet_name))


def runs_in(path: Path) -> list[str]:
    """The names of the runs right below a directory, oldest first (run ids sort by time)."""
    if not path.is_dir():
        return []
    return sorted(p.name for p in path.iterdir() if p.is_dir() and not p.is_symlink() and holds_run(p))


def _what_instead(path: Path) -> str:
    if runs_in(path):
        return "holds runs and is not one itself"
    if not any(path.iterdir()):
        return "is empty: no run was recorded here"
    return f"is not a run: it has no {parquet_name(EVENTS)}"


def _known(runs_root: Path) -> str:
    runs = runs_in(runs_root)
    if not runs:
        return f"There are no runs in {runs_root}; `maul beat` makes one."
    shown = ", ".join(runs[-_SHOWN_MAX:])
    return f"Runs in {runs_root}: {shown}. `latest` is the newest."
