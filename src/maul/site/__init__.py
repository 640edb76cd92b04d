"""Place: hosts, racks, services, endpoints, what the cluster promises, and how all of it is wired.

Takes: one YAML file (the lab writes its own).
Gives: `load` and `parse` (a frozen `Site`, or one CampaignError with every problem), `to_yaml`, `schema`; queries
on `Site`.
Never: asks the place itself; holds a secret (only the path of the file that does).
Start reading at: `model.py` and `model_network.py`; then `checks.py`, `checks_network.py` and
`checks_vantage.py` (what must fit together);
`topology.py` is what the network is asked.
Add one by: a field with a docstring in a model; a rule = a function in `CROSS_CHECKS`, `NETWORK_CHECKS` or
`VANTAGE_CHECKS`.
"""

from maul.site.loading import load, parse, schema, to_yaml
from maul.site.model import Site

__all__ = ["Site", "load", "parse", "schema", "to_yaml"]
