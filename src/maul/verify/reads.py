"""Reads during the load: did any of them see the past?

A read may show a write unless another change of its key, acknowledged *before the read began*, had itself
begun after that write had ended. It may show no object if nothing was acknowledged before it began, or if a
DELETE (acknowledged or not) may have come after all that was. Writes and deletes of unknown outcome excuse
everything that they could explain.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from maul.core.operation import OPERATION_DTYPE, ErrorClass, key_name
from maul.core.summary import Check, Finding
from maul.core.verdict import Verdict
from maul.verify.classify import evidence, is_absent, is_corrupt, is_phantom, is_served, is_stale
from maul.verify.ledger import NEVER, Flags, Ledger, Numbers, Operations, Places
from maul.verify.unheard import HEARD, Unheard
from maul.verify.words import show_moment, show_version


@dataclass(frozen=True, slots=True)
class ReadsSummary:
    """Counts over all reads that answered with an object or with its absence.

    `stale`: an older version than the newest acknowledged before. `missing`: no object, though one was
    acknowledged. `phantom`: a version never written. `corrupt`: wrong bytes. `resurrected`: an object that had
    been deleted. `excused`: stale, missing or resurrected, in a window in which the site does not promise otherwise
    (not among those). `findings` is bounded.
    """

    reads: int
    stale: int
    missing: int
    phantom: int
    corrupt: int
    excused: int
    findings: list[Finding]
    resurrected: int = 0

    def __add__(self, other: "ReadsSummary") -> "ReadsSummary":
        """Of two tenants together."""
        return ReadsSummary(
            reads=self.reads + other.reads,
            stale=self.stale + other.stale,
            missing=self.missing + other.missing,
            phantom=self.phantom + other.phantom,
            corrupt=self.corrupt + other.corrupt,
            excused=self.excused + other.excused,
            findings=self.findings + other.findings,
            resurrected=self.resurrected + other.resurrected,
        )


def stale_reads(
    operations: Operations | Iterable[Operations],
    endpoints: Sequence[str],
    key_prefix: str,
    *,
    excused_ns: Sequence[tuple[int, int]] = (),
    lag_ns: int = 0,
    records_lost: int = 0,
    unheard: Unheard = HEARD,
    findings_max: int = 200,
) -> ReadsSummary:
    """Every GET of the run (all phases together) against the writes acknowledged before it started.

    `excused_ns`: windows (from, to) in which the site does not promise read-after-write (after a restart). `lag_ns`:
    how far reads may be behind at any time; 0 where the site promises read-after-write.
    `records_lost`: writes that the record misses; a version that it does not know then proves nothing. `unheard`:
    whose writes it misses, where that is known.
    """
    batches = [operations] if isinstance(operations, np.ndarray) else list(operations)
    ledger = Ledger.from_operations(batches, unheard)
    gets = [evidence(batch) for batch in batches]
    reads: Operations = np.concatenate(gets) if gets else np.empty(0, OPERATION_DTYPE)
    if not len(reads) and not len(_resurrected(batches)):
        return ReadsSummary(0, 0, 0, 0, 0, 0, [])
    reads = reads[is_served(reads) | is_absent(reads) | is_corrupt(reads)]
    places, _ = ledger.write_places(reads["version"].astype(np.uint64))
    phantom = is_phantom(ledger, reads, places)
    if records_lost:
        phantom[:] = False
    history = _History(ledger)
    versions = np.where(is_served(reads), places, -1)
    stale, missing, newest = history.look_back(reads, versions)
    stale |= is_stale(reads)
    excused = (stale | missing) & _within(reads, excused_ns)
    if lag_ns:
        long_stale, long_missing, _ = history.look_back(reads, versions, lag_ns)
        excused |= (stale & ~long_stale) | (missing & ~long_missing)
    stale &= ~excused
    missing &= ~excused
    corrupt = is_corrupt(reads)

    describe = _Describe(ledger, reads, newest, endpoints, key_prefix)
    findings: list[Finding] = []
    for kind, wrong in (("corrupt", corrupt), ("phantom", phantom), ("missing", missing), ("stale", stale)):
        room = max(0, findings_max - len(findings))
        findings += [describe.finding(kind, int(row)) for row in np.flatnonzero(wrong)[:room]]
    back = _resurrected(batches)
    back_excused = _within(back, excused_ns) if not lag_ns else np.ones(len(back), np.bool_)
    findings += [describe.back(row) for row in back[~back_excused][: max(0, findings_max - len(findings))]]
    return ReadsSummary(
        reads=len(reads) + len(back),
        stale=int(np.count_nonzero(stale)),
        missing=int(np.count_nonzero(missing)),
        phantom=int(np.count_nonzero(phantom)),
        corrupt=int(np.count_nonzero(corrupt)),
        excused=int(np.count_nonzero(excused)) + int(np.count_nonzero(back_excused)),
        findings=findings,
        resurrected=int(np.count_nonzero(~back_excused)),
    )


def _resurrected(batches: Sequence[Operations]) -> Operations:
    """Reads of what this run had deleted that found it there."""
    found = [batch[batch["error_class"] == ErrorClass.RESURRECTED] for batch in batches]
    back: Operations = np.concatenate(found) if found else np.empty(0, OPERATION_DTYPE)
    return back


def check(summary: ReadsSummary, *, strong: bool) -> Check:
    """The reads as one check: FAIL on corrupt or phantom ones; when `strong`, on stale, missing, resurrected ones.

    UNKNOWN when nothing was read.
    """
    named = {"corrupt": summary.corrupt, "phantom": summary.phantom}
    momentary = {"missing": summary.missing, "stale": summary.stale, "resurrected": summary.resurrected}
    wrong = {kind: n for kind, n in (named | (momentary if strong else {})).items() if n}
    verdict = Verdict.FAIL if wrong else Verdict.PASS if summary.reads else Verdict.UNKNOWN
    says = f"{summary.reads:,} reads during the load: " + (
        ", ".join(f"{n:,} {kind}" for kind, n in wrong.items()) or "each saw what it had to see"
    )
    tolerated = ({} if strong else {kind: n for kind, n in momentary.items() if n}) | (
        {"excused": summary.excused} if summary.excused else {}
    )
    if tolerated:
        listed = ", ".join(f"{n:,} {kind}" for kind, n in tolerated.items())
        says += f"; within what the site declares: {listed}"
    return Check(name="reads", verdict=verdict, says=says)


class _History:
    """The changes of each key in the order of their ends, ready to be asked what a read had to see."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        writes = ledger.writes
        acknowledged = np.flatnonzero(writes.acknowledged)
        self._newest = _Latest(
            writes.key_place[acknowledged],
            writes.end_ns[acknowledged],
            writes.start_ns[acknowledged],
            acknowledged,
        )
        deletes = np.flatnonzero(writes.delete)
        self._deletes = _Latest(writes.key_place[deletes], writes.start_ns[deletes], writes.end_ns[deletes], deletes)

    def look_back(self, reads: Operations, places: Places, lag_ns: int = 0) -> tuple[Flags, Flags, Places]:
        """Which reads are stale, which miss an object, the newest acknowledged change before each (-1: none).

        `places`: the place of the version that a read was served among the writes, -1 where there is none. What was
        acknowledged less than `lag_ns` before a read need not be seen by it.
        """
        writes = self._ledger.writes
        key_places = self._ledger.key_places(reads["key"].astype(np.uint64))
        start_ns = reads["start_ns"].astype(np.uint64)
        newest = self._newest.before(key_places, start_ns - np.minimum(start_ns, np.uint64(lag_ns)))
        had_to = newest >= 0
        newest_start_ns = np.zeros(len(reads), np.uint64)
        newest_start_ns[had_to] = writes.start_ns[newest[had_to]]

        served = places >= 0
        # another key's version is a phantom, not the past
        served[served] = writes.key_place[places[served]] == key_places[served]
        seen_end_ns = np.full(len(reads), NEVER)
        seen_end_ns[served] = writes.end_ns[places[served]]
        stale = served & had_to & (seen_end_ns < newest_start_ns)

        # a delete that began in the instant in which the read ended may have been seen by it
        delete = self._deletes.before(key_places, reads["end_ns"].astype(np.uint64) + np.uint64(1))
        delete_end_ns = np.zeros(len(reads), np.uint64)
        delete_end_ns[delete >= 0] = writes.end_ns[delete[delete >= 0]]
        explained = (delete >= 0) & (delete_end_ns >= newest_start_ns)
        missing = is_absent(reads) & had_to & ~explained
        return stale, missing, newest


