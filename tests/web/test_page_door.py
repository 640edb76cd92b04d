"""Who may ask the page for what: names, tokens, origins, files, ports."""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from maul.conduct.progress import PhaseProgress
from maul.conduct.stop import StopSwitch
from maul.core.clock import FakeClock
from maul.core.errors import CampaignError, ExitCode, MachineError
from maul.core.summary import Ending
from maul.web import LivePage, make_app, serving
from maul.web.app import TOKEN_HEADER
from maul.web.told import Told

TOKEN = "the token of this page"


@dataclass
class Page:
    """A page that is served, and who pressed its button."""

    port: int
    pressed: list[str] = field(default_factory=list)

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request(method, path, headers=given)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, answer.read().decode(), found


@contextmanager
def shown(*, button: bool = True, file: Path | None = None) -> Iterator[Page]:
    page = Page(0)
    app = make_app(
        lambda: Told("a run", "running"),
        page.pressed.append if button else None,
        (lambda name: file if file is not None and name == file.name else None),
        TOKEN,
    )
    with serving(app, 0) as url:
        page.port = urlsplit(url).port or 0
        yield page


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8384", "127.0.0.1.evil.example", "localhost@evil", "[x"]
)
def test_a_foreign_name_is_refused_everywhere(host: str) -> None:
    with shown() as page:
        for path, method in (("/", "GET"), ("/state", "GET"), ("/files/a", "GET"), ("/stop", "POST"), ("/none", "GET")):
            status, text, _ = page.ask(path, method, Host=host, **{TOKEN_HEADER: TOKEN})
            assert status == 403
            assert TOKEN not in text
        assert page.pressed == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "[::1]:8384"])
def test_its_own_names_are_heard_by_whatever_port_they_came(host: str) -> None:
    with shown() as page:
        assert page.ask("/state", Host=host)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {TOKEN_HEADER: ""},
        {TOKEN_HEADER: TOKEN[:-1]},
        {TOKEN_HEADER: "wrong"},
        {TOKEN_HEADER: TOKEN, "Origin": "https://evil.example"},
        {TOKEN_HEADER: TOKEN, "Origin": "null"},
        {TOKEN_HEADER: TOKEN, "Sec-Fetch-Site": "cross-site"},
        {TOKEN_HEADER: TOKEN, "Sec-Fetch-Site": "same-site"},
        {"Cookie": f"{TOKEN_HEADER}={TOKEN}"},
    ],
)
def test_the_button_is_pressed_by_this_page_only(headers: dict[str, str]) -> None:
    with shown() as page:
        assert page.ask("/stop", "POST", **headers)[0] == 403
        assert page.ask(f"/stop?{TOKEN_HEADER}=x", "POST", **headers)[0] == 403
        assert page.ask("/stop", "GET", **{TOKEN_HEADER: TOKEN})[0] == 405
        assert page.pressed == []


def test_the_button_stops_and_says_who_pressed_it() -> None:
    with shown() as page:
        headers = {TOKEN_HEADER: TOKEN, "Origin": f"http://127.0.0.1:{page.port}", "Sec-Fetch-Site": "same-origin"}
        status, text, _ = page.ask("/stop", "POST", **headers)
        assert (status, json.loads(text)) == (200, {"says": "stopping"})
        assert len(page.pressed) == 1
        assert "pressed from 127.0.0.1:" in page.pressed[0]


def test_a_page_of_a_record_has_no_button() -> None:
    with shown(button=False) as page:
        assert TOKEN not in page.ask("/")[1]
        assert page.ask("/stop", "POST", **{TOKEN_HEADER: TOKEN})[:2] == (403, "this page only shows a record")


def test_nothing_comes_from_elsewhere_and_nobody_frames_it() -> None:
    with shown() as page:
        status, text, headers = page.ask("/")
        assert status == 200
        assert f'content="{TOKEN}"' in text
        assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
        assert not re.findall(r"<(?:link|img|iframe)|src=|@import|url\(", text)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        nonce = re.findall(r"script-src 'nonce-([^']+)'", policy)[0]
        assert text.count(f'nonce="{nonce}"') == 2
        assert page.ask("/")[2]["content-security-policy"] != policy, "a nonce is used once"
        for path in ("/", "/state", "/files/x", "/none"):
            found = page.ask(path)[2]
            assert (found["x-frame-options"], found["cache-control"]) == ("DENY", "no-store")
            assert (found["x-content-type-options"], found["referrer-policy"]) == ("nosniff", "no-referrer")
            assert "access-control-allow-origin" not in found


