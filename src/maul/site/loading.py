"""From a site file to a Site, or to everything that is wrong with it; and back to text."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from maul.campaign.part import Part
from maul.campaign.problems import CampaignProblemsError, sound_sections, validate
from maul.campaign.yaml_source import Bounds, YamlSource, parse_text, read_file
from maul.site.checks import cross_problems
from maul.site.model import Site
from maul.site.model_network import Network
from maul.site.model_vantage import Vantages

BOUNDS = Bounds(file_bytes=64 << 20, nodes=2_000_000)
"""A datacenter: 10,000 hosts and their links. As JSON it is read in seconds, as YAML in a minute."""


def load(path: Path | str) -> Site:
    """The site in the file at `path`; its relative paths are taken from the file's own folder.

    Raises CampaignError: one line `file:line:column: key: message (what to do)` per problem, all at once.
    """
    return _from_source(read_file(Path(path), "site", BOUNDS))


def parse(text: str, name: str = "site.yaml", folder: Path | None = None) -> Site:
    """The site in `text`; relative paths are taken from `folder`. Raises CampaignError as `load` does."""
    return _from_source(parse_text(text, name, folder, "site", BOUNDS))


def to_yaml(site: Site) -> str:
    """The site as a file that `load` reads to an equal value. It holds no secret: only where the secret lies."""
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(site.model_dump(mode="json", exclude_none=True), stream)
    return stream.getvalue()


def schema() -> dict[str, Any]:
    """The JSON Schema of a site, for editors and other checkers."""
    body = Site.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": "maul site"}


def _parts_of(name: str, model: type[Part], sections: Mapping[str, Any], source: YamlSource) -> dict[str, Any]:
    """The parts of a section by names such as `network.links`: those that are right on their own where the whole is
    not; nothing where there is none."""
    whole = sections.get(name)
    inner = source.data.get(name)
    if whole is None and not isinstance(inner, dict):
        return {}
    parts = dict(whole) if whole is not None else sound_sections(model, replace(source, data=inner))
    return {f"{name}.{part}": value for part, value in parts.items()}


def _from_source(source: YamlSource) -> Site:
    context = {"folder": str(source.folder)}
    site, problems = validate(Site, source, context)
    sections = sound_sections(Site, source, context) if site is None else dict(site)
    network = _parts_of("network", Network, sections, source)
    problems += cross_problems(sections | network | _parts_of("vantage", Vantages, sections, source))
    if site is None or problems:
        raise CampaignProblemsError(problems, source)
    site._source = source  # the one place where a site learns where it was read
    return site
