"""Configuration files: what they mean, and every mistake with its line."""

import re
import tomllib
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.configuration.document import Group, read
from carppcap.configuration.keys import KEYS, Kind
from carppcap.errors import ConfigError
from carppcap.options.parsers import VirtualAddress
from carppcap.options.settings import Settings
from carppcap.units import NS_PER_S
from tests.configuration.files import GOOD, group, groups, shown


def test_a_file() -> None:
    """Defaults at the top, groups by name, own addresses unless told otherwise."""
    one, two = groups(
        """\
facility = "local0"
passfile = "/etc/vip.pass"
srcip = ["10.1.1.1", "fe80::1"]
preempt = true

[group.web]
interface = "eth0"
vhid = 42
addr = ["10.1.1.252/24", "fd00::252"]
script_timeout = 9

[group.db]
interface = "eth1"
vhid = 42
srcip = "10.2.2.1"
addr = "10.2.2.252,10.2.2.253"
pass = "love"
preempt = false
own_addresses = false
upscript = "/up"
downscript = "/down"
"""
    )

    assert (one.name, one.line, two.name, two.line) == ("web", 6, "db", 12)
    assert one.settings == Settings(
        interface="eth0",
        vhid=42,
        source=IPv4Address("10.1.1.1"),
        source6=IPv6Address("fe80::1"),
        addresses=(
            VirtualAddress(ip_address("10.1.1.252"), 24),
            VirtualAddress(ip_address("fd00::252")),
        ),
        passfile="/etc/vip.pass",
        preempt=True,
        own_addresses=True,
        script_timeout_ns=9 * NS_PER_S,
        facility="local0",
    )
    assert two.settings == Settings(
        interface="eth1",
        vhid=42,
        source=IPv4Address("10.2.2.1"),
        addresses=(
            VirtualAddress(ip_address("10.2.2.252")),
            VirtualAddress(ip_address("10.2.2.253")),
        ),
        password=b"love",
        upscript="/up",
        downscript="/down",
        facility="local0",
    )
    assert two.line_of("pass", "vhid") == 17
    assert two.line_of("advskew") == two.line == 12
    assert one.line_of("passfile") == 2


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("", ["1: mistake: no group (allowed: one table [group.NAME] for each group)"]),
        ("group = 1", ["1: mistake: no group (allowed: one table [group.NAME] for each group)"]),
        ("group.x = 1", ["1: mistake: x is no group (allowed: a table [group.NAME])"]),
        ("a = ", ["1: mistake: not TOML: Invalid value"]),
        ("a = 1\nb\n", ["2: mistake: not TOML: Expected '=' after a key in a key/value pair in column 2"]),
        ("a = [\n1\n", ["2: mistake: not TOML: Unclosed array"]),
        ("a = [", ["1: mistake: not TOML: "]),
        ("a = 1\na = 2", ["2: mistake: not TOML: a is there twice"]),
        ("a = 1\na = '2 3'", ["2: mistake: not TOML: a is there twice"]),
        ("a = 1\na = [2]", ["2: mistake: not TOML: Cannot overwrite a value"]),
        ("xparam = 'x", ["1: mistake: not TOML: "]),
        ("interface = [\nsrcip = 10.1.1.1", ["2: mistake: not TOML: "]),
        (GOOD.replace('"eth0"', "eth0  # LAN"), ["2: mistake: not TOML: a text needs quotes: interface = \"eth0\""]),
        (GOOD.replace('"10.1.1.252"', "10.1.1.252/24"), ["5: mistake: not TOML: a text needs quotes: addr = \"10.1.1.252/24\""]),
        (GOOD + "preempt = yes", ["7: mistake: not TOML: Invalid value in column 11"]),
        (GOOD + "advskw = 1", ["7: mistake: web: unknown key [advskw] (allowed: those in carppcap.toml(5)); did you mean advskew?"]),
        (GOOD + "own-addresses = true", ["7: mistake: web: unknown key [own-addresses] (allowed: those in carppcap.toml(5)); did you mean own_addresses?"]),
        (GOOD + "[group.web.more]", ["7: mistake: web: unknown key [more] (allowed: "]),
        ("[web]\n" + GOOD, ["1: mistake: unknown table [web] (allowed: [group.NAME])"]),
        (GOOD + "[check.haproxy]", ["7: mistake: unknown table [check] (allowed: [group.NAME])"]),
        (GOOD + "[[check]]", ["7: mistake: unknown table [check] (allowed: [group.NAME])"]),
        (GOOD.replace("vhid", "vhdi").replace("pass ", "passwd "), [
            "4: mistake: web: unknown key [vhdi] (allowed: those in carppcap.toml(5)); did you mean vhid?",
            "6: mistake: web: unknown key [passwd] (allowed: those in carppcap.toml(5)); did you mean pass?",
        ]),
        (GOOD + "facility = 'local0'", ["7: mistake: web: facility is about the whole daemon (allowed: above the first table)"]),
        ("facility = 'x'\n" + GOOD, ["1: mistake: Unknown syslog facility: [x] (allowed: kern, "]),
        ("facility = 'user'\nsyslog = 'user'\n" + GOOD, ["2: mistake: syslog beside facility (allowed: one of facility, syslog)"]),
        (GOOD + "passfile = '/x'", ["7: mistake: web: passfile beside pass (allowed: one of credential, passfile, pass)"]),
        (GOOD + "credential = '../x'", [
            "7: mistake: web: Invalid name: [../x] for credential (allowed: such as web.pass)",
            "7: mistake: web: credential beside pass (allowed: one of credential, passfile, pass)",
        ]),
        (GOOD + "advskew = 256", ["7: mistake: web: Invalid number: [256] for advskew (allowed: 0 to 255)"]),
        (GOOD + f"advskew = 0x{'f' * 4000}", [f"7: mistake: web: Invalid number: [1{'0' * 20}] for advskew (allowed: 0 to 255)"]),
        (GOOD + "advskew = '1'", ["7: mistake: web: advskew must be a whole number (got \"1\")"]),
        (GOOD + "advskew = 1.5", ["7: mistake: web: advskew must be a whole number (got 1.5)"]),
        (GOOD + "advskew = true", ["7: mistake: web: advskew must be a whole number (got true)"]),
        (GOOD + "preempt = 'yes'", ["7: mistake: web: preempt must be true or false (got \"yes\")"]),
        (GOOD + "xparam = 1", ["7: mistake: web: xparam must be a text in quotes (got 1)"]),
        (GOOD + "xparam = ['1']", ["7: mistake: web: xparam must be a text in quotes (got ['1'])"]),
        (GOOD + "peer = []", ["7: mistake: web: peer must be a text in quotes, or several in brackets (got [])"]),
        (GOOD + "peer = [\n'10.1.1.2',\n7,\n'x',\n]", [
            "9: mistake: web: peer must be a text in quotes, or several in brackets (got 7)",
            "10: mistake: web: Invalid address: [x] for peer (allowed: ",
        ]),
        (GOOD + "peer = '10.1.1.252'", ["7: mistake: web: 10.1.1.252 is no peer, but an address of this host or of the group (peer)"]),
        (GOOD + "peer = '10.1.1.2'\nnomcast = true", ["7: mistake: web: With peer adverts go to no group (leave out mcastip and nomcast)"]),
        (GOOD + "mcastip = '10.0.0.1'", ["7: mistake: web: 10.0.0.1 is not a multicast group for mcastip (allowed: 224.0.0.0 to 239.255.255.255)"]),
        (GOOD + "advbase = 0", ["7: mistake: web: You must supply an advertisement time base: advbase and advskew cannot both be 0"]),
        (GOOD.replace('"10.1.1.252"', '"10.1.1.1"'), ["5: mistake: web: 10.1.1.1 is an address of this host: own_addresses would take it away (allowed: an addr that no host has of its own)"]),
        ("[group.web]", [
            "1: mistake: web: You must supply a network interface (interface)",
            "1: mistake: web: You must supply a password (passfile, pass or credential)",
            "1: mistake: web: You must supply a valid virtual host id (vhid, 1-255)",
            "1: mistake: web: You must supply a persistent source address (srcip)",
            "1: mistake: web: You must supply a virtual host address (addr)",
        ]),
        ("[group.web]\ninterface = 'eth0'\nvhid = 0\naddr = 'x'\npass = ''", [
            "3: mistake: web: Invalid number: [0] for vhid (allowed: 1 to 255)",
            "4: mistake: web: Invalid address: [x] for addr (allowed: ",
            "5: mistake: web: You must supply a password (allowed: 1 to 19 bytes)",
        ]),
        ("vhid = 300\n" + GOOD.replace("vhid = 42\n", ""), ["1: mistake: Invalid number: [300] for vhid (allowed: 1 to 255)"]),
        (GOOD.replace("web", "'w b'"), ["1: mistake: [w b] cannot be the name of a group (allowed: 1 to 32 letters, digits, _ and -)"]),
        (GOOD.replace("web", "''"), ["1: mistake: [] cannot be the name of a group (allowed: 1 to 32 letters, digits, _ and -)"]),
        (GOOD + GOOD.replace("web", "db").replace("eth0", "eth0:1"), [
            "10: mistake: db has the vhid 42 on eth0, and so has web in line 4 (allowed: another vhid for each group of an interface)",
        ]),
    ],
)  # fmt: skip
def test_mistakes(changed: str, expected: list[str]) -> None:
    """All of them, each in one line with what is allowed; a message may go on."""
    found = shown(read(changed).findings)

    assert [
        line[: len(start)] for line, start in zip(found, expected, strict=True)
    ] == (expected)
    assert all("\n" not in line for line in found)
    assert read(changed).is_usable is False


