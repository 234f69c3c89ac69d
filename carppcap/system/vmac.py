"""Adds a virtual MAC that moves with the addresses: a macvlan interface (`--vmac`).

While this host is master, a macvlan on top of the parent interface has the MAC
00:00:5e:00:01:vhid and the virtual addresses.  So the neighbour entries of clients stay
valid when the master changes, even if the other hosts are BSD kernels.

Packets for the virtual MAC arrive on the macvlan.  Replies leave by the parent
and have its MAC, as on FreeBSD.  Therefore:

* Firewall rules for packets that arrive on the parent must name the macvlan too
  (`carp+` in iptables).  Captures and adverts stay on the parent.
* Switches learn the virtual MAC from frames that are sent from it, mainly adverts, so
  adverts should be sent from it (`--source-mac bsd`).
* Other macvlans of the same parent (containers, virtual machines) reach neither the
  parent nor the virtual addresses.
* A virtual MAC does not work on a card or hypervisor that drops frames for a second
  MAC, on most Wi-Fi, or on a port of a bridge.
* The mode is "bridge".  In "private" the kernel takes multicast frames from the virtual
  MAC, such as the adverts of another master, for echoes and drops them.
* If the parent is a macvlan (docker's, say), ours is a sibling of it, and must be in
  "vepa": from the MAC of a sibling in "bridge" the parent gets no multicast.

On every interface Linux answers ARP for all addresses of the host, and sends ARP
requests from all of them.  While the macvlan exists, the settings `arp_ignore` and
`arp_announce` of the parent, in /proc/sys/net/ipv4/conf, prevent that.  Their former
values are saved as a note in the alias of the macvlan (`ifalias`), so that the process
that removes the last macvlan can restore them, even after a crash.  In IPv6 the kernel
answers only on the interface that has the address.
"""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from carppcap.addresses import Address, kernel_mac
from carppcap.errors import ConfigError, LinkError, on_error
from carppcap.system.kernel_addresses import ROUTE_METRIC
from carppcap.system.link import NAME_LENGTH_MAX
from carppcap.system.rtnetlink import Enquiry, held_addresses

_IFF_UP = 0x1
_IFA_F_NODAD = 0x02

_PARENT_NEEDS = {"arp_ignore": ("1", "2", "8"), "arp_announce": ("2",)}
"""The accepted values of settings of the parent; any other is replaced by the first.

The parent must answer ARP only for its own addresses.  And it must not send ARP
requests from a virtual address, as receivers would learn the parent's MAC for it."""

_MACVLAN_SETTINGS = {
    4: {
        "arp_ignore": "1",  # do not answer for the parent's addresses
        "arp_announce": "2",  # nor send requests from them
        "arp_filter": "0",  # replies leave by the parent
        "rp_filter": "2",  # likewise; a strict 1 in conf/all gives way to 2, not to 0
    },
    6: {
        "addr_gen_mode": "1",  # no link-local address
        "accept_ra": "0",
        "autoconf": "0",
        "disable_ipv6": "0",
    },
}
"""Settings of the macvlan by IP version, written in this order before it is up."""

_NOTE = "carppcap"
_LOCK_ATTEMPTS = 20
_LOCK_PAUSE_S = 0.001


