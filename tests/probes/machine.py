"""A machine made of files: /proc as a test writes it."""

from collections.abc import Iterable
from pathlib import Path

from maul.core.sample import Sample

S = 1_000_000_000
T0 = 1_700_000_000 * S


def write(root: Path, **files: str) -> None:
    """Writes `proc_net_dev="…"` as root/proc/net/dev."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def values(samples: Iterable[Sample]) -> dict[tuple[str, str], float]:
    """By (subject, metric)."""
    return {(s.subject, s.metric): s.value for s in samples}


def of(samples: Iterable[Sample], subject: str) -> dict[str, float]:
    """The metrics of one subject."""
    return {s.metric: s.value for s in samples if s.subject == subject}
