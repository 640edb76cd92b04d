"""What goes wrong at the balancer: gone, hung, short of time, declining, without anybody behind it."""

from collections.abc import Iterator
from pathlib import Path

from maul.core.errors import CampaignError
from maul.lab import border
from maul.lab.causes import quota
from maul.lab.causes.play import PLAYED, Acts, Orders, Play
from maul.lab.causes.stage import Act, Stage

_QUOTA = Path(quota.__file__)
_BACKENDS = "gateways"


def _down(stage: Stage, orders: Orders) -> Iterator[Act]:
    del orders
    yield stage.kill(stage.layout.balancer)


def _hung(stage: Stage, orders: Orders) -> Iterator[Act]:
    yield stage.stop(stage.layout.balancer) if orders.variant == "process" else stage.cut(border.ACTIVE)


def _saturated(stage: Stage, orders: Orders) -> Iterator[Act]:
    if not 0 < orders.strength < 1:
        raise CampaignError("a part of the time is more than 0 and less than 1", cure="such as 0.05")
    balancer = stage.layout.balancer
    process = stage.process(balancer)
    yield stage.wake(balancer)  # undone last: whoever stops it is ended before
    words = (str(process.pid), str(process.start_ticks), f"{orders.strength:g}")
    place = stage.layout.directory / PLAYED / "balancer-saturated"
    yield stage.helper(balancer.host, place, _QUOTA, *words)


def _throttle(stage: Stage, orders: Orders) -> Iterator[Act]:
    balancer, path = stage.layout.balancer, stage.layout.throttle_map
    found = stage.ask(balancer, f"show map {path}").split()[-1]
    most = max(1, round(orders.strength))
    yield stage.tell(balancer, f"set map {path} most {most}", f"set map {path} most {found}")


def _backends(stage: Stage, orders: Orders) -> Iterator[Act]:
    del orders
    balancer = stage.layout.balancer
    for gateway in stage.layout.role("gateway"):
        server = f"{_BACKENDS}/{gateway.name}"
        yield stage.tell(balancer, f"disable server {server}", f"enable server {server}")


def _plays() -> Iterator[tuple[str, str, Acts]]:
    yield "balancer-down", "HAProxy is killed; its machine refuses connections", _down
    yield "backends-down", "HAProxy takes both gateways out: it answers 503 by itself", _backends


PLAYS = (
    *(Play(cause, says, acts) for cause, says, acts in _plays()),
    Play(
        "balancer-hung",
        "HAProxy is stopped where it stands (process), or its machine is cut off (host)",
        _hung,
        variants=("process", "host"),
    ),
    Play(
        "balancer-saturated",
        "HAProxy gets a small part of the time only: it falls behind, its queue of connections overflows",
        _saturated,
        unit="part of the time that it may run",
        strength=0.003,
    ),
    Play(
        "application-throttle",
        "HAProxy declines what exceeds a rate: 503, SlowDown",
        _throttle,
        unit="requests per second that pass",
        strength=10,
    ),
)
