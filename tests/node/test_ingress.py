"""Which frames are accepted, and why others are rejected."""

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.addresses import Address, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.node.ingress import (
    HintReceived,
    Ingress,
    Rejection,
    RejectReason,
    SolicitationReceived,
)
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.decode import Datagram, Defect, LinkType
from carppcap.wire.decode import decode as decode_frame
from carppcap.wire.header import Advert, decode, encode
from tests.builders import (
    GROUP,
    GROUP6,
    HIGHER,
    HIGHER6,
    LOWER,
    LOWER6,
    OURS,
    OURS6,
    PASSWORD,
    VIP,
    VIP6,
    config,
    ethernet,
    frame,
    ipv4,
    payload,
    vrrp_v2,
    vrrp_v3,
)

HOST = config()
OTHER_GROUP = IPv4Address("224.0.0.1")
INGRESS = Ingress([HOST])
SIGNED = Key(PASSWORD), 7, [VIP]
TYPE_2 = Authenticator(*SIGNED, type=2)
BODY = payload(HOST, counter=42)
GOOD = Datagram(LOWER, GROUP, 255, True, BODY)

VECTORS_FILE = Path(__file__).parents[2] / "fixtures" / "vectors" / "digests.json"
VECTORS: list[dict[str, Any]] = [
    vector
    for vector in json.loads(VECTORS_FILE.read_text(encoding="utf-8"))
    if "frames" in vector
]


HOST6 = config(source=None, source6=OURS6, vips=(VIP6,))
BOTH = config(source6=OURS6, vips=(VIP, VIP6))
INGRESS6 = Ingress([HOST6])
BODY6 = payload(HOST6, counter=42)
GOOD6 = Datagram(LOWER6, GROUP6, 255, True, BODY6)
AFAR, AFAR6 = IPv4Address("192.0.2.7"), IPv6Address("2001:db8::7")


def reason(verdict: object) -> RejectReason | None:
    return verdict.reason if isinstance(verdict, Rejection) else None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"source": OURS}, RejectReason.OWN, id="own"),
        pytest.param({"payload": vrrp_v2(1)}, RejectReason.VRRP, id="vrrp"),
        pytest.param({"payload": BODY[:35]}, RejectReason.BADLEN, id="length"),
        pytest.param({"ttl": 254}, RejectReason.BADTTL, id="ttl-254"),
        pytest.param({"ttl": 1}, RejectReason.BADTTL, id="ttl-1"),
        pytest.param(
            {"payload": payload(HOST, version=3)}, RejectReason.BADVER, id="version-3"
        ),
        pytest.param(
            {"payload": payload(HOST, version=1)}, RejectReason.BADVER, id="version-1"
        ),
        pytest.param(
            {"payload": payload(config(vhid=8))}, RejectReason.BADVHID, id="vhid"
        ),
        pytest.param(
            {"payload": payload(HOST, vhid=0)}, RejectReason.BADVHID, id="vhid-0"
        ),
        pytest.param(
            {"destination": OTHER_GROUP}, RejectReason.WRONG_GROUP, id="other-group"
        ),
        pytest.param({"destination": OURS}, RejectReason.WRONG_GROUP, id="unicast"),
        pytest.param({"header_ok": False}, RejectReason.BADSUM, id="ip-sum"),
        pytest.param(
            {"payload": BODY[:6] + b"\0\0" + BODY[8:]}, RejectReason.BADSUM, id="sum"
        ),
        pytest.param(
            {"payload": payload(HOST, digest=bytes(20))},
            RejectReason.BADAUTH,
            id="forged",
        ),
        pytest.param(
            {"payload": payload(HOST, password=b"hate")},
            RejectReason.BADAUTH,
            id="password",
        ),
        pytest.param(
            {"payload": payload(config(vips=(HIGHER,)))}, RejectReason.BADAUTH, id="vip"
        ),
    ],
)
def test_rejected_in_ipv4(changes: dict[str, Any], expected: RejectReason) -> None:
    """A frame with one fault is rejected for the reason of that fault."""
    datagram = replace(GOOD, **changes)

    verdict = INGRESS.check(datagram)

    assert isinstance(verdict, Rejection)
    assert (verdict.reason, verdict.datagram) == (expected, datagram)
    assert verdict.source == datagram.source
    before_decoding = (RejectReason.OWN, RejectReason.VRRP, RejectReason.BADLEN)
    assert (verdict.advert is None) == (expected in before_decoding)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"source": OURS6}, RejectReason.OWN, id="own"),
        pytest.param(
            {"source": IPv6Address("fd00:1::5%eth0")}, RejectReason.OWN, id="own-named"
        ),
        pytest.param(
            {"payload": vrrp_v3(1, source=LOWER6, destination=GROUP6)},
            RejectReason.VRRP,
            id="vrrp",
        ),
        pytest.param({"payload": BODY6[:35]}, RejectReason.BADLEN, id="length"),
        pytest.param({"ttl": 254}, RejectReason.BADTTL, id="hops-254"),
        pytest.param(
            {"payload": payload(HOST6, version=1)}, RejectReason.BADVER, id="version-1"
        ),
        pytest.param(
            {"payload": payload(replace(HOST6, vhid=8))},
            RejectReason.BADVHID,
            id="vhid",
        ),
        pytest.param(
            {"destination": IPv6Address("ff02::1")},
            RejectReason.WRONG_GROUP,
            id="other-group",
        ),
        pytest.param({"destination": OURS6}, RejectReason.WRONG_GROUP, id="unicast"),
        pytest.param(
            {"payload": BODY6[:6] + b"\0\0" + BODY6[8:]}, RejectReason.BADSUM, id="sum"
        ),
        pytest.param(
            {"payload": payload(HOST6, digest=bytes(20))},
            RejectReason.BADAUTH,
            id="forged",
        ),
        pytest.param({"payload": payload(BOTH)}, RejectReason.BADAUTH, id="vips"),
    ],
)
def test_rejected_in_ipv6(changes: dict[str, Any], expected: RejectReason) -> None:
    """The reasons are those of IPv4; an IPv6 header has no checksum."""
    datagram = replace(GOOD6, **changes)

    verdict = INGRESS6.check(datagram)

    assert isinstance(verdict, Rejection)
    assert (verdict.reason, verdict.source) == (expected, datagram.source)


