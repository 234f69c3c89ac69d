"""Records and parses the frames on the bridge, without any code of carppcap.

The tests judge by it what carppcap sends, so it must not have the same mistakes.
"""

import socket
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

NS_PER_S = 1_000_000_000
SO_ATTACH_FILTER = 26
SO_TIMESTAMPNS = 35
ETH_P_ALL = 3
PROTOCOL_CARP = 112
PROTOCOL_ICMP6 = 58
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136
BOW_OUT = 255

Address = IPv4Address | IPv6Address

_ADVERT = struct.Struct("!BBBBBBHQ20s")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_NEIGHBOUR = struct.Struct("!BBHI16s")
_IPV6_AT, _IPV6_PAYLOAD_AT = 14, 54
_OPTION_OF = {NEIGHBOUR_SOLICITATION: 1, NEIGHBOUR_ADVERTISEMENT: 2}
_PCAP_HEADER = struct.Struct("<IHHiIII")
_PCAP_MAGIC_US = 0xA1B2C3D4
_LINKTYPE_ETHERNET = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One Ethernet frame; `time_ns` is the kernel's time stamp, counted from 1970."""

    time_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Advert:
    """A CARP advert.

    `checksums_good` is True if the CARP checksum is right, and in IPv4 the IP checksum
    too.  `ttl` is the hop limit in IPv6.  `type` is 1 in an advert; a packet with
    another type only looks like one.
    """

    frame: Frame
    ethernet_source: bytes
    ethernet_destination: bytes
    source: Address
    destination: Address
    ttl: int
    vhid: int
    advbase: int
    advskew: int
    counter: int
    digest: bytes
    checksums_good: bool
    demotion: int = 0
    type: int = 1

    @property
    def time_ns(self) -> int:
        return self.frame.time_ns

    @property
    def is_farewell(self) -> bool:
        return (self.advbase, self.advskew) == (BOW_OUT, BOW_OUT)


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet for Ethernet and IPv4; `operation` is 1 (request) or 2 (reply)."""

    frame: Frame
    ethernet_source: bytes
    ethernet_destination: bytes
    operation: int
    sender_mac: bytes
    sender: IPv4Address
    target_mac: bytes
    target: IPv4Address

    @property
    def time_ns(self) -> int:
        return self.frame.time_ns

    @property
    def is_gratuitous(self) -> bool:
        return self.sender == self.target


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour solicitation or advertisement (RFC 4861, 4.3 and 4.4).

    `link_address` is the MAC in its link-layer address option, empty without one;
    `checksums_good` is True if the ICMPv6 checksum is right.
    """

    frame: Frame
    ethernet_source: bytes
    ethernet_destination: bytes
    source: IPv6Address
    destination: IPv6Address
    hop_limit: int
    kind: int
    is_router: bool
    is_solicited: bool
    is_override: bool
    target: IPv6Address
    link_address: bytes
    checksums_good: bool

    @property
    def time_ns(self) -> int:
        return self.frame.time_ns

    @property
    def is_advertisement(self) -> bool:
        return self.kind == NEIGHBOUR_ADVERTISEMENT

    @property
    def is_announcement(self) -> bool:
        """True if it is an unsolicited advertisement with the override flag."""
        return self.is_advertisement and not self.is_solicited and self.is_override


Packet = Advert | Arp | Neighbour


def checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071); 0 if `data` has a correct one."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def parse(frame: Frame) -> Packet | None:
    """Return the packet in `frame`: an advert, ARP or neighbour discovery.

    Return None for any other frame.
    """
    data = frame.data
    if data[12:14] == b"\x08\x06" and len(data) >= 14 + _ARP.size:
        _, _, _, _, operation, sender_mac, sender, target_mac, target = (
            _ARP.unpack_from(data, 14)
        )
        return Arp(
            frame,
            data[6:12],
            data[:6],
            operation,
            sender_mac,
            IPv4Address(sender),
            target_mac,
            IPv4Address(target),
        )
    if data[12:14] == b"\x08\x00" and data[23:24] == bytes((PROTOCOL_CARP,)):
        payload_at = 14 + 4 * (data[14] & 0x0F)
        return _parse_advert(
            frame,
            payload_at,
            (IPv4Address(data[26:30]), IPv4Address(data[30:34])),
            data[22],
            checksum(data[14:payload_at]) == 0,
        )
    if data[12:14] == b"\x86\xdd" and len(data) >= _IPV6_PAYLOAD_AT:
        return _parse_ipv6(frame)
    return None


