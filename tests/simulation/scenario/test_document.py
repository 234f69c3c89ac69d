"""Scenario files, and mistakes in them."""

import tomllib
from contextlib import nullcontext
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from carppcap.errors import ConfigError
from carppcap.simulation.scenario.document import check, parse_document, parse_script
from carppcap.simulation.scenario.parts import (
    AT_ONCE,
    Kind,
    Member,
    Order,
    Quality,
    Scenario,
    Scene,
    Script,
    Span,
    Verb,
)
from carppcap.units import NS_PER_MS, NS_PER_S
from carppcap.wire.auth import Authenticator


def parsed(text: str) -> Scenario:
    return parse_document(tomllib.loads(text), "file")


def member(flags: str = "", **table: Any) -> Member:
    """Return the only host of a scenario."""
    document = {"node": {"alpha": {"flags": flags} | table}}
    return parse_document(document, "file").members[0]


def test_everything_at_once() -> None:
    """A file may have every key there is."""
    scenario = parsed("""
        title = "A test"
        duration = "90s"
        story = ["at 10s crash beta", "at 20s start beta"]
        [group]
        flags = "-v 9 -a 10.0.0.9"
        [wire]
        loss = "1%"
        delay = "2ms"
        jitter = "3ms"
        duplicate = "4%"
        reorder = "5%"
        corrupt = "6%"
        [node.alpha]
        flags = "-s 10.0.0.1 -k 3 -b 2 -r 4 -P -z -n -S --script-timeout 7"
        up_script = "200ms, exit 3, address first"
        down_script = "none"
        start = "1s..2s"
        drift = "-20ppm"
        [node.beta]
        kind = "openbsd"
        start = "never"
    """)

    alpha, beta = scenario.members
    config = alpha.config
    assert (scenario.title, scenario.duration_ns) == ("A test", 90 * NS_PER_S)
    assert scenario.quality == Quality(
        0.01, 2 * NS_PER_MS, 3 * NS_PER_MS, 0.04, 0.05, 0.06
    )
    assert [scene.deed for scene in scenario.story] == [
        Order(Verb.CRASH, ("beta",)),
        Order(Verb.START, ("beta",)),
    ]
    assert (config.vhid, config.vips) == (9, (IPv4Address("10.0.0.9"),))
    assert (config.source, config.advskew) == (IPv4Address("10.0.0.1"), 3)
    assert (config.advbase, config.dead_ratio, config.preempt) == (2, 4, True)
    assert (config.neutral, config.farewell, alpha.shutdown) == (True, True, True)
    assert alpha == Member(
        "alpha",
        config,
        shutdown=True,
        ignore_link_state=True,
        script_timeout_ns=7 * NS_PER_S,
        up=Script(200 * NS_PER_MS, 3, address_first=True),
        down=Script(exit_code=None),
        start=Span(NS_PER_S, 2 * NS_PER_S),
        drift_ppm=-20,
    )
    assert (beta.name, beta.kind, beta.start) == ("beta", Kind.OPENBSD, None)
    assert (beta.config.vhid, beta.config.advskew) == (9, 100)


def test_defaults() -> None:
    """Hosts without settings differ in address and skew, and share one group."""
    scenario = parsed("[node.a]\n[node.b]\n[node.c]\n[node.d]")

    configs = [member.config for member in scenario.members]
    assert [str(config.source) for config in configs] == [
        "10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4",
    ]  # fmt: skip
    assert [config.advskew for config in configs] == [0, 100, 200, 254]
    assert len({(config.vhid, config.vips) for config in configs}) == 1
    assert scenario.duration_ns == 60 * NS_PER_S
    assert (scenario.title, scenario.story, scenario.quality) == ("", (), Quality())
    assert {member.start for member in scenario.members} == {AT_ONCE}


def test_a_skew_that_is_given_counts() -> None:
    """A skew of the group may make two hosts equal."""
    scenario = parsed("""
        [group]
        flags = "-k 0"
        [node.a]
        [node.b]
    """)

    assert [member.config.advskew for member in scenario.members] == [0, 0]


