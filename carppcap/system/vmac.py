"""A virtual MAC that moves with the addresses: a macvlan interface (`--vmac`).

While this host is master, an interface on top of the parent carries 00:00:5e:00:01:vhid
and the virtual addresses.  Clients, and nodes that run a BSD kernel, then keep one
and the same neighbour entry whoever is master.

What arrives for the virtual MAC comes in on the macvlan; what the host answers goes
out on the parent, from the parent's own MAC, as on FreeBSD.  So:

* Firewall rules that name the parent for incoming packets must name the macvlan as
  well (`carp+` in iptables).  Captures and adverts stay on the parent.
* Switches learn the virtual MAC from what is sent from it, adverts above all, so
  those should come from the same MAC (`--source-mac bsd`).
* Other macvlans of the same parent (containers, virtual machines) reach neither the
  parent nor, since answers go through the parent, the virtual addresses.  Neither
  does it work on a card or hypervisor that drops frames for a second MAC, on most
  Wi-Fi, and on a parent that is itself the port of a bridge.
* The mode is "bridge": in "private" the kernel takes frames to a group that come from
  the virtual MAC for echoes and keeps them from the parent, and such are the adverts
  of another master.

Linux answers ARP for any address of the host on any interface, and asks on behalf of
any, so the parent has to be told otherwise while the macvlan is there: `arp_ignore`
and `arp_announce`, in /proc/sys/net/ipv4/conf.  What they were is noted in the alias
of the macvlan, so that whoever removes the last one, be it after a crash, can put them
back.  In IPv6 the kernel answers only where the address is.
"""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from carppcap.addresses import Address, kernel_mac
from carppcap.errors import ConfigError, LinkError
from carppcap.system.rtnetlink import Enquiry, held_addresses

_NAME_LENGTH_MAX = 15  # IFNAMSIZ without its zero byte
_IFF_UP = 0x1
_IFA_F_NODAD = 0x02

_ROUTE_METRIC = 65_535
"""Of the network that comes with a prefix: any other way into it goes first."""

_PARENT_NEEDS = {"arp_ignore": ("1", "2", "8"), "arp_announce": ("2",)}
"""Values that will do; the first is set where there is another.

The parent must answer only for its own addresses.  And it must not ask on behalf of
a virtual one: whoever is asked learns the MAC that asks."""

_MACVLAN_IPV4 = {
    "arp_ignore": "1",  # not to answer for the parent
    "arp_announce": "2",  # nor to ask on its behalf
    "arp_filter": "0",  # the way back leads through the parent
    "rp_filter": "2",  # likewise; a strict 1 in conf/all gives way to 2, not to 0
}
_MACVLAN_IPV6 = {
    "addr_gen_mode": "1",  # no link-local address
    "accept_ra": "0",
    "autoconf": "0",
}

_NOTE = "carppcap"
_LOCK_ATTEMPTS = 20
_LOCK_PAUSE_S = 0.001