@pytest.mark.parametrize(
    "text", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD + "# end"]
)
def test_lines_may_end_in_other_ways(text: str) -> None:
    """As editors of other systems write files."""
    assert groups(text)[0].line_of("vhid") == 4


def test_lines_of_other_systems_are_counted_alike() -> None:
    """Also inside a value."""
    text = GOOD + 'peer = [\n7,\n"""x\n""",\n]\nadvskw = 1\n'

    expected = shown(read(text).findings)
    assert [line.partition(":")[0] for line in expected] == ["8", "9", "12"]
    assert shown(read(text.replace("\n", "\r\n")).findings) == expected


def test_two_groups_may_have_one_vhid_on_two_interfaces() -> None:
    """As on the command line."""
    assert len(groups(GOOD + GOOD.replace("web", "db").replace("eth0", "eth1"))) == 2


@pytest.mark.parametrize("text", ["a = " + "[" * 9000, "a = " + "{a=" * 9000])
def test_nested_without_end(text: str) -> None:
    """No traceback."""
    assert shown(read(text).findings) == ["1: mistake: not TOML: nested too deeply"]


def test_the_password_of_a_group_replaces_that_for_all() -> None:
    """In whatever form each of them is given."""
    forms = {"pass": "love", "passfile": "/a", "credential": "web.pass"}
    for above, below in [(a, b) for a in forms for b in forms]:
        text = f"{above} = '{forms[above]}'\n" + GOOD.replace(
            'pass = "love"', f"{below} = '{forms[below]}'"
        )
        (only,) = groups(text)

        found = {
            "pass": only.settings.password,
            "passfile": only.settings.passfile,
            "credential": only.credential,
        }
        assert [name for name, value in found.items() if value] == [below]


