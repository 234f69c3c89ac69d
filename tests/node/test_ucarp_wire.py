"""One test for each rule of ucarp about the wire.

The docstrings name their sources as those in `election.test_ucarp_rules` do.
"""

from typing import Any

import pytest

from carppcap.election.actions import AnnounceAddresses, SendAdvert
from carppcap.election.config import VirtualHostConfig
from carppcap.node.egress import Egress
from carppcap.node.ingress import Ingress, Rejection, RejectReason
from carppcap.wire.decode import Datagram
from tests.builders import GROUP, LOWER, NIC_MAC, OURS, config, payload


def judged(host: VirtualHostConfig, **changes: Any) -> object:
    fields: dict[str, Any] = {
        "source": LOWER, "destination": GROUP, "ttl": 255, "header_ok": True,
        "payload": payload(host),
    }  # fmt: skip
    return Ingress([host]).check(Datagram(**fields | changes))


def reason(verdict: object) -> RejectReason | None:
    return verdict.reason if isinstance(verdict, Rejection) else None


def test_our_own_frames_are_rejected() -> None:
    """Behaviour: capture filter "src host not SRCIP"."""
    assert reason(judged(config(), source=OURS)) is RejectReason.OWN


def test_the_order_of_the_checks() -> None:
    """Behaviour: length, TTL, version, vhid, group, checksum, digest.

    The faults of a frame are corrected one by one; it is rejected for the next one.
    """
    host = config()
    broken: dict[str, Any] = {"ttl": 1, "destination": OURS, "header_ok": False}
    seen = [
        reason(judged(host, **broken, payload=b"\x31" + bytes(30))),
        reason(judged(host, **broken, payload=payload(host, version=3, vhid=9))),
    ]
    broken["ttl"] = 255
    faults: dict[str, Any] = {"version": 3, "vhid": 9, "digest": bytes(20)}
    for mended in ("version", "vhid"):
        seen.append(reason(judged(host, **broken, payload=payload(host, **faults))))
        del faults[mended]
    for mended in ("destination", "header_ok"):
        seen.append(reason(judged(host, **broken, payload=payload(host, **faults))))
        del broken[mended]
    seen.append(reason(judged(host, payload=payload(host, **faults))))

    assert [one and one.value for one in seen] == [
        "badlen", "badttl", "badver", "badvhid", "wrong_group", "badsum", "badauth"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changes", [{"type": 2}, {"authlen": 9}, {"demotion": 255}], ids=str
)
def test_type_authlen_and_pad_are_not_checked(changes: dict[str, Any]) -> None:
    """Protocol, header: no implementation checks type, authlen or the pad byte."""
    assert isinstance(judged(config(), payload=payload(config(), **changes)), tuple)


def test_a_counter_need_not_grow() -> None:
    """Protocol, counter and replay: never require a growing counter."""
    ingress = Ingress([config()])
    verdicts = [
        ingress.check(Datagram(LOWER, GROUP, 255, True, payload(config(), counter)))
        for counter in (2**64 - 1, 5, 5, 0)
    ]

    assert all(isinstance(verdict, tuple) for verdict in verdicts)


def test_adverts_have_the_headers_that_ucarp_sends() -> None:
    """Protocol, envelope: TTL 255, low delay, DF, source 00:00:5e:00:00:vhid."""
    (frame,) = Egress(config(vhid=42), NIC_MAC, lambda: 0).frames(
        SendAdvert(1, 0, 1), 0
    )

    assert frame[6:12].hex(":") == "00:00:5e:00:00:2a"
    assert (frame[15], frame[20:22].hex(), frame[22], frame[23]) == (
        0x10, "4000", 255, 112
    )  # fmt: skip
    assert len(frame) == 14 + 20 + 36


def test_nomcast_changes_the_ethernet_destination_only() -> None:
    """Protocol, envelope: broadcast with --nomcast, the IP destination stays."""
    egress = Egress(config(multicast=False), NIC_MAC, lambda: 0)
    (frame,) = egress.frames(SendAdvert(1, 0, 1), 0)

    assert frame[:6] == b"\xff" * 6
    assert frame[30:34] == GROUP.packed


def test_gratuitous_arp_names_the_interface_twice() -> None:
    """Behaviour: broadcast request, sender and target hardware address the NIC's."""
    (frame,) = Egress(config(), NIC_MAC, lambda: 0).frames(AnnounceAddresses(), 0)

    assert frame[:6] == b"\xff" * 6
    assert frame[6:12] == frame[22:28] == frame[32:38] == NIC_MAC
    assert frame[20:22] == b"\0\1"
    assert frame[28:32] == frame[38:42] == config().vips[0].packed