@pytest.mark.parametrize(
    "flags",
    [
        "-u /etc/up -d /etc/down -x 'a b' -B -f local0 -i eth1 --pidfile /run/p -D",
        "--pass word --nomcast",
    ],
)
def test_a_real_command_line_will_do(flags: str) -> None:
    """Options without a meaning here are ignored."""
    assert member(flags).config.interface == "eth0"


def test_the_same_passfile_is_the_same_password() -> None:
    """A passfile is not read, as it may be on another machine."""
    scenario = parsed("""
        [node.a]
        flags = "-o /etc/ucarp/some-long-name.pwd"
        [node.b]
        flags = "-o /etc/ucarp/some-long-name.pwd"
    """)

    assert repr(scenario.members[0].config.key) == "Key()"
    assert [m.config.farewell for m in scenario.members] == [False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200ms", Script(200 * NS_PER_MS)),
        ("10s, exit 1", Script(10 * NS_PER_S, 1)),
        ("10s, address first", Script(10 * NS_PER_S, address_first=True)),
        ("1s,address first,exit 255", Script(NS_PER_S, 255, address_first=True)),
        (" none ", Script(exit_code=None)),
    ],
)
def test_scripts(text: str, expected: Script) -> None:
    """A script has a length, an exit code, and an instant for the address."""
    assert parse_script(text) == expected


