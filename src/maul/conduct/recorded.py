"""What a run directory holds beside its tables, read back: the plan, and the last words."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, ValidationError

from maul.core.errors import CampaignError
from maul.core.summary import Ending, FaultSummary
from maul.plan import Plan
from maul.record import RunReader


class Text(StrEnum):
    """The texts that the conductor writes."""

    CAMPAIGN = "campaign.yaml"
    SITE = "site.yaml"
    PLAN = "plan.json"
    PERMIT = "permit.json"
    LISTINGS = "listings.json"
    SIGNALS = "signals.jsonl"
    EARLIER = "earlier-brackets.json"
    LAST_WORDS = "last-words.json"


class LastWords(BaseModel):
    """How a run ended whose tables could not take it any more.

    There when the disk refused, or when something went wrong after the record was closed: a lab that does not go.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ending: Ending
    says: str
    exit_code: int
    faults: tuple[FaultSummary, ...] = ()
    """Every fault that was over by then, whether the tables have it or not."""


def plan_of(run: RunReader) -> Plan:
    """The plan that the run followed. CampaignError when it is missing or damaged, or a newer maul made it."""
    try:
        return Plan.model_validate_json(run.text(Text.PLAN))
    except ValidationError as error:
        raise _damaged(run, Text.PLAN, error) from error


def last_words_of(run: RunReader) -> LastWords | None:
    """None where the tables tell everything. CampaignError when damaged."""
    if not run.has(Text.LAST_WORDS):
        return None
    try:
        return LastWords.model_validate_json(run.text(Text.LAST_WORDS))
    except ValidationError as error:
        raise _damaged(run, Text.LAST_WORDS, error) from error


def _damaged(run: RunReader, name: str, error: ValidationError) -> CampaignError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return CampaignError(
        f"is damaged, or of another version of maul: {f'{where}: ' if where else ''}{first['msg']}",
        str(run.path / name),
        "copy the run directory again, or use the maul that made it",
    )
