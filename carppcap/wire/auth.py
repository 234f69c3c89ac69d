"""Keys and the HMAC-SHA1 of an advert (PROTOCOL: `carp_hmac_prepare`, `_generate`).

The digest covers version, type, vhid, every virtual address in ascending order, first
those of IPv4, and the counter.  It does not cover advbase, advskew, demotion or who
sent it, and it is one and the same for the adverts of both families.

About two things the kernels differ: OpenBSD leaves link-local addresses out, where
FreeBSD and NetBSD sign them as well, and it signs the MAC address of its interface,
if that was set by hand.  We sign as OpenBSD does and accept every form (`Verifier`).
"""

from _operator import _compare_digest
from collections.abc import Callable, Iterable, Iterator

from carppcap.addresses import Address
from carppcap.errors import PasswordError
from carppcap.wire.header import TYPE_ADVERT, VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:  # For mypy alone: typing would cost the daemon 0.4 MB.
    from typing import Any

try:  # hashlib would load OpenSSL, which costs 3.6 MB and 10 ms for one SHA-1.
    from _sha1 import sha1
except ImportError:  # pragma: no cover - a Python built without it
    from hashlib import sha1

same_digest = _compare_digest
"""Equality in a time that tells nothing; `hmac.compare_digest`, without OpenSSL."""

PASSWORD_LENGTH_MAX = 19
"""The kernels keep 20 bytes with a closing zero: 19 characters take effect."""

_KEY_LENGTH = 20
_BLOCK_LENGTH = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))

_UNHASHED = frozenset((b"\0" * 4, b"\xff" * 4, b"\0" * 16, b"\xff" * 16))
"""The lowest and the highest address fall through the kernels' selection loop."""

_VIRTUAL_MACS = (b"\x00\x00\x5e\x00\x00", b"\x00\x00\x5e\x00\x01")
"""How a MAC begins that nobody has set by hand, the original's and the kernels'."""


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
        self._secret = password.ljust(_BLOCK_LENGTH, b"\0")

    def __repr__(self) -> str:
        return "Key()"


class Authenticator:
    """Signs and verifies the adverts of one vhid with one set of addresses.

    Both hash states are kept ready up to the counter, so that a digest costs two
    copies and two short updates.  `link_address` is empty but for an OpenBSD sender
    whose carp interface was given a MAC by hand: then those 6 bytes are signed too.
    `link_local` tells whether link-local addresses are signed.  `type` is that of the
    advert's first byte.  `hash_function` is any SHA-1 whose states can be copied.
    """

    __slots__ = ("_inner", "_outer", "link_local")

    def __init__(
        self,
        key: Key,
        vhid: int,
        vips: Iterable[Address],
        link_address: bytes = b"",
        *,
        link_local: bool = False,
        type: int = TYPE_ADVERT,  # noqa: A002 - so it is called in the header too
        hash_function: "Callable[[bytes], Any]" = sha1,
    ) -> None:
        self.link_local = link_local
        self._inner = hash_function(key._secret.translate(_INNER_PAD))
        self._inner.update(bytes((VERSION, type)) + link_address + bytes((vhid,)))
        self._inner.update(_signed(vips, link_local))
        self._outer = hash_function(key._secret.translate(_OUTER_PAD))

    def digest(self, counter: int) -> bytes:
        """The 20 bytes that belong to `counter`, a number of 64 bits."""
        return self.digest_of(counter.to_bytes(8, "big"))

    def digest_of(self, counter: bytes) -> bytes:
        """The same for a counter as it is on the wire."""
        inner = self._inner.copy()
        inner.update(counter)
        outer = self._outer.copy()
        outer.update(inner.digest())
        digest: bytes = outer.digest()
        return digest

    def verify(self, counter: int, digest: bytes) -> bool:
        """Whether `digest` belongs to `counter`, compared in constant time."""
        return same_digest(self.digest(counter), digest)


class Verifier:
    """Knows every form in which an honest peer may have signed, and tries them all.

    The arguments are those of `Authenticator`.  Where no address is link-local and
    nobody has set a MAC by hand, there is one form only.
    """

    __slots__ = ("_latest", "_make", "_others", "_tried", "usual")

    def __init__(
        self,
        key: Key,
        vhid: int,
        vips: Iterable[Address],
        link_address: bytes = b"",
        *,
        type: int = TYPE_ADVERT,  # noqa: A002 - as above
        hash_function: "Callable[[bytes], Any]" = sha1,
    ) -> None:
        addresses = tuple(vips)
        with_link_local = _signed(addresses, True) != _signed(addresses, False)
        lists = (False, True) if with_link_local else (False,)

        def make(link_address: bytes) -> list[Authenticator]:
            return [
                Authenticator(
                    key,
                    vhid,
                    addresses,
                    link_address,
                    link_local=link_local,
                    type=type,
                    hash_function=hash_function,
                )
                for link_local in lists
            ]

        self._make = make
        self._tried = {b"", link_address}
        self._latest: tuple[bytes, list[Authenticator]] = b"", []
        # The usual form is the one in which we sign ourselves.
        self.usual, *self._others = make(link_address)
        if link_address:
            self._others += make(b"")

    def find(
        self, counter: int, digest: bytes, source_mac: bytes | None = None
    ) -> Authenticator | None:
        """The form in which `digest` belongs to `counter`, or None if it does in none.

        `source_mac` is that of the frame, where known: an OpenBSD peer whose MAC was
        set by hand sends from that very MAC.
        """
        if self.usual.verify(counter, digest):
            return self.usual
        for form in self._unusual(source_mac or b""):
            if form.verify(counter, digest):
                return form
        return None

    def _unusual(self, mac: bytes) -> Iterator[Authenticator]:
        yield from self._others
        if mac not in self._tried and not mac.startswith(_VIRTUAL_MACS):
            if mac != self._latest[0]:  # To make them costs more than to try them.
                self._latest = mac, self._make(mac)
            yield from self._latest[1]


def _signed(vips: Iterable[Address], link_local: bool) -> bytes:
    """The addresses as they are signed: in order, each one once.

    What stands in a link-local address for its interface is no part of it: kernels
    keep a number there, in bytes 2 and 3, and clear it before they sign.
    """
    kept: set[bytes] = {
        vip.packed[:2] + b"\0\0" + vip.packed[4:] if is_local else vip.packed
        for vip in vips
        for is_local in [vip.version == 6 and vip.is_link_local]
        if link_local or not is_local
    }
    in_order = sorted(kept - _UNHASHED, key=lambda packed: (len(packed), packed))
    return b"".join(in_order)