@pytest.mark.parametrize(
    ("host", "datagram", "accepted"),
    [
        (HOST6, GOOD6, True),
        (HOST6, replace(GOOD, payload=BODY6), False),
        (HOST, GOOD, True),
        (HOST, replace(GOOD6, payload=BODY), False),
        (BOTH, replace(GOOD, payload=payload(BOTH)), True),
        (BOTH, replace(GOOD6, payload=payload(BOTH)), True),
        (BOTH, replace(GOOD, destination=GROUP6, payload=payload(BOTH)), False),
    ],
)
def test_a_vhid_is_unknown_in_a_family_without_addresses(
    host: VirtualHostConfig, datagram: Datagram, accepted: bool
) -> None:
    """An advert in that family is BADVHID, although its digest is right."""
    verdict = Ingress([host]).check(datagram)

    if accepted:
        assert isinstance(verdict, tuple)
        assert isinstance(verdict[1], AdvertReceived)
        assert verdict[1].family is Family.of(datagram.source)
    elif datagram.destination == GROUP6 and host is BOTH:
        assert reason(verdict) is RejectReason.WRONG_GROUP
    else:
        assert reason(verdict) is RejectReason.BADVHID


UNICAST = replace(BOTH, peers=(LOWER, AFAR, LOWER6, AFAR6))
IPV4_UNICAST = replace(BOTH, peers=(LOWER,))
NOT_OK = RejectReason.WRONG_GROUP


