"""Runs a host that behaves like a BSD kernel, on a real wire.

    python -m tests.netns.bsd_peer KIND FLAGS

The simulated kernel of `carppcap.simulation.programs.bsd` runs here with the real clock
and a packet socket.  KIND is openbsd, freebsd or netbsd.  FLAGS are those of the
daemon, as in a scenario of the simulator; as there, scripts are ignored.  The virtual
addresses are on an interface of their own, `carp7` for vhid 7, with the virtual MAC.
While the host is master, Linux answers ARP, neighbour solicitations and pings there.

The option -x names a FIFO.  Each line written to it is an order: `demote N` (sets the
demotion to N), `step down`, `down` or `up`.  SIGTERM does what `down` does, and ends
the process.
"""

import fcntl
import os
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv6Address
from pathlib import Path
from random import SystemRandom

from carppcap.addresses import CARP_GROUP6, Address, Family, kernel_mac
from carppcap.election.actions import StateChanged
from carppcap.election.config import VirtualHostConfig
from carppcap.election.script_queue import Job
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.options.command_line import parse
from carppcap.simulation.programs.bsd import BsdHost
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.document import parse_document
from carppcap.simulation.scenario.parts import Member

PROTOCOL_CARP = 112
ETH_P_ALL = 3
SIOCGIFFLAGS, SIOCGIFHWADDR = 0x8913, 0x8927
IFF_RUNNING = 0x40
IFA_F_TENTATIVE = 0x40
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1
PACKET_OUTGOING = 4
FRAME_LENGTH_MAX = 65_536
LINK_POLL_S = 0.1


def log(text: str, level: str = "INFO") -> None:
    """Log a line in the format of the daemons."""
    now = datetime.now(UTC).isoformat("T", "microseconds").removesuffix("+00:00")
    print(f"{now}: [{level}] {text}", flush=True)


def ip(*lines: str) -> None:
    """Run several commands of `ip` in one process."""
    subprocess.run(
        ["ip", "-force", "-batch", "-"],
        input="\n".join(lines) + "\n",
        text=True,
        check=False,  # it is no mistake to delete an address that is gone
        stderr=subprocess.DEVNULL,
    )


class Interface:
    """The interface of the host, as a `carppcap.simulation.programs.system.System`."""

    def __init__(self, name: str, config: VirtualHostConfig) -> None:
        self.alive = True
        self._name = name
        self._config = config
        self._carp = f"carp{config.vhid}"
        self._has_address = False
        self._packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._packets.bind((name, ETH_P_ALL))
        self._packets.setblocking(False)
        promiscuous = struct.pack(
            "iHH8s", socket.if_nametoindex(name), PACKET_MR_PROMISC, 0, b""
        )
        self._packets.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous)
        self.mac = self._ioctl(SIOCGIFHWADDR)[18:24]
        self._deaf_ears = [self._join(family) for family in config.families]
        self._neighbours: dict[Address, bytes] = {}
        # Only `carp7` may answer for the addresses on it.
        Path("/proc/sys/net/ipv4/conf/all/arp_ignore").write_text("1\n")
        ip(
            f"link add link {name} name {self._carp} "
            f"address {kernel_mac(config.vhid).hex(':')} type macvlan mode private",
            f"link set {self._carp} addrgenmode none",
            f"link set {self._carp} up",
        )

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._packets.fileno()

    @property
    def link_up(self) -> bool:
        """True if there is a carrier."""
        flags: int = struct.unpack_from("H", self._ioctl(SIOCGIFFLAGS), 16)[0]
        return bool(flags & IFF_RUNNING)

    @property
    def has_address(self) -> bool:
        """True if this host has the virtual addresses."""
        return self._has_address

    def wall(self, now: int) -> int:
        """Raise `NotImplementedError`: a kernel does not use the wall clock."""
        raise NotImplementedError

    def neighbour(self, address: Address) -> bytes | None:
        """Return the MAC of `address`, or None if the kernel does not know it yet.

        A packet is sent so that the kernel resolves the address.  If that takes more
        than 20 ms, the next call asks the kernel again.
        """
        if address not in self._neighbours:
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            with socket.socket(family, socket.SOCK_DGRAM) as knocking:
                knocking.sendto(b"", (str(address), 9))
            time.sleep(0.02)
            shown = subprocess.run(
                ["ip", "neighbour", "show", "to", str(address), "dev", self._name],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            if "lladdr" in shown:
                mac = shown[shown.index("lladdr") + 1]
                self._neighbours[address] = bytes.fromhex(mac.replace(":", ""))
        return self._neighbours.get(address)

    def send(self, frame: bytes) -> None:
        """Send a frame; log an error if the interface is down."""
        try:
            self._packets.send(frame)
        except OSError as error:
            log(f"cannot send: {error.strerror}", "ERROR")

    def frames(self) -> Iterator[bytes]:
        """Yield all frames that have arrived from other hosts."""
        while True:
            try:
                frame, sender = self._packets.recvfrom(FRAME_LENGTH_MAX)
            except BlockingIOError:
                return
            except OSError as error:  # the interface is down or gone
                log(f"cannot receive: {error.strerror}", "ERROR")
                return
            if sender[2] != PACKET_OUTGOING:
                yield frame

    def set_address(self, configured: bool) -> None:
        """Add or remove the virtual addresses."""
        self._has_address = configured
        verb, more = ("add", " nodad") if configured else ("delete", "")
        ip(
            *(
                f"address {verb} {vip}/{vip.max_prefixlen} dev {self._carp}"
                f"{more if vip.version == 6 else ''}"
                for vip in self._config.vips
            )
        )

    def record(self, step: Step) -> None:
        """Log the new state."""
        for action in step.actions:
            if isinstance(action, StateChanged):
                log(f"Switching to state: {action.new.value}", "WARNING")
                log(f"{action.old.value} -> {action.new.value} ({action.cause.value})")

    def reject(self, rejection: Rejection) -> None:
        """Log a rejected frame."""
        log(f"rejected: {rejection.reason.value} from {rejection.source}")

    def run_script(self, job: Job) -> None:
        """Raise `NotImplementedError`: a kernel has no scripts."""
        raise NotImplementedError

    def kill_script(self) -> None:
        """Raise `NotImplementedError`: a kernel has no scripts."""
        raise NotImplementedError

    def exit(self) -> None:
        """End the simulated kernel, as after the order `down`."""
        self.alive = False

    def _ioctl(self, request: int) -> bytes:
        question = struct.pack("40s", self._name.encode())
        return fcntl.ioctl(self._packets, request, question)

    def _join(self, family: Family) -> socket.socket:
        """Return a raw socket in the group of the adverts.

        While it is open, Linux sends no ICMP error that the protocol is unknown here.
        """
        if family is Family.IPV4:
            ears = socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL_CARP)
            index = socket.if_nametoindex(self._name)
            wanted = struct.pack("4s4si", self._config.group.packed, b"", index)
            ears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, wanted)
        else:
            ears = socket.socket(socket.AF_INET6, socket.SOCK_RAW, PROTOCOL_CARP)
            index = socket.if_nametoindex(self._name)
            wanted = struct.pack("16si", CARP_GROUP6.packed, index)
            ears.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, wanted)
        ears.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        return ears


