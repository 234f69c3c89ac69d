"""An interface as the kernel sees it: there or not, carrier, MAC, addresses.

Link events come from rtnetlink(7) and only say *that* something changed; what the
interface is like now is then asked anew.  A burst of events, or one that the socket
had no room for, is thus one question and never a wrong picture.
"""

import errno
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from struct import Struct, pack

from carppcap.errors import LinkError

_MESSAGE = Struct("=IHHII")  # struct nlmsghdr
_LINK = Struct("=BxHiII")  # struct ifinfomsg
_ADDRESS = Struct("=BBBBI")  # struct ifaddrmsg
_ATTRIBUTE = Struct("=HH")  # struct rtattr
_ERROR = Struct("=i")  # struct nlmsgerr begins with it

_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP_INTR, _NLM_F_DUMP = 0x1, 0x10, 0x300
_RTMGRP_LINK, _RTMGRP_IPV4_IFADDR = 0x1, 0x10
_IFLA_ADDRESS, _IFLA_IFNAME = 1, 3
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_ARPHRD_ETHER = 1
_SO_RCVBUFFORCE = 33
_RECEIVE_BYTES = 65_536
_NAME_LENGTH_MAX = 15  # IFNAMSIZ without its zero byte
_ATTEMPTS_MAX = 5  # to get a list during which nothing changed


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One look at an interface; `index` 0 where there is none of that name.

    `mac` is empty where the interface is not Ethernet.
    """

    index: int = 0
    up: bool = False
    carrier: bool = False
    mac: bytes = b""
    addresses: frozenset[IPv4Address] = frozenset()

    @property
    def exists(self) -> bool:
        """Whether there is such an interface."""
        return self.index != 0


class LinkMonitor:
    """Watches one interface by name, through its removal and return.

    `fileno` is readable when something changed; call `drain` and `status` then.
    Raises `LinkError` where rtnetlink is not to be had.  Once made it needs no
    further descriptor, so it can answer where there is none left.
    """

    def __init__(self, interface: str) -> None:
        self._interface = interface
        try:
            self._events = _open_netlink(_RTMGRP_LINK | _RTMGRP_IPV4_IFADDR)
            self._kernel = _Enquiry()
        except OSError as error:
            raise _no_info(error) from None

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._events.fileno()

    def drain(self) -> None:
        """Throw away the pending events; follow it with `status`."""
        # Until none is left, or some were lost: the question makes up for them.
        with suppress(OSError):
            while True:
                self._events.recv(_RECEIVE_BYTES)

    def status(self) -> LinkStatus:
        """What the interface is like now.  Raises `LinkError`."""
        try:
            return self._ask_status()
        except OSError as error:
            raise _no_info(error) from None

    def _ask_status(self) -> LinkStatus:
        name = os.fsencode(self._interface)
        if len(name) > _NAME_LENGTH_MAX:
            return LinkStatus()
        request = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + _attribute(
            _IFLA_IFNAME, name + b"\0"
        )
        for kind, body in self._kernel.ask(_RTM_GETLINK, 0, request):
            if kind != _RTM_NEWLINK or len(body) < _LINK.size:
                continue
            _, hardware, index, flags, _ = _LINK.unpack_from(body)
            mac = dict(_attributes(body, _LINK.size)).get(_IFLA_ADDRESS, b"")
            return LinkStatus(
                index=index,
                up=bool(flags & _IFF_UP),
                carrier=bool(flags & _IFF_RUNNING),
                mac=mac if hardware == _ARPHRD_ETHER else b"",
                addresses=frozenset(
                    address for on, address in self.host_addresses() if on == index
                ),
            )
        return LinkStatus()

    def host_addresses(self) -> Iterator[tuple[int, IPv4Address]]:
        """Every IPv4 address of this host, with the index of its interface.

        Raises `OSError`.
        """
        request = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
        for kind, body in self._kernel.ask(_RTM_GETADDR, _NLM_F_DUMP, request):
            if kind == _RTM_NEWADDR and len(body) >= _ADDRESS.size:
                index = _ADDRESS.unpack_from(body)[4]
                found = dict(_attributes(body, _ADDRESS.size))
                # On a point-to-point link the plain address is that of the far end.
                packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
                if packed is not None and len(packed) == 4:
                    yield index, IPv4Address(packed)

    def has_any(self, addresses: Iterable[IPv4Address]) -> bool:
        """Whether this host answers for one of `addresses`, on whatever interface.

        Raises `OSError`.
        """
        held = {address for _, address in self.host_addresses()}
        return not held.isdisjoint(addresses)

    def close(self) -> None:
        """Stop watching."""
        self._events.close()
        self._kernel.close()


def _no_info(error: OSError) -> LinkError:
    return LinkError(
        "Unable to get hardware info about an interface: {why}", why=error.strerror
    )


class Membership:
    """Keeps an interface in a multicast group, so that switches let it through.

    The kernel answers the IGMP queries for as long as this is open.  Raises
    `LinkError`.
    """

    def __init__(self, group: IPv4Address, index: int) -> None:
        self._socket: socket.socket | None = None
        request = group.packed + bytes(4) + pack("=i", index)  # struct ip_mreqn
        try:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request
            )
        except OSError as error:
            self.close()
            raise LinkError(
                "Can't do IP_ADD_MEMBERSHIP errno={why} ({number})",
                why=error.strerror,
                number=error.errno,
            ) from None

    def close(self) -> None:
        """Leave the group."""
        if self._socket is not None:
            self._socket.close()


def _open_netlink(groups: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        with suppress(OSError):  # Needs CAP_NET_ADMIN, and is only a comfort.
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 20)
        opened.bind((0, groups))
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


class _Enquiry:
    """Questions to rtnetlink, all over one socket.

    The kernel answers before `send` returns, so there is nothing to wait for.  Each
    question has a number: what a failed one left unread answers no other.
    """

    def __init__(self) -> None:
        self._socket = _open_netlink(0)
        self._number = 0

    def ask(self, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
        """The (type, body) of each message of the answer.  Raises `OSError`."""
        for _ in range(_ATTEMPTS_MAX):
            answer = self._ask_once(kind, flags, body)
            if answer is not None:
                return answer
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _ask_once(
        self, kind: int, flags: int, body: bytes
    ) -> list[tuple[int, bytes]] | None:
        """The answer, or None if it was overtaken by a change."""
        self._number = (self._number + 1) & 0xFFFF_FFFF
        length = _MESSAGE.size + len(body)
        header = _MESSAGE.pack(length, kind, flags | _NLM_F_REQUEST, self._number, 0)
        self._socket.send(header + body)
        answer: list[tuple[int, bytes]] = []
        is_whole, is_overtaken = False, False
        while not is_whole:
            for its, flags_of_answer, number, content in _messages(
                self._socket.recv(_RECEIVE_BYTES)
            ):
                if number != self._number:
                    continue
                is_overtaken |= bool(flags_of_answer & _NLM_F_DUMP_INTR)
                is_whole |= (
                    its in (_NLMSG_DONE, _NLMSG_ERROR) or not flags & _NLM_F_DUMP
                )
                if its == _NLMSG_ERROR:
                    _raise_unless_absent(content)
                answer.append((its, content))
        return None if is_overtaken else answer

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()


def _raise_unless_absent(content: bytes) -> None:
    number = -_ERROR.unpack(content[:4].ljust(4, b"\0"))[0]
    if number not in (0, errno.ENODEV):
        raise OSError(number, os.strerror(number))


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, number and body of each message."""
    position = 0
    while position + _MESSAGE.size <= len(data):
        length, kind, flags, number, _ = _MESSAGE.unpack_from(data, position)
        if length < _MESSAGE.size:
            return
        yield kind, flags, number, data[position + _MESSAGE.size : position + length]
        position += -(-length // 4) * 4


def _attributes(body: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    while position + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, position)
        if length < _ATTRIBUTE.size:
            return
        yield kind, body[position + _ATTRIBUTE.size : position + length]
        position += -(-length // 4) * 4


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return (_ATTRIBUTE.pack(length, kind) + value).ljust(-(-length // 4) * 4, b"\0")
