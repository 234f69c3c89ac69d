"""What the simulated kernels send, and which kernels accept it."""

import pytest

from carppcap.simulation.model.medium import Medium
from carppcap.wire.decode import Announcement, LinkType, decode_announcement
from tests.simulation.groups import causes, play


@pytest.mark.parametrize("kind", ["freebsd", "openbsd"])
def test_unicast(kind: str) -> None:
    """Each advert to the peer alone, from the MAC of the interface."""
    node = {
        "node1": {"flags": "--peer 10.9.0.2"},
        "node2": {"flags": "--peer 10.9.0.1"},
    }
    result = play(kind, kind, node=node, story="at 20s crash node1")

    assert causes(result, "node2") == ["BACKUP startup", "MASTER master_down"]
    assert {member.name: member.rejected for member in result.report.hosts} == {
        "node1": {},
        "node2": {},
    }


@pytest.mark.parametrize(("kind", "is_heard"), [("freebsd", True), ("openbsd", False)])
def test_a_unicast_advert_at_a_group(kind: str, is_heard: bool) -> None:
    """FreeBSD accepts unicast anyway; on OpenBSD both hosts need --peer."""
    node = {"node1": {"flags": "--peer 10.9.0.2"}}
    result = play(kind, kind, node=node)

    assert ("MASTER master_down" not in causes(result, "node2")) is is_heard
    assert ("badvhid" in result.report.hosts[1].rejected) is not is_heard


def test_a_peer_that_does_not_exist() -> None:
    """Nothing is sent to a peer whose MAC is unknown."""
    result = play("freebsd", "freebsd", group={"flags": "--peer 10.9.0.77"})

    assert [causes(result, name)[-1] for name in ("node1", "node2")] == [
        "MASTER master_down"
    ] * 2


@pytest.mark.parametrize(
    ("first", "second", "is_believed"),
    [
        ("openbsd", "openbsd", True),
        ("freebsd", "netbsd", True),
        ("netbsd", "openbsd", True),
        ("openbsd", "freebsd", False),
        ("openbsd", "netbsd", False),
    ],
)
def test_link_local_addresses(first: str, second: str, is_believed: bool) -> None:
    """OpenBSD does not sign them, and takes both forms; the others know only theirs."""
    flags = "-a 10.9.0.254 -a fe80::fe"
    result = play(first, second, group={"flags": flags})

    assert ("badauth" not in result.report.hosts[1].rejected) is is_believed


def test_announcements_of_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second announcement is ARP only; all come from the virtual MAC."""
    sent: list[bytes] = []

    def send(self: Medium, sender: str, frame: bytes, now: int) -> None:
        sent.append(frame)

    monkeypatch.setattr(Medium, "send", send)
    flags = "-a 10.9.0.254,10.9.0.253 -a 2001:db8::fe"
    result = play("openbsd", group={"flags": flags})

    vips = result.scenario.members[0].config.vips
    mac = bytes.fromhex("00005e000107")
    told = [decode_announcement(frame, LinkType.ETHERNET) for frame in sent]
    assert [one for one in told if one is not None] == [
        Announcement(vip, mac) for vip in (*vips, *vips[:2])
    ]
    assert {frame[6:12] for frame in sent} == {mac}
