"""The HMAC-SHA1 of an advert (README.rst, "Digest").

The digest covers version, type, vhid, every virtual address (those of IPv4 first, each
family in ascending order) and the counter.  It covers neither advbase, advskew and
demotion nor the source address, and it is the same for the adverts of both families.

BSD kernels differ in two points.  FreeBSD and NetBSD sign link-local addresses, and
OpenBSD does not.  OpenBSD signs the MAC of its carp interface if that was set by hand,
and FreeBSD and NetBSD never sign a MAC.  carppcap accepts every form (`Verifier`).  It
signs as OpenBSD does until it has heard a peer that signs in another form (`egress`).
"""

import hmac
from collections.abc import Iterable
from functools import lru_cache

from carppcap.addresses import Address
from carppcap.errors import PasswordError
from carppcap.wire.header import TYPE_ADVERT, VERSION

PASSWORD_LENGTH_MAX = 19
"""The longest password: BSD kernels keep 20 bytes, of which the last is a zero."""

_KEY_LENGTH = 20

_UNHASHED = frozenset((b"\0" * 4, b"\xff" * 4, b"\0" * 16, b"\xff" * 16))
"""Addresses that no digest covers: ucarp and BSD kernels skip them when they sort
addresses."""

_VIRTUAL_MACS = (b"\x00\x00\x5e\x00\x00", b"\x00\x00\x5e\x00\x01")
"""The first 5 bytes of the MACs that ucarp and BSD kernels make from the vhid."""


class Key:
    """The password that a group shares; no log, `repr` or traceback can show it.

    `password` has 1 to 19 bytes, or 20 if a BSD kernel was given a raw key.  Raises
    `PasswordError` for any other length.
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

    `link_address` is empty, or a MAC of 6 bytes that is signed along with the
    addresses.  `link_local` is True if link-local addresses are signed.  `type` is the
    type in the header.
    """

    __slots__ = ("_signed", "key", "link_local")

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
        self.key = key
        self.link_local = link_local
        head = bytes((VERSION, type)) + link_address + bytes((vhid,))
        # The state after all bytes but the counter; each digest continues from a copy.
        self._signed = hmac.new(key._secret, head + _signed(vips, link_local), "sha1")

    def digest(self, counter: int) -> bytes:
        """Return the digest of 20 bytes for `counter`, a number of 64 bits."""
        state = self._signed.copy()
        state.update(counter.to_bytes(8, "big"))
        return state.digest()

    def verify(self, counter: int, digest: bytes) -> bool:
        """True if `digest` is the digest for `counter`; takes constant time."""
        return hmac.compare_digest(self.digest(counter), digest)


class Verifier:
    """Verifies adverts in every form in which a genuine peer may have signed them.

    The arguments are those of `Authenticator`.  The forms differ in three points:
    whether link-local addresses are signed, which MAC is signed, if any, and which key
    was used.  `second_key` is accepted, too, but we never sign with it.
    """

    __slots__ = ("_forms", "_link_addresses", "usual")

    def __init__(
        self,
        key: Key,
        vhid: int,
        vips: Iterable[Address],
        link_address: bytes = b"",
        *,
        second_key: Key | None = None,
        type: int = TYPE_ADVERT,  # noqa: A002 - the name in the header
    ) -> None:
        keys = (key,) if second_key is None else (key, second_key)
        addresses = tuple(vips)
        has_link_local = _signed(addresses, True) != _signed(addresses, False)

        @lru_cache(maxsize=4)  # For our MAC, for none, and for those of recent peers.
        def forms(link_address: bytes) -> list[Authenticator]:
            return [
                Authenticator(
                    each,
                    vhid,
                    addresses,
                    link_address,
                    link_local=link_local,
                    type=type,
                )
                for each in keys
                for link_local in ((False, True) if has_link_local else (False,))
            ]

        self._forms = forms
        self._link_addresses = dict.fromkeys((link_address, b""))
        self.usual = forms(link_address)[0]
        """The form in which we sign our own adverts until a peer is heard."""

    def find(
        self, counter: int, digest: bytes, source_mac: bytes | None = None
    ) -> Authenticator | None:
        """Return the `Authenticator` that makes `digest` for `counter`, or None.

        `source_mac` is the source MAC of the frame, or None if the link has none.  It
        is tried as the signed MAC, because an OpenBSD peer whose MAC was set by hand
        signs that MAC and sends from it.
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
    """Return the bytes of `vips` that a digest covers: sorted, each address once.

    Without `link_local`, link-local addresses are left out.  BSD kernels store the
    number of the interface in bytes 2 and 3 of a link-local address, and set these
    bytes to zero when they sign.
    """
    kept: set[bytes] = {
        vip.packed[:2] + b"\0\0" + vip.packed[4:] if is_local else vip.packed
        for vip in vips
        for is_local in [vip.version == 6 and vip.is_link_local]
        if link_local or not is_local
    }
    in_order = sorted(kept - _UNHASHED, key=lambda packed: (len(packed), packed))
    return b"".join(in_order)
