"""A draft of a permit: what a campaign means to do on a site, written down for those who must agree."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maul import campaign as campaigns
from maul.conduct.permission import senders_of
from maul.conduct.prepare import place_on_paper, planned_on
from maul.conduct.replay import read_traces
from maul.conduct.target import asked_of, resolved
from maul.core.errors import CampaignError
from maul.core.ids import new_run_id
from maul.guard.permit import ResolvedTarget, Sender
from maul.guard.permit_caps import heaviest
from maul.guard.permit_document import (
    Bucket,
    Caps,
    Contact,
    LinkCap,
    Page,
    Permit,
    Sending,
    Target,
    Window,
    moment_of,
)
from maul.guard.permit_text import Trust
from maul.plan import Plan
from maul.record.locate import RUNS_ROOT
from maul.site import Site

_NS = 10**9


@dataclass(frozen=True, slots=True)
class Wish:
    """What a draft cannot take from the plan."""

    campaign: Path | None
    site: Path | None
    now_ns: int
    begins_ns: int
    seconds: float
    contacts: tuple[Contact, ...]
    approvers: tuple[str, ...] = ()
    """Names in the file of trusted approvers; all of them when empty."""
    retrigger: bool = False


def draft(wish: Wish, trust: Trust) -> Permit:
    """The permit that this campaign needs on this site, without signatures. Resolves names, sends nothing else.

    Raises CampaignError, TargetError for a name without an address.
    """
    read = campaigns.load(wish.campaign)
    site = place_on_paper(read, wish.site)
    plan = planned_on(read, site, new_run_id(wish.now_ns), traces=read_traces(read, RUNS_ROOT))
    if plan.seconds > wish.seconds:
        raise CampaignError(
            f"the plan takes about {plan.seconds:,.0f} s, and the window is {wish.seconds:,.0f} s", cure="raise --for"
        )
    targets = [resolved(one.name, one.url) for one in plan.endpoints]
    pages = [resolved(name, url, page=True) for name, url in asked_of(site).items()]
    return Permit(
        version=1,
        name=read.name,
        targets=tuple(_target(plan, one) for one in targets),
        pages=tuple(dict.fromkeys(Page(host=one.host, port=one.port, addresses=one.addresses) for one in pages)),
        generators=tuple(_sending(site, one) for one in senders_of(plan, site, targets)),
        links=_links(plan),
        buckets=tuple(dict.fromkeys(Bucket(bucket=one.bucket) for one in plan.tenants)),
        window=Window(
            not_before=moment_of(wish.begins_ns), not_after=moment_of(wish.begins_ns + math.ceil(wish.seconds) * _NS)
        ),
        retrigger=wish.retrigger,
        resume=plan.mitigation.resume > 0,
        faults=bool(plan.faults),
        contacts=wish.contacts,
        approvers=tuple(one for one in trust.approvers if one.name in _asked(trust, wish.approvers)),
    )


def _asked(trust: Trust, names: Sequence[str]) -> Iterable[str]:
    known = [one.name for one in trust.approvers]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CampaignError(
            f"{', '.join(unknown)} is not among the trusted approvers", cure=f"known: {', '.join(known)}"
        )
    return names or known


def _target(plan: Plan, target: ResolvedTarget) -> Target:
    requests, bits, opened, in_flight = heaviest(plan, target.name)
    caps = Caps(
        requests=float(max(1, math.ceil(requests))),
        bandwidth=float(max(1000, math.ceil(bits / 1000) * 1000)),
        new_connections=float(max(1, math.ceil(opened))),
        in_flight=in_flight,
    )
    return Target(name=target.name, host=target.host, port=target.port, addresses=target.addresses, caps=caps)


def _sending(site: Site, sender: Sender) -> Sending:
    owners = [host.owner for host in site.hosts if host.name in sender.names and host.owner]
    return Sending(name=sender.names[-1], addresses=sender.addresses, owner=owners[0] if owners else "the operator")


def _links(plan: Plan) -> tuple[LinkCap, ...]:
    if plan.fleet is None:
        return ()
    return tuple(
        LinkCap(link=link.name, bandwidth=float(math.ceil(link.ours_bps / 1000) * 1000))
        for link in plan.fleet.links
        if link.ours_bps > 0
    )