@pytest.mark.parametrize(
    ("host", "source", "destination", "ttl", "expected"),
    [
        pytest.param(UNICAST, LOWER, OURS, 255, None, id="peer"),
        pytest.param(UNICAST, LOWER6, OURS6, 255, None, id="peer-6"),
        pytest.param(UNICAST, AFAR, OURS, 63, None, id="routed"),
        pytest.param(UNICAST, AFAR6, OURS6, 1, None, id="routed-6"),
        pytest.param(UNICAST, HIGHER, OURS, 255, None, id="other-sender"),
        pytest.param(
            UNICAST, HIGHER, OURS, 254, RejectReason.BADTTL, id="routed-other-sender"
        ),
        pytest.param(
            UNICAST, HIGHER6, OURS6, 64, RejectReason.BADTTL, id="routed-other-6"
        ),
        pytest.param(UNICAST, LOWER, GROUP, 255, None, id="peer-to-group"),
        pytest.param(UNICAST, LOWER6, GROUP6, 255, None, id="peer-to-group-6"),
        pytest.param(UNICAST, LOWER, VIP, 255, NOT_OK, id="to-the-vip"),
        pytest.param(UNICAST, LOWER6, LOWER6, 255, NOT_OK, id="to-another"),
        pytest.param(UNICAST, OURS, OURS, 255, RejectReason.OWN, id="own"),
        pytest.param(IPV4_UNICAST, LOWER, OURS, 64, None, id="ipv4-peer"),
        pytest.param(IPV4_UNICAST, LOWER6, OURS6, 255, NOT_OK, id="no-ipv6-peer"),
        pytest.param(IPV4_UNICAST, LOWER6, GROUP6, 255, None, id="ipv6-group"),
        pytest.param(
            replace(UNICAST, source=None), LOWER, OURS, 255, NOT_OK, id="no-source"
        ),
        pytest.param(BOTH, LOWER, OURS, 64, RejectReason.BADTTL, id="no-peers"),
    ],
)
def test_adverts_of_peers(
    *,
    host: VirtualHostConfig,
    source: Address,
    destination: Address,
    ttl: int,
    expected: RejectReason | None,
) -> None:
    """With --peer they may be addressed to us; those of a peer may be routed."""
    datagram = Datagram(source, destination, ttl, True, payload(host))

    verdict = Ingress([host]).check(datagram)

    assert reason(verdict) is expected
    assert isinstance(verdict, tuple) == (expected is None)


def test_a_peer_of_one_group_is_no_peer_of_another() -> None:
    """Its adverts for a group without peers must have a TTL of 255."""
    second = replace(BOTH, vhid=8)
    ingress = Ingress([UNICAST, second])
    routed = Datagram(LOWER, GROUP, 64, True, payload(second))

    assert reason(ingress.check(routed)) is RejectReason.BADTTL
    assert isinstance(ingress.check(replace(routed, ttl=255)), tuple)


MAC = bytes.fromhex("020102030405")
LOCAL_VIPS = (VIP6, IPv6Address("fe80::252"))


@pytest.mark.parametrize("lladdr", [b"", MAC])
@pytest.mark.parametrize("link_local", [False, True])
@pytest.mark.parametrize("ours", [b"", MAC, bytes(range(6))])
@pytest.mark.parametrize("source_mac", [None, MAC])
def test_every_form_of_a_digest_is_accepted(
    lladdr: bytes, link_local: bool, ours: bytes, source_mac: bytes | None
) -> None:
    """Kernels differ in whether they sign link-local addresses and the MAC."""
    host = replace(HOST6, vips=LOCAL_VIPS, link_address=ours)
    signer = Authenticator(Key(PASSWORD), 7, LOCAL_VIPS, lladdr, link_local=link_local)
    body = payload(host, 42, digest=signer.digest(42))
    datagram = replace(GOOD6, payload=body, source_mac=source_mac)

    verdict = Ingress([host]).check(datagram)

    if lladdr in (b"", ours, source_mac):
        assert isinstance(verdict, tuple)
    else:
        usual = Authenticator(Key(PASSWORD), 7, LOCAL_VIPS, ours)
        assert isinstance(verdict, Rejection)
        assert verdict.digest_expected == usual.digest(42)


CHECKS_IN_ORDER: list[tuple[RejectReason, dict[str, Any]]] = [
    (RejectReason.OWN, {"source": OURS}),
    (RejectReason.BADTTL, {"ttl": 7}),
    (RejectReason.BADVER, {"version": 4}),
    (RejectReason.BADVHID, {"vhid": 9}),
    (RejectReason.WRONG_GROUP, {"destination": OTHER_GROUP}),
    (RejectReason.BADSUM, {"header_ok": False}),
    (RejectReason.BADAUTH, {"digest": bytes(20)}),
]


