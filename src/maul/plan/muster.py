"""Muster: the agents that stand ready, each with its interval of the wheel. Pure; what is lost is cut among the rest.

The wheel is that of `FleetPlan`: an interval of it is a part of all arrivals. What no agent may take is held: nobody
sends it, and that is said.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from maul.plan.fleet_model import FleetPlan, LinkLoad, Load

PLACES_MIN = 10_000
"""Of a wheel that can be cut finely enough."""


@dataclass(frozen=True, slots=True)
class Post:
    """One agent and its part: the places from `first` to below `first + width`, in this order round the wheel.

    `ceiling_per_s`: requests that it may make per second at most, None where nobody knows. `cores`: for its shards.
    """

    name: str
    first: int
    width: int
    cores: int = 1
    ceiling_per_s: float | None = None
    host: str | None = None
    """Of the site; None: a process of this machine."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One direction of a link that our load crosses in normal state."""

    name: str
    ours_bps_max: float
    """What our load may fill: the cap, less what others use."""
    per_place_bps: Mapping[str, float]
    """By agent: the bits per second that one place of the wheel brings, at the heaviest moment."""

    @classmethod
    def of(cls, link: LinkLoad, plan: FleetPlan, finer: int) -> "Crossing":
        """By what each generator of the plan puts on it."""
        each = {one.name: link.bps_of(one) / (one.width * finer) for one in plan.generators if one.width}
        per_place = {name: bps for name, bps in each.items() if bps > 0}
        return cls(link.name, link.cap * link.capacity_bps - link.background_bps, per_place)


