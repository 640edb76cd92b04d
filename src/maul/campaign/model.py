"""Campaign: the whole intent of a run, as one frozen value."""

from typing import Literal

from pydantic import Field, PrivateAttr

from maul.campaign.model_faults import Fault
from maul.campaign.model_fleet import Fleet
from maul.campaign.model_judgement import CheckName, Objective
from maul.campaign.model_limits import Limits, Load
from maul.campaign.model_mitigation import Mitigation
from maul.campaign.model_phases import Phase
from maul.campaign.model_requests import Requests
from maul.campaign.model_search import LimitSearch
from maul.campaign.model_target import Target
from maul.campaign.model_tenants import Tenant
from maul.campaign.model_workload import Workload
from maul.campaign.part import Part
from maul.campaign.quantities import Name, Seed
from maul.campaign.yaml_source import YamlSource

LAB = "lab"  # the value of `site` that means the embedded cluster


class Campaign(Part):
    """What to do to which target, and what to ask of it. Where it happens is the site's business."""

    version: Literal[1]
    """The version of this format."""
    name: Name
    """What reports call the run."""
    site: str = Field(default=LAB, min_length=1, max_length=4096)
    """`lab` for the embedded cluster, or the path of a site file, relative to this file."""
    target: Target
    workload: Workload
    requests: Requests = Requests()
    tenants: tuple[Tenant, ...] = Field(default=(), max_length=32)
    """Several customers at once; one, that does all of `workload`, when absent."""
    load: Load = Load()
    fleet: Fleet | None = None
    """Spread the load over many machines; None: this process alone makes it."""
    permit: str | None = Field(default=None, min_length=1, max_length=4096)
    """A signed permit (`maul permit`), relative to this file. Loopback and maul's own lab need none; a campaign that
    names one is held to it there, too."""
    mitigation: Mitigation = Mitigation()
    """What to do when somebody upstream drops us."""
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=100)
    """In order; names are unique."""
    faults: tuple[Fault, ...] = Field(default=(), max_length=100)
    objectives: tuple[Objective, ...] = Field(default=(), max_length=100)
    checks: tuple[CheckName, ...] = Field(default=tuple(CheckName), min_length=1)
    """Questions asked of the record; all of them when absent."""
    limit: LimitSearch = LimitSearch()
    """How `maul limit` searches; `maul beat` does not look at it."""
    limits: Limits = Limits()
    seed: Seed = 1
    """All randomness of the run comes from it."""

    _source: YamlSource | None = PrivateAttr(default=None)

    @property
    def source(self) -> YamlSource | None:
        """The text and the places that it was read from; None when it was made in code."""
        return self._source

    @property
    def text(self) -> str:
        """The campaign as it was written; empty when it was not read from text."""
        return self._source.text if self._source else ""

    @property
    def site_path(self) -> str | None:
        """The path of the site file as seen from the working directory; None for the embedded lab."""
        if self.site == LAB:
            return None
        return self._source.beside(self.site) if self._source else self.site

    @property
    def permit_path(self) -> str | None:
        """The path of the permit as seen from the working directory; None when none is named."""
        if self.permit is None:
            return None
        return self._source.beside(self.permit) if self._source else self.permit

    def where(self, *path: str | int) -> str:
        """`file:line:column` of a key, by its path in YAML keys, for messages.

        >>> from maul.campaign import load
        >>> load().where("limits", "requests").startswith("first.yaml:")
        True
        """
        return self._source.where(path) if self._source else ""
