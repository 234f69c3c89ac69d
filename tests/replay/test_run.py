"""The replay of a capture: its clock, its steps and the frames that it would send."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from carppcap.addresses import Address
from carppcap.election.config import GuardMode, VirtualHostConfig
from carppcap.errors import LinkError
from carppcap.node.counter import join
from carppcap.replay.report import Report
from carppcap.replay.run import TICKS_PER_GAP_MAX, Replay, invented_mac
from carppcap.replay.statistics import SENDERS_MAX
from carppcap.system.capture import FileCapture, StampedFrame
from carppcap.units import NS_PER_S
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.decode import Datagram, LinkType, Vlan, decode, decode_announcement
from carppcap.wire.encode import build_announcement
from tests import captures
from tests.builders import (
    GROUP,
    HIGHER,
    LOWER,
    OURS,
    OURS6,
    VIP,
    VIP6,
    config,
    frame,
    ns,
    payload,
)
from tests.timelines import FIXTURES

EPOCH_NS = 1_700_000_000 * NS_PER_S


SILENT = Report(list[str]().append)


class ListCapture:
    """A capture of frames in a list; at the end it may raise `error`."""

    def __init__(
        self,
        frames: list[StampedFrame],
        *,
        link_type: LinkType = LinkType.ETHERNET,
        error: LinkError | None = None,
    ) -> None:
        self.link_type = link_type
        self._batches = [frames[i : i + 3] for i in range(0, len(frames), 3)]
        self._error = error

    def read(self) -> list[StampedFrame]:
        if self._batches:
            return self._batches.pop(0)
        if self._error is not None:
            raise self._error
        return []


class ListInjector:
    """An injector that keeps the frames in a list."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes]] = []

    def send(self, frame: bytes, at: int) -> None:
        self.sent.append((at, frame))


def at(seconds: float, body: bytes, source: IPv4Address = LOWER) -> StampedFrame:
    return EPOCH_NS + ns(seconds), frame(body, source)


def lines_of(
    host: VirtualHostConfig,
    frames: list[StampedFrame],
    *,
    verbose: bool = False,
    **capture: Any,
) -> list[str]:
    lines: list[str] = []
    source = ListCapture(frames, **capture)
    Replay(host, source, Report(lines.append), verbose=verbose).run()
    return lines


def timeline(lines: list[str]) -> list[str]:
    """Return the lines without the closing ones."""
    return [line for line in lines if line[0].isdigit()]


ADVERT = payload(config(advskew=0), 77)
HOST = config(advskew=128)  # 0.5 s: waits 3.5 s, adverts each 1.5 s
HEARD = "advert 1/0 from 10.1.1.4"
YIELDING = (
    f"5.500000  vhid 7  MASTER -> BACKUP  better_master by {HEARD}  "
    "advert 1/128 release  next 8.650000"
)
TAKE_OVER = """\
3.150000  vhid 7  BACKUP  tick  solicit  next 3.325000
3.325000  vhid 7  BACKUP  tick  solicit  next 3.500000
3.500000  vhid 7  BACKUP -> MASTER  master_down  advert 1/128 solicit acquire  \
next 5.000000
3.500000  vhid 7  MASTER  acquired  announce  next 5.000000
""".splitlines()


def test_time_passes_from_deadline_to_deadline() -> None:
    """Between frames 5.5 s apart a backup takes over and sends adverts."""
    frames = [at(0, ADVERT), at(5.5, ADVERT)]

    assert timeline(lines_of(HOST, frames)) == [
        "0.000000  vhid 7  INIT -> BACKUP  startup  release  next 3.150000",
        *TAKE_OVER,
        "5.000000  vhid 7  MASTER  tick  advert 1/128  next 6.500000",
        YIELDING,
        "5.500000  vhid 7  BACKUP  end of capture  next 8.650000",
    ]


@pytest.mark.parametrize(
    ("second", "takes_over"), [(3.5, False), (3.5 + 1 / 256, True)]
)
def test_a_frame_is_handled_before_a_deadline_at_its_instant(
    second: float, takes_over: bool
) -> None:
    """An advert at the end of the master-down interval prevents a take-over."""
    lines = lines_of(HOST, [at(0, ADVERT), at(second, ADVERT)])

    assert any("master_down" in line for line in lines) is takes_over


def test_a_frame_is_handled_before_a_later_deadline_of_a_master() -> None:
    """A master since 3.5 s would send an advert at 5 s, and yields to one instead."""
    lines = lines_of(HOST, [at(0, ADVERT), at(5, ADVERT)])

    assert not any("MASTER  tick" in line for line in lines)
    assert any("better_master" in line for line in lines)


