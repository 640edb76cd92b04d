"""Permits for tests: one that is right, and the keys of those who signed it."""

import json
from typing import Any

from maul.core.errors import PermitError
from maul.guard.permit_document import Approver, Permit, as_data
from maul.guard.permit_text import Trust, parse_permit
from maul.guard.signing import new_key, public_key, sign, verify
from maul.guard.verified import VerifiedPermit

KEYS = {name: new_key() for name in ("storage", "network", "security")}
PUBLIC = {name: public_key(key, name) for name, key in KEYS.items()}
NOON = "2026-11-23T12:00:00Z"
NOON_NS = 1_795_435_200 * 10**9
HOUR_NS = 3600 * 10**9

BODY: dict[str, Any] = {
    "version": 1,
    "name": "trial",
    "targets": [
        {
            "name": "vip",
            "host": "s3.example",
            "port": 443,
            "addresses": ["192.0.2.10", "192.0.2.11"],
            "caps": {"requests": "500/s", "bandwidth": "1Gbit/s", "new_connections": 100, "in_flight": 256},
        }
    ],
    "pages": [{"host": "192.0.2.20", "port": 9100, "addresses": ["192.0.2.20"]}],
    "generators": [{"name": "load-1", "addresses": ["198.51.100.0/24"], "owner": "team web"}],
    "buckets": [{"bucket": "maul-test"}],
    "window": {"not_before": NOON, "not_after": "2026-11-23T16:00:00Z"},
    "contacts": [{"name": "on call", "reach": "4711"}],
    "approvers": [{"name": name, "key": PUBLIC[name]} for name in ("storage", "network")],
}


def permit(**changes: Any) -> Permit:
    """The permit above with top-level keys replaced; unsigned."""
    return parse_permit(json.dumps({**BODY, **changes}))


def trust(*names: str, **more: Any) -> Trust:
    return Trust(approvers=tuple(Approver(name=one, key=PUBLIC[one]) for one in names or KEYS), **more)


def signed(document: Permit | None = None, *names: str) -> Permit:
    made = document or permit()
    for name in names or [one.name for one in made.approvers]:
        made = sign(made, KEYS[name], name, "key")
    return made


def verified(**changes: Any) -> VerifiedPermit:
    return verify(signed(permit(**changes)), trust())


def refused(document: Permit, trusted: Trust | None = None) -> str:
    """Why it is refused."""
    try:
        verify(document, trusted or trust())
    except PermitError as error:
        return error.message
    raise AssertionError("it was not refused")


def reparsed(document: Permit, **changes: Any) -> Permit:
    """Somebody edits the file: the same text with keys replaced, signatures kept."""
    return parse_permit(json.dumps({**as_data(document), **changes}))
