"""Operation: one customer-visible S3 attempt, as the engine records it.

The numbers of the enums and the layout of `OPERATION_DTYPE` are those of `crates/engine/src/operation.rs`; a test
holds the two against each other. Times are Unix nanoseconds, 0 where the moment never came.
"""

from enum import IntEnum

import numpy as np


class Op(IntEnum):
    """The operation asked for."""

    PUT = 0
    GET = 1
    HEAD = 2
    DELETE = 3
    LIST = 4
    MULTIPART = 5


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
    # there was no whole answer
    CONNECT_REFUSED = 32
    CONNECT_TIMEOUT = 33
    CONNECT_FAILED = 34  # unreachable, no route, no local port or descriptor left
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
    # ours
    STOPPED = 96  # the run was stopped while it was in flight
    BACKLOG = 97  # dropped: it would have waited longer than the request timeout


INTEGRITY_CLASSES = frozenset(
    {ErrorClass.TRUNCATED, ErrorClass.CORRUPT, ErrorClass.TORN, ErrorClass.FOREIGN, ErrorClass.NOT_OURS}
)


class Region(IntEnum):
    """The part of the key space that a key lies in; the top byte of `key`."""

    BASE = 0  # filled once, overwritten and read
    EPHEMERAL = 1  # created and deleted
    MULTIPART = 2  # written by multipart uploads


REGION_SHIFT = 56
REGION_LETTERS = {Region.BASE: "b", Region.EPHEMERAL: "e", Region.MULTIPART: "m"}

OPERATION_DTYPE = np.dtype(
    [
        ("due_ns", "<u8"),
        ("start_ns", "<u8"),
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
        ("flags", "u1"),  # bit 0: on a new connection
    ]
)


def key_name(prefix: str, key: int) -> str:
    """The object key of a key number: prefix, region letter, 12 hexadecimal digits.

    >>> key_name("maul/r1/", (1 << 56) | 255)
    'maul/r1/e0000000000ff'
    """
    region = Region(key >> REGION_SHIFT)
    return f"{prefix}{REGION_LETTERS[region]}{key & ((1 << REGION_SHIFT) - 1):012x}"