class _Latest:
    """Of the items of a key whose `order_ns` lies before a moment: the one with the greatest `value_ns`."""

    def __init__(self, key_place: Places, order_ns: Numbers, value_ns: Numbers, item: Places) -> None:
        self._moments = np.unique(order_ns)
        self._stride = np.int64(len(self._moments) + 1)
        rank = np.searchsorted(self._moments, order_ns)
        order = np.lexsort((rank, key_place))
        self._key_place = key_place[order]
        self._place = self._key_place * self._stride + rank[order]
        # the running maximum of each key: keys ascend, so that a greater key outweighs every value before it
        by_value = np.argsort(value_ns, kind="stable")
        value_rank = np.empty(len(item), np.int64)
        value_rank[by_value] = np.arange(len(item))
        weight = np.int64(len(item) + 1)
        best = np.maximum.accumulate(self._key_place * weight + value_rank[order])
        self._best = item[by_value[best % weight]] if len(item) else item

    def before(self, key_place: Places, moment_ns: Numbers) -> Places:
        """For each (key, moment): the item, or -1 where the key has none before it."""
        if not len(self._place):
            return np.full(len(key_place), -1, np.int64)
        rank = np.searchsorted(self._moments, moment_ns)  # so many distinct moments lie before it
        last = np.searchsorted(self._place, key_place * self._stride + rank) - 1
        of_key = (last >= 0) & (key_place >= 0)
        of_key[of_key] = self._key_place[last[of_key]] == key_place[of_key]
        return np.where(of_key, self._best[np.maximum(last, 0)], -1)


