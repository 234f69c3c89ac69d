"""Tests groups with several addresses of IPv4, of IPv6 and of both, on a real wire."""

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest

from tests.netns.cable import Cable
from tests.netns.daemons import Daemon
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.ping import longest_outage_ns, pinging
from tests.netns.scenes import OURS, await_adverts, await_rule, await_state, only_ours
from tests.netns.test_faults_host import needs_faketime, with_clock
from tests.netns.test_frames import needs_real_root, seen_by_tcpdump
from tests.netns.wire import ETH_P_ALL, NS_PER_S, Advert, Frame, parse

pytestmark = only_ours

SKEW_NS = NS_PER_S // 256
NOISE_NS = NS_PER_S
"""How much longer a fail-over may take when two cores run sixteen scenarios."""

AT_ONCE_NS = NS_PER_S
"""Limit of a hand-over in which no host waits 3 s for a silent master."""

CARP_GROUP6 = IPv6Address("ff02::12")
CARP_GROUP6_MAC = bytes.fromhex("333300000012")
ALL_NODES = IPv6Address("ff02::1")
ALL_NODES_MAC = bytes.fromhex("333300000001")
VIRTUAL_MAC = bytes.fromhex("00005e000007")

VIPS4 = ("10.9.0.100", "10.9.0.99", "10.9.0.101")
VIPS6 = ("fd09::100", "fd09::99")
GROUPS = {"4": VIPS4, "6": VIPS6, "46": (*VIPS4, *VIPS6)}

each_group = pytest.mark.parametrize("families", list(GROUPS))
"""Parameter: groups with several addresses of IPv4, of IPv6 and of both."""

FAST = "-b 0 -k 64 -r 4"
"""Flags for four adverts a second and a master-down interval of about 1 s."""

FAST_BACKUP = "-b 0 -k 80 -r 8"
"""Flags of a worse host, whose wait of 2.5 s outlasts the stalls of a busy machine."""


def _lab(families: str, hosts: int = 2) -> Lab:
    return Lab(hosts, families=families, vips=GROUPS[families])


def _pair(lab: Lab, first: str = FAST, second: str = FAST_BACKUP) -> list[Daemon]:
    """Start a master on the first host, and on the second a backup that has heard it.

    Return both daemons.
    """
    master = lab.hosts[0].start(OURS, first)
    await_rule(lab, lab.hosts[0], master)
    backup = lab.hosts[1].start(OURS, second)
    await_state(backup, "BACKUP")
    await_adverts(lab, lab.hosts[0], 2)
    return [master, backup]


def _assert_never_shared(lab: Lab) -> None:
    for vip in lab.vips:
        assert lab.addresses.time_with(2, address=vip) == 0, vip


@each_group
def test_power_cut(families: str) -> str:
    """All addresses of a dead master answer again after the master-down interval."""
    with _lab(families, 3) as lab:
        _, backup = _pair(lab, "-k 0", "-k 50")
        with pinging(lab) as pingers:
            cut_ns = time.time_ns()
            lab.hosts[0].power_off()
            await_rule(lab, lab.hosts[1], backup, adverts=1)
            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, cut_ns)

        assert lab.hosts[1].holds_all
        bound_ns = 3 * NS_PER_S + 50 * SKEW_NS + NOISE_NS
        assert 2 * NS_PER_S < outage_ns < bound_ns + stalled_ns
        return f"{outage_ns / NS_PER_S:.2f} s without an answer"


@each_group
def test_killed_process(families: str) -> None:
    """Addresses left by `kill -9` are taken over, and removed by the next start."""
    with _lab(families, 3) as lab:
        master, backup = _pair(lab)
        with pinging(lab) as pingers:
            killed_ns = time.time_ns()
            master.kill()
            await_state(backup, "MASTER")
            wait_for("the addresses", lambda: lab.hosts[1].holds_all)
            lab.hosts[0].start(OURS, FAST_BACKUP)
            await_rule(lab, lab.hosts[1], backup, adverts=4)

            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, killed_ns)
            assert outage_ns < AT_ONCE_NS + stalled_ns


