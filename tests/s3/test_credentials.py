"""Credentials come from where they should, and never come out again."""

from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from maul.core.errors import CampaignError, ExitCode
from maul.s3.client import make_client
from maul.s3.credentials import Credentials, load_credentials
from maul.s3.endpoint import Endpoint

SECRET = "wJalrXUtnFEMI"
TOKEN = "FwoGZXIvYXdzEBYaDH"


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def refused(file: Path | None, environment: dict[str, str]) -> str:
    with pytest.raises(CampaignError) as caught:
        load_credentials(file, environment)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.cure
    assert SECRET not in caught.value.message
    assert SECRET not in repr(caught.value.__cause__)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.message


def test_from_a_file(tmp_path: Path) -> None:
    file = written(tmp_path / "keys.json", f'{{"access_key": "AK", "secret_key": "{SECRET}", "note": 1}}')
    credentials = load_credentials(file, {"AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other"})
    assert (credentials.access_key, credentials.secret_key) == ("AK", SECRET)
    assert credentials.source == str(file)


def test_from_the_environment() -> None:
    credentials = load_credentials(None, {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": SECRET})
    assert credentials.secret_key == SECRET
    assert SECRET not in credentials.source


def test_repr_masks_both() -> None:
    shown = repr(Credentials("AKIA0", SECRET, "keys.json"))
    assert SECRET not in shown
    assert "AKIA0" not in shown
    assert "keys.json" in shown


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o610])
def test_a_file_that_others_may_use(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path / "keys.json", f'{{"access_key": "AK", "secret_key": "{SECRET}"}}', mode)
    message = refused(file, {})
    assert f"mode {mode:04o}" in message
    assert "chmod 600" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f'"{SECRET}"', "not a JSON object"),
        (f'{{"access_key": "AK", "secret_key": {SECRET}', "not a JSON object"),
        (f'{{"secret_key": "{SECRET}"}}', "no text 'access_key'"),
        (f'{{"access_key": "{SECRET}", "secret_key": ""}}', "no text 'secret_key'"),
        ('{"access_key": "AK", "secret_key": 5}', "no text 'secret_key'"),
        ("", "not a JSON object"),
    ],
)
def test_what_is_no_credentials_file(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(written(tmp_path / "keys.json", text), {})


def test_no_such_file_and_no_text(tmp_path: Path) -> None:
    assert "cannot be read (No such file" in refused(tmp_path / "none.json", {})
    assert "cannot be read (Is a directory" in refused(tmp_path, {})
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    binary.chmod(0o600)
    assert "not a text file" in refused(binary, {})


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_missing_variable_is_named(missing: str) -> None:
    environment = {"AWS_ACCESS_KEY_ID": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET}
    for value in ({}, {missing: ""}):
        kept = {name: text for name, text in environment.items() if name != missing} | value
        assert missing in refused(None, kept)


def test_the_token_of_temporary_credentials_goes_with_them(tmp_path: Path) -> None:
    environment = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    credentials = load_credentials(None, environment)
    assert credentials.session_token == TOKEN
    assert TOKEN not in repr(credentials)
    assert load_credentials(None, environment | {"AWS_SESSION_TOKEN": ""}).session_token is None
    text = f'{{"access_key": "AK", "secret_key": "{SECRET}", "session_token": "{TOKEN}"}}'
    assert load_credentials(written(tmp_path / "keys.json", text), {}).session_token == TOKEN
    text = f'{{"access_key": "AK", "secret_key": "{SECRET}", "session_token": 7}}'
    assert "'session_token' is no text" in refused(written(tmp_path / "wrong.json", text), {})


def test_the_variables_of_a_campaign_are_its_own() -> None:
    environment = {"A": "AK", "S": SECRET, "T": TOKEN, "AWS_SESSION_TOKEN": "of somebody else"}
    assert load_credentials(None, environment, ("A", "S", "T")).session_token == TOKEN
    assert load_credentials(None, environment, ("A", "S", None)).session_token is None
    with pytest.raises(CampaignError, match="the environment variable X is not set"):
        load_credentials(None, environment, ("A", "S", "X"))


def test_the_token_is_sent_and_signed() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SESSION_TOKEN", "not this one")
        sent: list[dict[str, str]] = []
        for token in (TOKEN, None):
            credentials = Credentials("AK", SECRET, session_token=token)
            client = make_client(Endpoint("vip", "http://127.0.0.1:1"), credentials)
            client.meta.events.register("before-send.s3", lambda request, **_: sent.append(dict(request.headers)))
            with pytest.raises(EndpointConnectionError):
                client.head_object(Bucket="b", Key="k")
            headers = {name.lower(): value for name, value in sent[-1].items()}
            seen = headers.get("x-amz-security-token")
            seen = seen.decode() if isinstance(seen, bytes) else seen
            assert seen == token
            assert ("x-amz-security-token" in str(headers["authorization"])) == (token is not None)
