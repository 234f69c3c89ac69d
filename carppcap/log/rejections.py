"""What the log says of frames that moved nothing, or should not have been sent."""

from carppcap.addresses import CARP_GROUP6, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.errors import N_
from carppcap.log.limited import QUIET_PERIOD_NS, LimitedLog, RateLimit
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection, RejectReason
from carppcap.node.mismatch import is_signed_for_ours
from carppcap.node.replay_guard import Finding
from carppcap.system.syslog import Level, Log
from carppcap.text.i18n import translate
from carppcap.units import Instant
from carppcap.wire.decode import Datagram
from carppcap.wire.header import Advert

_GUARD_LINES = {
    Finding.REPLAY: (
        Level.WARNING,
        N_(
            "Replay: an advert from {source} ({mac}) was sent before; "
            "{outcome}{limited}"
        ),
    ),
    Finding.TAMPERED: (
        Level.WARNING,
        N_(
            "Tampering: an advert from {source} ({mac}) was sent before with another "
            "advbase, advskew or demotion; {outcome}{limited}"
        ),
    ),
    Finding.STALE: (
        Level.WARNING,
        N_(
            "Old advert from {source} ({mac}): a replay, or its clock went back; "
            "{outcome}{limited}"
        ),
    ),
    Finding.REPEATING: (
        Level.NOTICE,
        N_(
            "{source} ({mac}) repeats its counter, as OpenBSD does: replays of its "
            "adverts cannot be told{limited}"
        ),
    ),
    Finding.CHANGED: (
        Level.NOTICE,
        N_(
            "{source} ({mac}) repeats its counter and has changed its advbase, advskew "
            "or demotion, unless somebody else has{limited}"
        ),
    ),
}


class Complaints:
    """What one virtual host has to say of other people's frames.

    Who seems to be of our group, but for one setting, is told from others by the
    digest: that is a mistake worth a line, while other groups are none of our business.
    """

    def __init__(self, log: Log, config: VirtualHostConfig) -> None:
        self._log = log
        self._config = config
        self._limited = LimitedLog(log)
        self._proofs = RateLimit(QUIET_PERIOD_NS)

    def finding(self, step: Step) -> None:
        """Say what the replay guard has found in the advert of `step`, if anything."""
        advert, finding = step.event, step.finding
        if finding is None or not isinstance(advert, AdvertReceived):
            return
        level, text = _GUARD_LINES[finding]
        self._limited.write(
            level,
            step.at,
            (finding, advert.source),
            text,
            source=advert.source,
            mac=(advert.mac or b"").hex(":") or "?",
            outcome=translate(N_("ignored") if step.refused else N_("obeyed")),
        )

    def rejection(self, rejection: Rejection, at: Instant) -> None:
        """Say why a frame moved nothing, unless it was none of our business."""
        source = rejection.source or "?"
        key = (rejection.reason, source)
        advert, datagram = rejection.advert, rejection.datagram
        vhid = self._config.vhid
        match rejection.reason:
            case RejectReason.BADLEN:
                text = N_("Bogus size: a frame of protocol 112 from {source}{limited}")
                self._limited.write(Level.NOTICE, at, key, text, source=source)
            case RejectReason.VRRP:
                text = N_(
                    "VRRP from {source} shares this segment and is ignored{limited}"
                )
                # Of our own number it has our MAC, too, if ours is that of kernels.
                is_ours = datagram is not None and datagram.payload[1] == vhid
                level = Level.WARNING if is_ours else Level.INFO
                self._limited.write(level, at, key, text, source=source)
            case RejectReason.BADTTL if datagram is not None:
                text = N_("Bad TTL: [{ttl}] (from {source}){limited}")
                self._limited.write(
                    Level.WARNING, at, key, text, ttl=datagram.ttl, source=source
                )
            case RejectReason.BADVER if advert is not None:
                text = N_("Bad version: [{version}] (from {source}){limited}")
                self._limited.write(
                    Level.WARNING, at, key, text, version=advert.version, source=source
                )
            case RejectReason.BADSUM:
                text = N_("Bad IP checksum (from {source}){limited}")
                self._limited.write(Level.WARNING, at, key, text, source=source)
            case RejectReason.BADAUTH if advert is not None:
                self._bad_digest(rejection, advert, at)
            case RejectReason.BADVHID if advert is not None:
                self._other_vhid(advert, source, at)
            case RejectReason.WRONG_GROUP if advert and datagram:
                self._other_group(datagram, advert, at)

    def _bad_digest(self, rejection: Rejection, advert: Advert, at: Instant) -> None:
        expected = rejection.digest_expected or b""
        self._limited.write(
            Level.WARNING,
            at,
            (rejection.reason, rejection.source),
            N_(
                "Bad digest - md2=[{expected}...] md=[{found}...] - Check vhid, "
                "password and virtual IP address (from {source}){limited}"
            ),
            expected=expected[:4].hex(),
            found=advert.digest[:4].hex(),
            source=rejection.source,
        )

    def _other_vhid(self, advert: Advert, source: object, at: Instant) -> None:
        """Other groups are silent; our own group under another number is not."""
        # Whoever was found to be another group is not put to proof with every advert.
        if self._proofs.admit((source, advert.vhid), at) is None:
            return
        if not is_signed_for_ours(self._config, advert):
            return
        if advert.vhid == self._config.vhid:
            self._log.warning(
                "{source} advertises our address in a family in which we have none: it "
                "may wait for our adverts there, and become master",
                source=source,
            )
        else:
            self._log.warning(
                "{source} advertises our address under vhid {theirs}, ours is {ours}: "
                "one of the two is wrong, and both may become master",
                source=source,
                theirs=advert.vhid,
                ours=self._config.vhid,
            )

    def _other_group(self, datagram: Datagram, advert: Advert, at: Instant) -> None:
        key = (datagram.source, datagram.destination)
        if self._proofs.admit(key, at) is None:
            return
        if not is_signed_for_ours(self._config, advert):
            return
        text = N_(
            "{source} advertises to {theirs} alone, we listen to {ours}: a --peer is "
            "missing here or too much there, and both may become master"
        )
        if datagram.destination.is_multicast:
            text = N_(
                "{source} advertises to {theirs}, we listen to {ours}: one --mcastip "
                "is wrong, and both may become master"
            )
        is_ipv4 = Family.of(datagram.destination) is Family.IPV4
        self._log.warning(
            text,
            source=datagram.source,
            theirs=datagram.destination,
            ours=self._config.group if is_ipv4 else CARP_GROUP6,
        )
