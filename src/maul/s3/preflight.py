"""Can this bucket be used with these credentials, before anything is timed? And its removal, if we made it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from maul.core.clock import Clock, SystemClock
from maul.core.errors import CampaignError, MaulError, TargetError
from maul.s3.client import where_of
from maul.s3.errors import AWS_ERRORS, code_of, explain

if TYPE_CHECKING:  # the types are not needed to run
    from mypy_boto3_s3 import S3Client

_PROBE_KEY = "preflight"
_PROBE_BODY = b"maul asks before it beats"
_SETTLE_POLL_S = 0.1
_SETTLE_IN_A_ROW = 5
_US_EAST_1 = "us-east-1"


@dataclass(frozen=True, slots=True)
class BucketWishes:
    """What a bucket must be able to do; a lock implies versions."""

    versioning: bool = False
    object_lock: bool = False


NOTHING_SPECIAL = BucketWishes()


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """`created` is True when this preflight made the bucket: then maul may remove it again."""

    bucket: str
    created: bool


def preflight_bucket(
    client: "S3Client",
    bucket: str,
    *,
    create: bool,
    clock: Clock | None = None,
    settle_s: float = 10.0,
    wishes: BucketWishes = NOTHING_SPECIAL,
) -> BucketFacts:
    """The bucket answers a LIST; it is made first, as `wishes` say, when it is missing and `create`.

    One that is there and cannot do what `wishes` say is a CampaignError: maul does not change buckets of others.

    A new bucket must answer several times in a row, within `settle_s`: gateways learn of it one after
    another. Raises CampaignError (credentials, region, name, missing bucket), MachineError (clock skew),
    TargetError (else).
    """
    if _exists(client, bucket, missing_is_error=not create):
        _require(client, bucket, wishes)
        return BucketFacts(bucket, created=False)
    created = _create(client, bucket, wishes)
    known = partial(_exists, client, bucket, missing_is_error=False)
    _settle(known, where_of(client, bucket), clock or SystemClock(), settle_s)
    if created and wishes.versioning and not wishes.object_lock:  # a lock has turned it on already
        with _explained(client, bucket, "PUT versioning"):
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    _require_soon(client, bucket, wishes, clock or SystemClock(), settle_s)
    return BucketFacts(bucket, created)


def _require_soon(client: "S3Client", bucket: str, wishes: BucketWishes, clock: Clock, settle_s: float) -> None:
    """As `_require`, of a bucket that we just made: gateways learn of it, and of what it can do, one after another."""
    deadline_ns = clock.now_ns() + round(settle_s * 1e9)
    while True:
        try:
            _require(client, bucket, wishes)
        except MaulError as error:
            unknown = isinstance(error.__cause__, AWS_ERRORS) and code_of(error.__cause__) == "NoSuchBucket"
            if clock.now_ns() > deadline_ns or not (unknown or error.__cause__ is None):
                raise
        else:
            return
        clock.wait(_SETTLE_POLL_S)


def _require(client: "S3Client", bucket: str, wishes: BucketWishes) -> None:
    """CampaignError when the bucket cannot do it."""
    if wishes.versioning:
        with _explained(client, bucket, "GET versioning"):
            found = client.get_bucket_versioning(Bucket=bucket).get("Status")
        if found != "Enabled":
            raise CampaignError(
                "the bucket keeps no versions, which the campaign asks for (versioning)",
                where_of(client, bucket),
                "Name a bucket that does, or one that does not exist: maul makes it. Or drop versioning.",
            )
    if wishes.object_lock and not _locks(client, bucket):
        raise CampaignError(
            "the bucket has no object lock, which the campaign asks for (object_lock)",
            where_of(client, bucket),
            "Name a bucket that has, or one that does not exist: maul makes it. Or drop object_lock.",
        )


def _locks(client: "S3Client", bucket: str) -> bool:
    try:
        with _explained(client, bucket, "GET object lock"):
            answer = client.get_object_lock_configuration(Bucket=bucket)
    except MaulError as error:
        if code_of(error.__cause__) != "ObjectLockConfigurationNotFoundError":
            raise
        return False
    return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"


def preflight_object(
    client: "S3Client", bucket: str, prefix: str, *, clock: Clock | None = None, settle_s: float = 10.0
) -> None:
    """PUT, GET and DELETE one small object under our own prefix, until it worked several times in a row.

    For up to `settle_s` the answer that there is no such bucket is asked again: a gateway that was asked for a bucket
    before it was made may remember that for seconds, even when it lists the bucket already. Raises like
    `preflight_bucket`, naming the operation that failed. What was written is removed in any case.
    """

    def works() -> bool:
        try:
            _round_trip(client, bucket, prefix + _PROBE_KEY)
        except MaulError as error:
            # NoSuchKey: gateways that follow each other may serve a new object a moment later
            if code_of(error.__cause__) not in {"NoSuchBucket", "NoSuchKey"} or not settle_s:
                raise
            return False
        return True

    _settle(works, where_of(client, bucket), clock or SystemClock(), settle_s)


def _round_trip(client: "S3Client", bucket: str, key: str) -> None:
    with _explained(client, bucket, "PUT"):
        version = client.put_object(Bucket=bucket, Key=key, Body=_PROBE_BODY).get("VersionId")
    try:
        with _explained(client, bucket, "GET"):
            body = client.get_object(Bucket=bucket, Key=key)["Body"].read(len(_PROBE_BODY) + 1)
    finally:
        with _explained(client, bucket, "DELETE"):
            # by its version, where there are versions: no delete marker stays behind
            which: dict[str, Any] = {"VersionId": version} if version else {}
            client.delete_object(Bucket=bucket, Key=key, **which)
    if body != _PROBE_BODY:
        raise TargetError(
            f"GET of {key} gave back {len(body)} other bytes than the PUT before it took",
            where_of(client, bucket),
            "It is not the bucket that was written to, or the store changes what it keeps.",
        )


def remove_bucket(client: "S3Client", bucket: str) -> bool:
    """Remove a bucket that `preflight_bucket` made; False: it is not empty, and stays. Raises MaulError.

    Emptiness is asked first: some stores (SeaweedFS by default) delete a bucket together with what is in it.
    """
    try:
        found = client.list_objects_v2(Bucket=bucket, MaxKeys=1)
        if found.get("KeyCount") or found.get("Contents"):
            return False
        if _any_version(client, bucket):
            return False
        client.delete_bucket(Bucket=bucket)
    except AWS_ERRORS as error:
        if code_of(error) == "BucketNotEmpty":
            return False
        raise explain(error, where_of(client, bucket), "DELETE bucket") from error
    return True


def _any_version(client: "S3Client", bucket: str) -> bool:
    """Old versions and delete markers count, too. A store that does not know the question has none."""
    try:
        found = client.list_object_versions(Bucket=bucket, MaxKeys=1)
    except AWS_ERRORS as error:
        if code_of(error) in {"NotImplemented", "MethodNotAllowed"}:
            return False
        raise
    return bool(found.get("Versions") or found.get("DeleteMarkers"))


@contextmanager
def _explained(client: "S3Client", bucket: str, doing: str) -> Iterator[None]:
    try:
        yield
    except AWS_ERRORS as error:
        raise explain(error, where_of(client, bucket), doing) from error


def _exists(client: "S3Client", bucket: str, *, missing_is_error: bool) -> bool:
    try:
        # not HEAD: its answers have no body that tells one 403 from another
        with _explained(client, bucket, "LIST"):
            client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except MaulError as error:
        if missing_is_error or code_of(error.__cause__) != "NoSuchBucket":
            raise
        return False
    return True


def _create(client: "S3Client", bucket: str, wishes: BucketWishes) -> bool:
    """True when it is new; False when somebody with our credentials was faster."""
    region = client.meta.region_name
    try:
        with _explained(client, bucket, "CREATE bucket"):
            more: dict[str, Any] = {"ObjectLockEnabledForBucket": True} if wishes.object_lock else {}
            if region != _US_EAST_1:
                more["CreateBucketConfiguration"] = {"LocationConstraint": region}
            client.create_bucket(Bucket=bucket, **more)
    except MaulError as error:
        if code_of(error.__cause__) == "BucketAlreadyOwnedByYou":
            return False
        raise
    return True


def _settle(works: Callable[[], bool], where: str, clock: Clock, settle_s: float) -> None:
    """Ask until it works so many times in a row, as many gateways may answer in turn. Raises TargetError."""
    deadline_ns = clock.now_ns() + round(settle_s * 1e9)
    in_a_row = 0
    while True:
        in_a_row = in_a_row + 1 if works() else 0
        if in_a_row == _SETTLE_IN_A_ROW:
            return
        if clock.now_ns() > deadline_ns:
            raise TargetError(
                f"the bucket is there, and still unknown now and then after {settle_s:g} s",
                where,
                "The gateways do not agree on which buckets there are: look at what they share.",
            )
        if not in_a_row:
            clock.wait(_SETTLE_POLL_S)
