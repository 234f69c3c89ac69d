"""A host of a lab: a network namespace with `eth0` and the daemons in it."""

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tests.netns.daemons import PROGRAMS, Daemon, environment
from tests.netns.namespaces import Namespace

if TYPE_CHECKING:
    from tests.netns.lab import Lab

T = TypeVar("T")

VHID = 7
PASSWORD = "love"
TIMEOUT_S = 30.0
PREFIX_LENGTH6 = 64
_POLL_S = 0.02


class LateError(AssertionError):
    """An event that was waited for did not happen in time."""


def wait_for(what: str, condition: Callable[[], T], timeout_s: float = TIMEOUT_S) -> T:
    """Call `condition` until it returns a true value; return that value.

    Raises `LateError` after `timeout_s` seconds; `what` names the event in its text.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            raise LateError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(_POLL_S)
    return value


class Host:
    """One host: a network namespace with `eth0`, plugged into the bridge of its lab.

    `addresses` are its own addresses, of one family or of both; `address` is the first.
    """

    def __init__(self, lab: "Lab", number: int, addresses: Sequence[str]) -> None:
        self.lab = lab
        self.name = f"host{number}"
        self.addresses = tuple(addresses)
        self.address = self.addresses[0]
        self.mac = bytes((2, 0, 0, 0, 0, number))
        self.port = f"port{number}"
        self.namespace = Namespace(ipv6=lab.speaks_ipv6)
        self.daemons: list[Daemon] = []

    def __repr__(self) -> str:
        return self.name

    @property
    def address6(self) -> str:
        """The host's own IPv6 address."""
        return next(one for one in self.addresses if ":" in one)

    @property
    def holds_all(self) -> bool:
        """True if the host has every virtual address of the lab now."""
        return self.lab.addresses.held_by(self.name) == set(self.lab.vips)

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command that runs `arguments` in this host."""
        return self.namespace.command(arguments)

    def run(
        self, *arguments: str, check: bool = True, timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in this host to its end; return its result and its output."""
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
        sources: Sequence[str] | None = None,
        vips: Sequence[str] | None = None,
        up: Path | None = None,
        down: Path | None = None,
        scripts: bool = True,
        before: Sequence[str] = (),
    ) -> Daemon:
        """Start `program` (a key of `PROGRAMS`) in this host; return the daemon.

        `sources` are its source addresses, by default all that the host has; `vips` are
        the virtual addresses, by default those of the lab.  `flags` follow the flags
        that every daemon needs, so they override those.  `up` and `down` are scripts,
        by default those of the lab; without `scripts` there are none.  `before` is a
        command that executes the words after it.
        """
        own = self.addresses if sources is None else sources
        arguments = [
            *("-i", "eth0", "-v", str(vhid), "-p", password, "-f", "none"),
            *(word for source in own for word in ("-s", source)),
            *("-a", ",".join(self.lab.vips if vips is None else vips)),
            *shlex.split(flags),
        ]
        if scripts:
            hooks = ("-u", str(up or self.lab.up), "-d", str(down or self.lab.down))
            arguments = [*hooks, *arguments]
        return self.start_bare(program, arguments, before)

    def start_bare(
        self, program: str, arguments: Sequence[str], before: Sequence[str] = ()
    ) -> Daemon:
        """Start `program` with exactly these arguments; return the daemon.

        `before` is a command that executes the words after it.
        """
        log = self.lab.directory / f"{self.name}-{len(self.daemons)}.log"
        command = self.command([*before, *PROGRAMS[program], *arguments])
        daemon = Daemon(program, command, log)
        self.daemons.append(daemon)
        return daemon

    def power_off(self) -> None:
        """Kill the daemons and delete `eth0`, as if the power had failed."""
        for daemon in self.daemons:
            daemon.kill()
        self.delete_interface()

    def create_interface(self) -> None:
        """Make `eth0`, plug it into the bridge, add its addresses, and wait for it."""
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
        """Delete `eth0`."""
        self.run("ip", "link", "delete", "eth0")

    def await_link(self) -> None:
        """Wait until frames can pass between this host and the bridge."""

        def forwards() -> bool:
            shown = self.lab.bridge_run("bridge", "-j", "link", "show")
            ports = {port["ifname"]: port["state"] for port in json.loads(shown)}
            return ports.get(self.port) == "forwarding"

        def has_carrier() -> bool:
            return "LOWER_UP" in self.run("ip", "link", "show", "eth0").stdout

        wait_for(f"the carrier of {self}", lambda: has_carrier() and forwards())

    def add_address(self, *addresses: str) -> None:
        """Add these addresses to `eth0`; by default all of the host's own."""
        for address in addresses or self.addresses:
            where = self._with_prefix(address)
            self.run("ip", "address", "add", *where, "dev", "eth0")

    def delete_address(self, *addresses: str) -> None:
        """Delete these addresses from `eth0`; by default all of the host's own."""
        for address in addresses or self.addresses:
            where, *_ = self._with_prefix(address)
            self.run("ip", "address", "delete", where, "dev", "eth0")

    def _with_prefix(self, address: str) -> list[str]:
        if ip_address(address).version == 6:
            return [f"{address}/{PREFIX_LENGTH6}", "nodad"]
        return [f"{address}/{self.lab.prefix_length}"]

    def link_up(self) -> None:
        """Run `ip link set eth0 up`."""
        self.run("ip", "link", "set", "eth0", "up")

    def link_down(self) -> None:
        """Run `ip link set eth0 down`."""
        self.run("ip", "link", "set", "eth0", "down")

    def pull_cable(self) -> None:
        """Take the carrier away, as if the cable were pulled out of the switch."""
        self.lab.bridge_run("ip", "link", "set", self.port, "down")

    def plug_cable(self) -> None:
        """Restore the carrier, and wait until frames pass."""
        self.lab.bridge_run("ip", "link", "set", self.port, "up")
        self.await_link()

    def isolate(self) -> None:
        """Let the bridge drop every frame from and to this host; keep the carrier."""
        self.lab.bridge_run("bridge", "link", "set", "dev", self.port, "state", "0")

    def rejoin(self) -> None:
        """Let the bridge forward frames from and to this host again."""
        self.lab.bridge_run("bridge", "link", "set", "dev", self.port, "state", "3")

    def forward_multicast(self, forwards: bool) -> None:
        """Let the bridge forward multicasts to this host, or broadcasts alone.

        A switch that has forgotten a multicast group (IGMP snooping) does the latter.
        """
        setting = "on" if forwards else "off"
        port = ("dev", self.port, "mcast_flood", setting)
        self.lab.bridge_run("bridge", "link", "set", *port)

    def echo(self) -> None:
        """Let the bridge also return this host's broadcasts and multicasts to it."""
        self.lab.bridge_run("bridge", "link", "set", "dev", self.port, "hairpin", "on")
