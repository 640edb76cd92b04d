"""What a network says when it drops somebody, in the shapes that detectors and routers use. Pure.

JSON: FastNetMon (`action`, `ip`, `attack_details`), sFlow-RT's ddos-protect (`app`, `action`, `ip`, `group`), and
Alertmanager (`alerts[].labels`, `status`); text: a line of syslog, or whatever else was posted. Whoever sends it is not
trusted: nothing raises, everything is bounded, and what nobody understands is `other`, never a guess.
"""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from maul.core.vantage import Notice

DROP, LIMIT, DIVERT, RELEASE, OTHER = "drop", "limit", "divert", "release", "other"
TEXT_MAX = 8192
NOTICES_MAX = 100
"""Of one message."""
_SAYS_MAX, _PREFIXES_MAX, _NODES_MAX, _DEPTH_MAX = 300, 16, 2000, 8

_WORDS = re.compile(r"[_\s]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_RELEASE = re.compile(
    r"\b(un-?ban\w*|un-?block\w*|un-?black-?hole\w*|withdr[ae]w\w*|releas\w*|remov\w*|delet\w*|lift\w*|clear\w*|"
    r"resolved|restored|expired|deactivat\w*|no longer)\b"
)
_LATER = re.compile(r"\b(will|then|until|till|after|auto\w*|hold\w*|expires|ttl)\b")
_SOON = re.compile(r"\s+(in|at)\s+\d|(?<!ed)(?<!wn)\s+after\s+\d")  # but not "removed after 1900 s"
_CLAUSES = re.compile(r"[,;]\s|\.\s")
# In this order: "rate-limit, excess is discarded" limits; "traffic-rate 0" does not.
_ACTIONS = (
    (DROP, r"\b(black-?\s?hol\w*|rtbh\w*|ban(s|ned|ning)?|null-?\s?rout\w*|65535:666)\b"),
    (DROP, r"\btraffic-rate[ =:]+0\b(?!\.\d*[1-9])"),
    (DIVERT, r"\b(divert\w*|diversion\w*|scrub\w*|redirect\w*)"),
    (LIMIT, r"^limit$|\b(rate-?\s?limit\w*|limit(ed|ing)|traffic-rate|polic(er|ed|ing)|throttl\w*|shap(ed|er|ing))\b"),
    (DROP, r"\b(discard\w*|drop(s|ped|ping)?|block(s|ed|ing)?|filter(s|ed|ing)?|den(y|ied))\b"),
)
_COMPILED = tuple((action, re.compile(words)) for action, words in _ACTIONS)
_SUBJECT = re.compile(r"\b(black-?\s?hol\w*|rtbh|flow-?\s?spec|ddos|attack|mitigat\w*|(un)?ban(ned)?|scrub\w*)\b")

_V4 = r"(?<![\w.:])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?![\w/]|\.\d)"
_V6 = r"(?<![\w.:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:/\d{1,3})?(?![\w/:])"
_ADDRESS = re.compile(f"{_V4}|{_V6}", re.IGNORECASE)
_NOT_THE_ONE = re.compile(r"(next-?\s?hop|neighbou?r|peer|via|gateway|router(-?id)?)[\s:=\"']*$", re.IGNORECASE)

_WHAT = ("action", "status", "event", "type", "state", "mitigation", "alertname", "attack", "summary", "description")
_WHOM = ("prefix", "address", "ip", "network", "cidr", "nlri", "route", "destination", "dst", "dst_ip", "target", "vip")
_OTHERS = frozenset({
    "instance", "source", "src", "src_ip", "peer", "peer_ip", "next_hop", "nexthop", "neighbor", "router", "exporter",
    "generatorURL", "externalURL", "attack_details", "fingerprint", "startsAt", "endsAt", "receiver", "groupKey",
})  # fmt: skip
"""Keys whose addresses are not those that are dropped, or whose words say nothing of an action."""

