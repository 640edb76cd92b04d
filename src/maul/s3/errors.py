"""What an S3 error means, and who must act."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from maul.core.errors import CampaignError, MachineError, MaulError, TargetError
from maul.core.units import show_duration

AWS_ERRORS = (aws.BotoCoreError, aws.ClientError, ResponseParserError)
"""Everything that a botocore client raises of its own."""

_CHECK_KEYS = "Check the credentials that the site names."
_CHECK_SERVICE = "Look at the service and its log."
_BUCKET_NAMES = "Bucket names are 3 to 63 of a-z, 0-9, hyphen and dot."
_REGION_CODES = (
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "TemporaryRedirect",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "301",
)
_EXPECTED_REGION = re.compile(r"expecting '([a-z0-9-]+)'")

# S3 error code: who must act, what it means, what to do
_ANSWERS: dict[str, tuple[type[MaulError], str, str]] = {
    "InvalidAccessKeyId": (CampaignError, "the target does not know the access key", _CHECK_KEYS),
    "SignatureDoesNotMatch": (
        CampaignError,
        "the signature does not match",
        f"The secret key is wrong, or a balancer rewrites the Host header. {_CHECK_KEYS}",
    ),
    "RequestTimeTooSkewed": (
        MachineError,
        "the clocks are too far apart",
        "Correct this machine's clock, or the target's (NTP).",
    ),
    "NoSuchBucket": (CampaignError, "the bucket does not exist", "Create it, or let maul create it."),
    "InvalidBucketName": (CampaignError, "the target does not accept this bucket name", _BUCKET_NAMES),
    "BucketAlreadyExists": (CampaignError, "the bucket belongs to somebody else", "Choose another name."),
} | dict.fromkeys(_REGION_CODES, (CampaignError, "wrong region", "Correct `region` in the site."))

# botocore's exception, most special first: what it means, what to do. The target's owner acts on all of them
_NO_ANSWERS: tuple[tuple[type[Exception], str, str], ...] = (
    (
        aws.SSLError,
        "the certificate is not trusted, or TLS failed",
        "Check `ca` in the site, and the certificate.",
    ),
    (
        aws.ConnectTimeoutError,
        "no answer to a connection attempt",
        "Is the host up, and reachable from here?",
    ),
    (aws.EndpointConnectionError, "no connection", "Start the service, or correct host and port."),
    (aws.ReadTimeoutError, "it took the request and did not answer in time", _CHECK_SERVICE),
    (aws.ConnectionClosedError, "it closed the connection without an answer", _CHECK_SERVICE),
    (aws.HTTPClientError, "no whole HTTP answer", _CHECK_SERVICE),
    (ResponseParserError, "the answer is not S3's", "Is this an S3 endpoint?"),
)


def code_of(error: BaseException | None) -> str:
    """The S3 error code of a botocore error, or the status where it had no body; empty if it is none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, aws.ClientError) else ""


def explain(error: Exception, where: str, doing: str) -> MaulError:
    """The MaulError for one of AWS_ERRORS. `where`: endpoint and bucket; `doing`: such as "LIST"."""
    if isinstance(error, aws.ClientError):
        return _of_answer(error, where, doing)
    if isinstance(error, aws.ParamValidationError):
        return CampaignError(f"{doing} was not sent: S3 has no such name", where, _BUCKET_NAMES)
    for kind, what, cure in _NO_ANSWERS:
        if isinstance(error, kind):
            return TargetError(f"{doing}: {what} ({_last_words(error)})", where, cure)
    return TargetError(f"{doing} failed ({_last_words(error)})", where, _CHECK_SERVICE)


def _of_answer(error: aws.ClientError, where: str, doing: str) -> MaulError:
    code = code_of(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _ANSWERS:
        kind, what, cure = _ANSWERS[code]
        return kind(f"{doing}: {what} ({code}{_details(code, error.response)})", where, cure)
    if status in (401, 403):
        cure = "Give them the right, or name others in the site."
        return CampaignError(f"these credentials may not {doing} ({status} {code})", where, cure)
    if not code or code.isdecimal():
        # botocore also turns a 200 with a strange body into this
        cure = "Is this an S3 endpoint? Or a balancer without a living gateway?"
        return TargetError(f"{doing}: an answer without an S3 error in it (status {status})", where, cure)
    return TargetError(f"{doing}: it answers with {status} {code}", where, _CHECK_SERVICE)


def _details(code: str, response: Mapping[str, Any]) -> str:
    if code == "RequestTimeTooSkewed":
        return f": {_skew(response)}"
    region = _expected_region(response) if code in _REGION_CODES else ""
    return f": it expects {region!r}" if region else ""


def _expected_region(response: Mapping[str, Any]) -> str:
    details = response.get("Error", {})
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = _EXPECTED_REGION.search(str(details.get("Message", "")))
    return str(details.get("Region") or headers.get("x-amz-bucket-region") or (found[1] if found else ""))


def _skew(response: Mapping[str, Any]) -> str:
    """How far this machine's clock is from the target's, from the Date of the answer itself."""
    date = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        ahead_s = time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return "the target does not say what time it has"
    direction = "ahead of" if ahead_s > 0 else "behind"
    return f"this machine's is {show_duration(abs(ahead_s))} {direction} the target's"


def _last_words(error: Exception) -> str:
    """The cause, without the URL and the wrapping that every layer adds."""
    return str(error).rpartition(": ")[2].strip()[:200] or type(error).__name__
