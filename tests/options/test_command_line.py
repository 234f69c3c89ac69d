"""The command line: every spelling and every value, and the settings they make."""

import os
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.election.config import GuardMode, SourceMac, VirtualHostConfig
from carppcap.errors import ConfigError
from carppcap.options.command_line import parse, passwords
from carppcap.options.parsers import VirtualAddress
from carppcap.options.settings import OnConflict, Settings
from carppcap.options.table import OPTIONS, Option
from carppcap.wire.auth import Authenticator
from tests.builders import OURS, config
from tests.shell import UCARP

VALUES: dict[str, tuple[str, Any]] = {
    "interface": ("eth7", "eth7"),
    "srcip": ("10.1.1.5", IPv4Address("10.1.1.5")),
    "vhid": ("42", 42),
    "addr": ("10.1.1.252", (VirtualAddress(IPv4Address("10.1.1.252")),)),
    "passfile": ("/etc/pass", "/etc/pass"),
    "pass": ("love", b"love"),
    "upscript": ("up.sh", "up.sh"),
    "downscript": ("down.sh", "down.sh"),
    "xparam": ("rack 4", "rack 4"),
    "advbase": ("2", 2),
    "advskew": ("100", 100),
    "deadratio": ("5", 5),
    "preempt": ("", True),
    "neutral": ("", True),
    "shutdown": ("", True),
    "ignoreifstate": ("", True),
    "nomcast": ("", True),
    "mcastip": ("224.0.0.77", IPv4Address("224.0.0.77")),
    "daemonize": ("", True),
    "facility": ("LOCAL3", "local3"),
    "syslog": ("none", "none"),
    "debug": ("", True),
    "script-timeout": ("30", 30_000_000_000),
    "pidfile": ("/run/x.pid", "/run/x.pid"),
    "no-farewell": ("", True),
    "no-realtime": ("", True),
    "peer": ("10.1.1.6", (IPv4Address("10.1.1.6"),)),
    "source-mac": ("BSD", SourceMac.BSD),
    "lladdr": ("0:0:5e:0:1:2A", bytes.fromhex("00005e00012a")),
    "vmac": ("", True),
    "announce-interval": ("90", 90_000_000_000),
    "own-addresses": ("", True),
    "on-conflict": ("Script", OnConflict.SCRIPT),
    "demotion": ("3", 3),
    "replay-guard": ("detect", GuardMode.DETECT),
    "help": ("", True),
    "version": ("", True),
}
"""A value for each option, and the setting that it makes."""

ABBREVIATIONS = {
    "--i": None,
    "--in": "interface",
    "--ig": "ignoreifstate",
    "--sr": "srcip",
    "--sh": "shutdown",
    "--v": "vhid",
    "--vh": "vhid",
    "--ve": "version",
    "--ad": None,
    "--add": "addr",
    "--advb": "advbase",
    "--advs": "advskew",
    "--adv": None,
    "--pass": "pass",
    "--passf": "passfile",
    "--pas": None,
    "--p": None,
    "--pr": "preempt",
    "--pi": "pidfile",
    "--u": "upscript",
    "--dow": "downscript",
    "--dea": "deadratio",
    "--deb": "debug",
    "--da": "daemonize",
    "--d": None,
    "--de": None,
    "--x": "xparam",
    "--ne": "neutral",
    "--no": "nomcast",
    "--no-": None,
    "--no-f": "no-farewell",
    "--no-r": "no-realtime",
    "--n": None,
    "--m": "mcastip",
    "--mcast": "mcastip",
    "--f": "facility",
    "--sy": "syslog",
    "--sc": "script-timeout",
    "--so": "source-mac",
    "--pe": "peer",
    "--l": "lladdr",
    "--vm": "vmac",
    "--dem": "demotion",
    "--an": "announce-interval",
    "--r": "replay-guard",
    "--s": None,
    "--h": "help",
    "--": None,
}
"""The option of each abbreviation; None if it is ambiguous."""