class VirtualMac:
    """The macvlan interface of one vhid, there from `acquire` to `release`.

    `parent` is the name of the interface below; `addresses` come with the length of
    their prefix, None for the address alone.  An interface that was left behind by a
    process that was killed is removed at once.  Needs CAP_NET_ADMIN, and /proc/sys to
    write to; what is missing is told at once, and not when a master is needed.  Raises
    `ConfigError` where pyroute2 is missing, and `LinkError`.
    """

    def __init__(
        self, parent: str, vhid: int, addresses: Sequence[tuple[Address, int | None]]
    ) -> None:
        self._parent = parent
        self._vhid = vhid
        self._addresses = tuple(
            (address, address.max_prefixlen if prefix is None else prefix)
            for address, prefix in dict(addresses).items()
        )
        self.mac = kernel_mac(vhid)
        self._note, self._noted_on = "", 0
        opener, self._refusal = _pyroute2()
        self._enquiry: Enquiry | None = None
        with self._in_words():
            self._kernel = opener()
        try:
            with self._in_words():
                self._enquiry = Enquiry()
            self._rehearse()
        except LinkError:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What the interface is called, be it there or not.

        Where the name of the parent is too long for it, its number stands there: it
        is as unique, and `ip link` shows the parent anyway.
        """
        name = f"carp{self._vhid}.{self._parent}"
        if len(name) <= _NAME_LENGTH_MAX and name.isascii():
            return name
        return f"carp{self._vhid}.if{_index(self._parent)}"

    def acquire(self) -> None:
        """Have the interface, with all addresses, in a few milliseconds.

        Announcing them is left to the caller.  Raises `LinkError`, and then there is
        no interface.
        """
        if self.has_addresses():
            return
        with self._in_words(), _locked(self._parent):
            self._remove()
            self._or_not_at_all(lambda: self._fill(self._make()))

    def release(self) -> None:
        """Have the interface no more, nor the settings of the parent for its sake.

        The addresses are gone within a few milliseconds; the kernel takes some twenty
        for the rest.  It is no error if there is none.  Raises `LinkError`.
        """
        with self._in_words(), _locked(self._parent):
            self._remove()

    def has_addresses(self) -> bool:
        """Whether the interface is there and up, with all addresses.

        Raises `LinkError`.
        """
        with self._in_words():
            index = _index(self.name)
            if not index or not self._link(index)["flags"] & _IFF_UP:
                return False
            assert self._enquiry is not None
            held = held_addresses(self._enquiry)
            here = {(one.address, one.prefix) for one in held if one.index == index}
            return here.issuperset(self._addresses)

    def close(self) -> None:
        """Give up the means, not the interface: `release` comes before, if it does."""
        with suppress(OSError, self._refusal):
            self._kernel.close()
        if self._enquiry is not None:
            self._enquiry.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except (OSError, self._refusal) as error:
            # Theirs is no OSError, and keeps the number under another name.
            number = getattr(error, "errno", None) or getattr(error, "code", 0) or 0
            where, why = getattr(error, "filename", None), os.strerror(number)
            raise LinkError(
                "Unable to use a virtual MAC on {interface}: {why}",
                interface=self._parent,
                why=f"{where}: {why}" if where else why,
            ) from None

    def _rehearse(self) -> None:
        """Make the interface, but without addresses and down, and remove it again."""
        with self._in_words(), _locked(self._parent):
            self._remove()
            if _index(self._parent):
                self._or_not_at_all(self._make)
                self._remove()

    def _or_not_at_all(self, make: Callable[[], object]) -> None:
        try:
            make()
        except (OSError, self._refusal):
            with suppress(OSError, self._refusal, LinkError):
                self._remove()
            raise

    def _make(self) -> int:
        """The number of the interface, which is down and has no addresses yet."""
        name, parent = self.name, _existing(self._parent)
        self._kernel.link(
            "add",
            ifname=name,
            kind="macvlan",
            link=parent,
            macvlan_mode="bridge",
            address=_text(self.mac),
        )
        index = _existing(name)
        self._note = next(self._notes_of_others(), None) or _read_note(self._parent)
        self._noted_on = parent
        self._kernel.link("set", index=index, ifalias=self._note)
        _quieten(self._parent)
        _prepare(
            name, self._parent, {address.version for address, _ in self._addresses}
        )
        return index

    def _fill(self, index: int) -> None:
        self._kernel.link("set", index=index, state="up")
        for address, prefix in self._addresses:
            self._kernel.addr(
                "add",
                index=index,
                address=str(address),
                prefixlen=prefix,
                rt_priority=_ROUTE_METRIC,
                # To ask first whether somebody else has it would take a second.
                flags=_IFA_F_NODAD if address.version == 6 else 0,
            )

    def _remove(self) -> None:
        name, parent = self.name, _index(self._parent)
        index = _index(name)
        # Somebody may have removed the interface, and the note with it.
        note = self._note if self._noted_on == parent else ""
        if index:
            link = self._link(index)
            if not _is_macvlan(link) or link.get_attr("IFLA_ADDRESS") != _text(
                self.mac
            ):
                raise LinkError(
                    "{name} is there already, and is not ours (allowed: a macvlan with "
                    "the MAC {mac}, which is removed)",
                    name=name,
                    mac=_text(self.mac),
                )
            note = link.get_attr("IFLA_IFALIAS") or note
            # Down it has no address; and were we killed now, the note is still there.
            self._kernel.link("set", index=index, state="down")
        if parent and note and next(self._notes_of_others(), None) is None:
            _restore(self._parent, note)
        self._note = ""
        if index:
            self._kernel.link("del", index=index)

    def _notes_of_others(self) -> Iterator[str]:
        """What the other vhids on the same parent have noted about it."""
        mine = self.name
        ending = mine[mine.index(".") :]
        for index, name in socket.if_nameindex():
            if name == mine or not (name.startswith("carp") and name.endswith(ending)):
                continue
            with suppress(self._refusal):  # It may have gone just now.
                link = self._link(index)
                note = link.get_attr("IFLA_IFALIAS") or ""
                if _is_macvlan(link) and note.startswith(_NOTE):
                    yield note

    def _link(self, index: int) -> Any:
        return self._kernel.get_links(index)[0]


def _pyroute2() -> tuple[Callable[[], Any], type[Exception]]:
    """What opens rtnetlink, and what it raises; 28 MB that only this option costs."""
    try:
        from pyroute2 import IPRoute  # noqa: PLC0415
        from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "--vmac needs pyroute2, which is not installed: "
            "pip install 'carppcap[vmac]'"
        ) from None
    return IPRoute, NetlinkError


def _text(mac: bytes) -> str:
    return mac.hex(":")


def _index(name: str) -> int:
    """The number of an interface, 0 where there is none of that name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def _existing(name: str) -> int:
    """The number of an interface that must be there.  Raises `OSError`."""
    index = _index(name)
    if not index:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return index


