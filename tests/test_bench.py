"""The arithmetic of the benchmarks: what is measured is worth no more than this."""

from pathlib import Path

import pytest

from carppcap.wire.auth import Authenticator, Key
from tests.bench.holders.contenders import PROGRAMS, RIVALS
from tests.bench.holders.play import (
    NONE,
    TWO,
    Case,
    Outcome,
    Span,
    rows,
)
from tests.bench.replay import measured, write_adverts
from tests.bench.report import Row, as_json, as_rst, closing_line, significant, table
from tests.bench.stage import config_of
from tests.netns.heartbeat import STALL_NS, stalled_ns
from tests.netns.lab import PASSWORD, VHID, Lab
from tests.netns.ping import Answer, Outage, answers, outages
from tests.netns.watch import Change, Period, periods
from tests.netns.wire import Advert, parse, read_capture

FAST = Row("Speed", "short way", "ms", (3.0, 1.0, 2.0), (40.0, 10.0), 2.5)
SLOW = Row("Speed", "long way", "ms", (30.0, 1.0, 20.0), (40.0,), 2.5, note="uphill")
EARLY = Row("Speed", "too early", "ms", (-9.0,), (), 2.5, rival="tshark")
OPEN = Row("Size", "whole", "MB", (), (5.0,), 2.5)
FREE = Row("Size", "part", "MB", (5.0,), (5.0,))


@pytest.mark.parametrize(
    ("row", "verdict", "ratio"),
    [
        (FAST, "met", 12.5),
        (SLOW, "NOT MET", 2.0),
        (EARLY, "NOT MET", None),
        (OPEN, "NOT MET", None),
        (FREE, "", 1.0),
        (Row("", "", "", (2.5,), (5.0,), 2.5), "NOT MET", 2.0),
        (Row("", "", "", (0.0,), (5.0,), 2.5), "met", None),
        (Row("", "", "", (5.0,), (2.5,), at_least=5.0), "met", 0.5),
        (Row("", "", "", (4.9,), (4.9,), at_least=5.0), "NOT MET", 1.0),
        (Row("", "", "", (), (2.5,), at_least=0.0), "NOT MET", None),
        (Row("", "", "", (0.0, 0.0, 3.0), limit=2.5), "met", None),
        (Row("", "", "", (0.0, 0.0, 3.0), limit=2.5, by_worst=True), "NOT MET", None),
        (Row("", "", "", (0.0, 2.4), limit=2.5, by_worst=True), "met", None),
        (Row("", "", "", (), limit=2.5, by_worst=True), "NOT MET", None),
        (Row("", "", "", (9.0, 1.0, 9.0), at_least=2, by_worst=True), "NOT MET", None),
    ],
)
def test_verdict(row: Row, verdict: str, ratio: float | None) -> None:
    """Medians or the worst are judged, by magnitude; a ratio says how much."""
    assert (row.verdict, row.ratio) == (verdict, ratio)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.1234, "0.12"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (-12.34, "-12.3"),
        (99.96, "100"),
        (123456.0, "123456"),
    ],
)
def test_significant(value: float, text: str) -> None:
    """No more digits than a noisy machine is good for."""
    assert significant(value) == text


def test_table() -> None:
    """Sections with their own heads, columns that line up, notes below."""
    expected = """\
Speed
             unit  carppcap  range       n  ucarp  range       n  ratio  target
  short way  ms        2.00  1.00..3.00  3   25.0  10.0..40.0  2   12.5  < 2.50  met
  long way   ms        20.0  1.00..30.0  3   40.0              1   2.00  < 2.50  NOT MET
  * long way: uphill

Size
             unit  carppcap  range       n  ucarp  range       n  ratio  target
  whole      MB           -                  5.00              1      -  < 2.50  NOT MET
  part       MB        5.00              1   5.00              1   1.00"""

    assert table([FAST, SLOW, OPEN, FREE]) == expected


def test_table_names_the_rival() -> None:
    """Where it is not the original that is compared with."""
    head = table([EARLY]).splitlines()[1].split()

    assert head[:2] == ["unit", "carppcap"]
    assert "tshark" in head
    assert "ucarp" not in head


def test_table_tells_what_is_judged() -> None:
    """Where every sample must meet the target, the target says so."""
    row = Row("Speed", "all ways", "ms", (1.0, 2.0), limit=2.5, by_worst=True)

    assert table([row]).splitlines()[2].endswith("all < 2.50  met")


def test_closing_line() -> None:
    """Rows without a target count for nothing, those without samples as missed."""
    assert closing_line([FAST, FREE]) == "1 of 1 targets met"
    assert (
        closing_line([FAST, SLOW, OPEN])
        == "1 of 3 targets met; not met: Speed / long way, Size / whole"
    )


def test_json_keeps_every_sample() -> None:
    """Whoever doubts a median can look at what it was made of."""
    [found] = as_json([FAST])

    assert found["carppcap"] == [3.0, 1.0, 2.0]
    assert found["carppcap_median"] == 2.0
    assert (found["rival"], found["rivals"]) == ("ucarp", [40.0, 10.0])
    assert (found["limit"], found["met"]) == (2.5, True)


