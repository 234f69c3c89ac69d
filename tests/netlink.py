"""Messages of rtnetlink made by hand, and a kernel that answers with them."""

import errno
import os
import socket
from struct import pack, pack_into, unpack_from

import pytest

from carppcap.system import link, rtnetlink

NEWLINK, GETLINK, NEWADDR, GETADDR = 16, 18, 20, 22
NEWROUTE, GETROUTE, NEWNEIGH, GETNEIGH = 24, 26, 28, 30
ERROR, DONE = 2, 3
MAC = bytes.fromhex("02000000000a")


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    whole = pack("=HH", 4 + len(value), kind) + value
    return whole + bytes(-len(whole) % 4)


def message(kind: int, body: bytes, *, flags: int = 0) -> bytes:
    """One message; `numbered` makes it an answer to a question."""
    whole = pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body
    return whole + bytes(-len(whole) % 4)


def link_message(
    *, index: int = 3, flags: int = 0x41, hardware: int = 1, name: bytes = b"a0"
) -> bytes:
    """About a0."""
    body = pack("=BxHiII", 0, hardware, index, flags, 0)
    return message(NEWLINK, body + attribute(3, name + b"\0") + attribute(1, MAC))


def route_message(kind: int) -> bytes:
    """About a route of that type, of which 2 is to an address of this host."""
    return message(NEWROUTE, pack("=BBBBBBBBI", 2, 32, 0, 0, 255, 0, 0, kind, 0))


def address_message(
    address: bytes, *, index: int = 3, kind: int = 2, prefix: int = 24, flags: int = 0
) -> bytes:
    """About an address of either family, of which `kind` 2 is our end of a link."""
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    head = pack("=BBBBI", family, prefix, flags, 0, index)
    return message(NEWADDR, head + attribute(kind, address))


def error_message(number: int) -> bytes:
    """That a question failed, or with 0 that it was heard."""
    return message(ERROR, pack("=i", -number) + bytes(16))


DONE_MESSAGE = message(DONE, bytes(4))

SHORT = [
    b"",
    b"\0",
    bytes(16),
    pack("=IHHII", 15, NEWLINK, 0, 1, 0),
    pack("=IHHII", 0xFFFFFFFF, NEWLINK, 0, 1, 0),
    *(message(kind, b"") for kind in (NEWLINK, NEWADDR, NEWROUTE, NEWNEIGH)),
    *(message(kind, bytes(7)) for kind in (NEWADDR, NEWROUTE, NEWNEIGH)),
    message(NEWLINK, bytes(15)),
    message(ERROR, b""),
    message(NEWADDR, b"\2\0\0"),
    message(NEWADDR, pack("=BBBBI", 2, 0, 0, 0, 3) + pack("=HH", 0, 2)),
    message(NEWADDR, pack("=BBBBI", 2, 0, 0, 0, 3) + attribute(2, b"abc")),
    message(NEWADDR, pack("=BBBBI", 2, 0, 0, 0, 3) + attribute(2, bytes(16))),
    message(NEWADDR, pack("=BBBBI", 10, 0, 0, 0, 3) + attribute(1, bytes(4))),
    message(NEWADDR, pack("=BBBBI", 99, 0, 0, 0, 3) + attribute(2, bytes(4))),
    message(NEWADDR, pack("=BBBBI", 2, 0, 0, 0, 3) + pack("=HH", 600, 2) + bytes(2)),
]
"""Messages that say nothing; some are cut short."""


def numbered(answer: bytes, number: int) -> bytes:
    """As an answer to the question of that number."""
    made, position = bytearray(answer), 0
    while position + 16 <= len(made):
        pack_into("=I", made, position + 8, number)
        length: int = unpack_from("=I", made, position)[0]
        position += max(-(-length // 4) * 4, 16)
    return bytes(made)


Answers = dict[int, list[bytes]]
"""What is answered, piece by piece, to a question of a type."""


class Kernel:
    """The far end of a netlink socket.

    What is in `stale` comes first, as it is.
    """

    def __init__(self, answers: Answers, stale: bytes = b"") -> None:
        self._answers = answers
        self._pending = [stale] if stale else []
        self.questions: list[tuple[int, bytes]] = []

    def setsockopt(self, level: int, option: int, value: object) -> None:
        """Take a filter, and let everything pass."""

    def send(self, question: bytes) -> None:
        """Answer it at once."""
        _, kind, _, number, _ = unpack_from("=IHHII", question)
        self.questions.append((kind, question[16:]))
        self._pending += [numbered(answer, number) for answer in self._answers[kind]]

    def recv(self, length: int) -> bytes:
        """The next piece."""
        if not self._pending:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return self._pending.pop(0)

    def close(self) -> None:
        """Say no more."""
        self._pending.clear()


def install(patch: pytest.MonkeyPatch, answers: Answers, stale: bytes = b"") -> Kernel:
    """Connect every new rtnetlink socket to a kernel with these answers."""
    kernel = Kernel(answers, stale)
    for module in (link, rtnetlink):
        patch.setattr(module, "open_netlink", lambda _: kernel)
    return kernel
