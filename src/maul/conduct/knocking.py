"""`maul knock`: one attempt at an endpoint, or one again and again, by the same rule as everything that is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from maul.conduct.lookouts import ports_of
from maul.conduct.permission import this_sender
from maul.conduct.target import resolved
from maul.core.clock import Clock
from maul.core.errors import PermitError
from maul.core.vantage import Attempt, Question, Vantage
from maul.guard.permit import Permission, ResolvedTarget, check_senders, check_targets, check_window
from maul.s3.doorstep import PACE_S, last_sent
from maul.s3.endpoint import Endpoint
from maul.s3.knock import gate, knock
from maul.s3.tcp_line import Gate

NAME = "endpoint"


@dataclass(frozen=True, slots=True)
class Knocking:
    """What is asked. `address`: instead of the one that the name leads to; `port`: another one there, TCP only.

    `every_s` 0: once; otherwise until `for_s` have passed.
    """

    endpoint: Endpoint
    address: str | None = None
    port: int = 0
    large: bool = False
    every_s: float = 0.0
    for_s: float = 0.0


def knock_at(
    asked: Knocking, permission: Permission, clock: Clock, heard: Callable[[Attempt], None]
) -> tuple[Attempt, ...]:
    """Every attempt; each is given to `heard` when it ends. Never more than one per second.

    PermitError before anything is sent where it may not be; TargetError for a name that leads nowhere.
    """
    where = admitted(asked, permission, clock)
    question = Question(Vantage.IDLE, "here", NAME, asked.port, asked.large)
    found: list[Attempt] = []
    until_ns = clock.now_ns() + round(asked.for_s * 1e9)
    while True:
        began_s = clock.now_ns() / 1e9
        found.append(knock(where, question, clock))
        heard(found[-1])
        now_s = clock.now_ns() / 1e9
        next_s = last_sent(began_s, now_s) + max(asked.every_s, PACE_S)
        if asked.every_s <= 0 or next_s * 1e9 >= until_ns:
            return tuple(found)
        clock.wait(next_s - now_s)


def admitted(asked: Knocking, permission: Permission, clock: Clock) -> Gate:
    """The gate, when the guard agrees to its address, port, sender and moment."""
    target = _target(asked)
    check_targets([target], permission=permission)
    address = target.addresses[0]
    if permission.permit is not None:
        check_senders(permission.permit, [this_sender([target])])
        check_window(permission.permit, clock.now_ns(), asked.for_s)
    ports = ports_of(permission, address)
    if asked.port and ports is not None and asked.port not in ports:
        raise PermitError(f"port {asked.port} of {address} is not in the permit", cure="leave out --port")
    return gate(asked.endpoint, address, ports=ports)


def _target(asked: Knocking) -> ResolvedTarget:
    if asked.address is None:
        found = resolved(NAME, asked.endpoint.url, page=True)
        return ResolvedTarget(NAME, found.host, found.port, found.addresses[:1], page=True)
    there = resolved(NAME, _at(asked.endpoint.url, asked.address), page=True)
    return ResolvedTarget(NAME, urlsplit(asked.endpoint.url).hostname or "", there.port, there.addresses[:1], page=True)


def _at(url: str, address: str) -> str:
    """The URL of that address, with the port of the other."""
    parts = urlsplit(url)
    shown = f"[{address}]" if ":" in address else address
    return f"{parts.scheme}://{shown}{f':{parts.port}' if parts.port else ''}"
