"""What we build, read by programs that had no part in it: tcpdump and tshark."""

import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from carppcap.addresses import Family
from carppcap.election.actions import AnnounceAddresses, SendAdvert
from carppcap.election.config import SourceMac, VirtualHostConfig
from carppcap.node.egress import Egress
from tests import captures
from tests.builders import LOWER, LOWER6, NIC_MAC, OURS6, VIP, VIP6, config

REAL_ROOT = ["0", "0", "4294967295"]
"""The map of user ids outside any user namespace."""

BOTH = config(source6=OURS6, vips=(VIP, VIP6))
LOCAL = IPv6Address("fe80::5%eth0")

every_host = pytest.mark.parametrize(
    "host",
    [
        pytest.param(config(), id="ipv4"),
        pytest.param(replace(BOTH, source=None, vips=(VIP6,)), id="ipv6"),
        pytest.param(BOTH, id="both"),
        pytest.param(replace(BOTH, peers=(LOWER, LOWER6)), id="unicast"),
        pytest.param(
            replace(BOTH, source_mac=SourceMac.BSD, vmac=True), id="as-a-kernel"
        ),
        pytest.param(replace(BOTH, source6=LOCAL, multicast=False), id="broadcast"),
    ],
)


def capture_of(host: VirtualHostConfig, directory: Path) -> tuple[Path, int, int]:
    """What a host says, and how many of it are adverts and announcements."""
    out = Egress(host, NIC_MAC, lambda: 7, lambda _: bytes.fromhex("020000000004"))
    adverts = [
        frame
        for family in host.families
        for demotion in (0, 3, 255)
        for counter in (0, 2**63 + demotion, 2**64 - 1)
        for advert in (
            SendAdvert(1, 100, counter, demotion, family),
            SendAdvert(255, 255, counter, demotion, family),
        )
        for frame in out.frames(advert, 0)
    ]
    announcements = out.frames(AnnounceAddresses(), 0)
    records = enumerate([*adverts, *announcements])
    path = directory / "said.pcap"
    path.write_bytes(captures.pcap(records))
    return path, len(adverts), len(announcements)


@every_host
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_finds_no_fault(host: VirtualHostConfig, tmp_path: Path) -> None:
    """Every sum is good, every length fits, and there is nothing to remark."""
    path, adverts, announcements = capture_of(host, tmp_path)
    fields = (
        *("_ws.col.Protocol", "ip.checksum.status", "carp.checksum.status"),
        *("icmpv6.checksum.status", "_ws.expert.severity"),
    )
    shown = subprocess.run(
        [
            *("tshark", "-r", str(path), "-T", "fields", "-E", "separator=,"),
            *("-o", "ip.check_checksum:TRUE", "-d", "ip.proto==112,carp"),
            *(word for field in fields for word in ("-e", field)),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()

    good = {
        Family.IPV4: ("CARP,1,1,,", "ARP,,,,"),
        Family.IPV6: ("CARP,,1,,", "ICMPv6,,,1,"),
    }
    assert set(shown[:adverts]) == {good[family][0] for family in host.families}
    assert shown[adverts:] == [good[Family.of(vip)][1] for vip in host.vips]
    assert (adverts, announcements) == (18 * len(host.families), len(host.vips))


@every_host
@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
def test_tcpdump_finds_no_fault(host: VirtualHostConfig, tmp_path: Path) -> None:
    """It reads the adverts as CARP, sums them, and believes the announcements."""
    if Path("/proc/self/uid_map").read_text().split() != REAL_ROOT:
        pytest.skip("tcpdump insists on giving up privileges, which a user cannot")
    path, adverts, _ = capture_of(host, tmp_path)
    shown = subprocess.run(
        ["tcpdump", "-nvvv", "-T", "carp", "-r", str(path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert shown.count("CARPv2-advertise 36: vhid=7") == adverts
    assert shown.count("advbase=1 advskew=100 authlen=7") == adverts // 2
    assert shown.count(f"Request who-has {VIP} ") == (VIP in host.vips)
    assert shown.count("[icmp6 sum ok] ICMP6, neighbor advertisement") == (
        VIP6 in host.vips
    )
    assert shown.count("Flags [override]") == (VIP6 in host.vips)
    for fault in ("bad", "wrong", "truncated", "invalid", "|"):
        assert fault not in shown.lower()
