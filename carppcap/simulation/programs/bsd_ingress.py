"""The checks by which a BSD kernel accepts adverts (see wire/README.rst).

They share no code with `node.ingress`.  A simulation can therefore show where a kernel
accepts frames that carppcap rejects, and the reverse.
"""

from carppcap.addresses import CARP_GROUP6, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.node.ingress import Rejection, RejectReason
from carppcap.simulation.scenario.parts import Kind
from carppcap.wire import header
from carppcap.wire.auth import Authenticator
from carppcap.wire.decode import TTL, Datagram, Defect
from carppcap.wire.header import Advert

OPENBSD_RULES = frozenset((Kind.OPENBSD, Kind.JCARP))
"""The kinds of host that hold the election, sign and check adverts as OpenBSD does."""


class BsdIngress:
    """Checks the frames that one vhid of a kernel receives.

    It does not check their source address.
    """

    def __init__(self, kind: Kind, config: VirtualHostConfig) -> None:
        assert config.key is not None  # a simulated host has a password
        self._kind = kind
        self._config = config
        self._groups = (config.group, CARP_GROUP6)
        self._own = (config.source, config.source6)
        signed = config.key, config.vhid, config.vips, config.link_address
        forms = (False, True) if kind in OPENBSD_RULES else (True,)
        self._authenticators = [
            Authenticator(*signed, link_local=link_local) for link_local in forms
        ]

    def check(self, datagram: Datagram | Defect) -> AdvertReceived | Rejection | None:
        """Return the advert in `datagram` if the kernel accepts it, or the rejection.

        Return None for a frame of another protocol, and for a broadcast frame to the
        address of a single host: only carppcap sends those, and only to its like.
        """
        if datagram is Defect.FOREIGN:
            return None
        if isinstance(datagram, Defect):
            return Rejection(RejectReason.BADLEN)
        if datagram.is_broadcast and not datagram.destination.is_multicast:
            return None
        if datagram.destination not in (*self._groups, *self._own):
            return Rejection(RejectReason.WRONG_GROUP, datagram)
        advert = header.decode(datagram.payload)
        if advert is None:
            return Rejection(RejectReason.BADLEN, datagram)
        if faults := self._faults(datagram, advert):
            return Rejection(faults[0], datagram, advert)
        if not any(
            form.verify(advert.counter, advert.digest) for form in self._authenticators
        ):
            return Rejection(RejectReason.BADAUTH, datagram, advert)
        return AdvertReceived(
            source=datagram.source,
            advbase=advert.advbase,
            advskew=advert.advskew,
            counter=advert.counter,
            demotion=advert.demotion,
        )

    def _faults(self, datagram: Datagram, advert: Advert) -> list[RejectReason]:
        """Return all faults of an advert, in the order of this kernel's checks."""
        is_freebsd = self._kind.is_freebsd
        family = Family.of(datagram.source)
        is_unicast = any(Family.of(peer) is family for peer in self._config.peers)
        to_group = datagram.destination in self._groups
        is_ours = (
            advert.vhid == self._config.vhid
            and family in self._config.families
            # A carp interface of OpenBSD has either a peer or a group; it accepts only
            # unicast adverts in one case and multicast adverts in the other.
            and (is_freebsd or to_group is not is_unicast)
        )
        from_afar = datagram.ttl != TTL and not (is_freebsd and is_unicast)
        is_intact = datagram.header_ok and header.has_valid_checksum(datagram.payload)
        checks = [
            (RejectReason.BADVER, advert.version != header.VERSION),
            (RejectReason.BADSUM, not is_intact),
            (RejectReason.BADVHID, not is_ours),
            (RejectReason.BADTTL, from_afar),
        ]
        if not is_freebsd:  # all other kinds check the TTL first and the version last
            checks[0], checks[-1] = checks[-1], checks[0]
        return [reason for reason, is_wrong in checks if is_wrong]
