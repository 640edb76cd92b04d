"""Asking a target whether it agrees: an object, a response header, a record in the DNS. Guard judges the answers."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore import exceptions as aws

from maul.core.consent import ConsentAnswer, Way
from maul.core.errors import MaulError
from maul.s3.client import make_client, where_of
from maul.s3.credentials import Credentials
from maul.s3.dns_txt import Server, system_servers, txt_records
from maul.s3.endpoint import Endpoint, Url
from maul.s3.errors import AWS_ERRORS, explain
from maul.s3.fetch import Way as Reach
from maul.s3.fetch import head

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HEADER = "x-maul-consent"
FOLDER = ".maul-consent/"
"""Keys of consent begin with it; the permit's hash follows."""
DNS_LABEL = "_maul."
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_BODY_BYTES_MAX = 4096
_NOT_THERE = (301, 400, 403, 404, 405, 410)
TIMEOUT_S = 3.0


def consent_key(permit_hash: str) -> str:
    """The key of the object that proves consent."""
    return FOLDER + permit_hash


def dns_name(host: str) -> str | None:
    """Where the record of a host stands; None for an address, which has none."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return DNS_LABEL + host
    return None


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks one endpoint, at the one address that was checked."""

    endpoint: Endpoint
    address: str
    bucket: str
    credentials: Credentials | None
    region: str
    servers: tuple[Server, ...] | None = None
    """Resolvers; None: those of this machine."""
    timeout_s: float = TIMEOUT_S

    def ask(self, permit_hash: str) -> Iterator[ConsentAnswer]:
        """Each way in turn; who has seen enough need not go on. Never raises for what a target or resolver does."""
        ways: tuple[tuple[Way, Callable[[], ConsentAnswer]], ...] = (
            (Way.OBJECT, lambda: self._object(permit_hash)),
            (Way.HEADER, self._header),
            (Way.DNS, self._dns),
        )
        for way, asked in ways:
            try:
                yield asked()
            except (MaulError, OSError) as error:
                says = error.what if isinstance(error, MaulError) else str(error)
                yield ConsentAnswer(self.endpoint.name, way, (), False, says)

    def _object(self, permit_hash: str) -> ConsentAnswer:
        key = consent_key(permit_hash)
        client = self._client()
        try:
            answer = client.get_object(Bucket=self.bucket, Key=key)
            body = answer["Body"].read(_BODY_BYTES_MAX)
        except aws.ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            says = f"{self.bucket}/{key}: status {status}"
            return ConsentAnswer(self.endpoint.name, Way.OBJECT, (), status in _NOT_THERE, says)
        except AWS_ERRORS as error:
            raise explain(error, where_of(client, self.bucket), "GET") from error
        found = _hashes(body.decode("ascii", errors="replace"))
        return ConsentAnswer(self.endpoint.name, Way.OBJECT, found, True, f"{self.bucket}/{key} is there")

    def _header(self) -> ConsentAnswer:
        reach = Reach(self.endpoint.ca, self.address, self.endpoint.server_name)
        status, headers = head(f"{self.endpoint.url}/", self.timeout_s, reach)
        value = headers.get(HEADER)
        says = f"HEAD / has no {HEADER} (status {status})" if value is None else f"HEAD / has an {HEADER}"
        return ConsentAnswer(self.endpoint.name, Way.HEADER, _hashes(value or ""), status < 500, says)

    def _dns(self) -> ConsentAnswer:
        name = dns_name(Url.parse(self.endpoint.url).host)
        if name is None:
            return ConsentAnswer(self.endpoint.name, Way.DNS, (), True, "an address has no name in the DNS")
        servers = system_servers() if self.servers is None else self.servers
        records = txt_records(name, servers, self.timeout_s)
        found = tuple(one for record in records if record.startswith("maul-consent=") for one in _hashes(record))
        return ConsentAnswer(self.endpoint.name, Way.DNS, found, True, f"{name} has {len(found)} records of consent")

    def _client(self) -> "S3Client":
        return make_client(self.endpoint, self.credentials, self.region, self.timeout_s, self.address)


def place(client: "S3Client", bucket: str, permit_hash: str) -> str:
    """Write the object that proves consent; its key. Raises MaulError."""
    key = consent_key(permit_hash)
    try:
        client.put_object(Bucket=bucket, Key=key, Body=f"{permit_hash}\n".encode(), ContentType="text/plain")
    except AWS_ERRORS as error:
        raise explain(error, where_of(client, bucket), "PUT") from error
    return key


def withdraw(client: "S3Client", bucket: str, permit_hash: str) -> str:
    """Delete that object; its key. Raises MaulError."""
    key = consent_key(permit_hash)
    try:
        client.delete_object(Bucket=bucket, Key=key)
    except AWS_ERRORS as error:
        raise explain(error, where_of(client, bucket), "DELETE") from error
    return key


def _hashes(text: str) -> tuple[str, ...]:
    return tuple(_HASH.findall(text.lower()))
