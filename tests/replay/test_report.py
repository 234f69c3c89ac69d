"""The report of a replay, as text and as JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest

from carppcap.election.actions import Cause, ReleaseAddresses, State, StateChanged
from carppcap.election.events import AdvertReceived, Start
from carppcap.node.findings import Finding
from carppcap.node.groups import Group, Step
from carppcap.node.ingress import Ingress, Rejection, RejectReason
from carppcap.replay.report import Report
from carppcap.replay.statistics import Statistics
from carppcap.wire.decode import Datagram, Defect
from carppcap.wire.header import Advert
from tests.builders import (
    GROUP,
    HIGHER,
    LOWER,
    OURS6,
    VIP,
    VIP6,
    config,
    ns,
    numbers,
    payload,
)

STARTED = Step(
    ns(0),
    "eth0",
    7,
    Start(),
    (StateChanged(State.INIT, State.BACKUP, Cause.STARTUP), ReleaseAddresses()),
    State.BACKUP,
    ns(3),
)
HEARD = Step(
    ns(1.5),
    "eth0",
    7,
    AdvertReceived(LOWER, 1, 20, 99, verified=False, demotion=2),
    (),
    State.BACKUP,
    None,
)
REJECTED = Rejection(
    RejectReason.BADAUTH,
    Datagram(HIGHER, GROUP, 255, True, b""),
    Advert(7, 1, 0, 5, bytes(20)),
)
NAMELESS = Rejection(RejectReason.BADLEN)


def group(*, started: bool = False) -> Group:
    """Return the group of 10.1.1.5 with an address of each family.

    Once started it is a backup, which asks for an advert at 3.7 s.
    """
    host = Group(config(source6=OURS6, vips=(VIP, VIP6)), numbers())
    if started:
        host.handle(Start(), ns(1))
    return host


def told(*, as_json: bool) -> list[str]:
    """Return the report of a run with one item of each kind."""
    lines: list[str] = []
    report = Report(lines.append, as_json=as_json)
    statistics = Statistics()
    statistics.frames = 12
    report.write_note("grüß dich")
    for step in (STARTED, HEARD):
        statistics.count_step(step)
        report.write_step(step)
    datagram = Datagram(LOWER, GROUP, 255, True, payload(config(), 99))
    assert isinstance(HEARD.event, AdvertReceived)
    statistics.count_advert(7, HEARD.event, datagram)
    for rejection in (REJECTED, REJECTED, NAMELESS):
        statistics.count_rejection(rejection)
    report.write_rejection(REJECTED, ns(2))
    report.write_rejection(NAMELESS, ns(2.5))
    report.write_summary(ns(3), group(started=True), statistics)
    return lines


def test_obeyed_adverts_with_a_finding_are_counted_as_remarks() -> None:
    """The findings are those of the replay guard with --replay-guard=detect."""
    remarked = replace(HEARD, finding=Finding.REPLAY)
    lines: list[str] = []
    records: list[str] = []
    for report in (Report(lines.append), Report(records.append, as_json=True)):
        statistics = Statistics()
        for step in (HEARD, remarked, remarked):
            statistics.count_step(step)
        report.write_step(remarked)
        report.write_summary(ns(3), group(), statistics)

    assert lines == [
        "1.500000  vhid 7  BACKUP  advert 1/20+2 from 10.1.1.4 unverified replay",
        "3.000000  vhid 7  INIT  end of capture",
        "total  frames 0  accepted 0  rejected 0  transitions 0",
        "obeyed, but remarked on  2 (replay 2)",
    ]
    step_, summary = map(json.loads, records)
    assert (step_["remark"], summary["remarks"]) == ("replay", {"replay": 2})


def test_text() -> None:
    """The report is the timeline, then a line for each sender and one of totals."""
    assert told(as_json=False) == [
        "note: grüß dich",
        "0.000000  vhid 7  INIT -> BACKUP  startup  release  next 3.000000",
        "1.500000  vhid 7  BACKUP  advert 1/20+2 from 10.1.1.4 unverified",
        "2.000000  vhid 7  rejected badauth  from 10.1.1.6",
        "2.500000  vhid -  rejected badlen",
        "3.000000  vhid 7  BACKUP  end of capture  next 3.700000",
        "sender 10.1.1.4  vhid 7  accepted 1 unverified  last 1/20+2",
        "sender 10.1.1.6  vhid 7  rejected 2 (badauth 2)",
        "total  frames 12  accepted 1  rejected 3 (badlen 1, badauth 2)  transitions 1",
    ]


def test_json() -> None:
    """Each line is one object, with the keys that the docstring of the module lists."""
    records: list[dict[str, Any]] = [json.loads(line) for line in told(as_json=True)]

    assert records == [
        {"kind": "note", "text": "grüß dich"},
        {
            "kind": "step",
            "at_ns": 0,
            "interface": "eth0",
            "vhid": 7,
            "event": "start",
            "state": "BACKUP",
            "actions": ["release"],
            "next_ns": 3_000_000_000,
            "old_state": "INIT",
            "cause": "startup",
        },
        {
            "kind": "step",
            "at_ns": 1_500_000_000,
            "interface": "eth0",
            "vhid": 7,
            "event": "advert",
            "state": "BACKUP",
            "actions": [],
            "next_ns": None,
            "source": "10.1.1.4",
            "advbase": 1,
            "advskew": 20,
            "demotion": 2,
            "counter": 99,
            "verified": False,
        },
        {
            "kind": "rejection",
            "at_ns": 2_000_000_000,
            "reason": "badauth",
            "source": "10.1.1.6",
            "vhid": 7,
        },
        {
            "kind": "rejection",
            "at_ns": 2_500_000_000,
            "reason": "badlen",
            "source": None,
            "vhid": None,
        },
        {
            "kind": "summary",
            "at_ns": 3_000_000_000,
            "interface": "eth0",
            "vhid": 7,
            "families": [4, 6],
            "state": "BACKUP",
            "next_ns": 3_700_000_000,
            "frames": 12,
            "accepted": 1,
            "rejected": {"badlen": 1, "badauth": 2},
            "remarks": {},
            "transitions": 1,
            "senders": [
                {
                    "source": "10.1.1.4",
                    "vhid": 7,
                    "accepted": 1,
                    "verified": False,
                    "rejected": {},
                    "advbase": 1,
                    "advskew": 20,
                    "demotion": 2,
                },
                {
                    "source": "10.1.1.6",
                    "vhid": 7,
                    "accepted": 0,
                    "verified": True,
                    "rejected": {"badauth": 2},
                    "advbase": None,
                    "advskew": None,
                    "demotion": None,
                },
            ],
        },
    ]


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        (
            Datagram(LOWER, GROUP, 255, True, b""),
            "sender 10.1.1.4  vhid -  rejected 1 (badlen 1)",
        ),
        (Defect.FOREIGN, None),
    ],
)
def test_sender_of_a_frame_that_is_too_short_for_a_vhid(
    datagram: Datagram | Defect, expected: str | None
) -> None:
    """The sender is listed by its address, with - for the vhid."""
    statistics, lines = Statistics(), list[str]()
    verdict = Ingress([config()]).check(datagram)
    if isinstance(verdict, Rejection):
        statistics.count_rejection(verdict)

    Report(lines.append).write_summary(0, group(), statistics)

    assert lines[0] == "0.000000  vhid 7  INIT  end of capture"
    assert lines[1:-1] == ([] if expected is None else [expected])
    assert lines[-1].startswith("total  frames 0  accepted 0  rejected ")
