"""What the words of a record mean, in a line each, for a reader who did not write the campaign."""

from maul.core.operation import ErrorClass
from maul.core.summary import Ending
from maul.core.verdict import Verdict

NOT_RECORDED = "not_recorded"

VERDICT_MEANS = {
    Verdict.PASS: "Every check passed, at the rates and under the faults shown below. "
    "This says nothing about higher rates, longer runs or other faults.",
    Verdict.UNKNOWN: "At least one question could not be answered, so this run does not clear the target. "
    "Doubt is not a pass: settle the amber checks and run again.",
    Verdict.FAIL: "At least one promise was broken. "
    "Do not open this target to customers until every red check below is explained.",
}

VERDICT_MARK = {Verdict.PASS: "✓", Verdict.UNKNOWN: "?", Verdict.FAIL: "✕"}

ENDING_MEANS = {
    Ending.COMPLETED: "Completed: every phase ran to its end.",
    Ending.INTERRUPTED: "Interrupted by the operator; later phases never ran.",
    Ending.GUARD: "Stopped by the guard, to protect the target or the links; later phases never ran.",
    Ending.FAILED: "Ended by an error; later phases never ran.",
    Ending.KILLED: "The process died without recording an end; what follows is what had reached the disk.",
}

ERROR_MEANS = {
    ErrorClass.SLOW_DOWN: "The store itself asked for fewer requests (503 SlowDown).",
    ErrorClass.THROTTLED: "Something in front of the store limited the rate (429).",
    ErrorClass.INTERNAL_ERROR: "The store failed while it handled the request (500).",
    ErrorClass.GATEWAY_ERROR: "The balancer had no healthy gateway, or lost the one it used (502, 503, 504).",
    ErrorClass.NO_SUCH_KEY: "An object that the run had written was not there (404).",
    ErrorClass.NO_SUCH_BUCKET: "The bucket was not there (404).",
    ErrorClass.ACCESS_DENIED: "The credentials do not allow this (403).",
    ErrorClass.BAD_SIGNATURE: "The store computes another signature: wrong secret, or a rewritten request.",
    ErrorClass.UNKNOWN_ACCESS_KEY: "The store does not know the access key.",
    ErrorClass.CLOCK_SKEW: "The clocks of generator and store are too far apart.",
    ErrorClass.WRONG_REGION: "The request was signed for another region than the store's.",
    ErrorClass.REDIRECT: "The store pointed elsewhere; maul never follows.",
    ErrorClass.OTHER_CLIENT_ERROR: "The store refused the request (another 4xx).",
    ErrorClass.OTHER_SERVER_ERROR: "The store failed (another 5xx).",
    ErrorClass.ERROR_IN_OK: "200 with an error in its body: a careless client takes it for success.",
    ErrorClass.PRECONDITION_FAILED: "A condition was said to fail (412) that should have held.",
    ErrorClass.NOT_MODIFIED: "Not modified (304), though nobody asked for that.",
    ErrorClass.REQUEST_TIMEOUT: "The server gave up on a client that was too slow for it (400 RequestTimeout).",
    ErrorClass.INVALID_RANGE: "The range was refused (416), though the object is long enough.",
    ErrorClass.NOT_IMPLEMENTED: "The server does not offer this operation (501).",
    ErrorClass.CHECKSUM_REFUSED: "The server says that the bytes it read do not fit the checksum that we sent.",
    ErrorClass.CONNECT_REFUSED: "Nothing listened at the endpoint.",
    ErrorClass.CONNECT_TIMEOUT: "No answer to the connection attempt: overloaded, unplugged or filtered.",
    ErrorClass.CONNECT_FAILED: "Unreachable, or no route to it.",
    ErrorClass.TLS_FAILED: "The TLS handshake failed.",
    ErrorClass.RESET: "The connection broke before the answer was whole: a server or the balancer went away.",
    ErrorClass.TIMEOUT: "Sent and not answered in time. A write may or may not have taken effect.",
    ErrorClass.PROTOCOL: "What came back was not valid HTTP, or not an answer to what was asked.",
    ErrorClass.TRUNCATED: "The object came back shorter than it was written.",
    ErrorClass.CORRUPT: "The object came back with other bytes than were written.",
    ErrorClass.TORN: "The object came back as a mixture of two versions.",
    ErrorClass.FOREIGN: "Another object's bytes came back.",
    ErrorClass.NOT_OURS: "What came back was never written by this run.",
    ErrorClass.STALE: "An older version came back than the one that had been acknowledged before.",
    ErrorClass.SWAPPED: "The object came back with its own blocks at each other's places.",
    ErrorClass.CONDITION_IGNORED: "A condition (If-Match, If-None-Match) was not heeded.",
    ErrorClass.CHECKSUM_MISMATCH: "The answer's checksum header does not fit its body.",
    ErrorClass.RESURRECTED: "A deleted object was there.",
    ErrorClass.STOPPED: "In flight or still waiting when the phase was stopped; not the target's doing.",
    ErrorClass.BACKLOG: "Dropped unsent: it would have timed out while waiting for its turn.",
    ErrorClass.GIVEN_UP: "Given up by the client on purpose; not the target's doing.",
    ErrorClass.EXHAUSTED: "The generator's machine had no port or descriptor left; not the target's doing.",
}

FINDING_MEANS = {
    "lost": "acknowledged, and not there",
    "corrupt": "there, with wrong bytes",
    "stale": "an older version came back",
    "resurrected": "deleted, and there again",
    "phantom": "there, and never written",
    "unreadable": "could not be read at all",
    "divergent": "the gateways disagree",
    "unlisted": "readable, and missing from the listing",
    "ghost": "listed, and deleted",
    "missing": "not found while it should have been there",
}

DUE_AND_SERVICE = (
    "From due counts from the moment the request should have been sent: what a customer waits. "
    "Service counts from the moment it really was sent: what the target took. "
    "When the target stalls, requests queue before they are sent; a tool that looks at service time alone "
    "does not see that wait (coordinated omission)."
)


def error_means(name: str) -> str:
    """The plain words of an error class by its name; empty for a name that this version does not know.

    >>> error_means("RESET").startswith("The connection broke")
    True
    >>> error_means("from the future")
    ''
    """
    if name == NOT_RECORDED:
        return "Counted, but single operations were not recorded: what went wrong is not known."
    member = ErrorClass.__members__.get(name.upper())
    return ERROR_MEANS.get(member, "") if member is not None else ""
