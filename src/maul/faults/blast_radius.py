"""Blast radius: would this fault hurt more than the cluster promises to survive? Pure."""

from collections.abc import Iterable

from maul.site.model import Redundancy, Site


def refusal(site: Site, target: str, hurt: Iterable[str]) -> str | None:
    """Why `target` must not be hurt while `hurt` are; None when the cluster promises to survive it.

    `hurt` are the services that are hurt or down already, by name. The promise is the site's `redundancy`: so
    many failure domains (racks or hosts) may be hurt at once. Within a domain that is hurt already, more may
    be hurt. Besides, the target's role must still do its work: a majority of masters, `copies` domains with a
    volume server, one filer, gateway or balancer.
    """
    hurt_now = {*hurt, target}
    unknown = sorted(hurt_now - {service.name for service in site.services})
    if unknown:
        return f"{', '.join(unknown)}: the site has no such service"
    promised = site.redundancy
    if promised is None:
        return "the site does not say what the cluster survives (redundancy)"
    domains = sorted({site.failure_domain(site.service(name)) for name in hurt_now})
    if len(domains) > promised.survives:
        return (
            f"that would hurt {len(domains)} {promised.across}s at once ({', '.join(domains)}); "
            f"the cluster promises to survive {promised.survives}"
        )
    return _role_refusal(site, promised, site.service(target).role, hurt_now)


def _role_refusal(site: Site, promised: Redundancy, role: str, hurt: set[str]) -> str | None:
    peers = site.services_of(role)
    left = [service for service in peers if service.name not in hurt]
    needed, have, unit = 1, len(left), f"{role}s"
    if role == "master":
        needed = len(peers) // 2 + 1
    elif role == "volume":
        needed = promised.copies
        have = len({site.failure_domain(service) for service in left})
        unit = f"{promised.across}s with a volume server"
    return f"that would leave {have} {unit}; the cluster needs {needed}" if have < needed else None
