"""Causes that were really played, in a lab with a border against real runs with a fleet, judged by the classifier.

`it/test_mitigation_causes.py --plays DIR` records such plays; these are one of each cause.
"""

from itertools import combinations
from pathlib import Path

import pytest

from maul.core.vantage import Vantage
from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.confusion import EVERY, SIGHTS, Sight, judge
from maul.guard.mitigation.plays import load

FILES = sorted((Path(__file__).parent.parent / "plays").glob("*.json.gz"))
NAMES = [file.name.removesuffix(".json.gz") for file in FILES]
BYTES_MAX = 20_480
PAIRS = [Sight(f"without {one} and {other}", frozenset({one, other})) for one, other in combinations(Vantage, 2)]


def test_each_cause_is_there_and_a_clean_ramp() -> None:
    played = {load(file.read_bytes(), file.name).cause for file in FILES}
    assert played == {*Cause, None}


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_right_with_all_vantage_points(file: Path) -> None:
    assert file.stat().st_size <= BYTES_MAX
    played = load(file.read_bytes(), file.name)
    judged = judge(played, SIGHTS[0])
    if played.cause is None:
        assert not judged.false_protection
        return
    assert judged.said is played.cause
    assert not judged.wrong


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_nobody_upstream_is_accused_falsely_whoever_looks_on(file: Path) -> None:
    played = load(file.read_bytes(), file.name)
    for sight in (*SIGHTS[1:], *PAIRS, Sight("nobody", EVERY)):
        judged = judge(played, sight)
        assert not judged.false_protection, sight.name
        assert judged.said in {played.cause, None} or played.cause is None, (sight.name, judged.said)