def long(name: str) -> Option:
    return next(row for row in OPTIONS if row.long == name)


def spellings(row: Option) -> list[list[str]]:
    word = VALUES[row.long][0]
    short, name = f"-{row.short}", f"--{row.long}"
    if row.parse is None:
        found = [[name]]
        return [*found, [short], [f"{short}D"]] if row.short else found
    found = [[name, word], [f"{name}={word}"]]
    if row.short:
        found += [[short, word], [short + word], [f"-D{row.short}", word]]
    return found


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.long)
def test_every_spelling_makes_the_setting(row: Option) -> None:
    """Long, short, bundled, with the value attached or in a word of its own."""
    expected = VALUES[row.long][1]

    for spelling in spellings(row):
        settings, words = parse(["-S", *spelling])
        assert getattr(settings, row.field) == expected, spelling
        assert settings.ignore_link_state
        assert words == []


def test_every_option_is_tried() -> None:
    """A new option needs a word in VALUES."""
    assert sorted(VALUES) == sorted(row.long for row in OPTIONS)


def test_what_was_not_said_has_the_default_of_ucarp() -> None:
    """Our options change nothing unless they are given."""
    settings, words = parse([])

    assert settings == Settings()
    assert words == []
    assert (settings.advbase, settings.advskew, settings.dead_ratio) == (1, 0, 3)
    assert (settings.script_timeout_ns, settings.pidfile) == (0, None)
    assert settings.facility == "daemon"


@pytest.mark.parametrize(
    ("abbreviation", "name"), [item for item in ABBREVIATIONS.items() if item[1]]
)
@pytest.mark.parametrize("also", [[], ["--pidfile=x"]], ids=["alone", "beside ours"])
def test_abbreviation(abbreviation: str, name: str, also: list[str]) -> None:
    """An abbreviation means one option, whichever others stand beside it."""
    row = long(name)
    word = VALUES[name][0]
    spelling = abbreviation if row.parse is None else f"{abbreviation}={word}"

    settings, _ = parse([*also, spelling])

    assert getattr(settings, row.field) == VALUES[name][1]


@pytest.mark.parametrize(
    "abbreviation",
    [name for name, meant in ABBREVIATIONS.items() if meant is None and name != "--"],
)
def test_ambiguous_abbreviation(abbreviation: str) -> None:
    """An ambiguous abbreviation is refused and its options are named."""
    with pytest.raises(ConfigError, match=r"^Option --[\w-]+ may mean --[\w-]+, --"):
        parse([f"{abbreviation}=1"])


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["-PznBSMD"], {"preempt", "shutdown", "neutral", "daemonize"}, []),
        (["-zk5", "-nk", "6"], {"shutdown", "neutral"}, []),
        (["one", "-P", "two"], {"preempt"}, ["one", "two"]),
        (["-P", "--", "-z", "--bogus"], {"preempt"}, ["-z", "--bogus"]),
        (["-P", "-"], {"preempt"}, ["-"]),
        (["-x", "--", "-P"], {"preempt"}, []),
        (["--xparam=", "-P"], {"preempt"}, []),
        (["-x", "-z", "-P"], {"preempt"}, []),
    ],
)
def test_words(arguments: list[str], settings: set[str], words: list[str]) -> None:
    """As `getopt_long`: a value may look like an option, and -- ends them."""
    parsed, rest = parse(arguments)

    flags = ("preempt", "shutdown", "neutral", "daemonize")
    assert {flag for flag in flags if getattr(parsed, flag)} == settings
    assert rest == words


