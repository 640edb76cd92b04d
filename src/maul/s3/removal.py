"""Removing: exactly the keys that the caller names, and unfinished uploads under a prefix of ours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from maul.core.errors import InternalError
from maul.s3.client import Version, where_of
from maul.s3.errors import AWS_ERRORS, explain

if TYPE_CHECKING:  # the types are not needed to run
    from mypy_boto3_s3 import S3Client

_BATCH = 1000  # DeleteObjects takes no more
_OURS = "maul/"


def delete_keys(client: "S3Client", bucket: str, keys: Sequence[str]) -> int:
    """Delete these keys with DeleteObjects; how many the target says are gone. Raises MaulError.

    Raises InternalError, and deletes nothing, when one of them is not under a prefix of ours.
    """
    strange = next((key for key in keys if not key.startswith(_OURS)), None)
    if strange is not None:
        raise InternalError(f"{strange!r} is not a key of ours; nothing was deleted")
    gone = 0
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        try:
            answer = client.delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
            )
        except AWS_ERRORS as error:
            raise explain(error, where_of(client, bucket), "DELETE objects") from error
        gone += len(batch) - len(answer.get("Errors", []))
    return gone


def delete_versions(client: "S3Client", bucket: str, versions: Sequence[Version], *, unlock: bool = False) -> int:
    """Delete these versions and delete markers for good; how many the target says are gone. Raises MaulError.

    `unlock`: also those that a governance lock still protects; we set it, and may lift it. Raises InternalError, and
    deletes nothing, when one of them is not under a prefix of ours.
    """
    strange = next((one.key for one in versions if not one.key.startswith(_OURS)), None)
    if strange is not None:
        raise InternalError(f"{strange!r} is not a key of ours; nothing was deleted")
    gone = 0
    more: dict[str, Any] = {"BypassGovernanceRetention": True} if unlock else {}
    for start in range(0, len(versions), _BATCH):
        batch = versions[start : start + _BATCH]
        objects: list[Any] = [{"Key": one.key, "VersionId": one.version_id} for one in batch]
        try:
            answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}, **more)
        except AWS_ERRORS as error:
            raise explain(error, where_of(client, bucket), "DELETE versions") from error
        gone += len(batch) - len(answer.get("Errors", []))
    return gone


def abort_uploads(client: "S3Client", bucket: str, prefix: str, uploads_max: int = 10_000) -> int:
    """Abort the multipart uploads under a prefix of ours that nobody completed; how many. Raises MaulError."""
    if not prefix.startswith(_OURS):
        raise InternalError(f"{prefix!r} is not a prefix of ours; nothing was aborted")
    aborted = 0
    try:
        while aborted < uploads_max:
            uploads = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
            ours = [upload for upload in uploads if upload["Key"].startswith(prefix)]
            for upload in ours[: uploads_max - aborted]:
                client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                aborted += 1
            if not ours:
                break
    except AWS_ERRORS as error:
        raise explain(error, where_of(client, bucket), "ABORT uploads") from error
    return aborted
