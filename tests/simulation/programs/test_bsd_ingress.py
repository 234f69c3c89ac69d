"""The checks of the simulated kernels (wire/README.rst)."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from carppcap.election.actions import SendAdvert
from carppcap.node.ingress import Rejection, RejectReason
from carppcap.simulation.programs.bsd import kernel_egress
from carppcap.simulation.programs.bsd_ingress import BsdIngress
from carppcap.simulation.scenario.parts import Kind, Member
from carppcap.wire.decode import Datagram, Defect, LinkType, decode
from tests.simulation.groups import group

OTHER_GROUP = IPv4Address("224.0.0.19")


def test_a_fragment_is_no_advert() -> None:
    """Fragments and frames of other protocols are no adverts."""
    config = group("netbsd").members[0].config
    ingress = BsdIngress(Kind.NETBSD, config)

    assert ingress.check(Defect.FRAGMENT) == Rejection(RejectReason.BADLEN)
    assert ingress.check(Defect.FOREIGN) is None


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("openbsd", {}, None),
        ("openbsd", {"ttl": 254}, RejectReason.BADTTL),
        ("netbsd", {"ttl": 254}, RejectReason.BADTTL),
        ("freebsd", {"ttl": 254}, RejectReason.BADTTL),
        ("openbsd", {"header_ok": False}, RejectReason.BADSUM),
        ("openbsd", {"payload": b""}, RejectReason.BADLEN),
        ("openbsd", {"payload": bytes(36)}, RejectReason.BADSUM),
        ("freebsd", {"payload": bytes(36)}, RejectReason.BADVER),
        ("freebsd", {"destination": OTHER_GROUP}, RejectReason.WRONG_GROUP),
        ("freebsd", {"destination": IPv4Address("10.9.0.1")}, None),
        ("freebsd", {"source": IPv6Address("fe80::2")}, RejectReason.BADVHID),
    ],
)  # fmt: skip
def test_what_is_believed(
    kind: str, changes: dict[str, Any], expected: RejectReason | None
) -> None:
    """Each kernel has its own order of checks."""
    first, second = group(kind, kind, group={"flags": "-k 0"}).members
    datagram = replace(_advert_of(second), **changes)

    verdict = BsdIngress(first.kind, first.config).check(datagram)

    found = verdict.reason if isinstance(verdict, Rejection) else None
    assert found is expected


@pytest.mark.parametrize(
    ("kind", "expected"), [("freebsd", None), ("openbsd", RejectReason.BADTTL)]
)
def test_unicast_from_afar(kind: str, expected: RejectReason | None) -> None:
    """Only FreeBSD accepts unicast through a router."""
    flags = {
        "node1": {"flags": "--peer 10.9.0.2"},
        "node2": {"flags": "--peer 10.9.0.1"},
    }
    first, second = group(kind, kind, node=flags).members

    verdict = BsdIngress(first.kind, first.config).check(
        replace(_advert_of(second), ttl=63)
    )

    found = verdict.reason if isinstance(verdict, Rejection) else None
    assert found is expected


def _advert_of(member: Member) -> Datagram:
    """Return the frame of an advert that a host sends as a master."""
    egress = kernel_egress(member, bytes(6), int, lambda _: bytes(6))
    [frame] = egress.frames(SendAdvert(1, 0, 99), 0)
    datagram = decode(frame, LinkType.ETHERNET)
    assert isinstance(datagram, Datagram)
    return datagram