class VirtualMac:
    """The macvlan interface of one vhid; it exists from `acquire` to `release`.

    `parent` is the name of the interface below it; set it again when that is renamed.
    `addresses` have the length of their prefix, or None for the full 32 or 128 bits; if
    `bare`, another process adds them.  A macvlan left by a killed process is removed at
    once.  Needs CAP_NET_ADMIN and a writable /proc/sys; if they are missing, `__init__`
    fails.  Raises `ConfigError` if pyroute2 is missing, and `LinkError` otherwise.
    """

    bare = False

    def __init__(
        self, parent: str, vhid: int, addresses: Sequence[tuple[Address, int | None]]
    ) -> None:
        self.parent = parent
        self._vhid = vhid
        self._made_name = ""
        self._addresses = tuple(
            (address, address.max_prefixlen if prefix is None else prefix)
            for address, prefix in dict(addresses).items()
        )
        self.mac = kernel_mac(vhid)
        self._note, self._noted_on = "", 0
        opener, self._refusal = load_pyroute2()
        with self._in_words():
            self._kernel = opener()
            self._questions = Enquiry()
        with on_error(self.close):
            self._rehearse()

    @property
    def name(self) -> str:
        """The name of the macvlan, whether or not it exists.

        It contains the parent's name, or if that is too long the parent's number.
        """
        if self._made_name:
            return self._made_name
        name = f"carp{self._vhid}.{self.parent}"
        fits = len(name) <= NAME_LENGTH_MAX and name.isascii()
        return name if fits else f"carp{self._vhid}.if{_index(self.parent)}"

    @property
    def index(self) -> int:
        """The number of the macvlan; 0 if it does not exist."""
        return _index(self.name)

    def acquire(self) -> None:
        """Make the macvlan with all addresses, within a few milliseconds.

        The caller announces the addresses.  If this raises `LinkError`, there is no
        macvlan.
        """
        if self.has_addresses():
            return
        with self._in_words(), _locked(self.parent):
            self._remove()
            with on_error(self._try_to_remove):
                self._fill(self._make())

    def release(self) -> None:
        """Remove the macvlan, if it exists, and restore the parent's settings.

        The addresses are gone within a few milliseconds; the kernel needs some twenty
        more to remove the macvlan.  Raises `LinkError`.
        """
        with self._in_words(), _locked(self.parent):
            self._remove()

    def has_addresses(self) -> bool:
        """True if the macvlan exists and is up, with all addresses.

        Raises `LinkError`.
        """
        with self._in_words():
            index = _index(self.name)
            if not index or not self._link(index)["flags"] & _IFF_UP:
                return False
            # pyroute2 would read the addresses of all interfaces.
            held = held_addresses(self._questions, index)
            here = {(one.address, one.prefix) for one in held}
            return here.issuperset(() if self.bare else self._addresses)

    def close(self) -> None:
        """Close the sockets; the macvlan stays, unless `release` was called."""
        self._questions.close()
        with suppress(OSError, self._refusal):
            self._kernel.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Raise a `LinkError` in place of an error of the kernel or of pyroute2."""
        try:
            yield
        except (OSError, self._refusal) as error:
            # pyroute2's error is no OSError and has its number in `code`.
            number = getattr(error, "errno", None) or getattr(error, "code", 0) or 0
            where, why = getattr(error, "filename", None), os.strerror(number)
            raise LinkError(
                "Unable to use a virtual MAC on {interface}: {why}",
                interface=self.parent,
                why=f"{where}: {why}" if where else why,
            ) from None

    def _rehearse(self) -> None:
        """Make the macvlan, down and without addresses, and remove it again.

        If this host cannot do so, the error is then raised at the start of the daemon.
        """
        with self._in_words(), _locked(self.parent):
            self._remove()
            if _index(self.parent):
                with on_error(self._try_to_remove):
                    self._make()
                self._remove()

    def _try_to_remove(self) -> None:
        """Remove the macvlan after another error, if that is possible."""
        with suppress(OSError, self._refusal, LinkError):
            self._remove()

    def _make(self) -> int:
        """Make the macvlan, down and without addresses.  Return its index."""
        name, parent = self.name, _existing(self.parent)
        mac, mode = self.mac.hex(":"), self._mode(parent)
        macvlan = {"kind": "macvlan", "macvlan_mode": mode, "address": mac}
        self._kernel.link("add", ifname=name, link=parent, **macvlan)
        self._made_name = name
        index = _existing(name)
        self._note = next(self._notes_of_others(), None) or _read_note(self.parent)
        self._noted_on = parent
        self._kernel.link("set", index=index, ifalias=self._note)
        _quieten(self.parent)
        versions = {address.version for address, _ in self._addresses}
        _prepare(name, self.parent, versions)
        return index

    def _mode(self, parent: int) -> str:
        """Return the mode for a macvlan on the parent; `LinkError` if none will do."""
        mode = _macvlan_mode(self._link(parent))
        if mode not in (None, "bridge", "vepa"):
            raise LinkError(
                "--vmac would make two masters: {interface} is a macvlan of mode "
                "{mode} (allowed: mode bridge or vepa, or no --vmac)",
                interface=self.parent,
                mode=mode,
            )
        return "bridge" if mode is None else "vepa"

    def _fill(self, index: int) -> None:
        """Set the macvlan up and add the addresses."""
        self._kernel.link("set", index=index, state="up")
        for address, prefix in () if self.bare else self._addresses:
            self._kernel.addr(
                "add",
                index=index,
                address=str(address),
                prefixlen=prefix,
                rt_priority=ROUTE_METRIC,
                # Duplicate address detection would take a second.
                flags=_IFA_F_NODAD if address.version == 6 else 0,
            )

    def _remove(self) -> None:
        """Remove the macvlan, if it exists, and restore the parent's settings."""
        name, parent = self.name, _index(self.parent)
        index = _index(name)
        # Another process may have removed the macvlan, and the note with it.
        note = self._note if self._noted_on == parent else ""
        if index:
            link = self._link(index)
            mac = self.mac.hex(":")
            if not _macvlan_mode(link) or link.get_attr("IFLA_ADDRESS") != mac:
                raise LinkError(
                    "{name} is there already, and is not ours (allowed: a macvlan with "
                    "the MAC {mac}, which is removed)",
                    name=name,
                    mac=mac,
                )
            note = link.get_attr("IFLA_IFALIAS") or note
            # Once it is down, the host does not answer for its addresses.  If this
            # process is killed now, the note is still there.
            self._kernel.link("set", index=index, state="down")
        if parent and note and next(self._notes_of_others(), None) is None:
            _restore(self.parent, note)
        self._note = ""
        if index:
            self._kernel.link("del", index=index)
        self._made_name = ""

    def _notes_of_others(self) -> Iterator[str]:
        """Yield the notes in the macvlans of other vhids on the same parent."""
        mine, lower = self.name, self._lower()
        for index, name in socket.if_nameindex():
            if name == mine or not name.startswith("carp"):
                continue
            with suppress(self._refusal):  # It may have been removed just now.
                link = self._link(index)
                note = link.get_attr("IFLA_IFALIAS") or ""
                # Compare numbers, as the parent may have been renamed since.
                is_sibling = link.get_attr("IFLA_LINK") == lower
                if is_sibling and _macvlan_mode(link) and note.startswith(_NOTE):
                    yield note

    def _lower(self) -> int:
        """Return the interface index of our macvlan's parent, asked of the kernel."""
        parent = _index(self.parent)
        if parent and _macvlan_mode(link := self._link(parent)):
            return int(link.get_attr("IFLA_LINK"))
        return parent

    def _link(self, index: int) -> Any:
        return self._kernel.get_links(index)[0]


