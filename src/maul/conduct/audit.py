"""The audit beside its reads: a second look at what seemed wrong, and the listings of every gateway."""

from collections.abc import Iterable

from maul.conduct.listings import listings_text
from maul.conduct.operations import WRITING_KINDS, OperationArray, operations_of_kinds
from maul.conduct.phases import run_pass
from maul.conduct.recorded import Text
from maul.conduct.stage import Stage
from maul.core.event import Edge, EventKind
from maul.core.operation import Region
from maul.plan import EnginePlan, PassPlan, PhasePlan
from maul.plan.engine_plan import ClosedArrivals
from maul.record import RunReader
from maul.s3.client import list_keys
from maul.verify.audit import needs_reread
from maul.verify.ledger import Ledger
from maul.verify.listing import Listing
from maul.verify.ranges import KeyRange, key_ranges

SECOND_LOOKS_MAX = 2
_LAG_MARGIN_S = 0.5


def look_again_and_list(stage: Stage, phase: PhasePlan) -> None:
    """After the audit's first reads. What was wrong is read again after the lag that the site declares."""
    ledger, seen = _ledger_and_audit(stage)
    for round_ in range(SECOND_LOOKS_MAX):
        doubtful = needs_reread(ledger, seen)
        if not len(doubtful) or stage.stopped:
            break
        pause_s = _declared_lag_s(stage) + _LAG_MARGIN_S
        says = f"{len(doubtful):,} objects looked wrong; look {round_ + 2} after {pause_s:.1f} s"
        stage.note(EventKind.NOTE, Edge.INSTANT, "second look", says)
        stage.progress.step(f"{phase.name}: {says}")
        if stage.clock.wait(pause_s, stage.stop.stopped):
            return
        for keys in key_ranges(doubtful):
            _read_range(stage, phase, keys)
        ledger, seen = _ledger_and_audit(stage)
    if phase.listing and not stage.stopped:
        stage.writer.write_text(Text.LISTINGS, listings_text(list(_listings(stage, phase))))


def _ledger_and_audit(stage: Stage) -> tuple[Ledger, OperationArray]:
    stage.writer.flush()
    operations = RunReader.open(stage.writer.path).operations()
    ledger = Ledger.from_operations(operations_of_kinds(stage.plan, operations, WRITING_KINDS))
    return ledger, operations_of_kinds(stage.plan, operations, {"audit"})


def _read_range(stage: Stage, phase: PhasePlan, keys: KeyRange) -> None:
    for pass_ in _one_pass_per_endpoint(phase):
        if not stage.stopped:
            run_pass(stage, phase, pass_, _narrowed(pass_.engine, keys, stage.state.epochs_used + 1))


def _one_pass_per_endpoint(phase: PhasePlan) -> Iterable[PassPlan]:
    by_offset: dict[int, PassPlan] = {}
    for pass_ in phase.passes:
        by_offset.setdefault(pass_.endpoint_offset, pass_)
    return by_offset.values()


def _narrowed(engine: EnginePlan, keys: KeyRange, epoch: int) -> EnginePlan:
    arrivals = engine.arrivals
    if not isinstance(arrivals, ClosedArrivals):
        raise TypeError("an audit reads in a closed loop")
    region = {Region.BASE: "base", Region.EPHEMERAL: "ephemeral", Region.MULTIPART: "multipart"}[keys.region]
    keyspace = engine.keyspace.model_copy(update={"region": region, "start": keys.start, "objects": keys.count})
    return engine.model_copy(
        update={
            "epoch": epoch,
            "keyspace": keyspace,
            "arrivals": arrivals.model_copy(update={"requests": keys.count}),
            "limits": engine.limits.model_copy(update={"requests": keys.count + 1}),
        }
    )


def _listings(stage: Stage, phase: PhasePlan) -> Iterable[Listing]:
    for name in phase.endpoints:
        listed = list_keys(stage.target.client(name), stage.plan.bucket, stage.plan.prefix)
        stage.progress.step(f"{phase.name}: {name} lists {len(listed.keys):,} objects")
        yield Listing(name, listed.keys, listed.complete)


def _declared_lag_s(stage: Stage) -> float:
    return max(stage.plan.list_lag_ms, stage.plan.restart_gap_ms) / 1000
