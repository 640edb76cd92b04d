"""Clean-up: what we wrote, and nothing else, is gone; proven by what every endpoint lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from maul.conduct.operations import WRITING_KINDS, operations_of_kinds
from maul.conduct.stage import Stage
from maul.conduct.target import OpenTarget
from maul.core.errors import MaulError
from maul.core.event import Edge, EventKind
from maul.core.operation import Op, key_name
from maul.plan import PhasePlan, Plan
from maul.record import RunReader
from maul.s3.client import Version, list_keys, list_versions
from maul.s3.preflight import remove_bucket
from maul.s3.removal import abort_uploads, delete_keys, delete_versions
from maul.verify.ledger import tried_keys

ROUNDS_MAX = 3
"""A listing may lag behind the deletes; after this many more deletes what is left is left."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What any endpoint lists of one tenant: names, and where the bucket has them, versions and delete markers.

    `whole` is False when a listing did not come to its end.
    """

    names: frozenset[str] = frozenset()
    versions: frozenset[Version] = frozenset()
    whole: bool = True

    def of(self, ours: set[str]) -> "Seen":
        """Only what has one of our names."""
        versions = frozenset(one for one in self.versions if one.key in ours)
        return Seen(self.names & ours, versions, self.whole)

    @property
    def keys(self) -> frozenset[str]:
        """Every key that has anything."""
        return self.names | {one.key for one in self.versions}


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Removes what one tenant of a run wrote. `endpoints`: whose listings count; the first one is asked to delete."""

    plan: Plan
    target: OpenTarget
    tenant: int
    endpoints: Sequence[str]
    ours: set[str]

    def look(self) -> Seen:
        """What there is under the tenant's prefix, through any endpoint. Raises MaulError."""
        account = self.plan.tenants[self.tenant]
        seen = Seen()
        for endpoint in self.endpoints:
            client = self.target.client(endpoint, self.tenant)
            listed = list_keys(client, account.bucket, account.prefix)
            whole, versions = seen.whole and listed.complete, seen.versions
            if account.versioning:
                found = list_versions(client, account.bucket, account.prefix)
                whole, versions = whole and found.complete, versions | set(found.versions)
            seen = Seen(seen.names | set(listed.keys), versions, whole)
        return seen

    def abort(self) -> None:
        """Abort uploads that nobody completed. Raises MaulError."""
        account = self.plan.tenants[self.tenant]
        abort_uploads(self.target.client(self.endpoints[0], self.tenant), account.bucket, account.prefix)

    def remove(self, seen: Seen) -> None:
        """Delete what is seen and ours: objects, or all versions and delete markers. Raises MaulError."""
        account, ours = self.plan.tenants[self.tenant], seen.of(self.ours)
        client = self.target.client(self.endpoints[0], self.tenant)
        if account.versioning:
            delete_versions(client, account.bucket, sorted(ours.versions), unlock=account.object_lock)
        else:
            delete_keys(client, account.bucket, sorted(ours.names))

    def until_gone(self, pause: Callable[[int], bool]) -> Seen:
        """Delete and look again, a few rounds; what is left in the end. `pause(round)`: True when it is to stop."""
        self.abort()
        seen = self.look()
        for round_ in range(ROUNDS_MAX):
            if not seen.of(self.ours).keys:
                break
            self.remove(seen)
            stop = pause(round_)
            seen = self.look()
            if stop:
                break
        return seen


def prove_gone(stage: Stage, phase: PhasePlan) -> None:
    """After the engine's deletes: list, delete what our ledger knows and is still there, list again."""
    stage.writer.flush()
    run = RunReader.open(stage.writer.path)

    def pause(round_: int) -> bool:
        pause_s = (round_ + 1) * max(0.5, stage.plan.list_lag_ms / 1000)
        stage.clock.wait(pause_s, stage.stop.stopped)
        return stage.stopped

    wrote = left = strangers = 0
    whole = True
    emptied: dict[str, int] = {}
    for tenant, account in enumerate(stage.plan.tenants):
        sweeper = Sweeper(stage.plan, stage.target, tenant, phase.endpoints, ledger_names(stage.plan, run, tenant))
        seen = sweeper.until_gone(pause)
        wrote += len(sweeper.ours)
        left += len(seen.of(sweeper.ours).keys)
        strangers += len(seen.keys - sweeper.ours)
        whole &= seen.whole
        if not seen.keys and seen.whole:
            emptied.setdefault(account.bucket, tenant)
        elif account.bucket in emptied:
            del emptied[account.bucket]
    says = f"{wrote:,} objects of ours, {left:,} left after the clean-up"
    says += "".join(_bucket_words(stage, phase, bucket, tenant) for bucket, tenant in emptied.items())
    if strangers:
        says += f"; {strangers:,} objects under our prefix that we did not write were left alone"
    if not whole:
        says += "; a listing is not whole, so there may be more"
    stage.note(EventKind.NOTE, Edge.INSTANT, "cleaned", says, {"left": left, "strangers": strangers, "whole": whole})
    stage.progress.step(f"{phase.name}: {says}")


def ledger_names(plan: Plan, run: RunReader, tenant: int) -> set[str]:
    """The names of every object that a tenant of a run wrote or tried to write.

    In a bucket with versions a DELETE writes, too: a marker, even where there never was an object.
    """
    operations, account = run.operations(), plan.tenants[tenant]
    keys = tried_keys(operations_of_kinds(plan, operations, WRITING_KINDS, tenant))
    if account.versioning:
        tidied = operations_of_kinds(plan, operations, {"clean-up"}, tenant)
        keys = np.concatenate([keys, tidied["key"][tidied["op"] == Op.DELETE].astype(np.uint64)])
    prefix = account.prefix
    return {key_name(prefix, int(key)) for key in np.unique(keys)}


def _bucket_words(stage: Stage, phase: PhasePlan, bucket: str, tenant: int) -> str:
    if not stage.target.made(bucket):
        return ""
    try:
        removed = remove_bucket(stage.target.client(phase.endpoints[0], tenant), bucket)
    except MaulError as error:
        return f"; bucket {bucket}, which we made, could not be removed ({error.what})"
    return f"; bucket {bucket}, which we made, is removed" if removed else "; the bucket is not empty and stays"
