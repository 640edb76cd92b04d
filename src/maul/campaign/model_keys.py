"""Which object comes next."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from maul.campaign.part import Part
from maul.campaign.quantities import Ratio, Real, SecondsOrZero


class Zipf(Part):
    """Few keys are asked for often, most hardly ever."""

    zipf: Real = Field(gt=0, le=5)
    """The exponent; 0.99 is the usual web-like skew."""


class Latest(Part):
    """The newest objects that this run created are asked for most."""

    latest: Real = Field(gt=0, le=5)
    """The exponent of the skew towards the newest."""


class HotSetShape(Part):
    """A part of the keys that draws a part of the traffic."""

    keys: Ratio = Field(gt=0)
    """The part of the objects that is hot, such as 1%."""
    traffic: Ratio
    """The part of the operations that goes there, such as 90%."""
    moves_every_s: SecondsOrZero = Field(default=0.0, alias="moves_every", le=1e6)
    """The hot set moves on to other keys this often; 0: never."""


class HotSet(Part):
    """A few keys that are hot, and move."""

    hot_set: HotSetShape


KEY_FORMS: dict[str, type[Part]] = {"zipf": Zipf, "latest": Latest, "hot_set": HotSet}


def _key_form(value: object) -> str | None:
    if isinstance(value, dict):
        forms = [str(key) for key in value if key in KEY_FORMS]
        return forms[0] if len(forms) == 1 else None
    return next((form for form, model in KEY_FORMS.items() if isinstance(value, model)), "name")


KeyChoice = Annotated[
    Annotated[Literal["uniform", "sequential", "scan", "churn"], Tag("name")]
    | Annotated[Zipf, Tag("zipf")]
    | Annotated[Latest, Tag("latest")]
    | Annotated[HotSet, Tag("hot_set")],
    Discriminator(
        _key_form,
        custom_error_type="which_one",
        custom_error_message="keys are one of uniform, sequential, scan, churn, "
        "or exactly one of {zipf: 0.99}, {latest: 0.99}, {hot_set: {keys: 1%, traffic: 90%}}",
    ),
]
