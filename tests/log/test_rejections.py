"""The log's lines about rejected frames and findings of the replay guard."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from carppcap.election.actions import State
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.log.limited import QUIET_PERIOD_NS
from carppcap.log.rejections import Rejections
from carppcap.node.findings import Finding
from carppcap.node.groups import Step
from carppcap.node.ingress import HintReceived, Ingress, Rejection
from carppcap.units import NS_PER_S
from carppcap.wire.decode import LinkType, decode
from tests.builders import (
    HIGHER,
    LOWER,
    LOWER6,
    OURS,
    VIP6,
    config,
    ethernet,
    frame,
    ipv4,
    payload,
    vrrp_v2,
)
from tests.shell import MemoryLog

HOST = config()
PEER = config(source=LOWER)


class Said:
    """Rejections, and the lines written since they were last looked at."""

    def __init__(self, host: VirtualHostConfig = HOST) -> None:
        self._host = host
        self._log = MemoryLog()
        self.rejections = Rejections(self._log, [host])

    @property
    def lines(self) -> list[tuple[str, str]]:
        lines, self._log.lines = self._log.lines, []
        return lines

    def reject(self, data: bytes, at: int = 0) -> list[tuple[str, str]]:
        """Return the lines logged about a frame that is rejected."""
        rejection = Ingress([self._host]).check(decode(data, LinkType.ETHERNET))
        assert isinstance(rejection, Rejection)
        self.rejections.log_rejection(rejection, at)
        return self.lines


def damaged(data: bytes, position: int) -> bytes:
    return data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]


ADVERT = frame(payload(PEER))
FORGED = frame(payload(PEER, digest=b"xxxx" + bytes(16)))

OTHER_VHID = (
    "10.1.1.4 advertises our address under vhid 9, ours is 7: one of the two is wrong, "
    "and both may become master"
)
OTHER_GROUP = (
    "10.1.1.4 advertises to 224.0.0.19, we listen to 224.0.0.18: one --mcastip is "
    "wrong, and both may become master"
)

OTHER_PEER = (
    "10.1.1.4 advertises to 10.1.1.5 alone, we listen to 224.0.0.18: a --peer is "
    "missing here or superfluous there, and both may become master"
)
OTHER_PEER6 = (
    "fd00:1::4 advertises to fd00:1::5 alone, we listen to ff02::12: a --peer is "
    "missing here or superfluous there, and both may become master"
)
OTHER_FAMILY = (
    "fd00:1::4 advertises our address over IPv6, where this host has none: it may wait "
    "for our adverts there, and become master"
)

REJECTED = {
    "ttl": (
        ethernet(ipv4(payload(PEER), ttl=3)),
        ("WARNING", "Bad TTL: [3] (from 10.1.1.4)"),
    ),
    "version": (
        frame(payload(PEER, version=3)),
        ("WARNING", "Bad version: [3] (from 10.1.1.4)"),
    ),
    "header": (damaged(ADVERT, 24), ("WARNING", "Bad IP checksum (from 10.1.1.4)")),
    "checksum": (damaged(ADVERT, 40), ("WARNING", "Bad IP checksum (from 10.1.1.4)")),
    "short": (
        ethernet(ipv4(payload(PEER)[:20])),
        ("NOTICE", "Bogus size: a frame of protocol 112 from 10.1.1.4"),
    ),
    "vrrp": (
        ethernet(ipv4(vrrp_v2(1, vrid=8))),
        ("INFO", "VRRP from 10.1.1.4 shares this segment and is ignored"),
    ),
    "vrrp of our number": (
        ethernet(ipv4(vrrp_v2(1))),
        ("WARNING", "VRRP from 10.1.1.4 shares this segment and is ignored"),
    ),
    "other vhid, ours": (
        frame(payload(config(source=LOWER, vhid=9))),
        ("WARNING", OTHER_VHID),
    ),
    "other family, ours": (
        frame(payload(PEER), source=LOWER6),
        ("WARNING", OTHER_FAMILY),
    ),
    "other group, ours": (
        frame(payload(PEER), destination=IPv4Address("224.0.0.19")),
        ("WARNING", OTHER_GROUP),
    ),
}


@pytest.mark.parametrize(("data", "line"), REJECTED.values(), ids=REJECTED)
def test_a_rejection(data: bytes, line: tuple[str, str]) -> None:
    """Logged once, in ucarp's words if it has any, with the sender."""
    said = Said()

    assert said.reject(data) == [line]
    assert said.reject(data, at=QUIET_PERIOD_NS - 1) == []