def _is_macvlan(link: Any) -> bool:
    information = link.get_attr("IFLA_LINKINFO")
    return bool(information and information.get_attr("IFLA_INFO_KIND") == "macvlan")


def _setting(version: int, interface: str, name: str) -> str:
    return f"/proc/sys/net/ipv{version}/conf/{interface}/{name}"


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def _write(path: str, value: str) -> None:
    """Set it, unless it is set: /proc/sys may be read-only and right."""
    if _read(path) != value:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)


def _read_note(parent: str) -> str:
    """What the parent's settings are, in words that fit into an alias."""
    pairs = (f"{name}={_read(_setting(4, parent, name))}" for name in _PARENT_NEEDS)
    return " ".join((_NOTE, *pairs))


def _quieten(parent: str) -> None:
    """Have the parent leave ARP for the virtual addresses to the macvlan."""
    for name, values in _PARENT_NEEDS.items():
        path = _setting(4, parent, name)
        if _read(path) not in values:
            _write(path, values[0])


def _restore(parent: str, note: str) -> None:
    """Undo `_quieten`, but for what somebody else has set since."""
    pairs = dict(word.split("=", 1) for word in note.split() if "=" in word)
    for name, values in _PARENT_NEEDS.items():
        path = _setting(4, parent, name)
        if name in pairs and _read(path) == values[0]:
            _write(path, pairs[name])


def _prepare(name: str, parent: str, versions: set[int]) -> None:
    """Settings of a macvlan that is not up yet.

    It forwards if the parent does, as what used to come in there now comes in here.
    """
    ipv4 = {"forwarding": _read(_setting(4, parent, "forwarding")), **_MACVLAN_IPV4}
    for setting, value in ipv4.items():
        _write(_setting(4, name, setting), value)
    if 6 in versions:
        ipv6 = {"forwarding": _read(_setting(6, parent, "forwarding")), **_MACVLAN_IPV6}
        for setting, value in {**ipv6, "disable_ipv6": "0"}.items():
            _write(_setting(6, name, setting), value)
    elif os.path.exists(_setting(6, name, "disable_ipv6")):
        _write(_setting(6, name, "disable_ipv6"), "1")


@contextmanager
def _locked(parent: str) -> Iterator[None]:
    """Alone among the processes that change the parent's settings, if at all possible.

    One that was stopped in here must not stop the others, so nobody waits for long.
    """
    try:
        directory = os.open(os.path.dirname(_setting(4, parent, "x")), os.O_RDONLY)
    except OSError:  # No such interface, or no descriptor left.
        yield
        return
    try:
        for _ in range(_LOCK_ATTEMPTS):
            with suppress(BlockingIOError):
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_LOCK_PAUSE_S)
        yield
    finally:
        os.close(directory)
