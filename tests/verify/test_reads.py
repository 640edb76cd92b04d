"""Reads during the load, against an enumeration and against hand-made pasts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_history import Change, S, operations, possible_reads, read, together

from maul.core.operation import OPERATION_DTYPE, ErrorClass, Outcome
from maul.core.verdict import Verdict
from maul.verify.reads import ReadsSummary, check, stale_reads

OK, FAIL, UNKNOWN, _ = Outcome


def seen(changes: Sequence[Change], *reads: Any, **options: Any) -> ReadsSummary:
    return stale_reads(together(operations(changes), *reads), ["vip"], "p/", **options)


def counts(summary: ReadsSummary) -> dict[str, int]:
    named = {kind: getattr(summary, kind) for kind in ("stale", "missing", "phantom", "corrupt", "excused")}
    return {kind: count for kind, count in named.items() if count}


TWICE = [Change(10, 20, 5), Change(30, 40, 7)]


def test_a_read_after_the_second_write_must_not_see_the_first() -> None:
    assert counts(seen(TWICE, read(5, start=41, end=45))) == {"stale": 1}
    assert counts(seen(TWICE, read(7, start=41, end=45))) == {}


def test_a_read_during_the_second_write_may_see_either() -> None:
    for start in (30, 35, 40):  # begins at the latest when the write ends
        assert counts(seen(TWICE, read(5, start=start, end=45), read(7, start=start, end=45))) == {}


def test_no_object_after_an_acknowledged_write() -> None:
    assert counts(seen(TWICE, read(None, start=21, end=22))) == {"missing": 1}
    assert counts(seen(TWICE, read(None, start=15, end=22))) == {}


def test_no_object_while_it_is_deleted() -> None:
    deleted = [Change(10, 20, 5), Change(30, 40, None)]
    assert counts(seen(deleted, read(None, start=35, end=36))) == {}
    assert counts(seen(deleted, read(None, start=25, end=29))) == {"missing": 1}
    assert counts(seen(deleted, read(5, start=41, end=42))) == {"stale": 1}
    assert counts(seen([*deleted, Change(50, 60, 6)], read(None, start=61, end=62))) == {"missing": 1}


def test_an_uncertain_delete_excuses_absence_for_ever() -> None:
    uncertain = [Change(10, 20, 5), Change(30, 40, None, UNKNOWN), Change(50, 60, 6)]
    assert counts(seen(uncertain, read(None, start=70, end=71))) == {}


def test_a_write_of_unknown_outcome_is_never_the_past() -> None:
    assert counts(seen([Change(10, 20, 5, UNKNOWN), Change(30, 40, 7)], read(5, start=41, end=42))) == {}


def test_a_version_that_was_refused_or_never_written() -> None:
    refused = [*TWICE, Change(50, 60, 9, FAIL)]
    reads = [read(9, start=61, end=62), read(99, start=61, end=62)]
    assert counts(seen(refused, *reads)) == {"phantom": 2}
    assert counts(seen(refused, *reads, records_lost=1)) == {}


def test_another_keys_version_is_a_phantom() -> None:
    assert counts(seen([*TWICE, Change(50, 60, 9, key=2)], read(9, start=61, end=62))) == {"phantom": 1}


def test_windows_in_which_the_site_promises_nothing() -> None:
    missed = [read(None, start=start, end=start + 5) for start in (100, 200, 300)]
    assert counts(seen(TWICE, *missed, excused_ns=[(150, 203), (299, 299)])) == {"missing": 2, "excused": 1}
    corrupt = read(7, start=200, end=205, error=ErrorClass.CORRUPT)
    assert counts(seen(TWICE, corrupt, excused_ns=[(150, 250)])) == {"corrupt": 1}


def test_a_declared_lag_excuses_only_what_is_younger() -> None:
    behind = [read(5, start=start, end=start + 5) for start in (50, 90, 200)]  # acknowledged at 40
    assert counts(seen(TWICE, *behind, lag_ns=49)) == {"stale": 2, "excused": 1}
    assert counts(seen(TWICE, *behind, lag_ns=50)) == {"stale": 1, "excused": 2}
    assert counts(seen(TWICE, *behind, lag_ns=10**18)) == {"excused": 3}
    absent = [read(None, start=start, end=start + 5) for start in (50, 200)]
    assert counts(seen(TWICE, *absent, lag_ns=100)) == {"missing": 1, "excused": 1}
    assert counts(seen(TWICE, read(9, start=50), lag_ns=100)) == {"phantom": 1}


def test_errors_and_reads_of_nothing_are_not_counted() -> None:
    errors = [read(error=e, start=100, end=101, status=0) for e in (ErrorClass.TIMEOUT, ErrorClass.STOPPED)]
    assert seen(TWICE, *errors).reads == 0
    assert seen([], read(None)).reads == 1
    assert stale_reads(np.zeros(0, OPERATION_DTYPE), [], "p/").reads == 0
    assert stale_reads([], [], "p/").reads == 0


def test_phases_are_judged_together() -> None:
    batches = [operations([TWICE[0]]), operations([TWICE[1]]), read(5, start=41, end=42)]
    assert counts(stale_reads(batches, ["vip"], "p/")) == {"stale": 1}


def test_a_finding_tells_what_was_expected() -> None:
    at = 1_700_000_000 * S
    history = [Change(at, at + S, 5), Change(at + 2 * S, at + 3 * S, 7)]
    [finding] = seen(history, read(5, start=at + 4 * S)).findings
    assert finding.kind == "stale"
    assert (finding.key, finding.through) == ("p/b000000000001", "vip")
    assert finding.expected == "version 0.0.7 (acknowledged 22:13:23.000 UTC), or newer"
    assert finding.found == "version 0.0.5, asked for at 22:13:24.000 UTC"
    assert len(seen(history, *[read(5, start=at + 4 * S)] * 30, findings_max=4).findings) == 4


@pytest.mark.parametrize(
    ("reads", "strong", "verdict"),
    [
        ([read(7, start=50)], True, Verdict.PASS),
        ([read(5, start=50)], True, Verdict.FAIL),
        ([read(5, start=50)], False, Verdict.PASS),
        ([read(None, start=50)], True, Verdict.FAIL),
        ([read(None, start=50)], False, Verdict.PASS),
        ([read(9, start=50)], False, Verdict.FAIL),
        ([read(7, start=50, error=ErrorClass.TORN)], False, Verdict.FAIL),
        ([], True, Verdict.UNKNOWN),
    ],
)
def test_check(reads: list[Any], strong: bool, verdict: Verdict) -> None:
    summary = seen(TWICE, *reads)
    assert check(summary, strong=strong).verdict is verdict


def test_the_check_says_what_it_tolerated() -> None:
    summary = seen(TWICE, read(5, start=50, end=55), read(None, start=300, end=301), excused_ns=[(290, 310)])
    assert check(summary, strong=False).says == (
        "2 reads during the load: each saw what it had to see; within what the site declares: 1 stale, 1 excused"
    )
    assert check(summary, strong=True).says == (
        "2 reads during the load: 1 stale; within what the site declares: 1 excused"
    )


@st.composite
def readings(draw: st.DrawFn) -> tuple[list[Change], int, int, int | None]:
    changes = []
    for version in range(1, draw(st.integers(0, 5)) + 1):
        start = draw(st.integers(1, 12))
        written = None if draw(st.integers(0, 2)) == 0 else version
        outcome = draw(st.sampled_from([OK, OK, OK, UNKNOWN]))
        changes.append(Change(start, start + draw(st.integers(0, 4)), written, outcome))
    start = draw(st.integers(1, 16))
    # a version that was written at the latest while it was read: the engine cannot see the future
    end = start + draw(st.integers(0, 4))
    versions = [c.version for c in changes if c.version is not None and c.start <= end]
    return changes, start, end, draw(st.sampled_from([None, *versions]))


@settings(max_examples=800, deadline=None)
@given(readings())
def test_a_read_is_a_finding_exactly_if_no_linearization_explains_it(
    reading: tuple[list[Change], int, int, int | None],
) -> None:
    changes, start, end, answer = reading
    summary = seen(changes, read(answer, start=start, end=end))
    allowed = answer in possible_reads(changes, start, end)
    assert bool(counts(summary)) != allowed
