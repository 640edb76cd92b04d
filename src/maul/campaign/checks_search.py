"""Cross-checks of the `limit` section: can the search begin and end?"""

from collections.abc import Iterator, Sequence

from maul.campaign.model_judgement import Objective
from maul.campaign.model_search import AXES, LimitSearch
from maul.campaign.part import did_you_mean
from maul.campaign.problems import Problem
from maul.core.units import show_size


def searches_rise(limit: LimitSearch) -> Iterator[Problem]:
    """From below to above; no axis twice; confirming takes longer than trying."""
    for axis, low, high in (
        ("requests", limit.requests.from_per_s, limit.requests.to_per_s),
        ("connections", limit.connections.from_per_s, limit.connections.to_per_s),
    ):
        if low is not None and high is not None and low >= high:
            yield Problem(
                ("limit", axis, "from"), f"from ({low:g}/s) is not below to ({high:g}/s); lower one or raise the other"
            )
    slow, fast = limit.bytes.from_bytes_per_s, limit.bytes.to_bytes_per_s
    if slow is not None and fast is not None and slow >= fast:
        yield Problem(
            ("limit", "bytes", "from"),
            f"from ({show_size(slow)}/s) is not below to ({show_size(fast)}/s); lower one or raise the other",
        )
    for place, axis in enumerate(limit.axes):
        if axis in limit.axes[:place]:
            yield Problem(("limit", "axes", place), f'"{axis}" stands here twice; drop one')
    if limit.confirm_s < limit.trial_s:
        yield Problem(
            ("limit", "confirm"),
            f"confirm ({limit.confirm_s:g} s) is shorter than trial ({limit.trial_s:g} s); raise it",
        )
    if not limit.bytes.mix.by_op():
        yield Problem(("limit", "bytes", "mix"), "every weight is 0, so nothing would be sent; give get or put one")


def searches_name_objectives(limit: LimitSearch, objectives: Sequence[Objective]) -> Iterator[Problem]:
    """An axis is judged by objectives that exist."""
    names = [objective.name for objective in objectives]
    for axis in AXES:
        for place, name in enumerate(getattr(limit, axis).objectives):
            if name not in names:
                yield Problem(
                    ("limit", axis, "objectives", place),
                    f'no objective is named "{name}" ({did_you_mean(name, names)})',
                )