def test_a_replay_ends_with_the_last_frame() -> None:
    """A deadline at its instant is met, no later one."""
    foreign = (EPOCH_NS + ns(3.5), b"\xff" * 60)

    lines = timeline(lines_of(HOST, [at(0, ADVERT), foreign]))

    assert lines[-5:] == [
        *TAKE_OVER,
        "3.500000  vhid 7  MASTER  end of capture  next 5.000000",
    ]


def test_time_never_runs_backwards() -> None:
    """A frame with an earlier stamp than the one before counts as of its instant."""
    frames = [at(1, ADVERT), at(3, ADVERT), at(0, payload(HOST, 5, advskew=255))]

    lines = timeline(lines_of(HOST, frames))

    assert lines[-1].startswith("2.000000  vhid 7  BACKUP  end of capture")


def test_a_gap_of_many_adverts_ends_a_replay() -> None:
    """A stamp in another century would make millions of lines."""
    last = 40 + 1.5 * TICKS_PER_GAP_MAX + 1
    capture = ListCapture([at(0, ADVERT), at(40, ADVERT), at(last, ADVERT)])
    lines: list[str] = []

    broken_off = Replay(HOST, capture, Report(lines.append)).run()

    assert str(broken_off) == (
        "No frame for 1500001.000000 s, 40.000000 s after the first: too long a gap"
    )
    assert lines[-3] == "40.000000  vhid 7  BACKUP  end of capture  next 43.150000"


def test_an_empty_capture() -> None:
    """The timeline has a first and a last line."""
    assert timeline(lines_of(HOST, [])) == [
        "0.000000  vhid 7  INIT -> BACKUP  startup  release  next 3.150000",
        "0.000000  vhid 7  BACKUP  end of capture  next 3.150000",
    ]


def test_a_capture_that_breaks_off_is_reported_up_to_there() -> None:
    """The report is that of a capture which ends there; the error is returned."""
    frames = [at(0, ADVERT), at(1, ADVERT)]
    error = LinkError("broken")
    whole: list[str] = []
    part: list[str] = []

    assert Replay(HOST, ListCapture(frames), Report(whole.append)).run() is None
    broken = Replay(HOST, ListCapture(frames, error=error), Report(part.append))
    assert broken.run() is error

    assert part == whole


def test_verbose_reports_quiet_steps_too() -> None:
    """It leaves out only that an advert was sent."""
    frames = [at(0, ADVERT), at(1, ADVERT), at(5, b"")]

    lines = timeline(lines_of(HOST, frames, verbose=True))

    assert lines[1] == "0.000000  vhid 7  BACKUP  released  next 3.150000"
    assert lines[3] == f"1.000000  vhid 7  BACKUP  {HEARD}  next 4.150000"
    assert not any("send_succeeded" in line for line in lines)


def test_rejections_and_foreign_frames() -> None:
    """A rejection is a line of the timeline; foreign frames are only counted."""
    frames = [
        at(0, ADVERT),
        at(0.25, payload(HOST, 8, password=b"hate")),
        (EPOCH_NS + ns(0.5), b""),
        (EPOCH_NS + ns(0.75), b"\0" * 60),
        at(1, ADVERT, OURS),
    ]

    lines = lines_of(HOST, frames)

    assert timeline(lines)[1:3] == [
        "0.250000  vhid 7  rejected badauth  from 10.1.1.4",
        "1.000000  vhid -  rejected own  from 10.1.1.5",
    ]
    assert lines[-1] == (
        "total  frames 5  accepted 1  rejected 2 (own 1, badauth 1)  transitions 1"
    )


def test_an_advert_of_ours_that_returns() -> None:
    """An advert that this host would have sent is recognised by its counter."""
    injector = ListInjector()
    host = replace(HOST, key=Key(b"love"))
    first = [at(0, ADVERT), at(4, b"")]
    Replay(host, ListCapture(first), SILENT, injector).run()
    decoded = [decode(sent, LinkType.ETHERNET) for _, sent in injector.sent]
    (ours,) = [d for d in decoded if isinstance(d, Datagram) and d.destination == GROUP]

    lines = lines_of(host, [*first, at(4.25, ours.payload, HIGHER)])

    assert "4.250000  vhid -  rejected own  from 10.1.1.6" in lines


