"""From a file to a Campaign, or to everything that is wrong with it."""

from importlib import resources
from pathlib import Path
from typing import Any

from maul.campaign.cross_checks import cross_problems
from maul.campaign.model import Campaign
from maul.campaign.problems import CampaignProblemsError, sound_sections, validate
from maul.campaign.yaml_source import YamlSource, parse_text, read_file

FIRST = "first.yaml"  # the built-in campaign, package data


def load(path: Path | str | None = None) -> Campaign:
    """The campaign in the file at `path`; the built-in first one without.

    Raises CampaignError: one line `file:line:column: key: message (what to do)` per problem, all at once.

    >>> load().name
    'first-beating'
    """
    if path is None:
        return _from_source(parse_text(first_text(), FIRST))
    return _from_source(read_file(Path(path)))


def first_text() -> str:
    """The built-in campaign as it is written: a good beginning for one's own."""
    return resources.files("maul.campaign").joinpath(FIRST).read_text(encoding="utf-8")


def parse(text: str, name: str = "campaign.yaml") -> Campaign:
    """The campaign in `text`; `name` stands for the file in messages. Raises CampaignError as `load` does."""
    return _from_source(parse_text(text, name))


def schema() -> dict[str, Any]:
    """The JSON Schema of a campaign, for editors and other checkers.

    >>> schema()["title"]
    'maul campaign'
    """
    body = Campaign.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": "maul campaign"}


def _from_source(source: YamlSource) -> Campaign:
    campaign, problems = validate(Campaign, source)
    sections = sound_sections(Campaign, source) if campaign is None else dict(campaign)
    problems += cross_problems(sections)
    if campaign is None or problems:
        raise CampaignProblemsError(problems, source)
    campaign._source = source  # the one place where a campaign learns where it was read
    return campaign