@pytest.mark.parametrize(
    ("arguments", "password", "passfile"),
    [
        (["-p", "a", "-p", "b"], b"b", None),
        (["-p", "a", "-o", "f"], None, "f"),
        (["-o", "f", "-p", "a"], b"a", None),
    ],
)
def test_the_last_password_holds(
    arguments: list[str], password: bytes | None, passfile: str | None
) -> None:
    """Debian's hook and a hand-written flag behind it, for example."""
    settings, _ = parse(arguments)

    assert (settings.password, settings.passfile) == (password, passfile)


def test_passwords_finds_all_that_ps_would_show() -> None:
    """Also those that a later option replaces, in any encoding."""
    arguments = [
        "-Ppone",
        "--pass=two",
        "-p",
        "-z",
        "-x",
        "-p",
        "-pf\udcfcnf",
        "-o",
        "f",
    ]

    assert passwords(arguments) == [b"one", b"two", b"-z", b"f\xfcnf"]


BAD = [
    (["-Z"], "Unknown option: -Z (see --help)"),
    (["-zZ"], "Unknown option: -Z (see --help)"),
    (["-é"], "Unknown option: -é (see --help)"),
    (["--bogus=1"], "Unknown option: --bogus (see --help)"),
    (["--preempt=1"], "Option --preempt takes no value (see --help)"),
    (["--preem="], "Option --preempt takes no value (see --help)"),
    (["-v"], "Option -v needs a value (see --help)"),
    (["-Pv"], "Option -v needs a value (see --help)"),
    (["--vhid"], "Option --vhid needs a value (see --help)"),
    (["--n"], "Option --n may mean --neutral, --nomcast (see --help)"),
    (["-i", ""], "-i is empty"),
    (["-u", ""], "-u is empty"),
    (["-d", ""], "-d is empty"),
    (["--passfile="], "--passfile is empty"),
    (["--pidfile="], "--pidfile is empty"),
    (["-v", "0"], "Invalid number: [0] for -v (allowed: 1 to 255)"),
    (["-v", "256"], "Invalid number: [256] for -v (allowed: 1 to 255)"),
    (["-v", "42abc"], "Invalid number: [42abc] for -v (allowed: 1 to 255)"),
    (["-v", "٣"], "Invalid number: [٣] for -v (allowed: 1 to 255)"),
    (["--vhid="], "Invalid number: [] for --vhid (allowed: 1 to 255)"),
    (["-b", "300"], "Invalid number: [300] for -b (allowed: 0 to 255)"),
    (["-b", "-1"], "Invalid number: [-1] for -b (allowed: 0 to 255)"),
    (["-b", "1.5"], "Invalid number: [1.5] for -b (allowed: 0 to 255)"),
    (["-k", "256"], "Invalid number: [256] for -k (allowed: 0 to 255)"),
    (["-k", "9" * 5000], f"Invalid number: [{'9' * 5000}] for -k (allowed: 0 to 255)"),
    (["-r", "0"], "Invalid number: [0] for -r (allowed: 1 to 65535)"),
    (["-r", "-1"], "Invalid number: [-1] for -r (allowed: 1 to 65535)"),
    (["-r", "65536"], "Invalid number: [65536] for -r (allowed: 1 to 65535)"),
    (
        ["--script-timeout=-1"],
        "Invalid number: [-1] for --script-timeout (allowed: 0 to 86400)",
    ),
    (["-p", ""], "You must supply a password (allowed: 1 to 19 bytes)"),
]  # fmt: skip
"""Command lines that are refused, each with its message (exit status 1)."""

NO_ADDRESS = (
    "Invalid address: [{}] for {} (allowed: an IPv4 address such as 10.1.1.252)"
)