_PRIORITY = re.compile(r"^<\d{1,3}>")
_RFC5424 = re.compile(r"^1 (?:\S+ ){5}")  # version, then time, host, program, process, message id
_RFC3164 = re.compile(r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ ")


def of_webhook(source: str, body: bytes, at_ns: int) -> list[Notice]:
    """What was posted. Somebody meant to say something: at least one notice, of whatever it was."""
    text = body.decode("utf-8", "replace")
    found = _of_json(source, text, at_ns)
    return _of_text(source, text, at_ns) if found is None else found


def of_syslog(source: str, datagram: bytes, at_ns: int) -> list[Notice]:
    """One datagram (RFC 5424 or RFC 3164). Nothing for a line that has nothing to do with it: others log there too."""
    text = _PRIORITY.sub("", datagram[:TEXT_MAX].decode("utf-8", "replace"), count=1)
    text = _RFC3164.sub("", _RFC5424.sub("", text, count=1), count=1)
    brace = text.find("{")
    found = _of_json(source, text[brace:], at_ns) if brace >= 0 else None
    notices = _of_text(source, text, at_ns) if found is None else found
    known = _SUBJECT.search(_plain(text)) is not None
    return [one for one in notices if known or (one.action != OTHER and one.prefix)]


def action_of(text: str) -> str | None:
    """What the words say is done; None: they do not say.

    >>> [action_of(t) for t in ("Blackhole for 192.0.2.1/32 withdrawn", "banned, unban after 1900 s", "attack seen")]
    ['release', 'drop', None]
    """
    plain = _plain(text)
    for clause in _CLAUSES.split(plain):
        for word in _RELEASE.finditer(clause):
            if not _LATER.search(clause, 0, word.start()) and not _SOON.match(clause, word.end()):
                return RELEASE
    return next((action for action, words in _COMPILED if words.search(plain)), None)


def prefixes_of(text: str) -> list[str]:
    """Addresses and prefixes in a text, as `192.0.2.1/32`, each once; not those of routers on the way.

    >>> prefixes_of("drop 192.0.2.1:443 and 2001:db8::/48 next-hop 10.0.0.1 at 12:30:00")
    ['192.0.2.1/32', '2001:db8::/48']
    """
    found: dict[str, None] = {}
    for match in _ADDRESS.finditer(text[:TEXT_MAX]):
        prefix = prefix_of(match[0])
        if prefix and not _NOT_THE_ONE.search(text, max(0, match.start() - 20), match.start()):
            found[prefix] = None
        if len(found) >= _PREFIXES_MAX:
            break
    return list(found)


def prefix_of(text: str) -> str:
    """An address or prefix in its usual form; empty for anything else.

    >>> prefix_of("192.0.2.77/24"), prefix_of("2001:DB8::1"), prefix_of("host")
    ('192.0.2.0/24', '2001:db8::1/128', '')
    """
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return ""
    return "" if network.is_unspecified else str(network)


def _plain(text: str) -> str:
    return _WORDS.sub(" ", _CAMEL.sub(" ", text[:TEXT_MAX])).lower()


def _of_text(source: str, text: str, at_ns: int) -> list[Notice]:
    return _notices(source, prefixes_of(text), action_of(text) or OTHER, text, at_ns)


def _of_json(source: str, text: str, at_ns: int) -> list[Notice] | None:
    """None: it is not JSON, or nothing with names in it."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    items = told if isinstance(told, list) else [told]
    messages = [item for item in items[:NOTICES_MAX] if isinstance(item, dict)]
    found: list[Notice] = []
    for message in messages:
        alerts = message.get("alerts")
        if isinstance(alerts, list):
            for alert in alerts[:NOTICES_MAX]:
                found += _of_message(source, alert, at_ns) if isinstance(alert, dict) else []
        else:
            found += _of_message(source, message, at_ns)
    return found[:NOTICES_MAX] if messages else None


def _of_message(source: str, message: Mapping[str, object], at_ns: int) -> list[Notice]:
    leaves = list(_leaves(message))
    said = [action_of(text) for wanted in _WHAT for key, text in leaves if key == wanted]
    # `type: blackhole, state: removed`, `action: drop, status: resolved`: whichever says that it is over is right.
    action = RELEASE if RELEASE in said else next((one for one in said if one is not None), None)
    whom = [text for wanted in _WHOM for key, text in leaves if key == wanted]
    prefixes = list(dict.fromkeys(prefix for text in whom for prefix in prefixes_of(text)))
    rest = " ".join(text for key, text in leaves if key not in _OTHERS)
    says = " ".join(f"{key}={text}" for key, text in leaves if key not in _OTHERS)
    return _notices(source, prefixes or prefixes_of(rest), action or action_of(rest) or OTHER, says, at_ns)


def _leaves(message: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Every text and number with the name it stands under, outermost first; those of what is not looked at left out."""
    level: list[tuple[str, object]] = list(message.items())
    left = _NODES_MAX
    for _ in range(_DEPTH_MAX):
        deeper: list[tuple[str, object]] = []
        for key, value in level:
            left -= 1
            if left < 0:
                return
            if isinstance(value, str | int | float):
                yield key, str(value)[:TEXT_MAX]
            elif isinstance(value, dict) and key not in _OTHERS:
                deeper += list(value.items())[:_NODES_MAX]
            elif isinstance(value, list):
                deeper += [(key, item) for item in value[:_NODES_MAX]]
        level = deeper


def _notices(source: str, prefixes: Sequence[str], action: str, says: str, at_ns: int) -> list[Notice]:
    # What is not printable, lone surrogates among it, cannot go into the record and onto pages.
    clean = "".join(sign if sign.isprintable() else " " for sign in says[: 2 * _SAYS_MAX])
    short = " ".join(clean.split())[:_SAYS_MAX]
    return [Notice(at_ns, source, prefix, action, short) for prefix in prefixes[:_PREFIXES_MAX] or [""]]
