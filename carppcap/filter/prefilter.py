"""A quick test for forged adverts, used only while a flood lasts.

To decode, check and log a frame takes some twenty times as long as to see that its
digest is wrong.  A flood in the name of a peer passes every filter of the kernel; this
test decides whether the peer's next advert still finds room.  Without it the tests of
floods failed now and then.
"""

from carppcap.election.config import VirtualHostConfig
from carppcap.wire.auth import Verifier
from carppcap.wire.header import HEADER_LENGTH, PROTOCOL, TYPE_ADVERT, VERSION

_ADVERT_OF_IPV4 = 14 + 20
_ADVERT_OF_IPV6 = 14 + 40


class ForgeryTest:
    """Finds the forged among the usual frames that claim to be adverts of one group."""

    def __init__(self, config: VirtualHostConfig) -> None:
        self._head = bytes((VERSION << 4 | TYPE_ADVERT, config.vhid))
        self._verifier = (
            None
            if config.key is None
            else Verifier(config.key, config.vhid, config.vips, config.link_address)
        )

    def is_forged(self, frame: bytes) -> bool:
        """True if the digest of this Ethernet frame is wrong, so that it is no advert.

        False says only that the frame has to be decoded and checked.
        """
        if frame[12:15] == b"\x08\x00\x45":
            start = _ADVERT_OF_IPV4
        elif frame[12:14] == b"\x86\xdd" and frame[20:21] == bytes((PROTOCOL,)):
            start = _ADVERT_OF_IPV6
        else:
            return False
        advert = frame[start : start + HEADER_LENGTH]
        if self._verifier is None or not advert.startswith(self._head):
            return False
        counter = int.from_bytes(advert[8:16], "big")
        return self._verifier.find(counter, advert[16:], frame[6:12]) is None
