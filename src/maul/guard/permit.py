"""The door: who may be hit, decided before any connect. Loopback, maul's own lab, or what a verified permit names."""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maul.core.errors import PermitError
from maul.core.units import show_duration
from maul.guard.own_lab import is_lab_address, is_own_lab
from maul.guard.permit_document import Page, Permit, Sending, Target, moment_of
from maul.guard.verified import VerifiedPermit
from maul.hosts.own_place import OwnPlace

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_CURE = (
    "maul hits loopback and its own lab (`maul lab up`); anything else needs a signed permit in the campaign "
    "(`maul permit draft`, docs/concepts/permit.md)"
)


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """An endpoint and every address that its host name led to; resolving is the caller's work."""

    name: str
    host: str
    port: int
    addresses: tuple[str, ...]
    page: bool = False
    """Only read now and then, as health pages and metrics are; never loaded."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A generator: its name (and its host's, in the site), and the addresses that it sends from."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]


NOWHERE = OwnPlace()


@dataclass(frozen=True, slots=True)
class Permission:
    """What allows a run to send: where it is, and its permit, if its campaign names one."""

    place: OwnPlace = NOWHERE
    permit: VerifiedPermit | None = None


LOOPBACK_ONLY = Permission()


def check_targets(targets: Sequence[ResolvedTarget], site: str = "", permission: Permission = LOOPBACK_ONLY) -> None:
    """Nothing when every address of every target may be hit; otherwise PermitError, naming each that may not.

    With a permit nothing but what it names is allowed, loopback and the lab included. The caller connects only to the
    addresses that were checked here. No target at all is refused too.

    >>> check_targets([ResolvedTarget("vip", "127.0.0.1", 8443, ("127.0.0.1",))])
    """
    where = f"site {site}" if site else ""
    if not targets:
        raise PermitError("there is no target to permit", where, "name at least one endpoint")
    refused = [says for target in targets for says in _refusals(target, permission)]
    if refused:
        cure = (
            _CURE if permission.permit is None else "correct the site, or have a new permit signed: `maul permit draft`"
        )
        raise PermitError("not permitted, nothing was sent: " + "; ".join(refused), where, cure)


def check_window(permit: VerifiedPermit, now_ns: int, seconds: float) -> None:
    """Nothing when a run that begins now and takes so long lies within the window; otherwise PermitError."""
    window = permit.permit.window
    if now_ns < window.not_before_ns:
        says = f"it does not hold before {window.not_before}, and it is {moment_of(now_ns)}"
    elif now_ns >= window.not_after_ns:
        says = f"it expired at {window.not_after}, and it is {moment_of(now_ns)}"
    elif now_ns + seconds * 1e9 > window.not_after_ns:
        left = show_duration((window.not_after_ns - now_ns) / 1e9)
        says = f"the run takes {show_duration(seconds)}, and it expires in {left}, at {window.not_after}"
    else:
        return
    raise PermitError(f"permit {permit.permit.name}: {says}", cure="wait, plan less, or have a new permit signed")


def expired(permit: VerifiedPermit, now_ns: int) -> str | None:
    """Why it does not hold any more, in words; None while it does."""
    if now_ns < permit.permit.window.not_after_ns:
        return None
    return f"the permit {permit.permit.name} expired at {permit.permit.window.not_after}"


def check_senders(permit: VerifiedPermit, senders: Sequence[Sender]) -> None:
    """Nothing when every generator is in the permit's list; otherwise PermitError, naming each that is not."""
    refused = [one for one in senders if not any(_may_send(entry, one) for entry in permit.permit.generators)]
    if refused:
        shown = "; ".join(f"{'/'.join(one.names)} ({', '.join(one.addresses) or 'no address'})" for one in refused)
        raise PermitError(
            f"permit {permit.permit.name}: these generators are not in its list: {shown}",
            cure="send from those that it names, or have a new permit signed",
        )


def strayed(permit: VerifiedPermit, targets: Sequence[ResolvedTarget]) -> str | None:
    """Why names lead elsewhere now than the permit allows; None while they do not."""
    refused = [says for target in targets for says in _not_in_permit(target, permit.permit)]
    return "; ".join(refused) or None


def may_be_hit(address: str) -> bool:
    """Whether an address is loopback, for which nobody needs a permit."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in LOOPBACK if network.version == parsed.version)


def _refusals(target: ResolvedTarget, permission: Permission) -> Iterator[str]:
    if not target.addresses:
        yield f"{_door(target)} leads to no address"
    elif permission.permit is not None:
        yield from _not_in_permit(target, permission.permit.permit)
    else:
        outside = [one for one in target.addresses if not may_be_hit(one) and not is_lab_address(permission.place, one)]
        if outside:
            or_lab = " nor of the lab around it" if is_own_lab(permission.place) else ""
            yield f"{_door(target)} leads to {', '.join(outside)}, which is not loopback{or_lab}"


def _not_in_permit(target: ResolvedTarget, permit: Permit) -> Iterator[str]:
    named: list[Target | Page] = [one for one in permit.targets if target.page or one.name == target.name]
    named += permit.pages if target.page else ()
    allowed = {
        address
        for one in named
        if (one.host, one.port) == (target.host.lower(), target.port)
        for address in one.addresses
    }
    if not allowed:
        yield f"{_door(target)} is not in permit {permit.name}"
        return
    outside = [one for one in target.addresses if _parsed(one) is None or one not in allowed]
    if outside:
        only = ", ".join(sorted(allowed))
        yield f"{_door(target)} leads to {', '.join(outside)}, and permit {permit.name} allows {only}"


def _may_send(entry: Sending, sender: Sender) -> bool:
    if entry.name is not None and entry.name not in sender.names:
        return False
    if not entry.addresses:
        return True
    networks = [ipaddress.ip_network(one) for one in entry.addresses]
    parsed = [_parsed(one) for one in sender.addresses]
    return bool(parsed) and all(
        one is not None and any(one in network for network in networks if network.version == one.version)
        for one in parsed
    )


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Strict on purpose: a mapped address (::ffff:127.0.0.1), a scope (::1%lo), a short form (127.1) is no proof."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if getattr(parsed, "scope_id", None) or getattr(parsed, "ipv4_mapped", None):
        return None
    return parsed


def _door(target: ResolvedTarget) -> str:
    return f"{target.name} ({target.host}:{target.port})"
