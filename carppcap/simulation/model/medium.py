"""The medium between the hosts, which may lose, delay, repeat and damage frames."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from carppcap.addresses import BROADCAST_MAC
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Cut, Disturb, Mute, Quality
from carppcap.units import NS_PER_S, Instant
from carppcap.wire import header
from carppcap.wire.decode import Datagram, LinkType, decode
from carppcap.wire.header import PROTOCOL

REORDER_NS_MAX = 2 * NS_PER_S
"""The longest additional delay of a frame that is reordered.

Frames that were sent later may overtake it."""

_REPEATED = (header.TYPE_ADVERT, header.TYPE_SOLICITATION)
"""The types of messages that an attacker sends again."""

_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_NEXT_HEADER = 20
"""The offset of the field Next Header in an Ethernet frame with IPv6."""


class Medium:
    """Carries encoded frames from one station to all others.

    When a frame is sent, `deliver` is called with the instant of its future arrival,
    the receiver and the frame.  Between two stations, frames arrive in the order in
    which they were sent, in spite of jitter.  Only `Quality.reorder` changes the order.
    """

    def __init__(
        self,
        stations: Iterable[str],
        quality: Quality,
        dice: Dice,
        deliver: Callable[[Instant, str, bytes], None],
    ) -> None:
        self._stations = tuple(stations)
        self._base = self._quality = quality
        self._dice = dice
        self._deliver = deliver
        self._faults: list[Cut | Mute | Disturb] = []
        self._cuts: list[Cut] = []
        self._mute: frozenset[str] = frozenset()
        self._latest: dict[tuple[str, str], Instant] = {}
        self._overheard: dict[str, bytes] = {}

    def send(self, sender: str, frame: bytes, now: Instant) -> None:
        """Carry `frame` from `sender` to all other stations."""
        if _type(frame) in _REPEATED and not _is_copy(frame):
            self._overheard[sender] = frame
        for receiver in self._stations:
            is_cut = self._is_cut(sender, receiver, frame)
            if receiver != sender and not is_cut:
                self._carry(sender, receiver, frame, now)

    def overheard(self, name: str) -> bytes | None:
        """Return the latest advert or solicitation of the station `name`, or None."""
        return self._overheard.get(name)

    def add(self, fault: Cut | Mute | Disturb) -> None:
        """Add a fault: lost frames of some hosts, or a new value in `Quality`.

        If several faults set the same field, the one added last counts.
        """
        self._faults.append(fault)
        self._apply()

    def remove(self, fault: Cut | Mute | Disturb) -> None:
        """Remove a fault."""
        self._faults.remove(fault)
        self._apply()

    def _apply(self) -> None:
        self._cuts = [fault for fault in self._faults if isinstance(fault, Cut)]
        mute = (name for f in self._faults if isinstance(f, Mute) for name in f.names)
        self._mute = frozenset(mute)
        worse = {f.field: f.value for f in self._faults if isinstance(f, Disturb)}
        self._quality = replace(self._base, **worse)  # type: ignore[arg-type]

    def _is_cut(self, sender: str, receiver: str, frame: bytes) -> bool:
        is_multicast = frame[0] & 1 and frame[:6] != BROADCAST_MAC
        if is_multicast and not self._mute.isdisjoint((sender, receiver)):
            return True
        return any(
            (sender in cut.senders and receiver in cut.receivers)
            or (cut.both and sender in cut.receivers and receiver in cut.senders)
            for cut in self._cuts
        )

    def _carry(self, sender: str, receiver: str, frame: bytes, now: Instant) -> None:
        quality, dice = self._quality, self._dice
        if quality.loss and dice.happens(quality.loss):
            return
        is_ipv6 = frame[12:14] == _IPV6
        lost_of_family = quality.loss_ipv6 if is_ipv6 else quality.loss_ipv4
        if lost_of_family and _is_advert(frame) and dice.happens(lost_of_family):
            return
        is_doubled = quality.duplicate and dice.happens(quality.duplicate)
        for _ in range(2 if is_doubled else 1):
            arrives_at = now + quality.delay_ns
            if quality.jitter_ns:
                arrives_at += dice.up_to(quality.jitter_ns)
            if quality.reorder and dice.happens(quality.reorder):
                arrives_at += dice.up_to(REORDER_NS_MAX)
            else:
                path = sender, receiver
                arrives_at = max(arrives_at, self._latest.get(path, 0))
                self._latest[path] = arrives_at
            arriving = frame
            if quality.corrupt and dice.happens(quality.corrupt):
                arriving = _with_wrong_bit(frame, dice.number(8 * len(frame) - 1))
            self._deliver(arrives_at, receiver, arriving)


def forge(frame: bytes, advbase: int, advskew: int) -> bytes:
    """Return the frame of an advert with `advbase` and `advskew` replaced.

    The digest stays right, because it covers neither of them.
    """
    datagram = decode(frame, LinkType.ETHERNET)
    assert isinstance(datagram, Datagram)  # stations send intact adverts
    captured = header.decode(datagram.payload)
    assert captured is not None
    claims = replace(captured, advbase=advbase, advskew=advskew)
    return frame[: -header.HEADER_LENGTH] + header.encode(claims)


def _type(frame: bytes) -> int | None:
    """Return the type of the message of protocol 112 in `frame`, or None without one.

    Other frames are gratuitous ARP and neighbour advertisements.
    """
    is_icmp6 = frame[12:14] == _IPV6 and frame[_NEXT_HEADER] != PROTOCOL
    if is_icmp6 or frame[12:14] not in (_IPV4, _IPV6):
        return None
    return frame[-header.HEADER_LENGTH] % 16


def _is_advert(frame: bytes) -> bool:
    return _type(frame) == header.TYPE_ADVERT


def _is_copy(frame: bytes) -> bool:
    """True if `frame` is an advert to a single host that was sent to the group, too."""
    datagram = decode(frame, LinkType.ETHERNET)
    return (
        _is_advert(frame)
        and isinstance(datagram, Datagram)
        and datagram.is_broadcast
        and not datagram.destination.is_multicast
    )


def _with_wrong_bit(frame: bytes, bit: int) -> bytes:
    damaged = bytearray(frame)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
