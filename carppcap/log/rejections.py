"""The log lines about rejected frames and about findings of the replay guard."""

from collections.abc import Sequence
from functools import partial

from carppcap.addresses import Address, Family
from carppcap.election.actions import RivalAnswered
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.log.limited import QUIET_PERIOD_NS, LimitedLog, RateLimit
from carppcap.node.findings import Finding
from carppcap.node.groups import Step
from carppcap.node.ingress import Message, Rejection, RejectReason
from carppcap.node.mismatch import is_signed_for_ours
from carppcap.system.syslog import Level, Log
from carppcap.units import NS_PER_S, Instant
from carppcap.wire.decode import Datagram
from carppcap.wire.header import Advert

_FINDINGS = {
    Finding.REPLAY: "Replay: an advert from {sender} was sent before; {outcome}",
    Finding.TAMPERED: (
        "Tampering: an advert from {sender} was sent before with another advbase, "
        "advskew or demotion; {outcome}"
    ),
    Finding.STALE: (
        "Old advert from {sender}: a replay, or its clock went back; {outcome}"
    ),
    Finding.REPEATING: (
        "{sender} uses a constant counter (as OpenBSD, pfSense and OPNsense do): "
        "replay protection is off for it"
    ),
    Finding.CHANGED: (
        "{sender} uses a constant counter and changed its advbase, advskew or "
        "demotion, unless an attacker did"
    ),
}

_FAREWELL = "{sender}, which uses a constant counter, says farewell"
_RETURN = "{sender}, which uses a constant counter, is back after its farewell"

_REASONS = {
    RejectReason.BADLEN: "Bogus size: a frame of protocol 112 from {source}",
    RejectReason.VRRP: "VRRP from {source} shares this segment and is ignored",
    RejectReason.BADTTL: "Bad TTL: [{ttl}] (from {source})",
    RejectReason.BADVER: "Bad version: [{version}] (from {source})",
    RejectReason.BADSUM: "Bad IP checksum (from {source})",
    RejectReason.BADAUTH: (
        "Bad digest - md2=[{expected}...] md=[{found}...] - Check vhid, password and "
        "virtual IP address (from {source})"
    ),
}
"""The lines for rejections that are logged even if the sender is of another group."""

_LEVELS = {
    Finding.REPEATING: Level.NOTICE,
    Finding.CHANGED: Level.NOTICE,
    RejectReason.BADLEN: Level.NOTICE,
    RejectReason.VRRP: Level.INFO,
}
"""The log level for a finding or a reason; those that are not listed are warnings."""

_MISCONFIGURED = (RejectReason.BADVHID, RejectReason.WRONG_GROUP)
"""Reasons that are logged only if the digest proves that the sender is of our group."""


SECOND_PASSWORD_PERIOD_NS = 3600 * NS_PER_S
"""How often to log, at most, that a peer signs with our second password.

A change of password takes time, and is no fault."""