def test_only_the_files_that_are_meant_are_shown(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>hello</p>", encoding="utf-8")
    with shown(file=report) as page:
        status, text, headers = page.ask("/files/report.html")
        assert (status, text) == (200, "<p>hello</p>")
        assert headers["content-type"].startswith("text/html")
        for path in ("/files/other", "/files/../report.html", "/files/%2e%2e%2freport.html", "/files//etc/passwd"):
            assert page.ask(path)[0] == 404


def test_a_port_that_is_taken_is_told() -> None:
    with (
        shown() as page,
        pytest.raises(MachineError) as refused,
        serving(make_app(lambda: Told("", "over")), page.port),
    ):
        pytest.fail("it was served all the same")
    assert refused.value.exit_code == ExitCode.ENVIRONMENT
    assert f"cannot listen on port {page.port}" in refused.value.message
    assert "Choose another port" in refused.value.message


def test_after_the_block_nobody_listens_and_no_thread_is_left() -> None:
    with shown() as page:
        assert page.ask("/state")[0] == 200
    with pytest.raises(ConnectionError):
        page.ask("/state")
    assert not [thread for thread in threading.enumerate() if thread.name == "maul-live-page"]


def test_a_record_that_cannot_be_read_is_told() -> None:
    def broken() -> Told:
        raise CampaignError("is damaged", "runs/x")

    with serving(make_app(broken), 0) as url:
        status, text, _ = Page(urlsplit(url).port or 0).ask("/state")
    assert (status, json.loads(text)) == (503, {"problem": "runs/x: is damaged"})


def look(phase: str, elapsed_s: float, errors: int) -> PhaseProgress:
    status = {"backlog": 3, "withheld": 7, "errors": {"TIMEOUT": errors}}
    return PhaseProgress(phase, elapsed_s, 10.0, 20.0, 100.0, 90.0, 5.5, errors, 1, 4, status=status)


def test_the_life_of_a_live_page() -> None:
    clock, stop, urls = FakeClock(), StopSwitch(), []
    page = LivePage(0, urls.append, clock)
    with page.beside(stop):
        served = Page(urlsplit(urls[0]).port or 0)

        def told() -> dict[str, object]:
            return json.loads(served.ask("/state")[1])  # type: ignore[no-any-return]

        assert (told()["state"], told()["moments"]) == ("starting", [])
        page.step("it begins")
        clock.wait(2.0)
        page.phase(look("load", 1.0, 10))
        page.phase(look("load", 2.0, 30))
        page.phase(look("next", 1.0, 2))
        found = told()
        assert (found["state"], found["phase"], found["backlog"], found["withheld"]) == ("running", "next", 3, 7)
        assert found["steps"] == [[0.0, "it begins"]]
        assert [moment["bad_per_s"] for moment in found["moments"]] == [11.0, 20.0, 3.0]  # type: ignore[attr-defined]
        assert found["errors"] == {"TIMEOUT": 2}
        assert (found["stance"], found["waits"]) == ("", "")
        page.alarm("held", "dropped upstream; asking once in 15 s")
        assert (told()["stance"], told()["waits"]) == ("held", "dropped upstream; asking once in 15 s")
        page.alarm("", "")
        assert told()["stance"] == ""
        page.alarm("suspect", "answers begin to miss")
        token = re.findall(r'maul-token" content="([^"]+)"', served.ask("/")[1])[0]
        assert served.ask("/stop", "POST", **{TOKEN_HEADER: token})[0] == 200
        assert (stop.stopped.is_set(), stop.ending) == (True, Ending.GUARD)
        assert stop.pulled is not None and stop.pulled.how == "page"
        assert (told()["state"], "kill switch" in str(told()["says"])) == ("stopping", True)
        page.close()
        assert (told()["state"], told()["stance"]) == ("over", "")
