"""The keys: one for each option, each with its kind."""

import pytest

from carppcap.configuration.keys import (
    KEYS,
    Kind,
    description,
    in_file,
    nearest,
    options_in,
    unknown_key,
    wrong_kind,
)
from carppcap.options.table import OPTIONS


def test_every_option_is_a_key() -> None:
    """A new option is there by itself; help and version alone make no sense."""
    names = {row.long.replace("-", "_") for row in OPTIONS}

    assert names - KEYS.keys() == {"help", "version"}
    assert KEYS.keys() - names == {"credential"}
    assert all(key.name == name for name, key in KEYS.items())


def test_kinds() -> None:
    """From the table and the types of the settings."""
    by_kind = {
        kind: " ".join(name for name, key in KEYS.items() if key.kind is kind)
        for kind in Kind
    }

    assert by_kind[Kind.LIST] == "srcip addr peer"
    assert by_kind[Kind.NUMBER] == (
        "vhid advbase advskew deadratio script_timeout announce_interval demotion"
    )
    assert all(
        (key.option.parse is None) == (key.kind is Kind.FLAG) for key in KEYS.values()
    )
    assert "passfile pass upscript" in by_kind[Kind.TEXT]


def test_keys_of_the_whole_daemon() -> None:
    """They are about the process."""
    found = {name for name, key in KEYS.items() if key.is_global}

    assert found == {
        "daemonize", "debug", "facility", "no_realtime", "pidfile", "syslog"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("advskw", "advskew"),
        ("own-addresses", "own_addresses"),
        ("VHID", "vhid"),
        ("address", "addr"),
        ("adresses", "own_addresses"),
        ("password", "pass"),
        ("int", "interface"),
        ("priority", None),
        ("x", None),
        ("", None),
    ],
)
def test_nearest(name: str, meant: str | None) -> None:
    """What was probably meant; nothing rather than nonsense."""
    assert nearest(name, tuple(KEYS)) == meant


def test_descriptions() -> None:
    """Those of the options, where the file is not different."""
    assert description("interface") == "network interface"
    assert description("vhid").startswith("number of the group, 1 to 255")
    assert description("addr").endswith("with /LENGTH of its network if needed")
    assert description("pass").endswith("(better: passfile)")
    assert description("own_addresses").endswith(" (default true)")
    assert all(description(name) for name in KEYS)


def test_errors() -> None:
    """What is wrong, what is allowed, what was meant."""
    assert str(unknown_key("vhdi", ("vhid", "addr"))) == (
        "unknown key [vhdi] (allowed: those in carppcap.toml(5)); did you mean vhid?"
    )
    assert str(unknown_key("zzz", ("vhid", "addr"))) == (
        "unknown key [zzz] (allowed: vhid, addr)"
    )
    assert str(wrong_kind(KEYS["vhid"], True)) == (
        "vhid must be a whole number (got true)"
    )
    assert str(wrong_kind(KEYS["preempt"], 1)) == (
        "preempt must be true or false (got 1)"
    )
    assert str(wrong_kind(KEYS["addr"], int("9" * 4000) ** 2)) == (
        "addr must be a text in quotes, or several in brackets (got an endless number)"
    )
    assert len(str(wrong_kind(KEYS["pass"], ["x" * 999]))) < 100


def test_names_of_options_in_messages() -> None:
    """Known ones become keys."""
    text = "leave out --own-addresses and --force (--addr, --pass-x)"

    assert in_file(text) == "leave out own_addresses and --force (addr, --pass-x)"
    assert options_in(text) == ["own_addresses", "addr"]
