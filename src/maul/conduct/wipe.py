"""Wipe: what a run of the past wrote, removed by its ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maul.conduct.permission import admit_wipe, read_permit
from maul.conduct.prepare import door_of
from maul.conduct.recorded import Text, plan_of
from maul.conduct.removal import Sweeper, ledger_names
from maul.conduct.target import OpenTarget, open_endpoints
from maul.core.clock import SystemClock
from maul.core.errors import CampaignError, MaulError
from maul.guard.permit import Permission
from maul.hosts.own_place import own_place
from maul.hosts.places import state_directory
from maul.plan import Plan
from maul.record import RunReader
from maul.record.audit_chain import INDEX, add_later
from maul.s3.errors import code_of


@dataclass(frozen=True, slots=True)
class Wiped:
    """What is left of the objects of a run, and how many were not its own and stay."""

    found: int
    left: int
    strangers: int
    says: str


def wipe(
    run: RunReader, on_step: Callable[[str], None], permit: Path | None = None, trust: Path | None = None
) -> Wiped:
    """Delete what the run's ledger knows and the target still lists. Raises MaulError.

    A run that had a permit needs one to be wiped, too: its own, or `permit` where that has expired.
    """
    if run.running:
        raise CampaignError("this run is still going", str(run.path), "wait for its end, or end it with Ctrl-C")
    plan = plan_of(run)
    path = permit or (run.path / Text.PERMIT if run.has(Text.PERMIT) else None)
    permission = Permission(own_place(), read_permit(path, trust) if path is not None else None)
    door = door_of(plan, permission)
    admit_wipe(plan, door, SystemClock(), on_step)
    target = open_endpoints(door, on_step)
    _note(run, "wipe began", plan.target, on_step)
    try:
        wiped = _wiped(plan, run, target)
    except BaseException:
        _note(run, "wipe ended", "it broke off: objects may be left", on_step)
        raise
    _note(run, "wipe ended", wiped.says, on_step)
    return wiped


def _note(run: RunReader, what: str, says: str, on_step: Callable[[str], None]) -> None:
    """Into the run's audit log. What is wrong with that log keeps nothing from being tidied up."""
    try:
        add_later(state_directory() / INDEX, run.path, SystemClock().now_ns(), what, says)
    except MaulError as error:
        on_step(f"audit log: {error.what}")


def _wiped(plan: Plan, run: RunReader, target: OpenTarget) -> Wiped:
    endpoints = [endpoint.name for endpoint in target.door.endpoints]
    found = left = strangers = 0
    gone: list[str] = []
    for tenant, account in enumerate(plan.tenants):
        sweeper = Sweeper(plan, target, tenant, endpoints, ledger_names(plan, run, tenant))
        try:
            found += len(sweeper.look().of(sweeper.ours).keys)
        except MaulError as error:
            if code_of(error.__cause__) != "NoSuchBucket":
                raise
            gone.append(account.bucket)
            continue
        seen = sweeper.until_gone(lambda _round: False)
        left += len(seen.of(sweeper.ours).keys)
        strangers += len(seen.keys - sweeper.ours)
    if len(gone) == len(plan.tenants):
        bucket = "bucket" if len(set(gone)) == 1 else "buckets"
        is_gone = f"{bucket} {', '.join(dict.fromkeys(gone))} {'is' if bucket == 'bucket' else 'are'} gone"
        return Wiped(0, 0, 0, f"{is_gone}, and with it all that run {plan.run_id} wrote")
    says = f"{found:,} objects of run {plan.run_id} found, {left:,} left"
    if strangers:
        says += f"; {strangers:,} under {plan.prefix} are not in the ledger and stay"
    return Wiped(found, left, strangers, says)
