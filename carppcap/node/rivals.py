"""Finds hosts that use one of our virtual addresses although this host is master.

ARP and neighbour advertisements are not authenticated: a rival proves nothing.  The
election only answers it (`RivalHeard`).
"""

from carppcap.addresses import kernel_mac
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import RivalHeard
from carppcap.wire.decode import Claim


def rival_of(
    claim: Claim | None, config: VirtualHostConfig, nic_mac: bytes
) -> RivalHeard | None:
    """Return the event if `claim` is that of another host to an address of `config`.

    `nic_mac` is the MAC of our interface.  A frame with a MAC of ours is no claim of
    another host: a switch may have sent it back to us.  Nor is, with `--vmac`, a frame
    with the virtual MAC, which all hosts of the group have.
    """
    if claim is None or claim.announcement.address not in config.vips:
        return None
    address, mac = claim.announcement
    own = (nic_mac, kernel_mac(config.vhid)) if config.vmac else (nic_mac,)
    return None if mac in own else RivalHeard(address, mac)