BAD += [
    (
        [option, word],
        NO_ADDRESS.format(word, option),
    )
    for option, word in [
        ("-m", "zzz"),
        ("-m", "ff02::12"),
    ]
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_bad_arguments(arguments: list[str], sentence: str) -> None:
    """One sentence: what it was, where, and what would be allowed."""
    with pytest.raises(ConfigError) as caught:
        parse(arguments)

    assert str(caught.value) == sentence
    assert caught.value.exit_status == 1


def test_unknown_facility_names_those_there_are() -> None:
    """ucarp complains too, but runs on without the log."""
    with pytest.raises(ConfigError, match=r"\[bogus\] \(allowed: kern, .*, none\)$"):
        parse(["-f", "bogus"])


WORDS = st.one_of(
    st.text(max_size=6),
    st.sampled_from([f"-{row.short}" for row in OPTIONS if row.short]),
    st.sampled_from([f"--{row.long}" for row in OPTIONS]),
    st.builds("--{}={}".format, st.sampled_from([r.long for r in OPTIONS]), st.text()),
    st.sampled_from(["--", "-", "7", "10.1.1.5", "--no", "--p"]),
)


@given(st.lists(WORDS, max_size=8))
def test_any_words_are_parsed_or_refused(arguments: list[str]) -> None:
    """Any command line gives settings or a `ConfigError`."""
    try:
        settings, _ = parse(arguments)
    except ConfigError:
        return
    else:
        assert 0 <= settings.advbase <= 255


COMPLETE = ["-s", "10.1.1.5", "-v", "7", "-p", "love", "-a", "10.1.1.252"]


def without_key(settings: Settings) -> VirtualHostConfig:
    return replace(settings.virtual_host("eth0"), key=None)


def test_virtual_host() -> None:
    """Every setting of the election arrives where the core looks for it."""
    plain, _ = parse(COMPLETE)
    rich, _ = parse([*COMPLETE, *"-b 2 -k 100 -r 5 -P -n -z -m 224.0.0.77 -M".split()])
    silent, _ = parse([*COMPLETE, "-z", "--no-farewell"])

    assert without_key(plain) == config(key=None)
    assert without_key(silent) == config(key=None)
    assert without_key(rich) == config(
        key=None,
        advbase=2,
        advskew=100,
        dead_ratio=5,
        preempt=True,
        neutral=True,
        farewell=True,
        group=IPv4Address("224.0.0.77"),
        multicast=False,
    )
    signers = [
        Authenticator(host.key, host.vhid, host.vips)
        for host in (plain.virtual_host("eth0"), config())
        if host.key is not None
    ]
    assert signers[0].digest(1) == signers[1].digest(1)


@pytest.mark.parametrize(
    ("arguments", "addresses"),
    [
        ("-a 10.1.1.252,10.1.1.253", "10.1.1.252 10.1.1.253"),
        ("-a 10.1.1.253 -a 10.1.1.252", "10.1.1.253 10.1.1.252"),
        ("-a fd00::1/64,10.1.1.252/24 -a fe80::1", "fd00::1/64 10.1.1.252/24 fe80::1"),
        ("-a 10.1.1.252/24 -a 10.1.1.252,10.1.1.252/24", "10.1.1.252/24"),
        ("-a 10.1.1.252 -a 10.1.1.252/32", "10.1.1.252/32"),
    ],
)
def test_virtual_addresses(arguments: str, addresses: str) -> None:
    """Repeated or with commas, each once, in the order in which they were given."""
    settings, _ = parse([*COMPLETE[:6], *arguments.split()])
    host = settings.virtual_host("eth0")

    assert host.networks == tuple(addresses.split())
    assert host.vips == settings.vips
    assert host.prefixes == settings.prefixes


def test_one_source_for_each_family() -> None:
    """The last one of each family wins."""
    words = "-v 7 -p love -a 10.1.1.252,fd00::252 -s 10.1.1.4 -s fe80::5 -s 10.1.1.5"
    settings, _ = parse(words.split())
    host = settings.virtual_host("eth0")

    assert (host.source, host.source6) == (OURS, IPv6Address("fe80::5"))


@pytest.mark.parametrize(
    ("arguments", "source", "source6"),
    [
        ("-a fd00::252", None, None),
        ("-a fd00::252 -s fe80::5", None, "fe80::5"),
        ("-a fd00::252 -s 10.1.1.5", None, None),
        ("-a 10.1.1.252 -s 10.1.1.5 -s fe80::5", "10.1.1.5", None),
        ("-a 10.1.1.252,fd00::252 -s 10.1.1.5", "10.1.1.5", None),
    ],
)
def test_a_source_that_is_not_needed(
    arguments: str, source: str | None, source6: str | None
) -> None:
    """An IPv6 source can be chosen at start; a family without address has none."""
    settings, _ = parse(["-v", "7", "-p", "love", *arguments.split()])
    host = settings.virtual_host("eth0")

    assert host.source == (source and ip_address(source))
    assert host.source6 == (source6 and ip_address(source6))


@pytest.mark.parametrize(
    ("arguments", "source_mac"),
    [
        ("", SourceMac.VIRTUAL),
        ("--vmac", SourceMac.BSD),
        ("--vmac --source-mac virtual", SourceMac.VIRTUAL),
        ("--source-mac real", SourceMac.REAL),
        ("--peer 10.1.1.6", SourceMac.REAL),
        ("--peer 10.1.1.6 --source-mac real", SourceMac.REAL),
        ("--peer 10.1.1.6 --vmac", SourceMac.REAL),
    ],
)
def test_where_adverts_come_from(arguments: str, source_mac: SourceMac) -> None:
    """ucarp's MAC by default; another one with --peer and --vmac."""
    settings, _ = parse([*COMPLETE, *arguments.split()])

    assert settings.virtual_host("eth0").source_mac is source_mac


def test_the_rest_of_what_kernels_know() -> None:
    """Options that ucarp does not have reach the virtual host, too."""
    words = "--vmac --demotion 3 --lladdr 02:00:00:00:00:01 --replay-guard off"
    peers = "-a fd00::252 --peer fe80::6,10.1.1.6 --peer 10.1.1.6"
    settings, _ = parse([*COMPLETE, *words.split(), *peers.split()])
    host = settings.virtual_host("eth0")

    assert (host.vmac, host.demotion) == (True, 3)
    assert host.link_address == bytes.fromhex("020000000001")
    assert host.replay_guard is GuardMode.OFF
    assert host.peers == (IPv6Address("fe80::6"), IPv4Address("10.1.1.6"))


@pytest.mark.parametrize("vhid", [7, 42])
def test_the_usual_link_address_is_none_set_by_hand(vhid: int) -> None:
    """OpenBSD leaves 00:00:5e:00:01:vhid out of the digest, so it may be named."""
    words = f"-v {vhid} --lladdr 00:00:5e:00:01:2a"
    settings, _ = parse([*COMPLETE, *words.split()])

    expected = bytes.fromhex("00005e00012a") if vhid == 7 else b""
    assert settings.virtual_host("eth0").link_address == expected


BAD_TOGETHER = [
    (
        "--peer 10.1.1.6 -M",
        "With --peer adverts go to no group (leave out --mcastip and --nomcast)",
    ),
    (
        "--peer 10.1.1.6 -m 224.0.0.19",
        "With --peer adverts go to no group (leave out --mcastip and --nomcast)",
    ),
    (
        "--peer 10.1.1.6 --source-mac bsd",
        ("With --peer adverts come from the interface's own MAC "
         "(leave out --source-mac)"),
    ),
    (
        "--own-addresses -a 10.1.1.5",
        ("10.1.1.5 is an address of this host: --own-addresses would take it away "
         "(allowed: an --addr that no host has of its own)"),
    ),
    (
        "--peer 10.1.1.6,10.1.1.5",
        "10.1.1.5 is no peer, but an address of this host or of the group (--peer)",
    ),
    (
        "--peer 10.1.1.252",
        "10.1.1.252 is no peer, but an address of this host or of the group (--peer)",
    ),
    (
        "-a fd00::252 -s fe80::5 --peer 10.1.1.6,fe80::5",
        "fe80::5 is no peer, but an address of this host or of the group (--peer)",
    ),
    (
        "-a fd00::252 --peer 10.1.1.6",
        "No --peer is an IPv6 address, but an --addr is",
    ),
    (
        "--on-conflict script",
        "With --on-conflict=script there must be a script to run (--upscript)",
    ),
    ("--peer fe80::6", "No --peer is an IPv4 address, but an --addr is"),
    ("--peer 10.1.1.6,fe80::6", "No --addr is an IPv6 address, but a --peer is"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), BAD_TOGETHER)
def test_bad_together(arguments: str, sentence: str) -> None:
    """Values that contradict each other are refused."""
    settings, _ = parse([*COMPLETE, *arguments.split()])

    with pytest.raises(ConfigError) as caught:
        settings.virtual_host("eth0")

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "a valid virtual host id"),
        ("-s 10.1.1.5", "a valid virtual host id"),
        ("-v 7", "a password"),
        ("-v 7 -p love -b 0 -k 0", "an advertisement time base"),
        ("-v 7 -p love", "a persistent source address"),
        ("-v 7 -p love -s 0.0.0.0", "a persistent source address"),
        ("-v 7 -p love -s 10.1.1.5", "a virtual host address"),
        ("-v 7 -p love -s 10.1.1.5 -a 0.0.0.0", "a virtual host address"),
        ("-v 7 -p love -s fe80::5", "a virtual host address"),
        ("-v 7 -p love -a 10.1.1.252,fd00::1", "a persistent source address"),
        ("-v 7 -p love -a 10.1.1.252 -s fe80::5", "a persistent source address"),
    ],
)
def test_something_is_missing(arguments: str, words: str) -> None:
    """In ucarp's order and words, and with the option to give."""
    settings, _ = parse(arguments.split())

    with pytest.raises(ConfigError, match=rf"^You must supply {words}.*--") as caught:
        settings.virtual_host("eth0")

    assert caught.value.exit_status == 1


