"""Tests `--vmac`: with a virtual MAC, clients do not notice a change of master."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TypeGuard

import pytest

from tests.netns.daemons import Daemon
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.namespaces import Namespace
from tests.netns.ping import longest_outage_ns, pinging
from tests.netns.scenes import OURS, await_adverts, await_rule, await_state, only_ours
from tests.netns.wire import NS_PER_S, Arp, Neighbour

pytestmark = [
    only_ours,
    pytest.mark.skipif(find_spec("pyroute2") is None, reason="needs the extra vmac"),
]

SKEW_NS = NS_PER_S // 256
NOISE_NS = NS_PER_S * 3 // 2
"""How much longer an outage may be, as a neighbour solicitation may be lost.

It is repeated after 1 s (RFC 4861, 10).  A client with a wrong MAC would have a far
longer outage, as it keeps an entry for at least 30 s.
"""

VMAC = bytes.fromhex("00005e000107")
MACVLAN = "carp7.eth0"

FAST = "--vmac -b 0 -k 64 -r 4"
FAST_BACKUP = "--vmac -b 0 -k 80 -r 8"

VIPS = {
    "4": ("10.9.0.100", "10.9.0.101"),
    "6": ("fd09::100", "fd09::101"),
    "46": ("10.9.0.100", "fd09::100"),
}

each_family = pytest.mark.parametrize("families", list(VIPS))
"""Parameter: groups with addresses of IPv4, of IPv6 and of both."""


def _lab(families: str, hosts: int = 3) -> Lab:
    return Lab(hosts, families=families, vips=VIPS[families])


def _pair(lab: Lab, first: str = FAST, second: str = FAST_BACKUP) -> list[Daemon]:
    """Start a master on the first host and its backup on the second, without scripts.

    Return both daemons.
    """
    master = lab.hosts[0].start(OURS, first, scripts=False)
    await_rule(lab, lab.hosts[0], master)
    backup = lab.hosts[1].start(OURS, second, scripts=False)
    await_state(backup, "BACKUP")
    await_adverts(lab, lab.hosts[0], 2)
    return [master, backup]


@contextmanager
def _neighbours_of_client(lab: Lab) -> Iterator[Callable[[], set[str]]]:
    """Yield a function that returns the MACs that the client had for virtual addresses.

    The client is the last host.
    """
    client = lab.hosts[-1]
    log = lab.directory / "neighbours"
    with log.open("wb") as output:
        monitor = subprocess.Popen(
            client.command(["ip", "monitor", "neigh"]), stdout=output
        )

    def macs() -> set[str]:
        shown = client.run("ip", "neighbour", "show", "dev", "eth0").stdout
        entries = map(str.split, (log.read_text() + shown).splitlines())
        return {
            words[words.index("lladdr") + 1]
            for words in entries
            if set(words) & set(lab.vips) and "lladdr" in words
        }

    try:
        yield macs
    finally:
        monitor.kill()
        monitor.wait()


def _interfaces(host: Host) -> str:
    return host.run("ip", "-oneline", "link", "show", "type", "macvlan").stdout


@each_family
@pytest.mark.parametrize("end", ["power cut", "farewell", "preemption"])
def test_clients_keep_their_entry(families: str, end: str) -> str:
    """Clients have the same MAC for an address before and after a change of master."""
    with _lab(families) as lab, _neighbours_of_client(lab) as macs:
        one, other, _ = lab.hosts
        flags = ("--vmac -z -k 20", "--vmac -k 50")
        if end == "preemption":
            flags = (FAST_BACKUP, FAST_BACKUP)
        master, backup = _pair(lab, *flags)
        with pinging(lab) as pingers:
            began_ns = time.time_ns()
            bound_ns = NOISE_NS
            if end == "power cut":
                one.power_off()
                bound_ns += 3 * NS_PER_S + 50 * SKEW_NS
            elif end == "farewell":
                master.signal(signal.SIGTERM)
            else:
                backup.kill()
                backup = other.start(OURS, f"{FAST} -P", scripts=False)
            await_rule(lab, other, backup)
            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, began_ns)

        assert outage_ns < bound_ns + stalled_ns
        assert macs() == {VMAC.hex(":")}
        return f"{outage_ns / NS_PER_S:.2f} s without an answer"


@each_family
def test_announced_and_advertised(families: str) -> None:
    """Announcements name the virtual MAC, and adverts have it as their source."""
    with _lab(families, 2) as lab:
        host, _ = lab.hosts
        master = host.start(OURS, FAST, scripts=False)
        await_rule(lab, host, master)
        await_adverts(lab, host, 3)

        assert {one.ethernet_source for one in lab.wire.adverts()} == {VMAC}
        assert {arp.sender_mac for arp in lab.wire.announcements()} <= {VMAC}
        heralds = [one for one in lab.wire.neighbours() if one.is_announcement]
        assert {herald.link_address for herald in heralds} <= {VMAC}
        told = {str(arp.sender) for arp in lab.wire.announcements()}
        told |= {str(herald.target) for herald in heralds}
        assert told == set(lab.vips)


def _is_announcement(packet: object) -> TypeGuard[Arp | Neighbour]:
    if isinstance(packet, Arp):
        return packet.is_gratuitous
    return isinstance(packet, Neighbour) and packet.is_announcement


def _subject(packet: Arp | Neighbour) -> str:
    """Return the address that an announcement is about."""
    return str(packet.sender if isinstance(packet, Arp) else packet.target)


@each_family
@pytest.mark.parametrize("way", ["--source-mac=real", "--peer"])
def test_switches_keep_the_virtual_mac(families: str, way: str) -> None:
    """If no advert has the virtual MAC as its source, announcements repeatedly have it.

    So switches do not forget it.
    """
    with _lab(families, 2) as lab:
        one, other = lab.hosts
        if way == "--peer":
            way = " ".join(f"--peer {address}" for address in other.addresses)
        master = one.start(
            OURS, f"--vmac --announce-interval 1 -r 1 {way}", scripts=False
        )
        await_rule(lab, one, master)
        await_adverts(lab, one, 4)
        before = len(lab.wire.packets)
        await_adverts(lab, one, 4)

        since = lab.wire.packets[before:]
        assert {advert.ethernet_source for advert in lab.wire.adverts()} <= {one.mac}
        announced = [each for each in since if _is_announcement(each)]
        assert {each.ethernet_source for each in announced} == {VMAC}
        assert {_subject(each) for each in announced} == set(lab.vips)


@each_family
def test_interface_comes_and_goes(families: str) -> None:
    """Only a master has the macvlan, with all addresses.

    A backup has none, and neither has a host whose daemon has ended.
    """
    with _lab(families, 2) as lab:
        one, other = lab.hosts
        ignored = "/proc/sys/net/ipv4/conf/eth0/arp_ignore"
        before = one.run("cat", ignored).stdout
        master, backup = _pair(lab, f"{FAST} -z")

        shown = one.run("ip", "address", "show", "dev", MACVLAN).stdout
        assert VMAC.hex(":") in shown
        for vip in lab.vips:
            assert f" {vip}/" in shown
        assert not _interfaces(other)

        master.signal(signal.SIGTERM)
        assert master.wait() == 0
        await_rule(lab, other, backup)
        assert not _interfaces(one)
        assert one.run("cat", ignored).stdout == before
        assert MACVLAN in _interfaces(other)


def _move_to_macvlan(host: Host, mode: str) -> Namespace:
    """Make `eth0` a macvlan on an interface of another machine, as docker does."""
    host.delete_interface()
    machine = Namespace()
    host.lab.bridge_run(
        *("ip", "link", "add", host.port, "type", "veth"),
        *("peer", "name", "lower0", "netns", str(machine.pid)),
    )
    host.lab.bridge_run("ip", "link", "set", host.port, "master", "bridge", "up")
    for command in (
        "ip link set lower0 up",
        f"ip link add link lower0 name mv0 type macvlan mode {mode}",
        f"ip link set mv0 address {host.mac.hex(':')}",
        f"ip link set mv0 netns {host.namespace.pid} name eth0",
    ):
        subprocess.run(machine.command(command.split()), check=True)
    host.add_address()
    host.link_up()
    host.await_link()
    return machine


@each_family
@pytest.mark.parametrize("mode", ["bridge", "vepa"])
def test_two_masters_on_macvlans_hear_each_other(families: str, mode: str) -> None:
    """Each has an interface with the MAC from which the other's adverts come."""
    with ExitStack() as machines, _lab(families) as lab:
        one, other, client = lab.hosts
        for host in (one, other):
            machines.callback(_move_to_macvlan(host, mode).close)
        master, backup = _pair(lab)
        one.isolate()
        await_state(backup, "MASTER")
        wait_for("two holders", lambda: set(lab.holders) == {one, other})

        one.rejoin()

        await_rule(lab, one, master)
        assert master.states == ["BACKUP", "MASTER"]
        for vip in lab.vips:
            client.run("ping", "-n", "-c", "1", "-W", "5", vip)


