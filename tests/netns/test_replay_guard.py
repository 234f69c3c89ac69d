"""Tests the replay guard on a real wire, with an attacker that replays adverts.

The attacker is a third host on the bridge, without the password.  It may change the
advbase, the advskew and the source of an advert, and correct the checksums.
"""

import signal
import socket
import time
from collections.abc import Sequence
from threading import Event, Thread
from types import TracebackType
from typing import Self

import pytest

from tests.netns.daemons import Daemon
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.scenes import (
    OURS,
    UCARP,
    await_adverts,
    await_rule,
    await_state,
    only_ours,
    start_group,
)
from tests.netns.test_faults_host import needs_faketime, with_clock
from tests.netns.wire import NS_PER_S, Advert

pytestmark = only_ours

EVERY_S = 0.3
OTHER_SOURCE = socket.inet_aton("10.9.0.77")
_SOURCE_MAC, _IP_HEADER, _ADVERT = slice(6, 12), slice(14, 34), slice(34, 70)


def checksum(data: bytes | bytearray) -> bytes:
    """Return the internet checksum of `data` (RFC 1071)."""
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    return (0xFFFF - (total - 1) % 0xFFFF - 1).to_bytes(2, "big")


def claiming(frame: bytes, base: int, skew: int) -> bytes:
    """Return the same advert with another advbase and advskew."""
    body = bytearray(frame[_ADVERT])
    body[2], body[5], body[6:8] = skew, base, b"\0\0"
    body[6:8] = checksum(body)
    return frame[:34] + bytes(body)


def from_elsewhere(frame: bytes) -> bytes:
    """Return the same advert with the source addresses of another host."""
    header = bytearray(frame[_IP_HEADER])
    header[12:16], header[10:12] = OTHER_SOURCE, b"\0\0"
    header[10:12] = checksum(header)
    mac = bytes.fromhex("020000000077")
    return frame[:6] + mac + frame[12:14] + bytes(header) + frame[34:]


def variants(advert: Advert) -> list[bytes]:
    """Return the kinds of adverts that an attacker can make of `advert`."""
    frame = advert.frame.data
    claims = [frame, claiming(frame, 0, 1), claiming(frame, 255, 255)]
    return [*claims, *map(from_elsewhere, claims)]