@pytest.mark.parametrize("mode", GuardMode)
def test_adverts_that_are_sent_again(mode: GuardMode) -> None:
    """They are refused or remarked on, as --replay-guard says."""
    host = replace(HOST, key=Key(b"love"), replay_guard=mode)
    bodies = [payload(config(), counter) for counter in (1, 2, 1, 1)]
    lines = lines_of(host, [at(n, body) for n, body in enumerate(bodies)])

    counts = {
        GuardMode.OFF: ["total  frames 4  accepted 4  rejected 0  transitions 1"],
        GuardMode.DETECT: [
            "total  frames 4  accepted 4  rejected 0  transitions 1",
            "obeyed, but remarked on  2 (replay 2)",
        ],
        GuardMode.ENFORCE: [
            "total  frames 4  accepted 2  rejected 2 (replay 2)  transitions 1"
        ],
    }[mode]
    assert lines[-len(counts) :] == counts
    assert sum("replay" in line for line in lines) == {
        GuardMode.OFF: 0, GuardMode.DETECT: 3, GuardMode.ENFORCE: 4,
    }[mode]  # fmt: skip


def test_hints_in_a_capture() -> None:
    """A hint to us raises our counter; it changes neither state nor deadline."""
    host = replace(HOST, key=Key(b"love"))
    signer = Authenticator(Key(b"love"), 7, [VIP], type=2)
    frames = [at(0, ADVERT)]
    for second, time in ((1, 5000), (2, 5)):
        counter = join(time, 0)
        body = payload(config(), counter, type=2, digest=signer.digest(counter))
        frames.append((EPOCH_NS + ns(second), frame(body, LOWER, OURS)))

    lines = lines_of(host, frames, verbose=True)

    contested = [line for line in lines if "sequence_contested" in line]
    assert contested == ["1.000000  vhid 7  BACKUP  sequence_contested  next 3.150000"]
    assert "accepted 1  rejected 0" in lines[-1]


def test_small_counters_of_others_are_not_ours() -> None:
    """A peer that counts from 0 sends no counter that this host has drawn."""
    worse = [payload(config(advskew=200), counter) for counter in range(64)]
    frames = [at(0, ADVERT), at(200, b"")]
    frames += [at(200 + i / 256, body) for i, body in enumerate(worse)]

    lines = lines_of(HOST, frames)

    assert "accepted 65  rejected 1 (badlen 1)" in lines[-1]


def test_stamps_and_macs_of_the_frames_that_would_have_been_sent() -> None:
    """Stamps are on the clock of the capture; MACs are made from our address.

    There are two solicitations, then an advert with a third one and an announcement.
    """
    injector = ListInjector()
    capture = ListCapture([at(0, ADVERT), at(5.5, ADVERT)])

    Replay(HOST, capture, SILENT, injector).run()

    stamps = [(stamp - EPOCH_NS) / NS_PER_S for stamp, _ in injector.sent]
    assert stamps == [3.15, 3.325, 3.5, 3.5, 3.5, 5.0, 5.5]
    kinds = [
        type(decode(sent, LinkType.ETHERNET)).__name__ for _, sent in injector.sent
    ]
    assert kinds == [*["Datagram"] * 4, "Defect", "Datagram", "Datagram"]
    announcement = decode_announcement(injector.sent[4][1], LinkType.ETHERNET)
    assert announcement is not None
    assert (announcement.address, announcement.mac) == (VIP, invented_mac(OURS))
    assert invented_mac(OURS).hex(":") == "02:00:0a:01:01:05"


@pytest.mark.parametrize(
    ("changes", "sources", "destinations"),
    [
        ({"source": None, "source6": OURS6, "vips": (VIP6,)}, [OURS6], ["ff02::12"]),
        (
            {"source6": OURS6, "vips": (VIP, VIP6)},
            [OURS, OURS6],
            ["224.0.0.18", "ff02::12"],
        ),
        ({"peers": (LOWER, HIGHER)}, [OURS, OURS], [str(LOWER), str(HIGHER)]),
    ],
    ids=["IPv6", "both", "peers"],
)
def test_addresses_of_the_adverts_that_would_have_been_sent(
    changes: dict[str, Any], sources: list[Address], destinations: list[str]
) -> None:
    """There is one in each family of our addresses, to the group or to each peer."""
    injector = ListInjector()
    foreign = bytes(60)
    frames = [(EPOCH_NS, foreign), (EPOCH_NS + ns(4), foreign)]

    Replay(config(advskew=100, **changes), ListCapture(frames), SILENT, injector).run()

    decoded = [decode(sent, LinkType.ETHERNET) for _, sent in injector.sent]
    adverts = [
        found
        for found in decoded
        if isinstance(found, Datagram) and not found.is_broadcast
    ]
    assert [found.source for found in adverts] == sources
    assert [str(found.destination) for found in adverts] == destinations


