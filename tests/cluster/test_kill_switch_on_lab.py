"""A run on a real lab that somebody kills: by the verb, by a file of theirs, by a signal, by the page's button."""

import http.client
import json
import re
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from beat_runs import Beat, campaign, maul

from maul.conduct.kill import EVENT
from maul.core.errors import ExitCode
from maul.core.event import Edge, EventKind
from maul.core.summary import Ending
from maul.lab.cluster import Lab

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]  # four runs on two busy cores


def press(run: Beat) -> None:
    url = re.findall(r"live page: (http://127\.0\.0\.1:\d+/)", run.said)[0]
    with closing(http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=5)) as connection:
        connection.request("GET", "/state")
        state = json.loads(connection.getresponse().read())
        assert (state["state"], state["phase"]) == ("running", "hurt")
        connection.request("GET", "/")
        token = re.findall(r'maul-token" content="([^"]+)"', connection.getresponse().read().decode())[0]
        connection.request("POST", "/stop", headers={"x-maul-token": token})
        assert connection.getresponse().status == 200


@pytest.mark.parametrize("way", ["verb", "file", "signal", "page"])
def test_a_killed_run_is_silent_within_a_second_heals_and_says_who(
    way: str, lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull: dict[str, Callable[[Beat], object]] = {
        "verb": lambda run: maul(capsys, "stop", run.record.path, "--why", "the pager rang"),
        "file": lambda _: (tmp_path / "PULL").write_text("the network team\n"),
        "signal": lambda run: run.signal(signal.SIGUSR1),
        "page": press,
    }
    who = {"verb": "the pager rang", "file": "the network team", "signal": "SIGUSR1", "page": "pressed from 127.0.0.1"}
    file = campaign(tmp_path / "c.yaml", seconds="60s")
    words = (file, "--site", lab.site_path, "--kill-file", tmp_path / "PULL", "--live", "--live-port", 0)
    with Beat(tmp_path / "here", *words) as run:
        run.until("proven:")
        run.until("hurt: ")
        answer = pull[way](run)
        assert run.end() == ExitCode.GUARD
        assert who[way] in run.said
    if way == "verb":
        code, out, _ = answer  # type: ignore[misc]
        assert (code, "all sockets were closed" in out) == (0, True)
    summary, events = run.record.summary(), run.record.events().to_pylist()
    assert (summary.ending, summary.exit_code) == (Ending.GUARD, ExitCode.GUARD)
    assert [fault.healed for fault in summary.faults] == [True]
    told = [json.loads(one["details"]) for one in events if one["name"] == EVENT]
    assert len(told) == 1
    assert who[way] in told[0]["who"]
    assert told[0]["silent_after_s"] < 1.0
    later = run.record.operations()["start_ns"].to_numpy() > told[0]["pulled_ns"] + 1_000_000_000
    assert not later.any(), "no clean-up, no audit: nothing was sent any more"
    phases = [one["name"] for one in events if one["kind"] == EventKind.PHASE and one["edge"] == Edge.BEGAN]
    assert phases == ["fill", "hurt"]


def test_what_never_began_cannot_be_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pulled = tmp_path / "PULL"
    pulled.touch()
    code, _, err = maul(capsys, "beat", tmp_path / "none.yaml", "--kill-file", pulled)
    assert (code, "pulled already" in err) == (ExitCode.USAGE, True)
    code, _, err = maul(capsys, "stop", "latest", "--runs", tmp_path)
    assert code == ExitCode.USAGE
    assert "no run" in err
