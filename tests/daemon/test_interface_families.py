"""One interface in both families, and for peers instead of a group."""

from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from carppcap.addresses import Address
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesLost, LinkDown, LinkUp
from carppcap.errors import LinkError
from carppcap.system.neighbours import NotPermittedError
from tests.builders import LOWER, VIP, config
from tests.daemon.test_group_link import sourced
from tests.daemon.test_interface import IGMP_OF_GROUP, Subject, groups
from tests.shell import ip, ipv6_network, make_link, wait_for

pytestmark = pytest.mark.netns

OURS6, VIP6 = IPv6Address("fd00::5"), IPv6Address("fd00::fc")
MLD_OF_GROUP = "ff020000000000000000000000000012"

BOTH = config(interface="a0", vips=(VIP, VIP6), source6=OURS6)
ONLY_IPV6 = config(interface="a0", source=None, vips=(VIP6,), source6=OURS6)


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    with ipv6_network():
        yield


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    made = Subject(request.param)
    wait_for(lambda: made.interface.look().events or made.interface.usable)
    made.news()
    made.said()
    with closing(made.interface):
        yield made


def groups6() -> str:
    lines = Path("/proc/thread-self/net/igmp6").read_text().splitlines()
    return "\n".join(line for line in lines if " a0 " in line)


@pytest.mark.parametrize(
    ("host", "ipv4", "ipv6"),
    [
        pytest.param(config(interface="a0"), True, False, id="ipv4"),
        pytest.param(ONLY_IPV6, False, True, id="ipv6"),
        pytest.param(BOTH, True, True, id="both"),
        pytest.param(
            config(interface="a0", vips=(VIP, VIP6), source6=OURS6, multicast=False),
            False,
            False,
            id="nomcast",
        ),
        pytest.param(
            config(interface="a0", peers=(LOWER,)), False, False, id="unicast"
        ),
    ],
)
def test_groups(host: VirtualHostConfig, ipv4: bool, ipv6: bool) -> None:
    """It is in the groups of the families it advertises in, until `close`."""
    made = Subject(host)

    assert (IGMP_OF_GROUP in groups()) is ipv4
    assert (MLD_OF_GROUP in groups6()) is ipv6
    made.interface.close()
    assert MLD_OF_GROUP not in groups6()


@pytest.mark.parametrize("subject", [BOTH], indirect=True)
def test_one_family_is_enough(subject: Subject) -> None:
    """A host is out of service only without its addresses of both families."""
    assert subject.after("address delete fd00::5/64 dev a0") == []
    assert subject.said() == [("WARNING", "a0 has lost our address fd00::5")]
    assert subject.after("address delete 10.1.1.5/24 dev a0") == [LinkDown()]
    assert subject.said() == [("WARNING", "a0 has lost our address 10.1.1.5, fd00::5")]
    assert subject.after("address add fd00::5/64 dev a0 nodad") == [LinkUp()]


@pytest.mark.parametrize("subject", [ONLY_IPV6], indirect=True)
def test_the_only_family(subject: Subject) -> None:
    """Without its only address a host is out of service, as in IPv4."""
    assert subject.after("address delete fd00::5/64 dev a0") == [LinkDown()]
    assert subject.after("address add fd00::5/64 dev a0 nodad") == [LinkUp()]


@pytest.mark.parametrize("insisted", [False, True])
def test_an_interface_made_again_with_another_mac(insisted: bool) -> None:
    """Its new link-local address will do, unless the user gave the old one."""
    host = sourced(config(interface="a0", vips=(VIP6,), source=None))
    made = Subject(host, any_source6=not insisted)

    def has_ipv6() -> bool:
        made.interface.look()
        return any(one.address.version == 6 for one in made.interface.status.sources)

    with closing(made.interface):
        wait_for(has_ipv6)
        assert made.after("link delete a0") == [LinkDown()]
        make_link()
        wait_for(has_ipv6)

        assert host.source6 not in made.interface.status.addresses
        assert made.interface.usable is not insisted

        # With no address of the family there is nothing to take part with.
        ip("-6 address flush dev a0")
        made.news()
        assert not made.interface.usable


@pytest.mark.parametrize("given", [False, True])
def test_another_card_has_another_source(given: bool) -> None:
    """Once its address is no duplicate, it is the source, unless the user gave one."""
    host = sourced(config(interface="a0", vips=(VIP6,), source=None))
    made = Subject(host, any_source6=not given)
    with closing(made.interface):
        wait_for(lambda: made.interface.look().events or made.interface.usable)
        ip("link delete a0")
        made.news()
        assert made.interface.config is host
        make_link()
        ip("address add fd00::5/64 dev a0 nodad")

        def is_checked() -> bool:
            made.news()
            sources = made.interface.status.sources
            return any(one.address.is_link_local for one in sources)

        wait_for(is_checked)

        new = made.interface.config.source6
        assert (new == host.source6) is given
        assert new is not None
        assert new.is_link_local
        assert (new in made.interface.status.addresses) is not given