def test_two_replays_of_a_capture_send_the_same_frames() -> None:
    """This includes counters and IP ids."""

    def sent() -> list[tuple[int, bytes]]:
        injector = ListInjector()
        capture = ListCapture([at(0, ADVERT), at(20, ADVERT)])
        Replay(HOST, capture, SILENT, injector).run()
        return injector.sent

    assert sent() == sent()
    assert len({frame for _, frame in sent()}) > 10


def test_more_senders_than_are_listed() -> None:
    """Adverts of all of them are judged and counted."""
    sources = [IPv4Address(0x0A020000 + i) for i in range(SENDERS_MAX + 44)]
    frames = [at(i / 256, ADVERT, source) for i, source in enumerate(sources * 2)]

    lines: list[str] = []
    run = Replay(HOST, ListCapture(frames), Report(lines.append))
    run.run()

    assert f"accepted {2 * len(sources)}  rejected 0" in lines[-1]
    assert sum(line.startswith("sender") for line in lines) == SENDERS_MAX


Variant: TypeAlias = tuple[
    Callable[[Iterable[captures.Record], int], bytes],
    int,
    Callable[[bytes], bytes],
    Vlan,
]
VARIANTS: dict[str, Variant] = {
    "pcapng": (captures.pcapng, captures.ETHERNET, bytes, ()),
    "tagged": (captures.pcap, captures.ETHERNET, captures.tagged, (5,)),
    "tagged twice": (captures.pcap, captures.ETHERNET, captures.tagged_twice, (7, 5)),
    "cooked": (captures.pcap, captures.SLL, captures.cooked, ()),
    "cooked, tagged": (captures.pcap, captures.SLL, captures.cooked_and_tagged, (5,)),
    "cooked again": (captures.pcap, captures.SLL2, captures.cooked_again, ()),
    "cooked pcapng": (captures.pcapng, captures.SLL2, captures.cooked_again, ()),
    "bare": (captures.pcap, captures.RAW, captures.bare, ()),
}


def told_of(path: Path, vlan: Vlan = ()) -> list[str]:
    host = VirtualHostConfig(
        interface="eth0",
        vhid=42,
        source=IPv4Address("10.1.1.5"),
        vips=(IPv4Address("10.1.1.252"),),
        key=Key(b"pw1"),
        advskew=150,
    )
    lines: list[str] = []
    capture = FileCapture(str(path))
    assert Replay(host, capture, Report(lines.append), vlan=vlan).run() is None
    return lines


def is_to_another_host(frame: bytes) -> bool:
    datagram = decode(frame, LinkType.ETHERNET)
    return (
        isinstance(datagram, Datagram)
        and datagram.is_broadcast
        and not datagram.destination.is_multicast
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_file_format_and_link_type_do_not_change_the_report(
    tmp_path: Path, variant: str
) -> None:
    """The capture is rewritten in each of them."""
    write, link_type, change, vlan = VARIANTS[variant]
    whole = captures.read(FIXTURES / "netbsd-injected" / "capture.pcap")
    # A link without MACs does not tell whether a frame was for another host only.
    records = [
        record
        for record in filter(captures.is_ipv4, whole)
        if not is_to_another_host(record[1])
    ]
    plain, wrapped = tmp_path / "plain", tmp_path / "wrapped"
    plain.write_bytes(captures.pcap(records))
    wrapped.write_bytes(write(captures.rewritten(records, change), link_type))

    told = told_of(wrapped, vlan)

    assert len(told) > 25
    assert told == told_of(plain)


OTHER_MAC = bytes.fromhex("020000000009")
CLAIM = build_announcement(OTHER_MAC, VIP)
RIVAL_AT_4 = "4.050000  vhid 7  MASTER  tick  rival 02:00:00:00:00:09 of 10.1.1.252"


@pytest.mark.parametrize(
    ("before", "is_told"),
    [
        pytest.param([], True, id="rival"),
        pytest.param([at(0.5, ADVERT, OURS)], False, id="captured-on-the-host-itself"),
        pytest.param(
            [(EPOCH_NS, build_announcement(OTHER_MAC, OURS))], False, id="it-is-our-MAC"
        ),
        pytest.param(
            [
                (EPOCH_NS, build_announcement(b"\2" * 6, OURS)),
                at(0.5, ADVERT, OURS),
            ],
            True,
            id="our-MAC-is-another",
        ),
    ],
)
def test_a_rival(before: list[StampedFrame], is_told: bool) -> None:
    """It is told of if it cannot be the host itself that we play."""
    frames = [
        at(0, ADVERT),
        *before,
        (EPOCH_NS + ns(4), CLAIM),
        at(4.2, payload(config(vhid=9))),
    ]

    told = [line for line in lines_of(HOST, frames) if "rival" in line]

    assert told == [f"{RIVAL_AT_4} announce solicit  next 5.000000"] * is_told
