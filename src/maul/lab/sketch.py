"""The embedded lab on paper: what its site will look like, before anything is started."""

from pathlib import Path

from maul.lab.files import site_yaml
from maul.lab.layout import LabLayout, Programs
from maul.lab.placement import SLOT_MIN, Loopback
from maul.site import Site, parse


def sketch_site() -> Site:
    """The site of a lab that is not up. Addresses may differ in the one that `maul beat` starts."""
    directory = Path("lab")
    layout = LabLayout("lab", Loopback(SLOT_MIN), directory, directory / "run", Programs("weed", "haproxy"))
    return parse(site_yaml(layout), "the embedded lab")