def _within(reads: Operations, windows_ns: Sequence[tuple[int, int]]) -> Flags:
    inside = np.zeros(len(reads), np.bool_)
    for begin_ns, end_ns in windows_ns:
        inside |= (reads["end_ns"] >= np.uint64(begin_ns)) & (reads["start_ns"] <= np.uint64(end_ns))
    return inside


@dataclass(frozen=True)
class _Describe:
    """Puts one wrong read into words."""

    ledger: Ledger
    reads: Operations
    newest: Places
    endpoints: Sequence[str]
    prefix: str

    def finding(self, kind: str, row: int) -> Finding:
        read = self.reads[row]
        endpoint = int(read["endpoint"])
        return Finding(
            kind=kind,
            key=key_name(self.prefix, int(read["key"])),
            through=self.endpoints[endpoint] if endpoint < len(self.endpoints) else f"endpoint {endpoint}",
            expected=self._expected(kind, row),
            found=f"{self._found(read)}, asked for at {show_moment(int(read['start_ns']))}",
        )

    def back(self, read: np.void) -> Finding:
        """Of a read of something deleted."""
        endpoint = int(read["endpoint"])
        return Finding(
            kind="resurrected",
            key=key_name(self.prefix, int(read["key"])),
            through=self.endpoints[endpoint] if endpoint < len(self.endpoints) else f"endpoint {endpoint}",
            expected="no object: this run had deleted it, and that was acknowledged",
            found=f"an object, asked for at {show_moment(int(read['start_ns']))}",
        )

    def _expected(self, kind: str, row: int) -> str:
        newest = int(self.newest[row])
        if kind not in ("stale", "missing") or newest < 0:
            return "an object of this run, as it was written"
        writes = self.ledger.writes
        when = show_moment(int(writes.end_ns[newest]))
        if writes.delete[newest]:
            return f"no object (deleted, acknowledged {when}), or newer"
        return f"version {show_version(int(writes.version[newest]))} (acknowledged {when}), or newer"

    def _found(self, read: np.void) -> str:
        error = ErrorClass(int(read["error_class"]))
        if error is ErrorClass.NO_SUCH_KEY:
            return "no object (404)"
        return error.name if error is not ErrorClass.NONE else f"version {show_version(int(read['version']))}"
