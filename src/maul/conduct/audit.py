"""The audit beside its reads: a second look at what seemed wrong, and the listings of every gateway."""

from collections.abc import Iterable

from maul.conduct.listings import listings_text
from maul.conduct.operations import WRITING_KINDS, operations_of_kinds
from maul.conduct.phases import run_engines
from maul.conduct.recorded import Text
from maul.conduct.stage import Stage
from maul.core.event import Edge, EventKind
from maul.plan import EnginePlan, PassPlan, PhasePlan
from maul.plan.engine_plan import ClosedArrivals
from maul.record import RunReader
from maul.s3.client import list_keys
from maul.verify.audit import needs_reread
from maul.verify.ledger import Ledger, Numbers
from maul.verify.listing import Listing
from maul.verify.ranges import KeyRange, key_ranges

SECOND_LOOKS_MAX = 2
_LAG_MARGIN_S = 0.5


def look_again_and_list(stage: Stage, phase: PhasePlan) -> None:
    """After the audit's first reads. What was wrong is read again after the lag that the site declares."""
    doubtful = _doubtful(stage)
    for round_ in range(SECOND_LOOKS_MAX):
        count = sum(len(keys) for keys in doubtful)
        if not count or stage.halted:
            break
        pause_s = _declared_lag_s(stage) + _LAG_MARGIN_S
        says = f"{count:,} objects looked wrong; look {round_ + 2} after {pause_s:.1f} s"
        stage.note(EventKind.NOTE, Edge.INSTANT, "second look", says)
        stage.progress.step(f"{phase.name}: {says}")
        if stage.clock.wait(pause_s, stage.stop.stopped):
            return
        for tenant, keys in enumerate(doubtful):
            for part in key_ranges(keys):
                _read_range(stage, phase, tenant, part)
        doubtful = _doubtful(stage)
    if phase.listing and not stage.halted:
        stage.writer.write_text(Text.LISTINGS, listings_text(list(_listings(stage, phase))))


def _doubtful(stage: Stage) -> list[Numbers]:
    """Of each tenant the keys whose last reads looked wrong."""
    stage.writer.flush()
    operations, plan = RunReader.open(stage.writer.path).operations(), stage.plan
    return [
        needs_reread(
            Ledger.from_operations(operations_of_kinds(plan, operations, WRITING_KINDS, tenant)),
            operations_of_kinds(plan, operations, {"audit"}, tenant),
        )
        for tenant in range(len(plan.tenants))
    ]


def _read_range(stage: Stage, phase: PhasePlan, tenant: int, keys: KeyRange) -> None:
    for pass_ in _one_pass_per_endpoint(phase, tenant):
        if not stage.halted:
            run_engines(stage, phase, [(pass_, _narrowed(pass_.engine, keys, stage.state.epochs_used + 1))])


def _one_pass_per_endpoint(phase: PhasePlan, tenant: int) -> Iterable[PassPlan]:
    by_offset: dict[int, PassPlan] = {}
    for pass_ in phase.passes:
        if pass_.tenant == tenant:
            by_offset.setdefault(pass_.endpoint_offset, pass_)
    return by_offset.values()


def _narrowed(engine: EnginePlan, keys: KeyRange, epoch: int) -> EnginePlan:
    arrivals = engine.arrivals
    if not isinstance(arrivals, ClosedArrivals):
        raise TypeError("an audit reads in a closed loop")
    keyspace = engine.keyspace.model_copy(
        update={"region": keys.region.name.lower(), "start": keys.start, "objects": keys.count}
    )
    return engine.model_copy(
        update={
            "epoch": epoch,
            "keyspace": keyspace,
            "arrivals": arrivals.model_copy(update={"requests": keys.count}),
            "limits": engine.limits.model_copy(update={"requests": keys.count + 1}),
        }
    )


def _listings(stage: Stage, phase: PhasePlan) -> Iterable[Listing]:
    for index, tenant in enumerate(stage.plan.tenants):
        for name in phase.endpoints:
            listed = list_keys(stage.target.client(name, index), tenant.bucket, tenant.prefix)
            whose = f" of {tenant.name}" if tenant.name else ""
            stage.progress.step(f"{phase.name}: {name} lists {len(listed.keys):,} objects{whose}")
            yield Listing(name, listed.keys, listed.complete, index)


def _declared_lag_s(stage: Stage) -> float:
    return max(stage.plan.list_lag_ms, stage.plan.restart_gap_ms) / 1000
