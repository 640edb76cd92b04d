"""The audit: one hand-made anomaly for each kind of finding, and what must not become one."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_history import Change, S, operations, possible_ends, read, together

from maul.core.operation import ErrorClass, Outcome
from maul.core.summary import AuditSummary
from maul.core.verdict import Verdict
from maul.verify.audit import KINDS, check, judge, needs_reread
from maul.verify.ledger import Ledger
from maul.verify.listing import Listing

OK, FAIL, UNKNOWN, _ = Outcome
PREFIX = "maul/r1/"
WRITTEN = [Change(1, 2, 5), Change(3, 4, 7)]
DELETED = [Change(1, 2, 5), Change(3, 4, None)]


def judged(changes: Sequence[Change], *reads: Any, through: Sequence[str] = ("vip",), **options: Any) -> AuditSummary:
    return judge(Ledger.from_operations(operations(changes)), together(*reads), through, PREFIX, **options)


def kinds(summary: AuditSummary) -> dict[str, int]:
    return {kind: summary.counts[kind] for kind in KINDS if summary.counts[kind]}


def test_all_as_it_should_be() -> None:
    summary = judged(WRITTEN, read(7))
    assert kinds(summary) == {}
    assert summary.complete
    assert (summary.objects, summary.reads, summary.counts["right"]) == (1, 1, 1)
    assert summary.says == "1 objects, 1 reads through vip: each as it should be"
    assert check(summary).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("changes", "answer", "kind", "found"),
    [
        (WRITTEN, read(None), "lost", "no object (404)"),
        (WRITTEN, read(5), "stale", "version 0.0.5"),
        (WRITTEN, read(9), "phantom", "version 0.0.9, never written"),
        ([*WRITTEN, Change(5, 6, 8, FAIL)], read(8), "phantom", "version 0.0.8, whose write was refused"),
        ([*WRITTEN, Change(5, 6, 8, key=2)], read(8), "phantom", "version 0.0.8"),
        (DELETED, read(5), "resurrected", "version 0.0.5"),
        (DELETED, read(0), "resurrected", "no object (404)"),
        (
            WRITTEN,
            read(error=ErrorClass.INTERNAL_ERROR, status=500),
            "unreadable",
            "INTERNAL_ERROR, status 500",
        ),
        (WRITTEN, read(error=ErrorClass.TIMEOUT, status=0), "unreadable", "TIMEOUT, no answer"),
        (
            WRITTEN,
            read(error=ErrorClass.NO_SUCH_BUCKET, status=404),
            "unreadable",
            "NO_SUCH_BUCKET, status 404",
        ),
        (
            DELETED,
            read(error=ErrorClass.ACCESS_DENIED, status=403),
            "unreadable",
            "ACCESS_DENIED, status 403",
        ),
        *(
            (WRITTEN, read(7, error=broken), "corrupt", f"{broken.name}, status 200")
            for broken in (
                ErrorClass.CORRUPT,
                ErrorClass.TORN,
                ErrorClass.TRUNCATED,
                ErrorClass.FOREIGN,
                ErrorClass.NOT_OURS,
            )
        ),
    ],
)
def test_each_anomaly_has_its_kind(changes: Sequence[Change], answer: Any, kind: str, found: str) -> None:
    if kind == "resurrected" and not answer["version"][0]:
        answer = read(5)
        answer["version"], found = 0, "an object too short to carry a version"
    keys = {change.key for change in changes}
    others = [read(8, key=key) for key in keys - {1}]
    summary = judged(changes, answer, *others)
    assert kinds(summary) == {kind: 1}
    [finding] = summary.findings
    assert (finding.kind, finding.key, finding.through) == (kind, "maul/r1/b000000000001", "vip")
    assert finding.found == found
    assert finding.expected
    assert check(summary).verdict is Verdict.FAIL
    assert f"1 {kind}" in summary.says


def test_one_object_lost_everywhere_is_one_finding() -> None:
    summary = judged(WRITTEN, *(read(None, endpoint=e) for e in range(3)), through=("vip", "gw1", "gw2"))
    assert kinds(summary) == {"lost": 1}
    assert summary.findings[0].through == "vip, gw1, gw2"


def test_lost_through_one_gateway_only() -> None:
    summary = judged(WRITTEN, read(7), read(None, endpoint=1), through=("vip", "gw1"))
    assert kinds(summary) == {"lost": 1}
    assert summary.findings[0].through == "gw1"


def test_uncertain_writes_are_never_called_lost() -> None:
    uncertain = [Change(1, 2, 5), Change(3, 4, 7, UNKNOWN), Change(1, 2, 6, UNKNOWN, key=2)]
    for first in (read(5), read(7)):
        for second in (read(6, key=2), read(None, key=2)):
            assert kinds(judged(uncertain, first, second)) == {}
    assert kinds(judged(uncertain, read(None), read(6, key=2))) == {"lost": 1}


def test_keys_in_between_that_nobody_wrote() -> None:
    assert kinds(judged(WRITTEN, read(7), read(None, key=99))) == {}
    assert kinds(judged(WRITTEN, read(7), read(12, key=99))) == {"phantom": 1}
    nameless = read(12, key=99)
    nameless["version"] = 0
    assert kinds(judged(WRITTEN, read(7), nameless)) == {"phantom": 1}


def test_a_body_too_short_for_a_version_is_counted_as_unversioned() -> None:
    short = read(7)
    short["version"] = 0
    summary = judged(WRITTEN, short)
    assert kinds(summary) == {}
    assert summary.counts["unversioned"] == 1


# re-reads


def test_wrong_at_first_and_right_later_is_a_finding_only_where_the_site_promises_better() -> None:
    reads = [read(None, start=100 * S), read(7, start=103 * S)]
    strong = judged(WRITTEN, *reads)
    assert kinds(strong) == {"stale": 1}
    assert strong.findings[0].found == "no object (404) at first, right 3.0 s later"
    eventual = judged(WRITTEN, *reads, strong=False)
    assert kinds(eventual) == {}
    assert eventual.counts["momentary"] == 1
    assert "1 answers were wrong at first" in eventual.says


def test_right_at_first_and_lost_later_is_lost() -> None:
    assert kinds(judged(WRITTEN, read(7), read(None, start=103 * S), strong=False)) == {"lost": 1}


def test_readable_at_the_second_attempt_is_no_finding() -> None:
    failed = read(error=ErrorClass.SLOW_DOWN, status=503)
    summary = judged(WRITTEN, failed, read(7, start=103 * S))
    assert kinds(summary) == {}
    assert summary.counts["recovered"] == 1


@pytest.mark.parametrize("bad", [read(7, error=ErrorClass.CORRUPT), read(9)])
def test_corrupt_bytes_are_not_excused_by_a_better_second_read(bad: Any) -> None:
    summary = judged(WRITTEN, bad, read(7, start=103 * S), strong=False)
    assert sum(kinds(summary).values()) == 1


def test_the_order_of_the_reads_is_that_of_their_starts() -> None:
    assert kinds(judged(WRITTEN, read(7, start=103 * S), read(None, start=100 * S), strong=False)) == {}


def test_gateways_that_disagree() -> None:
    uncertain = [Change(1, 2, 5), Change(3, 4, 7, UNKNOWN)]
    reads = [read(5), read(7, endpoint=1)]
    ledger = Ledger.from_operations(operations(uncertain))
    assert needs_reread(ledger, together(*reads)).tolist() == [1]
    strong = judged(uncertain, *reads, through=("gw1", "gw2"))
    assert kinds(strong) == {"divergent": 1}
    assert strong.findings[0].found == "version 0.0.5; version 0.0.7"
    eventual = judged(uncertain, *reads, through=("gw1", "gw2"), strong=False)
    assert kinds(eventual) == {}
    assert eventual.counts["diverged"] == 1
    settled = judged(uncertain, *reads, read(7, start=105 * S), through=("gw1", "gw2"))
    assert kinds(settled) == {}


def test_which_keys_deserve_a_second_look() -> None:
    changes = [Change(1, 2, 10 + key, key=key) for key in range(6)]
    ledger = Ledger.from_operations(operations(changes))
    first = together(
        read(10, key=0),
        read(None, key=1),
        read(error=ErrorClass.TIMEOUT, status=0, key=2),
        read(13, key=3, error=ErrorClass.CORRUPT),  # no second look helps
        read(None, key=4),
        read(14, key=4, start=101 * S),  # was looked at again
        read(None, key=77),  # never written
    )
    assert needs_reread(ledger, first).tolist() == [1, 2]
    assert needs_reread(ledger, first[:0]).tolist() == []


# completeness


def test_an_object_that_nobody_read_leaves_doubt() -> None:
    summary = judged([*WRITTEN, Change(1, 2, 8, key=2)], read(7), through=("vip",))
    assert not summary.complete
    assert summary.counts["unread"] == 1
    assert check(summary).verdict is Verdict.UNKNOWN


def test_a_gateway_that_was_never_asked_leaves_doubt() -> None:
    summary = judged(WRITTEN, read(7), through=("vip", "gw1"))
    assert summary.counts["unread"] == 1
    assert check(summary).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("ours", [ErrorClass.STOPPED, ErrorClass.BACKLOG])
def test_reads_that_we_stopped_say_nothing(ours: ErrorClass) -> None:
    summary = judged(WRITTEN, read(error=ours, status=0))
    assert kinds(summary) == {}
    assert summary.reads == 0
    assert check(summary).verdict is Verdict.UNKNOWN


def test_nothing_written_is_no_pass() -> None:
    assert check(judged([])).verdict is Verdict.UNKNOWN


def test_a_record_with_holes_accuses_nobody_of_phantoms() -> None:
    summary = judged(WRITTEN, read(9), records_lost=3)
    assert kinds(summary) == {}
    assert not summary.complete
    assert "3 operations are missing from the record" in summary.says
    assert kinds(judged(WRITTEN, read(7, error=ErrorClass.CORRUPT), records_lost=3)) == {"corrupt": 1}


def test_findings_are_bounded_and_all_counted() -> None:
    changes = [Change(1, 2, key + 1, key=key) for key in range(50)]
    summary = judged(changes, *(read(None, key=key) for key in range(50)), findings_max=10)
    assert (len(summary.findings), summary.findings_total, summary.counts["lost"]) == (10, 50, 50)


# listings


def name(key: int, letter: str = "b") -> str:
    return f"{PREFIX}{letter}{key:012x}"


def test_listings() -> None:
    changes = [
        Change(1, 2, 5, key=1),
        Change(1, 2, 6, key=2),
        Change(3, 4, None, key=2),
        Change(1, 2, 7, UNKNOWN, key=3),
        Change(1, 2, 8, key=1 << 56 | 4),
    ]
    answers = [read(5), read(None, key=2), read(None, key=3), read(8, key=1 << 56 | 4)]
    right = [name(1), name(4, "e")]
    assert kinds(judged(changes, *answers, listings=[Listing("vip", right), Listing("gw1", [*right, name(3)])])) == {}
    for names, expected in (
        ([name(1)], {"unlisted": 1}),
        ([*right, name(2)], {"ghost": 1}),
        (
            [*right, name(9), PREFIX + "something", "elsewhere", name(1, "x"), name(1) + "/more"],
            {"phantom": 5},
        ),
    ):
        summary = judged(changes, *answers, listings=[Listing("vip", names)])
        assert kinds(summary) == expected
        assert summary.findings_total == len(summary.findings) == sum(expected.values())


def test_a_bounded_listing_proves_no_absence_but_a_ghost() -> None:
    summary = judged(WRITTEN, read(7), listings=[Listing("vip", [], complete=False)])
    assert kinds(summary) == {}
    assert not summary.complete
    assert summary.says.endswith("the listing through vip is not whole")
    ghost = judged(DELETED, read(None), listings=[Listing("vip", [name(1)], complete=False)])
    assert kinds(ghost) == {"ghost": 1}


# against the enumeration


@st.composite
def audits(draw: st.DrawFn) -> tuple[list[Change], list[int | None]]:
    changes = []
    for version in range(1, draw(st.integers(1, 5)) + 1):
        start = draw(st.integers(1, 10))
        outcome = draw(st.sampled_from([OK, OK, UNKNOWN, FAIL]))
        written = None if draw(st.integers(0, 3)) == 0 else version
        changes.append(Change(start, start + draw(st.integers(0, 4)), written, outcome))
    answers = draw(st.lists(st.one_of(st.none(), st.integers(1, 7)), min_size=1, max_size=3))
    return changes, answers


@settings(max_examples=400, deadline=None)
@given(audits())
def test_an_answer_is_a_finding_exactly_if_no_linearization_explains_it(
    audit: tuple[list[Change], list[int | None]],
) -> None:
    changes, answers = audit
    ends = possible_ends(changes)
    written = {c.version for c in changes if c.outcome != FAIL}
    reads = [read(answer, endpoint=e) for e, answer in enumerate(answers)]
    summary = judged(changes, *reads, through=[f"gw{e}" for e in range(len(answers))], strong=False)
    wrong = [answer for answer in answers if answer not in ends]
    assert bool(summary.findings_total) == bool(wrong)
    expected = set()
    for answer in wrong:
        if answer is None:
            expected.add("lost")
        elif answer not in written:
            expected.add("phantom")
        else:
            expected.add("resurrected" if ends == {None} else "stale")
    assert set(kinds(summary)) == expected


def test_a_large_audit_is_quick() -> None:
    count = 200_000
    ops = np.repeat(operations([Change(1, 2, 1)]), count)
    ops["key"] = np.arange(count)
    ops["version"] = np.arange(count) + 1
    reads = np.repeat(read(1), 3 * count)
    reads["key"] = np.tile(np.arange(count), 3)
    reads["endpoint"] = np.repeat([0, 1, 2], count)
    reads["version"] = np.tile(np.arange(count) + 1, 3)
    reads["version"][5] = 999_999_999
    began = time.process_time()
    summary = judge(Ledger.from_operations(ops), reads, ["a", "b", "c"], PREFIX)
    assert time.process_time() - began < 3.0
    assert kinds(summary) == {"phantom": 1}
    assert summary.complete
