"""Alerts that a site should have, written for it: rules, the rules' own tests, and what to do when one rings.

Takes: a site, and whom to call.
Gives: texts of files, by name: Prometheus rules, promtool tests, a runbook.
Never: touches a file; guesses what the site does not say: such a place is marked `PLACEHOLDER`.
Start reading at: `watch.py` (what of a site can be watched), then `rules.py`, `rule_tests.py` and `runbook.py`.
Add one by: a module with its rules and their tests, called in `files_of`.
"""

from collections.abc import Sequence

from maul.insight.alerts.rule_tests import rule_tests
from maul.insight.alerts.rules import rules
from maul.insight.alerts.runbook import runbook
from maul.insight.alerts.watch import Watch, watches
from maul.site import Site

NAME = "vip-black-holed"


def files_of(site: Site, contacts: Sequence[str] = ()) -> dict[str, str]:
    """Texts by file name; several addresses have files of their own. CampaignError where there is none to watch."""
    found = watches(site)
    files: dict[str, str] = {}
    for watch in found:
        stem = NAME if len(found) == 1 else f"{NAME}-{watch.name}"
        book = f"RUNBOOK-{stem}.md"
        files[f"{stem}.rules.yaml"] = rules(watch, book)
        files[f"{stem}.test.yaml"] = rule_tests(watch, f"{stem}.rules.yaml", book)
        files[book] = runbook(watch, site.name, contacts, stem)
    return files


__all__ = ["NAME", "Watch", "files_of", "watches"]
