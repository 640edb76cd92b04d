"""The target's credentials: read late, masked everywhere."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from maul.core.errors import CampaignError

ACCESS_KEY_VARIABLE = "AWS_ACCESS_KEY_ID"
SECRET_KEY_VARIABLE = "AWS_SECRET_ACCESS_KEY"
SESSION_TOKEN_VARIABLE = "AWS_SESSION_TOKEN"
_FIELDS = ("access_key", "secret_key")
_FILE_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key pair, and the token of a temporary one. `repr` shows where it came from, never what it is."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    source: str = ""
    session_token: str | None = field(default=None, repr=False)


def load_credentials(
    file: Path | None,
    environment: Mapping[str, str],
    variables: tuple[str, str, str | None] = (ACCESS_KEY_VARIABLE, SECRET_KEY_VARIABLE, SESSION_TOKEN_VARIABLE),
) -> Credentials:
    """From a JSON file {"access_key": …, "secret_key": …} of mode 0600, else from the environment.

    The file may have a "session_token", too. `variables` name the access key, the secret key and the session token;
    that of AWS need not be set, any other that is named must be. Raises CampaignError naming the file or the variable;
    never echoes a value.
    """
    return _from_file(file) if file is not None else _from_environment(environment, variables)


def _from_file(file: Path) -> Credentials:
    where = str(file)
    try:
        with file.open(encoding="utf-8") as opened:
            # of the opened file, not of the name: the two may change places
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read(_FILE_BYTES_MAX)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise CampaignError(
            f"the credentials file cannot be read ({why})", where, "Name a readable file in the site."
        ) from None
    if mode & 0o077:
        raise CampaignError(
            f"others than its owner may read or change the credentials file (mode {mode & 0o777:04o})",
            where,
            "Run: chmod 600 on it. If others could read it, replace the keys.",
        )
    try:
        content = json.loads(text)
    except ValueError:
        content = None  # the parser's message would quote the text
    if not isinstance(content, dict):
        raise CampaignError(
            "the credentials file is not a JSON object",
            where,
            'Write {"access_key": "…", "secret_key": "…"}.',
        )
    for name in _FIELDS:
        if not isinstance(content.get(name), str) or not content[name]:
            raise CampaignError(f"the credentials file has no text {name!r}", where, f"Add {name!r} to it.")
    token = content.get("session_token")
    if token is not None and (not isinstance(token, str) or not token):
        raise CampaignError(
            "the credentials file's 'session_token' is no text", where, "Leave it out for credentials that last."
        )
    return Credentials(content["access_key"], content["secret_key"], where, token)


def _from_environment(environment: Mapping[str, str], variables: tuple[str, str, str | None]) -> Credentials:
    access, secret, session = variables
    needed = [access, secret, *([session] if session not in (None, SESSION_TOKEN_VARIABLE) else [])]
    for variable in needed:
        if not environment.get(str(variable)):
            raise CampaignError(
                f"no credentials: the environment variable {variable} is not set",
                cure="Set it, or name a credentials file in the site.",
            )
    token = environment.get(session) or None if session is not None else None
    return Credentials(environment[access], environment[secret], f"environment variables {access}, {secret}", token)