@dataclass(frozen=True, slots=True)
class Muster:
    """The agents of a fleet that are there, and what binds them. Intervals never overlap."""

    wheel: int
    posts: tuple[Post, ...]
    load: Load
    """All arrivals together, at the heaviest moment; an interval's load is in proportion."""
    links: tuple[Crossing, ...] = ()
    redistribute: bool = True

    @property
    def held(self) -> int:
        """Places that nobody sends."""
        return self.wheel - sum(post.width for post in self.posts)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the agents, in their order."""
        return tuple(post.name for post in self.posts)

    def post(self, name: str) -> Post:
        """The agent of that name; KeyError."""
        return {post.name: post for post in self.posts}[name]


def muster(plan: FleetPlan, cores: Mapping[str, int], ceilings: Mapping[str, float] | None = None) -> Muster:
    """Everybody whom the plan names. `ceilings`: what agents themselves know better than the plan, by name.

    A wheel of few places is made finer, so that a lost interval can be cut.
    """
    known, finer = ceilings or {}, max(1, PLACES_MIN // plan.wheel)
    return Muster(
        wheel=plan.wheel * finer,
        posts=tuple(
            Post(
                one.name,
                one.first * finer,
                one.width * finer,
                cores.get(one.name, 1),
                _least(one.requests_ceiling_per_s, known.get(one.name)),
                one.host,
            )
            for one in plan.generators
        ),
        load=plan.load,
        links=tuple(Crossing.of(link, plan, finer) for link in plan.links),
        redistribute=plan.on_loss == "redistribute",
    )


def _least(*ceilings: float | None) -> float | None:
    return min((one for one in ceilings if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class Cut:
    """An interval of the wheel and who takes it over: the rest of it is held."""

    taken: tuple[Post, ...]
    """Survivors with the part of the lost interval that each sends besides its own; none of width 0."""
    held: int
    why_held: str = ""


def take_over(there: Muster, gone: Post, agents_max: int) -> Cut:
    """Cut an interval of a lost agent (`gone`) among the others of the muster.

    In proportion to what their ceilings leave (to their own widths where some ceiling is not known), as far as every
    ceiling and the cap of every planned link allow. An agent of `there` that took over before has a width of all that
    it sends. At most `agents_max` of them take part, those with most room first.
    """
    rest = [post for post in there.posts if post.name != gone.name]
    if not rest:
        return Cut((), gone.width, "no agent is left")
    widths, why = _fill(there, rest, gone.width, agents_max)
    taken: list[Post] = []
    at = gone.first
    for post, width in zip(rest, widths, strict=True):
        if width:
            taken.append(replace(post, first=at, width=width))
            at += width
    held = gone.width - sum(widths)
    return Cut(tuple(taken), held, (why or "what ceilings and links leave is less than one place") if held else "")


def without(there: Muster, lost: Collection[str], *, redistribute: bool | None = None) -> Muster:
    """The muster that is left for what comes next: the survivors, intervals laid out anew.

    `redistribute` (default: as the campaign says): their own intervals grow by what the lost ones sent, as far as
    ceilings and links allow.
    """
    rest = [post for post in there.posts if post.name not in lost]
    grows = there.redistribute if redistribute is None else redistribute
    free = there.wheel - sum(post.width for post in rest)
    more = _fill(there, rest, free)[0] if grows and rest else [0] * len(rest)
    posts: list[Post] = []
    at = 0
    for post, width in zip(rest, more, strict=True):
        posts.append(replace(post, first=at, width=post.width + width))
        at += post.width + width
    return replace(there, posts=tuple(posts))


def _fill(there: Muster, rest: Sequence[Post], places: int, agents_max: int | None = None) -> tuple[list[int], str]:
    """How many of so many places each of `rest` takes besides its own, and what kept the others free.

    All grow together, each in proportion to its weight, until its ceiling is met or a link that it crosses is full.
    """
    rooms = [_room(there, post) for post in rest]
    weights = [float(post.width) if None in rooms else room or 0.0 for post, room in zip(rest, rooms, strict=True)]
    for place in sorted(range(len(rest)), key=lambda one: -weights[one])[agents_max:] if agents_max is not None else ():
        weights[place] = 0.0
    links = [_LinkRoom.of(link, rest) for link in there.links]
    grown, why = _grow(_Growing(rooms, weights, links), float(places))
    return _whole(grown, places, rooms, links), why


def _room(there: Muster, post: Post) -> float | None:
    """Places that its ceiling leaves; None: no ceiling is known."""
    if post.ceiling_per_s is None or there.load.requests_per_s <= 0:
        return None
    return max(0.0, post.ceiling_per_s / there.load.requests_per_s * there.wheel - post.width)


@dataclass(frozen=True, slots=True)
class _LinkRoom:
    """One direction of a link: bits per second that it has room for, and those of one more place of each agent."""

    name: str
    room_bps: float
    per_place_bps: tuple[float, ...]

    @classmethod
    def of(cls, link: Crossing, rest: Sequence[Post]) -> "_LinkRoom":
        """Besides what the agents that are left send by themselves."""
        each = tuple(link.per_place_bps.get(post.name, 0.0) for post in rest)
        now = sum(bps * post.width for bps, post in zip(each, rest, strict=True))
        return cls(link.name, max(0.0, link.ours_bps_max - now), each)

    def used(self, grown: Sequence[float]) -> float:
        """Of its room, by so many places of each."""
        return sum(bps * places for bps, places in zip(self.per_place_bps, grown, strict=True))


@dataclass(frozen=True, slots=True)
class _Growing:
    rooms: list[float | None]
    weights: list[float]
    links: list[_LinkRoom]


def _grow(growing: _Growing, places: float) -> tuple[list[float], str]:
    """Progressive filling. Each round something ends: all places are taken, an agent is full, or a link is."""
    count = len(growing.weights)
    grown = [0.0] * count
    active = {place for place in range(count) if growing.weights[place] > 0}
    why = "" if active else "no agent has room below its ceiling"
    for _ in range(count + len(growing.links) + 1):
        weight = sum(growing.weights[place] for place in active)
        left = places - sum(grown)
        if left <= 1e-9 or not active or weight <= 0:
            break
        step, ends, why = _step(growing, grown, active, left / weight)
        for place in active:
            grown[place] += growing.weights[place] * step
        active -= ends
    return grown, why


def _step(growing: _Growing, grown: list[float], active: set[int], most: float) -> tuple[float, set[int], str]:
    """How far all may grow until something ends, who ends with it, and why."""
    step, ends, why = most, set(active), ""
    for place in sorted(active):
        room = growing.rooms[place]
        if room is not None and (room - grown[place]) / growing.weights[place] < step:
            step, ends = max(0.0, (room - grown[place]) / growing.weights[place]), {place}
            why = "the agents that are left have met their ceilings"
    for link in growing.links:
        speed = sum(link.per_place_bps[place] * growing.weights[place] for place in active)
        if speed > 0 and (link.room_bps - link.used(grown)) / speed < step:
            step = max(0.0, (link.room_bps - link.used(grown)) / speed)
            ends = {place for place in active if link.per_place_bps[place] > 0}
            why = f"{link.name} would be fuller than its cap allows"
    return step, ends, why


def _whole(grown: list[float], places: int, rooms: list[float | None], links: list[_LinkRoom]) -> list[int]:
    """In whole places: rounded down, then one more each, the largest rest first, where it still fits."""
    widths = [int(one + 1e-9) for one in grown]
    by_rest = sorted(range(len(grown)), key=lambda place: widths[place] - grown[place])
    for place in (one for one in by_rest if grown[one] > 0):
        room = rooms[place]
        if sum(widths) >= min(places, round(sum(grown))) or (room is not None and widths[place] + 1 > room + 1e-9):
            continue
        more = [float(width + (at == place)) for at, width in enumerate(widths)]
        if all(link.used(more) <= link.room_bps * (1 + 1e-9) for link in links):
            widths[place] += 1
    return widths
