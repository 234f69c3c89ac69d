"""A lab: hosts in network namespaces on one bridge, with all events recorded.

    with Lab(2) as lab:
        one, other = lab.hosts
        first = one.start("ucarp", "-k 0")
        wait_for("a master", lambda: lab.holders == (one,))
        other.start("carppcap", "-k 100")
        first.kill()
        wait_for("its successor", lambda: other in lab.holders)
        print(lab.story())

It works as root and inside `unshare -Urnm`.  All that a lab has made is removed when it
closes, or when its process ends in any other way.
"""

import selectors
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.netns import heartbeat
from tests.netns.host import PASSWORD, TIMEOUT_S, VHID, Host, LateError, wait_for
from tests.netns.namespaces import Namespace
from tests.netns.story import tell
from tests.netns.watch import AddressWatcher, open_address_socket
from tests.netns.wire import Recorder, open_packet_socket

__all__ = [
    "PASSWORD",
    "TIMEOUT_S",
    "VHID",
    "VIP",
    "VIP6",
    "Host",
    "Lab",
    "LateError",
    "wait_for",
]

T = TypeVar("T")

VIP = "10.9.0.100"
VIP6 = "fd09::100"

# ucarp does not set CARPPCAP_ADDRESSES; it gives the address as an argument only.
_FOR_ALL = """\
status=0
for address in ${{CARPPCAP_ADDRESSES:-$2}}; do
    address=${{address%/*}}
    case $address in
    *:*) ip address {action} "$address/128" dev "$1" nodad 2>/dev/null ;;
    *) ip address {action} "$address/32" dev "$1" 2>/dev/null ;;
    esac || status=1
done
exit $status"""

_VIPS = {"4": (VIP,), "6": (VIP6,), "46": (VIP, VIP6)}


class Lab:
    """A number of `hosts` on a bridge.

    `families` is "4", "6" or "46".  In IPv4 the hosts have `addresses` (by default
    10.9.0.1, 10.9.0.2 and so on), in IPv6 `addresses6` (fd09::1, fd09::2 and so on).
    They share the virtual addresses `vips`, by default one for each family; the
    argument `vip` gives a single one, and the attribute `vip` is the first.

    In the context, `wire` records every frame on the bridge, also in the file
    `directory`/wire.pcap, and `addresses` follows which host has which virtual address.
    `up` and `down` are hook scripts that add and remove the addresses they are given.
    Raises `OSError` where namespaces are not allowed, and at the end of the context
    `AssertionError` if the log of a daemon shows a traceback.
    """

    def __init__(
        self,
        hosts: int = 2,
        *,
        families: str = "4",
        addresses: Sequence[str] = (),
        addresses6: Sequence[str] = (),
        prefix_length: int = 24,
        vip: str = "",
        vips: Sequence[str] = (),
    ) -> None:
        numbers = range(1, hosts + 1)
        own = {
            "4": addresses or [f"10.9.0.{number}" for number in numbers],
            "6": addresses6 or [f"fd09::{number:x}" for number in numbers],
        }
        self._own_addresses = list(zip(*map(own.get, families), strict=True))
        self.speaks_ipv6 = "6" in families
        self.prefix_length = prefix_length
        self.vips = tuple(vips or (vip and (vip,)) or _VIPS[families])
        self.vip = self.vips[0]
        self.hosts: tuple[Host, ...] = ()
        self.directory = Path(tempfile.mkdtemp(prefix="carp-lab-"))
        self.up = self.script("up")
        self.down = self.script("down")

    def __enter__(self) -> Self:
        self._heartbeat = heartbeat.shared()
        self._heartbeat_of_daemons = heartbeat.shared(as_daemon=True)
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
        # A promiscuous bridge also captures unicast frames between two hosts.
        self.bridge_run("ip", "link", "set", "bridge", "up", "promisc", "on")
        packets = self._bridge.call(lambda: open_packet_socket("bridge"))
        self.wire = Recorder(packets, self.directory / "wire.pcap")
        for number, addresses in enumerate(self._own_addresses, 1):
            self.hosts += (Host(self, number, addresses),)
        self.addresses = AddressWatcher(
            self.vips,
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
        """End all processes in the lab, and remove the lab."""
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
        """Run a command in the namespace of the bridge; return what it prints."""
        return subprocess.run(
            self._bridge.command(arguments),
            check=True,
            timeout=60,
            capture_output=True,
            text=True,
        ).stdout

    def bridge_call(self, function: Callable[[], T]) -> T:
        """Call `function` in the namespace of the bridge; return what it returns."""
        return self._bridge.call(function)

    def stalled_ns(self, since_ns: int, until_ns: int | None = None) -> int:
        """Return how long the machine itself stood still between two instants.

        A time limit may be exceeded by so much.  Both instants are of `time.time_ns`;
        `until_ns` is now by default.
        """
        return self._heartbeat.stalled_ns(since_ns, until_ns)

    def daemon_stalled_ns(self, since_ns: int, until_ns: int | None = None) -> int:
        """Return the same for what carppcap alone has to do, without its scripts."""
        return self._heartbeat_of_daemons.stalled_ns(since_ns, until_ns)

    @property
    def holders(self) -> tuple[Host, ...]:
        """The hosts that have any of the virtual addresses now."""
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
        """Write a hook script for all addresses; return its path.

        `verb` is "up" (it adds them) or "down" (it deletes them).  The script first
        appends a line "DATE ARGUMENTS" to the file `notes`, if given, and sleeps for
        `sleep_s` seconds.  If `fails` is set, it then exits with 1 instead of adding or
        deleting addresses.
        """
        lines = ["#!/bin/sh"]
        if notes:
            lines.append(f'echo "$(date +%s.%N) $*" >>{notes}')
        if sleep_s:
            lines.append(f"sleep {sleep_s}")
        action = "add" if verb == "up" else "delete"
        lines += ["exit 1"] if fails else _FOR_ALL.format(action=action).splitlines()
        descriptor, name = tempfile.mkstemp(f"-{verb}.sh", "vip-", self.directory)
        path = Path(name)
        with open(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")
        path.chmod(0o755)
        return path

    def story(self) -> str:
        """Return the logs, frames and changes of addresses in order, as text."""
        daemons = [daemon for host in self.hosts for daemon in host.daemons]
        return tell(daemons, self.wire.packets, self.addresses.changes)
