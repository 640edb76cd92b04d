"""Writes docs/mitigation-matrix.md: recorded plays, each judged with all vantage points and with some taken away.

`python scripts/mitigation_matrix.py PLAYS… [--date DAY] [--out FILE]`; PLAYS are files of recorded plays
(`maul.guard.mitigation.plays`) or directories of `*.json.gz`. Exit 1: a protection was blamed that did nothing.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from maul.core.errors import MaulError
from maul.guard.mitigation import plays
from maul.guard.mitigation.confusion import SIGHTS, Judged, judge, written

OUT = Path(__file__).resolve().parent.parent / "docs" / "mitigation-matrix.md"


def files_of(paths: Iterable[Path]) -> Iterator[Path]:
    """Each file, and every play below each directory, in order."""
    for path in paths:
        yield from sorted(path.rglob("*.json.gz")) if path.is_dir() else [path]


def judged_of(files: Iterable[Path]) -> list[Judged]:
    """Every play under every sight. Raises CampaignError for what is no play, OSError for what cannot be read."""
    return [
        judge(play, sight) for file in files for play in [plays.load(file.read_bytes(), file.name)] for sight in SIGHTS
    ]


def main(arguments: list[str]) -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("plays", nargs="+", type=Path)
    parser.add_argument("--date", default=f"{datetime.now(UTC):%Y-%m-%d}")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    files = list(files_of(options.plays))
    try:
        judged = judged_of(files)
    except (MaulError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 3
    if not judged:
        sys.stderr.write("no recorded play there: name files or directories of *.json.gz\n")
        return 3
    shown = " ".join(path.name for path in options.plays)
    options.out.write_text(
        written(judged, f"python scripts/mitigation_matrix.py {shown}", options.date), encoding="utf-8"
    )
    for one in judged:
        if one.wrong:
            names = ", ".join(sorted(cause.value for cause in one.wrong))
            sys.stdout.write(f"{one.play.cause or 'nothing'} on {one.play.load}, {one.sight.name}: also said {names}\n")
    sys.stdout.write(f"{len(files)} plays, {len(judged)} judgements: {options.out}\n")
    return 1 if any(one.false_protection for one in judged) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
