"""What can stop traffic, played in a lab with a border, and taken back.

Takes: the directory of a lab that is up. Gives: `PLAYS` by cause (the words of `guard.mitigation.causes`), each with
`begin` and `end`. Never: leaves anything outside the lab's namespaces changed, harms before its undo is on disk.
Start reading at: `play.py`, then any of the others. Add one by: its row in one of them, and in `PLAYS`.
"""

from collections.abc import Mapping

from maul.lab.causes import balancers, border_rules, detours, links
from maul.lab.causes.play import Orders, Play, end_all, playing

PLAYS: Mapping[str, Play] = {
    play.cause: play for play in (*border_rules.PLAYS, *detours.PLAYS, *balancers.PLAYS, *links.PLAYS)
}
"""Every cause that the classifier knows."""

__all__ = ["PLAYS", "Orders", "Play", "end_all", "playing"]