@each_group
def test_farewell(families: str) -> None:
    """A gentle stop hands over every address at once; no address has two holders."""
    with _lab(families, 3) as lab:
        master, backup = _pair(lab, "-z -k 0", "-k 50")
        with pinging(lab) as pingers:
            told_ns = time.time_ns()
            master.signal(signal.SIGTERM)
            assert master.wait() == 0
            await_rule(lab, lab.hosts[1], backup, adverts=1)
            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, told_ns)

        assert outage_ns < AT_ONCE_NS + stalled_ns
        for source in lab.hosts[0].addresses:
            assert lab.wire.adverts(source)[-1].is_farewell
        _assert_never_shared(lab)


@each_group
def test_preemption(families: str) -> None:
    """A better host with -P takes every address from a worse one at once."""
    with _lab(families, 3) as lab:
        worse = lab.hosts[0].start(OURS, FAST_BACKUP)
        await_rule(lab, lab.hosts[0], worse)
        with pinging(lab) as pingers:
            began_ns = time.time_ns()
            better = lab.hosts[1].start(OURS, f"{FAST} -P")
            await_rule(lab, lab.hosts[1], better)
            await_state(worse, "BACKUP")
            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, began_ns)
            assert outage_ns < AT_ONCE_NS + stalled_ns

        assert better.logged("(preemption)")
        assert worse.logged("(better_master)")


@each_group
def test_pulled_cable(families: str) -> None:
    """A master without carrier steps down; with it again, it stays backup."""
    with _lab(families) as lab:
        master, backup = _pair(lab)

        lab.hosts[0].pull_cable()
        await_rule(lab, lab.hosts[1], backup)
        lab.hosts[0].plug_cable()
        await_adverts(lab, lab.hosts[1], 8)

        assert lab.holders == (lab.hosts[1],)
        assert master.states == ["BACKUP", "MASTER", "BACKUP"]
        assert backup.states == ["BACKUP", "MASTER"]


