"""What detectors and routers say, in their own words; and what nobody sane would send."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maul.core.vantage import Notice
from maul.probes.notices import action_of, of_syslog, of_webhook, prefixes_of

AT = 1_700_000_000_000_000_000


def webhook(what: object) -> list[tuple[str, str]]:
    body = what.encode() if isinstance(what, str) else json.dumps(what).encode()
    return [(one.action, one.prefix) for one in of_webhook("feed", body, AT)]


def syslog(line: str) -> list[tuple[str, str]]:
    return [(one.action, one.prefix) for one in of_syslog("feed", line.encode(), AT)]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("RTBH announced", "drop"),
        ("blackholing 192.0.2.1", "drop"),
        ("host banned, unban after 1900 seconds", "drop"),
        ("banned for 1900 s, will be released automatically", "drop"),
        ("blackhole active until cleared", "drop"),
        ("blackholed, released in 30 min", "drop"),
        ("set community 65535:666", "drop"),
        ("flowspec rule: discard", "drop"),
        ("flowspec traffic-rate 0", "drop"),
        ("flowspec traffic-rate 0.0", "drop"),
        ("null-route installed", "drop"),
        ("partial_block", "drop"),
        ("VipBlackholed", "drop"),
        ("flowspec traffic-rate 12500", "limit"),
        ("flowspec traffic-rate 0.5", "limit"),
        ("rate-limit 1g, excess discarded", "limit"),
        ("limit", "limit"),
        ("policer active", "limit"),
        ("diverted to the scrubbing center", "divert"),
        ("traffic redirected", "divert"),
        ("unban", "release"),
        ("Blackhole removed", "release"),
        ("blackhole withdrawn after 1900 s", "release"),
        ("withdraw 192.0.2.1/32 from RTBH", "release"),
        ("attack ended, blackhole withdrawn", "release"),
        ("after the attack, the rate-limit was lifted", "release"),
        ("no longer blackholed", "release"),
        ("ban expired", "release"),
        ("attack detected", None),
        ("pps limit exceeded", None),
        ("husband and banana", None),
        ("flowspec", None),
    ],
)
def test_words(text, action):
    assert action_of(text) == action


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        ("192.0.2.1", ["192.0.2.1/32"]),
        ("drop 192.0.2.1, 192.0.2.2; 192.0.2.1.", ["192.0.2.1/32", "192.0.2.2/32"]),
        ("192.0.2.77/24", ["192.0.2.0/24"]),
        ("https://192.0.2.1:443/x", ["192.0.2.1/32"]),
        ("ip=2001:db8::1 and [2001:DB8:1::]:443", ["2001:db8::1/128", "2001:db8:1::/128"]),
        ("2001:db8::/32", ["2001:db8::/32"]),
        ("at 12:30:45 on aa:bb:cc:dd:ee:ff in version 1.2.3.4.5", []),
        ("999.1.1.1 1.2.3 1.2.3.4/40 :: 0.0.0.0", []),
        ("next-hop 10.0.0.1 nexthop=10.0.0.2 peer: 10.0.0.3 via 10.0.0.4", []),
        ("65535:666", []),
    ],
)
def test_addresses(text, prefixes):
    assert prefixes_of(text) == prefixes


FASTNETMON = {
    "ip": "198.51.100.10",
    "action": "ban",
    "alert_scope": "host",
    "attack_details": {"attack_uuid": "0f4a", "attack_type": "syn_flood", "peer": "10.0.0.1", "direction": "incoming"},
}
ALERT = {
    "receiver": "maul", "status": "firing", "version": "4", "externalURL": "http://10.0.0.5:9093",
    "alerts": [
        {"status": "firing",
         "labels": {"alertname": "Blackhole", "prefix": "198.51.100.10/32", "instance": "10.0.0.7:9"},
         "annotations": {"summary": "RTBH is active"}, "startsAt": "2026-01-01T00:00:00Z",
         "generatorURL": "http://10.0.0.6:9090/graph"},
        {"status": "resolved", "labels": {"alertname": "Blackhole", "address": "203.0.113.10", "action": "drop"}},
    ],
}  # fmt: skip
SFLOW = {
    "app": "ddos-protect", "action": "drop", "attack": "tcp_flood", "ip": "198.51.100.10", "group": "site",
    "protocol": "6",
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "notices"),
    [
        (FASTNETMON, [("drop", "198.51.100.10/32")]),
        ({**FASTNETMON, "action": "unban"}, [("release", "198.51.100.10/32")]),
        ({**FASTNETMON, "action": "attack_details"}, [("other", "198.51.100.10/32")]),
        (ALERT, [("drop", "198.51.100.10/32"), ("release", "203.0.113.10/32")]),
        (SFLOW, [("drop", "198.51.100.10/32")]),
        ({**SFLOW, "action": "limit"}, [("limit", "198.51.100.10/32")]),
        ([SFLOW, FASTNETMON], [("drop", "198.51.100.10/32")] * 2),
        ({"event": {"type": "blackhole", "state": "removed", "target": ["192.0.2.1", "192.0.2.2"]}},
         [("release", "192.0.2.1/32"), ("release", "192.0.2.2/32")]),
        ({"text": "RTBH for 192.0.2.0/24 announced by 10.1.1.1", "source": "10.9.9.9"},
         [("drop", "192.0.2.0/24"), ("drop", "10.1.1.1/32")]),
        ("RTBH 192.0.2.1", [("drop", "192.0.2.1/32")]),
        ("", [("other", "")]),
        ("5", [("other", "")]),
        ({}, [("other", "")]),
        ({"alerts": []}, []),
    ],
)  # fmt: skip
def test_what_is_posted(what, notices):
    assert webhook(what) == notices


@pytest.mark.parametrize(
    ("line", "notices"),
    [
        ("<133>1 2026-01-01T00:00:00Z 10.0.0.1 fastnetmon 77 - - IP 192.0.2.1 banned", [("drop", "192.0.2.1/32")]),
        ("<133>1 2026-01-01T00:00:00Z r1 bgp - - [m@1 ip=\"192.0.2.1\"] RTBH withdrawn", [("release", "192.0.2.1/32")]),
        ("<134>Jan  1 00:00:00 10.0.0.1 rpd[1234]: blackhole 2001:db8::/64 installed", [("drop", "2001:db8::/64")]),
        ("<133>Jan 10 00:00:00 rt sflow: " + json.dumps(SFLOW), [("drop", "198.51.100.10/32")]),
        ("flowspec 198.51.100.10/32 port 443 rate-limit 0", [("limit", "198.51.100.10/32")]),
        ("<38>Jan  1 00:00:00 h sshd[1]: Accepted publickey for ops from 10.0.0.5 port 5", []),
        ("<38>Jan  1 00:00:00 h systemd-logind[1]: Removed session 5.", []),
        ("<4>Jan  1 00:00:00 r1 ddos: attack on 192.0.2.1 seen", [("other", "192.0.2.1/32")]),
        ("", []),
    ],
)  # fmt: skip
def test_what_is_logged(line, notices):
    assert syslog(line) == notices


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe\x00", b'{"ip": "\\ud800"}', b"1" * 50_000, b"NaN",
        json.dumps({"alerts": [1, None, [], {"labels": 5, "status": {}}] * 1000}).encode(),
        json.dumps([{"ip": f"10.0.{n >> 8}.{n & 255}", "action": "ban"} for n in range(5000)]).encode(),
        json.dumps({"ip": [f"10.0.{n >> 8}.{n & 255}" for n in range(5000)], "action": "ban"}).encode(),
        json.dumps({f"k{n}": {f"k{m}": "x" for m in range(100)} for n in range(1000)}).encode(),
        b"1.1.1." * 10_000, b":" * 60_000, b"0:" * 60_000, b"un" * 60_000, b"traffic-rate " + b" " * 60_000,
    ],
    ids=range(15),
)  # fmt: skip
@pytest.mark.timeout(5)
def test_hostile_messages_are_bounded_and_harm_nobody(body):
    for notices in (of_webhook("feed", body, AT), of_syslog("feed", body, AT)):
        assert len(notices) <= 100
        for one in notices:
            assert len(one.says) <= 300
            assert one.says.isprintable()
            one.says.encode()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace")))
def test_nothing_raises(body: bytes) -> None:
    for notices in (of_webhook("feed", body, AT), of_syslog("feed", body, AT)):
        assert all(isinstance(one, Notice) and one.at_ns == AT and one.source == "feed" for one in notices)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["action", "ip", "alerts", "labels", "status", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_no_json_raises(told: object) -> None:
    assert len(of_webhook("feed", json.dumps(told).encode(), AT)) <= 100