@pytest.mark.parametrize("first", range(len(CHECKS_IN_ORDER)))
def test_the_first_fault_names_the_rejection(first: int) -> None:
    """A frame with several faults is rejected for the one that is checked first."""
    expected = CHECKS_IN_ORDER[first][0]
    faults: dict[str, Any] = {}
    for _, fault in CHECKS_IN_ORDER[first:]:
        faults |= fault
    in_advert = {k: faults.pop(k) for k in ("version", "vhid", "digest") if k in faults}
    datagram = replace(GOOD, payload=payload(HOST, **in_advert), **faults)

    assert reason(INGRESS.check(datagram)) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"source": OURS}, RejectReason.OWN, id="own-before-vrrp"),
        pytest.param({"ttl": 7}, RejectReason.VRRP, id="vrrp-before-ttl"),
        pytest.param(
            {"ttl": 7, "payload": BODY[:20]},
            RejectReason.BADLEN,
            id="length-before-ttl",
        ),
        pytest.param(
            {"source": OURS, "payload": b""}, RejectReason.OWN, id="own-before-length"
        ),
    ],
)
def test_order_of_the_first_checks(
    changes: dict[str, Any], expected: RejectReason
) -> None:
    """They are: our own address, the shape of VRRP, the length, the TTL."""
    datagram = replace(replace(GOOD, payload=vrrp_v2(3)), **changes)

    assert reason(INGRESS.check(datagram)) is expected


HINT = Datagram(
    LOWER, OURS, 255, True, payload(HOST, 42, type=2, digest=TYPE_2.digest(42))
)
"""A peer tells us something."""


def test_a_hint_is_accepted() -> None:
    """It has type 2, a digest that covers the type, and our address as destination."""
    assert INGRESS.check(HINT) == (7, HintReceived(42))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"source": OURS}, RejectReason.OWN),
        ({"ttl": 254}, RejectReason.BADTTL),
        ({"payload": payload(HOST, vhid=8, type=2)}, RejectReason.BADVHID),
        ({"payload": payload(HOST, version=3, type=2)}, RejectReason.BADVER),
        ({"destination": HIGHER}, RejectReason.WRONG_GROUP),
        ({"header_ok": False}, RejectReason.BADSUM),
        ({"payload": payload(HOST, 42, type=2)}, RejectReason.BADAUTH),
        (
            {"payload": payload(HOST, digest=TYPE_2.digest(42))},
            RejectReason.WRONG_GROUP,
        ),
        ({"destination": GROUP}, RejectReason.BADAUTH),
        ({"payload": HINT.payload[:35]}, RejectReason.BADLEN),
    ],
)
def test_rejected_hints(changes: dict[str, Any], expected: RejectReason) -> None:
    """The reasons are those of adverts; the digest of an advert does not fit a hint."""
    verdict = INGRESS.check(replace(HINT, **changes))

    assert isinstance(verdict, Rejection)
    assert verdict.reason is expected
    expects = TYPE_2 if changes.get("destination") is None else Authenticator(*SIGNED)
    if expected is RejectReason.BADAUTH:
        assert verdict.digest_expected == expects.digest(42)


def test_an_advert_to_the_group_may_have_type_2() -> None:
    """Kernels do not check the type either."""
    verdict = INGRESS.check(replace(GOOD, payload=payload(HOST, 42, type=2)))

    assert isinstance(verdict, tuple)


@pytest.mark.parametrize("type_", [1, 2], ids=["advert", "hint"])
@pytest.mark.parametrize(
    ("password", "second", "expected"),
    [
        (b"new", b"love", True),
        (PASSWORD, b"old", False),
        (PASSWORD, PASSWORD, False),
        (PASSWORD, None, False),
        (b"new", b"old", RejectReason.BADAUTH),
        (b"new", None, RejectReason.BADAUTH),
    ],
)
def test_a_second_password(
    type_: int, password: bytes, second: bytes | None, expected: bool | RejectReason
) -> None:
    """What is signed with either is accepted, and it is told with which."""
    host = config(key=Key(password), second_key=Key(second) if second else None)

    verdict = Ingress([host]).check(HINT if type_ == 2 else GOOD)

    if isinstance(expected, RejectReason):
        assert reason(verdict) is expected
    else:
        assert isinstance(verdict, tuple)
        assert verdict[1].second_password is expected
        assert verdict[1].source == LOWER