class Attacker:
    """Sends `frames` from `host` every 0.3 s until the context ends."""

    def __init__(self, host: Host, frames: Sequence[bytes]) -> None:
        self._frames = frames
        self._over = Event()
        self._packets = host.namespace.call(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        )
        host.namespace.call(lambda: self._packets.bind(("eth0", 0)))
        self._thread = Thread(target=self._attack, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._packets.close()

    def _attack(self) -> None:
        while not self._over.wait(EVERY_S):
            for frame in self._frames:
                self._packets.send(frame)


def start_pair(lab: Lab, first: str, flags: str = "-k 50") -> Daemon:
    """Start a master on the first host, and on the second carppcap as its backup.

    Return the backup.
    """
    alpha, beta = lab.hosts[:2]
    master = alpha.start(first, "-k 0")
    await_rule(lab, alpha, master, adverts=1)
    backup = beta.start(OURS, flags)
    await_state(backup, "BACKUP")
    await_adverts(lab, alpha, 3)
    return backup


def await_succession(lab: Lab, host: Host, daemon: Daemon) -> None:
    """Wait until `daemon` is master and only `host` has the address."""
    await_state(daemon, "MASTER")
    wait_for("the address", lambda: lab.holders == (host,))


def hints(lab: Lab) -> list[Advert]:
    """Return the hints that were sent so far."""
    return [p for p in lab.wire.packets if isinstance(p, Advert) and p.type == 2]


def latest(lab: Lab, host: Host) -> Advert:
    return lab.wire.adverts(host.address)[-1]


@pytest.mark.parametrize("first", [OURS, UCARP])
def test_one_advert_again_and_again(first: str) -> str:
    """Replayed adverts change nothing; a dead master's successor takes over in time."""
    with Lab(3) as lab:
        backup = start_pair(lab, first)
        alpha, beta, third = lab.hosts
        frames = variants(latest(lab, alpha))
        if first == UCARP:
            # ucarp obeys replayed adverts from another source, so omit those.
            frames = frames[:3]
        with Attacker(third, frames):
            time.sleep(4)
            assert backup.states == ["BACKUP"]
            assert lab.holders == (alpha,)

            off_ns = time.time_ns()
            alpha.power_off()
            await_succession(lab, beta, backup)
        claim = lab.wire.adverts(beta.address, off_ns)[0]
        seen = max(a.time_ns for a in _genuine(lab, alpha, until_ns=off_ns))

        silence_s = (claim.time_ns - seen) / NS_PER_S
        assert 3.1 < silence_s < 5.0
        assert backup.states == ["BACKUP", "MASTER"]
        said = backup.logged("was sent before")
        assert any("Replay: an advert from 10.9.0.1" in line.text for line in said)
        assert any("Tampering: an advert from 10.9.0.1" in line.text for line in said)
        stranger = [
            line for line in said if "10.9.0.77 (02:00:00:00:00:77)" in line.text
        ]
        assert bool(stranger) is (first == OURS)
        assert len(said) <= 4  # one line for each reason and source
        return (
            f"takes over {silence_s:.2f} s after the last honest advert (theory 3.20)"
        )


def _genuine(lab: Lab, host: Host, until_ns: int) -> list[Advert]:
    """Return the adverts that `host` itself sent, the first one with each counter."""
    first: dict[int, Advert] = {}
    for advert in lab.wire.adverts(host.address):
        if advert.time_ns < until_ns:
            first.setdefault(advert.counter, advert)
    return list(first.values())


def test_without_the_guard_it_is_an_outage() -> str:
    """With ``--replay-guard`` off or detect a replayed advert is obeyed for ever."""
    for mode in ("off", "detect"):
        with Lab(3) as lab:
            flags = f"--replay-guard {mode}"
            backup = start_pair(lab, OURS, f"-k 50 {flags}")
            alpha, _, third = lab.hosts
            with Attacker(third, [latest(lab, alpha).frame.data]):
                alpha.power_off()
                time.sleep(6)
                assert backup.states == ["BACKUP"]
            said = backup.logged("Replay: an advert from 10.9.0.1")
            assert [line.text.endswith("; obeyed") for line in said] == (
                [True] if mode == "detect" else []
            )
    return "no host has the address, for all of the 6 s that were watched"


def test_an_attack_on_a_master() -> str:
    """A master does not yield to replayed adverts of a better host that is dead."""
    with Lab(3) as lab:
        backup = start_pair(lab, OURS)
        alpha, beta, third = lab.hosts
        captured = latest(lab, alpha)
        alpha.power_off()
        await_rule(lab, beta, backup)
        with Attacker(third, variants(captured)):
            await_adverts(lab, beta, 5)

        assert backup.states == ["BACKUP", "MASTER"]
        assert lab.holders == (beta,)
        return "0 changes"


def test_adverts_from_before_a_restart() -> str:
    """A restarted daemon obeys no advert that carppcap sent before that restart."""
    with Lab(3) as lab:
        backup = start_pair(lab, OURS)
        alpha, beta, third = lab.hosts
        captured = lab.wire.adverts(alpha.address)[0]
        backup.kill()
        # Wait more than 4 s, by which the clocks of hosts may differ.
        await_adverts(lab, alpha, 5)
        with Attacker(third, variants(captured)):
            again = beta.start(OURS, "-k 50")
            await_state(again, "BACKUP")
            time.sleep(2)
            assert again.states == ["BACKUP"]
            off_ns = time.time_ns()
            alpha.power_off()
            await_succession(lab, beta, again)

        claim = lab.wire.adverts(beta.address, off_ns)[0]
        silence_s = (claim.time_ns - off_ns) / NS_PER_S
        assert silence_s < 4.2
        assert again.logged("Old advert from 10.9.0.1")
        assert {str(hint.destination) for hint in hints(lab)} == {
            "10.9.0.1",
            "10.9.0.77",
        }
        return f"takes over {silence_s:.2f} s after the master died"


@needs_faketime
def test_a_clock_that_went_back_over_a_restart() -> str:
    """A restarted host whose clock went back gets a hint, and is believed after it."""
    with Lab(2) as lab:
        clock = lab.directory / "clock"
        words = with_clock(clock)
        first, backup = start_group(lab, (OURS, "-k 0 -z"), (OURS, "-k 50 -z"))
        alpha, beta = lab.hosts
        first.signal(signal.SIGTERM)
        await_rule(lab, beta, backup)

        clock.write_text("-3600\n")
        since_ns = time.time_ns()
        again = alpha.start(OURS, "-k 0 -P -z", before=words)
        await_rule(lab, alpha, again)
        await_state(backup, "BACKUP")

        refused, heeded, *_ = lab.wire.adverts(alpha.address, since_ns)
        [hint] = hints(lab)
        assert str(hint.destination) == alpha.address
        assert refused.time_ns < hint.time_ns < heeded.time_ns
        assert backup.states == ["BACKUP", "MASTER", "BACKUP"]
        assert backup.logged("Old advert from 10.9.0.1")
        healed_s = (heeded.time_ns - refused.time_ns) / NS_PER_S
        assert healed_s < 0.5
        return f"heard {1000 * healed_s:.0f} ms after it was refused"


def test_a_sender_that_repeats_its_counter() -> str:
    """OpenBSD repeats its counter: the guard accepts that, and logs it only once."""
    with Lab(2) as lab:
        alpha, beta = lab.hosts
        alpha.start("openbsd", "-k 0", scripts=False)
        wait_for("its adverts", lambda: len(lab.wire.adverts(alpha.address)) >= 2)
        backup = beta.start(OURS, "-k 50")
        await_adverts(lab, alpha, 9)

        assert len({advert.counter for advert in lab.wire.adverts(alpha.address)}) == 1
        assert backup.states == ["BACKUP"]
        said = [line for line in backup.lines if "10.9.0.1 (" in line.text]
        assert ["uses a constant counter" in line.text for line in said] == [True]

        alpha.power_off()
        await_rule(lab, beta, backup)
        return "0 changes while it lives"
