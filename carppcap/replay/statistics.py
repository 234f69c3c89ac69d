"""Counts what a replay finds, by sender, and tells which options do not fit.

The memory that this needs is bounded, however long the capture is.
"""

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from carppcap.addresses import CARP_GROUP6, Address, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.node.findings import Finding
from carppcap.node.groups import Step
from carppcap.node.ingress import Refusal, Rejection, RejectReason
from carppcap.node.mismatch import Mismatch, find_mismatch
from carppcap.wire import header
from carppcap.wire.decode import Announcement, Datagram

SENDERS_MAX = 256
ANNOUNCED_MAX = 256
"""The most senders, and the most announcements, that are stored.

Without a limit, forged ones could fill the memory."""

_TELLING = (RejectReason.BADAUTH, RejectReason.BADVHID, RejectReason.WRONG_GROUP)
"""The reasons for a rejection that a wrong option of the replay may cause."""


@dataclass(slots=True)
class Sender:
    """The counts for the adverts from one address with one vhid.

    `verified` is False if any advert was accepted although its digest could not be
    checked.  `rank` is advbase, advskew and demotion of the last accepted advert.
    `sample` is the first datagram that may show that an option is wrong (see
    `explain`).
    """

    source: Address
    vhid: int | None
    accepted: int = 0
    verified: bool = True
    rank: tuple[int, int, int] | None = None
    rejected: Counter[RejectReason] = field(default_factory=Counter)
    sample: Datagram | None = None


class Statistics:
    """The counts of a replay.

    The reader of the capture increases `frames`; the methods increase all other counts.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.transitions = 0
        self.rejected: Counter[RejectReason] = Counter()
        self.remarks: Counter[Finding] = Counter()
        self.announced: dict[Announcement, None] = {}
        self._senders: dict[tuple[int, int, int | None], Sender] = {}
        self._others = Sender(IPv4Address(0), None)

    @property
    def senders(self) -> list[Sender]:
        """The senders with counts of their own, sorted by address and vhid."""
        order = sorted(self._senders, key=lambda key: (*key[:2], key[2] or 0))
        return [self._senders[key] for key in order]

    @property
    def accepted(self) -> int:
        """The number of accepted adverts, also from senders beyond `SENDERS_MAX`."""
        return sum(s.accepted for s in (self._others, *self._senders.values()))

    def count_step(self, step: Step) -> None:
        """Count what `step` contains: a change of state, a refusal or a finding."""
        self.transitions += step.change is not None
        if step.refusal is not None:
            self._count_rejection(step.refusal)
        elif step.finding is not None:
            self.remarks[step.finding] += 1

    def count_advert(
        self, vhid: int, event: AdvertReceived, datagram: Datagram
    ) -> None:
        """Count an accepted advert; `datagram` is the datagram that contained it."""
        sender = self._sender(event.source, vhid)
        sender.accepted += 1
        sender.rank = (event.advbase, event.advskew, event.demotion)
        if not event.verified:
            sender.verified = False
            sender.sample = sender.sample or datagram

    def count_rejection(self, rejection: Rejection) -> None:
        """Count a frame that was rejected before it reached a virtual host."""
        sender = self._count_rejection(rejection)
        if rejection.reason in _TELLING:
            sender.sample = sender.sample or rejection.datagram

    def note_announcement(self, announcement: Announcement) -> None:
        """Store an announcement for use by `explain`."""
        if len(self.announced) < ANNOUNCED_MAX:
            self.announced[announcement] = None

    def _count_rejection(self, rejection: Rejection | Refusal) -> Sender:
        self.rejected[rejection.reason] += 1
        if rejection.source is None:
            return self._others
        sender = self._sender(rejection.source, rejection.vhid)
        sender.rejected[rejection.reason] += 1
        return sender

    def _sender(self, source: Address, vhid: int | None) -> Sender:
        key = (source.version, int(source), vhid)
        sender = self._senders.get(key)
        if sender is None:
            if len(self._senders) >= SENDERS_MAX:
                return self._others
            sender = self._senders[key] = Sender(source, vhid)
        return sender


def explain(config: VirtualHostConfig, statistics: Statistics) -> list[str]:
    """Return sentences about options that do not fit the capture.

    `config` is the configuration of the replay, with the keys of the given passwords.
    (The replay itself has no key if there is no --addr: a digest cannot be checked
    without the addresses that it covers.)
    """
    senders = statistics.senders
    # Once a verified advert of a sender was accepted, the options fit that sender, and
    # rejected adverts of it were forged.
    trusted = {s.source for s in senders if s.accepted and s.verified}
    notes = [
        _explain_sender(config, sender, sender.sample, statistics)
        for sender in senders
        if sender.sample is not None and sender.source not in trusted
    ]
    vhids = sorted({sender.vhid for sender in senders if sender.vhid is not None})
    if not senders:
        notes.append("no CARP in this capture")
    elif not any(notes) and vhids and config.vhid not in vhids:
        seen = ", ".join(map(str, vhids))
        notes.append(f"no advert has --vhid {config.vhid}; seen: {seen}")
    return [note for note in notes if note]


def _explain_sender(
    config: VirtualHostConfig, sender: Sender, sample: Datagram, statistics: Statistics
) -> str:
    """Return a sentence that says why `sample` does not fit the options.

    `sample` is a datagram from `sender`.  Return an empty string if nothing can be
    said.
    """
    advert = header.decode(sample.payload)
    assert advert is not None  # a shorter one is BADLEN, of which no sample is kept
    mismatch, addresses = find_mismatch(config, advert, statistics.announced)
    theirs = f"adverts from {sender.source}"
    ours = ", ".join(f"--addr {vip}" for vip in config.vips)
    match mismatch:
        case Mismatch.NONE:
            return f"{theirs} {_other_way(config, sample)}"
        case Mismatch.VHID:
            return (
                f"{theirs} fit password and address, but have vhid {advert.vhid}, "
                f"not --vhid {config.vhid}"
            )
        case _ if advert.vhid != config.vhid or config.key is None:
            return ""  # it may be of another group, with its own password and address
        case Mismatch.ADDRESS:
            listed = ", ".join(map(str, addresses))
            noun = "address" if len(addresses) == 1 else "all of the addresses"
            but = f", not {ours}" if ours else " (there is no --addr)"
            return f"{theirs} fit {noun} {listed}{but}"
        case Mismatch.PASSWORD:
            return (
                f"{theirs} do not fit the password; {ours} is announced here, so that "
                "much seems right"
            )
        case _:
            return (
                f"{theirs} fit neither {ours or 'the password'} nor any address "
                "announced here: the password differs, or an address"
            )


def _other_way(config: VirtualHostConfig, sample: Datagram) -> str:
    """Return the end of a sentence: how the sender of `sample` sends its adverts.

    They fit our vhid, password and addresses, but come over another family or go to
    another destination.
    """
    family = Family.of(sample.source)
    if family not in config.families:
        return f"come over IPv{family.value}, of which there is no --addr"
    if not sample.destination.is_multicast:
        return f"go to {sample.destination} alone, and there is no --peer"
    if family is Family.IPV6:
        return f"go to {sample.destination}, not {CARP_GROUP6}"
    return f"go to {sample.destination}, not --mcastip {config.group}"
