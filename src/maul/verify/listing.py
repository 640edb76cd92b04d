"""What a gateway lists under the run's prefix, against the ledger."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from maul.core.operation import REGION_LETTERS, REGION_SHIFT, key_name
from maul.core.summary import Finding
from maul.verify.ledger import Ledger, Numbers

_REGIONS = {letter: int(region) << REGION_SHIFT for region, letter in REGION_LETTERS.items()}
_NAME = re.compile(f"([{''.join(_REGIONS)}])([0-9a-f]{{12,14}})")


@dataclass(frozen=True, slots=True)
class Listing:
    """The names under the run's prefix, as one gateway lists them; not `complete`: absence proves nothing."""

    through: str
    names: Sequence[str]
    complete: bool = True
    tenant: int = 0


def compare(
    ledger: Ledger, listing: Listing, key_prefix: str, findings_max: int
) -> tuple[dict[str, int], list[Finding]]:
    """How many are unlisted (must be there, are not), ghost (listed, must be gone), phantom (never ours).

    Also a description of the first of each.
    """
    keys, strangers = _keys_of(listing.names, key_prefix)
    places = ledger.key_places(keys)
    unknown = keys[(places < 0) & ~ledger.unheard.may_have_made(keys)]
    ghosts = keys[places >= 0][~ledger.present_ok[places[places >= 0]]]
    unlisted = np.setdiff1d(ledger.must_exist(), keys) if listing.complete else np.empty(0, np.uint64)

    findings: list[Finding] = []
    for kind, wrong, found in (
        ("unlisted", unlisted, "not in the listing"),
        ("ghost", ghosts, "in the listing"),
        ("phantom", unknown, "in the listing"),
    ):
        findings += [
            Finding(
                kind=kind,
                key=key_name(key_prefix, int(key)),
                through=listing.through,
                expected=ledger.explain(int(key)),
                found=found,
            )
            for key in wrong[:findings_max]
        ]
    findings += [
        Finding(kind="phantom", key=name, through=listing.through, expected="no such name", found="in the listing")
        for name in strangers[:findings_max]
    ]
    counts = {"unlisted": len(unlisted), "ghost": len(ghosts), "phantom": len(unknown) + len(strangers)}
    return counts, findings


def _keys_of(names: Iterable[str], prefix: str) -> tuple[Numbers, list[str]]:
    """The key numbers of the names that we could have given, sorted; and the other names."""
    keys: set[int] = set()
    strangers: list[str] = []
    for name in names:
        match = _NAME.fullmatch(name, len(prefix)) if name.startswith(prefix) else None
        if match is None:
            strangers.append(name)
        else:
            keys.add(_REGIONS[match[1]] | int(match[2], 16))
    return np.array(sorted(keys), np.uint64), strangers