def test_credential() -> None:
    """A passfile in systemd's directory."""
    found = group("credential = 'web.pass'", without="pass")

    assert found.resolved("/run/c").passfile == "/run/c/web.pass"
    with pytest.raises(ConfigError, match=r"needs LoadCredential=web.pass:FILE"):
        found.resolved(None)
    assert group().resolved(None) == group().settings


@pytest.mark.parametrize("name", [".", "..", "", "a/b", "a b", "ä", "x" * 256])
def test_impossible_credentials(name: str) -> None:
    """Names of files without a directory."""
    (finding,) = read(GOOD.replace('pass = "love"', f"credential = '{name}'")).findings

    assert "credential (allowed: such as web.pass)" in str(finding.error)


def given_as(name: str, text: str) -> str:
    """A line of the file for a value of the command line."""
    quotes = KEYS[name].kind in (Kind.TEXT, Kind.LIST)
    return f"{name} = '{text}'" if quotes else f"{name} = {text}"


@pytest.mark.parametrize("name", KEYS)
def test_each_key_can_be_given(name: str) -> None:
    """At the top, and in the group unless it is about the whole daemon."""
    values = {
        Kind.FLAG: "true", Kind.NUMBER: "7", Kind.LIST: "10.1.1.7", Kind.TEXT: "/x",
    }  # fmt: skip
    special = {
        "credential": "x", "facility": "user", "syslog": "user", "mcastip": "224.0.0.19",
        "source_mac": "real", "lladdr": "0:1:2:3:4:5", "replay_guard": "off",
        "on_conflict": "script",
    }  # fmt: skip
    line = given_as(name, special.get(name, values[KEYS[name].kind]))
    field = KEYS[name].option.field

    top = read(f"{line}\n[group.web]\n").groups[0]
    assert name in top.lines
    if not KEYS[name].is_global:
        below = read(f"[group.web]\n{line}\n").groups[0]
        assert (below.settings, below.credential) == (top.settings, top.credential)
    if field not in ("credential", "own_addresses"):
        assert getattr(top.settings, field) != getattr(Settings(), field)


WORDS = st.sampled_from(
    ["group", "web", *KEYS, "true", "1", "-1", "'10.1.1.1'", '"eth0"', "=", ".", "[", "]",
     "[[", "{", "}", ",", "\n", "#", "'''", '"""', "x", "0x1", "1979-05-27", "é", "'a/b'"]
)  # fmt: skip
PAIRS = st.builds(
    lambda name, value: f"{name} = {value}",
    st.sampled_from([*KEYS, "vhdi", "group.a.vhid", "x"]),
    st.sampled_from(
        ["1", "true", "'eth0'", "['10.1.1.1', 2]", "{a = 1}", "'10.1.1.2/24'"]
    ),
)
LINES = st.one_of(
    PAIRS,
    st.sampled_from(["[group.web]", "[group.db]", "[group]", "[x]", "[[group]]", ""]),
    st.lists(WORDS, max_size=6).map(" ".join),
)


@given(st.lists(LINES, max_size=10).map("\n".join) | st.text(max_size=40))
def test_no_file_does_harm(text: str) -> None:
    """Findings are about lines that there are; usable files give usable groups."""
    configuration = read(text)

    lines = text.count("\n") + 1
    for line in shown(configuration.findings):
        assert re.fullmatch(r"\d+: mistake: [^\n]+", line), line
        assert 1 <= int(line.partition(":")[0]) <= lines
    try:
        tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except (ValueError, RecursionError):
        assert not configuration.is_usable
    if configuration.is_usable:
        assert configuration.groups
        for found in configuration.groups:
            check_group(found)


def check_group(found: Group) -> None:
    """A daemon could be made of it."""
    settings = found.settings
    assert settings.interface
    if settings.password is not None:
        assert settings.virtual_host(settings.interface).vips == settings.vips
    else:
        assert settings.passfile or found.credential
