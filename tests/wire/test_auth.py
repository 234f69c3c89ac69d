"""Keys and digests: against vectors of four implementations, and Python's own HMAC."""

import hashlib
import hmac
import json
import traceback
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.addresses import Address
from carppcap.errors import PasswordError
from carppcap.wire.auth import PASSWORD_LENGTH_MAX, Authenticator, Key, Verifier

VECTORS_FILE = Path(__file__).parents[2] / "fixtures" / "vectors" / "digests.json"
VECTORS: list[dict[str, Any]] = json.loads(VECTORS_FILE.read_text(encoding="utf-8"))
every_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])

KEYS = st.binary(min_size=1, max_size=20)
VHIDS = st.integers(1, 255)
COUNTERS = st.integers(0, 2**64 - 1)
LINK_LOCAL = st.integers(1, 9).map(lambda n: IPv6Address(0xFE80 << 112 | n << 94 | n))
ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6) | LINK_LOCAL
TYPES = st.integers(0, 15)

GLOBAL, LOCAL = IPv6Address("2001:db8::254"), IPv6Address("fe80::254")
MAC, OTHER_MAC = bytes.fromhex("020102030405"), bytes.fromhex("0200000a0105")


def oracle(
    key: bytes,
    vhid: int,
    vips: list[Address],
    counter: int,
    *,
    lladdr: bytes = b"",
    link_local: bool = False,
    message_type: int = 1,
) -> bytes:
    """The digest of one message in one call, made of numbers in place of bytes."""
    ipv4 = {int(vip) for vip in vips if vip.version == 4}
    ipv6 = {int(vip) for vip in vips if vip.version == 6}
    scoped = {number for number in ipv6 if number >> 118 == 0xFE80 >> 6}
    ipv6 -= scoped
    if link_local:
        ipv6 |= {number & ~(0xFFFF << 96) for number in scoped}
    message = bytes((2, message_type)) + lladdr + bytes((vhid,))
    for numbers, length in ((ipv4, 4), (ipv6, 16)):
        for number in sorted(numbers - {0, (1 << 8 * length) - 1}):
            message += number.to_bytes(length, "big")
    return hmac.new(key, message + counter.to_bytes(8, "big"), hashlib.sha1).digest()


def addresses_of(vector: dict[str, Any]) -> list[Address]:
    """The virtual addresses of a vector."""
    return [ip_address(text) for text in (*vector["ipv4"], *vector["ipv6"])]


def test_vectors_are_there() -> None:
    """There are vectors of each implementation, and one of each special case."""
    assert {vector["impl"] for vector in VECTORS} == {
        "freebsd", "openbsd", "netbsd", "ucarp"
    }  # fmt: skip
    names = {vector["name"] for vector in VECTORS}
    assert {"openbsd-custom-lladdr", "freebsd-dup-and-special-v4"} <= names
    assert {"freebsd-mixed-v6pkt", "netbsd-v6-linklocal"} <= names
    assert any(len(vector["ipv4"]) > 2 for vector in VECTORS)


@every_vector
def test_digest_vectors(vector: dict[str, Any]) -> None:
    """The digest of every implementation, for the addresses it was given."""
    key = Key(bytes.fromhex(vector["key_hex"]))
    lladdr = bytes.fromhex(vector.get("lladdr", ""))
    vips = addresses_of(vector)
    counter, digest = int(vector["counter_hex"], 16), bytes.fromhex(vector["md_hex"])
    signer = Authenticator(
        key,
        vector["vhid"],
        vips,
        lladdr,
        # NetBSD signs link-local addresses, FreeBSD as well; OpenBSD has a mode.
        link_local=vector.get("hmac_mode", "orig") == "orig",
    )

    assert signer.digest(counter).hex() == vector["md_hex"]
    assert signer.verify(counter, digest)
    assert Verifier(key, vector["vhid"], vips).find(counter, digest, lladdr)


def test_link_local_vectors_show_both_forms() -> None:
    """One of the two forms is the one that carppcap signs."""
    usual = {}
    for vector in VECTORS:
        if vector["name"].endswith(("v6-linklocal", "linklocal-sent")):
            key = Key(bytes.fromhex(vector["key_hex"]))
            verifier = Verifier(key, vector["vhid"], addresses_of(vector))
            digest = verifier.usual.digest(int(vector["counter_hex"], 16))
            usual[vector["impl"]] = digest.hex() == vector["md_hex"]

    assert usual == {"openbsd": True, "netbsd": False}


@given(
    key=KEYS,
    vhid=VHIDS,
    vips=st.lists(ADDRESSES, max_size=5),
    counter=COUNTERS,
    lladdr=st.sampled_from([b"", MAC]),
    link_local=st.booleans(),
    message_type=TYPES,
)
def test_digest_is_the_hmac_of_one_message(
    *,
    key: bytes,
    vhid: int,
    vips: list[Address],
    counter: int,
    lladdr: bytes,
    link_local: bool,
    message_type: int,
) -> None:
    """Any key, any group, any addresses, any counter, any type."""
    signer = Authenticator(
        Key(key), vhid, vips, lladdr, link_local=link_local, type=message_type
    )

    assert signer.digest(counter) == oracle(
        key,
        vhid,
        vips,
        counter,
        lladdr=lladdr,
        link_local=link_local,
        message_type=message_type,
    )


