"""A short way to turn away forged adverts, for when there are too many of them.

To read a frame with all care, to judge it and to think about logging it takes some
twenty times as long as to see that its digest is wrong.  Under a flood in the name of
a peer, which no filter can tell from him, that is what decides whether the next advert
of his still finds room.
"""

from carppcap.election.config import VirtualHostConfig
from carppcap.wire.auth import Verifier
from carppcap.wire.decode import PROTOCOL_CARP
from carppcap.wire.header import HEADER_LENGTH, TYPE_ADVERT, VERSION

_ADVERT_OF_IPV4 = 14 + 20
_ADVERT_OF_IPV6 = 14 + 40


class ForgeryTest:
    """Tells the forged among the usual frames that claim to be adverts of one host."""

    def __init__(self, config: VirtualHostConfig) -> None:
        self._head = bytes((VERSION << 4 | TYPE_ADVERT, config.vhid))
        self._verifier = (
            None
            if config.key is None
            else Verifier(config.key, config.vhid, config.vips, config.link_address)
        )

    def is_forged(self, frame: bytes) -> bool:
        """Whether the digest of this Ethernet frame is wrong; then it moves nothing.

        False says no more than that it has to be judged.
        """
        if frame[12:15] == b"\x08\x00\x45":
            start = _ADVERT_OF_IPV4
        elif frame[12:14] == b"\x86\xdd" and frame[20:21] == bytes((PROTOCOL_CARP,)):
            start = _ADVERT_OF_IPV6
        else:
            return False
        advert = frame[start : start + HEADER_LENGTH]
        if self._verifier is None or not advert.startswith(self._head):
            return False
        counter = int.from_bytes(advert[8:16], "big")
        return self._verifier.find(counter, advert[16:], frame[6:12]) is None
