"""Command lines of ucarp, as in scripts and units."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.conversion.result import OWN_ADDRESSES_HINT
from carppcap.errors import ConfigError
from carppcap.options.command_line import parse
from carppcap.options.settings import Settings
from carppcap.options.table import OPTIONS
from tests.conversion.sources import converted, only, read_again, said, values

LINE = "ucarp -i eth0 -s 10.1.1.1 -v 42 -o /etc/vip.pass -a 10.1.1.252"
PLAIN = {
    "interface": "eth0", "srcip": ["10.1.1.1"], "vhid": 42, "passfile": "/etc/vip.pass",
    "addr": ["10.1.1.252"],
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        f"/usr/sbin/{LINE} &",
        f"exec {LINE} > /dev/null 2>&1 &",
        f"ExecStart=/usr/sbin/{LINE}",
        f"    nohup sudo {LINE}; echo started",
        f"carppcap {LINE.removeprefix('ucarp ')} | logger",
        LINE.replace(" -v", " \\\n\t-v"),
        LINE.replace(" -v", " \\\r\n\t-v"),
        f'"/opt/ucarp" {LINE.removeprefix("ucarp ")}'.replace('"', ""),
        "#!/bin/sh\n# ucarp -i eth9\n; ucarp -i eth8\necho ucarp\nucarp.sh -x\n" + LINE,
    ],
)
def test_one_line(line: str) -> None:
    """What the shell adds is not ucarp's."""
    result = converted(line)

    assert (values(result), said(result)) == (PLAIN, [])
    assert only(result).name == "vip-42"


def test_every_option_is_taken_over() -> None:
    """Those of the process for all, the scripts with their addresses."""
    result = converted(
        f"{LINE} -u '/etc/up script' -d /d -x '' -b 2 -k 0x10 -r 4 -PnzSM -m 224.0.0.19 "
        "-f local0 -D --pidfile=/run/p --script-timeout 9 --peer 10.1.1.2 -a fd00::1"
    )

    assert said(result) == []
    assert result.top == {"facility": "local0", "debug": True, "pidfile": "/run/p"}
    assert values(result) == PLAIN | {
        "addr": ["10.1.1.252", "fd00::1"], "upscript": "/etc/up script",
        "downscript": "/d", "xparam": "", "advbase": 2, "advskew": 16, "deadratio": 4,
        "preempt": True, "neutral": True, "shutdown": True, "ignoreifstate": True,
        "nomcast": True, "mcastip": "224.0.0.19", "script_timeout": 9,
        "peer": ["10.1.1.2"], "own_addresses": False,
    }  # fmt: skip
    assert only(result).comments == {"own_addresses": [OWN_ADDRESSES_HINT]}


@pytest.mark.parametrize("flag", ["--vmac", "--own-addresses"])
def test_carppcap_that_holds_the_addresses_itself(flag: str) -> None:
    """Its scripts do something else."""
    assert values(converted(f"{LINE} -u /u {flag}")).get("own_addresses") in (
        None,
        True,
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{LINE} -B", ["1: -B is left out: a service manager starts the daemon"]),
        (f"{LINE} -s $IP", ["1: the shell has the value of srcip: $IP"]),
        (
            f"{LINE} -k 999",
            ["1: Invalid number: [999] for advskew (allowed: 0 to 255)"],
        ),
        (f"{LINE} stray", ["1: no counterpart for: stray"]),
        (f"{LINE} -h", []),
    ],
)
def test_remarks(line: str, expected: list[str]) -> None:
    """Nothing is dropped in silence."""
    assert said(converted(line)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ucarp -Q", "Unknown option: -Q (see --help)"),
        ("ucarp -x 'a", "No closing quotation"),
        (
            "su -c 'ucarp -x a'",
            "cannot understand this command (allowed: ucarp -OPTIONS)",
        ),
    ],
)
def test_lines_without_sense(line: str, expected: str) -> None:
    """They are no groups."""
    result = converted(f"{line}\n{LINE}")

    assert [draft.name for draft in result.drafts] == ["vip-42"]
    assert said(result) == [f"1: {expected}", "1: this line was not converted"]


def test_names_are_different() -> None:
    """Two groups with one vhid, and one without."""
    result = converted(f"{LINE}\n{LINE}\nucarp -i eth0")

    assert [draft.name for draft in result.drafts] == ["vip-42", "vip-42-2", "vip"]


WORDS = st.sampled_from(
    [f"--{row.long}" + (f"={value}" if row.parse else "")
     for row in OPTIONS if row.field not in ("help", "version", "daemonize")
     for value in ("1", "10.1.1.9", "10.1.1.9/24", "user", "real", "off", "0:1:2:3:4:5", "/x")]
)  # fmt: skip


@given(st.lists(WORDS, max_size=8))
def test_settings_are_the_same(words: list[str]) -> None:
    """As the command line gives them; only who holds the addresses is said."""
    words = ["-i", "eth0", "-s", "10.1.1.1", "-v", "42", "-a", "10.1.1.252", *words]
    try:
        settings, _ = parse([*words, *(["-p", "love"])])
        settings.virtual_host("eth0")
    except ConfigError:
        return
    result = converted(shlex.join(["ucarp", *words, "-p", "love"]))

    configuration = read_again(result)
    assert configuration.is_usable, configuration.findings
    (group,) = configuration.groups
    has_scripts = settings.upscript or settings.downscript
    expected = vars_of(settings)
    if not (has_scripts and not settings.vmac):
        expected["own_addresses"] = True
    assert vars_of(group.settings) == expected


def vars_of(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}
