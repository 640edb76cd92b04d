"""Units: every spelling that people use, and none that they do not mean."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maul.core import units


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), (7, 7), ("4KiB", 4096), ("4 kib", 4096), ("4kb", 4000), ("1.5MB", 1_500_000), (" 2 GiB ", 2**31),
     ("1TB", 10**12), ("3b", 3), ("0.5KiB", 512)],
)  # fmt: skip
def test_sizes(text, size):
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "KiB", "-1", "4 K", "4KiBB", "1e3", "1,5MB", "nan", "inf", "4/KiB", "9" * 400, "true", ".5", "5.", "٣"]
)
def test_no_sizes(text):
    with pytest.raises(ValueError, match="is not a size; write bytes or a unit"):
        units.parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), (2.5, 2.5), ("500ms", 0.5), ("1.5m", 90), ("2 min", 120), ("1h", 3600), ("1d", 86400)],
)
def test_durations(text, seconds):
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "-3s", "3 weeks", "5us", "1e3", "inf", "nan", "3s3s", "9" * 400])
def test_no_durations(text):
    with pytest.raises(ValueError, match="is not a duration; write seconds or a unit"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "rate"), [("100/s", 100), ("30/m", 0.5), (5, 5), ("1e3/s", 1000), ("60/min", 1), ("7200 / h", 2), ("0", 0)]
)
def test_rates(text, rate):
    assert units.parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "-1", "5/d", "5/s/s", "inf", "nan", "1e999", "fast", "/s", "5/"])
def test_no_rates(text):
    with pytest.raises(ValueError, match="is not a rate"):
        units.parse_rate(text)


@pytest.mark.parametrize(
    ("text", "bandwidth"),
    [("200MB/s", 200_000_000), ("1.5 MiB/s", 1_572_864), (10, 10), ("60kB/m", 1000), ("5MB", 5_000_000)],
)
def test_bandwidths(text, bandwidth):
    assert units.parse_bandwidth(text) == bandwidth


@pytest.mark.parametrize("text", ["", "fast", "5/MB", "-5MB/s", "5MB/", "5MB/d", "5MB/s/s", "9" * 400])
def test_no_bandwidths(text):
    with pytest.raises(ValueError, match="is not a bandwidth"):
        units.parse_bandwidth(text)


@pytest.mark.parametrize(
    ("text", "ratio"), [("0.1%", 0.001), ("60 %", 0.6), (1, 1), (0, 0), ("100%", 1), ("1e-6", 1e-6)]
)
def test_ratios(text, ratio):
    assert units.parse_ratio(text) == pytest.approx(ratio)


@pytest.mark.parametrize("text", ["", "%", "101%", "-1%", "2", "nan", "inf", "5%%", "5%x", "half"])
def test_no_ratios(text):
    with pytest.raises(ValueError, match="is not a ratio"):
        units.parse_ratio(text)


@settings(deadline=None)
@given(st.integers(0, 2**50))
def test_shown_sizes_read_back_nearly_the_same(size):
    assert units.parse_size(units.show_size(size)) == pytest.approx(size, rel=1e-3, abs=0.5)


@settings(deadline=None)
@given(st.text(max_size=12))
def test_no_text_breaks_a_parser(text):
    for parse in (units.parse_size, units.parse_duration, units.parse_rate, units.parse_bandwidth, units.parse_ratio):
        try:
            value = parse(text)
        except ValueError as error:
            assert repr(text) in str(error)
        else:
            assert 0 <= value < float("inf")


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0.0042, "4.2 ms"), (1, "1.0 s"), (59.94, "59.9 s"), (60, "1 min"), (61, "1 min 1 s"), (600, "10 min")],
)
def test_shown_durations(seconds, says):
    assert units.show_duration(seconds) == says