def test_a_peer_who_tells_us_alone() -> None:
    """One of the two has a peer where the other has a group, in either family."""
    ours6, theirs6 = IPv6Address("fd00:1::5"), IPv6Address("fd00:1::4")
    dual = config(vips=(HOST.vips[0], VIP6), source6=ours6)
    said = Said(dual)

    alone = frame(payload(dual), source=LOWER, destination=OURS)
    assert said.reject(alone) == [("WARNING", OTHER_PEER)]
    alone6 = frame(payload(dual), source=theirs6, destination=ours6)
    assert said.reject(alone6) == [("WARNING", OTHER_PEER6)]


def test_a_bad_digest() -> None:
    """The first bytes of what we expected and of what came."""
    said = Said()

    [(level, text)] = said.reject(FORGED)

    assert level == "WARNING"
    expected = payload(PEER)[16:20].hex()
    assert text == (
        f"Bad digest - md2=[{expected}...] md=[78787878...] - Check vhid, password and "
        "virtual IP address (from 10.1.1.4)"
    )


@pytest.mark.parametrize(
    "data",
    [
        frame(payload(PEER), source=OURS),
        frame(payload(config(source=LOWER, vhid=9), password=b"hate")),
        frame(payload(PEER, password=b"hate"), destination=IPv4Address("224.0.0.19")),
    ],
    ids=["our own", "another group", "another group of receivers"],
)
def test_none_of_our_business(data: bytes) -> None:
    """Not logged, as by ucarp."""
    assert Said().reject(data) == []


def test_two_groups_of_one_host() -> None:
    """One foreign group of a host does not hide another that is misconfigured."""
    said = Said()
    theirs = frame(payload(config(source=LOWER, vhid=8), password=b"hate"))
    ours = frame(payload(config(source=LOWER, vhid=9)))

    assert said.reject(theirs) == []
    assert said.reject(ours) == [("WARNING", OTHER_VHID)]
    assert said.reject(ours, at=1) == []
    assert said.reject(ours, at=QUIET_PERIOD_NS) == [("WARNING", OTHER_VHID)]


def test_what_was_held_back_is_counted() -> None:
    """The next line, a minute later, says how many there were in between."""
    said = Said()
    for second in range(60):
        said.reject(FORGED, at=second)

    [(_, text)] = said.reject(FORGED, at=QUIET_PERIOD_NS)

    assert text.endswith(" (from 10.1.1.4) [59 more in between]")


def test_without_a_password_nothing_can_be_proved() -> None:
    """Without a password no misconfiguration is logged."""
    said = Said(config(key=None))

    assert said.reject(frame(payload(config(source=LOWER, vhid=9)))) == []
    other = frame(payload(PEER), destination=IPv4Address("224.0.0.19"))
    assert said.reject(other) == []


REPLAYED = AdvertReceived(LOWER, 1, 0, 1, mac=bytes.fromhex("00005e000007"))
CHANGED = (
    "uses a constant counter and changed its advbase, advskew or demotion, unless an "
    "attacker did"
)
WHO = "10.1.1.4 (00:00:5e:00:00:07)"
IGNORED = {
    "replay": f"Replay: an advert from {WHO} was sent before; ignored",
    "tampered": (
        f"Tampering: an advert from {WHO} was sent before with another advbase, "
        "advskew or demotion; ignored"
    ),
    "stale": f"Old advert from {WHO}: a replay, or its clock went back; ignored",
}


def found(finding: Finding, *, refused: bool, at: int = 0) -> Step:
    return Step(
        at, "eth0", 7, REPLAYED, (), State.BACKUP, None, finding, refused=refused
    )


@pytest.mark.parametrize(("finding", "text"), IGNORED.items())
def test_a_replay(finding: str, text: str) -> None:
    """With the MAC address that sent it; once a minute, and how many there were."""
    said = Said()
    for second in range(62):
        at = second * NS_PER_S
        said.rejections.log_remark(found(Finding(finding), refused=True, at=at))

    assert said.lines == [
        ("WARNING", text),
        ("WARNING", f"{text} [59 more in between]"),
    ]


