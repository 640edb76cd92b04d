"""Splitting: one engine plan over the agents of a fleet. Pure.

The parts' arrivals are the whole's, each once; their ceilings never add up to more than the whole's. A sweep (every key
of a region once) is split by keys, everything else by the wheel.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from maul.campaign.model_limits import SHARDS_MAX
from maul.core.errors import CampaignError, InternalError
from maul.plan.engine_plan import (
    ClosedArrivals,
    EngineLimits,
    EnginePlan,
    OpenArrivals,
    Share,
    TraceArrivals,
)
from maul.plan.lanes import GENERATION_KEYS, GENERATIONS_MAX, even_shards, lay_lanes
from maul.plan.muster import Muster, Post
from maul.plan.runtime import EPOCH_MAX


@dataclass(frozen=True, slots=True)
class Part:
    """What one agent does of a plan."""

    agent: str
    post: Post
    engine: EnginePlan


def is_sweep(plan: EnginePlan) -> bool:
    """Whether the plan acts upon every key of a range once: a closed loop over keys in turn, so many and no more."""
    arrivals = plan.arrivals
    return (
        isinstance(arrivals, ClosedArrivals)
        and arrivals.requests is not None
        and plan.keyspace.choice.kind == "sequential"
        and plan.keyspace.fixed_key is None
    )


def split(whole: EnginePlan, there: Muster) -> tuple[Part, ...]:
    """The plan of every agent that has something to do, in the order of the muster; epochs from the whole's own on.

    Of a sweep everything is done, whatever is held of the load. CampaignError when there is less to share (in flight,
    connections) than there are agents, and no agent may be left out.
    """
    return _split_sweep(whole, there) if is_sweep(whole) else _split_load(whole, there)


@dataclass(frozen=True, slots=True)
class Gone:
    """A lost agent's engine: its part, and what it had used of its ceilings by its last word."""

    part: Part
    requests_used: int = 0
    bytes_used: int = 0
    elapsed_s: float = 0.0


def take_over_plans(
    whole: EnginePlan, gone: Gone, taken: Sequence[Post], first_epoch: int, generation: int
) -> tuple[Part, ...]:
    """The plans of those who take over from an agent; `whole` is the plan of which its own was a part.

    `taken`: their parts of its interval (`muster.take_over`). `generation`: which take-over of the run this is, from 1:
    its new keys begin where nobody else's are. Ceilings are what the lost agent's leave; a ceiling of the fleet is kept
    but for what it sent after its last word.
    """
    if not 1 <= generation < GENERATIONS_MAX:
        raise InternalError(f"take-over {generation} of a run that has room for {GENERATIONS_MAX - 1}")
    if not taken:
        return ()
    lost, width = gone.part.engine, sum(post.width for post in taken)
    part = width / gone.part.post.width
    keyspace = whole.keyspace.model_copy(update={"ephemeral_start": generation * GENERATION_KEYS})
    limits = _left_of(gone, part, len(taken))
    changes: dict[str, object] = {"keyspace": keyspace, "limits": limits, "epoch": first_epoch}
    arrivals = lost.arrivals
    if isinstance(arrivals, ClosedArrivals):
        seconds = max(0.001, arrivals.seconds - gone.elapsed_s)
        concurrency = max(1, math.floor(arrivals.concurrency * part))
        changes["arrivals"] = arrivals.model_copy(update={"seconds": seconds, "concurrency": concurrency})
        return tuple(_by_wheel(whole.model_copy(update=changes), taken, width, 1))
    return tuple(_by_wheel(whole.model_copy(update=changes), taken, width, arrivals.share.wheel))


def agents_max(lost: EnginePlan) -> int:
    """Among how many a plan's ceilings can be shared: each needs a connection, and a request in flight."""
    most = min(lost.limits.in_flight, lost.limits.connections, lost.limits.requests, lost.limits.bytes)
    return min(most, lost.arrivals.concurrency) if isinstance(lost.arrivals, ClosedArrivals) else most


