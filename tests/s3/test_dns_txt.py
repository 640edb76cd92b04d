"""TXT records from a resolver on loopback: what is an answer, what is none, and what is hostile."""

import contextlib
import socket  # noqa: TID251 (a resolver on loopback)
import struct
import threading
import time

import pytest

from maul.core.errors import TargetError
from maul.s3.dns_txt import system_servers, txt_records

NAME = "_maul.s3.example"


def packed(name):
    return b"".join(bytes([len(one)]) + one.encode() for one in name.split(".")) + b"\0"


def record(owner, kind, data):
    return owner + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def txt(*strings, owner=b"\xc0\x0c"):
    return record(owner, 16, b"".join(bytes([len(one)]) + one for one in strings))


def answer(asked, *records, code=0, flags=0x8180, number=None, count=None):
    question = asked[12 : asked.index(b"\0", 12) + 5]
    head = struct.pack(
        ">HHHHHH", struct.unpack(">H", asked[:2])[0] if number is None else number, flags | code, 1,
        len(records) if count is None else count, 0, 0,
    )  # fmt: skip
    return head + question + b"".join(records)


@contextlib.contextmanager
def resolver(*answers):
    """Answers each question with all that its functions make of it."""
    asked = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        door.settimeout(5)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    question, peer = door.recvfrom(4096)
                    if question == b"end":
                        return
                    asked.append(question)
                    for make in answers:
                        door.sendto(make(question), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield door.getsockname(), asked
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"end", door.getsockname())
            thread.join(10)


def records(*answers, timeout_s=5.0):
    with resolver(*answers) as (server, _):
        return txt_records(NAME, [server], timeout_s)


def test_records_come_back_whole():
    assert records(lambda q: answer(q, txt(b"maul-consent=", b"abc"), txt(b"v=spf1 -all"))) == (
        "maul-consent=abc",
        "v=spf1 -all",
    )


def test_the_question_is_what_resolvers_expect():
    with resolver(answer) as (server, asked):
        assert txt_records(NAME + ".", [server]) == ()
    assert asked[0][12:].startswith(packed(NAME) + struct.pack(">HH", 16, 1))
    assert struct.unpack(">HHHHH", asked[0][2:12]) == (0x0100, 1, 0, 0, 1)


def test_no_such_name_has_no_records():
    assert records(lambda q: answer(q, code=3)) == ()


def test_an_alias_is_followed_and_a_stranger_is_not():
    alias = record(b"\xc0\x0c", 5, packed("consent.example"))
    assert records(
        lambda q: answer(
            q, alias, txt(b"theirs", owner=packed("consent.example")), txt(b"no", owner=packed("evil.example"))
        )
    ) == ("theirs",)


def test_answers_to_other_questions_are_not_heard():
    def other(question):
        return answer(question[:12] + packed("evil.example") + question[-15:], txt(b"evil"))

    assert records(
        lambda q: answer(q, txt(b"evil"), number=(struct.unpack(">H", q[:2])[0] + 1) % 65536),
        lambda q: answer(q, txt(b"evil"), flags=0x0180),
        lambda q: b"evil",
        other,
        lambda q: answer(q, txt(b"true")),
    ) == ("true",)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda q: answer(q, code=2), "code 2"),
        (lambda q: answer(q, code=5), "code 5"),
        (lambda q: answer(q, flags=0x8380), "does not fit"),
        (lambda q: answer(q, txt(b"x"))[:-1], "not DNS"),
        (lambda q: answer(q, txt(b"x"), count=7), "not DNS"),
        (lambda q: answer(q, record(b"\xc0\x0c", 16, b"\xffab")), "not DNS"),
        (lambda q: answer(q, txt(b"x", owner=b"\xc0" + bytes([len(q) - 11]))), "not DNS"),
        (lambda q: answer(q, txt(b"x", owner=b"\x80a\0")), "not DNS"),
        (lambda q: answer(q, record(b"\xc0\x0c", 5, b"\xc0\xff")), "not DNS"),
    ],
)
def test_what_is_no_answer_is_told(make, says):
    with pytest.raises(TargetError, match=says):
        records(make)


def test_a_pointer_that_leads_to_itself_ends():
    def loop(question):
        made = answer(question, b"", count=1)
        return made + b"\xc0" + bytes([len(made)]) + struct.pack(">HHIH", 16, 1, 60, 0)

    with pytest.raises(TargetError, match="not DNS"):
        records(loop)


def test_silence_is_bounded_and_the_next_one_is_asked():
    began = time.monotonic()
    with resolver() as (silent, _), resolver(lambda q: answer(q, txt(b"here"))) as (other, _):
        assert txt_records(NAME, [silent, other], 0.4) == ("here",)
        with pytest.raises(TargetError, match="no answer in time"):
            txt_records(NAME, [silent], 0.2)
    assert time.monotonic() - began < 3


def test_a_flood_of_wrong_answers_does_not_extend_the_time():
    with pytest.raises(TargetError, match="no answer in time"):
        records(*[lambda q: b"x" * 100] * 50, timeout_s=0.3)


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".example", ".".join(["abcdefgh"] * 30), "ü.example"])
def test_what_is_no_name_is_not_asked(name):
    with resolver() as (server, asked):
        with pytest.raises(TargetError, match="no name"):
            txt_records(name, [server], 0.2)
        assert asked == []


def test_the_resolvers_of_the_machine(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# hello\nsearch example\nnameserver 127.0.0.53\nnameserver nonsense\nnameserver ::1\noptions edns0\n"
    )
    assert system_servers(path) == (("127.0.0.53", 53), ("::1", 53))
    assert system_servers(tmp_path / "none") == ()
    with pytest.raises(TargetError, match="no resolver"):
        txt_records(NAME, ())
