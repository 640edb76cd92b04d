"""Audit: every object read back through every gateway, held against the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maul.core.operation import ErrorClass, key_name
from maul.core.summary import AuditSummary, Check, Finding
from maul.core.verdict import Verdict
from maul.verify.classify import STICKY, Answer, Answers, classify, evidence, is_absent, is_served
from maul.verify.ledger import Flags, Ledger, Numbers, Operations, Places
from maul.verify.listing import Listing, compare
from maul.verify.words import show_version

DIVERGENT = "divergent"
"""Two gateways that do not agree about an object, though each answer alone may be right."""

_KINDS = {
    Answer.LOST: "lost",
    Answer.CORRUPT: "corrupt",
    Answer.STALE: "stale",
    Answer.RESURRECTED: "resurrected",
    Answer.PHANTOM: "phantom",
    Answer.UNREADABLE: "unreadable",
}
KINDS = (*_KINDS.values(), DIVERGENT, "unlisted", "ghost")
"""Every kind of finding, worst first."""


@dataclass(frozen=True)
class _Final:
    """The reads of each (key, gateway) as one: columns of one length, sorted by key, then gateway.

    `answer` is that of the last read, unless an earlier one was corrupt or phantom; `row` is that read's
    place in the reads. `recovered` is what an earlier read said where the last one is right, else RIGHT;
    `first_row` its place.
    """

    key: Numbers
    endpoint: Places
    answer: Answers
    row: Places
    recovered: Answers
    first_row: Places


def judge(
    ledger: Ledger,
    audit_ops: Operations,
    endpoints: Sequence[str],
    key_prefix: str,
    listings: Sequence[Listing] = (),
    *,
    strong: bool = True,
    records_lost: int = 0,
    findings_max: int = 200,
) -> AuditSummary:
    """Compare the audit's GETs (first reads and re-reads together) with the ledger.

    `endpoints[i]` names endpoint index i; every one of them must have read every key, or `complete` is False.
    `strong` False (eventual profiles): a wrong answer that a re-read found right is counted, not a finding.
    `records_lost`: writes that the record misses; a version that it does not know then proves nothing.
    """
    reads = evidence(audit_ops)
    final = _final(reads, classify(ledger, reads))
    judgement = _Judgement(ledger, reads, endpoints, key_prefix, findings_max)
    wrong = final.answer != Answer.RIGHT
    if records_lost:
        wrong &= final.answer != Answer.PHANTOM
    for answer, kind in _KINDS.items():
        judgement.add(kind, final, wrong & (final.answer == answer))
    divergent = _divergent(reads, final)
    momentary = np.isin(final.recovered, (Answer.LOST, Answer.STALE, Answer.RESURRECTED))
    if strong:
        judgement.add(DIVERGENT, final, divergent)
        judgement.add("stale", final, momentary, at_first=True)
    for listing in listings:
        judgement.extend(compare(ledger, listing, key_prefix, findings_max))
    unread = _unread(ledger, final, len(endpoints))
    counts = judgement.counts | {
        "right": int(np.count_nonzero(final.answer == Answer.RIGHT)),
        "momentary": int(np.count_nonzero(momentary)),
        "recovered": int(np.count_nonzero(final.recovered == Answer.UNREADABLE)),
        "diverged": len(np.unique(final.key[divergent])),
        "unread": unread,
        "unversioned": int(np.count_nonzero(is_served(reads) & (reads["version"] == 0))),
        "records_lost": records_lost,
    }
    says = _says(len(ledger.keys), len(reads), endpoints, counts)
    bounded = [listing.through for listing in listings if not listing.complete]
    if bounded:
        says += f"; the listing through {', '.join(bounded)} is not whole"
    return AuditSummary(
        objects=len(ledger.keys),
        reads=len(reads),
        through=list(endpoints),
        counts=counts,
        findings=judgement.findings,
        findings_total=sum(judgement.counts.values()),
        complete=not (unread or records_lost or bounded),
        says=says,
    )


def together(parts: Sequence[AuditSummary], tenants: Sequence[str]) -> AuditSummary:
    """The audits of all tenants as one; of a tenant that was not audited there is none, and nothing is complete."""
    if len(parts) == 1 and len(tenants) <= 1:
        return parts[0]
    counts = {name: sum(part.counts.get(name, 0) for part in parts) for name in parts[0].counts}
    through = parts[0].through
    objects, reads = sum(part.objects for part in parts), sum(part.reads for part in parts)
    return AuditSummary(
        objects=objects,
        reads=reads,
        through=through,
        counts=counts,
        findings=[finding for part in parts for finding in part.findings],
        findings_total=sum(part.findings_total for part in parts),
        complete=all(part.complete for part in parts) and len(parts) == len(tenants),
        says=f"{_says(objects, reads, through, counts)}; of {len(parts)} of {len(tenants)} tenants",
    )


def needs_reread(ledger: Ledger, audit_ops: Operations) -> Numbers:
    """Keys whose last read through some gateway looked wrong, or on which gateways disagree.

    Read them again after the site's consistency lag, and give `judge` all the reads together. Sorted.
    """
    reads = evidence(audit_ops)
    final = _final(reads, classify(ledger, reads))
    wrong = (final.answer != Answer.RIGHT) & ~np.isin(final.answer, STICKY)
    return np.unique(final.key[wrong | _divergent(reads, final)])


def check(summary: AuditSummary) -> Check:
    """The audit as one check: FAIL on any finding, UNKNOWN when incomplete or about nothing, else PASS."""
    verdict = Verdict.PASS if summary.complete and summary.objects and summary.reads else Verdict.UNKNOWN
    if summary.findings_total:
        verdict = Verdict.FAIL
    return Check(name="audit", verdict=verdict, says=summary.says, phase="audit")


def _final(reads: Operations, answers: Answers) -> _Final:
    order = np.lexsort((reads["start_ns"], reads["endpoint"], reads["key"]))
    key, endpoint = reads["key"][order].astype(np.uint64), reads["endpoint"][order].astype(np.int64)
    answer = answers[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (key[1:] != key[:-1]) | (endpoint[1:] != endpoint[:-1])
    first = np.flatnonzero(new)
    if not len(first):
        nothing = np.empty(0, np.int64)
        none = np.empty(0, np.uint8)
        return _Final(np.empty(0, np.uint64), nothing, none, nothing, none, nothing)
    last = np.append(first[1:], len(order)) - 1
    place = np.arange(len(order))
    last_sticky = np.maximum.reduceat(np.where(np.isin(answer, STICKY), place, -1), first)
    chosen = np.where(last_sticky >= 0, last_sticky, last)
    # the first read of the group that was wrong, where the chosen one is right
    beyond = len(order)
    first_wrong = np.minimum.reduceat(np.where(answer != Answer.RIGHT, place, beyond), first)
    has_recovered = (answer[chosen] == Answer.RIGHT) & (first_wrong < beyond)
    first_wrong = np.where(has_recovered, first_wrong, chosen)
    return _Final(
        key=key[chosen],
        endpoint=endpoint[chosen],
        answer=answer[chosen],
        row=order[chosen],
        recovered=answer[first_wrong] * has_recovered,
        first_row=order[first_wrong],
    )


def _divergent(reads: Operations, final: _Final) -> Flags:
    """The (key, gateway) of each key whose answers are right one by one, but differ between gateways."""
    if not len(final.key):
        return np.empty(0, np.bool_)
    new = np.ones(len(final.key), np.bool_)
    new[1:] = final.key[1:] != final.key[:-1]
    first = np.flatnonzero(new)
    answered = reads[final.row]
    seen = np.where(is_absent(answered), np.uint64(2**64 - 1), answered["version"])
    differ = np.minimum.reduceat(seen, first) != np.maximum.reduceat(seen, first)
    all_right = np.maximum.reduceat(final.answer, first) == Answer.RIGHT
    sizes = np.diff(np.append(first, len(final.key)))
    return np.repeat(differ & all_right, sizes)


def _unread(ledger: Ledger, final: _Final, endpoints: int) -> int:
    """How many (key, gateway) nobody read."""
    of_ledger = (ledger.key_places(final.key) >= 0) & (final.endpoint < endpoints)
    return len(ledger.keys) * endpoints - int(np.count_nonzero(of_ledger))


class _Judgement:
    """Collects findings: counted all, described only so many, one per object and kind."""

    def __init__(
        self, ledger: Ledger, reads: Operations, endpoints: Sequence[str], prefix: str, findings_max: int
    ) -> None:
        self._ledger, self._reads, self._prefix = ledger, reads, prefix
        self._endpoints = endpoints
        self._findings_max = findings_max
        self.counts = dict.fromkeys(KINDS, 0)
        self.findings: list[Finding] = []

    def add(self, kind: str, final: _Final, chosen: Flags, *, at_first: bool = False) -> None:
        """One finding for each key among the chosen; `at_first` tells of the read that was wrong first."""
        places = np.flatnonzero(chosen)
        keys, begins = np.unique(final.key[places], return_index=True)
        self.counts[kind] += len(keys)
        ends = np.append(begins, len(places))[1:]
        room = max(0, self._findings_max - len(self.findings))
        for key, begin, end in zip(keys[:room], begins[:room], ends[:room], strict=True):
            of_key = places[begin:end]
            says = [self._found(final, int(place), at_first=at_first) for place in of_key]
            self.findings.append(
                Finding(
                    kind=kind,
                    key=key_name(self._prefix, int(key)),
                    through=", ".join(self._name(int(endpoint)) for endpoint in final.endpoint[of_key]),
                    expected=self._ledger.explain(int(key)),
                    found="; ".join(dict.fromkeys(says)),
                )
            )

    def extend(self, findings: tuple[dict[str, int], list[Finding]]) -> None:
        """Findings of a listing, counted already."""
        counts, described = findings
        for kind, count in counts.items():
            self.counts[kind] += count
        self.findings += described[: max(0, self._findings_max - len(self.findings))]

    def _name(self, endpoint: int) -> str:
        return self._endpoints[endpoint] if endpoint < len(self._endpoints) else f"endpoint {endpoint}"

    def _found(self, final: _Final, place: int, *, at_first: bool) -> str:
        read = self._reads[int(final.first_row[place] if at_first else final.row[place])]
        found = self._describe(read)
        if at_first:
            later_s = (int(self._reads[int(final.row[place])]["start_ns"]) - int(read["start_ns"])) / 1e9
            found += f" at first, right {later_s:.1f} s later"
        return found

    def _describe(self, read: np.void) -> str:
        error = ErrorClass(int(read["error_class"]))
        if error is ErrorClass.NO_SUCH_KEY:
            return "no object (404)"
        if error is not ErrorClass.NONE:
            status = int(read["status"])
            return f"{error.name}, status {status}" if status else f"{error.name}, no answer"
        version = int(read["version"])
        if not version:
            return "an object too short to carry a version"
        places, known = self._ledger.write_places(np.array([version], np.uint64))
        if places[0] >= 0:
            return f"version {show_version(version)}"
        return f"version {show_version(version)}, {'whose write was refused' if known[0] else 'never written'}"


def _says(objects: int, reads: int, through: Sequence[str], counts: Mapping[str, int]) -> str:
    wrong = ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS if counts[kind])
    right = "each as it should be" if reads else "nothing was read"
    says = f"{objects:,} objects, {reads:,} reads through {', '.join(through) or 'no gateway'}: {wrong or right}"
    for count, what in (
        ("momentary", "answers were wrong at first and right when asked again"),
        ("recovered", "could be read only at a second attempt"),
        ("unread", "reads are missing"),
        ("records_lost", "operations are missing from the record"),
    ):
        if counts[count]:
            says += f"; {counts[count]:,} {what}"
    return says
