"""What the `permit` verbs do beside the document: check it as a run would, place and withdraw its proof."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from maul import campaign as campaigns
from maul.conduct.permission import admit, check_plan, held, read_permit
from maul.conduct.prepare import door_of, place_on_paper, planned_on
from maul.conduct.replay import read_traces
from maul.conduct.target import permit
from maul.core.clock import SystemClock
from maul.core.errors import CampaignError
from maul.core.ids import new_run_id
from maul.guard.permit import Permission
from maul.guard.permit_document import Permit, hash_of
from maul.guard.verified import VerifiedPermit
from maul.hosts.own_place import own_place
from maul.plan import Plan
from maul.record.locate import RUNS_ROOT
from maul.s3.client import make_client
from maul.s3.consent import HEADER, consent_key, dns_name, place, withdraw
from maul.s3.credentials import Credentials, load_credentials
from maul.s3.endpoint import Endpoint
from maul.s3.preflight import preflight_bucket
from maul.site import Site
from maul.site import load as load_site


@dataclass(frozen=True, slots=True)
class Question:
    """What `maul permit check` is asked. `campaign` None: only the permit itself."""

    permit: Path
    campaign: Path | None = None
    site: Path | None = None
    trust: Path | None = None
    consent: bool = False


def check(question: Question, on_step: Callable[[str], None]) -> VerifiedPermit:
    """As a run would check it now. Raises what a run would: PermitError (exit 4), CampaignError (exit 3)."""
    clock = SystemClock()
    verified = read_permit(question.permit, question.trust)
    on_step(f"signed by {', '.join(verified.approved_by)}, all trusted here")
    permission = Permission(own_place(), verified)
    if question.campaign is None:
        if question.consent or question.site is not None:
            raise CampaignError("whom to ask for consent is not known", cure="name the campaign with --campaign")
        return verified
    site, plan = _planned(question, clock.now_ns())
    plan = held(plan, verified)
    check_plan(plan, permission, clock.now_ns())
    on_step(f"campaign {plan.campaign} stays within its caps and its window")
    door = door_of(plan, permission)
    if question.consent:
        admit(plan, site, door, clock, on_step)
    return verified


def _planned(question: Question, now_ns: int) -> tuple[Site, Plan]:
    read = campaigns.load(question.campaign)
    site = place_on_paper(read, question.site)
    return site, planned_on(read, site, new_run_id(now_ns), traces=read_traces(read, RUNS_ROOT))


def how_to_consent(document: Permit) -> Iterator[str]:
    """What the target's owner must place: one of three, for every target."""
    permit_hash = hash_of(document)
    yield f"permit {document.name}, hash {permit_hash}"
    yield "its owner agrees by any one of these, for every target; to withdraw, take it away again:"
    yield "  1. an object that the target serves:"
    yield f"       bucket {document.consent_bucket}, key {consent_key(permit_hash)}, body {permit_hash}"
    yield "  2. a header in its answer to HEAD / :"
    yield f"       {HEADER}: {permit_hash}"
    yield "  3. a TXT record in the DNS:"
    for target in document.targets:
        name = dns_name(target.host)
        shown = f'{name}. TXT "maul-consent={permit_hash}"' if name else "none: an address has no name"
        yield f"       {target.name}: {shown}"


def place_consent(path: Path, site_path: Path, trust: Path | None, *, away: bool) -> str:
    """Write the object that proves consent, or take it `away`, with the site's own credentials. Raises MaulError.

    The permit must be verified, and every address be its own, before anything is sent.
    """
    verified = read_permit(path, trust)
    site = load_site(site_path)
    bucket = verified.permit.consent_bucket
    named = {one.name for one in verified.permit.targets}
    doors = [
        Endpoint(one.name, one.url, Path(one.ca) if one.ca else None, one.server_name)
        for one in site.endpoints
        if one.name in named
    ]
    if not doors:
        raise CampaignError("the site has none of the permit's targets", str(site_path))
    admitted = permit(doors, permission=Permission(own_place(), verified))
    client = make_client(doors[0], _credentials(site), site.region, address=admitted.endpoints[doors[0].name][0])
    if away:
        return f"{bucket}/{withdraw(client, bucket, verified.hash)} is gone"
    preflight_bucket(client, bucket, create=True)
    return f"{bucket}/{place(client, bucket, verified.hash)} is there"


def _credentials(site: Site) -> Credentials | None:
    return load_credentials(Path(site.credentials.file), os.environ) if site.credentials is not None else None
