"""A lab: hosts in network namespaces, on one bridge, with eyes on everything.

    with Lab(2) as lab:
        one, other = lab.hosts
        first = one.start("ucarp", "-k 0")
        wait_for("a master", lambda: lab.holders == (one,))
        other.start("carppcap", "-k 100")
        first.kill()
        wait_for("its successor", lambda: other in lab.holders)
        print(lab.story())

Works as root and inside `unshare -Urnm`.  Everything a lab made is gone when it
closes, and also when its process ends in any other way.
"""

import json
import selectors
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.netns.daemons import PROGRAMS, Daemon, environment
from tests.netns.namespaces import Namespace
from tests.netns.watch import AddressWatcher, open_address_socket
from tests.netns.wire import NS_PER_S, Arp, Recorder, open_packet_socket, parse

T = TypeVar("T")

VIP = "10.9.0.100"
VHID = 7
PASSWORD = "love"
TIMEOUT_S = 30.0
_POLL_S = 0.02


class LateError(AssertionError):
    """Something that was waited for did not happen in time."""


def wait_for(what: str, condition: Callable[[], T], timeout_s: float = TIMEOUT_S) -> T:
    """The first true value of `condition`, asked again and again.

    Raises `LateError` with `what` in it when `timeout_s` seconds were not enough.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            raise LateError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(_POLL_S)
    return value


class Host:
    """One machine: a namespace with `eth0`, plugged into the bridge of its lab."""

    def __init__(self, lab: "Lab", number: int, address: str) -> None:
        self.lab = lab
        self.name = f"host{number}"
        self.address = address
        self.mac = bytes((2, 0, 0, 0, 0, number))
        self.port = f"port{number}"
        self.namespace = Namespace()
        self.daemons: list[Daemon] = []

    def __repr__(self) -> str:
        return self.name

    def command(self, arguments: Sequence[str]) -> list[str]:
        """What to execute to run `arguments` in this host."""
        return self.namespace.command(arguments)

    def run(
        self, *arguments: str, check: bool = True, timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in this host to its end, and keeps what it printed."""
        return subprocess.run(
            self.command(arguments),
            check=check,
            timeout=timeout_s,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def start(
        self,
        program: str,
        flags: str = "",
        *,
        vhid: int = VHID,
        password: str = PASSWORD,
        up: Path | None = None,
        down: Path | None = None,
        before: Sequence[str] = (),
    ) -> Daemon:
        """Starts "ucarp" or "carppcap" in this host, with the lab's scripts.

        `flags` come behind the ones every daemon needs, and so override them; the
        words `before` are a command that in the end executes what follows it.
        """
        arguments = [
            *("-i", "eth0", "-s", self.address, "-v", str(vhid), "-p", password),
            *("-a", self.lab.vip, "-f", "none"),
            *("-u", str(up or self.lab.up), "-d", str(down or self.lab.down)),
            *shlex.split(flags),
        ]
        return self.start_bare(program, arguments, before)

    def start_bare(
        self, program: str, arguments: Sequence[str], before: Sequence[str] = ()
    ) -> Daemon:
        """Starts a daemon with exactly these arguments."""
        log = self.lab.directory / f"{self.name}-{len(self.daemons)}.log"
        command = self.command([*before, *PROGRAMS[program], *arguments])
        daemon = Daemon(program, command, log)
        self.daemons.append(daemon)
        return daemon

    def power_off(self) -> None:
        """Ends the daemons without warning, and the host says nothing any more."""
        for daemon in self.daemons:
            daemon.kill()
        self.delete_interface()

    def create_interface(self) -> None:
        """Makes `eth0`, plugs it in and gives it its address; waits until it works."""
        self.lab.bridge_run(
            *("ip", "link", "add", self.port, "type", "veth"),
            *("peer", "name", "eth0", "address", self.mac.hex(":")),
            *("netns", str(self.namespace.pid)),
        )
        self.lab.bridge_run("ip", "link", "set", self.port, "master", "bridge", "up")
        self.add_address()
        self.link_up()
        self.await_link()

    def delete_interface(self) -> None:
        """Takes `eth0` out of the machine."""
        self.run("ip", "link", "delete", "eth0")

    def await_link(self) -> None:
        """Returns when frames can pass between this host and the bridge."""

        def forwards() -> bool:
            shown = self.lab.bridge_run("bridge", "-j", "link", "show")
            ports = {port["ifname"]: port["state"] for port in json.loads(shown)}
            return ports.get(self.port) == "forwarding"

        def has_carrier() -> bool:
            return "LOWER_UP" in self.run("ip", "link", "show", "eth0").stdout

        wait_for(f"the carrier of {self}", lambda: has_carrier() and forwards())

    def add_address(self) -> None:
        """Gives `eth0` the host's own address."""
        where = f"{self.address}/{self.lab.prefix_length}"
        self.run("ip", "address", "add", where, "dev", "eth0")

    def delete_address(self) -> None:
        """Takes the host's own address from `eth0`."""
        where = f"{self.address}/{self.lab.prefix_length}"
        self.run("ip", "address", "delete", where, "dev", "eth0")

    def link_up(self) -> None:
        """`ip link set eth0 up`."""
        self.run("ip", "link", "set", "eth0", "up")

    def link_down(self) -> None:
        """`ip link set eth0 down`."""
        self.run("ip", "link", "set", "eth0", "down")

    def pull_cable(self) -> None:
        """Takes the carrier away, as at the far end of a cable."""
        self.lab.bridge_run("ip", "link", "set", self.port, "down")

    def plug_cable(self) -> None:
        """Gives the carrier back, and waits until frames pass."""
        self.lab.bridge_run("ip", "link", "set", self.port, "up")
        self.await_link()

    def isolate(self) -> None:
        """Loses every frame from and to this host; the carrier stays."""
        self.lab.bridge_run("bridge", "link", "set", "dev", self.port, "state", "0")

    def rejoin(self) -> None:
        """Ends `isolate`."""
        self.lab.bridge_run("bridge", "link", "set", "dev", self.port, "state", "3")

    def echo(self) -> None:
        """Sends every broadcast and multicast of this host back to it, too."""
        self.lab.bridge_run("bridge", "link", "set", "dev", self.port, "hairpin", "on")


class Lab:
    """`hosts` machines on a bridge, at `addresses` (10.9.0.1, 10.9.0.2, ...).

    `wire` records every frame on the bridge, also in `directory`/wire.pcap;
    `addresses` follows `vip`.  `up` and `down` are hook scripts that add and remove
    it.  Raises `OSError` where namespaces are not allowed, and on leaving
    `AssertionError` if the log of a daemon shows a traceback.
    """

    def __init__(
        self,
        hosts: int = 2,
        *,
        addresses: Sequence[str] = (),
        prefix_length: int = 24,
        vip: str = VIP,
    ) -> None:
        self._own_addresses = addresses or [f"10.9.0.{n + 1}" for n in range(hosts)]
        self.prefix_length = prefix_length
        self.vip = vip
        self.hosts: tuple[Host, ...] = ()
        self.directory = Path(tempfile.mkdtemp(prefix="carp-lab-"))
        self.up = self.script("up")
        self.down = self.script("down")

    def __enter__(self) -> Self:
        self._bridge = Namespace()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None and (crashes := self._crashes()):
            error = AssertionError(f"a daemon fell over: {crashes}")
        if error is not None:
            error.add_note(self.story())
        self.close()
        if error is not None and kind is None:
            raise error

    def _build(self) -> None:
        self.bridge_run(
            *("ip", "link", "add", "bridge", "type", "bridge"),
            *("stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"),
        )
        # Promiscuous, the bridge itself also sees what two hosts say to each other.
        self.bridge_run("ip", "link", "set", "bridge", "up", "promisc", "on")
        packets = self._bridge.call(lambda: open_packet_socket("bridge"))
        self.wire = Recorder(packets, self.directory / "wire.pcap")
        for number, address in enumerate(self._own_addresses, 1):
            self.hosts += (Host(self, number, address),)
        self.addresses = AddressWatcher(
            self.vip,
            {
                host.name: host.namespace.call(open_address_socket)
                for host in self.hosts
            },
        )
        self._observer = threading.Thread(target=self._observe, daemon=True)
        self._observing = True
        self._observer.start()
        for host in self.hosts:
            host.create_interface()

    def _observe(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.wire, selectors.EVENT_READ, self.wire.read)
            for name, link in self.addresses.sockets.items():
                selector.register(
                    link,
                    selectors.EVENT_READ,
                    lambda name=name: self.addresses.read(name),
                )
            while self._observing:
                for key, _ in selector.select(0.1):
                    key.data()

    def close(self) -> None:
        """Ends everything in the lab and removes it."""
        if hasattr(self, "_observer"):
            self._observing = False
            self._observer.join()
        for host in self.hosts:
            for daemon in host.daemons:
                daemon.kill()
            host.namespace.close()
        self._bridge.close()
        if hasattr(self, "addresses"):
            self.addresses.close()
        if hasattr(self, "wire"):
            self.wire.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _crashes(self) -> list[str]:
        daemons = [daemon for host in self.hosts for daemon in host.daemons]
        return [str(daemon) for daemon in daemons if daemon.logged("Traceback")]

    def bridge_run(self, *arguments: str) -> str:
        """What a command in the namespace of the bridge prints."""
        return subprocess.run(
            self._bridge.command(arguments),
            check=True,
            timeout=60,
            capture_output=True,
            text=True,
        ).stdout

    def bridge_call(self, function: Callable[[], T]) -> T:
        """What `function` returns when it is called in the namespace of the bridge."""
        return self._bridge.call(function)

    @property
    def holders(self) -> tuple[Host, ...]:
        """The hosts that have the virtual address now."""
        names = self.addresses.holders
        return tuple(host for host in self.hosts if host.name in names)

    def script(
        self,
        verb: str,
        *,
        sleep_s: float = 0.0,
        fails: bool = False,
        notes: Path | None = None,
    ) -> Path:
        """A hook script, `verb` "up" or "down", for the address it is told.

        It first notes "DATE ARGUMENTS" in the file `notes`, then sleeps; if it
        `fails`, it leaves the address alone and exits with 1.
        """
        lines = ["#!/bin/sh"]
        if notes:
            lines.append(f'echo "$(date +%s.%N) $*" >>{notes}')
        if sleep_s:
            lines.append(f"sleep {sleep_s}")
        action = "add" if verb == "up" else "delete"
        command = f'exec ip address {action} "$2/32" dev "$1" 2>/dev/null'
        lines.append("exit 1" if fails else command)
        descriptor, name = tempfile.mkstemp(f"-{verb}.sh", "vip-", self.directory)
        path = Path(name)
        with open(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")
        path.chmod(0o755)
        return path

    def story(self) -> str:
        """All that happened, in order: logs, frames and addresses; for people."""
        events = [
            (line.time_ns, f"{host} {daemon.program}: {line.level} {line.text}")
            for host in self.hosts
            for daemon in host.daemons
            for line in daemon.lines
        ]
        for packet in map(parse, self.wire.frames):
            if packet is None:
                continue
            if isinstance(packet, Arp):
                text = f"ARP op {packet.operation} {packet.sender} {packet.target}"
            else:
                text = (
                    f"advert {packet.source} vhid {packet.vhid} "
                    f"{packet.advbase}+{packet.advskew}/256"
                )
            events.append((packet.time_ns, text))
        for change in self.addresses.changes:
            verb = "has" if change.held else "lost"
            events.append((change.time_ns, f"{change.host} {verb} {self.vip}"))
        events.sort()
        first_ns = next((time_ns for time_ns, _ in events if time_ns), 0)
        return "\n".join(
            f"{max(time_ns - first_ns, 0) / NS_PER_S:10.6f}  {text}"
            for time_ns, text in events
        )
