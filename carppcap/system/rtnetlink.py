"""rtnetlink(7): messages, attributes and questions that the kernel answers at once."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from carppcap.addresses import Address

ERROR, DONE = 2, 3
"""Types of the messages that end an answer."""

REQUEST, ACKNOWLEDGE, DUMP, CREATE = 0x1, 0x4, 0x300, 0x400
"""Flags of a question."""

RECEIVE_BYTES = 65_536

_DUMP_OVERTAKEN = 0x10
_HEADER = Struct("=IHHII")  # struct nlmsghdr
_ATTRIBUTE = Struct("=HH")  # struct rtattr
_ERROR = Struct("=i")  # struct nlmsgerr begins with it
_ADDRESS = Struct("=BBBBI")  # struct ifaddrmsg
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_DADFAILED = 0x08
_SO_RCVBUFFORCE = 33
_ATTEMPTS_MAX = 5  # to get a list during which nothing changed


def open_netlink(groups: int) -> socket.socket:
    """A socket that never blocks and hears of changes in `groups`, a mask.

    Raises `OSError`.
    """
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


class Enquiry:
    """Questions to rtnetlink, all over one socket.  Raises `OSError`.

    The kernel answers before `send` returns, so there is nothing to wait for.  Each
    question has a number: what a failed one left unread answers no other.
    """

    def __init__(self) -> None:
        self._socket = open_netlink(0)
        self._number = 0

    def ask(self, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
        """The (type, body) of each message of the answer.

        Raises `OSError`, also where that is the kernel's answer.
        """
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
        length = _HEADER.size + len(body)
        header = _HEADER.pack(length, kind, flags | REQUEST, self._number, 0)
        self._socket.send(header + body)
        answer: list[tuple[int, bytes]] = []
        is_whole, is_overtaken = False, False
        while not is_whole:
            for its, flags_of_answer, number, content in _messages(
                self._socket.recv(RECEIVE_BYTES)
            ):
                if number != self._number:
                    continue
                is_overtaken |= bool(flags_of_answer & _DUMP_OVERTAKEN)
                is_whole |= its in (DONE, ERROR) or not flags & DUMP
                if its == ERROR:
                    _raise_unless_zero(content)
                answer.append((its, content))
        return None if is_overtaken else answer

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()


def _raise_unless_zero(content: bytes) -> None:
    number = -_ERROR.unpack(content[:4].ljust(4, b"\0"))[0]
    if number != 0:
        raise OSError(number, os.strerror(number))


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, number and body of each message."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, flags, number, _ = _HEADER.unpack_from(data, position)
        if length < _HEADER.size:
            return
        yield kind, flags, number, data[position + _HEADER.size : position + length]
        position += -(-length // 4) * 4


def attributes(body: bytes, position: int) -> dict[int, bytes]:
    """The attributes of a message from `position` on, up to one that is cut short."""
    found: dict[int, bytes] = {}
    while position + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, position)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = body[position + _ATTRIBUTE.size : position + length]
        position += -(-length // 4) * 4
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute of a question."""
    length = _ATTRIBUTE.size + len(value)
    return (_ATTRIBUTE.pack(length, kind) + value).ljust(-(-length // 4) * 4, b"\0")


@dataclass(frozen=True, slots=True)
class HeldAddress:
    """An address of this host: where, with how long a prefix, and the kernel's flags.

    `index` is the number of the interface, `flags` are IFA_F_* of rtnetlink(7).
    """

    index: int
    address: Address
    prefix: int
    flags: int


def held_addresses(kernel: Enquiry) -> Iterator[HeldAddress]:
    """Every address of this host, in the kernel's order.

    Those are left out that a neighbour has objected to (RFC 4862, 5.4): they stand on
    their interface, but the kernel does not answer for them.  Raises `OSError`.
    """
    # Of no family: the kernel lists both, whichever it has, in one answer.
    request = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    for kind, body in kernel.ask(_RTM_GETADDR, DUMP, request):
        if kind != _RTM_NEWADDR or len(body) < _ADDRESS.size:
            continue
        family, prefix, flags, _, index = _ADDRESS.unpack_from(body)
        found = attributes(body, _ADDRESS.size)
        # On a point-to-point link the plain address is that of the far end.
        packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS) or b""
        address = _address(family, packed)
        if address is not None and not flags & _IFA_F_DADFAILED:
            yield HeldAddress(index, address, prefix, flags)


def _address(family: int, packed: bytes) -> Address | None:
    if family == socket.AF_INET and len(packed) == 4:
        return IPv4Address(packed)
    if family == socket.AF_INET6 and len(packed) == 16:
        return IPv6Address(packed)
    return None