def _statuses_by_tshark(capture: Path) -> set[tuple[str, ...]]:
    """Return every (IP version, IP checksum, CARP checksum) of adverts; 1 is good."""
    fields = ("ip.version", "ip.checksum.status", "carp.checksum.status")
    printed = subprocess.run(
        [
            *("tshark", "-r", str(capture), "-Y", "carp", "-T", "fields"),
            *("-o", "ip.check_checksum:TRUE", "-d", "ip.proto==112,carp"),
            *(word for field in fields for word in ("-e", field)),
            *("-E", "separator=,"),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {tuple(line.split(",")) for line in printed.splitlines()}


def _faults_by_tshark(capture: Path) -> str:
    """Return tshark's complaints, except that an address has moved to another MAC."""
    chosen = "_ws.malformed || _ws.expert.severity >= 0x600000"
    return subprocess.run(
        [
            *("tshark", "-r", str(capture), "-d", "ip.proto==112,carp"),
            *("-o", "ip.check_checksum:TRUE"),
            *("-Y", f"({chosen}) && !arp.duplicate-address-detected"),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@needs_real_root
def test_foreign_decoders_find_no_fault_in_either_family() -> None:
    """tshark and tcpdump agree that adverts, ARP and neighbour frames are right."""
    with _lab("46") as lab:
        master, backup = _pair(lab, f"-z {FAST}")
        master.signal(signal.SIGTERM)
        master.wait()
        await_rule(lab, lab.hosts[1], backup, adverts=6)

        sources = (*lab.hosts[0].addresses, *lab.hosts[1].addresses)
        counts = {source: len(lab.wire.adverts(source)) for source in sources}
        shown = seen_by_tcpdump(lab.wire.path, "ip proto 112 or ip6 proto 112")
        neighbours = seen_by_tcpdump(lab.wire.path, "icmp6 and ip6[40] == 136")
        statuses = _statuses_by_tshark(lab.wire.path)
        faults = _faults_by_tshark(lab.wire.path)

        for source, count in counts.items():
            assert count >= 3
            assert shown.count(f"{source} > ") >= count
        assert "CARPv2-advertise 36: vhid=7" in shown
        assert "bad" not in (shown + neighbours).lower()
        assert "icmp6 sum ok" in neighbours
        assert statuses == {("4", "1", "1"), ("6", "", "1")}
        assert not faults


def test_adverts_of_both_families() -> None:
    """In each interval a master sends one advert of each family, to its group.

    They differ in the counter, but not in advbase and advskew.
    """
    with _lab("46") as lab:
        [host, _] = lab.hosts
        master = host.start(OURS, "-b 0 -k 64 -r 1")
        await_rule(lab, host, master, adverts=8)

        adverts = lab.wire.adverts()
        families = [advert.source.version for advert in adverts]
        assert families[:8] == [4, 6] * 4
        for advert in adverts:
            assert advert.checksums_good
            assert advert.ttl == 255
            assert (advert.vhid, advert.advbase, advert.advskew) == (7, 0, 64)
            assert advert.ethernet_source == VIRTUAL_MAC
        assert len({advert.counter for advert in adverts}) == len(adverts)
        for advert in lab.wire.adverts(host.address6):
            assert advert.destination == CARP_GROUP6
            assert advert.ethernet_destination == CARP_GROUP6_MAC


def test_announcements_of_every_address() -> None:
    """A new master announces every address at once, and again two adverts later.

    It sends a gratuitous ARP or a neighbour advertisement for each.
    """
    with _lab("46") as lab:
        [host, _] = lab.hosts
        master = host.start(OURS, "-b 0 -k 128 -r 1")
        await_rule(lab, host, master, adverts=2)
        await_adverts(lab, host, 4)

        arps = lab.wire.announcements()
        assert [str(arp.sender) for arp in arps] == [*VIPS4, *VIPS4]
        heralds = [one for one in lab.wire.neighbours() if one.is_announcement]
        assert [str(herald.target) for herald in heralds] == [*VIPS6, *VIPS6]
        for herald in heralds:
            assert herald.checksums_good
            assert herald.hop_limit == 255
            assert (herald.destination, herald.ethernet_destination) == (
                ALL_NODES,
                ALL_NODES_MAC,
            )
            assert herald.ethernet_source == herald.link_address == host.mac
            assert not herald.is_router
        for first, second in (arps[:: len(VIPS4)], heralds[:: len(VIPS6)]):
            adverts = lab.wire.adverts(host.address)
            between = [
                advert
                for advert in adverts
                if first.time_ns < advert.time_ns < second.time_ns
            ]
            assert 1 <= len(between) <= 3


def test_order_of_addresses_does_not_matter() -> None:
    """Hosts with the same addresses in another order, or twice, are in one group."""
    with _lab("46") as lab:
        master = lab.hosts[0].start(OURS, FAST)
        await_rule(lab, lab.hosts[0], master)
        backwards = lab.vips[::-1]
        backup = lab.hosts[1].start(OURS, FAST, vips=(*backwards, lab.vips[0]))
        await_state(backup, "BACKUP")
        await_adverts(lab, lab.hosts[0], 8)

        assert backup.states == ["BACKUP"]
        assert not backup.logged("Bad digest")


@pytest.mark.parametrize("vips", [VIPS4, VIPS6, (*VIPS4, "fd09::99", "fd09::98")])
def test_another_set_of_addresses_is_another_group(vips: tuple[str, ...]) -> None:
    """Hosts whose sets of addresses differ refuse each other's adverts."""
    with _lab("46") as lab:
        master = lab.hosts[0].start(OURS, FAST)
        await_rule(lab, lab.hosts[0], master)
        other = lab.hosts[1].start(OURS, FAST, vips=vips)

        await_state(other, "MASTER")

        heard = {ip_address(vip).version for vip in vips}
        for source in lab.hosts[0].addresses:
            complaints = other.logged(f"and virtual IP address (from {source})")
            assert bool(complaints) is (ip_address(source).version in heard)


@pytest.mark.parametrize("numbers6", [("1", "2"), ("2", "1")], ids=["same", "crossed"])
@pytest.mark.parametrize("families", ["6", "46"])
def test_tie(families: str, numbers6: tuple[str, str]) -> None:
    """Of two equal masters the one with the lower address in the first family stays."""
    addresses6 = [f"fd09::{number}" for number in numbers6]
    with Lab(2, families=families, addresses6=addresses6, vips=GROUPS[families]) as lab:
        lab.hosts[0].isolate()
        daemons = [host.start(OURS, FAST) for host in lab.hosts]
        for daemon in daemons:
            await_state(daemon, "MASTER")
        wait_for("two holders", lambda: all(host.holds_all for host in lab.hosts))

        lab.hosts[0].rejoin()
        stays = 1 if families == "6" and numbers6[0] == "2" else 0
        await_state(daemons[1 - stays], "BACKUP")
        await_rule(lab, lab.hosts[stays], daemons[stays], adverts=6)

        assert daemons[stays].states == ["BACKUP", "MASTER"]
        assert daemons[1 - stays].states == ["BACKUP", "MASTER", "BACKUP"]


def _loses(version: int, data: bytes) -> bool:
    packet = parse(Frame(0, data))
    return isinstance(packet, Advert) and packet.source.version == version


@pytest.mark.parametrize("version", [4, 6])
def test_one_family_lost_on_the_way(version: int) -> None:
    """Adverts of one family keep a host backup; it logs that the other is lost."""
    with _lab("46") as lab, Cable(lab.hosts[1]) as cable:
        master, backup = _pair(lab, second="-b 0 -k 80 -r 5")

        cable.inward.loses = partial(_loses, version)
        complaint = f"No adverts of the master over IPv{version}"
        wait_for("a complaint", lambda: backup.logged(complaint))
        await_adverts(lab, lab.hosts[0], 8)
        assert cable.inward.lost
        assert (master.states, backup.states) == (["BACKUP", "MASTER"], ["BACKUP"])

        # The family that still arrives decides alone: without it the master is dead.
        other = 10 - version
        cable.inward.loses = partial(_loses, other)
        await_adverts(lab, lab.hosts[0], 12)
        assert backup.states == ["BACKUP"]
        lab.hosts[0].power_off()
        await_rule(lab, lab.hosts[1], backup)


@each_group
def test_scripts_are_told_why(families: str) -> None:
    """Scripts get the states and the cause of each change in their environment."""
    with _lab(families) as lab:
        [host, _] = lab.hosts
        notes = lab.directory / "notes"
        script = lab.directory / "note.sh"
        script.write_text(
            "#!/bin/sh\n"
            'echo "$#|$1|$2|$CARPPCAP_INTERFACE|$CARPPCAP_VHID|$CARPPCAP_ADDRESSES|'
            '$CARPPCAP_PREVIOUS_STATE|$CARPPCAP_STATE|$CARPPCAP_CAUSE" '
            f">>{notes}\n"
        )
        script.chmod(0o755)
        vips = (f"{lab.vips[0]}/{24 if families != '6' else 64}", *lab.vips[1:])

        daemon = host.start(OURS, "-z -b 0 -k 32", vips=vips, up=script, down=script)
        await_state(daemon, "MASTER")
        await_adverts(lab, host, 4)
        daemon.signal(signal.SIGUSR2)
        wait_for("it to be back", lambda: daemon.states[2:] == ["BACKUP", "MASTER"])
        await_adverts(lab, host, 2)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0

        lines = [line.split("|") for line in notes.read_text().splitlines()]
        for line in lines:
            assert line[:5] == ["2", "eth0", lab.vips[0], "eth0", "7"]
            assert line[5].split() == list(vips)
        assert [tuple(line[6:]) for line in lines] == [
            ("INIT", "BACKUP", "startup"),
            ("BACKUP", "MASTER", "master_down"),
            ("MASTER", "BACKUP", "step_down"),
            ("BACKUP", "MASTER", "master_down"),
            ("MASTER", "INIT", "shutdown"),
        ]


@pytest.mark.parametrize("lost", [4, 6])
def test_source_address_lost_in_one_family(lost: int) -> None:
    """A master without a source address in one family goes on with the other.

    If it has none in either family, it steps down.
    """
    with _lab("46") as lab:
        host, other = lab.hosts
        master, backup = _pair(lab)
        first, second = sorted(
            host.addresses, key=lambda one: ip_address(one).version != lost
        )

        host.delete_address(first)
        await_adverts(lab, host, 8)
        assert master.states == ["BACKUP", "MASTER"]
        assert backup.states == ["BACKUP"]

        host.delete_address(second)
        await_rule(lab, other, backup)
        assert master.logged("eth0 has lost our address")
        assert not lab.addresses.held_by(host.name)

        host.add_address(second)
        wait_for("it to be back", lambda: master.logged("eth0 can be used again"))


def test_ipv6_source_is_chosen() -> None:
    """Without -s the source is the link-local address, which is never a virtual one."""
    with _lab("6") as lab:
        master = lab.hosts[0].start(OURS, FAST, sources=())
        backup = lab.hosts[1].start(OURS, FAST_BACKUP, sources=())
        await_state(master, "MASTER")
        wait_for("its addresses", lambda: lab.hosts[0].holds_all)
        wait_for("some adverts", lambda: len(lab.wire.adverts()) >= 8)

        sources = {advert.source for advert in lab.wire.adverts()}
        assert sources == {IPv6Address("fe80::ff:fe00:1")}
        assert backup.states == ["BACKUP"]


def _send(host: Host, frames: Sequence[bytes]) -> None:
    """Send `frames` from `host`, as an attacker would."""

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packets:
            packets.bind(("eth0", ETH_P_ALL))
            for frame in frames:
                packets.send(frame)

    host.namespace.call(send)


@pytest.mark.parametrize("families", ["6", "46"])
def test_replayed_adverts_do_not_keep_a_master_alive(families: str) -> None:
    """Replayed adverts of a dead master do not stop its successor from taking over."""
    with _lab(families, 3) as lab:
        _, backup = _pair(lab, FAST, "-b 0 -k 80 -r 4")
        # Only adverts that the backup has heard are replays; others are just late.
        heard_ns = backup.logged("Switching to state: BACKUP")[0].time_ns
        recorded = [advert.frame.data for advert in lab.wire.adverts(since_ns=heard_ns)]

        cut_ns = time.time_ns()
        lab.hosts[0].power_off()
        deadline_ns = cut_ns + 20 * NS_PER_S
        while backup.state != "MASTER" and time.time_ns() < deadline_ns:
            _send(lab.hosts[2], recorded[-4:])
            time.sleep(0.1)

        assert backup.state == "MASTER"
        claim_ns = backup.logged("Switching to state: MASTER")[-1].time_ns
        assert claim_ns - cut_ns < 5 * NS_PER_S + lab.stalled_ns(cut_ns, claim_ns)
        _send(lab.hosts[2], recorded)
        await_adverts(lab, lab.hosts[1], 4)
        assert backup.states == ["BACKUP", "MASTER"]


@needs_faketime
@pytest.mark.parametrize("families", ["6", "46"])
def test_a_clock_behind_is_told(families: str) -> None:
    """A master whose clock is an hour behind gets a hint, and is then believed."""
    with _lab(families) as lab:
        host, other = lab.hosts
        clock = lab.directory / "clock"
        before = with_clock(clock)
        clock.write_text("-3600\n")
        backup = other.start(OURS, FAST_BACKUP)
        master = host.start(OURS, FAST, before=before)

        await_rule(lab, host, master, adverts=8)

        assert backup.states == ["BACKUP"]
        hints = [
            packet
            for packet in lab.wire.packets
            if isinstance(packet, Advert) and packet.type == 2
        ]
        assert hints
        assert {str(hint.destination) for hint in hints} <= set(host.addresses)
        assert {str(hint.source) for hint in hints} <= set(other.addresses)
        assert all(hint.checksums_good for hint in hints)
