"""Wipe: what a run of the past wrote, removed by its ledger."""

from collections.abc import Callable
from dataclasses import dataclass

from maul.conduct.prepare import door_of
from maul.conduct.recorded import plan_of
from maul.conduct.removal import ledger_names
from maul.conduct.target import open_endpoints
from maul.core.errors import CampaignError, MaulError
from maul.record import RunReader
from maul.s3.client import list_keys
from maul.s3.errors import code_of
from maul.s3.removal import abort_uploads, delete_keys


@dataclass(frozen=True, slots=True)
class Wiped:
    """What is left of the objects of a run, and how many were not its own and stay."""

    found: int
    left: int
    strangers: int
    says: str


def wipe(run: RunReader, on_step: Callable[[str], None]) -> Wiped:
    """Delete what the run's ledger knows and the target still lists. Raises MaulError."""
    if run.running:
        raise CampaignError("this run is still going", str(run.path), "wait for its end, or end it with Ctrl-C")
    plan = plan_of(run)
    ours = ledger_names(plan, run)
    door = door_of(plan)
    target = open_endpoints(door, on_step)
    client = target.client(door.endpoints[0].name)
    try:
        found = set(list_keys(client, plan.bucket, plan.prefix).keys)
    except MaulError as error:
        if code_of(error.__cause__) != "NoSuchBucket":
            raise
        return Wiped(0, 0, 0, f"bucket {plan.bucket} is gone, and with it all that run {plan.run_id} wrote")
    abort_uploads(client, plan.bucket, plan.prefix)
    delete_keys(client, plan.bucket, sorted(found & ours))
    left = {
        name
        for endpoint in door.endpoints
        for name in list_keys(target.client(endpoint.name), plan.bucket, plan.prefix).keys
    }
    says = f"{len(found & ours):,} objects of run {plan.run_id} found, {len(left & ours):,} left"
    if left - ours:
        says += f"; {len(left - ours):,} under {plan.prefix} are not in the ledger and stay"
    return Wiped(len(found), len(left & ours), len(left - ours), says)