def test_answers_and_outages() -> None:
    """A late answer counts as one; a row of missing numbers is an outage."""
    output = """\
PING 10.9.0.100 (10.9.0.100) 56(84) bytes of data.
From 10.9.0.3 icmp_seq=1 Destination Host Unreachable
[1700000000.000100] 64 bytes from 10.9.0.100: icmp_seq=2 ttl=64 time=0.04 ms
[1700000000.010100] 64 bytes from 10.9.0.100: icmp_seq=4 ttl=64 time=0.03 ms
[1700000000.010200] 64 bytes from 10.9.0.100: icmp_seq=3 ttl=64 time=9.03 ms
[1700000000.050200] 64 bytes from 10.9.0.100: icmp_seq=8 ttl=64 time=0.03 ms
[1700000000.0602
"""
    start_ns = 1_700_000_000 * 10**9

    found = answers(output)

    assert [answer.number for answer in found] == [2, 3, 4, 8]
    assert outages(found) == [Outage(start_ns + 10_100_000, start_ns + 50_200_000, 3)]
    # Three of four intervals: the fourth would have passed in any case.
    assert outages(found)[0].duration_ns == 30_075_000
    assert outages([Answer(0, 1), Answer(1, 2)]) == []


TAKEN = (
    Change(100, "one", held=True),
    Change(130, "two", held=True),
    Change(150, "one", held=False),
    Change(180, "two", held=False),
)


@pytest.mark.parametrize(
    ("since_ns", "until_ns", "expected"),
    [
        (
            0,  # from the first change on
            200,
            [
                Period(100, 130, ("one",)),
                Period(130, 150, ("one", "two")),
                Period(150, 180, ("two",)),
                Period(180, 200, ()),
            ],
        ),
        (50, 110, [Period(50, 100, ()), Period(100, 110, ("one",))]),
        (140, 145, [Period(140, 145, ("one", "two"))]),
        (130, 150, [Period(130, 150, ("one", "two"))]),
        (190, 200, [Period(190, 200, ())]),
    ],
)
def test_periods(since_ns: int, until_ns: int, expected: list[Period]) -> None:
    """Who held the address, in every moment of a span and of nothing else."""
    found = periods(TAKEN, since_ns, until_ns)

    assert found == expected
    assert sum(period.duration_ns for period in found) == until_ns - (since_ns or 100)


def test_no_periods_without_changes() -> None:
    """Before anything has happened, time is not counted; asked for, it is nobody's."""
    assert periods([], 0, 200) == []
    assert periods([], 100, 200) == [Period(100, 200, ())]


@pytest.mark.parametrize(
    ("since_ns", "until_ns", "expected_ns"),
    [
        (0, 100 * STALL_NS, 5 * STALL_NS),  # both stalls, and no ordinary lateness
        (0, 10 * STALL_NS, 0),
        (11 * STALL_NS, 100 * STALL_NS, 4 * STALL_NS),
        (0, 21 * STALL_NS, 3 * STALL_NS),
        (40 * STALL_NS, 50 * STALL_NS, 0),
    ],
)
def test_stalls(since_ns: int, until_ns: int, expected_ns: int) -> None:
    """What is late counts within the window only, and ordinary noise never does."""
    beats = [
        (5 * STALL_NS, STALL_NS),
        (10 * STALL_NS, 2 * STALL_NS),
        (20 * STALL_NS, 3 * STALL_NS),
    ]

    assert stalled_ns(beats, since_ns, until_ns) == expected_ns


def test_peak_memory_is_that_of_the_process() -> None:
    """The peak is not that of the process that measures, which is far larger."""
    ballast = bytearray(b"x" * 60_000_000)

    assert measured(["sleep", "0.1"]).peak_mb < len(ballast) / 1e6


def test_generated_capture_is_authentic(tmp_path: Path) -> None:
    """The adverts that replay is measured with, read without carppcap's decoder."""
    path = tmp_path / "adverts.pcap"
    write_adverts(path, 3)
    signer = Authenticator(Key(PASSWORD.encode()), VHID, config_of("10.9.0.1").vips)

    adverts = [parse(frame) for frame in read_capture(path)]

    assert len(adverts) == 3
    for number, advert in enumerate(adverts):
        assert isinstance(advert, Advert)
        assert advert.checksums_good
        assert (advert.counter, advert.digest) == (number, signer.digest(number))
        assert advert.time_ns == 1_700_000_000 * 10**9 + number * 10**9
    assert path.stat().st_size == 24 + 3 * (16 + 70)


def test_rows_become_a_table_of_a_document() -> None:
    """A literal block, in which every line is indented."""
    lines = as_rst([Row("start", "it listens", "ms", (1.0,), (2.0,))]).splitlines()

    assert lines[:4] == ["", "::", "", "    start"]
    assert all(line.startswith("    ") for line in lines[3:] if line)


def _unplayed(lab: Lab, program: str) -> Span:
    raise AssertionError(f"{program} is not played in {lab}")


PROMISE = Case("killed", _unplayed, 0.01, 3.1, note="host lives", is_promise=True)
PLAYED = {
    (PROMISE, "carppcap"): [Outcome(0.0, 0.02, 2), Outcome(0.02, 0.03, 2)],
    (PROMISE, "ucarp"): [Outcome(10.0, 0.0, 1)],
    (PROMISE, "keepalived"): [Outcome(failure="keepalived: is not installed")],
}


def test_rows_of_a_fault() -> None:
    """Beside ucarp a promise has its limit, and other rivals show what they do."""
    [two] = rows("Two", TWO, PLAYED, [PROMISE], "ucarp")
    [none] = rows("None", NONE, PLAYED, [PROMISE], "ucarp")
    [beside] = rows("Two", TWO, PLAYED, [PROMISE], "keepalived")

    assert (two.ours, two.theirs) == ((0.0, 0.02), (10.0,))
    assert (two.verdict, two.note) == ("NOT MET", "host lives")
    assert (none.ours, none.verdict, none.note) == ((0.02, 0.03), "met", "")
    assert (beside.theirs, beside.limit, beside.verdict) == ((), None, "")
    assert beside.note == "keepalived: is not installed"
    assert set(RIVALS) < set(PROGRAMS)
