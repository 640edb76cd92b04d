"""What is hit: which endpoints of the site, which bucket, with whose credentials."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from maul.campaign.part import Part
from maul.campaign.quantities import BucketName, EnvironmentName, Flag, Name


class EnvironmentCredentials(Part):
    """Credentials in the environment of the process that sends. Only their names stand in the campaign."""

    access_key_env: EnvironmentName
    """The variable that holds the access key."""
    secret_key_env: EnvironmentName
    """The variable that holds the secret key."""
    session_token_env: EnvironmentName | None = None
    """The variable that holds the session token of temporary credentials."""


class FileCredentials(Part):
    """Credentials in a file of their own."""

    file: str = Field(min_length=1, max_length=4096)
    """JSON with access_key, secret_key and perhaps session_token, mode 0600; the path is relative to the campaign."""


def _credentials_kind(value: object) -> str:
    if isinstance(value, FileCredentials) or (isinstance(value, dict) and "file" in value):
        return "file"
    return "environment" if isinstance(value, dict | EnvironmentCredentials) else "site"


Credentials = Annotated[
    Annotated[Literal["site", "anonymous"], Tag("site")]
    | Annotated[EnvironmentCredentials, Tag("environment")]
    | Annotated[FileCredentials, Tag("file")],
    Discriminator(_credentials_kind),
]


class Target(Part):
    """The target of every request of the run."""

    endpoints: tuple[Name, ...] = Field(min_length=1, max_length=64)
    """Names of endpoints of the site; load is spread evenly over them."""
    bucket: BucketName
    """The bucket; made when it is missing, never emptied: maul deletes only what it wrote."""
    region: str | None = Field(default=None, min_length=1, max_length=64)
    """The region that signatures name; the site's own when absent."""
    credentials: Credentials = "site"
    """`site`: the site's credentials file; `anonymous`: unsigned requests; a file; or environment variables."""
    versioning: Flag = False
    """The bucket keeps old versions: one that maul makes gets it, one that is there must have it."""
    object_lock: Flag = False
    """The bucket can lock versions, which implies versioning; one that is there must have it."""
