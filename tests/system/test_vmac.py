"""The virtual MAC: one interface, then hosts that hand it over on a real bridge."""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyroute2")

from carppcap.addresses import Address
from carppcap.errors import ConfigError, LinkError
from carppcap.system.vmac import VirtualMac
from tests.netns.namespaces import Namespace
from tests.shell import ROOT, environment, ip, make_link, network, wait_for

MAC = "00:00:5e:00:01:07"
VIP, VIP6 = ip_address("10.1.1.252"), ip_address("fd00::252")
BOTH: list[tuple[Address, int | None]] = [(VIP, None), (VIP6, None)]
QUIET_S = 0.3
SETTINGS = ("arp_ignore", "arp_announce")


@contextmanager
def virtual_mac(
    addresses: list[tuple[Address, int | None]] | None = None,
    parent: str = "a0",
    vhid: int = 7,
) -> Generator[VirtualMac]:
    """Make a `VirtualMac`, by default on a0 for vhid 7."""
    subject = VirtualMac(parent, vhid, BOTH if addresses is None else addresses)
    try:
        yield subject
    finally:
        subject.close()


def shown(*command: str) -> list[dict[str, Any]]:
    """Return what `ip -json COMMAND` prints."""
    output = subprocess.run(
        ["ip", "-details", "-json", *command], check=False, capture_output=True
    ).stdout
    found: list[dict[str, Any]] = json.loads(output or b"[]")
    return [one for one in found if one]


def path(interface: str, name: str, version: int = 4) -> Path:
    """Return the path of a setting of IPv4 or IPv6."""
    return Path(f"/proc/sys/net/ipv{version}/conf/{interface}/{name}")


def settings(interface: str = "a0") -> dict[str, str]:
    """Return the ARP settings of the parent."""
    return {name: path(interface, name).read_text().strip() for name in SETTINGS}


def configure(**values: int) -> None:
    """Change the ARP settings of the parent."""
    for name, value in values.items():
        path("a0", name).write_text(str(value))


UNTOUCHED = {"arp_ignore": "0", "arp_announce": "0"}
QUIET = {"arp_ignore": "1", "arp_announce": "2"}


@pytest.fixture
def inside() -> Iterator[None]:
    """Enter a network with a0, which has 10.1.1.5."""
    with network():
        make_link()
        yield


alone = [pytest.mark.netns, pytest.mark.usefixtures("inside")]


