"""Writes crates/engine/tests/vectors/requests.json: what other implementations make of the same requests.

Presigned queries and chunked framing come from botocore. The signatures of chunks are those that AWS published;
botocore signs no chunks, so they are checked here against a second reading of the specification.

    PYTHONPATH=src .venv/bin/python scripts/request_vectors.py
"""

import hashlib
import hmac
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.auth
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum, Sha1Checksum, Sha256Checksum

TARGET = Path(__file__).parents[1] / "crates/engine/tests/vectors/requests.json"
KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
TOKEN = "FwoGZXIvYXdzEBYaDH/t0ken+with=odd/bytes=="
TEMPORARY = Credentials(KEYS.access_key, KEYS.secret_key, TOKEN)
REGION = "us-east-1"
CHUNK_BYTES = 65_536
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
PUBLISHED_AT = datetime(2013, 5, 24, tzinfo=UTC)

CHAINS = [
    {
        "name": "published-chunked-upload",
        "source": "Amazon S3 API Reference, 'Transferring Payload in Multiple Chunks', example",
        "seed": "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        "chunks": [
            [65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"],
            [1_024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"],
            [0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"],
        ],
        "trailer": None,
    },
    {
        "name": "published-chunked-upload-with-trailer",
        "source": "Amazon S3 API Reference, 'Including Trailing Headers (Chunked Upload)', example",
        "seed": "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        "chunks": [
            [65_536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"],
            [1_024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"],
            [0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"],
        ],
        "trailer": [
            "x-amz-checksum-crc32c:sOO8/Q==\n",
            "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
        ],
    },
]


def check_chain(chain: dict[str, Any]) -> None:
    """Raises AssertionError unless the published signatures follow from the specification. Bodies are all `a`."""
    key = b"AWS4" + KEYS.secret_key.encode()
    for text in ("20130524", REGION, "s3", "aws4_request"):
        key = hmac.new(key, text.encode(), hashlib.sha256).digest()
    scope = f"20130524/{REGION}/s3/aws4_request"
    previous = chain["seed"]

    def signed(algorithm: str, *last: str) -> str:
        lines = [algorithm, "20130524T000000Z", scope, previous, *last]
        return hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()

    for length, expected in chain["chunks"]:
        data = hashlib.sha256(b"a" * length).hexdigest()
        previous = signed("AWS4-HMAC-SHA256-PAYLOAD", EMPTY_SHA256, data)
        assert previous == expected, chain["name"]
    if chain["trailer"]:
        lines, expected = chain["trailer"]
        found = signed("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(lines.encode()).hexdigest())
        assert found == expected, chain["name"]


def presigned() -> list[dict[str, Any]]:
    """Presigned queries of botocore."""
    cases = [
        ("published-get", "GET", "examplebucket.s3.amazonaws.com", "/test.txt", [], [], 86_400, KEYS),
        ("get-a-range", "GET", "127.64.0.1:8443", "/bench/maul/r/b0", [], [("range", "bytes=0-9")], 300, KEYS),
        ("get-a-version", "GET", "s3.example:8443", "/bench/b0", [("versionId", "a/b+c=")], [], 300, KEYS),
        ("put", "PUT", "bench.s3.example", "/maul/r/e0", [], [("x-amz-server-side-encryption", "AES256")], 300, KEYS),
        ("temporary-get", "GET", "s3.example:8443", "/bench/b0", [], [], 300, TEMPORARY),
        ("temporary-version", "GET", "s3.example", "/bench/b0", [("versionId", "a/b")], [], 300, TEMPORARY),
    ]
    made = []
    for name, method, host, path, query, headers, expires_s, keys in cases:
        request = AWSRequest(method, f"https://{host}{path}", dict(headers), params=dict(query))
        with mock.patch.object(botocore.auth, "get_current_datetime", return_value=PUBLISHED_AT):
            S3SigV4QueryAuth(keys, "s3", REGION, expires=expires_s).add_auth(request)
        assert request.url is not None
        signature = request.url.rpartition("X-Amz-Signature=")[2]
        made.append(
            {
                "name": name, "source": "botocore S3SigV4QueryAuth", "method": method, "host": host, "path": path,
                "query": query, "headers": headers, "expires_s": expires_s, "signature": signature,
                "session_token": keys.token,
            }
        )  # fmt: skip
    # Amazon S3 API Reference, 'Authenticating Requests: Using Query Parameters', example
    assert made[0]["signature"] == "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    return made


def temporary() -> list[dict[str, Any]]:
    """Headers of requests with temporary credentials, signed by botocore."""
    made = []
    for method, path, headers in (
        ("GET", "/bench/maul/r/b0", []),
        ("PUT", "/bench/maul/r/e0", [("x-amz-acl", "private"), ("x-amz-server-side-encryption", "AES256")]),
        ("GET", "/bench/maul/r/b0", [("range", "bytes=0-9"), ("x-amz-tagging", "a=b")]),
    ):
        host = "s3.example:8443"
        request = AWSRequest(method, f"https://{host}{path}", {**dict(headers), "Host": host})
        with mock.patch.object(botocore.auth, "get_current_datetime", return_value=PUBLISHED_AT):
            S3SigV4Auth(TEMPORARY, "s3", REGION).add_auth(request)
        assert request.headers["X-Amz-Security-Token"] == TOKEN
        made.append(
            {
                "method": method, "path": path, "host": host, "headers": headers,
                "payload": request.headers["X-Amz-Content-SHA256"],
                "authorization": request.headers["Authorization"],
            }
        )  # fmt: skip
    return made


def framed() -> list[dict[str, Any]]:
    """Lengths and trailers of bodies of `a` in unsigned chunks, by botocore."""
    sums = {"crc32": Crc32Checksum, "sha1": Sha1Checksum, "sha256": Sha256Checksum}
    made = []
    for algorithm, kind in sums.items():
        for length in (0, 1, 15, 16, 4_096, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 1_000_000):
            body = io.BytesIO(b"a" * length)
            name = f"x-amz-checksum-{algorithm}"
            text = AwsChunkedWrapper(body, kind, name, CHUNK_BYTES).read()
            trailer = text.rpartition(b"0\r\n")[2].decode()
            made.append({"algorithm": algorithm, "length": length, "framed": len(text), "trailer": trailer})
    return made


def main() -> None:
    """Writes the file."""
    for chain in CHAINS:
        check_chain(chain)
    document = {
        "about": "What other implementations make of the same requests; written by scripts/request_vectors.py.",
        "access_key": KEYS.access_key,
        "secret_key": KEYS.secret_key,
        "region": REGION,
        "unix_s": int(PUBLISHED_AT.timestamp()),
        "chains": CHAINS,
        "presigned": presigned(),
        "session_token": TOKEN,
        "temporary": temporary(),
        "framed": framed(),
    }
    TARGET.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