def test_a_hint_for_a_host_with_peers() -> None:
    """Adverts come to the same address; the type tells them apart."""
    unicast = Ingress([config(peers=(LOWER,))])

    assert unicast.check(HINT) == (7, HintReceived(42))
    assert unicast.check(replace(HINT, ttl=3)) == (7, HintReceived(42))
    assert isinstance(unicast.check(replace(GOOD, destination=OURS)), tuple)


def test_without_a_password_hints_are_ignored() -> None:
    """Any host can send them then."""
    assert Ingress([config(key=None)]).check(HINT) is None


def test_frames_from_an_address_of_any_of_our_groups_are_own() -> None:
    """The group that they claim to be for does not matter."""
    second = config(vhid=9, source=HIGHER)
    ingress = Ingress([HOST, second])

    assert reason(ingress.check(replace(GOOD, source=OURS))) is RejectReason.OWN
    assert reason(ingress.check(replace(GOOD, source=HIGHER))) is RejectReason.OWN


@pytest.mark.parametrize("defect", [Defect.TRUNCATED, Defect.FRAGMENT])
def test_frames_that_cannot_be_decoded_are_badlen(defect: Defect) -> None:
    """The rejection has neither source nor vhid."""
    verdict = INGRESS.check(defect)

    assert verdict == Rejection(RejectReason.BADLEN)
    assert isinstance(verdict, Rejection)
    assert (verdict.source, verdict.vhid) == (None, None)


def test_frames_of_other_protocols_are_not_rejected() -> None:
    """None is returned for them, so that they are not counted."""
    assert INGRESS.check(Defect.FOREIGN) is None


def test_a_rejection_has_what_could_be_read_of_the_frame() -> None:
    """It has source and vhid, and for BADAUTH the digest that would have been right."""
    signer = Authenticator(Key(PASSWORD), 7, [VIP])
    forged = INGRESS.check(replace(GOOD, payload=payload(HOST, 42, digest=bytes(20))))
    short = INGRESS.check(replace(GOOD, payload=b""))

    assert isinstance(forged, Rejection)
    assert (forged.source, forged.vhid) == (LOWER, 7)
    assert forged.advert == Advert(7, 1, 0, 42, bytes(20))
    assert forged.digest_expected == signer.digest(42)
    assert isinstance(short, Rejection)
    assert (short.source, short.vhid, short.digest_expected) == (LOWER, None, None)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(frame(BODY), id="as-ucarp-sends-it"),
        pytest.param(frame(BODY + bytes(8)), id="eight-trailing-bytes"),
        pytest.param(frame(BODY) + bytes(6), id="ethernet-padding"),
        pytest.param(frame(payload(HOST, 42, type=2)), id="type-2"),
        pytest.param(frame(payload(HOST, 42, authlen=0)), id="authlen-0"),
        pytest.param(frame(payload(HOST, 42, authlen=8)), id="authlen-8"),
        pytest.param(frame(payload(HOST, 42, authlen=9)), id="authlen-9"),
        pytest.param(frame(payload(HOST, 42, demotion=255)), id="pad-byte-255"),
        pytest.param(ethernet(ipv4(BODY, options=b"\1\1\1\1")), id="ip-options"),
        pytest.param(ethernet(ipv4(BODY, fragment=0)), id="may-be-fragmented"),
        pytest.param(b"\xff" * 6 + frame(BODY)[6:], id="ethernet-broadcast"),
        pytest.param(frame(BODY, source=IPv4Address("0.0.0.0")), id="source-0.0.0.0"),
        pytest.param(frame(BODY, source=IPv4Address("192.0.2.1")), id="other-network"),
        pytest.param(frame(BODY, source=VIP), id="source-is-the-vip"),
    ],
)
def test_frames_that_a_bsd_kernel_accepts(raw: bytes) -> None:
    """They were injected into a NetBSD kernel (fixtures/netbsd-injected)."""
    verdict = INGRESS.check(decode_frame(raw, LinkType.ETHERNET))

    assert isinstance(verdict, tuple)
    vhid, event = verdict
    assert (vhid, event.counter) == (7, 42)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(ethernet(ipv4(BODY, ttl=254)), RejectReason.BADTTL, id="ttl-254"),
        pytest.param(frame(BODY[:-1] + b"\0"), RejectReason.BADSUM, id="sum"),
        pytest.param(
            frame(payload(HOST, version=3)), RejectReason.BADVER, id="version-3"
        ),
        pytest.param(frame(payload(HOST, vhid=43)), RejectReason.BADVHID, id="vhid-43"),
        pytest.param(frame(BODY[:-4]), RejectReason.BADLEN, id="cut-by-4"),
        pytest.param(frame(BODY)[:-4], RejectReason.BADLEN, id="capture-cut-by-4"),
        pytest.param(
            frame(payload(config(vips=()))), RejectReason.BADAUTH, id="no-vip-in-digest"
        ),
    ],
)
def test_frames_that_a_bsd_kernel_rejects(raw: bytes, expected: RejectReason) -> None:
    """The reason has the name of the counter that the kernel increments."""
    assert reason(INGRESS.check(decode_frame(raw, LinkType.ETHERNET))) is expected


