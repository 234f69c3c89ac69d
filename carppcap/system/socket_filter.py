"""Attaches packet filters to sockets; the kernel runs them (SO_ATTACH_FILTER)."""

import socket
from array import array
from collections.abc import Iterable
from struct import pack

_SO_ATTACH_FILTER = 26  # missing in Python's `socket`


def attach_filter(
    to: socket.socket, instructions: Iterable[tuple[int, int, int, int]]
) -> None:
    """Attach a filter to the socket `to`.  Raises `OSError`.

    Each instruction is a struct sock_filter: code, jump if true, jump if false,
    operand.
    """
    code = array("B", b"".join(pack("=HBBI", *step) for step in instructions))
    program = pack("@HP", len(code) // 8, code.buffer_info()[0])  # struct sock_fprog
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
