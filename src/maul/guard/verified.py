"""VerifiedPermit: a permit whose signatures were checked. Only `signing.verify` makes one."""

from dataclasses import dataclass

from maul.guard.permit_document import Permit


@dataclass(frozen=True, slots=True)
class VerifiedPermit:
    """A permit, its hash, and who signed it."""

    permit: Permit
    hash: str
    approved_by: tuple[str, ...]
