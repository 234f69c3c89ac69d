"""Adverts to our own address: what the kernel says to them, and how it is kept quiet.

The peer is a network of its own; what comes back to it is heard there.
"""

import errno
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from carppcap.addresses import Family
from carppcap.errors import LinkError
from carppcap.system.protocol import ProtocolHolder
from carppcap.wire.header import PROTOCOL
from tests.netns.namespaces import Namespace
from tests.shell import ip, make_link, network, wait_for

FAMILIES = {
    Family.IPV4: (socket.AF_INET, socket.IPPROTO_ICMP, "10.1.1.5"),
    Family.IPV6: (socket.AF_INET6, socket.IPPROTO_ICMPV6, "fd00::5"),
}
ADVERT = bytes(36)
QUIET_S = 0.2
PROTOCOL_UNREACHABLE = (3, 2)
UNKNOWN_NEXT_HEADER = (4, 1)

every_family = pytest.mark.parametrize("family", Family)


class Peer:
    """A peer that sends adverts and receives the ICMP errors."""

    def __init__(self, namespace: Namespace, family: Family) -> None:
        number, control, self._target = FAMILIES[family]
        self._header = 20 if family is Family.IPV4 else 0
        self.adverts, self.replies = namespace.call(
            lambda: (
                socket.socket(number, socket.SOCK_RAW, PROTOCOL),
                socket.socket(number, socket.SOCK_RAW, control),
            )
        )

    def complaint(self) -> tuple[int, int] | None:
        """Return type and code of the ICMP answer to an advert, None without one.

        Neighbour discovery is no complaint.
        """
        self.adverts.sendto(ADVERT, (self._target, 0))
        while select.select([self.replies], [], [], QUIET_S)[0]:
            packet = self.replies.recv(2048)[self._header :]
            if packet[0] in (UNKNOWN_NEXT_HEADER[0], PROTOCOL_UNREACHABLE[0]):
                return packet[0], packet[1]
        return None

    def close(self) -> None:
        """Close the sockets."""
        self.adverts.close()
        self.replies.close()


@pytest.fixture
def peer(family: Family) -> Iterator[Peer]:
    """We are 10.1.1.5 and fd00::5 on a0, the peer is next to us."""
    with network():
        make_link()
        namespace = Namespace()
        try:
            ip(f"link set b0 netns {namespace.pid}")
            Path("/proc/sys/net/ipv6/conf/a0/disable_ipv6").write_text("0")
            Path("/proc/sys/net/ipv4/icmp_ratelimit").write_text("0")
            Path("/proc/sys/net/ipv6/icmp/ratelimit").write_text("0")
            ip("address add fd00::5/64 dev a0 nodad")
            namespace.call(_furnish)
            far_end = Peer(namespace, family)
            yield far_end
            far_end.close()
        finally:
            namespace.close()


def _furnish() -> None:
    Path("/proc/sys/net/ipv6/conf/b0/disable_ipv6").write_text("0")
    ip("address add 10.1.1.4/24 dev b0")
    ip("address add fd00::4/64 dev b0 nodad")
    ip("link set b0 up")


@pytest.mark.netns
@every_family
def test_the_kernel_is_kept_quiet(peer: Peer, family: Family) -> None:
    """It answers before and after, and in the other family, but not meanwhile."""
    complaint = PROTOCOL_UNREACHABLE if family is Family.IPV4 else UNKNOWN_NEXT_HEADER
    [other] = set(Family) - {family}
    wait_for(peer.complaint, "the link to work")
    elsewhere = ProtocolHolder(other)
    assert peer.complaint() == complaint

    holder = ProtocolHolder(family)
    assert peer.complaint() is None

    elsewhere.close()
    assert peer.complaint() is None
    holder.close()
    assert peer.complaint() == complaint


@pytest.mark.netns
@every_family
def test_nothing_piles_up(peer: Peer, family: Family) -> None:
    """A filter drops every packet before it is queued."""
    holder = ProtocolHolder(*Family)
    for _ in range(20):
        peer.adverts.sendto(ADVERT, (FAMILIES[family][2], 0))
    assert peer.complaint() is None  # they have arrived

    for held in holder._sockets:
        with pytest.raises(BlockingIOError):
            held.recv(1)
    holder.close()


@pytest.mark.netns
def test_without_the_right_to() -> None:
    """The error is one line, and no descriptor is left open."""
    before = set(os.listdir("/proc/self/fd"))
    os.seteuid(65534)
    try:
        with pytest.raises(LinkError) as caught:
            ProtocolHolder(Family.IPV4)
    finally:
        os.seteuid(0)

    assert str(caught.value) == (
        "Unable to keep the kernel from answering protocol 112 itself: "
        "Operation not permitted"
    )
    assert set(os.listdir("/proc/self/fd")) == before


class Unfiltered:
    """A raw socket of a kernel that has no filters."""

    def __init__(self, *arguments: int) -> None:
        self.is_open = True

    def setsockopt(self, *arguments: object) -> None:
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))

    def close(self) -> None:
        self.is_open = False


def test_without_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket without a filter would fill up, so it is closed: an error."""
    opened = Unfiltered()
    monkeypatch.setattr(socket, "socket", lambda *_: opened)

    with pytest.raises(LinkError, match="not available"):
        ProtocolHolder(Family.IPV6)
    assert not opened.is_open
