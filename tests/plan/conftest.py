"""Plans of the small campaign, with pieces of it replaced."""

from collections.abc import Callable

import pytest
from small_plans import CAMPAIGN, RUN_ID, SITE

from maul import campaign, plan, site
from maul.campaign.model import Campaign
from maul.plan import Plan
from maul.site import Site


@pytest.fixture
def place() -> Site:
    return site.parse(SITE)


@pytest.fixture
def intent() -> Campaign:
    return campaign.parse(CAMPAIGN, "c.yaml")


@pytest.fixture
def planned(place: Site) -> Callable[..., Plan]:
    """Plan the campaign above, with pieces of its text replaced: planned(("old", "new"), …)."""

    def make(*changes: tuple[str, str], cores: int = 4, **more: object) -> Plan:
        text = CAMPAIGN
        for old, new in changes:
            if text.count(old) != 1:
                raise ValueError(f"{old!r} stands {text.count(old)} times in the campaign")
            text = text.replace(old, new)
        return plan.build(campaign.parse(text, "c.yaml"), place, RUN_ID, cores, **more)

    return make
