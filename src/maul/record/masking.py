"""Secrets never reach the run directory: every text is searched for them, in the spellings that files use."""

import base64
import html
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from maul.core.errors import CampaignError

MASK = "****"
SECRET_CHARS_MIN = 4  # a shorter one occurs in ordinary words: hiding it would destroy the record


class Mask:
    """Replaces registered secrets by `****`. Its repr does not show them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """CampaignError when a secret is too short to be hidden. Empty ones are no secrets."""
        given = {secret for secret in secrets if secret}
        if any(len(secret) < SECRET_CHARS_MIN for secret in given):
            raise CampaignError(
                f"a secret has fewer than {SECRET_CHARS_MIN} characters and cannot be kept out of the record",
                cure="Use a longer secret key.",
            )
        spellings = {spelling for secret in given for spelling in _spellings(secret)}
        # The longest first: one may contain another.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without secrets. JSON stays JSON: in it only strings are touched."""
        if not any(spelling in text for spelling in self._spellings):
            return text
        try:
            value = json.loads(text)
        except ValueError:
            return self._replace(text)
        return json.dumps(self.value(value), indent=2, ensure_ascii=False) + "\n"

    def value(self, value: Any) -> Any:
        """A JSON-able value without secrets in any of its strings and keys."""
        if isinstance(value, str):
            return self._replace(value)
        if isinstance(value, dict):
            return {self._replace(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def _replace(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        return text


def _spellings(secret: str) -> set[str]:
    raw = secret.encode()
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        html.escape(secret),
        base64.b64encode(raw).decode(),
    }