def in_network(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs `inside`, and root."""
    for mark in alone:
        test = mark(test)
    return test


@in_network
def test_acquire_and_release() -> None:
    """The interface is up with MAC and addresses, and has no other address."""
    with virtual_mac() as subject:
        assert subject.name == "carp7.a0"
        assert not subject.has_addresses()

        subject.acquire()
        assert subject.has_addresses()
        [link] = shown("link", "show", "carp7.a0")
        assert link["address"] == MAC == subject.mac.hex(":")
        assert link["link"] == "a0"
        assert link["linkinfo"]["info_kind"] == "macvlan"
        assert link["linkinfo"]["info_data"]["mode"] == "bridge"
        [found] = shown("address", "show", "dev", "carp7.a0")
        here = {one["local"]: one for one in found["addr_info"]}
        assert here.keys() == {str(VIP), str(VIP6)}
        assert (here[str(VIP)]["prefixlen"], here[str(VIP6)]["prefixlen"]) == (32, 128)
        assert not here[str(VIP6)].get("tentative", False)
        # No host may learn the virtual MAC for an address of the parent.
        assert settings(subject.name) == QUIET

        subject.release()
        assert not subject.has_addresses()
        assert shown("link", "show", "carp7.a0") == []
        subject.release()


@in_network
@pytest.mark.parametrize("mode", ["bridge", "vepa"])
def test_a_parent_that_is_a_macvlan(mode: str) -> None:
    """In mode vepa the parent still hears other masters with the virtual MAC."""
    ip(f"link add link a0 name m0 type macvlan mode {mode}")
    ip("link set m0 up")
    with (
        virtual_mac(parent="m0") as subject,
        virtual_mac([(ip_address("10.1.1.253"), None)], "m0", vhid=8) as second,
    ):
        subject.acquire()
        second.acquire()

        assert subject.has_addresses()
        [link] = shown("link", "show", "carp7.m0")
        assert link["linkinfo"]["info_data"]["mode"] == "vepa"
        assert link["link"] == "a0"
        subject.release()
        assert settings("m0") == QUIET
        second.release()
        assert settings("m0") == UNTOUCHED


@in_network
@pytest.mark.parametrize("mode", ["private", "source", "passthru"])
def test_a_parent_that_would_hear_no_other_master(mode: str) -> None:
    """It is refused at the start, in one line with the remedy."""
    ip(f"link add link a0 name m0 type macvlan mode {mode}")
    with pytest.raises(LinkError) as caught:
        VirtualMac("m0", 7, BOTH)

    assert str(caught.value) == (
        f"--vmac would make two masters: m0 is a macvlan of mode {mode} (allowed: mode "
        "bridge or vepa, or no --vmac)"
    )
    assert shown("link", "show", "carp7.m0") == []
    assert settings("m0") == UNTOUCHED


@in_network
def test_acquire_twice() -> None:
    """A complete interface stays, and one that lacks something is made again."""
    with virtual_mac() as subject:
        subject.acquire()
        before = socket.if_nametoindex(subject.name)
        subject.acquire()
        assert socket.if_nametoindex(subject.name) == before

        for command in (
            "link set carp7.a0 down",
            "address flush dev carp7.a0",
            "address delete 10.1.1.252/32 dev carp7.a0",
            "link delete carp7.a0",
        ):
            ip(command)
            assert not subject.has_addresses(), command
            subject.acquire()
            assert subject.has_addresses(), command
        subject.release()
        assert settings() == UNTOUCHED


@in_network
def test_removed_by_another_process() -> None:
    """`release` then restores the settings of the parent."""
    with virtual_mac() as subject:
        subject.acquire()
        ip("link delete carp7.a0")
        assert settings() == QUIET
        subject.release()
        assert settings() == UNTOUCHED
        configure(arp_ignore=1)
        subject.release()
    assert settings() == {"arp_ignore": "1", "arp_announce": "0"}


@in_network
def test_only_ipv4() -> None:
    """Without an IPv6 address IPv6 is disabled on the macvlan."""
    with virtual_mac([(VIP, 24)]) as subject:
        subject.acquire()
        assert path(subject.name, "disable_ipv6", 6).read_text() == "1\n"
        assert subject.has_addresses()
        subject.release()


@in_network
def test_a_prefix_is_no_better_way() -> None:
    """A route through the macvlan is used only if there is no other."""
    elsewhere = ip_address("192.0.2.1")
    with virtual_mac([(VIP, 24), (elsewhere, 28), (VIP6, 64)]) as subject:
        ip("route replace 10.1.1.0/24 dev a0 metric 100")  # as NetworkManager has it
        ip("route delete 10.1.1.0/24 dev a0 metric 0")
        subject.acquire()
        assert subject.has_addresses()
        assert shown("route", "get", "10.1.1.9")[0]["dev"] == "a0"
        assert shown("route", "get", "192.0.2.9")[0]["dev"] == "carp7.a0"
        subject.release()


@in_network
def test_the_parent_is_a_router() -> None:
    """The macvlan forwards in the families in which the parent does."""
    path("a0", "forwarding").write_text("1")
    with virtual_mac() as subject:
        subject.acquire()
        assert path(subject.name, "forwarding").read_text() == "1\n"
        assert path(subject.name, "forwarding", 6).read_text() == "0\n"
        subject.release()


@in_network
@pytest.mark.parametrize(
    ("before", "during"),
    [
        ((0, 0), (1, 2)),
        ((0, 1), (1, 2)),
        ((1, 2), (1, 2)),
        ((2, 2), (2, 2)),
        ((8, 0), (8, 2)),
        ((3, 0), (1, 2)),
    ],
)
def test_settings_of_the_parent(
    before: tuple[int, int], during: tuple[int, int]
) -> None:
    """They are changed only if needed, and restored."""
    configure(arp_ignore=before[0], arp_announce=before[1])
    with virtual_mac() as subject:
        subject.acquire()
        assert tuple(map(int, settings().values())) == during
        subject.release()
    assert tuple(map(int, settings().values())) == before


@in_network
def test_changed_by_another_process() -> None:
    """A setting that another process has changed is not restored."""
    with virtual_mac() as subject:
        subject.acquire()
        configure(arp_ignore=8)
        subject.release()
    assert settings() == {"arp_ignore": "8", "arp_announce": "0"}


@in_network
@pytest.mark.parametrize("first", [7, 8])
def test_two_groups_on_one_parent(first: int) -> None:
    """The last group of a parent to leave restores its settings."""
    make_link("a1", "b1")
    ip("link add carp9.a0 type bridge")
    with (
        virtual_mac(vhid=first) as one,
        virtual_mac([(ip_address("10.1.1.253"), None)], vhid=15 - first) as other,
        virtual_mac(parent="a1") as elsewhere,
    ):
        for subject in (elsewhere, one, other):
            subject.acquire()
        one.release()
        assert settings() == QUIET
        one.acquire()
        other.release()
        assert settings() == QUIET
        one.release()
        assert settings() == UNTOUCHED
        assert settings("a1") == QUIET
        elsewhere.release()
        assert settings("a1") == UNTOUCHED


@in_network
def test_a_leftover() -> None:
    """It is removed at the start, and the settings of the parent are restored."""
    with virtual_mac() as killed:
        configure(arp_announce=1)
        killed.acquire()
    assert shown("link", "show", "carp7.a0")

    with virtual_mac() as subject:
        assert shown("link", "show", "carp7.a0") == []
        assert settings() == {"arp_ignore": "0", "arp_announce": "1"}
        subject.acquire()
        subject.release()


@in_network
def test_a_leftover_without_a_note() -> None:
    """It was left before a setting was changed, so none is restored."""
    ip(f"link add carp7.a0 link a0 address {MAC} type macvlan mode bridge")
    with virtual_mac():
        assert shown("link", "show", "carp7.a0") == []
    assert settings() == UNTOUCHED


@in_network
@pytest.mark.parametrize(
    "kind",
    [
        "carp7.a0 type bridge",
        f"carp7.a0 address {MAC} type bridge",
        "carp7.a0 link a0 type macvlan mode bridge",
        "carp7.a0 type veth peer name other",
    ],
)
def test_not_ours(kind: str) -> None:
    """A foreign interface with that name is not removed."""
    ip(f"link add {kind}")
    with pytest.raises(LinkError) as caught:
        VirtualMac("a0", 7, BOTH)
    assert str(caught.value) == (
        "carp7.a0 is there already, and is not ours (allowed: a macvlan with the MAC "
        "00:00:5e:00:01:07, which is removed)"
    )
    assert shown("link", "show", "carp7.a0")


@in_network
@pytest.mark.parametrize("address", ["ff02::99", "::1"])
def test_an_address_that_cannot_be(address: str) -> None:
    """If one address fails, neither the interface nor the settings stay."""
    with virtual_mac([*BOTH, (ip_address(address), None)]) as subject:
        with pytest.raises(LinkError, match=r"^Unable to use a virtual MAC on a0: "):
            subject.acquire()
        assert shown("link", "show", "carp7.a0") == []
        assert settings() == UNTOUCHED


@in_network
def test_the_parent_goes() -> None:
    """The macvlan goes too: `release` does nothing, `acquire` is an error."""
    with virtual_mac() as subject:
        subject.acquire()
        ip("link delete a0")
        assert not subject.has_addresses()
        subject.release()
        with pytest.raises(LinkError) as caught:
            subject.acquire()
        assert str(caught.value) == (
            "Unable to use a virtual MAC on a0: No such device"
        )
        make_link()
        subject.acquire()
        assert subject.has_addresses()
        subject.release()


@in_network
def test_the_parent_is_renamed() -> None:
    """The macvlan stays, and can be removed; the settings are those of one parent."""
    with virtual_mac() as subject, virtual_mac(vhid=8) as sibling:
        assert subject.index == 0
        subject.acquire()
        number = subject.index
        ip("link set a0 down")
        ip("link set a0 name c0")
        ip("link set c0 up")
        subject.parent = sibling.parent = "c0"

        assert subject.has_addresses()
        assert (subject.name, subject.index) == ("carp7.a0", number)
        sibling.acquire()
        assert sibling.name == "carp8.c0"
        subject.release()
        assert not shown("link", "show", "dev", "carp7.a0")
        assert settings("c0") == QUIET
        sibling.release()
        assert settings("c0") == UNTOUCHED
        subject.acquire()
        assert subject.name == "carp7.c0"
        subject.release()


@in_network
def test_another_parent_of_that_name() -> None:
    """The settings of the old parent are not restored on the new one."""
    with virtual_mac() as subject:
        subject.acquire()
        ip("link delete a0")
        make_link()
        configure(arp_ignore=1)
        subject.release()
        assert settings() == {"arp_ignore": "1", "arp_announce": "0"}


@in_network
def test_without_the_right_to() -> None:
    """The error comes at the start, not at the first take-over."""
    os.seteuid(65534)
    try:
        with pytest.raises(LinkError, match=r"on a0: Operation not permitted$"):
            VirtualMac("a0", 7, BOTH)
    finally:
        os.seteuid(0)


@in_network
def test_without_the_right_to_any_more() -> None:
    """In a process that gave up its capabilities `acquire` is an error."""
    with virtual_mac() as subject:
        os.seteuid(65534)
        try:
            with pytest.raises(LinkError, match=r"on a0: Operation not permitted$"):
                subject.acquire()
        finally:
            os.seteuid(0)
        assert settings() == UNTOUCHED


@in_network
def test_a_setting_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names it: in containers /proc/sys may be read-only."""
    name = str(path("a0", "arp_ignore"))

    def refuse(where: str, mode: str = "r", encoding: str = "") -> Any:
        if (where, mode) == (name, "w"):
            raise OSError(30, "Read-only file system", where)
        return open(where, mode, encoding=encoding)

    with virtual_mac() as subject:
        monkeypatch.setattr("carppcap.system.vmac.open", refuse, raising=False)
        with pytest.raises(LinkError):
            VirtualMac("a0", 8, BOTH)
        assert settings() == UNTOUCHED
        with pytest.raises(LinkError) as caught:
            subject.acquire()
        assert str(caught.value) == (
            f"Unable to use a virtual MAC on a0: {name}: Read-only file system"
        )
        assert shown("link", "show", "carp7.a0") == []
        assert settings() == UNTOUCHED

        configure(arp_ignore=1, arp_announce=2)  # as the administrator would
        subject.acquire()
        assert subject.has_addresses()
        subject.release()


@in_network
def test_a_stopped_process_holds_the_lock() -> None:
    """A stopped process holds the lock, and others wait 20 ms at most."""
    directory = os.open(path("a0", "x").parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        with virtual_mac() as subject:
            subject.acquire()
            assert subject.has_addresses()
            subject.release()
    finally:
        os.close(directory)


@pytest.mark.parametrize(
    ("parent", "vhid", "name"),
    [
        ("ge0", 7, "carp7.ge0"),
        ("enp0s31f6", 9, "carp9.enp0s31f6"),
        ("enp0s31f6", 10, "carp10.if0"),
        ("enp0s31.100", 255, "carp255.if0"),
        ("f\udcfcr0", 1, "carp1.if0"),
    ],
)
def test_names(parent: str, vhid: int, name: str) -> None:
    """It contains the name of the parent, or its index if too long (0 for none)."""
    with virtual_mac(parent=parent, vhid=vhid) as subject:
        assert subject.name == name
        assert len(name) <= 15


@in_network
def test_a_parent_with_a_long_name() -> None:
    """The macvlan is named after the index of the parent."""
    ip("link set a0 down")
    ip("link set a0 name enp0s31f6.100")
    ip("link set enp0s31f6.100 up")
    with virtual_mac(parent="enp0s31f6.100") as subject:
        subject.acquire()
        number = socket.if_nametoindex("enp0s31f6.100")
        assert subject.name == f"carp7.if{number}"
        assert subject.has_addresses()
        assert settings("enp0s31f6.100") == QUIET
        subject.release()
        assert settings("enp0s31f6.100") == UNTOUCHED


def test_without_pyroute2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install it."""
    monkeypatch.setitem(sys.modules, "pyroute2", None)

    with pytest.raises(ConfigError) as caught:
        VirtualMac("eth0", 7, BOTH)
    assert str(caught.value) == (
        "--vmac needs pyroute2, which is not installed: pip install 'carppcap[vmac]'"
    )


def test_pyroute2_is_imported_only_for_it() -> None:
    """It takes more memory than all the rest."""
    code = "import sys, carppcap.system.vmac; print('pyroute2' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout == "False\n"


_KEEPER = """
import socket, sys
from ipaddress import ip_interface
from carppcap.errors import CarpError
from carppcap.system.vmac import VirtualMac

addresses = [(one.ip, one.network.prefixlen) for one in map(ip_interface, sys.argv[1:])]
subject = VirtualMac("eth0", 7, addresses)

def announce():
    frame = b"\\xff" * 6 + subject.mac + b"\\x08\\x06\\0\\1\\x08\\0\\6\\4\\0\\1"
    frame += subject.mac + addresses[0][0].packed + bytes(6) + addresses[0][0].packed
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("eth0", 0))
        wire.send(frame.ljust(60, b"\\0"))

for word in map(str.strip, sys.stdin):
    try:
        print((getattr(subject, word, None) or announce)(), flush=True)
    except CarpError as error:
        print(error, flush=True)
"""


class Station:
    """A machine on the bridge, as the only one on its port; eth0 is its own."""

    def __init__(self, number: int) -> None:
        self.namespace = Namespace()
        self.mac = f"02:00:00:00:00:0{number}"
        ip(
            f"link add port{number} type veth peer name eth0 address {self.mac} "
            f"netns {self.namespace.pid}"
        )
        ip(f"link set port{number} master bridge up")
        for name in ("lo", "eth0"):
            self.run(f"echo 0 >/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        # What a distribution may have set: our settings must hold against it.
        self.run("echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter")
        self.run(f"ip address add 10.1.1.{number}/24 dev eth0")
        self.run(f"ip address add fd00::{number}/64 dev eth0 nodad")
        self.run("ip link set eth0 up")
        self._keeper: subprocess.Popen[str] | None = None

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a command of the shell there; return what it prints."""
        return subprocess.run(
            self.namespace.command(["sh", "-c", command]),
            check=check,
            capture_output=True,
            text=True,
        ).stdout

    def keep(self, *addresses: str) -> None:
        """Start a process that has a `VirtualMac` for `addresses`."""
        self._keeper = subprocess.Popen(
            self.namespace.command([sys.executable, "-c", _KEEPER, *addresses]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self.tell("has_addresses") == "False"

    def tell(self, word: str) -> str:
        """Have that process call a method; return what it returns."""
        assert self._keeper is not None
        assert self._keeper.stdin
        assert self._keeper.stdout
        self._keeper.stdin.write(word + "\n")
        self._keeper.stdin.flush()
        return self._keeper.stdout.readline().strip()

    def become_master(self) -> None:
        """Take the addresses and tell the switch."""
        assert self.tell("acquire") == "None"
        assert self.tell("announce") == "None"

    def kill(self) -> None:
        """End that process by force."""
        if self._keeper is not None:
            self._keeper.send_signal(signal.SIGKILL)
            self._keeper.communicate()
            self._keeper = None

    def reaches(self, address: str) -> bool:
        """True if one ping is answered."""
        output = self.run(f"ping -n -c 1 -W 2 {address}", check=False)
        return " 1 received" in output

    def neighbour(self, address: str) -> str:
        """Return the MAC that it knows for `address`."""
        words = self.run(f"ip neighbour show {address}").split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""

    def answers(self, address: str) -> set[str]:
        """Return the MACs with which ARP for `address` is answered."""
        mac, target = bytes.fromhex(self.mac.replace(":", "")), ip_address(address)
        request = b"\xff" * 6 + mac + bytes.fromhex("080600010800060400 01") + mac
        request += ip_address("10.1.1.1").packed + bytes(6) + target.packed

        def ask() -> set[str]:
            found = set()
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0608) as wire:
                wire.bind(("eth0", 0x0806))
                wire.send(request.ljust(60, b"\0"))
                while select.select([wire], [], [], QUIET_S)[0]:
                    body = wire.recv(2048)[20:]
                    if body[:2] == b"\0\2" and body[8:12] == target.packed:
                        found.add(body[2:8].hex(":"))
            return found

        return self.namespace.call(ask)

    def forget_neighbours(self) -> None:
        """Forget all neighbours, as after a long silence."""
        self.run("ip neighbour flush all")

    def close(self) -> None:
        """End the process and remove the namespace."""
        self.kill()
        self.namespace.close()


Lan = tuple[Station, Station, Station]


@pytest.fixture
def lan() -> Iterator[Lan]:
    """A client and two hosts, each with its own IPv4 and IPv6 address, on a bridge."""
    with ExitStack() as stack:
        stack.enter_context(network())
        ip("link add bridge type bridge")
        ip("link set bridge up")
        stations = []
        for number in (1, 2, 3):
            stations.append(Station(number))
            stack.callback(stations[-1].close)
        client, one, other = stations
        for address in ("10.1.1.2", "10.1.1.3", "fd00::2", "fd00::3"):
            wait_for(partial(client.reaches, address), "the bridge")
        yield client, one, other


@pytest.mark.netns
@pytest.mark.parametrize("prefixes", [("/32", "/128"), ("/24", "/64")])
def test_a_client_keeps_its_neighbour(lan: Lan, prefixes: tuple[str, str]) -> None:
    """The MAC of the address is the same with either master."""
    client, one, other = lan
    vips = (str(VIP), str(VIP6))
    for host in (one, other):
        host.keep(*(vip + prefix for vip, prefix in zip(vips, prefixes, strict=True)))
    one.become_master()
    for vip in vips:
        assert client.reaches(vip)
        assert client.neighbour(vip) == MAC

    for old, new in ((one, other), (other, one), (one, other)):
        assert old.tell("release") == "None"
        assert not client.reaches(vips[0])
        new.become_master()
        for vip in vips:
            # With what it knew before, then with what it asks for now.
            assert client.reaches(vip)
            assert client.neighbour(vip) == MAC
            client.forget_neighbours()
            assert client.reaches(vip)
            assert client.neighbour(vip) == MAC
            # The host asks for the client to answer it: that must teach it nothing.
            new.forget_neighbours()
            assert client.reaches(vip)
            assert client.neighbour(vip) == MAC
            assert new.reaches(vip)
        assert client.answers(vips[0]) == {MAC}
        for number, host in ((2, one), (3, other)):
            assert client.reaches(f"10.1.1.{number}")
            assert client.reaches(f"fd00::{number}")
            assert client.neighbour(f"10.1.1.{number}") == host.mac
            assert client.answers(f"10.1.1.{number}") == {host.mac}
            assert client.neighbour(f"fd00::{number}") == host.mac


@pytest.mark.netns
def test_killed(lan: Lan) -> None:
    """The next process on that host removes what is left, and the other takes over."""
    client, one, other = lan
    for host in (one, other):
        host.keep(f"{VIP}/32")
    one.become_master()
    assert client.reaches(str(VIP))
    one.kill()
    assert client.reaches(str(VIP))  # the kernel goes on answering, as it would

    one.keep(f"{VIP}/32")
    assert "carp7" not in one.run("ip link")
    for name in SETTINGS:
        assert one.run(f"cat /proc/sys/net/ipv4/conf/eth0/{name}") == "0\n"
    other.become_master()
    assert client.reaches(str(VIP))
    assert client.neighbour(str(VIP)) == MAC