class Peer:
    """A simulated kernel, its interface, and the orders that it gets."""

    def __init__(self, kind: str, flags: Sequence[str]) -> None:
        document = {"node": {"peer": {"kind": kind, "flags": shlex.join(flags)}}}
        [member] = parse_document(document, "bsd_peer").members
        settings, _ = parse(flags)
        interface = settings.interface or "eth0"
        if settings.source6 is None:
            member = _with_own_address6(member, interface)
        self._member = member
        self._interface = Interface(interface, self._member.config)
        self._link_seen = True
        self._ending = False
        self._host: BsdHost | None = None
        self._dice = Dice(SystemRandom().getrandbits(64))
        self._orders: int | None = None
        if settings.xparam is not None:
            # Opened for writing too, so that reading never meets the end of the FIFO.
            self._orders = os.open(settings.xparam, os.O_RDWR | os.O_NONBLOCK)
        signal.signal(signal.SIGTERM, self._end)

    def run(self) -> None:
        """Run until SIGTERM."""
        self._order("up")
        waiting = [self._interface.fileno()]
        if self._orders is not None:
            waiting.append(self._orders)
        while not self._ending or self._host is not None:
            ready, _, _ = select.select(waiting, [], [], self._patience_s())
            # As in the daemon, a frame comes before a timer of the same instant.
            for frame in self._interface.frames():
                if self._host is not None:
                    self._host.frame_arrived(frame, time.monotonic_ns())
            if self._orders is not None and self._orders in ready:
                for order in os.read(self._orders, 4096).decode().splitlines():
                    self._order(order)
            if self._ending:
                self._order("down")
            self._turn()

    def _patience_s(self) -> float:
        due = None if self._host is None else self._host.deadline
        if due is None:
            return LINK_POLL_S
        return min(max(0, due - time.monotonic_ns()) / 1e9, LINK_POLL_S)

    def _turn(self) -> None:
        if self._host is None:
            return
        if self._link_seen is not self._interface.link_up:
            self._link_seen = not self._link_seen
            self._host.link_changed(time.monotonic_ns())
        due, now = self._host.deadline, time.monotonic_ns()
        if due is not None and due <= now:
            self._host.wake(now)

    def _order(self, order: str) -> None:
        now = time.monotonic_ns()
        match order.split(), self._host:
            case ["up"], None:
                self._interface.alive = True
                self._link_seen = self._interface.link_up
                self._host = BsdHost(self._member, self._interface, self._dice)
                self._host.start(now)
            case ["demote", number], BsdHost() as host:
                host.demoted(int(number), now)
            case ["step", "down"], BsdHost() as host:
                host.step_down(now)
            case ["down"], BsdHost() as host:
                host.stop(now)
        if not self._interface.alive:
            self._host = None

    def _end(self, number: int, frame: object) -> None:
        self._ending = True


def _with_own_address6(member: Member, interface: str) -> Member:
    """Return `member` with the IPv6 source that a kernel takes by default.

    Wait until the interface has a link-local address that is ready.
    """
    if Family.IPV6 not in member.config.families:
        return member
    while (source6 := _address6(interface)) is None:
        time.sleep(0.05)
    return replace(member, config=replace(member.config, source6=source6))


def _address6(interface: str) -> IPv6Address | None:
    """Return the link-local address, or None until duplicate detection is over."""
    for line in Path("/proc/self/net/if_inet6").read_text().splitlines():
        digits, _, _, _, flags, name = line.split()
        address = IPv6Address(bytes.fromhex(digits))
        is_ready = not int(flags, 16) & IFA_F_TENTATIVE
        if name == interface and is_ready and address.is_link_local:
            return address
    return None


def main(arguments: Sequence[str]) -> int:
    """Run the host until SIGTERM; return 0."""
    kind, *flags = arguments
    Peer(kind, flags).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
