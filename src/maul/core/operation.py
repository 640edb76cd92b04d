"""Operation: one customer-visible S3 attempt, as the engine records it.

The numbers of the enums and the layout of `OPERATION_DTYPE` are those of `crates/engine/src/operation.rs`; a test
holds the two against each other. Times are Unix nanoseconds, 0 where the moment never came.
"""

from enum import IntEnum, IntFlag

import numpy as np


class Op(IntEnum):
    """The operation asked for."""

    PUT = 0
    GET = 1
    HEAD = 2
    DELETE = 3
    LIST = 4
    MULTIPART = 5  # create, parts, complete
    GET_RANGE = 6
    GET_PART = 7  # of a multipart object
    MULTI_DELETE = 8  # several keys in one request: one row for each key, see Flag.SAME_REQUEST
    LIST_V1 = 9
    LIST_VERSIONS = 10
    MULTIPART_ABORT = 11  # create, one part, list parts, abort
    COPY = 12
    MULTIPART_COPY = 13  # create, UploadPartCopy, complete
    PUT_IF_NONE_MATCH = 14
    PUT_IF_MATCH = 15
    GET_IF_MATCH = 16
    GET_IF_NONE_MATCH = 17
    GET_VERSION = 18
    DELETE_VERSION = 19
    PUT_TAGS = 20
    GET_TAGS = 21
    PUT_RETENTION = 22
    PRESIGNED_GET = 23
    PRESIGNED_PUT = 24
    ABORTED_PUT = 25  # the client gives up half way
    GET_DELETED = 26  # 404 is right


WRITES = frozenset({Op.PUT, Op.MULTIPART, Op.PUT_IF_NONE_MATCH, Op.PUT_IF_MATCH, Op.PRESIGNED_PUT})
"""They write an object with a version of its own; OK with version 0: declined, as it was asked to be."""
ABANDONED = frozenset({Op.ABORTED_PUT, Op.MULTIPART_ABORT})
"""They begin to write a version that must never be seen."""
COPIES = frozenset({Op.COPY, Op.MULTIPART_COPY})
"""They write whatever their original is."""
DELETES = frozenset({Op.DELETE, Op.MULTI_DELETE, Op.DELETE_VERSION})
"""They end an object; what DELETE_VERSION deletes has no other version (the engine's plan sees to that)."""
READS = frozenset(
    {Op.GET, Op.GET_RANGE, Op.GET_PART, Op.GET_IF_MATCH, Op.GET_IF_NONE_MATCH, Op.PRESIGNED_GET, Op.GET_DELETED}
)
"""They ask for the present object; GET_VERSION asks for the past."""
LISTINGS = frozenset({Op.LIST, Op.LIST_V1, Op.LIST_VERSIONS})
"""They ask for no object, but for names."""


class Outcome(IntEnum):
    """Did it take effect? A timed-out PUT is UNKNOWN. DROPPED arrivals were never sent."""

    OK = 0
    FAIL = 1
    UNKNOWN = 2
    DROPPED = 3


