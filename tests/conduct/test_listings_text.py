"""What each gateway listed, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from maul.conduct.listings import listings_text, parse_listings
from maul.core.errors import CampaignError
from maul.verify.listing import Listing

names = some.text(some.characters(exclude_categories=["Cs"]), max_size=12)
listings = some.builds(Listing, names, some.lists(names, max_size=4), some.booleans())


@given(some.lists(listings, max_size=3))
def test_round_trip(given_):
    assert parse_listings(listings_text(given_)) == given_


@pytest.mark.parametrize("text", ["", "{", "{}x", '{"through": 1}', "[1]", '[{"through": "a", "names": []}]'])
def test_what_is_no_listing_is_refused(text):
    with pytest.raises(CampaignError, match="damaged"):
        parse_listings(text)
