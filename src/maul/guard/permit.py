"""Permit: who may be hit, decided before any connect. Until permits exist: loopback, and nothing else."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from maul.core.errors import PermitError

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """An endpoint and every address that its host name led to; resolving is the caller's work."""

    name: str
    host: str
    port: int
    addresses: tuple[str, ...]


def check_targets(targets: Sequence[ResolvedTarget], site: str = "") -> None:
    """Nothing when every address of every target may be hit; otherwise PermitError, naming each that may not.

    The caller connects only to the addresses that were checked here. No target at all is refused too.

    >>> check_targets([ResolvedTarget("vip", "127.0.0.1", 8443, ("127.0.0.1",))])
    """
    where = f"site {site}" if site else ""
    if not targets:
        raise PermitError("there is no target to permit", where, "name at least one endpoint")
    refused = [says for target in targets for says in _refusals(target)]
    if refused:
        raise PermitError(
            "not permitted, nothing was sent: " + "; ".join(refused),
            where,
            "maul hits only loopback (127.0.0.0/8, ::1) for now; run it against the lab (`maul lab up`)",
        )


def _refusals(target: ResolvedTarget) -> list[str]:
    door = f"{target.name} ({target.host}:{target.port})"
    if not target.addresses:
        return [f"{door} leads to no address"]
    outside = [address for address in target.addresses if not _is_loopback(address)]
    return [f"{door} leads to {', '.join(outside)}, which is not loopback"] if outside else []


def _is_loopback(address: str) -> bool:
    """Strict on purpose: a mapped address (::ffff:127.0.0.1), a scope (::1%lo), a short form (127.1) is no proof."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if getattr(parsed, "scope_id", None):
        return False
    return any(parsed in network for network in LOOPBACK if network.version == parsed.version)
