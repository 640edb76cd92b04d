"""The target from Python: one attempt per call, no proxies, no ambient configuration."""

import functools
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import botocore.loaders
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

from maul.s3.credentials import Credentials
from maul.s3.endpoint import Endpoint
from maul.s3.errors import AWS_ERRORS, explain

if TYPE_CHECKING:  # the types are not needed to run
    from mypy_boto3_s3 import S3Client

_PAGE_KEYS = 1000
_PAGES_SPARE = 16  # a store may give short pages
_NO_FILES = {"config_file", "credentials_file"}


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One version of an object, or one delete marker."""

    key: str
    version_id: str


@dataclass(frozen=True, slots=True)
class ListedVersions:
    """Versions and delete markers; `complete` is False when the bound was reached first."""

    versions: list[Version]
    complete: bool


@dataclass(frozen=True, slots=True)
class ListedKeys:
    """Keys in the target's order; `complete` is False when the bound was reached first."""

    keys: list[str]
    complete: bool


def make_client(
    endpoint: Endpoint,
    credentials: Credentials | None,
    region: str = "us-east-1",
    timeout_s: float = 5.0,
    address: str | None = None,
) -> "S3Client":
    """A client that tries once, path style, signature version 4. `credentials` None: anonymous.

    `timeout_s` bounds the connection attempt, and each wait for the next bytes of an answer. Nothing is
    taken from the environment or from configuration files: neither credentials nor proxies, CA bundles,
    regions or retries. `address`: connect there, whatever the host's name may mean by now.
    """
    config = Config(
        signature_version="s3v4" if credentials else UNSIGNED,
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        proxies={},
        user_agent="maul",
        # a store that does not know the newer checksums must not fail for them
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client: S3Client = boto3.Session(botocore_session=_bare_session()).client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=region,
        aws_access_key_id=credentials.access_key if credentials else None,
        aws_secret_access_key=credentials.secret_key if credentials else None,
        aws_session_token=credentials.session_token if credentials else None,
        verify=_trusted(endpoint),
        config=config,
    )
    if endpoint.server_name:
        _verify_as(client, endpoint.server_name)
    if address is not None:
        _connect_to(client, address)
    return client


def where_of(client: "S3Client", bucket: str) -> str:
    """How errors name a bucket: its URL."""
    return f"{client.meta.endpoint_url}/{bucket}"


def list_keys(client: "S3Client", bucket: str, prefix: str, keys_max: int = 1_000_000) -> ListedKeys:
    """Every key under a prefix, page by page, at most `keys_max` of them. Raises MaulError.

    Also bounded in pages: a store that gives short pages for ever ends as an incomplete listing.
    """
    keys: list[str] = []
    token: str | None = None
    for _ in range(2 * (keys_max // _PAGE_KEYS) + _PAGES_SPARE):
        more: dict[str, Any] = {"ContinuationToken": token} if token else {}
        try:
            answer = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE_KEYS, **more)
        except AWS_ERRORS as error:
            raise explain(error, where_of(client, bucket), "LIST") from error
        keys += [entry["Key"] for entry in answer.get("Contents", [])]
        token = answer.get("NextContinuationToken")
        last = not answer.get("IsTruncated")
        if last or not token or len(keys) > keys_max:
            return ListedKeys(keys[:keys_max], complete=last and len(keys) <= keys_max)
    return ListedKeys(keys[:keys_max], complete=False)


def list_versions(client: "S3Client", bucket: str, prefix: str, versions_max: int = 1_000_000) -> ListedVersions:
    """Every version and delete marker under a prefix, bounded as `list_keys` is. Raises MaulError."""
    versions: list[Version] = []
    more: dict[str, Any] = {}
    for _ in range(2 * (versions_max // _PAGE_KEYS) + _PAGES_SPARE):
        try:
            answer = client.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE_KEYS, **more)
        except AWS_ERRORS as error:
            raise explain(error, where_of(client, bucket), "LIST versions") from error
        entries = (*answer.get("Versions", []), *answer.get("DeleteMarkers", []))
        versions += [Version(entry["Key"], entry["VersionId"]) for entry in entries]
        last = not answer.get("IsTruncated")
        if last or not answer.get("NextKeyMarker") or len(versions) > versions_max:
            return ListedVersions(versions[:versions_max], complete=last and len(versions) <= versions_max)
        more = {"KeyMarker": answer["NextKeyMarker"]}
        if answer.get("NextVersionIdMarker"):
            more["VersionIdMarker"] = answer["NextVersionIdMarker"]
    return ListedVersions(versions[:versions_max], complete=False)


def _bare_session() -> botocore.session.Session:
    """A session that sees neither environment variables nor files."""
    bare = {
        name: (None, None, os.devnull if name in _NO_FILES else default, conversion)
        for name, (_, _, default, conversion) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    session = botocore.session.Session(session_vars=bare)
    session.register_component("data_loader", _loader())
    return session


@functools.cache
def _loader() -> botocore.loaders.Loader:
    """botocore's description of S3, parsed once: it is most of the cost of a client."""
    return botocore.loaders.create_loader()


def _trusted(endpoint: Endpoint) -> bool | str:
    """The CA file to verify against: the system's, as everything else of maul does, not botocore's own."""
    if endpoint.ca is not None:
        return str(endpoint.ca)
    return ssl.get_default_verify_paths().cafile or True


def _verify_as(client: "S3Client", server_name: str) -> None:
    # botocore has no option for it; a test tells when this way is gone
    session = client._endpoint.http_session  # type: ignore[attr-defined]
    pool = session._manager.connection_pool_kw
    pool |= {"server_hostname": server_name, "assert_hostname": server_name}


def _connect_to(client: "S3Client", address: str) -> None:
    """Pin every connection: a name that was checked may mean another address a moment later."""
    manager = client._endpoint.http_session._manager  # type: ignore[attr-defined]
    manager.pool_classes_by_scheme = {
        scheme: _pinned(pool, address) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _pinned(pool: Any, address: str) -> Any:
    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        _dns_host: str

        def _new_conn(self) -> Any:
            named, self._dns_host = self._dns_host, address  # only what is connected to; the certificate's name stays
            try:
                return super()._new_conn()
            finally:
                self._dns_host = named

    return type(f"Pinned{pool.__name__}", (pool,), {"ConnectionCls": Connection})
