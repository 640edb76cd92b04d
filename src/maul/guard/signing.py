"""Signatures of permits: ed25519, each over the approver's name and the permit's hash. Pure but for the random key."""

import base64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from maul.core.errors import CampaignError, PermitError
from maul.guard.permit_document import KEY_PREFIX, Permit, Signature, hash_of
from maul.guard.permit_text import Trust
from maul.guard.verified import VerifiedPermit


def new_key() -> bytes:
    """A new private key, as PEM (PKCS #8)."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_key(private_pem: bytes, where: str) -> str:
    """The public key of a private one, as permits and the file of trusted approvers name it. CampaignError."""
    key = _private(private_pem, where).public_key()
    return KEY_PREFIX + base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def signed_message(name: str, permit_hash: str) -> bytes:
    """The bytes that an approver signs: what for, who, which permit; a line each."""
    return f"maul permit 1\n{name}\n{permit_hash}\n".encode()


def sign(permit: Permit, private_pem: bytes, name: str, where: str) -> Permit:
    """The permit with this approver's signature in it, instead of an older one of the same name.

    CampaignError: the permit does not ask this approver, or asks for another key.
    """
    approver = next((one for one in permit.approvers if one.name == name), None)
    if approver is None:
        asked = ", ".join(one.name for one in permit.approvers)
        raise CampaignError(f"this permit does not ask {name!r} to sign", where, f"it asks: {asked}")
    if approver.key != public_key(private_pem, where):
        raise CampaignError(
            f"this is not the key that the permit names for {name}",
            where,
            f"sign with the private half of {approver.key}, or make a new draft",
        )
    value = _private(private_pem, where).sign(signed_message(name, hash_of(permit)))
    made = Signature(by=name, signature=base64.b64encode(value).decode())
    others = tuple(one for one in permit.signatures if one.by != name)
    return permit.model_copy(update={"signatures": tuple(sorted((*others, made), key=lambda one: one.by))})


def verify(permit: Permit, trust: Trust, where: str = "") -> VerifiedPermit:
    """The permit, once every approver that it names is trusted and has signed this. PermitError, all reasons."""
    problems = list(_problems(permit, trust))
    if problems:
        raise PermitError(
            "not permitted, nothing was sent: " + "; ".join(problems),
            where,
            "every approver signs again with: maul permit sign FILE --key KEY --as NAME",
        )
    return VerifiedPermit(permit, hash_of(permit), tuple(one.name for one in permit.approvers))


def _problems(permit: Permit, trust: Trust) -> list[str]:
    found = []
    trusted = {one.name: one.key for one in trust.approvers}
    named = {one.name: one for one in permit.approvers}
    signatures = {one.by: one.signature for one in permit.signatures}
    permit_hash = hash_of(permit)
    for name, approver in named.items():
        if name not in trusted:
            found.append(f"approver {name} is not trusted on this machine")
        elif trusted[name] != approver.key:
            found.append(f"approver {name} has another key here than in the permit")
        elif name not in signatures:
            found.append(f"{name} has not signed")
        elif not _holds(approver.key, signed_message(name, permit_hash), signatures[name]):
            found.append(f"the signature of {name} is not of this permit: it was changed, or another one was signed")
    found += [f"it is signed by {name}, who is no approver of it" for name in signatures if name not in named]
    found += [f"{name} must approve, and the permit does not ask" for name in trust.required if name not in named]
    if len(named) < trust.at_least:
        found.append(f"{len(named)} approved, and this machine asks for {trust.at_least}")
    return found


def _holds(key: str, message: bytes, signature: str) -> bool:
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix(KEY_PREFIX)))
    try:
        public.verify(base64.b64decode(signature), message)
    except InvalidSignature:
        return False
    return True


def _private(pem: bytes, where: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):  # the library's message may quote the text
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise CampaignError(
            "is no private key of maul (ed25519, PEM, without a passphrase)", where, "make one: maul permit keygen"
        )
    return key