def _left_of(gone: Gone, part: float, agents: int) -> EngineLimits:
    """What is left of a lost agent's ceilings for those who take over `part` of its interval."""
    limits = gone.part.engine.limits
    return limits.model_copy(
        update={
            "rate_per_s": limits.rate_per_s * part,
            "bytes_per_s": limits.bytes_per_s * part,
            "in_flight": max(agents, math.floor(limits.in_flight * part)),
            "connections": max(agents, math.floor(limits.connections * part)),
            "requests": max(agents, math.floor((limits.requests - gone.requests_used) * part)),
            "bytes": max(agents, math.floor((limits.bytes - gone.bytes_used) * part)),
        }
    )


def _split_load(whole: EnginePlan, there: Muster) -> tuple[Part, ...]:
    posts = [post for post in there.posts if post.width]
    room = agents_max(whole)
    limits = whole.limits
    shared = min(limits.in_flight, limits.connections)
    if len(posts) > shared and not isinstance(whole.arrivals, ClosedArrivals):
        raise CampaignError(
            f"{len(posts)} agents share {shared} connections and requests in flight",
            "load",
            "give every agent at least one: raise in_flight and connections, or take fewer agents",
        )
    # Of a closed loop nobody misses an arrival: whom nothing is left for stays away. Of a run that has used up its
    # totals the last few requests are not worth more agents than requests.
    chosen = set(sorted((post.name for post in posts), key=lambda name: -there.post(name).width)[:room])
    return tuple(_by_wheel(whole, [post for post in posts if post.name in chosen], there.wheel, there.wheel))


