"""From files and environment to a plan: everything before the target is touched."""

import os
from collections.abc import Mapping
from pathlib import Path

from maul import __version__
from maul import campaign as campaigns
from maul.conduct.earlier_runs import learnt_before
from maul.conduct.permission import held, permit_of
from maul.conduct.replay import read_traces
from maul.conduct.target import Account, Door
from maul.core.clock import SystemClock
from maul.core.errors import InternalError
from maul.core.ids import new_run_id
from maul.faults.catalogue import FAULTS
from maul.guard.permit import Permission
from maul.hosts.machine import this_machine
from maul.hosts.places import state_directory
from maul.lab.sketch import sketch_site
from maul.plan import LimitWish, Overrides, Plan, Trace, build
from maul.plan.ground import TraceKey
from maul.plan.model import CredentialsPlan
from maul.plan.protecting import with_earlier
from maul.plan.replays import NO_TRACES
from maul.record.calibrations import read_calibration
from maul.record.locate import RUNS_ROOT
from maul.s3.credentials import Credentials, load_credentials
from maul.s3.endpoint import Endpoint
from maul.s3.preflight import BucketWishes
from maul.site import Site
from maul.site import load as load_site


def planned(
    campaign: Path | None, site: Path | None, limit: LimitWish | None = None, trust: Path | None = None
) -> Plan:
    """The plan of a campaign, for looking at: no lab is started, nothing is sent."""
    read = campaigns.load(campaign)
    traces = read_traces(read, RUNS_ROOT)
    plan = planned_on(read, place_on_paper(read, site), new_run_id(SystemClock().now_ns()), limit, traces)
    learnt = learnt_before(plan.target, RUNS_ROOT)
    plan = with_earlier(plan, learnt.brackets, learnt.detect_s)
    return held(plan, permit_of(read, trust))


def place_on_paper(campaign: "campaigns.Campaign", site: Path | None) -> Site:
    """The site that a campaign will meet; of the embedded lab a sketch, because it is not up yet."""
    path = site or (Path(campaign.site_path) if campaign.site_path else None)
    return load_site(path) if path is not None else sketch_site()


def planned_on(
    campaign: "campaigns.Campaign",
    site: Site,
    run_id: str,
    limit: LimitWish | None = None,
    traces: Mapping[TraceKey, Trace] = NO_TRACES,
) -> Plan:
    """The plan of a campaign on a site; with `limit`, of the search of its limit."""
    overrides = Overrides(limit=limit)
    return build(
        campaign,
        site,
        run_id,
        os.cpu_count() or 1,
        overrides=overrides,
        fault_kinds=FAULTS,
        calibration=read_calibration(state_directory(), this_machine(), __version__),
        traces=traces,
    )


def door_of(plan: Plan, permission: Permission) -> Door:
    """The plan's endpoints and its tenants' credentials, read now."""
    return Door(
        permission=permission,
        endpoints=[
            Endpoint(one.name, one.url, Path(one.ca) if one.ca else None, one.server_name) for one in plan.endpoints
        ],
        region=plan.region,
        accounts=[
            Account(
                bucket=tenant.bucket,
                prefix=tenant.prefix,
                credentials=_credentials(tenant.credentials),
                name=tenant.name,
                wishes=BucketWishes(versioning=tenant.versioning, object_lock=tenant.object_lock),
            )
            for tenant in plan.tenants
        ],
    )


def _credentials(source: CredentialsPlan) -> Credentials | None:
    if source.kind == "anonymous":
        return None
    if source.kind == "file":
        if source.file is None:
            raise InternalError("the plan names no credentials file", "plan.json")
        return load_credentials(Path(source.file), os.environ)
    access, secret = source.access_key_env, source.secret_key_env
    if access is None or secret is None:
        raise InternalError("the plan names no variables for its credentials", "plan.json")
    return load_credentials(None, os.environ, (access, secret, source.session_token_env))
