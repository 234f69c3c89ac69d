"""A quick test for forged adverts, used only while a flood lasts.

To decode, check and log a frame takes about twenty times as long as this test, which
only finds that the digest is wrong.  A flood of forged adverts with the source address
of a peer passes every filter of the kernel.  Without the test we would read such a
flood so slowly that the ring could be full when the peer's next advert arrives.
"""

from collections.abc import Iterable

from carppcap.election.config import VirtualHostConfig
from carppcap.wire.auth import Verifier
from carppcap.wire.header import HEADER_LENGTH, PROTOCOL, TYPE_ADVERT, VERSION

_ADVERT_OF_IPV4 = 14 + 20
_ADVERT_OF_IPV6 = 14 + 40


class ForgeryTest:
    """Recognises forged adverts of groups on one interface, by a plain IP header.

    That is an IPv4 header without options, or an IPv6 header without extensions.
    """

    def __init__(self, configs: Iterable[VirtualHostConfig]) -> None:
        self._verifiers = {
            bytes((VERSION << 4 | TYPE_ADVERT, config.vhid)): Verifier(
                config.key,
                config.vhid,
                config.vips,
                config.link_address,
                second_key=config.second_key,
            )
            for config in configs
            if config.key is not None
        }

    def is_forged(self, frame: bytes) -> bool:
        """True if this Ethernet frame is an advert with our vhid and a wrong digest.

        If the result is False, the frame is not proven genuine: it must still be
        decoded and checked.
        """
        if frame[12:15] == b"\x08\x00\x45":
            start = _ADVERT_OF_IPV4
        elif frame[12:14] == b"\x86\xdd" and frame[20:21] == bytes((PROTOCOL,)):
            start = _ADVERT_OF_IPV6
        else:
            return False
        advert = frame[start : start + HEADER_LENGTH]
        verifier = self._verifiers.get(advert[:2])
        if verifier is None:
            return False
        counter = int.from_bytes(advert[8:16], "big")
        return verifier.find(counter, advert[16:], frame[6:12]) is None