def test_the_event_has_the_values_of_the_advert() -> None:
    """Values that the digest does not cover are passed on unchanged."""
    body = payload(HOST, 2**64 - 1, advbase=255, advskew=254, demotion=253)

    assert INGRESS.check(replace(GOOD, payload=body)) == (
        7,
        AdvertReceived(LOWER, 255, 254, 2**64 - 1, verified=True, demotion=253),
    )


def test_without_a_password_adverts_are_accepted_as_unverified() -> None:
    """A capture can be replayed without the password."""
    ingress = Ingress([config(key=None)])
    body = payload(HOST, 42, password=b"whatever")

    assert ingress.check(replace(GOOD, payload=body)) == (
        7,
        AdvertReceived(LOWER, 1, 0, 42, verified=False),
    )


def test_each_group_has_its_own_password_and_destination() -> None:
    """An advert with those of another group on the link is rejected."""
    second = config(
        vhid=8, key=Key(b"hate"), group=OTHER_GROUP, vips=(VIP, HIGHER), advbase=2
    )
    ingress = Ingress([HOST, second])
    theirs = payload(second, password=b"hate")

    accepted = ingress.check(Datagram(LOWER, OTHER_GROUP, 255, True, theirs))
    in_wrong_group = ingress.check(Datagram(LOWER, GROUP, 255, True, theirs))
    with_wrong_password = ingress.check(
        Datagram(LOWER, OTHER_GROUP, 255, True, payload(second))
    )

    assert isinstance(accepted, tuple)
    vhid, event = accepted
    assert isinstance(event, AdvertReceived)
    assert (vhid, event.advbase) == (8, 2)
    assert reason(in_wrong_group) is RejectReason.WRONG_GROUP
    assert reason(with_wrong_password) is RejectReason.BADAUTH


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_frames_of_four_implementations_are_accepted(vector: dict[str, Any]) -> None:
    """They come from fixtures/vectors, and include unicast and link-local addresses.

    A MAC that was set by hand on OpenBSD is known from the frame or from --lladdr.
    """
    sources: dict[int, Address] = {
        4: IPv4Address("192.0.2.2"),
        6: IPv6Address("fe80::2ff:fe00:1"),
    }
    host = config(
        vhid=vector["vhid"],
        key=Key(bytes.fromhex(vector["key_hex"])),
        vips=tuple(map(ip_address, (*vector["ipv4"], *vector["ipv6"]))),
        source=IPv4Address("198.51.100.224"),
        source6=IPv6Address("fe80::99"),
    )
    peered = replace(host, peers=(sources[4],))
    for raw in vector["frames"]:
        datagram = decode_frame(bytes.fromhex(raw["frame_hex"]), LinkType.ETHERNET)
        accepted = (
            vector["vhid"],
            AdvertReceived(
                sources[raw["ip_version"]],
                vector["advbase"],
                vector["wire_advskew"],
                int(vector["counter_hex"], 16),
                demotion=vector["wire_demotion"],
                link_local=vector["name"] == "netbsd-v6-linklocal",
            ),
        )

        assert isinstance(datagram, Datagram)
        assert Ingress([peered]).check(datagram) == accepted
        if "unicast" in vector["name"]:
            verdict = Ingress([host]).check(datagram)
            assert reason(verdict) is RejectReason.WRONG_GROUP
        else:
            assert Ingress([host]).check(datagram) == accepted
        elsewhere = replace(datagram, source_mac=bytes.fromhex("00005e000107"))
        if "lladdr" in vector:
            verdict = Ingress([peered]).check(elsewhere)
            assert reason(verdict) is RejectReason.BADAUTH
            set_by_hand = bytes.fromhex(vector["lladdr"])
            peered = replace(peered, link_address=set_by_hand)
        assert Ingress([peered]).check(elsewhere) == accepted
        advert = decode(datagram.payload)
        assert advert is not None
        assert encode(advert).hex() == vector["full_header_hex"]


