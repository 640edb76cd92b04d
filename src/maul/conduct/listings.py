"""The audit's listings as a file of the run directory: what each gateway said is there."""

import json
from collections.abc import Sequence

from maul.core.errors import CampaignError
from maul.verify.listing import Listing

_CURE = "copy the run directory again"


def listings_text(listings: Sequence[Listing]) -> str:
    """JSON."""
    return json.dumps(
        [
            {"through": one.through, "tenant": one.tenant, "complete": one.complete, "names": list(one.names)}
            for one in listings
        ]
    )


def parse_listings(text: str) -> list[Listing]:
    """The reverse. CampaignError when the text is no listing of ours."""
    try:
        found = [Listing(one["through"], one["names"], one["complete"], one["tenant"]) for one in json.loads(text)]
    except (ValueError, KeyError, TypeError) as error:
        raise CampaignError(f"the listings are damaged: {error!r}", "listings.json", _CURE) from error
    if not all(
        isinstance(one.names, list) and isinstance(one.complete, bool) and type(one.tenant) is int for one in found
    ):
        raise CampaignError("the listings are damaged", "listings.json", _CURE)
    return found
