"""Compares the frames on the wire byte by byte with those of ucarp."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.netns.lab import Lab
from tests.netns.scenes import (
    OURS,
    UCARP,
    any_program,
    await_adverts,
    await_rule,
    start_group,
)
from tests.netns.wire import Advert, Frame, read_capture

# The parts that may differ: IP id and checksum; CARP checksum, counter and digest.
IP_ID, IP_CHECKSUM = slice(18, 20), slice(24, 26)
CARP_CHECKSUM_TO_END = slice(40, 70)
FREE = (IP_ID, IP_CHECKSUM, CARP_CHECKSUM_TO_END)

REAL_ROOT = ["0", "0", "4294967295"]
"""The map of user ids outside any user namespace."""

needs_real_root = pytest.mark.skipif(
    Path("/proc/self/uid_map").read_text().split() != REAL_ROOT,
    reason="tcpdump insists on giving up privileges, which a user cannot",
)


def _comparable(advert: Advert) -> bytes:
    """Return the frame of `advert` with zeros in the parts that may differ (`FREE`)."""
    assert advert.checksums_good
    data = bytearray(advert.frame.data)
    for part in FREE:
        data[part] = bytes(part.stop - part.start)
    return bytes(data)


def _frames_of_a_master(
    program: str, flags: str
) -> tuple[set[bytes], list[bytes], int]:
    """Return the frames of a master that runs alone.

    These are its different adverts (`_comparable`), its two announcements, and the
    number of adverts between the announcements.
    """
    with Lab(1) as lab:
        [host] = lab.hosts
        master = host.start(program, flags)
        await_rule(lab, host, master)
        await_adverts(lab, host, 4)
        adverts = lab.wire.adverts()
        first, second = lab.wire.announcements()
        between = [a for a in adverts if first.time_ns < a.time_ns < second.time_ns]
        return (
            {_comparable(advert) for advert in adverts},
            [first.frame.data, second.frame.data],
            len(between),
        )


def test_frames_equal_those_of_ucarp() -> None:
    """Adverts and announcements equal those of ucarp, with flags that set the rank."""
    flags = "-b 1 -k 37 -r 1"

    adverts, announcements, between = _frames_of_a_master(OURS, flags)
    expected, expected_announcements, _ = _frames_of_a_master(UCARP, flags)

    assert adverts == expected
    assert len(adverts) == 1
    assert announcements == expected_announcements
    assert 1 <= between <= 3


def test_broadcast_frames_equal_those_of_ucarp() -> None:
    """With -M and another group, too, all frames equal those of ucarp."""
    flags = "-M --mcastip=239.1.2.3 -r 1"

    adverts, announcements, _ = _frames_of_a_master(OURS, flags)
    expected, expected_announcements, _ = _frames_of_a_master(UCARP, flags)

    assert (adverts, announcements) == (expected, expected_announcements)


def seen_by_tcpdump(capture: Path, chosen: str) -> str:
    """Return what tcpdump prints of the frames that its filter `chosen` accepts."""
    return subprocess.run(
        ["tcpdump", "-nvvv", "-T", "carp", "-r", str(capture), chosen],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _checksums_by_tshark(capture: Path) -> list[str]:
    """Return a line for each advert: the status of its IP and of its CARP checksum.

    1 is good, 0 bad, 2 not checked.
    """
    return subprocess.run(
        [
            *("tshark", "-r", str(capture), "-Y", "carp", "-T", "fields"),
            *("-o", "ip.check_checksum:TRUE", "-d", "ip.proto==112,carp"),
            *("-e", "ip.checksum.status", "-e", "carp.checksum.status"),
            *("-E", "separator=/s"),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()


@needs_real_root
@any_program
def test_foreign_decoders_find_no_fault(program: str) -> None:
    """tcpdump and tshark find every checksum right, also that of the farewell."""
    with Lab(2) as lab:
        master, _ = start_group(lab, (program, "-z -k 10"), (program, "-k 100"))
        await_adverts(lab, lab.hosts[0], 3)
        master.signal(signal.SIGTERM)
        master.wait()
        await_adverts(lab, lab.hosts[1], 3)

        capture = lab.wire.path
        # Count first, as the capture grows while the two programs read it.
        count = sum(1 for _ in filter(_is_advert, read_capture(capture)))
        shown = seen_by_tcpdump(capture, "ip proto 112")
        statuses = _checksums_by_tshark(capture)

        assert count >= 8
        assert shown.count("CARPv2-advertise 36: vhid=7") >= count
        assert "bad" not in shown.lower()
        assert len(statuses) >= count
        assert set(statuses) == {"1 1"}


def _is_advert(frame: Frame) -> bool:
    """True for an advert in IPv4; a solicitation has another type."""
    is_carp = frame.data[12:14] == b"\x08\x00" and frame.data[23] == 112
    return is_carp and frame.data[34] == 0x21
