"""What a customer measures: round trips without its own delays, and what did not come back in time."""

import json

from maul.lab.customer import Canary, replace_file

MS = 1_000_000


def sent(canary: Canary, count: int, every_ns: int = 10 * MS) -> list[int]:
    return [canary.sent(index * every_ns) for index in range(count)]


def test_the_time_that_the_other_end_held_it_is_not_in_the_round_trip():
    canary = Canary()
    number = canary.sent(1_000 * MS)
    canary.came_back(number, 1_009 * MS, held_ns=7 * MS)
    told = canary.tell(2_000 * MS)
    assert (told["rtt_p50_ms"], told["rtt_p99_ms"], told["loss_ratio"], told["sent"]) == (2.0, 2.0, 0.0, 1)


def test_what_did_not_come_back_is_lost_once():
    canary = Canary()
    numbers = sent(canary, 10)
    for number in numbers[:7]:
        canary.came_back(number, 200 * MS, 0)
    told = canary.tell(1_000 * MS)
    assert (told["loss_ratio"], told["sent"]) == (0.3, 10)
    assert canary.tell(2_000 * MS) == {
        "at_ns": 2_000 * MS, "rtt_p50_ms": None, "rtt_p99_ms": None, "loss_ratio": 0.0, "sent": 0,
    }  # fmt: skip


def test_what_is_still_young_is_told_next_time():
    canary = Canary()
    numbers = sent(canary, 100)
    for number in numbers[:60]:
        canary.came_back(number, 1_000 * MS, 0)
    assert canary.tell(500 * MS)["sent"] == 50
    assert canary.tell(1_000 * MS)["sent"] == 50, "ten that came back, forty that are lost by now"


def test_an_answer_that_comes_late_twice_or_from_nowhere_is_no_news():
    canary = Canary()
    (number,) = sent(canary, 1)
    canary.came_back(number, 5 * MS, 0)
    canary.came_back(number, 9 * MS, 0)
    canary.came_back(77, 9 * MS, 0)
    told = canary.tell(1_000 * MS)
    assert (told["sent"], told["rtt_p99_ms"]) == (1, 5.0)
    canary.came_back(number, 2_000 * MS, 0)
    assert canary.tell(3_000 * MS)["sent"] == 0


def test_percentiles_are_values_that_were_measured():
    canary = Canary()
    for index, number in enumerate(sent(canary, 100, MS)):
        canary.came_back(number, index * MS + (index + 1) * MS, 0)
    told = canary.tell(1_000 * MS)
    assert (told["rtt_p50_ms"], told["rtt_p99_ms"]) == (50.0, 99.0)


def test_a_clock_that_was_set_back_makes_no_negative_round_trip():
    canary = Canary()
    canary.came_back(canary.sent(100 * MS), 90 * MS, 0)
    assert canary.tell(1_000 * MS)["rtt_p50_ms"] == 0.0


def test_the_file_is_replaced_whole(tmp_path):
    path = tmp_path / "c41-c51.json"
    for value in (1, 2):
        replace_file(path, {"sent": value})
        assert json.loads(path.read_text()) == {"sent": value}
    assert [found.name for found in tmp_path.iterdir()] == ["c41-c51.json"]
