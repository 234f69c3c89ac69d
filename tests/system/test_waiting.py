"""Waiting for input, also on descriptors whose numbers are too high for select(2)."""

import fcntl
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, closing
from socket import socket, socketpair

import pytest

from carppcap.system.clock import now_ns
from carppcap.system.waiting import readable

FD_SETSIZE = 1024
"""The first number that is too high for select(2)."""


@pytest.fixture(params=[0, FD_SETSIZE], ids=["low", "high"])
def pairs(request: pytest.FixtureRequest) -> Iterator[list[tuple[socket, socket]]]:
    """Two pairs of sockets; the first of each has at least the number of `param`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * FD_SETSIZE), hard))
    with ExitStack() as stack:
        found = []
        for near, far in (socketpair(), socketpair()):
            number = fcntl.fcntl(near, fcntl.F_DUPFD_CLOEXEC, request.param)
            near.close()
            moved = stack.enter_context(closing(socket(fileno=number)))
            found.append((moved, stack.enter_context(closing(far))))
        yield found
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_only_what_can_be_read_is_returned(pairs: list[tuple[socket, socket]]) -> None:
    """Nothing at first, then the input that has something to read."""
    (one, _), (other, sender) = pairs

    assert list(readable([one, other], now_ns())) == []
    os.write(sender.fileno(), b"x")
    assert list(readable([one, other], None)) == [other]
