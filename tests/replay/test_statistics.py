"""The counts of a replay, and the sentences on flags that do not fit."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from carppcap.addresses import Address
from carppcap.election.actions import Cause, ReleaseAddresses, State, StateChanged
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived, Start
from carppcap.node.findings import Finding
from carppcap.node.groups import Step
from carppcap.node.ingress import Ingress, Rejection, RejectReason
from carppcap.replay.statistics import ANNOUNCED_MAX, SENDERS_MAX, Statistics, explain
from carppcap.wire.auth import Key
from carppcap.wire.decode import Announcement, Datagram, Defect
from tests.builders import (
    GROUP,
    GROUP6,
    HIGHER,
    LOWER,
    LOWER6,
    OURS,
    OURS6,
    VIP,
    VIP6,
    config,
    ns,
    payload,
)

MAC = bytes.fromhex("00005e000107")
OTHER_VIP = IPv4Address("10.1.1.253")
OTHER_GROUP = IPv4Address("224.0.0.99")
HOST = config()


def statistics_of(host: VirtualHostConfig, *datagrams: Datagram | Defect) -> Statistics:
    """Return what a replay counts of these datagrams and an announcement of `VIP`."""
    statistics, ingress = Statistics(), Ingress([host])
    for datagram in datagrams:
        verdict = ingress.check(datagram)
        if isinstance(verdict, Rejection):
            statistics.count_rejection(verdict)
        elif verdict is not None:
            vhid, event = verdict
            assert isinstance(event, AdvertReceived)
            assert isinstance(datagram, Datagram)
            statistics.count_advert(vhid, event, datagram)
    statistics.note_announcement(Announcement(VIP, MAC))
    return statistics


def sent(
    host: VirtualHostConfig = HOST,
    *,
    source: Address = LOWER,
    password: bytes = b"love",
    group: Address = GROUP,
    ttl: int = 255,
) -> Datagram:
    return Datagram(source, group, ttl, True, payload(host, 5, password=password))


def test_remarks_are_counted() -> None:
    """These are findings on adverts that were obeyed."""
    event = AdvertReceived(LOWER, 1, 0, 5)
    odd = Step(0, "eth0", 7, event, (), State.BACKUP, None, Finding.REPLAY)
    statistics = Statistics()
    for step in (odd, replace(odd, finding=None), odd):
        statistics.count_step(step)

    assert statistics.remarks == {Finding.REPLAY: 2}
    assert (statistics.senders, statistics.rejected) == ([], {})


def test_refused_adverts_are_counted() -> None:
    """They count for their senders, and not as remarks; our own have no vhid."""
    event = AdvertReceived(LOWER, 1, 0, 5)
    own = Step(0, "eth0", 7, event, (), State.BACKUP, None, refused=True)
    statistics = Statistics()
    for step in (own, replace(own, finding=Finding.STALE)):
        statistics.count_step(step)
    stranger, sender = statistics.senders

    assert statistics.rejected == {RejectReason.OWN: 1, RejectReason.STALE: 1}
    assert (stranger.vhid, stranger.rejected) == (None, {RejectReason.OWN: 1})
    assert (sender.vhid, sender.rejected) == (7, {RejectReason.STALE: 1})
    assert (statistics.remarks, statistics.accepted) == ({}, 0)


def test_counts_by_sender_and_reason() -> None:
    """Senders are in the order of address and vhid; a truncated frame has no sender."""
    other = config(vhid=8, advskew=3)
    statistics = statistics_of(
        HOST,
        sent(source=HIGHER),
        sent(config(advskew=9), source=HIGHER),
        sent(other),
        sent(ttl=1),
        sent(),
        Defect.TRUNCATED,
        Defect.FOREIGN,
    )

    lower, foreign, higher = statistics.senders

    assert (lower.source, lower.vhid, lower.accepted) == (LOWER, 7, 1)
    assert lower.rejected == {RejectReason.BADTTL: 1}
    assert (foreign.source, foreign.vhid, foreign.accepted) == (LOWER, 8, 0)
    assert foreign.rejected == {RejectReason.BADVHID: 1}
    assert (higher.accepted, higher.rank, higher.verified) == (2, (1, 9, 0), True)
    assert statistics.accepted == 3
    assert statistics.rejected == {
        RejectReason.BADTTL: 1,
        RejectReason.BADVHID: 1,
        RejectReason.BADLEN: 1,
    }


def test_senders_of_both_families() -> None:
    """IPv4 is first; addresses of two families with one number are two senders."""
    alike = IPv6Address(int(LOWER))
    both = config(source6=OURS6, vips=(VIP, VIP6))
    statistics = statistics_of(
        both,
        sent(both, source=LOWER6, group=GROUP6),
        sent(both, source=alike, group=GROUP6),
        sent(both),
    )

    assert [sender.source for sender in statistics.senders] == [LOWER, alike, LOWER6]
    assert [sender.accepted for sender in statistics.senders] == [1, 1, 1]


def test_changes_of_state_are_counted() -> None:
    """Other actions are not."""
    statistics = Statistics()
    changed = StateChanged(State.INIT, State.BACKUP, Cause.STARTUP)
    for actions in ((changed, ReleaseAddresses()), (), (ReleaseAddresses(),)):
        statistics.count_step(
            Step(ns(0), "eth0", 7, Start(), actions, State.BACKUP, None)
        )

    assert statistics.transitions == 1


def test_memory_is_bounded() -> None:
    """Senders beyond the limit are counted, but not listed."""
    statistics = Statistics()
    event = AdvertReceived(LOWER, 1, 0, 5)
    for number in range(SENDERS_MAX + 7):
        source = IPv4Address(number + 1)
        statistics.count_advert(7, replace(event, source=source), sent())
        statistics.note_announcement(Announcement(source, MAC))

    assert len(statistics.senders) == SENDERS_MAX
    assert len(statistics.announced) == ANNOUNCED_MAX
    assert statistics.accepted == SENDERS_MAX + 7


OTHER_VIP6 = IPv6Address("fd00:1::9")
IPV6 = config(source=None, source6=OURS6, vips=(VIP6,))
ELSEWHERE = config(vips=(OTHER_VIP,))


@pytest.mark.parametrize(
    ("host", "datagrams", "expected"),
    [
        pytest.param(HOST, [sent()], "", id="all fits"),
        pytest.param(HOST, [], "no CARP in this capture", id="nothing"),
        pytest.param(
            ELSEWHERE,
            [sent()],
            "adverts from 10.1.1.4 fit address 10.1.1.252, not --addr 10.1.1.253",
            id="address",
        ),
        pytest.param(
            HOST,
            [sent(password=b"hate")],
            (
                "adverts from 10.1.1.4 do not fit the password; --addr 10.1.1.252 is "
                "announced here, so that much seems right"
            ),
            id="password",
        ),
        pytest.param(
            ELSEWHERE,
            [sent(password=b"hate")],
            (
                "adverts from 10.1.1.4 fit neither --addr 10.1.1.253 nor any address "
                "announced here: the password differs, or an address"
            ),
            id="password or address",
        ),
        pytest.param(
            HOST,
            [sent(config(vhid=8)), sent(source=HIGHER)],
            (
                "adverts from 10.1.1.4 fit password and address, but have vhid 8, not "
                "--vhid 7"
            ),
            id="vhid",
        ),
        pytest.param(
            HOST,
            [sent(config(vhid=8))],
            (
                "adverts from 10.1.1.4 fit password and address, but have vhid 8, not "
                "--vhid 7"
            ),
            id="vhid of all",
        ),
        pytest.param(
            HOST,
            [sent(config(vhid=8), password=b"hate")],
            "no advert has --vhid 7; seen: 8",
            id="only another group",
        ),
        pytest.param(
            HOST,
            [sent(config(vhid=8), password=b"hate"), sent(source=HIGHER)],
            "",
            id="another group beside ours",
        ),
        pytest.param(
            HOST,
            [sent(group=OTHER_GROUP)],
            "adverts from 10.1.1.4 go to 224.0.0.99, not --mcastip 224.0.0.18",
            id="group",
        ),
        pytest.param(
            HOST,
            [sent(group=OURS)],
            "adverts from 10.1.1.4 go to 10.1.1.5 alone, and there is no --peer",
            id="unicast",
        ),
        pytest.param(
            HOST,
            [sent(source=LOWER6, group=GROUP6)],
            "adverts from fd00:1::4 come over IPv6, of which there is no --addr",
            id="family",
        ),
        pytest.param(
            IPV6,
            [sent(IPV6)],
            "adverts from 10.1.1.4 come over IPv4, of which there is no --addr",
            id="the other family",
        ),
        pytest.param(
            IPV6,
            [sent(IPV6, source=LOWER6, group=IPv6Address("ff02::1"))],
            "adverts from fd00:1::4 go to ff02::1, not ff02::12",
            id="group of IPv6",
        ),
        pytest.param(
            IPV6,
            [sent(config(vips=(OTHER_VIP6,)), source=LOWER6, group=GROUP6)],
            "adverts from fd00:1::4 fit address fd00:1::9, not --addr fd00:1::252",
            id="address of IPv6",
        ),
        pytest.param(
            HOST, [sent(password=b"hate"), sent()], "", id="forged among good ones"
        ),
        pytest.param(HOST, [sent(ttl=1)], "", id="no flag of ours"),
    ],
)
def test_explain(
    host: VirtualHostConfig, datagrams: list[Datagram | Defect], expected: str
) -> None:
    """There is one sentence for each sender that a flag of ours shuts out."""
    statistics = statistics_of(host, *datagrams)
    statistics.note_announcement(Announcement(OTHER_VIP6, MAC))

    assert "\n".join(explain(host, statistics)) == expected


ANY = config(vips=(), key=None)


@pytest.mark.parametrize(
    ("key", "password", "expected"),
    [
        (
            Key(b"love"),
            b"love",
            "adverts from 10.1.1.4 fit address 10.1.1.252 (there is no --addr)",
        ),
        (
            Key(b"love"),
            b"hate",
            (
                "adverts from 10.1.1.4 fit neither the password nor any address "
                "announced here: the password differs, or an address"
            ),
        ),
        (None, b"love", ""),
    ],
)
def test_explain_without_an_address(
    key: Key | None, password: bytes, expected: str
) -> None:
    """The password is tried on adverts that were accepted as unverified."""
    statistics = statistics_of(ANY, sent(password=password))

    assert statistics.senders[0].accepted == 1
    assert "\n".join(explain(replace(ANY, key=key), statistics)) == expected


def test_explain_several_addresses() -> None:
    """One sentence names all addresses that the sender has signed."""
    pair = config(vips=(VIP, OTHER_VIP))
    statistics = statistics_of(HOST, sent(pair))
    statistics.note_announcement(Announcement(OTHER_VIP, MAC))

    assert "\n".join(explain(HOST, statistics)) == (
        "adverts from 10.1.1.4 fit all of the addresses 10.1.1.252, 10.1.1.253, "
        "not --addr 10.1.1.252"
    )
