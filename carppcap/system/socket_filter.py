"""Attaches packet filters to sockets; the kernel runs them (SO_ATTACH_FILTER)."""

import socket
from array import array
from collections.abc import Iterable
from struct import pack

_SO_ATTACH_FILTER = 26  # missing in Python's `socket`

Instruction = tuple[int, int, int, int]
"""A struct sock_filter: code, jump if true, jump if false, operand."""

LOAD_WORD, LOAD_HALF, LOAD_CONSTANT, LOAD_BYTE_AT_X = 0x20, 0x28, 0x00, 0x50
CONSTANT_TO_X, TO_X, IF_EQUAL = 0x01, 0x07, 0x15
"""Codes of instructions, as in linux/bpf_common.h."""

ACCEPT: Instruction = (0x06, 0, 0, 0xFFFF_FFFF)
DROP: Instruction = (0x06, 0, 0, 0)


def attach_filter(to: socket.socket, instructions: Iterable[Instruction]) -> None:
    """Attach a filter to the socket `to`.  Raises `OSError`."""
    code = array("B", b"".join(pack("=HBBI", *step) for step in instructions))
    program = pack("@HP", len(code) // 8, code.buffer_info()[0])  # struct sock_fprog
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
