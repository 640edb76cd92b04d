"""Which events of a run go into its audit log, and how: what maul sent, broke and healed. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maul.core.event import Edge, EventKind
from maul.record.audit import ENDED

_SENT = (
    "offered", "started", "ok", "fail", "unknown", "dropped", "withheld", "bytes_sent", "bytes_received", "opened",
    "elapsed_s", "stop_reason", "tenants", "agents", "generators",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """One entry to be. `lasting`: it must be on the disk before anything else happens."""

    what: str
    details: dict[str, Any]
    lasting: bool = False


_WHAT: dict[tuple[str, str], tuple[str, bool]] = {
    (EventKind.RUN, Edge.BEGAN): ("run began", True),
    (EventKind.RUN, Edge.ENDED): (ENDED, True),
    (EventKind.PHASE, Edge.BEGAN): ("phase began", False),
    (EventKind.PHASE, Edge.ENDED): ("phase ended", True),
    (EventKind.FAULT, Edge.BEGAN): ("fault injected", True),
    (EventKind.FAULT, Edge.ENDED): ("fault over", True),
    (EventKind.FAULT, Edge.INSTANT): ("fault not injected", False),
    (EventKind.TRIAL, Edge.BEGAN): ("trial began", False),
    (EventKind.AGENT, Edge.BEGAN): ("agent began", False),
    (EventKind.AGENT, Edge.ENDED): ("agent ended", False),
    (EventKind.AGENT, Edge.INSTANT): ("agent", False),
    (EventKind.NOTE, Edge.INSTANT): ("note", False),
}


def audited(kind: str, edge: str, details: Mapping[str, Any]) -> Words | None:
    """What an event says in the audit log; None when it is nothing that maul did."""
    if kind == EventKind.GUARD:
        return Words("guard", dict(details), lasting=True)
    found = _WHAT.get((kind, edge))
    if found is None:
        return None
    what, lasting = found
    kept = dict(details)
    if what == "phase ended":
        kept = {"kind": details.get("kind", ""), "sent": _sent(details.get("status"))}
    elif what == "fault over":
        summary = details.get("summary")
        kept = dict(summary) if isinstance(summary, Mapping) else kept
        what = "fault healed" if kept.get("healed", False) else "fault NOT HEALED"
    return Words(what, kept, lasting)


def _sent(status: object) -> object:
    """Counts only, of all generators together and of each."""
    if not isinstance(status, Mapping):
        return {}
    return {
        name: {of: _sent(one) for of, one in value.items()} if isinstance(value, Mapping) else value
        for name, value in status.items()
        if name in _SENT
    }