def load_pyroute2() -> tuple[Callable[[], Any], type[Exception]]:
    """Return IPRoute and its error.  Raises `ConfigError` if pyroute2 is missing."""
    try:
        from pyroute2 import IPRoute  # noqa: PLC0415 - it takes 28 MB
        from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "--vmac needs pyroute2, which is not installed: "
            "pip install 'carppcap[vmac]'"
        ) from None
    return IPRoute, NetlinkError


def _index(name: str) -> int:
    """Return the index of an interface, or 0 if no interface has that name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def _existing(name: str) -> int:
    """Return the index of an interface.  Raises `OSError` if none has that name."""
    if not (index := _index(name)):
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return index


def _macvlan_mode(link: Any) -> str | None:
    """Return the mode of a macvlan; None for every other interface."""
    information = link.get_attr("IFLA_LINKINFO")
    if not information or information.get_attr("IFLA_INFO_KIND") != "macvlan":
        return None
    return str(information.get_attr("IFLA_INFO_DATA").get_attr("IFLA_MACVLAN_MODE"))


def _setting(version: int, interface: str, name: str) -> str:
    return f"/proc/sys/net/ipv{version}/conf/{interface}/{name}"


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def _write(path: str, value: str) -> None:
    """Write `value` into a file of /proc/sys unless it has it; it may be read-only."""
    if _read(path) != value:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)


def _read_note(parent: str) -> str:
    """Read the parent's present settings; return them as text for a macvlan's alias."""
    pairs = (f"{name}={_read(_setting(4, parent, name))}" for name in _PARENT_NEEDS)
    return " ".join((_NOTE, *pairs))


def _quieten(parent: str) -> None:
    """Stop the parent's ARP for virtual addresses: its answers and its requests."""
    for name, values in _PARENT_NEEDS.items():
        path = _setting(4, parent, name)
        if _read(path) not in values:
            _write(path, values[0])


def _restore(parent: str, note: str) -> None:
    """Restore the parent's settings from `note`, except for those changed meanwhile."""
    pairs = dict(word.split("=", 1) for word in note.split() if "=" in word)
    for name, values in _PARENT_NEEDS.items():
        path = _setting(4, parent, name)
        if name in pairs and _read(path) == values[0]:
            _write(path, pairs[name])


def _prepare(name: str, parent: str, versions: Collection[int]) -> None:
    """Write the settings of the macvlan `name`, which is not up yet.

    It forwards packets if the parent does, as it receives them in the parent's place.
    """
    for version in sorted({4, *versions}):
        forwarding = _read(_setting(version, parent, "forwarding"))
        values = {"forwarding": forwarding, **_MACVLAN_SETTINGS[version]}
        for setting, value in values.items():
            _write(_setting(version, name, setting), value)
    disable_ipv6 = _setting(6, name, "disable_ipv6")
    if 6 not in versions and os.path.exists(disable_ipv6):
        _write(disable_ipv6, "1")


@contextmanager
def _locked(parent: str) -> Iterator[None]:
    """Lock the parent's settings against other processes during the context.

    If another process holds the lock, wait for at most 20 ms and then go on without it,
    so that a stopped process does not block the others.
    """
    with ExitStack() as held:
        with suppress(OSError):  # no such interface, or no descriptor left
            directory = os.open(os.path.dirname(_setting(4, parent, "x")), os.O_RDONLY)
            held.callback(os.close, directory)
            for _ in range(_LOCK_ATTEMPTS):
                with suppress(BlockingIOError):
                    fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(_LOCK_PAUSE_S)
        yield