def _answers(lab: Lab, client: Host, vip: str) -> list[Arp | Neighbour]:
    """Return the answers that `client` gets when it asks for the MAC of `vip`."""
    client.run("ip", "neighbour", "flush", "dev", "eth0")
    asked_ns = time.time_ns()
    client.run("ping", "-n", "-c", "1", "-W", "5", vip)
    time.sleep(0.3)  # A second answer would come by then.
    return [
        packet
        for packet in lab.wire.packets
        if packet.time_ns >= asked_ns
        and (
            (isinstance(packet, Arp) and packet.operation == 2)
            or (isinstance(packet, Neighbour) and packet.is_advertisement)
        )
        and packet.ethernet_destination == client.mac
        and vip in (str(packet.target), str(getattr(packet, "sender", "")))
    ]


@each_family
def test_killed_master_leaves_no_second_answerer(families: str) -> None:
    """The macvlan left by `kill -9` is removed by the next start.

    After that only one host answers for the addresses.
    """
    with _lab(families) as lab, _neighbours_of_client(lab) as macs:
        one, other, client = lab.hosts
        master, backup = _pair(lab)
        with pinging(lab) as pingers:
            killed_ns = time.time_ns()
            master.kill()
            await_state(backup, "MASTER")
            wait_for("its addresses", lambda: other.holds_all)
            assert MACVLAN in _interfaces(one)

            # The start removes it even with -n, as it is a leftover of carppcap.
            again = one.start(OURS, f"{FAST_BACKUP} -n", scripts=False)
            await_state(again, "BACKUP")
            await_rule(lab, other, backup, adverts=4)
            assert not _interfaces(one)
            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, killed_ns)
            assert outage_ns < NOISE_NS + stalled_ns

        assert again.states == ["BACKUP"]
        for vip in lab.vips:
            [answer] = _answers(lab, client, vip)
            assert answer.ethernet_source in (VMAC, other.mac)
        assert macs() == {VMAC.hex(":")}


@pytest.mark.parametrize("kernel", ["freebsd", "netbsd", "openbsd"])
def test_beside_a_kernel(kernel: str) -> None:
    """Clients see one MAC while a kernel and carppcap hand over, in both directions."""
    with _lab("46") as lab, _neighbours_of_client(lab) as macs:
        one, other, _ = lab.hosts
        # Like a BSD kernel, send no ARP requests from the virtual addresses.
        one.run("sh", "-c", "echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce")
        peer = one.start(kernel, "-k 100")
        await_rule(lab, one, peer)
        with pinging(lab) as pingers:
            began_ns = time.time_ns()
            ours = other.start(OURS, "--vmac -P -z -k 10", scripts=False)
            await_rule(lab, other, ours)
            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, began_ns)
            assert outage_ns < NOISE_NS + stalled_ns

            await_adverts(lab, other, 2)
            left_ns = time.time_ns()
            ours.signal(signal.SIGTERM)
            assert ours.wait() == 0
            await_rule(lab, one, peer, adverts=1)
            outage_ns, stalled_ns = longest_outage_ns(lab, pingers, left_ns)
            assert outage_ns < NOISE_NS + stalled_ns

        assert macs() == {VMAC.hex(":")}
