"""Place: hosts, racks, services, endpoints, and what the cluster promises.

Takes: one YAML file (the lab writes its own).
Gives: `load` and `parse` (a frozen `Site`, or one CampaignError with every problem), `to_yaml`, `schema`; queries
on `Site`.
Never: asks the place itself; holds a secret (only the path of the file that does).
Start reading at: `model.py`; then `checks.py` (what must fit together).
Add one by: a field with a docstring in `model.py`; a rule = a function in `checks.py`.
"""

from maul.site.loading import load, parse, schema, to_yaml
from maul.site.model import Site

__all__ = ["Site", "load", "parse", "schema", "to_yaml"]