class Rejections:
    """Logs why virtual hosts reject frames, and what their replay guard finds.

    An advert with another vhid or destination is logged only if its digest proves that
    it was signed with the password of one of them, for its addresses.  One of the two
    hosts is then misconfigured.
    """

    def __init__(self, log: Log, configs: Sequence[VirtualHostConfig]) -> None:
        self._log = log
        self._configs = configs
        self._vhids = {config.vhid for config in configs}
        self._limited = LimitedLog(log)
        self._rivals = LimitedLog(log)
        self._proofs = RateLimit(QUIET_PERIOD_NS)
        self._has_left: Address | None = None
        self._second_password = RateLimit(SECOND_PASSWORD_PERIOD_NS)

    def log_remark(self, step: Step) -> None:
        """Log what the replay guard found about the advert of `step`, if anything.

        Log also that the sender of the message signs with our second password.
        """
        advert, finding = step.event, step.finding
        if isinstance(advert, Message):
            self._note_password(advert, step)
        if finding is None or not isinstance(advert, AdvertReceived):
            return
        text, level = _FINDINGS[finding], _LEVELS.get(finding, Level.WARNING)
        if finding is Finding.CHANGED:
            # Each `ifconfig carp0 down` of such a host changes its advbase and advskew
            # to those of a farewell, and each `up` changes them back.
            if advert.is_farewell:
                text, level = _FAREWELL, Level.INFO
            elif self._has_left == advert.source:
                text, level = _RETURN, Level.INFO
            self._has_left = advert.source if advert.is_farewell else None
        key = text, advert.source
        text = text.format(
            sender=f"{advert.source} ({(advert.mac or b'').hex(':') or '?'})",
            outcome="ignored" if step.refused else "obeyed",
        )
        self._limited.write(level, step.at, key, text)

    def log_namesake(self, rejection: Rejection, at: Instant) -> None:
        """Log that another host sent an authentic advert from our source address."""
        datagram = rejection.datagram
        mac = datagram and datagram.source_mac
        text = (
            f"Another host advertises from our address {rejection.source} (MAC "
            f"{(mac or b'').hex(':') or '?'}): each ignores the other, and both become "
            "master; give each host its own --srcip"
        )
        key = ("namesake", rejection.source)
        self._limited.write(Level.WARNING, at, key, text)

    def log_rival(self, rival: RivalAnswered, at: Instant) -> None:
        """Log that another host claims an address of which this host is master."""
        text = (
            f"Another host ({rival.mac.hex(':')}) answers for {rival.address}, while "
            "this host is master: remove the address there, or find out why the two "
            "hosts do not hear each other's adverts"
        )
        # What a flood of them takes up must not be the room for other lines.
        self._rivals.write(Level.WARNING, at, rival, text)

    def _note_password(self, message: Message, step: Step) -> None:
        # A refused message may be a replay, sent from any address.
        if not message.second_password or step.refused:
            return
        if self._second_password.admit(message.source, step.at) is not None:
            self._log.write(
                Level.NOTICE,
                f"{message.source} signs with the second password of our passfile: "
                "accepted, as in a change of password",
            )

    def log_rejection(self, rejection: Rejection, at: Instant) -> None:
        """Log why a frame was rejected, unless the frame concerns only other groups."""
        reason, datagram = rejection.reason, rejection.datagram
        advert = rejection.advert
        if reason in _REASONS:
            level = _LEVELS.get(reason, Level.WARNING)
            # A VRRP router with our vhid has the same virtual MAC as BSD kernels.
            vrrp = datagram if reason is RejectReason.VRRP else None
            if vrrp is not None and vrrp.payload[1] in self._vhids:
                level = Level.WARNING
            text = partial(_describe, rejection)
            self._limited.write(level, at, (reason, rejection.source), text)
        elif reason in _MISCONFIGURED and advert is not None and datagram is not None:
            # Each sender is examined once a minute, since it takes a digest.
            key = (datagram.source, datagram.destination, advert.vhid)
            if self._proofs.admit(key, at) is None:
                return
            for config in self._configs:
                if is_signed_for_ours(config, advert):
                    self._log.warning(_mismatch(config, advert, datagram))


def _describe(rejection: Rejection) -> str:
    """Return the log line for `rejection`, whose reason must be in `_REASONS`."""
    advert, datagram = rejection.advert, rejection.datagram
    return _REASONS[rejection.reason].format(
        source=rejection.source or "?",
        ttl=datagram and datagram.ttl,
        version=advert and advert.version,
        expected=(rejection.digest_expected or b"")[:4].hex(),
        found=advert and advert.digest[:4].hex(),
    )


def _mismatch(config: VirtualHostConfig, advert: Advert, datagram: Datagram) -> str:
    """Return a sentence on how the settings of the sender differ from ours.

    `advert` is signed for our addresses, but its vhid, address family or destination is
    not ours.
    """
    source, theirs = datagram.source, datagram.destination
    if advert.vhid != config.vhid:
        return (
            f"{source} advertises our address under vhid {advert.vhid}, ours is "
            f"{config.vhid}: one of the two is wrong, and both may become master"
        )
    if Family.of(source) not in config.families:
        return (
            f"{source} advertises our address over IPv{source.version}, where this "
            "host has none: it may wait for our adverts there, and become master"
        )
    ours = config.group_of(Family.of(theirs))
    if theirs.is_multicast:
        return (
            f"{source} advertises to {theirs}, we listen to {ours}: one --mcastip is "
            "wrong, and both may become master"
        )
    return (
        f"{source} advertises to {theirs} alone, we listen to {ours}: a --peer is "
        "missing here or superfluous there, and both may become master"
    )