@pytest.mark.parametrize("subject", [BOTH], indirect=True)
def test_a_virtual_address_that_goes(subject: Subject) -> None:
    """An IPv6 address counts like an IPv4 address."""
    subject.after("address add fd00::fc/128 dev a0 nodad")
    ip("address delete fd00::fc/128 dev a0")

    assert subject.interface.look().events == (AddressesLost(),)
    assert subject.said() == [("INFO", "fd00::fc is no longer on a0")]


def test_a_foreign_source_is_named() -> None:
    """There is a warning for each source address that is not there."""
    host = config(interface="a0", vips=(VIP, VIP6), source=LOWER, source6=OURS6 + 1)
    made = Subject(host)

    assert [text for level, text in made.said() if level == "WARNING"] == [
        "10.1.1.4 is not an address of a0 (--srcip)",
        "fd00::6 is not an address of a0 (--srcip)",
    ]
    made.interface.close()


def unicast(*peers: Address) -> VirtualHostConfig:
    return config(interface="a0", peers=peers)


@pytest.mark.parametrize("subject", [unicast(LOWER)], indirect=True)
def test_the_kernel_finds_a_peer(subject: Subject) -> None:
    """It is not known at first, then it is; without an interface it is not."""
    # Two hosts in one network do not resolve each other, so the answer is put there.
    assert subject.interface.next_hop_mac(LOWER) is None
    ip("neighbour replace 10.1.1.4 lladdr 02:00:00:00:00:04 dev a0 nud reachable")
    assert subject.interface.next_hop_mac(LOWER) == bytes.fromhex("020000000004")

    subject.after("link delete a0")
    assert subject.interface.next_hop_mac(LOWER) is None


@pytest.mark.parametrize("subject", [unicast(LOWER)], indirect=True)
def test_a_refusal_to_resolve_is_logged_once(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is logged once, and the MAC is unknown."""

    def refuse(*_: object) -> bytes | None:
        raise NotPermittedError("Unable to have {address} resolved", address=LOWER)

    monkeypatch.setattr("carppcap.system.neighbours.Neighbours.mac_of", refuse)

    assert subject.interface.next_hop_mac(LOWER) is None
    assert subject.interface.next_hop_mac(LOWER) is None
    assert subject.said() == [("WARNING", "Unable to have 10.1.1.4 resolved")]


@pytest.mark.parametrize("subject", [unicast(LOWER)], indirect=True)
def test_no_descriptor_for_the_neighbours(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interface is not used without them, and is opened again later."""

    def refuse(*_: object) -> None:
        raise LinkError("no descriptor")

    subject.after("link delete a0")
    with monkeypatch.context() as patched:
        patched.setattr("carppcap.daemon.interface.Neighbours", refuse)
        make_link()
        assert LinkUp() not in subject.news()
        assert subject.interface.look().needs_retry
    wait_for(lambda: LinkUp() in subject.news())

    ip("neighbour replace 10.1.1.4 lladdr 02:00:00:00:00:04 dev a0 nud reachable")
    assert subject.interface.next_hop_mac(LOWER) == bytes.fromhex("020000000004")


@pytest.mark.parametrize("subject", [config(interface="a0")], indirect=True)
def test_without_peers_no_mac_is_known(subject: Subject) -> None:
    """No MAC is known without `peers`: a group needs none."""
    assert subject.interface.next_hop_mac(IPv4Address("10.1.1.4")) is None


def protocol_sockets() -> int:
    """Return the number of raw sockets of protocol 112 in this network."""
    lines = Path("/proc/thread-self/net/raw").read_text().splitlines()
    return sum(":0070 " in line for line in lines)


@pytest.mark.parametrize(
    ("host", "held"), [(unicast(LOWER), 1), (config(interface="a0"), 0)]
)
def test_the_kernel_is_kept_quiet_for_peers(host: VirtualHostConfig, held: int) -> None:
    """The kernel would answer each of their adverts with an error."""
    made = Subject(host)

    assert protocol_sockets() == held
    made.interface.close()
    assert protocol_sockets() == 0


@pytest.mark.parametrize("subject", [BOTH], indirect=True)
def test_a_router_is_known(subject: Subject) -> None:
    """The setting of the interface is read each time."""
    setting = Path("/proc/sys/net/ipv6/conf/a0/forwarding")
    found = [subject.interface.forwards_ipv6]
    setting.write_text("1")
    found.append(subject.interface.forwards_ipv6)
    ip("link delete a0")
    found.append(subject.interface.forwards_ipv6)

    assert found == [False, True, False]