def _by_wheel(whole: EnginePlan, posts: Sequence[Post], width: int, wheel: int) -> Iterator[Part]:
    """One plan for each post; `width` places are the whole of the ceilings."""
    if not posts:
        return
    _check_epochs(whole, len(posts))
    limits, weights = whole.limits, [post.width for post in posts]

    def shared(total: int) -> list[int]:
        return shares_of(max(len(posts), total * sum(weights) // width), weights)

    in_flight, connections = shared(limits.in_flight), shared(limits.connections)
    requests, moved = shared(limits.requests), shared(limits.bytes)
    arrivals = list(_arrivals(whole, posts, shared, wheel))
    shards = _shards(whole, posts, in_flight, connections)
    lanes = lay_lanes(shards)
    for place, post in enumerate(posts):
        counts = (in_flight[place], connections[place], requests[place], moved[place])
        own = _limits(limits, post, post.width / width, counts)
        keyspace = whole.keyspace.model_copy(update={"ephemeral_lane": lanes[place]})
        changes = {"arrivals": arrivals[place], "limits": own, "keyspace": keyspace}
        yield Part(post.name, post, _own(whole, place, shards[place], changes))


def _arrivals(
    whole: EnginePlan, posts: Sequence[Post], shared: Callable[[int], list[int]], wheel: int
) -> Iterator[OpenArrivals | TraceArrivals | ClosedArrivals]:
    arrivals = whole.arrivals
    if not isinstance(arrivals, ClosedArrivals):
        for post in posts:
            yield arrivals.model_copy(update={"share": Share(first=post.first, width=post.width, wheel=wheel)})
        return
    asked: list[int | None] = [None] * len(posts)
    if arrivals.requests is not None:
        asked = list(shared(arrivals.requests))
    for many, count in zip(shared(arrivals.concurrency), asked, strict=True):
        yield arrivals.model_copy(update={"concurrency": many, "requests": count})


def _split_sweep(whole: EnginePlan, there: Muster) -> tuple[Part, ...]:
    """A stretch of the keys each. Whom no key or no request in flight is left for has nothing to do.

    Nothing new is made, and each engine numbers its operations from 0: they all stay in the one lane.
    """
    arrivals = whole.arrivals
    if not isinstance(arrivals, ClosedArrivals):
        raise TypeError("a sweep is a closed loop")
    limits, objects = whole.limits, whole.keyspace.objects
    most = min(objects, agents_max(whole))
    chosen = set(sorted(there.names, key=lambda name: -there.post(name).width)[:most])
    posts = [post for post in there.posts if post.name in chosen]
    if not posts:
        return ()
    _check_epochs(whole, len(posts))
    weights = [max(1, post.width) for post in posts]
    keys = shares_of(objects, weights)
    concurrency = shares_of(arrivals.concurrency, weights)
    in_flight, connections = shares_of(limits.in_flight, weights), shares_of(limits.connections, weights)
    requests, moved = shares_of(limits.requests, keys), shares_of(limits.bytes, keys)
    shards = _shards(whole, posts, [min(pair) for pair in zip(in_flight, concurrency, strict=True)], connections)
    parts: list[Part] = []
    at = whole.keyspace.start
    for place, post in enumerate(posts):
        counts = (in_flight[place], connections[place], requests[place], moved[place])
        own = _limits(limits, post, keys[place] / objects, counts)
        changes: dict[str, object] = {
            "arrivals": arrivals.model_copy(update={"concurrency": concurrency[place], "requests": keys[place]}),
            "limits": own,
            "keyspace": whole.keyspace.model_copy(update={"start": at, "objects": keys[place]}),
        }
        at += keys[place]
        parts.append(Part(post.name, post, _own(whole, place, shards[place], changes)))
    return tuple(parts)


def _limits(whole: EngineLimits, post: Post, part: float, counts: tuple[int, int, int, int]) -> EngineLimits:
    """An agent's ceilings: `part` of both speeds; `counts` of in flight, connections, requests and bytes."""
    in_flight, connections, requests, moved = counts
    return whole.model_copy(
        update={
            "rate_per_s": _rate(whole.rate_per_s * part, post),
            "bytes_per_s": whole.bytes_per_s * part,
            "in_flight": in_flight,
            "connections": connections,
            "requests": requests,
            "bytes": moved,
        }
    )


def _own(whole: EnginePlan, place: int, shards: int, changes: Mapping[str, object]) -> EnginePlan:
    return whole.model_copy(update={"epoch": whole.epoch + place, "shards": shards, "pin": None, **changes})


def _rate(per_s: float, post: Post) -> float:
    return per_s if post.ceiling_per_s is None else min(per_s, post.ceiling_per_s)


def _shards(whole: EnginePlan, posts: Sequence[Post], in_flight: Sequence[int], conns: Sequence[int]) -> list[int]:
    """One for each core of an agent, as far as there is something to share among them.

    A load that needs no more than one shard on a single machine needs no more on several.
    """
    if whole.shards == 1:
        return [1] * len(posts)
    wanted = [max(1, min(SHARDS_MAX, post.cores, *most)) for post, *most in zip(posts, in_flight, conns, strict=True)]
    return even_shards(wanted)


def _check_epochs(whole: EnginePlan, count: int) -> None:
    if whole.epoch + count - 1 > EPOCH_MAX:
        raise InternalError(
            f"a run has at most {EPOCH_MAX} engines, and each agent needs one for every pass",
            cure="split the campaign, or take fewer agents",
        )


def shares_of(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole numbers, at least 1 each, as the weights say; they add up to it. ValueError: too few.

    >>> shares_of(10, [1, 1, 8]), shares_of(3, [1, 1, 1000])
    ([1, 1, 8], [1, 1, 1])
    """
    spare, weight = total - len(weights), sum(weights)
    if spare < 0:
        raise ValueError(f"{total} cannot be shared among {len(weights)}")
    parts = [spare * one // weight for one in weights]
    by_rest = sorted(range(len(parts)), key=lambda place: -(spare * weights[place] % weight))
    for place in by_rest[: spare - sum(parts)]:
        parts[place] += 1
    return [1 + part for part in parts]
