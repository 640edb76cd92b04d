"""From a permit file to a Permit, and back; the file of trusted approvers; all bounded and refused in words."""

import io
import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, model_validator
from ruamel.yaml import YAML

from maul.campaign.part import Part
from maul.campaign.problems import CampaignProblemsError, validate
from maul.campaign.quantities import Name, Whole
from maul.campaign.yaml_source import YamlSource, parse_text, read_file
from maul.core.errors import CampaignError
from maul.guard.permit_document import Approver, Permit, as_data

_NOTE = "# A permit of maul. Any change below makes its signatures invalid: `maul permit show` says what is signed.\n"
M = TypeVar("M", bound=BaseModel)


class Trust(Part):
    """Whose signatures count on this machine, and how many are needed. Kept by the operator."""

    version: int = Field(default=1, ge=1, le=1)
    approvers: tuple[Approver, ...] = Field(min_length=1, max_length=100)
    required: tuple[Name, ...] = ()
    """Without these no permit holds."""
    at_least: Whole = Field(default=1, ge=1, le=100)
    """So many approvers, the required ones among them."""

    @model_validator(mode="after")
    def _is_possible(self) -> "Trust":
        names, keys = [one.name for one in self.approvers], [one.key for one in self.approvers]
        if len(set(names)) < len(names):
            raise ValueError("an approver stands there twice")
        if len(set(keys)) < len(keys):
            raise ValueError("two approvers have one key: then one person counts twice")
        unknown = [name for name in self.required if name not in names]
        if unknown:
            raise ValueError(f"required names {', '.join(unknown)}, who is no approver")
        if self.at_least > len(names):
            raise ValueError(f"at_least asks for {self.at_least} of {len(names)} approvers")
        return self


def load_permit(path: Path) -> Permit:
    """The permit in a file, JSON or YAML. CampaignError with every problem and its place."""
    return _value(Permit, read_file(path, "permit"))


def parse_permit(text: str, name: str = "permit.yaml") -> Permit:
    """The permit in `text`. CampaignError as `load_permit`."""
    return _value(Permit, parse_text(text, name, noun="permit"))


def load_trust(path: Path) -> Trust:
    """The trusted approvers of this machine. CampaignError: none, not ours alone to change, damaged."""
    if not path.exists():
        raise CampaignError(
            "there is no file of trusted approvers, so no permit can hold here",
            str(path),
            "write their public keys into it (docs/concepts/permit.md), or name one with --trust",
        )
    mode = path.stat().st_mode
    if mode & 0o022:
        raise CampaignError(
            f"others may change who is trusted (mode {mode & 0o777:04o})", str(path), "run: chmod go-w on it"
        )
    return _value(Trust, read_file(path, "file of trusted approvers"))


def to_text(permit: Permit, *, as_json: bool) -> str:
    """The permit as a file that `load_permit` reads to an equal value."""
    if as_json:
        return json.dumps(as_data(permit), indent=2, ensure_ascii=False) + "\n"
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(as_data(permit), stream)
    return _NOTE + stream.getvalue()


def _value(model: type[M], source: YamlSource) -> M:
    value, problems = validate(model, source)
    if value is None:
        raise CampaignProblemsError(problems, source)
    return value
