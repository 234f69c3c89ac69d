"""Log lines about a segment: floods, lost frames, and what is for no group."""

from ipaddress import IPv4Address

from carppcap.filter.flood import FloodBegan, FloodEnded
from carppcap.log.limited import LIMITED_KEYS_MAX, QUIET_PERIOD_NS
from carppcap.log.segment_journal import SegmentJournal
from carppcap.node.ingress import Ingress, Rejection
from carppcap.wire.decode import LinkType, decode
from tests.builders import LOWER, config, frame, payload
from tests.shell import MemoryLog

PEER = config(source=LOWER)
HOSTS = [config(), config(vhid=8, vips=(IPv4Address("10.1.1.253"),))]


class Said:
    """The journal of a segment with two groups, and the lines since they were read."""

    def __init__(self, *, debug: bool = False) -> None:
        self.log = MemoryLog(debug=debug)
        self.journal = SegmentJournal(self.log, HOSTS, origin=0)

    @property
    def lines(self) -> list[tuple[str, str]]:
        lines, self.log.lines = self.log.lines, []
        return lines

    def reject(self, data: bytes, at: int = 0) -> list[tuple[str, str]]:
        """Return the lines logged about a frame that is rejected."""
        rejection = Ingress(HOSTS).check(decode(data, LinkType.ETHERNET))
        assert isinstance(rejection, Rejection)
        self.journal.log_rejection(rejection, at)
        return self.lines


def test_another_vhid_for_the_addresses_of_one_group() -> None:
    """It is compared with each group; the adverts of strangers cause no line."""
    said = Said()
    body = payload(config(source=LOWER, vhid=9, vips=HOSTS[1].vips))
    stranger = payload(config(source=LOWER, vhid=10, vips=(LOWER,)))

    [(level, text)] = said.reject(frame(body))
    assert level == "WARNING"
    assert text.startswith("10.1.1.4 advertises our address under vhid 9, ours is 8:")
    assert said.reject(frame(body), at=1) == []
    assert said.reject(frame(stranger)) == []


def test_debugging() -> None:
    """Every rejection has a line, with the time since the start."""
    said = Said(debug=True)
    stranger = payload(config(source=LOWER, vhid=10, vips=(LOWER,)))

    assert said.reject(frame(stranger), at=5_000_000) == [
        ("DEBUG", "0.005000  vhid 10  rejected badvhid  from 10.1.1.4")
    ]


def test_floods() -> None:
    """One line at its beginning and one at its end, once a minute."""
    said = Said()
    period_ns = QUIET_PERIOD_NS // 4
    for number in range(5):
        at = number * period_ns
        said.journal.flood(FloodBegan(rate=12_345), at)
        said.journal.flood(FloodEnded(duration_ns=2_360_000_000, frames=4_711), at)

    began = "Flood: 12345 unrelated frames/s; narrowing the capture filter"
    ended = "Flood over after 2.4 s and 4711 frames read; widening the capture filter"
    held_back = " [3 more in between]"
    assert said.lines == [
        ("WARNING", began),
        ("WARNING", ended),
        ("WARNING", began + held_back),
        ("WARNING", ended + held_back),
    ]


def test_a_flood_under_ever_new_names_is_told_of() -> None:
    """Rejections under ever new names leave room for the flood's lines."""
    said = Said()
    for number in range(LIMITED_KEYS_MAX + 10):
        source = IPv4Address(0x0A020000 + number)
        said.reject(frame(payload(PEER, digest=bytes(20)), source=source))
    said.journal.flood(FloodBegan(rate=1), 1)
    said.journal.flood(FloodEnded(1, 1), 2)

    assert len(said.lines) == 2


def test_frames_lost() -> None:
    """Under a flood it may happen again and again."""
    said = Said()
    for second in range(5):
        said.journal.frames_lost(second)

    assert said.lines == [("NOTICE", "Frames were lost while this process was stalled")]
