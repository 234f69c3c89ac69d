"""What an interface is to each of its groups; the IPv6 source that is chosen."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from carppcap.addresses import Address
from carppcap.daemon.group_link import GroupLink
from carppcap.daemon.interface import Interface
from carppcap.daemon.loop import Daemon, NamedGroup
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import LinkDown, LinkUp
from carppcap.options.settings import Settings
from carppcap.system.syslog import NamedLog
from tests.builders import VIP, config
from tests.daemon.test_interface import Subject
from tests.shell import MemoryLog, ip, ipv6_network, wait_for

pytestmark = pytest.mark.netns

OURS6, VIP6 = IPv6Address("fd00::5"), IPv6Address("fd00::fc")
BOTH = config(interface="a0", vips=(VIP, VIP6), source6=OURS6)
NO_SOURCE = config(interface="a0", vips=(VIP6,), source=None)
LACKING = "a0 has no IPv6 address to send from: waiting for one (or give --srcip)"


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    with ipv6_network():
        yield


def until_usable(made: Subject) -> VirtualHostConfig:
    """Refresh until adverts can be exchanged; return the group as it is then."""
    wait_for(lambda: made.interface.usable or LinkUp() in made.interface.look().events)
    return made.interface.config


def sourced(host: VirtualHostConfig) -> VirtualHostConfig:
    """Return `host` with a source."""
    made = Subject(host, any_source6=host.source6 is None)
    with closing(made.interface):
        return until_usable(made)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(config(interface="a0"), None, id="not-needed"),
        pytest.param(BOTH, OURS6, id="given"),
        pytest.param(
            config(interface="a0", vips=(VIP6,), peers=(IPv6Address("fd00::9"),)),
            OURS6,
            id="for-a-peer",
        ),
    ],
)
def test_source(host: VirtualHostConfig, expected: Address | None) -> None:
    """A source is chosen where one is needed and none was given."""
    assert sourced(host).source6 == expected


def test_an_address_that_is_being_checked_is_waited_for() -> None:
    """Each start chooses the link-local one, however soon the interface came up."""
    ip("address flush dev a0 scope link")
    ip("link set a0 down")
    ip("link set a0 up")
    ip("address add fd00::5/64 dev a0 nodad")
    made = Subject(NO_SOURCE, any_source6=True)
    with closing(made.interface):
        found = until_usable(made).source6

    assert found is not None
    assert found.is_link_local
    assert ("INFO", f"Using [{found}] as IPv6 source address on a0") in made.said()
    assert not any("to send from" in text for text in made.log.texts)


def test_an_interface_that_comes_later() -> None:
    """It is waited for, with a line for each thing that is missing."""
    ip("link delete a0")
    made = Subject(NO_SOURCE, any_source6=True)
    with closing(made.interface):
        ip("link add a0 type veth peer name b0")
        ip("link set b0 up")
        events = made.news()
        ip("link set a0 addrgenmode none")
        ip("link set a0 up")
        wait_for(lambda: made.news() or LACKING in made.log.texts)
        assert events == []
        assert not made.interface.usable
        ip("address add fd00::6/64 dev a0 nodad")
        wait_for(lambda: LinkUp() in made.news())

    assert made.interface.config.source6 == IPv6Address("fd00::6")
    assert [text for level, text in made.said() if level == "WARNING"] == [
        "a0 is not there yet: waiting for it",
        "a0 is down",
        LACKING,
        "a0 can be used",
    ]


def test_a_source_is_needed_whatever_the_link_says() -> None:
    """Also with --ignoreifstate: without a source there is nothing to send."""
    ip("-6 address flush dev a0")
    made = Subject(NO_SOURCE, any_source6=True, ignore_link_state=True)
    with closing(made.interface):
        assert not made.interface.usable
        assert made.said()[-1] == ("WARNING", LACKING)
        ip("address add fd00::6/64 dev a0 nodad")
        wait_for(lambda: LinkUp() in made.news())


def test_two_groups_on_one_interface() -> None:
    """What is said of the interface is said once; each group has trouble of its own."""
    log = MemoryLog()
    one = config(interface="a0")
    other = replace(BOTH, vhid=8)
    interface = Interface([one, other], log)
    links = [GroupLink(interface, host, log) for host in (one, other)]

    def after(command: str) -> list[list[object]]:
        ip(command)
        found: list[list[object]] = [[], []]

        def come() -> bool:
            refreshed = interface.refresh()
            for events, link in zip(found, links, strict=True):
                events.extend(link.news(refreshed))
            return refreshed.before != interface.status

        wait_for(come)
        return found

    with closing(interface):
        wait_for(lambda: all(link.usable for link in links) or not after("link"))
        log.lines.clear()
        assert after("address delete 10.1.1.5/24 dev a0") == [[LinkDown()], []]
        assert after("address add 10.1.1.5/24 dev a0") == [[LinkUp()], []]
        assert after("link set a0 down") == [[LinkDown()], [LinkDown()]]

    assert log.texts == [
        "a0 has lost our address 10.1.1.5",
        "a0 can be used again",
        "a0 is down",
    ]


def test_the_name_of_the_group() -> None:
    """What concerns one group only is in its own log."""
    log = MemoryLog()
    interface = Interface([NO_SOURCE], log)
    with closing(interface):
        wait_for(
            lambda: (
                any(s.address.is_link_local for s in interface.status.sources)
                or not interface.refresh()
            )
        )
        GroupLink(interface, NO_SOURCE, NamedLog(log, "web"), any_source6=True)

    assert any(text.startswith("web: Using [fe80::") for text in log.texts)


def test_a_source_that_is_there_at_once_is_known_to_the_election() -> None:
    """It takes our own frames for ours, and compares our address in a tie."""
    sourced(NO_SOURCE)
    daemon = Daemon([NamedGroup("", Settings(), NO_SOURCE)], MemoryLog())
    with closing(daemon):
        [driver] = daemon.drivers.values()
        known = daemon.node.group("a0", NO_SOURCE.vhid).config

    assert known == driver.config
    assert known.source6 is not None