ROUTERS = ["v2", "v2-password", "v2-bare", "v2-md5", "v3", "v3-ipv6"]


@pytest.mark.parametrize("count", range(1, 21))
@pytest.mark.parametrize("vrid", [7, 8], ids=["our-number", "another"])
@pytest.mark.parametrize("kind", ROUTERS)
def test_adverts_of_vrrp_routers(count: int, vrid: int, kind: str) -> None:
    """They are VRRP even if their number is the vhid of our group."""
    body = {
        "v2": lambda: vrrp_v2(count, vrid=vrid),
        "v2-password": lambda: vrrp_v2(count, vrid=vrid, auth=b"secret\0\0"),
        "v2-bare": lambda: vrrp_v2(count, vrid=vrid, auth=None),
        "v2-md5": lambda: vrrp_v2(count, vrid=vrid, auth=bytes(24), auth_type=254),
        "v3": lambda: vrrp_v3(count, vrid=vrid),
        "v3-ipv6": lambda: vrrp_v3(count, vrid=vrid, source=LOWER6, destination=GROUP6),
    }[kind]()
    source: Address = LOWER6 if kind == "v3-ipv6" else LOWER

    raw = frame(body, source=source)
    seen = reason(Ingress([BOTH]).check(decode_frame(raw, LinkType.ETHERNET)))

    # Seven addresses make version 2 look like an advert up to the digest, and one
    # of another group is not read so far; without the field of 8 bytes, which no
    # router leaves out, there are 36 bytes and nothing to tell them apart.
    if count == 7 and not kind.startswith("v3") and vrid == 8:
        assert seen is RejectReason.BADVHID
    elif count == 7 and kind == "v2-bare":
        assert seen is RejectReason.BADAUTH
    else:
        assert seen is RejectReason.VRRP


@pytest.mark.parametrize("count", range(1, 21))
@pytest.mark.parametrize("auth", [(bytes(8), 0), (bytes(24), 254)])
def test_routers_are_none_of_ours_without_a_password(
    count: int, auth: tuple[bytes, int]
) -> None:
    """There no digest can decide, and no implementation sends adverts of that shape."""
    body = vrrp_v2(count, auth=auth[0], auth_type=auth[1])
    ingress = Ingress([replace(HOST, key=None)])

    assert reason(ingress.check(replace(GOOD, payload=body))) is RejectReason.VRRP


@pytest.mark.parametrize("vlan", [(1,), (10, 20), (4095,)])
@pytest.mark.parametrize(
    "changes",
    [{}, {"source": OURS}, {"payload": b""}, {"payload": vrrp_v2(1)}, {"ttl": 1}],
    ids=["good", "own", "short", "vrrp", "ttl"],
)
def test_a_vlan_is_another_link(vlan: tuple[int, ...], changes: dict[str, Any]) -> None:
    """Nothing of it is for us, not even a complaint, and not our own host's either."""
    assert INGRESS.check(replace(GOOD, vlan=vlan, **changes)) is None


CHANGES = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 255)), min_size=1, max_size=3
)


def is_authentic(raw: bytes, host: VirtualHostConfig) -> bool:
    """True if the digest of a frame belongs to its counter; `Verifier` is not used."""
    datagram = decode_frame(raw, LinkType.ETHERNET)
    assert isinstance(datagram, Datagram)
    counter = int.from_bytes(datagram.payload[8:16], "big")
    signer = Authenticator(Key(PASSWORD), host.vhid, host.vips)
    return signer.digest(counter) == datagram.payload[16:36]