@given(st.lists(ADDRESSES, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_order_and_repetition_of_addresses_do_not_matter(
    vips: list[Address], random: Any
) -> None:
    """Two administrators may list the same addresses in their own order."""
    shuffled = [*vips, vips[0]]
    random.shuffle(shuffled)

    first = Authenticator(Key(b"k"), 1, vips)
    second = Authenticator(Key(b"k"), 1, iter(shuffled))

    assert first.digest(7) == second.digest(7)


def test_the_interface_of_an_address_is_not_signed() -> None:
    """The zone of a link-local address is not signed, however it is written."""
    spelt = ("fe80::254", "fe80::254%eth0", "fe80:7::254")
    digests = {
        Authenticator(Key(b"k"), 1, [IPv6Address(text)], link_local=True).digest(7)
        for text in spelt
    }

    assert digests == {oracle(b"k", 1, [LOCAL], 7, link_local=True)}


FORMS = [(link_local, lladdr) for link_local in (False, True) for lladdr in (b"", MAC)]


@pytest.mark.parametrize("ours", [b"", MAC, OTHER_MAC])
@pytest.mark.parametrize(("link_local", "lladdr"), FORMS)
@pytest.mark.parametrize("source_mac", [None, MAC, OTHER_MAC, b"\0\0\x5e\0\1\7"])
def test_every_form_of_a_peer_is_found(
    ours: bytes, link_local: bool, lladdr: bytes, source_mac: bytes | None
) -> None:
    """With link-local addresses or without; with its MAC, if it was set by hand.

    That MAC must be ours as well, or that of the frame.
    """
    vips: list[Address] = [GLOBAL, LOCAL, IPv4Address("192.0.2.1")]
    verifier = Verifier(Key(b"love"), 7, vips, ours)
    digest = oracle(b"love", 7, vips, 5, lladdr=lladdr, link_local=link_local)

    found = verifier.find(5, digest, source_mac)

    assert (found is not None) == (lladdr in (b"", ours, source_mac))
    assert found is None or found.digest(6) == oracle(
        b"love", 7, vips, 6, lladdr=lladdr, link_local=link_local
    )


@pytest.mark.parametrize("vips", [[IPv4Address("192.0.2.1")], [LOCAL], [LOCAL, GLOBAL]])
@pytest.mark.parametrize("ours", [b"", MAC])
def test_the_usual_form_is_the_one_we_send(vips: list[Address], ours: bytes) -> None:
    """Without link-local addresses, as OpenBSD does it; with our own MAC if set."""
    verifier = Verifier(Key(b"love"), 7, vips, ours)

    assert verifier.usual.digest(5) == oracle(b"love", 7, vips, 5, lladdr=ours)
    assert verifier.find(5, verifier.usual.digest(5)) is verifier.usual


@pytest.mark.parametrize("index", [0, 1])
def test_a_virtual_mac_is_never_signed(index: int) -> None:
    """A virtual MAC was not set by hand, so no genuine peer signs it."""
    mac = bytes((0, 0, 0x5E, 0, index, 7))
    verifier = Verifier(Key(b"love"), 7, [GLOBAL])
    digest = oracle(b"love", 7, [GLOBAL], 5, lladdr=mac)

    assert verifier.find(5, digest, mac) is None


def test_the_type_is_signed() -> None:
    """A message of another type is no advert, and no advert is such a message."""
    advert = Verifier(Key(b"love"), 7, [GLOBAL, LOCAL])
    other = Verifier(Key(b"love"), 7, [GLOBAL, LOCAL], type=2)

    assert other.usual.digest(5) == oracle(b"love", 7, [GLOBAL], 5, message_type=2)
    assert advert.find(5, other.usual.digest(5)) is None
    assert other.find(5, advert.usual.digest(5), MAC) is None
    by_mac = oracle(b"love", 7, [LOCAL], 5, lladdr=MAC, message_type=2)
    assert Verifier(Key(b"love"), 7, [LOCAL], type=2).find(5, by_mac, MAC)


@pytest.mark.parametrize(
    ("vips", "expected"), [([IPv4Address("192.0.2.1")], 1), ([LOCAL, GLOBAL], 2)]
)
def test_only_what_differs_is_tried(
    vips: list[Address], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the usual group an advert costs one digest, even if it is forged."""
    verifier = Verifier(Key(b"love"), 7, vips)
    tried: list[bytes] = []
    monkeypatch.setattr(Authenticator, "verify", lambda *_: tried.append(b""))

    assert verifier.find(5, bytes(20)) is None
    assert len(tried) == expected


@pytest.mark.parametrize(
    ("signed_with", "expected"), [("new", "new"), ("old", "old"), ("any", None)]
)
def test_a_second_password_is_believed(signed_with: str, expected: str | None) -> None:
    """An advert is accepted with either key, and the form tells with which."""
    keys = {word: Key(word.encode()) for word in ("new", "old", "any")}
    verifier = Verifier(keys["new"], 7, [GLOBAL, LOCAL], second_key=keys["old"])
    signer = Authenticator(keys[signed_with], 7, [GLOBAL, LOCAL], link_local=True)

    form = verifier.find(5, signer.digest(5))

    assert (form and form.key) is (expected and keys[expected])
    assert verifier.usual.key is keys["new"]


@given(COUNTERS, st.integers(0, 159))
def test_one_wrong_bit_is_refused(counter: int, bit: int) -> None:
    """A digest with one wrong bit is refused."""
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
    """A longer password is an error; the kernels truncate it silently."""
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


def test_peers_whose_macs_were_set_by_hand() -> None:
    """One after the other, and the same one again."""
    verifier = Verifier(Key(b"love"), 7, [GLOBAL])
    for mac in (MAC, MAC, OTHER_MAC, MAC):
        digest = oracle(b"love", 7, [GLOBAL], 5, lladdr=mac)

        assert verifier.find(5, digest, mac)
        assert verifier.find(5, digest, bytes(5) + b"\1") is None
        assert verifier.find(5, digest, mac)
        assert verifier.find(5, bytes(20), mac) is None
