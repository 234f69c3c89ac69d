"""What the daemon and its keeper tell each other."""

import marshal
import socket
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Self

from carppcap.units import Instant

MESSAGE_BYTES = 1 << 18
"""More than any order or report takes."""


class Kind(Enum):
    """What an order asks for."""

    TAKE = "take"
    """Set the addresses, and remove other instances of them from this host; report."""

    KEEP = "keep"
    """An advert was sent, so the addresses may be kept for a while longer."""

    DROP = "drop"
    """Remove the addresses that the keeper has set; report other instances of them."""

    CLEAR = "clear"
    """Remove all instances of the addresses, also those set by other programs."""


class Order(NamedTuple):
    """An order of the daemon to the keeper.

    `at` is the instant of the last advert.  The addresses are set on `interface`.
    `will` holds the frames of the last will, which are sent by the interface `link`.
    The report to this order has the same `number`; there is none if that is 0.  The
    order is about the addresses of the charge with the index `charge`.
    """

    kind: Kind
    number: int
    at: Instant
    interface: str = ""
    link: str = ""
    will: Sequence[bytes] = ()
    charge: int = 0

    def encode(self) -> bytes:
        """Return the order as one message."""
        values = (self.kind.value, *self[1:5], tuple(self.will), self.charge)
        return marshal.dumps(values)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Return the order in a message of `encode`."""
        kind, *rest = marshal.loads(message)
        return cls(Kind(kind), *rest)


class Report(NamedTuple):
    """A report of the keeper to the daemon.

    It tells whether the order with the same `number` was carried out (`ok`).  A report
    with the number 0 answers no order: it tells that another program has removed an
    address.  `lines` are for the log.  `left` names each address that could not be
    removed, with the interface that has it.  `was_lost` is True if a held address was
    missing when the order was carried out.  `charge` is that of the order.
    """

    number: int
    ok: bool = True
    lines: Sequence[str] = ()
    left: Sequence[str] = ()
    was_lost: bool = False
    charge: int = 0

    def encode(self) -> bytes:
        """Return the report as one message."""
        values = (self.number, self.ok, tuple(self.lines), tuple(self.left))
        return marshal.dumps((*values, self.was_lost, self.charge))

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Return the report in a message of `encode`."""
        return cls(*marshal.loads(message))


def receive(channel: socket.socket) -> bytes:
    """Return the next message; return no bytes if the other end was closed.

    Raises `BlockingIOError` if no message has arrived.
    """
    try:
        return channel.recv(MESSAGE_BYTES)
    except ConnectionResetError:
        # It left messages unread.  What it sent before is there still.
        return channel.recv(MESSAGE_BYTES)
