"""The audit's listings as a file of the run directory: what each gateway said is there."""

import json
from collections.abc import Sequence

from maul.verify.listing import Listing


def listings_text(listings: Sequence[Listing]) -> str:
    """JSON."""
    return json.dumps(
        [{"through": one.through, "complete": one.complete, "names": list(one.names)} for one in listings]
    )


def parse_listings(text: str) -> list[Listing]:
    """The reverse."""
    return [Listing(one["through"], one["names"], one["complete"]) for one in json.loads(text)]
