"""Requests to the kernel, and malformed answers."""

import errno
import socket
import subprocess
import sys
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.system.rtnetlink import DUMP, Enquiry, attribute, attributes, open_netlink
from tests import netlink
from tests.netlink import (
    DONE,
    DONE_MESSAGE,
    ERROR,
    GETADDR,
    GETLINK,
    NEWADDR,
    NEWLINK,
    SHORT,
    address_message,
    error_message,
    install,
    link_message,
    message,
    numbered,
)

FIRST, SECOND = address_message(b"\x0a\1\1\1"), address_message(b"\x0a\1\1\2")


def test_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list may take several datagrams; a message of its own ends it."""
    install(monkeypatch, {GETADDR: [FIRST + SECOND, FIRST, DONE_MESSAGE]})

    answer = Enquiry().ask(GETADDR, DUMP, b"")

    assert [kind for kind, _ in answer] == [NEWADDR, NEWADDR, NEWADDR, DONE]
    assert [body for _, body in answer[:2]] == [FIRST[16:], SECOND[16:]]


def test_a_single_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single answer has no message that ends it."""
    kernel = install(monkeypatch, {GETLINK: [link_message()]})

    assert [kind for kind, _ in Enquiry().ask(GETLINK, 0, b"body")] == [NEWLINK]
    assert kernel.questions == [(GETLINK, b"body")]


def test_an_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error message with the number 0 is no error."""
    install(monkeypatch, {GETLINK: [error_message(0)]})

    assert [kind for kind, _ in Enquiry().ask(GETLINK, 0, b"")] == [ERROR]


@pytest.mark.parametrize("number", [errno.ENODEV, errno.EPERM])
def test_a_refusal(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """It is an `OSError` with the number and its text."""
    install(monkeypatch, {GETLINK: [error_message(number)]})

    with pytest.raises(OSError, match=r"No such device|not permitted") as caught:
        Enquiry().ask(GETLINK, 0, b"")
    assert caught.value.errno == number


def test_a_list_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end has the error, where there is no interface of that number."""
    failed = message(DONE, pack("=i", -errno.ENODEV))
    install(monkeypatch, {GETADDR: [failed]})

    with pytest.raises(OSError, match="No such device"):
        Enquiry().ask(GETADDR, DUMP, b"")


def test_an_answer_that_came_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to an earlier request is skipped."""
    late = numbered(SECOND + DONE_MESSAGE, 77)
    install(monkeypatch, {GETADDR: [FIRST, DONE_MESSAGE]}, late)

    answer = Enquiry().ask(GETADDR, DUMP, b"")

    assert answer[0] == (NEWADDR, FIRST[16:])
    assert len(answer) == 2


def test_a_list_that_changed_while_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list may be incomplete, so it is requested again, five times at most.

    Then all replies are returned: what is missing in one is in another.
    """
    answers = {GETADDR: [FIRST, message(DONE, bytes(4), flags=0x10)]}
    kernel = install(monkeypatch, answers)
    enquiry = Enquiry()

    assert [kind for kind, _ in enquiry.ask(GETADDR, DUMP, b"")] == [NEWADDR, DONE] * 5
    assert len(kernel.questions) == 5

    answers[GETADDR] = [FIRST, DONE_MESSAGE]
    assert len(enquiry.ask(GETADDR, DUMP, b"")) == 2
    assert len(kernel.questions) == 6


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from(SHORT))))
def test_any_answer(pieces: list[bytes]) -> None:
    """Any bytes lead to messages or to an error, in finite time."""
    with pytest.MonkeyPatch.context() as patch:
        install(patch, {GETADDR: [b"".join(pieces), DONE_MESSAGE]})
        try:
            answer = Enquiry().ask(GETADDR, DUMP, b"")
        except OSError:
            return
    assert answer


@given(
    st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=40)),
    st.binary(max_size=3),
)
def test_attributes(given_ones: dict[int, bytes], rest: bytes) -> None:
    """They are read as written, also after a header and before trailing bytes."""
    written = b"".join(attribute(kind, value) for kind, value in given_ones.items())

    assert len(written) % 4 == 0
    assert attributes(b"head" + written + rest, 4) == given_ones
    assert written == b"".join(netlink.attribute(*pair) for pair in given_ones.items())


def test_the_kernel_of_this_machine() -> None:
    """It has one address at least."""
    enquiry = Enquiry()
    answer = enquiry.ask(GETADDR, DUMP, bytes((socket.AF_INET, *bytes(7))))
    enquiry.close()

    local = [attributes(body, 8).get(2) for kind, body in answer if kind == NEWADDR]
    assert b"\x7f\0\0\1" in local


def test_a_group_that_is_refused() -> None:
    """No socket is left open."""
    code = (
        "import socket\n"
        "from carppcap.system import rtnetlink\n"
        "def refuse(self, address): raise OSError(1, 'no')\n"
        "class Socket(socket.socket): bind = refuse\n"
        "rtnetlink.socket.socket = Socket\n"
        "try: rtnetlink.open_netlink(1)\n"
        "except OSError: print('refused')\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.stdout, run.stderr) == ("refused\n", "")


def test_it_never_blocks() -> None:
    """Without an event `recv` raises an error and does not wait."""
    opened = open_netlink(0)
    with pytest.raises(BlockingIOError):
        opened.recv(1)
    opened.close()
