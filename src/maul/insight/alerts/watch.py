"""What of a site tells that an address is black-holed: who probes it, who proves that the rest is well, who counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from maul.core.errors import CampaignError
from maul.insight.alerts.promql import Selector, any_of, quoted
from maul.site import Site
from maul.site.model import Endpoint, Host, Service
from maul.site.model_network import Vip

PLACEHOLDER = "PLACEHOLDER"
BLACKBOX_JOB = "blackbox"
METRICS_PORT = 8404
"""Where HAProxy's page usually is."""


@dataclass(frozen=True, slots=True)
class Balancer:
    """One that serves the address. `instance`: Prometheus' name of its metrics page."""

    name: str
    instance: str
    known: bool
    metrics_url: str
    table: str | None
    """The nftables table that counts what comes in for the address, where there is one."""
    ssh: tuple[str, ...]
    """The words that reach its machine."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One public address, and everything that can be known of it. `elsewhere` is `control`, `inside` or nothing."""

    name: str
    endpoint: Endpoint
    address: str
    probes: tuple[Selector, ...]
    controls: tuple[Selector, ...]
    control_endpoints: tuple[Endpoint, ...]
    elsewhere: str
    balancers: tuple[Balancer, ...]
    shared: tuple[str, ...]
    """Other public addresses of the same balancers."""

    @property
    def instances(self) -> str:
        """The matcher of the balancers' metrics pages."""
        return any_of("instance", [one.instance for one in self.balancers])

    @property
    def guesses(self) -> tuple[str, ...]:
        """What the site does not say, in words."""
        return tuple(_guesses(self))


def watches(site: Site) -> tuple[Watch, ...]:
    """One for each public address that is loaded. CampaignError where there is none."""
    doors = [one for one in site.endpoints if one.kind == "balancer"]
    if not doors:
        raise CampaignError(
            "this site has no endpoint of kind balancer",
            site.where("endpoints"),
            "name the public address of the balancers: its black hole is what the alert is about",
        )
    if not site.services_of("balancer"):
        raise CampaignError(
            "this site has no service of role balancer",
            site.where("services"),
            "name the balancers with their metrics: without them nobody knows whether packets still come in",
        )
    serving = {door.name: _serving(site, door) for door in doors}
    return tuple(_watch(site, door, serving) for door in doors)


def _watch(site: Site, door: Endpoint, serving: dict[str, tuple[Service, ...]]) -> Watch:
    vip = next(_vips(site, door), None)
    own = set(serving[door.name])
    controls, endpoints, elsewhere = _elsewhere(site)
    return Watch(
        name=vip.name if vip is not None else door.name,
        endpoint=door,
        address=vip.address if vip is not None else door.host,
        probes=_asked(site, "external", door) or (_guess(door.url),),
        controls=controls,
        control_endpoints=endpoints,
        elsewhere=elsewhere,
        balancers=tuple(_balancer(site, one) for one in serving[door.name]),
        shared=tuple(other for other, of in serving.items() if other != door.name and own & set(of)),
    )


def _vips(site: Site, door: Endpoint) -> Iterator[Vip]:
    yield from (one for one in (site.network.vips if site.network is not None else ()) if one.endpoint == door.name)


def _serving(site: Site, door: Endpoint) -> tuple[Service, ...]:
    """The balancers behind a door: those on its hosts, else those it names, else all."""
    everybody = site.services_of("balancer")
    hosts = {host for vip in _vips(site, door) for host in vip.hosts}
    named = {one.service for one in site.vantage.balancers}
    on_hosts = [one for one in everybody if one.host in hosts or (one.name in named and hosts)]
    return tuple(on_hosts or [one for one in everybody if one.name in door.serves] or everybody)


def _asked(site: Site, role: str, door: Endpoint | None = None) -> tuple[Selector, ...]:
    """What Prometheus already knows of lookouts of this role."""
    return tuple(
        Selector(one.selector, True, site.endpoint(one.endpoint).url)
        for one in site.vantage.lookouts
        if one.role == role and one.selector is not None and (door is None or one.endpoint == door.name)
    )


def _guess(url: str) -> Selector:
    """As a blackbox exporter is usually scraped."""
    return Selector(f"job={quoted(BLACKBOX_JOB)}, instance={quoted(url)}", False, url)


def _elsewhere(site: Site) -> tuple[tuple[Selector, ...], tuple[Endpoint, ...], str]:
    """Who proves that the balancers are well: the control address, or else their address within the cluster."""
    for role, kind in (("control", "control"), ("inside", "private")):
        endpoints = tuple(one for one in site.endpoints if one.kind == kind)
        known = _asked(site, role)
        if known or endpoints:
            return known or tuple(_guess(one.url) for one in endpoints), endpoints, role
    return (_guess(f"https://{PLACEHOLDER}-control-address"),), (), ""


def _balancer(site: Site, service: Service) -> Balancer:
    host = site.host(service.host)
    port = METRICS_PORT
    url = service.metrics or f"http://{host.address}:{port}/metrics"
    counters = next((one for one in site.vantage.balancers if one.service == service.name), None)
    return Balancer(
        name=service.name,
        instance=_instance(url),
        known=service.metrics is not None,
        metrics_url=url,
        table=counters.table if counters is not None else None,
        ssh=_ssh(host),
    )


def _instance(url: str) -> str:
    """Prometheus' name of a scraped page: host and port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _ssh(host: Host) -> tuple[str, ...]:
    if host.ssh is None:
        return ("ssh", host.address)
    port = () if host.ssh.port == 22 else ("-p", str(host.ssh.port))
    user = f"{host.ssh.user}@" if host.ssh.user is not None else ""
    return ("ssh", *port, f"{user}{host.ssh.address or host.address}")


def _guesses(watch: Watch) -> Iterator[str]:
    if any(not one.known for one in watch.probes):
        yield (
            f"nobody outside probes {watch.endpoint.url} by Prometheus (vantage.lookouts, role external): "
            f'job="{BLACKBOX_JOB}" is the usual name of a blackbox exporter'
        )
    if not watch.elsewhere:
        yield "there is no control address (endpoint of kind control): without one the alert can never ring"
    elif any(not one.known for one in watch.controls):
        yield f"nobody probes the {_kind(watch.elsewhere)} by Prometheus (vantage.lookouts, role {watch.elsewhere})"
    for one in watch.balancers:
        if not one.known:
            yield f"the metrics page of {one.name} is not named (services.metrics): {one.instance} is a guess"
    if watch.shared:
        yield (
            f"the balancers also serve {', '.join(watch.shared)}: name this address's own frontends by proxy=, or "
            "traffic of the others hides the hole"
        )


def _kind(elsewhere: str) -> str:
    return {"control": "control address", "inside": "balancers' private address"}[elsewhere]


def names(of: Sequence[Balancer]) -> str:
    """The balancers' names in a sentence."""
    return ", ".join(one.name for one in of)
