"""Keys and the HMAC-SHA1 of an advert (PROTOCOL: `carp_hmac_prepare`, `_generate`).

The digest covers version, type, vhid, every virtual address in ascending order and
the counter.  It does not cover advbase, advskew, demotion or who sent it.
"""

from _operator import _compare_digest
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

from carppcap.advert import TYPE_ADVERT, VERSION
from carppcap.errors import PasswordError

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

_UNHASHED = frozenset((0, 0xFFFFFFFF))
"""0.0.0.0 and 255.255.255.255 fall through the kernels' selection loop."""


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
    `hash_function` is any SHA-1 whose states can be copied.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(
        self,
        key: Key,
        vhid: int,
        vips: Iterable[IPv4Address],
        link_address: bytes = b"",
        hash_function: "Callable[[bytes], Any]" = sha1,
    ) -> None:
        addresses = sorted({int(vip) for vip in vips} - _UNHASHED)
        self._inner = hash_function(key._secret.translate(_INNER_PAD))
        self._inner.update(bytes((VERSION, TYPE_ADVERT)) + link_address)
        self._inner.update(bytes((vhid,)))
        for address in addresses:
            self._inner.update(address.to_bytes(4, "big"))
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
