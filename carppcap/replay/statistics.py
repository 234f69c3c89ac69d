"""What a run amounts to: who sent what, what was refused, and which flag is wrong.

A fold over steps and rejections, in bounded memory however long the run is.
"""

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from carppcap.addresses import CARP_GROUP6, Address, Family
from carppcap.election.actions import StateChanged
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.node.groups import Step
from carppcap.node.ingress import Refusal, Rejection, RejectReason
from carppcap.node.mismatch import Misfit, find_misfit
from carppcap.node.replay_guard import Finding
from carppcap.wire import header as wire
from carppcap.wire.decode import Announcement, Datagram

SENDERS_MAX = 256
ANNOUNCED_MAX = 256
"""Forged addresses could otherwise fill the memory; what is beyond goes uncounted."""

_TELLING = (RejectReason.BADAUTH, RejectReason.BADVHID, RejectReason.WRONG_GROUP)
"""Rejections that may come of a wrong flag of ours."""


@dataclass(slots=True)
class Sender:
    """What one address sent for one vhid.

    `rank` is advbase, advskew and demotion of its last accepted advert, `sample` the
    first datagram that could tell why others were not.
    """

    source: Address
    vhid: int | None
    accepted: int = 0
    verified: bool = True
    rank: tuple[int, int, int] | None = None
    rejected: Counter[RejectReason] = field(default_factory=Counter)
    sample: Datagram | None = None


class Tally:
    """Counts; read its attributes when the run is over."""

    def __init__(self) -> None:
        self.transitions = 0
        self.rejected: Counter[RejectReason] = Counter()
        self.remarks: Counter[Finding] = Counter()
        self.announced: dict[Announcement, None] = {}
        self._senders: dict[tuple[int, int, int | None], Sender] = {}
        self._others = Sender(IPv4Address(0), None)

    @property
    def senders(self) -> list[Sender]:
        """Everyone who sent anything, by address and vhid."""
        order = sorted(self._senders, key=lambda key: (*key[:2], key[2] or 0))
        return [self._senders[key] for key in order]

    @property
    def accepted(self) -> int:
        """Adverts that reached the core."""
        return self._others.accepted + sum(
            sender.accepted for sender in self._senders.values()
        )

    def step(self, step: Step) -> None:
        """Count what came of an event."""
        self.transitions += sum(isinstance(a, StateChanged) for a in step.actions)
        if step.refusal is not None:
            self._count_rejection(step.refusal)
        elif step.finding is not None:
            self.remarks[step.finding] += 1

    def advert(self, vhid: int, event: AdvertReceived, datagram: Datagram) -> None:
        """Count an accepted advert."""
        sender = self._sender(event.source, vhid)
        sender.accepted += 1
        sender.rank = (event.advbase, event.advskew, event.demotion)
        if not event.verified:
            sender.verified = False
            sender.sample = sender.sample or datagram

    def rejection(self, rejection: Rejection) -> None:
        """Count a frame that reached no virtual host."""
        sender = self._count_rejection(rejection)
        if rejection.reason in _TELLING:
            sender.sample = sender.sample or rejection.datagram

    def announcement(self, announcement: Announcement) -> None:
        """Take note of an address that somebody claims."""
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


def explain(config: VirtualHostConfig, tally: Tally) -> list[str]:
    """Sentences on flags that do not fit what was seen.

    `config` is that of the run, with the key even where there was no address to
    check digests with.
    """
    senders = tally.senders
    # Where some were accepted the flags fit, and the others were forged.
    trusted = {s.source for s in senders if s.accepted and s.verified}
    notes = [
        _explain_sender(config, sender, sender.sample, tally)
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
    config: VirtualHostConfig, sender: Sender, sample: Datagram, tally: Tally
) -> str:
    """One sentence, or nothing where nothing can be said."""
    advert = wire.decode(sample.payload)
    assert advert is not None  # or it would have been BADLEN
    misfit, addresses = find_misfit(config, advert, tally.announced)
    theirs = f"adverts from {sender.source}"
    ours = ", ".join(f"--addr {vip}" for vip in config.vips)
    match misfit:
        case Misfit.NONE:
            return f"{theirs} {_other_way(config, sample)}"
        case Misfit.VHID:
            return (
                f"{theirs} fit password and address, but have vhid {advert.vhid}, "
                f"not --vhid {config.vhid}"
            )
        case _ if advert.vhid != config.vhid or config.key is None:
            return ""  # another group may have what password and address it likes
        case Misfit.ADDRESS:
            listed = ", ".join(map(str, addresses))
            noun = "address" if len(addresses) == 1 else "all of the addresses"
            but = f", not {ours}" if ours else " (there is no --addr)"
            return f"{theirs} fit {noun} {listed}{but}"
        case Misfit.PASSWORD:
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
    """How adverts come that fit in everything else."""
    family = Family.of(sample.source)
    if family not in config.families:
        return f"come over IPv{family.value}, of which there is no --addr"
    if not sample.destination.is_multicast:
        return f"go to {sample.destination} alone, and there is no --peer"
    if family is Family.IPV6:
        return f"go to {sample.destination}, not {CARP_GROUP6}"
    return f"go to {sample.destination}, not --mcastip {config.group}"