def accepts(arguments: list[str]) -> bool:
    """True if ucarp's getopt_long accepts these; vhid 0 ends it before it starts."""
    ended = subprocess.run(
        [UCARP, *arguments, "-f", "none", "-v", "0"],
        capture_output=True,
        check=False,
        timeout=10,
    )
    return ended.returncode == 1  # help, which it shows for the unknown, is 0


@pytest.mark.skipif(not os.path.exists(UCARP), reason="not installed: ucarp")
def test_ucarp_takes_what_we_take() -> None:
    """Every option and abbreviation of ucarp's is accepted by it, too."""
    ours = {row.long for row in OPTIONS if not row.ucarp}
    known = [row for row in OPTIONS if row.ucarp and row.long != "help"]
    # -m is in its documentation but not in its code; -o would be read at once.
    spelt = [
        [spelling if spelling != "/etc/pass" else "/etc/hostname" for spelling in words]
        for row in known
        for words in spellings(row)
        if not row.parse or row.long not in {"mcastip", "passfile"}
    ]
    spelt += [["--mcastip=224.0.0.9"], ["--mcast", "224.0.0.9"]]
    spelt += [
        [name if long(meant).parse is None else f"{name}=1.1.1.1"]
        for name, meant in ABBREVIATIONS.items()
        if meant is not None and meant not in {*ours, "help", "passfile"}
    ]

    assert [words for words in spelt if not accepts(words)] == []


@pytest.mark.skipif(not os.path.exists(UCARP), reason="not installed: ucarp")
@pytest.mark.parametrize("word", ["--n", "--p", "--d", "--ad", "--s", "-Z", "--bogus"])
def test_ucarp_refuses_what_we_refuse(word: str) -> None:
    """ucarp refuses the same; it shows its help and exits with 0."""
    assert not accepts([word])
    with pytest.raises(ConfigError):
        parse([word])
