"""An interface as the kernel sees it: there or not, carrier, MAC, addresses.

Link events come from rtnetlink(7) and only say *that* something changed; what the
interface is like now is then asked anew.  A burst of events, or one that the socket
had no room for, is thus one question and never a wrong picture.
"""

import errno
import os
import socket
from collections.abc import Iterator
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
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_RTMGRP_LINK, _RTMGRP_IPV4_IFADDR = 0x1, 0x10
_IFLA_ADDRESS, _IFLA_IFNAME = 1, 3
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_ARPHRD_ETHER = 1
_SO_RCVBUFFORCE = 33
_RECEIVE_BYTES = 65_536
_NAME_LENGTH_MAX = 15  # IFNAMSIZ without its zero byte


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
    Raises `LinkError` where rtnetlink is not to be had.
    """

    def __init__(self, interface: str) -> None:
        self._interface = interface
        try:
            self._events = _open_netlink(_RTMGRP_LINK | _RTMGRP_IPV4_IFADDR)
        except OSError as error:
            raise _no_info(error) from None
        self._events.setblocking(False)

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
        for kind, body in _ask(_RTM_GETLINK, 0, request):
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
                    address for on, address in host_addresses() if on == index
                ),
            )
        return LinkStatus()

    def close(self) -> None:
        """Stop watching."""
        self._events.close()


def _no_info(error: OSError) -> LinkError:
    return LinkError(
        "Unable to get hardware info about an interface: {why}", why=error.strerror
    )


def host_addresses() -> Iterator[tuple[int, IPv4Address]]:
    """Every IPv4 address of this host, with the index of its interface.

    Raises `OSError`.
    """
    request = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
    for kind, body in _ask(_RTM_GETADDR, _NLM_F_DUMP, request):
        if kind == _RTM_NEWADDR and len(body) >= _ADDRESS.size:
            index = _ADDRESS.unpack_from(body)[4]
            found = dict(_attributes(body, _ADDRESS.size))
            # On a point-to-point link the plain address is that of the far end.
            packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
            if packed is not None and len(packed) == 4:
                yield index, IPv4Address(packed)


def has_address(address: IPv4Address) -> bool:
    """Whether this host answers for `address`, on whatever interface.

    Raises `OSError`.
    """
    return any(found == address for _, found in host_addresses())


class Membership:
    """Keeps an interface in a multicast group, so that switches let it through.

    The kernel answers the IGMP queries for as long as this is open.  Raises
    `LinkError`.
    """

    def __init__(self, group: IPv4Address, index: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        request = group.packed + bytes(4) + pack("=i", index)  # struct ip_mreqn
        try:
            self._socket.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request
            )
        except OSError as error:
            self._socket.close()
            raise LinkError(
                "Can't do IP_ADD_MEMBERSHIP errno={why} ({number})",
                why=error.strerror,
                number=error.errno,
            ) from None

    def close(self) -> None:
        """Leave the group."""
        self._socket.close()


def _open_netlink(groups: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        with suppress(OSError):  # Needs CAP_NET_ADMIN, and is only a comfort.
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 20)
        opened.bind((0, groups))
    except OSError:
        opened.close()
        raise
    return opened


def _ask(kind: int, flags: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """Send one request and yield the (type, body) of each message of the answer."""
    with _open_netlink(0) as conversation:
        header = _MESSAGE.pack(
            _MESSAGE.size + len(body), kind, flags | _NLM_F_REQUEST, 1, 0
        )
        conversation.send(header + body)
        while answer := conversation.recv(_RECEIVE_BYTES):
            for answer_kind, answer_body in _messages(answer):
                if answer_kind == _NLMSG_DONE:
                    return
                if answer_kind == _NLMSG_ERROR:
                    number = -_ERROR.unpack(answer_body[:4].ljust(4, b"\0"))[0]
                    if number in (0, errno.ENODEV):
                        return
                    raise OSError(number, os.strerror(number))
                yield answer_kind, answer_body
            if not flags & _NLM_F_DUMP:
                return


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _MESSAGE.size <= len(data):
        length, kind, _, _, _ = _MESSAGE.unpack_from(data, position)
        if length < _MESSAGE.size:
            return
        yield kind, data[position + _MESSAGE.size : position + length]
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
