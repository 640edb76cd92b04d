"""Intent: what to do to which target, under which limits, and what to ask of it.

Takes: one YAML file; numbers with units as people write them.
Gives: `load` and `parse` (a frozen `Campaign`, or one CampaignError with every problem, its line and its cure),
`schema`, `first_text`.
Never: touches the target, the site, the network or a secret; guesses what an unknown key meant.
Start reading at: `model.py` (the whole), `first.yaml` (the built-in campaign), `loading.py` (how it is read).
Add one by: a key = a field with a unit in its name, an alias and a docstring in the `model_*.py` of its subject;
a rule between keys = a function in a `checks_*.py` and one line in `cross_checks.py`.
"""

from maul.campaign.loading import first_text, load, parse, schema
from maul.campaign.model import Campaign

__all__ = ["Campaign", "first_text", "load", "parse", "schema"]
