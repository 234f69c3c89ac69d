"""Keys and digests: against vectors of four implementations, and Python's own HMAC."""

import hashlib
import hmac
import json
import traceback
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.auth import PASSWORD_LENGTH_MAX, Authenticator, Key
from carppcap.errors import PasswordError

VECTORS_FILE = Path(__file__).parents[1] / "fixtures" / "vectors" / "digests.json"
VECTORS: list[dict[str, Any]] = [
    vector
    for vector in json.loads(VECTORS_FILE.read_text(encoding="utf-8"))
    if not vector["ipv6"]
]

KEYS = st.binary(min_size=1, max_size=20)
VHIDS = st.integers(1, 255)
COUNTERS = st.integers(0, 2**64 - 1)
ADDRESSES = st.ip_addresses(v=4)


def oracle(key: bytes, vhid: int, vips: list[IPv4Address], counter: int) -> bytes:
    """The digest, by way of the standard library."""
    hashed = sorted({int(vip) for vip in vips} - {0, 0xFFFFFFFF})
    message = (
        bytes((2, 1, vhid))
        + b"".join(vip.to_bytes(4, "big") for vip in hashed)
        + counter.to_bytes(8, "big")
    )
    return hmac.new(key, message, hashlib.sha1).digest()


def test_vectors_are_there() -> None:
    """Each implementation has some, and each peculiarity one."""
    assert {vector["impl"] for vector in VECTORS} == {
        "freebsd", "openbsd", "netbsd", "ucarp"
    }  # fmt: skip
    names = {vector["name"] for vector in VECTORS}
    assert {"openbsd-custom-lladdr", "freebsd-dup-and-special-v4"} <= names
    assert any(len(vector["ipv4"]) > 2 for vector in VECTORS)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_digest_vectors(vector: dict[str, Any]) -> None:
    """The digest of every implementation, for the addresses it was given."""
    signer = Authenticator(
        Key(bytes.fromhex(vector["key_hex"])),
        vector["vhid"],
        map(IPv4Address, vector["ipv4"]),
        link_address=bytes.fromhex(vector.get("lladdr", "")),
    )
    counter = int(vector["counter_hex"], 16)

    assert signer.digest(counter).hex() == vector["md_hex"]
    assert signer.verify(counter, bytes.fromhex(vector["md_hex"]))


@given(KEYS, VHIDS, st.lists(ADDRESSES, max_size=5), COUNTERS)
def test_digest_is_the_hmac_of_the_standard_library(
    key: bytes, vhid: int, vips: list[IPv4Address], counter: int
) -> None:
    """Any key, any group, any addresses, any counter."""
    digest = Authenticator(Key(key), vhid, vips).digest(counter)

    assert digest == oracle(key, vhid, vips, counter)
    on_the_wire = counter.to_bytes(8, "big")
    assert digest == Authenticator(Key(key), vhid, vips).digest_of(on_the_wire)


@given(st.lists(ADDRESSES, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_order_and_repetition_of_addresses_do_not_matter(
    vips: list[IPv4Address], random: Any
) -> None:
    """Two administrators may list the same addresses in their own order."""
    shuffled = [*vips, vips[0]]
    random.shuffle(shuffled)

    first = Authenticator(Key(b"k"), 1, vips)
    second = Authenticator(Key(b"k"), 1, iter(shuffled))

    assert first.digest(7) == second.digest(7)


@given(COUNTERS, st.integers(0, 159))
def test_one_wrong_bit_is_refused(counter: int, bit: int) -> None:
    """A digest is right as a whole or not at all."""
    signer = Authenticator(Key(b"love"), 7, [IPv4Address("10.1.1.252")])
    wrong = int.from_bytes(signer.digest(counter), "big") ^ 1 << bit

    assert not signer.verify(counter, wrong.to_bytes(20, "big"))


def test_signing_leaves_no_trace() -> None:
    """The prepared hash states serve any number of digests."""
    signer = Authenticator(Key(b"love"), 7, [IPv4Address("10.1.1.252")])
    first = signer.digest(1)
    signer.digest(2)

    assert signer.digest(1) == first
    assert not signer.verify(2, first)


@pytest.mark.parametrize("length", [1, 19, 20])
def test_key_lengths(length: int) -> None:
    """1 to 19 bytes of a password, 20 of a raw key."""
    assert repr(Key(b"x" * length)) == "Key()"
    assert PASSWORD_LENGTH_MAX == 19


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        pytest.param(b"", "You must supply a password", id="empty"),
        pytest.param(b"x" * 21, "Password too long: 21 bytes", id="21"),
    ],
)
def test_key_refuses(password: bytes, expected: str) -> None:
    """The kernels cut longer passwords silently; we say so instead."""
    with pytest.raises(PasswordError, match=expected):
        Key(password)


def test_the_password_is_never_shown() -> None:
    """Not by `repr`, not by a traceback, not by what holds the key."""
    secret = b"correct horse staple"
    key = Key(secret)
    shown = [repr(key), str(key), f"{key!r:>20}", repr(Authenticator(key, 1, []))]
    try:
        Key(secret + b"!")
    except PasswordError as error:
        shown.append("".join(traceback.format_exception(error)))

    assert len(shown) == 5
    assert not any("correct horse" in text for text in shown)
