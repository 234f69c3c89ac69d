"""Tests unicast adverts (`--peer`), without multicast or through a router."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address

import pytest

from tests.netns.cable import Cable
from tests.netns.daemons import Daemon
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.namespaces import Namespace
from tests.netns.ping import longest_outage_ns, pinging
from tests.netns.scenes import OURS, await_adverts, await_rule, await_state, only_ours
from tests.netns.wire import NS_PER_S, Advert, Arp, Frame, Neighbour

pytestmark = only_ours

SKEW_NS = NS_PER_S // 256
NOISE_NS = NS_PER_S
"""How much longer a fail-over may take when two cores run sixteen scenarios."""

FAST = "-b 0 -k 64 -r 4"
FAST_BACKUP = "-b 0 -k 80 -r 8"

GROUP_MACS = (bytes.fromhex("01005e000012"), bytes.fromhex("333300000012"))

each_family = pytest.mark.parametrize("families", ["4", "6", "46"])
"""Parameter: hosts with addresses of IPv4, of IPv6 and of both."""


def _to_group(data: bytes) -> bool:
    return data[:6] in GROUP_MACS


@contextmanager
def _without_multicast(lab: Lab) -> Iterator[None]:
    """Lose every advert to the multicast group during the context.

    In IPv4 the bridge drops all multicast, as a cloud does.  In IPv6 neighbour
    discovery needs multicast, so only frames to the group of the adverts are lost.
    """
    if not lab.speaks_ipv6:
        for host in lab.hosts:
            lab.bridge_run(
                *("bridge", "link", "set", "dev", host.port, "mcast_flood", "off")
            )
        yield
        return
    with ExitStack() as stack:
        for host in lab.hosts:
            cable = stack.enter_context(Cable(host))
            cable.inward.loses = _to_group
        yield


def _with_peers(*peers: Host) -> str:
    return " ".join(f"--peer {address}" for peer in peers for address in peer.addresses)


def _pair(lab: Lab, first: str = FAST, second: str = FAST_BACKUP) -> list[Daemon]:
    """Start a master on the first host, and on the second a backup that has heard it.

    Each has the other as its peer.  Return both daemons.
    """
    one, other = lab.hosts[:2]
    master = one.start(OURS, f"{first} {_with_peers(other)}")
    await_state(master, "MASTER")
    backup = other.start(OURS, f"{second} {_with_peers(one)}")
    await_state(backup, "BACKUP")
    await_rule(lab, one, master)
    await_adverts(lab, one, 2)
    assert backup.states == ["BACKUP"]
    return [master, backup]


def _complaints_of_kernels(lab: Lab, since_ns: int = 0) -> list[Frame]:
    """Return the ICMP errors since `since_ns`: unreachable, or parameter problem."""

    def is_complaint(data: bytes) -> bool:
        if data[12:14] == b"\x08\x00":
            return data[23] == 1 and data[34] in (3, 12)
        return data[12:14] == b"\x86\xdd" and data[20] == 58 and data[54] in (1, 4)

    return [
        frame
        for frame in lab.wire.frames
        if frame.time_ns >= since_ns and is_complaint(frame.data)
    ]


@each_family
def test_power_cut_without_multicast(families: str) -> str:
    """Two hosts that are peers of each other fail over without multicast."""
    with Lab(3, families=families) as lab, _without_multicast(lab):
        one, other, _ = lab.hosts
        _, backup = _pair(lab, "-k 0", "-k 50")
        with pinging(lab) as pingers:
            cut_ns = time.time_ns()
            one.power_off()
            # Do not wait for adverts: there is no peer left to send them to.
            await_state(backup, "MASTER")
            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, cut_ns)

        assert other.holds_all
        bound_ns = 3 * NS_PER_S + 50 * SKEW_NS + NOISE_NS
        assert 2 * NS_PER_S < outage_ns < bound_ns + stalled_ns
        return f"{outage_ns / NS_PER_S:.2f} s without an answer"


@each_family
def test_frames_to_a_peer(families: str) -> None:
    """Adverts to a peer go from NIC to NIC, with TTL 255.

    The kernel finds the peer's MAC before the first advert, and the kernel of a peer
    that runs carppcap answers no advert with an ICMP error.
    """
    with Lab(2, families=families) as lab:
        one, other = lab.hosts
        master = one.start(OURS, f"{FAST} {_with_peers(other)}")
        await_rule(lab, one, master, adverts=2 * len(families))
        # Until carppcap runs on the other host, its kernel answers with ICMP errors.
        wait_for("a refusal", lambda: _complaints_of_kernels(lab))
        backup = other.start(OURS, f"{FAST_BACKUP} {_with_peers(one)}")
        await_state(backup, "BACKUP")
        await_adverts(lab, one, 4)

        adverts = lab.wire.adverts()
        assert {str(advert.source) for advert in adverts} == set(one.addresses)
        for advert in adverts:
            assert advert.checksums_good
            assert str(advert.destination) in other.addresses
            assert advert.source.version == advert.destination.version
            assert advert.ethernet_source == one.mac
            assert advert.ethernet_destination == other.mac
            assert advert.ttl == 255
        assert not _complaints_of_kernels(lab, since_ns=backup.lines[0].time_ns)
        # The kernel itself has resolved the address, as its table has the result.
        for peer in other.addresses:
            known = one.run("ip", "neighbour", "show", "to", peer).stdout
            assert other.mac.hex(":") in known
            first = lab.wire.adverts(_own_address(one, peer))[0]
            assert _questions(lab, one, peer)[0].time_ns < first.time_ns


def _own_address(host: Host, peer: str) -> str:
    version = ip_address(peer).version
    return next(one for one in host.addresses if ip_address(one).version == version)


def _questions(lab: Lab, host: Host, address: str) -> list[Arp | Neighbour]:
    """Return the ARP requests or neighbour solicitations of `host` for `address`."""
    return [
        packet
        for packet in lab.wire.packets
        if not isinstance(packet, Advert)
        and packet.ethernet_source == host.mac
        and str(packet.target) == address
        and not (isinstance(packet, Neighbour) and packet.is_advertisement)
    ]


@each_family
def test_farewell_to_a_peer(families: str) -> None:
    """A gentle stop sends the farewell to the peer, which takes over at once."""
    with Lab(3, families=families) as lab, _without_multicast(lab):
        one, other, _ = lab.hosts
        master, backup = _pair(lab, "-z -k 0", "-k 50")
        with pinging(lab) as pingers:
            told_ns = time.time_ns()
            master.signal(signal.SIGTERM)
            assert master.wait() == 0
            await_state(backup, "MASTER")
            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, told_ns)
            assert outage_ns < NS_PER_S + stalled_ns

        for source in one.addresses:
            farewell = lab.wire.adverts(source)[-1]
            assert farewell.is_farewell
            assert str(farewell.destination) in other.addresses


def test_multicast_is_lost_there() -> None:
    """On a wire without multicast, two ucarps are both master.

    So the other tests do test --peer.  Without it carppcap asks by broadcast (see
    test_solicitation.py).
    """
    with Lab(2) as lab, _without_multicast(lab):
        daemons = [host.start("ucarp", FAST) for host in lab.hosts]
        for daemon in daemons:
            await_state(daemon, "MASTER")
        for host in lab.hosts:
            await_adverts(lab, host, 4)
        assert [daemon.state for daemon in daemons] == ["MASTER", "MASTER"]


@pytest.mark.parametrize("families", ["4", "6"])
def test_three_with_two_peers_each(families: str) -> None:
    """Every advert goes to both peers; of two backups the better one takes over."""
    with Lab(3, families=families) as lab, _without_multicast(lab):
        first, second, third = lab.hosts
        master = first.start(OURS, f"{FAST} {_with_peers(second, third)}")
        await_state(master, "MASTER")
        better = second.start(OURS, f"-b 0 -k 80 -r 5 {_with_peers(first, third)}")
        worse = third.start(OURS, f"-b 0 -k 120 -r 6 {_with_peers(first, second)}")
        await_state(better, "BACKUP")
        await_state(worse, "BACKUP")
        await_rule(lab, first, master)
        await_adverts(lab, first, 6)

        told = [str(advert.destination) for advert in lab.wire.adverts()][-6:]
        assert sorted(told) == sorted([second.address, third.address] * 3)
        first.power_off()
        await_rule(lab, second, better, adverts=6)

        assert worse.states == ["BACKUP"]
        assert better.states == ["BACKUP", "MASTER"]


@each_family
def test_peer_that_appears_later(families: str) -> None:
    """A peer that appears later gets the next advert."""
    with Lab(2, families=families) as lab:
        one, other = lab.hosts
        other.link_down()
        master = one.start(OURS, f"-b 0 -k 64 -r 1 {_with_peers(other)}")
        await_state(master, "MASTER")

        def has_failed() -> bool:
            shown = [
                one.run("ip", "neighbour", "show", "to", peer).stdout
                for peer in other.addresses
            ]
            return all("FAILED" in known for known in shown)

        wait_for("the kernel to give up", has_failed)
        assert not lab.wire.adverts()
        assert master.states == ["BACKUP", "MASTER"]
        assert not master.logged("write() has failed")
        complaint = "No advert leaves for {0}: {0} does not answer"
        complaints = [complaint.format(peer) for peer in other.addresses]
        wait_for("complaints", lambda: all(map(master.logged, complaints)))
        assert [len(master.logged(line)) for line in complaints] == [1] * len(families)

        other.link_up()
        if families != "4":  # The kernel removed the IPv6 address with the link.
            other.add_address(other.address6)
        backup = other.start(OURS, f"{FAST_BACKUP} {_with_peers(one)}")
        await_state(backup, "BACKUP")
        wait_for(
            "adverts to every peer",
            lambda: all(lab.wire.adverts(source) for source in one.addresses),
        )
        await_adverts(lab, one, 8)

        assert master.states == ["BACKUP", "MASTER"]
        assert backup.states == ["BACKUP"]


@each_family
def test_first_claim_reaches_the_peer(families: str) -> None:
    """The first advert of a new master reaches its peer.

    Its kernel resolves the peer's MAC before that.  Otherwise the first advert of a
    better host would be lost, and both hosts would have the addresses until the second.
    """
    with Lab(2, families=families) as lab:
        one, other = lab.hosts
        worse = one.start(OURS, f"-k 10 -r 1 {_with_peers(other)}")
        await_rule(lab, one, worse, adverts=len(families))
        other.run("ip", "neighbour", "flush", "dev", "eth0")
        better = other.start(OURS, f"-k 0 -P {_with_peers(one)}")

        await_rule(lab, other, better, adverts=len(families))

        [claimed] = better.logged("Switching to state: MASTER")
        for source in other.addresses:
            first = lab.wire.adverts(source)[0]
            stalled_ns = lab.daemon_stalled_ns(claimed.time_ns, first.time_ns)
            assert first.time_ns - claimed.time_ns < NS_PER_S // 2 + stalled_ns


@contextmanager
def _routed(families: str) -> Iterator[Lab]:
    """Yield a lab of two hosts that reach each other only through a router.

    The hosts and the router are on one bridge, so that frames on both sides of the
    router are recorded.  The bridge forwards no frame from one host to the other.
    """
    addresses = ("10.9.1.1", "10.9.2.1")
    addresses6 = ("fd09:1::1", "fd09:2::1")
    with ExitStack() as stack:
        lab = stack.enter_context(
            Lab(2, families=families, addresses=addresses, addresses6=addresses6)
        )
        router = Namespace(ipv6=True)
        stack.callback(router.close)
        lines = [
            "echo 1 >/proc/sys/net/ipv4/ip_forward",
            "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore",
            "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
        ]
        for number, host in enumerate(lab.hosts, 1):
            port, inside = f"router{number}", f"eth{number}"
            lab.bridge_run(
                *("ip", "link", "add", port, "type", "veth"),
                *("peer", "name", inside, "netns", str(router.pid)),
            )
            lab.bridge_run("ip", "link", "set", port, "master", "bridge", "up")
            lab.bridge_run("bridge", "link", "set", "dev", host.port, "isolated", "on")
            lines += [
                f"ip address add 10.9.{number}.254/24 dev {inside}",
                f"ip address add fd09:{number}::fe/64 dev {inside} nodad",
                f"ip link set {inside} up",
            ]
        script = router.command(["sh", "-ec", "\n".join(lines)])
        lab.bridge_run(*script)
        for number, host in enumerate(lab.hosts, 1):
            for own in host.addresses:
                via = f"fd09:{number}::fe" if ":" in own else f"10.9.{number}.254"
                host.run("ip", "route", "add", "default", "via", via)
        yield lab


@each_family
def test_across_a_router(families: str) -> None:
    """Adverts to a peer go to the router, and the peer accepts them with TTL 254."""
    with _routed(families) as lab:
        one, other = lab.hosts
        master, backup = _pair(lab, f"-z {FAST}", FAST_BACKUP)
        await_adverts(lab, one, 8)

        assert {advert.ttl for advert in lab.wire.adverts()} == {255, 254}
        for advert in lab.wire.adverts():
            is_sent = advert.ttl == 255
            assert (advert.ethernet_source == one.mac) is is_sent
            assert (advert.ethernet_destination == other.mac) is not is_sent
        for peer in other.addresses:
            assert not _questions(lab, one, peer)
        assert backup.states == ["BACKUP"]

        master.signal(signal.SIGTERM)
        assert master.wait() == 0
        await_rule(lab, other, backup)
        assert backup.logged("(master_too_slow)")


@pytest.mark.parametrize("families", ["4", "6"])
def test_stranger_from_far_away(families: str) -> None:
    """An advert from behind a router is refused, unless its sender is a peer."""
    with _routed(families) as lab:
        one, other = lab.hosts
        missing = f"{other.address[:-1]}9"
        stranger = other.start(OURS, f"{FAST} {_with_peers(one)}")
        await_state(stranger, "MASTER")

        deaf = one.start(OURS, f"{FAST_BACKUP} --peer {missing}")

        await_state(deaf, "MASTER")
        assert deaf.logged(f"Bad TTL: [254] (from {other.address})")


@pytest.mark.parametrize("families", ["4", "6", "46"])
def test_master_of_the_group_beside_a_peer(families: str) -> None:
    """A host with peers also obeys adverts to the group, and succeeds their sender."""
    with Lab(2, families=families) as lab:
        one, other = lab.hosts
        master = one.start(OURS, FAST)
        await_rule(lab, one, master)
        backup = other.start(OURS, f"-b 0 -k 80 -r 5 {_with_peers(one)}")
        await_state(backup, "BACKUP")
        await_adverts(lab, one, 8)
        assert backup.states == ["BACKUP"]

        one.power_off()
        await_state(backup, "MASTER")
        wait_for("the addresses", lambda: other.holds_all)


@pytest.mark.parametrize(
    ("families", "group"), [("4", "224.0.0.18"), ("6", "ff02::12")]
)
def test_member_of_the_group_is_told_of_a_peer(families: str, group: str) -> None:
    """A host without peers ignores unicast adverts, and logs what is wrong."""
    with Lab(2, families=families) as lab:
        one, other = lab.hosts
        unicast = one.start(OURS, f"{FAST} {_with_peers(other)}")
        await_state(unicast, "MASTER")

        multicast = other.start(OURS, FAST_BACKUP)
        await_state(multicast, "MASTER")

        told = (
            f"{one.address} advertises to {other.address} alone, we listen to {group}"
        )
        wait_for("a word", lambda: multicast.logged(told))
        # The host with a peer hears the other one, but is better, so it stays master.
        assert unicast.states == ["BACKUP", "MASTER"]


MACS = {
    "virtual": "00005e000007",
    "bsd": "00005e000107",
    "real": "020000000001",
}


@pytest.mark.parametrize("which", list(MACS))
def test_source_mac(which: str) -> None:
    """--source-mac sets the source MAC of adverts to the group, in both families."""
    with Lab(1, families="46") as lab:
        [host] = lab.hosts
        master = host.start(OURS, f"-b 0 -k 64 -r 1 --source-mac {which}")
        await_rule(lab, host, master, adverts=4)

        adverts = lab.wire.adverts()
        assert {advert.source.version for advert in adverts} == {4, 6}
        assert {advert.ethernet_source.hex() for advert in adverts} == {MACS[which]}
        # Announcements name the MAC of the NIC in any case.
        assert {arp.sender_mac for arp in lab.wire.announcements()} == {host.mac}