def _parse_ipv6(frame: Frame) -> Advert | Neighbour | None:
    data = frame.data
    _, length, protocol, hop_limit, source, destination = _IPV6.unpack_from(
        data, _IPV6_AT
    )
    if protocol == PROTOCOL_CARP:
        return _parse_advert(
            frame,
            _IPV6_PAYLOAD_AT,
            (IPv6Address(source), IPv6Address(destination)),
            hop_limit,
            length == _ADVERT.size,
        )
    payload = data[_IPV6_PAYLOAD_AT : _IPV6_PAYLOAD_AT + length]
    if protocol != PROTOCOL_ICMP6 or len(payload) < _NEIGHBOUR.size:
        return None
    kind, _, _, flags, target = _NEIGHBOUR.unpack_from(payload)
    if kind not in _OPTION_OF:
        return None
    pseudo_header = source + destination + struct.pack("!II", length, protocol)
    return Neighbour(
        frame,
        data[6:12],
        data[:6],
        IPv6Address(source),
        IPv6Address(destination),
        hop_limit,
        kind,
        bool(flags & 0x80000000),
        bool(flags & 0x40000000),
        bool(flags & 0x20000000),
        IPv6Address(target),
        _link_address(payload[_NEIGHBOUR.size :], _OPTION_OF[kind]),
        checksum(pseudo_header + payload) == 0,
    )


def _link_address(options: bytes, wanted: int) -> bytes:
    """Return the MAC in the first option of type `wanted`, empty if there is none."""
    while len(options) >= 8 and options[1]:
        if options[0] == wanted:
            return options[2:8]
        options = options[8 * options[1] :]
    return b""


def _parse_advert(
    frame: Frame,
    payload_at: int,
    way: tuple[Address, Address],
    ttl: int,
    is_header_good: bool,
) -> Advert | None:
    data = frame.data
    if len(data) < payload_at + _ADVERT.size:
        return None
    payload = data[payload_at : payload_at + _ADVERT.size]
    first, vhid, advskew, _, demotion, advbase, _, counter, digest = _ADVERT.unpack(
        payload
    )
    return Advert(
        frame,
        data[6:12],
        data[:6],
        *way,
        ttl,
        vhid,
        advbase,
        advskew,
        counter,
        digest,
        is_header_good and checksum(payload) == 0,
        demotion,
        first & 0x0F,
    )


def open_packet_socket(interface: str) -> socket.socket:
    """Return a socket that receives every frame on `interface`, with a time stamp."""
    packets = socket.socket(
        socket.AF_PACKET,
        socket.SOCK_RAW | socket.SOCK_NONBLOCK,
        socket.htons(ETH_P_ALL),
    )
    packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    packets.bind((interface, ETH_P_ALL))
    return packets