class ErrorClass(IntEnum):
    """Why an operation was not OK, in words that a storage team uses."""

    NONE = 0
    # the answer was an S3 error
    SLOW_DOWN = 1  # 503 SlowDown / ServiceUnavailable
    THROTTLED = 2  # 429
    INTERNAL_ERROR = 3  # 500
    GATEWAY_ERROR = 4  # 502, 504 or a 503 that is no S3 answer (a balancer without backends)
    NO_SUCH_KEY = 5
    NO_SUCH_BUCKET = 6
    ACCESS_DENIED = 7
    BAD_SIGNATURE = 8  # SignatureDoesNotMatch
    UNKNOWN_ACCESS_KEY = 9  # InvalidAccessKeyId
    CLOCK_SKEW = 10  # RequestTimeTooSkewed
    WRONG_REGION = 11  # AuthorizationHeaderMalformed, PermanentRedirect
    REDIRECT = 12  # any other 3xx
    OTHER_CLIENT_ERROR = 13  # any other 4xx
    OTHER_SERVER_ERROR = 14  # any other 5xx
    ERROR_IN_OK = 15  # status 200 with an <Error> body
    PRECONDITION_FAILED = 16  # 412 that was not to be expected
    NOT_MODIFIED = 17  # 304 that was not to be expected
    REQUEST_TIMEOUT = 18  # 400: the server gave up on a slow client
    INVALID_RANGE = 19  # 416
    NOT_IMPLEMENTED = 20  # 501
    CHECKSUM_REFUSED = 21  # the server read other bytes than we sent
    # there was no whole answer
    CONNECT_REFUSED = 32
    CONNECT_TIMEOUT = 33
    CONNECT_FAILED = 34  # unreachable, no route
    TLS_FAILED = 35
    RESET = 36  # closed or reset before the answer was whole
    TIMEOUT = 37  # the request was sent and not answered in time
    PROTOCOL = 38  # not HTTP/1.1, or not what was asked
    # the answer came, and its bytes are wrong
    TRUNCATED = 64  # fewer bytes than the object's own header says
    CORRUPT = 65  # a block's checksum or content does not match
    TORN = 66  # blocks of more than one version
    FOREIGN = 67  # another run's or another key's bytes
    NOT_OURS = 68  # no maul body at all
    STALE = 69  # an older version than the one acknowledged before the read began
    SWAPPED = 70  # the object's own blocks at each other's places
    CONDITION_IGNORED = 71  # it wrote, or answered, what it should have declined
    CHECKSUM_MISMATCH = 72  # a checksum header of the answer does not fit its body
    RESURRECTED = 73  # a deleted object was there
    # ours
    STOPPED = 96  # the run was stopped while it was in flight
    BACKLOG = 97  # dropped: it would have waited longer than the request timeout
    GIVEN_UP = 98  # the client gave up on purpose (ABORTED_PUT): no error of the target
    EXHAUSTED = 99  # this machine had no port or descriptor left to connect: no error of the target


INTEGRITY_CLASSES = frozenset(
    {
        ErrorClass.TRUNCATED,
        ErrorClass.CORRUPT,
        ErrorClass.TORN,
        ErrorClass.FOREIGN,
        ErrorClass.NOT_OURS,
        ErrorClass.SWAPPED,
        ErrorClass.CHECKSUM_MISMATCH,
    }
)


class Region(IntEnum):
    """The part of the key space that a key lies in; the top byte of `key`."""

    BASE = 0  # filled once, overwritten and read
    EPHEMERAL = 1  # created and deleted
    MULTIPART = 2  # written by multipart uploads
    COPY = 3  # written by copies: key i is a copy of base key i, and carries its blocks


class Flag(IntFlag):
    """Bits of `flags`."""

    NEW_CONNECTION = 1  # the first operation of its connection
    RESUMED = 2  # … whose TLS session was resumed
    SAME_REQUEST = 4  # one more key of the request that is recorded before it; counts no operation
    SLOW_CLIENT = 8  # the client was slow on purpose


REGION_SHIFT = 56
REGION_LETTERS = {Region.BASE: "b", Region.EPHEMERAL: "e", Region.MULTIPART: "m", Region.COPY: "c"}

OPERATION_DTYPE = np.dtype(
    [
        ("due_ns", "<u8"),
        ("start_ns", "<u8"),
        ("connected_ns", "<u8"),  # TCP, on a new connection
        ("secured_ns", "<u8"),  # TLS, on a new connection
        ("sent_ns", "<u8"),  # last byte of the request handed to the kernel
        ("first_byte_ns", "<u8"),
        ("end_ns", "<u8"),
        ("key", "<u8"),  # region << 56 | index
        ("version", "<u8"),  # written (PUT, MULTIPART) or seen (GET); 0 where none
        ("bytes", "<u8"),  # of body, sent or received
        ("status", "<u2"),  # HTTP status, 0 where none came
        ("op", "u1"),
        ("outcome", "u1"),
        ("error_class", "u1"),
        ("endpoint", "u1"),  # index into the plan's endpoints
        ("shard", "u1"),
        ("flags", "u1"),  # see Flag
        ("tenant", "u1"),  # index into the plan's tenants
        ("exchanges", "u1"),  # HTTP requests that it took, at most 255
        ("item", "<u2"),  # place of the key in its request
        ("nth_on_connection", "<u4"),  # which request of its connection, from 1; 0 when it never got one
    ]
)


def key_name(prefix: str, key: int) -> str:
    """The object key of a key number: prefix, region letter, 12 hexadecimal digits.

    >>> key_name("maul/r1/", (1 << 56) | 255)
    'maul/r1/e0000000000ff'
    """
    region = Region(key >> REGION_SHIFT)
    return f"{prefix}{REGION_LETTERS[region]}{key & ((1 << REGION_SHIFT) - 1):012x}"
