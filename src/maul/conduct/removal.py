"""Clean-up: what we wrote, and nothing else, is gone; proven by what every endpoint lists."""

from typing import TYPE_CHECKING

from maul.conduct.operations import WRITING_KINDS, operations_of_kinds
from maul.conduct.stage import Stage
from maul.core.errors import MaulError
from maul.core.event import Edge, EventKind
from maul.core.operation import key_name
from maul.plan import PhasePlan, Plan
from maul.record import RunReader
from maul.s3.client import list_keys
from maul.s3.preflight import remove_bucket
from maul.s3.removal import abort_uploads, delete_keys
from maul.verify.ledger import Ledger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROUNDS_MAX = 3
"""A listing may lag behind the deletes; after this many more deletes what is left is left."""


def prove_gone(stage: Stage, phase: PhasePlan) -> None:
    """After the engine's deletes: list, delete what our ledger knows and is still there, list again."""
    stage.writer.flush()
    ours = ledger_names(stage.plan, RunReader.open(stage.writer.path))
    client = stage.target.client(phase.endpoints[0])
    abort_uploads(client, stage.plan.bucket, stage.plan.prefix)
    listed, whole = _listed_anywhere(stage, phase)
    for round_ in range(ROUNDS_MAX):
        if not listed & ours or stage.stopped:
            break
        delete_keys(client, stage.plan.bucket, sorted(listed & ours))
        pause_s = (round_ + 1) * max(0.5, stage.plan.list_lag_ms / 1000)
        stage.clock.wait(pause_s, stage.stop.stopped)
        listed, whole = _listed_anywhere(stage, phase)
    left, strangers = len(listed & ours), len(listed - ours)
    bucket = _bucket_words(stage, client, empty=not listed and whole)
    says = f"{len(ours):,} objects of ours, {left:,} left after the clean-up{bucket}"
    if strangers:
        says += f"; {strangers:,} objects under our prefix that we did not write were left alone"
    if not whole:
        says += "; a listing is not whole, so there may be more"
    stage.note(EventKind.NOTE, Edge.INSTANT, "cleaned", says, {"left": left, "strangers": strangers, "whole": whole})
    stage.progress.step(f"{phase.name}: {says}")


def ledger_names(plan: Plan, run: RunReader) -> set[str]:
    """The names of every object that a run wrote or tried to write."""
    ledger = Ledger.from_operations(operations_of_kinds(plan, run.operations(), WRITING_KINDS))
    return {key_name(plan.prefix, int(key)) for key in ledger.keys}


def _listed_anywhere(stage: Stage, phase: PhasePlan) -> tuple[set[str], bool]:
    """What any endpoint lists, and whether each listing came to its end."""
    names: set[str] = set()
    whole = True
    for endpoint in phase.endpoints:
        listed = list_keys(stage.target.client(endpoint), stage.plan.bucket, stage.plan.prefix)
        names.update(listed.keys)
        whole &= listed.complete
    return names, whole


def _bucket_words(stage: Stage, client: "S3Client", *, empty: bool) -> str:
    if stage.target.bucket is None or not stage.target.bucket.created or not empty:
        return ""
    try:
        removed = remove_bucket(client, stage.plan.bucket)
    except MaulError as error:
        return f"; bucket {stage.plan.bucket}, which we made, could not be removed ({error.what})"
    return (
        f"; bucket {stage.plan.bucket}, which we made, is removed" if removed else "; the bucket is not empty and stays"
    )
