"""The HMAC-SHA1 of an advert (README.rst, "Digest").

The digest covers version, type, vhid, every virtual address (those of IPv4 first, each
family in ascending order) and the counter.  It covers neither advbase, advskew and
demotion nor the source address, and it is the same for the adverts of both families.

The kernels differ in two points.  OpenBSD leaves link-local addresses out; FreeBSD and
NetBSD sign them.  And OpenBSD signs the MAC address of its carp interface if it was set
by hand.  carppcap signs as OpenBSD does and accepts every form (`Verifier`).
"""

import hmac
from collections.abc import Iterable
from functools import lru_cache

from carppcap.addresses import Address
from carppcap.errors import PasswordError
from carppcap.wire.header import TYPE_ADVERT, VERSION

PASSWORD_LENGTH_MAX = 19
"""The kernels keep 20 bytes with a closing zero: 19 characters take effect."""

_KEY_LENGTH = 20

_UNHASHED = frozenset((b"\0" * 4, b"\xff" * 4, b"\0" * 16, b"\xff" * 16))
"""The loop by which the kernels sort addresses never selects these."""

_VIRTUAL_MACS = (b"\x00\x00\x5e\x00\x00", b"\x00\x00\x5e\x00\x01")
"""The first bytes of the MACs that ucarp and the kernels make from the vhid."""


class Key:
    """A shared password, which no log, `repr` or traceback can show.

    `password` is 1 to 19 bytes, or 20 where a kernel was given a raw key.  Raises
    `PasswordError`.
    """

    __slots__ = ("_secret",)

    def __init__(self, password: bytes) -> None:
        if not password:
            raise PasswordError("You must supply a password (allowed: 1 to 19 bytes)")
        if len(password) > _KEY_LENGTH:
            raise PasswordError(
                "Password too long: {length} bytes (allowed: 1 to 19)",
                length=len(password),
            )
        self._secret = password

    def __repr__(self) -> str:
        return "Key()"


class Authenticator:
    """Signs and verifies the adverts of one vhid with one set of addresses.

    `link_address` is empty, or the 6 bytes of a MAC to be signed too.  `link_local` is
    True if link-local addresses are signed.  `type` is that of the advert's first byte.
    """

    __slots__ = ("_signed", "link_local")

    def __init__(
        self,
        key: Key,
        vhid: int,
        vips: Iterable[Address],
        link_address: bytes = b"",
        *,
        link_local: bool = False,
        type: int = TYPE_ADVERT,  # noqa: A002 - the name in the header
    ) -> None:
        self.link_local = link_local
        head = bytes((VERSION, type)) + link_address + bytes((vhid,))
        # All but the counter, which a copy of this state adds.
        self._signed = hmac.new(key._secret, head + _signed(vips, link_local), "sha1")

    def digest(self, counter: int) -> bytes:
        """Return the digest, 20 bytes, for a `counter` of 64 bits."""
        state = self._signed.copy()
        state.update(counter.to_bytes(8, "big"))
        return state.digest()

    def verify(self, counter: int, digest: bytes) -> bool:
        """True if `digest` belongs to `counter`, compared in constant time."""
        return hmac.compare_digest(self.digest(counter), digest)


class Verifier:
    """Verifies adverts in every form in which a genuine peer may have signed them.

    The arguments are those of `Authenticator`.  There is one form only if no address
    is link-local and no MAC was set by hand.
    """

    __slots__ = ("_forms", "_link_addresses", "usual")

    def __init__(
        self,
        key: Key,
        vhid: int,
        vips: Iterable[Address],
        link_address: bytes = b"",
        *,
        type: int = TYPE_ADVERT,  # noqa: A002 - the name in the header
    ) -> None:
        addresses = tuple(vips)
        has_link_local = _signed(addresses, True) != _signed(addresses, False)

        @lru_cache(maxsize=4)  # Ours, none, and those of peers that were heard last.
        def forms(link_address: bytes) -> list[Authenticator]:
            return [
                Authenticator(
                    key, vhid, addresses, link_address, link_local=link_local, type=type
                )
                for link_local in ((False, True) if has_link_local else (False,))
            ]

        self._forms = forms
        self._link_addresses = dict.fromkeys((link_address, b""))
        self.usual = forms(link_address)[0]
        """The form in which we sign ourselves."""

    def find(
        self, counter: int, digest: bytes, source_mac: bytes | None = None
    ) -> Authenticator | None:
        """Return the form in which `digest` belongs to `counter`, or None.

        `source_mac` is that of the frame, where known: an OpenBSD peer whose MAC was
        set by hand sends from that MAC.
        """
        link_addresses = self._link_addresses
        if source_mac and not source_mac.startswith(_VIRTUAL_MACS):
            link_addresses = link_addresses | {source_mac: None}
        for link_address in link_addresses:
            for form in self._forms(link_address):
                if form.verify(counter, digest):
                    return form
        return None


def _signed(vips: Iterable[Address], link_local: bool) -> bytes:
    """Return the addresses as they are signed: in order, each one once.

    The kernels keep the number of the interface in bytes 2 and 3 of a link-local
    address, and clear it before they sign.
    """
    kept: set[bytes] = {
        vip.packed[:2] + b"\0\0" + vip.packed[4:] if is_local else vip.packed
        for vip in vips
        for is_local in [vip.version == 6 and vip.is_link_local]
        if link_local or not is_local
    }
    in_order = sorted(kept - _UNHASHED, key=lambda packed: (len(packed), packed))
    return b"".join(in_order)