@given(CHANGES, st.integers(0, 90), st.binary(max_size=4))
def test_only_authentic_frames_are_accepted(
    changes: list[tuple[int, int]], cut: int, tail: bytes
) -> None:
    """However a frame is changed, it is accepted only if its digest is right."""
    raw = bytearray(frame(BODY))
    for index, value in changes:
        raw[index % len(raw)] = value
    spoiled = bytes(raw[: len(raw) - cut % 8]) + tail

    verdict = INGRESS.check(decode_frame(spoiled, LinkType.ETHERNET))

    if isinstance(verdict, tuple):
        assert is_authentic(spoiled, HOST)
        assert isinstance(verdict[1], AdvertReceived)
        assert verdict[1].source != OURS
    else:
        assert verdict is None or isinstance(verdict, Rejection)


@given(
    st.builds(
        Datagram,
        source=st.sampled_from([OURS, LOWER]),
        destination=st.sampled_from([GROUP, OTHER_GROUP]),
        ttl=st.sampled_from([255, 254]),
        header_ok=st.booleans(),
        payload=st.binary(max_size=50) | st.binary(max_size=9).map(BODY.__add__),
    )
)
def test_only_a_faultless_datagram_is_accepted(datagram: Datagram) -> None:
    """Any other is rejected."""
    verdict = INGRESS.check(datagram)

    assert verdict is not None
    assert isinstance(verdict, tuple) == (
        datagram.source == LOWER
        and datagram.destination == GROUP
        and datagram.ttl == 255
        and datagram.header_ok
        and datagram.payload.startswith(BODY)
    )


# Solicitations, and adverts for a single host.

SOLICITATION = Datagram(
    LOWER,
    VIP,
    255,
    True,
    payload(HOST, 42, type=3, digest=Authenticator(*SIGNED, type=3).digest(42)),
    is_broadcast=True,
)
COPY = replace(GOOD, destination=OURS, is_broadcast=True)


def test_a_solicitation_is_accepted() -> None:
    """It is addressed to the virtual address."""
    assert INGRESS.check(SOLICITATION) == (7, SolicitationReceived(42, LOWER))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"source": OURS}, RejectReason.OWN),
        ({"ttl": 254}, RejectReason.BADTTL),
        ({"header_ok": False}, RejectReason.BADSUM),
        ({"payload": SOLICITATION.payload[:35]}, RejectReason.BADLEN),
        ({"payload": payload(HOST, 42, type=3)}, RejectReason.BADAUTH),
        ({"destination": OURS}, RejectReason.BADAUTH),
        ({"destination": GROUP}, RejectReason.BADAUTH),
    ],
)
def test_rejected_solicitations(
    changes: dict[str, Any], expected: RejectReason
) -> None:
    """The reasons are those of adverts; its digest does not fit any other message."""
    assert reason(INGRESS.check(replace(SOLICITATION, **changes))) is expected


def test_solicitations_for_others_are_ignored() -> None:
    """They are for another group, or we cannot check them, or have unicast peers."""
    elsewhere = replace(SOLICITATION, destination=HIGHER)

    assert INGRESS.check(elsewhere) is None
    assert Ingress([config(vhid=8)]).check(SOLICITATION) is None
    assert Ingress([config(key=None)]).check(SOLICITATION) is None
    assert Ingress([config(peers=(HIGHER,))]).check(SOLICITATION) is None


def test_an_advert_to_us_in_a_broadcast_frame_is_accepted() -> None:
    """It says so; in a frame to our own MAC it lacks a --peer here."""
    vhid_and_event = INGRESS.check(COPY)

    assert vhid_and_event == (7, AdvertReceived(LOWER, 1, 0, 42, to_us=True))
    as_unicast = INGRESS.check(replace(COPY, is_broadcast=False))
    assert reason(as_unicast) is RejectReason.WRONG_GROUP


def test_an_advert_to_another_host_is_ignored() -> None:
    """All hosts receive the frame, and it says nothing about their settings."""
    assert INGRESS.check(replace(COPY, destination=HIGHER)) is None
    assert reason(INGRESS.check(replace(COPY, ttl=9))) is RejectReason.BADTTL


def test_an_advert_to_the_group_may_be_broadcast() -> None:
    """As with --nomcast of ucarp."""
    heard = INGRESS.check(replace(GOOD, is_broadcast=True))

    assert heard == (7, AdvertReceived(LOWER, 1, 0, 42))
