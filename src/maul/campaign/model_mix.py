"""Operations: which, how often, and the shape of those that have one."""

from typing import Annotated, Literal

from pydantic import Field

from maul.campaign.part import Part
from maul.campaign.quantities import OBJECTS_MAX, ObjectSize, Real, Whole

PART_SIZE_MIN_BYTES = 5 * 2**20  # S3 refuses a smaller part unless it is the last

OpName = Literal[
    "put", "get", "head", "delete", "list", "multipart", "get_range", "get_part", "multi_delete", "list_v1",
    "list_versions", "multipart_abort", "copy", "multipart_copy", "put_if_none_match", "put_if_match", "get_if_match",
    "get_if_none_match", "get_version", "delete_version", "put_tags", "get_tags", "put_retention", "presigned_get",
    "presigned_put", "aborted_put", "get_deleted",
]  # fmt: skip
"""Every operation by its name, as campaigns, plans and records write it."""

READS_OF_BASE: tuple[OpName, ...] = (
    "get", "head", "get_range", "copy", "multipart_copy", "put_if_match", "get_if_match", "get_if_none_match",
    "get_version", "put_tags", "get_tags", "put_retention", "presigned_get",
)  # fmt: skip
"""Operations that need objects of the base key space to be there."""
WRITES: tuple[OpName, ...] = (
    "put", "multipart", "copy", "multipart_copy", "put_if_none_match", "put_if_match", "presigned_put",
)  # fmt: skip
"""Operations that leave an object."""
DELETES: tuple[OpName, ...] = ("delete", "multi_delete", "delete_version")
"""Operations that take an object away."""
OF_VERSIONS: tuple[OpName, ...] = ("get_version", "delete_version", "list_versions")
"""Operations that make sense only in a bucket with versioning."""

Weight = Annotated[Real, Field(ge=0)]


class Mix(Part):
    """How often each operation comes, relative to the others."""

    get: Weight = 0.0
    """Read a whole object and verify every byte."""
    get_range: Weight = 0.0
    """Read `range_size` bytes of an object from somewhere inside it, verified."""
    get_part: Weight = 0.0
    """Read one part of an object that a multipart upload wrote."""
    get_if_match: Weight = 0.0
    """Read an object if it still has the ETag that was last seen."""
    get_if_none_match: Weight = 0.0
    """Read an object unless it still has the ETag that was last seen: 304 is the right answer."""
    get_version: Weight = 0.0
    """Read an older version by its id. Needs versioning."""
    get_deleted: Weight = 0.0
    """Read an object that this run deleted: 404 is the right answer."""
    presigned_get: Weight = 0.0
    """Read with the signature in the URL."""
    head: Weight = 0.0
    """Ask for an object's metadata."""
    put: Weight = 0.0
    """Overwrite an object, or create one to be deleted later."""
    put_if_none_match: Weight = 0.0
    """Create an object unless it is there: 412 is the right answer where it is."""
    put_if_match: Weight = 0.0
    """Overwrite an object if it still has the ETag that was last seen."""
    presigned_put: Weight = 0.0
    """Overwrite an object with the signature in the URL."""
    aborted_put: Weight = 0.0
    """Begin an upload and hang up in the middle of it: no object may come of it."""
    multipart: Weight = 0.0
    """A whole multipart upload counts as one operation."""
    multipart_abort: Weight = 0.0
    """Begin a multipart upload, send a part, list the parts, abort it."""
    copy_: Weight = Field(default=0.0, alias="copy")
    """Copy an object on the server."""
    multipart_copy: Weight = 0.0
    """Copy an object on the server by parts."""
    delete: Weight = 0.0
    """Delete an object that a put of this campaign created: deletes cannot outweigh `put`."""
    multi_delete: Weight = 0.0
    """Delete `multi_delete_keys` such objects in one request; counts for as many deletes."""
    delete_version: Weight = 0.0
    """Delete such an object by its version id, for good. Needs versioning."""
    listing: Weight = Field(default=0.0, alias="list")
    """List keys under the run's prefix."""
    list_v1: Weight = 0.0
    """The same, as the first version of the call."""
    list_versions: Weight = 0.0
    """List versions and delete markers under the run's prefix. Needs versioning."""
    put_tags: Weight = 0.0
    """Tag an object."""
    get_tags: Weight = 0.0
    """Read an object's tags."""
    put_retention: Weight = 0.0
    """Lock an object for `retention` (governance mode, which maul lifts again). Needs object_lock."""

    def by_op(self) -> dict[OpName, float]:
        """The operations that come at all, with their weights, in the order above.

        >>> Mix.model_validate({"put": 1, "list": 2, "get": 0}).by_op()
        {'put': 1.0, 'list': 2.0}
        """
        named: dict[OpName, float] = self.model_dump(by_alias=True)  # type: ignore[assignment]
        return {op: weight for op, weight in named.items() if weight > 0}


class MultipartShape(Part):
    """The shape of every multipart upload."""

    parts: Whole = Field(default=2, ge=1, le=10_000)
    """Parts of one upload."""
    part_size_bytes: ObjectSize = Field(default=PART_SIZE_MIN_BYTES, alias="part_size")
    """Bytes of each part; S3 wants 5 MiB or more."""
    objects: Whole = Field(default=8, ge=1, le=OBJECTS_MAX)
    """Distinct keys, written round and round."""
    parallel: Whole = Field(default=1, ge=1, le=1000)
    """Parts of one upload under way at once."""

    @property
    def object_bytes(self) -> int:
        """Bytes of one whole object."""
        return self.parts * self.part_size_bytes

    @property
    def requests(self) -> int:
        """HTTP requests of one upload: create, the parts, complete."""
        return self.parts + 2


class ListShape(Part):
    """The shape of every listing."""

    max_keys: Whole = Field(default=100, ge=1, le=1000)
    """Keys of one answer."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=16)
    """Group keys by what lies before it, such as `/`; no groups when absent."""
    pages: Whole = Field(default=1, ge=1, le=1000)
    """Pages that one listing follows, at most."""