class Recorder:
    """Keeps every frame from `packets`, in memory and in the capture file `path`.

    Call `read` whenever the socket is readable.
    """

    def __init__(self, packets: socket.socket, path: Path) -> None:
        self.path = path
        self._packets = packets
        self._frames: list[Frame] = []
        self._packets_read: list[Packet] = []
        self._file = path.open("wb", buffering=0)
        self._file.write(
            _PCAP_HEADER.pack(_PCAP_MAGIC_US, 2, 4, 0, 0, 65535, _LINKTYPE_ETHERNET)
        )

    def fileno(self) -> int:
        return self._packets.fileno()

    def read(self) -> None:
        """Read all frames that are waiting."""
        while True:
            try:
                data, control, _, _ = self._packets.recvmsg(65535, 64)
            except BlockingIOError:
                return
            except OSError:  # The bridge is gone: there are no more frames.
                return
            if not control:
                continue
            seconds, rest_ns = struct.unpack("@ll", control[0][2])
            frame = Frame(seconds * NS_PER_S + rest_ns, data)
            self._frames.append(frame)
            if packet := parse(frame):
                self._packets_read.append(packet)
            header = struct.pack(
                "<IIII", seconds, rest_ns // 1000, len(data), len(data)
            )
            self._file.write(header + data)

    def leave_out(self, source_mac: bytes) -> None:
        """Keep no more frames from `source_mac`, whose host sends too many."""
        first, last = struct.unpack("!HI", source_mac)
        # The kernel filters them: reading them would take the whole processor.
        program = array("Q")
        for code, if_true, if_false, operand in (
            (0x28, 0, 0, 6),  # ldh [6]
            (0x15, 0, 3, first),  # jeq #first
            (0x20, 0, 0, 8),  # ld [8]
            (0x15, 0, 1, last),  # jeq #last
            (0x06, 0, 0, 0),  # ret #0
            (0x06, 0, 0, 65535),  # ret #65535
        ):
            program.frombytes(struct.pack("=HBBI", code, if_true, if_false, operand))
        address, length = program.buffer_info()
        self._packets.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", length, address)
        )

    def close(self) -> None:
        self._packets.close()
        self._file.close()

    @property
    def frames(self) -> list[Frame]:
        """All frames so far, oldest first."""
        return list(self._frames)

    @property
    def packets(self) -> list[Packet]:
        """All adverts, ARP and neighbour packets so far, oldest first."""
        return list(self._packets_read)

    def adverts(
        self, source: str | Address | None = None, since_ns: int = 0
    ) -> list[Advert]:
        """Return the adverts so far from `source`, by default from all hosts.

        Only those since `since_ns` are returned.
        """
        return [
            packet
            for packet in self.packets
            if isinstance(packet, Advert)
            and packet.type == 1
            and packet.time_ns >= since_ns
            and (source is None or packet.source == ip_address(source))
        ]

    def announcements(
        self, sender_mac: bytes | None = None, since_ns: int = 0
    ) -> list[Arp]:
        """Return the gratuitous ARP packets so far, since `since_ns`.

        Only those from `sender_mac` are returned, or by default those from all hosts.
        """
        return [
            packet
            for packet in self.packets
            if isinstance(packet, Arp)
            and packet.is_gratuitous
            and packet.time_ns >= since_ns
            and (sender_mac is None or packet.sender_mac == sender_mac)
        ]

    def neighbours(self, since_ns: int = 0) -> list[Neighbour]:
        """Return the neighbour solicitations and advertisements since `since_ns`."""
        return [
            packet
            for packet in self.packets
            if isinstance(packet, Neighbour) and packet.time_ns >= since_ns
        ]


def read_capture(path: Path) -> Iterator[Frame]:
    """Yield the frames of a capture that `Recorder` wrote.

    That is a little-endian .pcap file of Ethernet frames with stamps in microseconds.
    Raises `ValueError` for any other file.
    """
    data = path.read_bytes()
    magic, _, _, _, _, _, link_type = _PCAP_HEADER.unpack_from(data)
    if (magic, link_type) != (_PCAP_MAGIC_US, _LINKTYPE_ETHERNET):
        raise ValueError(f"{path} is not a capture of the kind we record")
    offset = _PCAP_HEADER.size
    while offset < len(data):
        seconds, rest_us, length, _ = struct.unpack_from("<IIII", data, offset)
        offset += 16
        yield Frame(seconds * NS_PER_S + rest_us * 1000, data[offset : offset + length])
        offset += length
