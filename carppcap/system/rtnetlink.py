"""Sends requests of rtnetlink(7) and reads the messages and attributes in replies."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from carppcap.addresses import Address
from carppcap.errors import on_error
from carppcap.system.source_address import LinkAddress

ERROR, DONE = 2, 3
"""Types of the messages that end a reply."""

REQUEST, ACKNOWLEDGE, DUMP, CREATE = 0x1, 0x4, 0x300, 0x400
"""Flags of a request."""

RECEIVE_BYTES = 65_536

_DUMP_OVERTAKEN = 0x10
_SOL_NETLINK, _GET_STRICT_CHK = 270, 12
_HEADER = Struct("=IHHII")  # struct nlmsghdr
_ATTRIBUTE = Struct("=HH")  # struct rtattr
_ERROR = Struct("=i")  # struct nlmsgerr begins with it
ADDRESS = Struct("=BBBBI")
"""struct ifaddrmsg: family, length of the prefix, flags, scope, index."""

ROUTE = Struct("=BBBBBBBBI")
"""struct rtmsg, of which field 7 is the type of the route."""

_NEW_TO_GET = 2  # RTM_NEWADDR is 20 and RTM_GETADDR 22, likewise for other objects
_RTM_GETADDR = 22
RTM_GETROUTE = 26
RTA_DST = 1
_RTN_LOCAL = 2
IFA_ADDRESS, IFA_LOCAL = 1, 2
_IFA_F_SECONDARY = 0x01  # IFA_F_TEMPORARY in IPv6
_IFA_F_DADFAILED, _IFA_F_DEPRECATED, _IFA_F_TENTATIVE = 0x08, 0x20, 0x40
_SO_RCVBUFFORCE = 33
_ATTEMPTS_MAX = 5  # to get a list that did not change meanwhile

_SHORTAGES = frozenset((errno.EAGAIN, errno.ENOMEM, errno.ENOBUFS, errno.EPERM))
"""Errors after which it is still unknown whether the requested object exists."""


def open_netlink(groups: int) -> socket.socket:
    """Return a non-blocking socket that receives the events of `groups`.

    `groups` is a mask of RTMGRP_*, 0 for no events.  Raises `OSError`.
    """
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with on_error(opened.close):
        with suppress(OSError):  # Needs CAP_NET_ADMIN; a small buffer works too.
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 20)
        with suppress(OSError):  # Linux before 4.20 always lists all interfaces.
            opened.setsockopt(_SOL_NETLINK, _GET_STRICT_CHK, 1)
        opened.bind((0, groups))
        opened.setblocking(False)
    return opened


class Enquiry:
    """Asks the kernel over one rtnetlink socket.  Raises `OSError`.

    The reply is there when `send` returns, so no call waits.  Each reply has the number
    of its request, so replies to an earlier request that failed can be ignored.
    """

    def __init__(self) -> None:
        self._socket = open_netlink(0)
        self._number = 0

    def ask(self, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
        """Send one request; return the type and the body of each message in the reply.

        If a list changed while the kernel sent it, it may lack an entry, so it is
        requested again.  If that happens five times, return the messages of all five
        lists, the latest last.  Raises `OSError` if the request fails or the reply is
        an error.
        """
        answers: list[tuple[int, bytes]] = []
        for _ in range(_ATTEMPTS_MAX):
            answer, is_overtaken = self._ask_once(kind, flags, body)
            if not is_overtaken:
                return answer
            answers += answer
        return answers

    def _ask_once(
        self, kind: int, flags: int, body: bytes
    ) -> tuple[list[tuple[int, bytes]], bool]:
        """Return the reply, and whether the list changed while it was sent."""
        self._number = (self._number + 1) & 0xFFFF_FFFF
        length = _HEADER.size + len(body)
        header = _HEADER.pack(length, kind, flags | REQUEST, self._number, 0)
        self._socket.send(header + body)
        answer: list[tuple[int, bytes]] = []
        is_whole, is_overtaken = False, False
        while not is_whole:
            answered = _split(self._socket.recv(RECEIVE_BYTES), _HEADER)
            for (_, its, flags_of_answer, number, _), content in answered:
                if number != self._number:
                    continue
                is_overtaken |= bool(flags_of_answer & _DUMP_OVERTAKEN)
                is_whole |= its in (DONE, ERROR) or not flags & DUMP
                if its in (DONE, ERROR):
                    _raise_unless_zero(content)
                answer.append((its, content))
        return answer, is_overtaken

    def records(
        self, kind: int, flags: int, body: bytes, layout: Struct
    ) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
        """Send a request of type `kind` (RTM_GET*) and yield the objects in the reply.

        An object is yielded as the tuple of its fields, unpacked by `layout`, and a
        dictionary of its attributes by type.  Raises `OSError`.
        """
        for its, content in self.ask(kind, flags, body):
            if its == kind - _NEW_TO_GET and len(content) >= layout.size:
                yield layout.unpack_from(content), attributes(content, layout.size)

    def record(
        self, kind: int, body: bytes, layout: Struct, missing: int
    ) -> tuple[tuple[int, ...], dict[int, bytes]] | None:
        """Return the fields and attributes of the only object that `body` asks for.

        Return None if the kernel replies with the error number `missing`, which means
        that the object does not exist.  Raises `OSError` for any other error.
        """
        try:
            return next(self.records(kind, 0, body, layout), None)
        except OSError as error:
            if error.errno != missing:
                raise
            return None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _raise_unless_zero(content: bytes) -> None:
    number = -_ERROR.unpack(content[:4].ljust(4, b"\0"))[0]
    if number > 0:
        raise OSError(number, os.strerror(number))


def _split(
    data: bytes, header: Struct, position: int = 0
) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Yield the header and the body of each message, or attribute, in `data`.

    The first one begins at `position`.  Each begins with its length, which includes the
    header, and is padded to 4 bytes.
    """
    while position + header.size <= len(data):
        fields = header.unpack_from(data, position)
        length = fields[0]
        if length < header.size:
            return
        yield fields, data[position + header.size : position + length]
        position += -(-length // 4) * 4


def attributes(body: bytes, position: int) -> dict[int, bytes]:
    """Return the attributes in `body` by their type; the first is at `position`."""
    return {kind: value for (_, kind), value in _split(body, _ATTRIBUTE, position)}


def attribute(kind: int, value: bytes) -> bytes:
    """Return the bytes of an attribute with type `kind`, for the body of a request."""
    length = _ATTRIBUTE.size + len(value)
    return (_ATTRIBUTE.pack(length, kind) + value).ljust(-(-length // 4) * 4, b"\0")


def held_addresses(kernel: Enquiry, index: int) -> Iterator[LinkAddress]:
    """Yield the addresses of interface number `index`, in the kernel's order.

    Raises `OSError`, with ENODEV if there is no such interface.
    """
    for held, fields, _ in address_records(kernel, index):
        if fields[4] == index:
            yield held


def address_records(
    kernel: Enquiry, index: int = 0
) -> Iterator[tuple[LinkAddress, tuple[int, ...], dict[int, bytes]]]:
    """Yield the addresses of this host, with fields (`ADDRESS`) and attributes.

    If `index` is not 0, ask for the addresses of that interface only; old kernels yield
    those of all interfaces all the same.  Raises `OSError`.
    """
    # For AF_UNSPEC the kernel lists the addresses of both families.
    request = ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, index)
    for fields, found in kernel.records(_RTM_GETADDR, DUMP, request, ADDRESS):
        held = _link_address(fields, found)
        if held is not None:
            yield held, fields, found


def find_address(kernel: Enquiry, address: Address) -> LinkAddress | None:
    """Return `address` with its flags, or None if no interface of this host has it.

    This takes one request, however many addresses the host has.  Raises `OSError`.
    """
    find = _find4 if address.version == 4 else _find6
    try:
        return find(kernel, address)
    except OSError as error:
        if error.errno in _SHORTAGES:
            raise
    return None  # No route, no such address, no such family.


def _find4(kernel: Enquiry, address: Address) -> LinkAddress | None:
    # The kernel does not look up one IPv4 address, but has a local route to each.
    head = ROUTE.pack(socket.AF_INET, address.max_prefixlen, *[0] * 7)
    request = head + attribute(RTA_DST, address.packed)
    for fields, _ in kernel.records(RTM_GETROUTE, 0, request, ROUTE):
        if fields[7] == _RTN_LOCAL:
            return LinkAddress(address, address.max_prefixlen)
    return None


def _find6(kernel: Enquiry, address: Address) -> LinkAddress | None:
    head = ADDRESS.pack(socket.AF_INET6, 0, 0, 0, 0)
    request = head + attribute(IFA_ADDRESS, address.packed)
    for fields, found in kernel.records(_RTM_GETADDR, 0, request, ADDRESS):
        return _link_address(fields, found)
    return None


def _link_address(
    fields: tuple[int, ...], found: dict[int, bytes]
) -> LinkAddress | None:
    """Return the address in an RTM_NEWADDR message, or None if it is not valid."""
    family, prefix, flags, _, _ = fields
    # On a point-to-point link IFA_ADDRESS is the address of the far end.
    address = address_of(found.get(IFA_LOCAL) or found.get(IFA_ADDRESS) or b"")
    if address is None or family_of(address) != family:
        return None
    return LinkAddress(
        address,
        prefix,
        secondary=bool(flags & _IFA_F_SECONDARY),
        deprecated=bool(flags & _IFA_F_DEPRECATED),
        tentative=bool(flags & _IFA_F_TENTATIVE),
        duplicate=bool(flags & _IFA_F_DADFAILED),
    )


def family_of(address: Address) -> socket.AddressFamily:
    """Return AF_INET for an IPv4 address, AF_INET6 for an IPv6 address."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def address_of(packed: bytes) -> Address | None:
    """Return the address in these 4 or 16 bytes, or None for any other length."""
    if len(packed) == 4:
        return IPv4Address(packed)
    return IPv6Address(packed) if len(packed) == 16 else None
