"""Importing: what other people's systems know of a place, as the draft of a site.

Takes: text that NetBox, Ansible, containerlab or lldpctl wrote.
Gives: a `Fragment` per source (what it knows, and notes of what it could not), `merge` (one of many), `draft` (the text
of a site file that says what a person must still fill in), `verify` (what LLDP sees otherwise than a site says).
Never: opens a file or a connection; guesses in silence: whatever is inferred stands in a note.
Start reading at: `fragment.py`; then `netbox.py`, then `drafting.py`.
Add one by: a module with `read(text, name) -> Fragment`, and a verb in `cli/site.py`.
"""

from maul.site.importing.drafting import draft
from maul.site.importing.fragment import FoundLink, FoundNode, Fragment, Note
from maul.site.importing.merging import merge
from maul.site.importing.rules import Rules
from maul.site.importing.verifying import Difference, Verified, verify

__all__ = [
    "Difference",
    "FoundLink",
    "FoundNode",
    "Fragment",
    "Note",
    "Rules",
    "Verified",
    "draft",
    "merge",
    "verify",
]
