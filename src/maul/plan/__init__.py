"""Foresight: what will be sent, when, and how much, proven under the limits before a byte moves.

Takes: a Campaign, a Site, a run id, the number of cores.
Gives: `build` (a frozen `Plan`: hashed, printable), `engine_plan_for` (the plan of the next engine, given what
happened so far), `trace_of` (an earlier run's operations, to be replayed), `with_secrets` (the engine's own JSON, at
the door), `explain`, `to_json`, `hit`.
Never: does I/O, reads a clock, holds a secret; exceeds a limit of the campaign.
Start reading at: `model.py` (what a plan is), `assemble.py` (how it is made), `budget.py` (the arithmetic).
Add one by: a phase kind = a function in `passes.py` and its row in the table there.
"""

from maul.plan.assemble import Overrides, build
from maul.plan.engine_plan import Credentials, EnginePlan, with_secrets
from maul.plan.hitting import Hit, HitPlan, hit
from maul.plan.limiting import LimitWish, trial_pass
from maul.plan.model import (
    Amount,
    EndpointPlan,
    FaultPlan,
    LevelPlan,
    LimitsPlan,
    MitigationPlan,
    ObjectivePlan,
    PassPlan,
    PhasePlan,
    Plan,
    SearchPlan,
    TenantPlan,
    to_json,
)
from maul.plan.runtime import RuntimeState, engine_plan_for
from maul.plan.telling import explain
from maul.plan.trace import Trace, mix_of, trace_of

__all__ = [
    "Amount",
    "Credentials",
    "EndpointPlan",
    "EnginePlan",
    "FaultPlan",
    "Hit",
    "HitPlan",
    "LevelPlan",
    "LimitWish",
    "LimitsPlan",
    "MitigationPlan",
    "ObjectivePlan",
    "Overrides",
    "PassPlan",
    "PhasePlan",
    "Plan",
    "RuntimeState",
    "SearchPlan",
    "TenantPlan",
    "Trace",
    "build",
    "engine_plan_for",
    "explain",
    "hit",
    "mix_of",
    "to_json",
    "trace_of",
    "trial_pass",
    "with_secrets",
]
