"""Floods a group with frames that are not its adverts, as fast as a host can send.

    python -m tests.netns.flood KIND RATE

RATE is in frames per second; 0 means as many as possible.  SIGTERM ends the flood,
which then prints how many frames it has sent.
"""

import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from itertools import cycle, islice
from types import TracebackType
from typing import Self

from carppcap.election.config import VirtualHostConfig
from carppcap.wire.auth import Key
from tests.builders import ipv4, payload, vrrp_v2
from tests.netns.daemons import environment
from tests.netns.lab import PASSWORD, VHID, VIP, Host

FLOODER = IPv4Address("10.9.0.66")
PEER = IPv4Address("10.9.0.1")
FLOOD_MAC = bytes.fromhex("02f100d00001")
"""Source MAC of the frames, by which the recorder can leave them out."""

FRAMES = 1024
"""Number of different frames, which are sent over and over."""

_BURST = 64
_SOL_PACKET, _PACKET_QDISC_BYPASS = 263, 20

_GROUP = VirtualHostConfig(
    interface="eth0",
    vhid=VHID,
    source=FLOODER,
    vips=(IPv4Address(VIP),),
    key=Key(PASSWORD.encode()),
)

Make = Callable[[random.Random], bytes]
"""Makes the IP packet of a frame from random numbers."""


def _body(chance: random.Random, **changes: object) -> bytes:
    """Return an advert that is valid except for `changes`."""
    counter = chance.getrandbits(64)
    return payload(_GROUP, counter, password=PASSWORD.encode(), **changes)


def _bad_digest(chance: random.Random, source: IPv4Address = FLOODER) -> bytes:
    return ipv4(_body(chance, digest=chance.randbytes(20)), source=source)


def _bad_ttl(chance: random.Random) -> bytes:
    return ipv4(_body(chance), source=FLOODER, ttl=64)


def _other_vhid(chance: random.Random) -> bytes:
    return ipv4(_body(chance, vhid=chance.randrange(VHID + 1, 256)), source=FLOODER)


def _bad_checksum(chance: random.Random) -> bytes:
    body = bytearray(_body(chance))
    body[6] ^= 0xFF
    return ipv4(bytes(body), source=FLOODER)


def _vrrp(chance: random.Random) -> bytes:
    return ipv4(vrrp_v2(1, vrid=chance.randrange(1, 256)), source=FLOODER)


def _any_source(chance: random.Random) -> bytes:
    return _bad_digest(chance, IPv4Address(0x0A090000 + chance.randrange(256, 65536)))


def _named_as_a_peer(chance: random.Random) -> bytes:
    return _bad_digest(chance, PEER)


def _any(chance: random.Random) -> bytes:
    return chance.choice(list(_PURE.values()))(chance)


_PURE: dict[str, Make] = {
    "digest": _bad_digest,
    "ttl": _bad_ttl,
    "vhid": _other_vhid,
    "checksum": _bad_checksum,
    "vrrp": _vrrp,
    "sources": _any_source,
    "peer": _named_as_a_peer,
}

KINDS: dict[str, Make] = _PURE | {"mix": _any}
"""The kinds of a flood: what is wrong with its frames."""


def frames(kind: str) -> list[bytes]:
    """Return the different frames of one kind of flood."""
    chance = random.Random(kind)
    macs = bytes.fromhex("01005e000012") + FLOOD_MAC
    return [macs + b"\x08\x00" + KINDS[kind](chance) for _ in range(FRAMES)]


class Flood:
    """A flood that `host` sends until the context ends or `stop` is called.

    `rate` is in frames per second; 0 means as many as possible.  After the end, `sent`
    is the number of frames and `rate` how many were sent per second.  The lab's
    recorder leaves the frames out.
    """

    def __init__(self, host: Host, kind: str, rate: int = 0) -> None:
        host.lab.wire.leave_out(FLOOD_MAC)
        command = [sys.executable, "-m", "tests.netns.flood", kind, str(rate)]
        self._process = subprocess.Popen(
            host.command(command), stdout=subprocess.PIPE, env=environment(), text=True
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "begins\n"
        self._began_s = time.monotonic()
        self.sent = 0
        self.rate = 0.0

    def stop(self) -> None:
        """End the flood, and set `sent` and `rate` to what was sent."""
        self._process.terminate()
        told, _ = self._process.communicate(timeout=30)
        self.sent = int(told)
        self.rate = self.sent / (time.monotonic() - self._began_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.returncode is None:
            self.stop()


def main(arguments: Sequence[str]) -> int:
    kind, rate = arguments[0], int(arguments[1])
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packets.bind(("eth0", 0))
    packets.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
    endless = cycle(frames(kind))
    print("begins", flush=True)
    sent, began_s = 0, time.monotonic()
    while not ended:
        if rate and sent >= rate * (time.monotonic() - began_s):
            time.sleep(0.0005)
            continue
        for frame in islice(endless, _BURST):
            with suppress(OSError):  # The queue is full: this frame may be lost.
                packets.send(frame)
        sent += _BURST
    print(sent)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
