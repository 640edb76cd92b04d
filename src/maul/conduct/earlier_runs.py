"""Earlier runs: what those against the same target learnt of what stopped them. Reads `summary.json`, sends nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from maul.core.errors import MaulError
from maul.core.mitigation_summary import BracketSummary
from maul.core.summary import Summary
from maul.guard.mitigation.causes import Family
from maul.guard.mitigation.fingerprint import narrow
from maul.record.locate import runs_in
from maul.record.reader import RunReader

RUNS_MAX = 50
"""The newest of them."""
_BRACKETS: TypeAdapter[tuple[BracketSummary, ...]] = TypeAdapter(tuple[BracketSummary, ...])
NOT_UPSTREAM = frozenset({Family.TARGET, Family.GENERATOR})


@dataclass(frozen=True, slots=True)
class Learnt:
    """`brackets`: of all of them together. `detect_s`: the slowest that was seen."""

    brackets: tuple[BracketSummary, ...] = ()
    detect_s: float | None = None


def learnt_before(target: str, runs_root: Path, but: str = "") -> Learnt:
    """What earlier runs against `target` (as their summaries name it) say; `but`: the run that is not looked at.

    Each summary holds what its own run saw. What the target or a generator did by itself tells nothing of a threshold.
    """
    found: tuple[BracketSummary, ...] = ()
    took: list[float] = []
    for summary in _summaries(target, runs_root, but):
        stops = [one for one in summary.mitigations if one.family not in NOT_UPSTREAM]
        for brackets in (summary.borne, *(one.brackets for one in stops)):
            found, _ = narrow(found, brackets)
        took += [one.detect_s for one in stops if one.detect_s is not None]
    return Learnt(found, max(took, default=None))


def to_text(brackets: Sequence[BracketSummary]) -> str:
    """What a run keeps of it: `earlier-brackets.json`."""
    return _BRACKETS.dump_json(tuple(brackets), indent=2).decode() + "\n"


def from_text(text: str) -> tuple[BracketSummary, ...]:
    """What a run kept; nothing where that is damaged."""
    try:
        return _BRACKETS.validate_json(text)
    except ValidationError:
        return ()


def _summaries(target: str, runs_root: Path, but: str) -> Iterator[Summary]:
    """The oldest run first. A run that cannot be read was told of when it was asked for; here it says nothing."""
    for name in runs_in(runs_root)[-RUNS_MAX:]:
        try:
            summary = RunReader.open(runs_root / name).summary() if name != but else None
        except MaulError:
            continue
        if summary is not None and summary.target == target:
            yield summary
