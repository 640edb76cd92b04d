"""Replay: the arrivals of earlier runs that a campaign's phases ask for again, read through the record's reader."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from maul import campaign as campaigns
from maul.campaign.model_phases import TimedPhase
from maul.conduct.operations import as_operations
from maul.core.errors import CampaignError
from maul.plan import Trace, trace_of
from maul.plan.ground import TraceKey
from maul.record import RunReader


def read_traces(campaign: "campaigns.Campaign", runs_root: Path) -> dict[TraceKey, Trace]:
    """By phase and tenant; a tenant that sent nothing then has none. CampaignError names the key of the campaign."""
    found: dict[TraceKey, Trace] = {}
    for index, phase in enumerate(campaign.phases):
        if isinstance(phase, TimedPhase) and phase.trace is not None:
            source = phase.trace
            where = campaign.where("phases", index, "trace")
            table = _phase_of(RunReader.open(source.run, runs_root), source.phase, where)
            for tenant in range(max(1, len(campaign.tenants))):
                rows = table.filter(pc.equal(table["tenant"], pa.scalar(tenant, pa.uint8())))
                if rows.num_rows:
                    found[phase.name, tenant] = trace_of(as_operations(rows), source.speed)
    return found


def _phase_of(run: RunReader, name: str, where: str) -> pa.Table:
    operations = run.operations()
    rows = operations.filter(pc.equal(operations["phase"], pa.scalar(name)))
    if not rows.num_rows:
        known = ", ".join(str(one) for one in pc.unique(operations["phase"]).to_pylist()) or "none"
        raise CampaignError(
            f'run {run.run_id} recorded no operation of a phase "{name}"', where, f"name one that it has: {known}"
        )
    return rows


def rows_of(traces: Mapping[TraceKey, Trace], phase: str, tenant: int) -> bytes | None:
    """What the engine of a tenant is handed beside its plan."""
    trace = traces.get((phase, tenant))
    return trace.rows if trace is not None else None