@pytest.mark.parametrize(
    "text", ["1s, exit", "1s, exit 256", "1s, address", "1s,", "x"]
)
def test_no_scripts(text: str) -> None:
    """A mistake in a script is one line that says what is allowed."""
    with pytest.raises(ConfigError, match=r"allowed: such as"):
        parse_script(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "file: node: 0 hosts (allowed: 1 to 32)"),
        ("node = 5", "file: [node] must be a table"),
        ("node.a = 5", "file: node: [a] must be a table"),
        ("frob = 1", "file: unknown key [frob] (allowed: title, duration, group,"),
        ("[group]\nflag = ''", "file: group: unknown key [flag] (allowed: flags)"),
        ("[wire]\nlag = ''\n[node.a]", "file: wire: unknown key [lag] (allowed: loss"),
        (
            "[wire]\nloss = 5\n[node.a]",
            "file: wire: loss must be a text in quotes (got",
        ),
        ("[wire]\nloss = '5'\n[node.a]", "file: wire: loss: [5] is not a share"),
        ("[wire]\njitter = '5'\n[node.a]", "file: wire: jitter: [5] is not a length"),
        ("title = 5\n[node.a]", "file: title must be a text in quotes (got 5)"),
        (
            "title = 0x" + 4000 * "7" + "\n[node.a]",
            "file: title must be a text in quotes (got an endless number)",
        ),
        ("duration = '0s'\n[node.a]", "file: duration: [0s] must be more than 0"),
        ("story = 5\n[node.a]", "file: story must be a text in quotes (got 5)"),
        ("story = [5]\n[node.a]", "file: story must be a text in quotes (got [5])"),
        ("story = 'at 1s'\n[node.a]", "file: story, line 1: [at 1s]: found the end"),
        ("story = 'at 60s crash a'\n[node.a]", "the story goes on at 60s, but the run"),
        ("[node.all]", "file: node: [all] cannot be the name of a host"),
        ("[node.'a b']", "file: node: [a b] cannot be the name of a host"),
        (
            "[node.a]\nkin = ''",
            "file: node.a: unknown key [kin] (allowed: flags, kind,",
        ),
        ("[node.a]\nkind = 'x'", "file: node.a: kind: unknown kind of host [x]"),
        ("[node.a]\nstart = 'x'", "file: node.a: start: [x] is not a length of time"),
        ("[node.a]\ndrift = '5'", "file: node.a: drift: [5] is not a drift"),
        ("[node.a]\ndrift = '100001ppm'", "file: node.a: drift: [100001ppm] is not"),
        ("[node.a]\nup_script = 'x'", "file: node.a: up_script: [x] is not a length"),
        ("[node.a]\nflags = '-k 256'", "file: node.a: flags: Invalid number: [256]"),
        ("[node.a]\nflags = 'x'", "file: node.a: flags: unexpected word [x] (allowed:"),
        ("[node.a]\nflags = '\"x'", "file: node.a: No closing quotation"),
        ("[node.a]\nflags = '-b 0'", "file: node.a: You must supply an advertisement"),
        ("[group]\nflags = '--frob'\n[node.a]", "Unknown option: --frob (see --help)"),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    """One line that says where, what was found and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        parsed(text)

    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("kind", Kind)
def test_what_cannot_happen_to_a_host(verb: Verb, kind: Kind) -> None:
    """A kernel has no process to kill or to stall, and ucarp has no demotion."""
    scene = Scene(AT_ONCE, Order(verb, ("a",)), NS_PER_S)
    document = {"node": {"a": {"kind": kind.value, "flags": "--own-addresses"}}}
    scenario = replace(parse_document(document, "file"), story=(scene,))
    why = None
    if kind.is_kernel and verb in (Verb.KILL, Verb.STALL, Verb.HANG):
        why = f"has no process to {verb.value}"
    elif verb in (Verb.KILL_KEEPER, Verb.KILL_BOTH) and kind is not Kind.CARPPCAP:
        why = "a has no keeper"
    elif kind is Kind.UCARP and verb in (Verb.DEMOTE, Verb.UNDEMOTE):
        why = "ucarp, which knows no demotion"

    with pytest.raises(ConfigError, match=why) if why else nullcontext():
        check(scenario)


def test_without_own_addresses_there_is_no_keeper() -> None:
    """The option of the daemon makes the difference."""
    document = {"node": {"a": {}}, "story": "at 1s kill both of a"}

    with pytest.raises(ConfigError, match="with --own-addresses"):
        parse_document(document, "file")


@pytest.mark.parametrize("kind", Kind)
def test_own_addresses(kind: Kind) -> None:
    """A carppcap has them; other hosts that share its options have not."""
    own = member("--own-addresses --no-farewell", kind=kind.value)

    assert (own.own_addresses, own.no_farewell) == (kind is Kind.CARPPCAP, True)
    assert not member("", kind=kind.value).own_addresses


def signature(host: Member) -> bytes:
    """Return the digest of a counter by password and addresses of a host."""
    assert host.config.key is not None
    return Authenticator(host.config.key, 1, ()).digest(1)


def test_a_second_password() -> None:
    """It is a key of the table of its host, as the file that has it is not read."""
    host = member(second_password="old")

    assert host.config.second_key is not None
    swapped = replace(host, config=replace(host.config, key=host.config.second_key))
    assert signature(swapped) == signature(member("-p old"))
    assert signature(host) == signature(member())
    assert member().config.second_key is None


def test_what_a_host_says_replaces_what_the_group_says() -> None:
    """Addresses of a host replace those of the group and are not added."""
    first, second = parsed("""
        [group]
        flags = "-a 10.0.0.8 -a 10.0.0.9 -o file"
        [node.first]
        [node.second]
        flags = "-a 10.0.0.7 -p word"
        """).members
    alone = member("-a 10.0.0.7 -p word")

    assert list(map(str, first.config.vips)) == ["10.0.0.8", "10.0.0.9"]
    assert second.config.vips == alone.config.vips
    assert signature(second) == signature(alone) != signature(first)


@pytest.mark.parametrize("flags", ["-a 10.0.0.1,10.0.0.2", "-a fd00::1"])
def test_what_ucarp_cannot_share(flags: str) -> None:
    """ucarp shares one IPv4 address; all others may share more."""
    with pytest.raises(ConfigError, match=r"node\.alpha: ucarp shares one address"):
        member(flags, kind="ucarp")

    assert member(flags, kind="netbsd").config.vips


def test_addresses_of_both_families() -> None:
    """Each host has a source of its own in each family that is shared."""
    scenario = parsed("""
        [group]
        flags = "-a 10.0.0.9,10.0.0.8/24 -a fd00::9"
        [node.a]
        [node.b]
        flags = "-s 10.0.0.2 -s fe80::b"
    """)

    sources = [
        (str(member.config.source), str(member.config.source6))
        for member in scenario.members
    ]
    assert sources == [("10.9.0.1", "fe80::1"), ("10.0.0.2", "fe80::b")]
    assert {len(member.config.vips) for member in scenario.members} == {3}
