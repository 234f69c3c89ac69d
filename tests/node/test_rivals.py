"""Which claims are those of rivals."""

import pytest

from carppcap.addresses import Address, kernel_mac
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import RivalHeard
from carppcap.node.rivals import rival_of
from carppcap.wire.decode import Announcement, Claim
from tests.builders import LOWER, NIC_MAC, OURS, VIP, VIP6, config

OTHER = bytes.fromhex("020000000009")
VIRTUAL = kernel_mac(7)
HOST, WITH_VMAC = config(vips=(VIP, VIP6)), config(vmac=True)


@pytest.mark.parametrize("to_all", [False, True])
@pytest.mark.parametrize(
    ("host", "address", "mac", "is_rival"),
    [
        pytest.param(HOST, VIP, OTHER, True, id="another-host"),
        pytest.param(HOST, VIP6, OTHER, True, id="over-IPv6"),
        pytest.param(HOST, LOWER, OTHER, False, id="another-address"),
        pytest.param(HOST, OURS, OTHER, False, id="our-own-address"),
        pytest.param(HOST, VIP, NIC_MAC, False, id="our-own-frame"),
        pytest.param(HOST, VIP, VIRTUAL, True, id="a-kernel"),
        pytest.param(WITH_VMAC, VIP, VIRTUAL, False, id="the-virtual-MAC-is-of-all"),
        pytest.param(WITH_VMAC, VIP, NIC_MAC, False, id="our-own-MAC-with-vmac"),
        pytest.param(WITH_VMAC, VIP, OTHER, True, id="another-host-with-vmac"),
    ],
)
def test_rival_of(
    host: VirtualHostConfig,
    address: Address,
    mac: bytes,
    is_rival: bool,
    to_all: bool,
) -> None:
    """Whoever has another MAC and says that it has our address."""
    found = rival_of(Claim(Announcement(address, mac), to_all), host, NIC_MAC)

    assert found == (RivalHeard(address, mac) if is_rival else None)


def test_no_claim() -> None:
    """Most frames are none."""
    assert rival_of(None, HOST, NIC_MAC) is None
