"""Who is who in a fleet: one authority of its own, one certificate for each agent, the scheduler and the conductor.

A folder of certificates looks like this; keys are readable by their owner only:

    ca.pem  ca.key  conductor.pem  conductor.key  scheduler.pem  scheduler.key  agents/NAME.pem  agents/NAME.key

A host that only carries an agent gets `ca.pem` and its own pair. What a certificate is good for stands in its
subject alternative names, as a URI: `maul://agent/NAME`, `maul://conductor`, `maul://scheduler`.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from maul.campaign.quantities import NAME_PATTERN
from maul.core.errors import CampaignError, MachineError

DAYS = 30
"""How long certificates are good for. A fleet is for a few days of load tests, not for ever."""
NONCE_BYTES = 32
_BACK = timedelta(minutes=10)  # clocks of hosts differ; a certificate must not be too young for one of them
_PROOF = b"maul fleet: proof of a name, version 1\n"
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Identity:
    """One holder of a certificate."""

    role: Literal["agent", "conductor", "scheduler"]
    name: str = ""

    @property
    def uri(self) -> str:
        """As it stands in the certificate."""
        return f"maul://{self.role}/{self.name}" if self.name else f"maul://{self.role}"

    @property
    def stem(self) -> str:
        """Its files in a folder of certificates, without their ending."""
        return f"agents/{self.name}" if self.role == "agent" else self.role


CONDUCTOR = Identity("conductor")
SCHEDULER = Identity("scheduler")


def agent(name: str) -> Identity:
    """The agent of that name. CampaignError when it is no name."""
    if not _NAME.fullmatch(name):
        raise CampaignError(f"{name!r} is not a name for an agent", cure="use a-z 0-9 . _ -, at most 63 of them")
    return Identity("agent", name)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of certificates."""

    path: Path

    @property
    def ca(self) -> Path:
        """The authority's certificate."""
        return self.path / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Who holds it can add agents; it need not leave the machine where it was made."""
        return self.path / "ca.key"

    def certificate(self, who: Identity) -> Path:
        """Where that certificate lies."""
        return self.path / f"{who.stem}.pem"

    def key(self, who: Identity) -> Path:
        """Where its key lies."""
        return self.path / f"{who.stem}.key"

    def check(self, who: Identity, now: datetime | None = None) -> None:
        """MachineError unless everything that `who` needs is here, in force and private."""
        now = now or datetime.now(UTC)
        for path in (self.ca, self.certificate(who), self.key(who)):
            if not path.is_file():
                raise MachineError(
                    f"no certificate for {who.uri}: this file is missing", str(path), "make it: maul fleet init"
                )
        if self.key(who).stat().st_mode & 0o077:
            raise MachineError("others may read this key", str(self.key(who)), f"chmod 600 {self.key(who)}")
        certificate = x509.load_pem_x509_certificate(self.certificate(who).read_bytes())
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise MachineError(
                f"this certificate was good until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
                str(self.certificate(who)),
                "make new ones: maul fleet init --renew",
            )


def init(path: Path, agents: Iterable[str], *, days: int = DAYS, renew: bool = False) -> list[Identity]:
    """Make what is missing: the authority, the scheduler's and the conductor's certificate, one for each agent.

    `renew` makes all anew, the authority included: agents need their new files then. The list names what was made.
    """
    folder = Folder(path)
    wanted = [SCHEDULER, CONDUCTOR, *(agent(name) for name in agents)]
    try:
        for directory in (path, path / "agents"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if renew or not (folder.ca.is_file() and folder.ca_key.is_file()):
            _make_authority(folder, days)
            renew = True
        authority = x509.load_pem_x509_certificate(folder.ca.read_bytes())
        ca_key = _load_key(folder.ca_key)
        made = [who for who in wanted if renew or not _stands(folder, who, authority)]
        for who in made:
            _issue(folder, who, authority, ca_key, days)
    except OSError as error:
        raise MachineError(f"cannot write certificates: {error.strerror}", str(path)) from error
    return made


def _stands(folder: Folder, who: Identity, authority: x509.Certificate) -> bool:
    """Whether `who` has a certificate of this authority that is good for another day."""
    if not (folder.certificate(who).is_file() and folder.key(who).is_file()):
        return False
    certificate = x509.load_pem_x509_certificate(folder.certificate(who).read_bytes())
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)


def _make_authority(folder: Folder, days: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "maul fleet authority")])
    builder = _builder(name, name, key.public_key(), days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
    _write(folder.ca_key, _key_pem(key), 0o600)
    _write(folder.ca, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)


def _issue(
    folder: Folder, who: Identity, authority: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, days: int
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who.name or who.role)])
    builder = _builder(subject, authority.subject, key.public_key(), days)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=False), critical=True)
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = builder.add_extension(both, critical=False)
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(who.uri)])
    builder = builder.add_extension(names, critical=False)
    _write(folder.key(who), _key_pem(key), 0o600)
    pem = builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    _write(folder.certificate(who), pem, 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def prove(folder: Folder, who: Identity, nonce: bytes, context: bytes) -> tuple[bytes, bytes]:
    """Answer a challenge: our certificate (PEM) and a signature that only its key can make."""
    signature = _load_key(folder.key(who)).sign(_said(who, nonce, context), ec.ECDSA(hashes.SHA256()))
    return folder.certificate(who).read_bytes(), signature


def proof_fault(
    ca_pem: bytes,
    who: Identity,
    challenge: tuple[bytes, bytes],
    proof: tuple[bytes, bytes],
    now: datetime | None = None,
) -> str | None:
    """What is wrong with the answer to our challenge (nonce, context); None when it is from `who`."""
    now = now or datetime.now(UTC)
    nonce, context = challenge
    pem, signature = proof
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem))
        public = certificate.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            return "its certificate has another kind of key"
        public.verify(signature, _said(who, nonce, context), ec.ECDSA(hashes.SHA256()))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except InvalidSignature:
        return f"its proof to be {who.uri} is not good"
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return "what it sent as a proof of its name is none"
    if names.get_values_for_type(x509.UniformResourceIdentifier) != [who.uri]:
        return f"its certificate is not that of {who.uri}"
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return "its certificate is out of date"
    return None


def _said(who: Identity, nonce: bytes, context: bytes) -> bytes:
    return _PROOF + who.uri.encode() + b"\n" + nonce + context


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise MachineError("this is not a key that maul made", str(path), "make new ones: maul fleet init --renew")
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file that has its mode from the first byte on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)