def test_a_constant_counter_goes_and_comes_back() -> None:
    """`ifconfig carp0 down` and `up` is no alarm; other claims of that host are."""
    said = Said()
    changed = found(Finding.CHANGED, refused=False)
    farewell = replace(changed, event=replace(REPLAYED, advbase=255, advskew=255))
    for step in (farewell, changed, changed):
        said.rejections.log_remark(step)

    assert said.lines == [
        ("INFO", f"{WHO}, which uses a constant counter, says farewell"),
        ("INFO", f"{WHO}, which uses a constant counter, is back after its farewell"),
        ("NOTICE", f"{WHO} {CHANGED}"),
    ]


def test_a_farewell_excuses_its_own_sender_only() -> None:
    """What another one claims may be an attacker's."""
    said = Said()
    changed = found(Finding.CHANGED, refused=False)
    other = replace(REPLAYED, source=IPv4Address("10.1.1.77"), advbase=255, advskew=255)
    said.rejections.log_remark(replace(changed, event=other))
    said.rejections.log_remark(changed)

    assert [level for level, _ in said.lines] == ["INFO", "NOTICE"]


def test_a_replay_without_an_ethernet_address() -> None:
    """Some links have none."""
    said = Said()
    nameless = replace(REPLAYED, mac=None)
    step = found(Finding.REPLAY, refused=True)
    said.rejections.log_remark(replace(step, event=nameless))

    assert said.lines[0][1].startswith("Replay: an advert from 10.1.1.4 (?) was")


@pytest.mark.parametrize(
    "message",
    [
        replace(REPLAYED, second_password=True),
        HintReceived(5, REPLAYED.source, second_password=True),
    ],
    ids=["advert", "hint"],
)
def test_the_second_password_is_named(message: AdvertReceived | HintReceived) -> None:
    """Once for each sender and once an hour; not for what may be a replay."""
    said = Said()
    used = replace(found(Finding.REPLAY, refused=False), event=message, finding=None)
    other = replace(used, event=replace(message, source=HIGHER))
    said.rejections.log_remark(replace(used, refused=True))
    for second in range(3601):
        said.rejections.log_remark(replace(used, at=second * NS_PER_S))
    said.rejections.log_remark(replace(other, at=3601 * NS_PER_S))
    unused = replace(used, event=replace(message, second_password=False))
    said.rejections.log_remark(unused)

    text = "signs with the second password of our passfile: accepted, as in a change of"
    assert said.lines == [
        ("NOTICE", f"{source} {text} password")
        for source in ("10.1.1.4", "10.1.1.4", "10.1.1.6")
    ]


@pytest.mark.parametrize(
    ("finding", "level", "text"),
    [
        (
            Finding.REPLAY,
            "WARNING",
            f"Replay: an advert from {WHO} was sent before; obeyed",
        ),
        (
            Finding.REPEATING,
            "NOTICE",
            (
                f"{WHO} uses a constant counter (as OpenBSD, pfSense and OPNsense "
                "do): replay protection is off for it"
            ),
        ),
        (
            Finding.CHANGED,
            "NOTICE",
            f"{WHO} {CHANGED}",
        ),
    ],
)
def test_what_the_guard_remarks_on(finding: Finding, level: str, text: str) -> None:
    """The advert is obeyed and the finding is logged."""
    said = Said()
    said.rejections.log_remark(found(finding, refused=False))
    said.rejections.log_remark(found(finding, refused=False))

    assert said.lines == [(level, text)]


def test_a_namesake_is_named_once_a_minute() -> None:
    """With its MAC and the remedy."""
    said = Said()
    data = decode(frame(payload(HOST), source=OURS), LinkType.ETHERNET)
    rejection = Ingress([HOST]).check(data)
    assert isinstance(rejection, Rejection)

    lines = []
    for at in (0, NS_PER_S, QUIET_PERIOD_NS):
        said.rejections.log_namesake(rejection, at)
        lines.append(said.lines)

    text = (
        "Another host advertises from our address 10.1.1.5 (MAC 00:00:5e:00:00:07): "
        "each ignores the other, and both become master; give each host its own --srcip"
    )
    again = f"{text} [1 more in between]"
    assert lines == [[("WARNING", text)], [], [("WARNING", again)]]
