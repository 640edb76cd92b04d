"""The banner of a record that another process is still writing: where the answer to a stop upstream stands."""

import pytest

from maul.conduct.mitigation_words import FROZEN, GIVEN_UP, RECOVERED, RESUMED, SUSPECTED, VANTAGE, VERDICT
from maul.core.event import Edge, Event, EventKind
from maul.record import RunReader, RunWriter
from maul.web.recorded import told_of

S = 10**9
T0_NS = 1_795_000_000 * S


def banner(tmp_path, *names: str, later_s: int = 0, close: bool = False) -> tuple[str, str]:
    writer = RunWriter.create(tmp_path, "run")
    events = [
        Event(T0_NS + place * S, EventKind.MITIGATION, Edge.INSTANT, name, f"<b>{name}</b>")
        for place, name in enumerate((VANTAGE, *names))
    ]
    events.append(Event(T0_NS + (len(names) + later_s) * S, EventKind.NOTE, Edge.INSTANT, "n"))
    writer.events(events)
    writer.flush()
    if close:
        writer.close()
    told = told_of(RunReader.open(writer.path))
    writer.close()
    return told.stance, told.waits


@pytest.mark.parametrize(
    ("names", "stance"),
    [
        ((), ""),
        ((SUSPECTED,), "suspect"),
        ((SUSPECTED, FROZEN), "probing"),
        ((SUSPECTED, FROZEN, VERDICT), "held"),
        ((SUSPECTED, FROZEN, VERDICT, VERDICT), "held"),
        ((SUSPECTED, FROZEN, VERDICT, RECOVERED), "recovered"),
        ((SUSPECTED, FROZEN, VERDICT, RECOVERED, RESUMED), ""),
        ((SUSPECTED, FROZEN, VERDICT, GIVEN_UP), "over"),
        ((SUSPECTED, FROZEN, VERDICT, RECOVERED, RESUMED, SUSPECTED), "suspect"),
        ((FROZEN, VERDICT, RECOVERED, RESUMED, SUSPECTED, VERDICT), "suspect"),
        ((SUSPECTED, VERDICT), "suspect"),
    ],
)
def test_where_it_stands(names, stance, tmp_path):
    assert banner(tmp_path, *names) == (stance, f"<b>{names[-1]}</b>" if stance else "")


def test_a_suspicion_that_came_to_nothing_goes_away_and_a_hold_does_not(tmp_path):
    assert banner(tmp_path / "a", SUSPECTED, later_s=30) == ("", "")
    assert banner(tmp_path / "b", SUSPECTED, FROZEN, VERDICT, later_s=3000)[0] == "held"


def test_a_run_that_is_over_has_no_banner(tmp_path):
    assert banner(tmp_path, FROZEN, VERDICT, GIVEN_UP, close=True) == ("", "")
