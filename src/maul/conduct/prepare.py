"""From files and environment to a plan: everything before the target is touched."""

import os
from pathlib import Path

from maul import __version__
from maul import campaign as campaigns
from maul.conduct.target import Door
from maul.core.clock import Clock, SystemClock
from maul.core.errors import InternalError
from maul.core.ids import new_run_id
from maul.faults.catalogue import FAULTS
from maul.hosts.machine import this_machine
from maul.hosts.places import state_directory
from maul.lab.sketch import sketch_site
from maul.plan import LimitWish, Overrides, Plan, build
from maul.record.calibrations import read_calibration
from maul.s3.credentials import Credentials, load_credentials
from maul.s3.endpoint import Endpoint
from maul.site import Site
from maul.site import load as load_site


def planned(campaign: Path | None, site: Path | None, limit: LimitWish | None = None) -> Plan:
    """The plan of a campaign, for looking at: no lab is started, nothing is sent."""
    clock = SystemClock()
    read = campaigns.load(campaign)
    return planned_on(read, place_on_paper(read, site), new_run_id(clock.now_ns()), clock, limit)


def place_on_paper(campaign: "campaigns.Campaign", site: Path | None) -> Site:
    """The site that a campaign will meet; of the embedded lab a sketch, because it is not up yet."""
    path = site or (Path(campaign.site_path) if campaign.site_path else None)
    return load_site(path) if path is not None else sketch_site()


def planned_on(
    campaign: "campaigns.Campaign", site: Site, run_id: str, clock: Clock, limit: LimitWish | None = None
) -> Plan:
    """The plan of a campaign on a site; with `limit`, of the search of its limit."""
    del clock
    overrides = Overrides(limit=limit)
    return build(
        campaign,
        site,
        run_id,
        os.cpu_count() or 1,
        overrides=overrides,
        fault_kinds=FAULTS,
        calibration=read_calibration(state_directory(), this_machine(), __version__),
    )


def door_of(plan: Plan) -> Door:
    """The plan's endpoints and credentials, read now."""
    return Door(
        endpoints=[
            Endpoint(one.name, one.url, Path(one.ca) if one.ca else None, one.server_name) for one in plan.endpoints
        ],
        bucket=plan.bucket,
        region=plan.region,
        credentials=_credentials(plan),
    )


def _credentials(plan: Plan) -> Credentials | None:
    source = plan.credentials
    if source.kind == "anonymous":
        return None
    if source.kind == "file":
        if source.file is None:
            raise InternalError("the plan names no credentials file", "plan.json")
        return load_credentials(Path(source.file), os.environ)
    access, secret = source.access_key_env, source.secret_key_env
    if access is None or secret is None:
        raise InternalError("the plan names no variables for its credentials", "plan.json")
    return load_credentials(None, os.environ, (access, secret))
