"""Fleet: many load servers as one, which links they may fill, and what happens when one is lost."""

from typing import Literal

from pydantic import Field

from maul.campaign.part import Part
from maul.campaign.quantities import Flag, Name, Ratio, Whole


class Caps(Part):
    """Which part of a link may be full, our load and everybody else's together."""

    shared: Ratio = 0.6
    """Of a link that customers use."""
    dedicated: Ratio = 0.8
    """Of a link that only we use."""
    failure: Ratio = 0.9
    """Of any link while one other link, switch or group is down."""
    nic: Ratio = 0.8
    """Of a load server's own card."""
    mitigation: Ratio = 0.7
    """Of the thresholds above which a protection may act."""

    def normal(self, *, shared: bool, every_failure: bool) -> float:
        """Of a link while nothing is down. A link that fails elsewhere leaves this one under the cap of failures."""
        cap = self.shared if shared else self.dedicated
        return min(cap, self.failure) if every_failure else cap


class Fleet(Part):
    """How the load is spread over machines."""

    agents: Literal["auto"] | Whole | tuple[Name, ...] = "auto"
    """`auto`: the plan chooses among the hosts that the site lets us borrow. A number: that many processes of this
    machine. A list: exactly these hosts, whatever the plan thinks of it; it still tells what the links will carry."""
    on_loss: Literal["redistribute", "hold"] = "redistribute"
    """When an agent is lost its share goes to the others, within their ceilings; or stays unsent."""
    caps: Caps = Caps()
    racks_at_least: Whole = Field(default=1, ge=1, le=1000)
    """Load servers stand in so many racks or more."""
    rack_share: Ratio = 1.0
    """No rack sends more than this part of the load."""
    avoid_target_racks: bool = True
    """No load server in a rack that holds part of the target."""
    survive_one_failure: bool = True
    """Every link stays under its cap, too, while any one link, switch or group is down (N-1)."""
    trickle: Ratio = 0.02
    """Part of the load that each rack sends in turn, before the first ramp, to see whether the map of the network is
    true; 0: not at all."""
    trickle_error: Ratio = 0.2
    """By how much a link may carry more or less than predicted."""
    guard: Literal["act", "watch"] = "act"
    """`act`: whoever crosses a link in trouble is cut. `watch`: it is only written down who would be: to see in a lab
    what would have become of customers; refused on a real site whose links customers use."""
    unwatched: Flag = False
    """Send across links that customers use although nothing reads their counters: without this it is refused."""
