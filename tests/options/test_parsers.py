"""The values of options: each kind, accepted and refused."""

from enum import Enum
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.errors import ConfigError, PasswordError
from carppcap.options.command_line import parse
from carppcap.options.parsers import (
    VirtualAddress,
    any_text,
    choice,
    facility,
    is_host,
    merge_virtual_addresses,
    number,
    parse_address,
    parse_mac,
    parse_number,
    parse_password,
    parse_peers,
    parse_source,
    parse_virtual_addresses,
    password,
    plain_text,
    seconds,
)


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        (b"x" * 20, "Password too long: 20 bytes (allowed: 1 to 19)"),
        (b"a\0b", "Password contains a zero byte (allowed: any other)"),
    ],
)
def test_bad_password(password: bytes, sentence: str) -> None:
    """A password that cannot be a key gives ucarp's status 2."""
    with pytest.raises(PasswordError) as caught:
        parse_password(password)

    assert str(caught.value) == sentence
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), ("-0", 0), ("+7", 7), (" 7", 7), ("\t7", 7), ("255", 255),
        ("0x10", 16), ("0XfF", 255), ("010", 8), ("+017", 15), ("00", 0),
    ],
)  # fmt: skip
def test_number_of_base_0(text: str, number: int) -> None:
    """0x10 is 16 and 010 is 8, as strtol(3) with base 0 reads them."""
    assert parse_number(text, "-k", 0, 255) == number


@pytest.mark.parametrize("text", ["08", "0x", "1 ", "7\n", "1_0", "--1", "0b1", "0o7"])
def test_no_number(text: str) -> None:
    """Text that strtol(3) would cut short is refused, and so are Python's notations."""
    with pytest.raises(ConfigError, match="Invalid number"):
        parse_number(text, "-k", 0, 255)


@given(st.integers(-300, 600), st.sampled_from(["{}", "{:#x}", "0{:o}", "+{}"]))
def test_numbers(number: int, form: str) -> None:
    """A number in any base is parsed, or refused as out of range."""
    text = form.format(number)
    try:
        parsed = parse_number(text, "-k", 0, 255)
    except ConfigError:
        assert not 0 <= number <= 255
    else:
        assert parsed == number


def test_number_as_an_option_has_it() -> None:
    """A parser for each range."""
    parse_skew = number(0, 255)

    assert parse_skew("0x10", "-k") == 16
    with pytest.raises(ConfigError, match=r"\[256\] for -k \(allowed: 0 to 255\)$"):
        parse_skew("256", "-k")


def test_texts() -> None:
    """One parser accepts an empty text, the other does not."""
    assert plain_text("eth0", "-i") == "eth0"
    assert any_text("", "-x") == ""
    with pytest.raises(ConfigError, match=r"^-i is empty$"):
        plain_text("", "-i")


def test_password_in_the_bytes_that_were_typed() -> None:
    """Any bytes but none, UTF-8 or not."""
    assert password("f\udcfcr", "-p") == b"f\xfcr"
    assert password("für", "-p") == b"f\xc3\xbcr"
    with pytest.raises(ConfigError, match=r"^You must supply a password "):
        password("", "-p")


def test_facility() -> None:
    """In upper or lower case; `none` is accepted."""
    assert [facility(word, "-f") for word in ("LOCAL3", "none")] == ["local3", "none"]
    with pytest.raises(ConfigError, match=r"\[bogus\] \(allowed: kern, .*, none\)$"):
        facility("bogus", "-f")


def test_seconds() -> None:
    """Up to a day, in nanoseconds."""
    assert seconds("86400", "--script-timeout") == 86_400_000_000_000
    with pytest.raises(ConfigError, match="allowed: 0 to 86400"):
        seconds("86401", "--script-timeout")


NO_ADDRESS = (
    "Invalid address: [{}] for -a (allowed: an IPv4 or IPv6 address such as "
    "10.1.1.252 or fd00::252)"
)
NO_HOST = "{} for --peer is no address that a host can have on a network"
NOT_SHARED = "{} is no address that hosts can share on a network"


@pytest.mark.parametrize(
    "text", ["10.1.1.252", "0.0.0.0", "fd00::252", "::", "fe80::1"]
)
def test_address(text: str) -> None:
    """Of either family."""
    assert parse_address(text, "-a") == ip_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "10.1.1", "10.1.1.300", "10.1.1.252/24", " 10.1.1.252", "010.1.1.2",
        "٣.1.1.1", "vip", "fd00:::1", "fe80::1%eth0", "::ffff:10.1.1.252", "[::1]",
    ],
)  # fmt: skip
def test_no_address(text: str) -> None:
    """Names, zones and IPv4-mapped addresses are refused."""
    with pytest.raises(ConfigError) as caught:
        parse_address(text, "-a")

    assert str(caught.value) == NO_ADDRESS.format(text)


@pytest.mark.parametrize(
    "text", ["::", "::1", "ff02::12", "0.0.0.0", "127.0.0.1", "224.0.0.18"]
)
def test_not_an_address_of_a_host(text: str) -> None:
    """Groups, loopback and unspecified addresses are refused."""
    with pytest.raises(ConfigError) as caught:
        parse_peers(f"10.1.1.6,{text}", "--peer")

    assert str(caught.value) == NO_HOST.format(text)
    assert not is_host(ip_address(text))


def test_peers() -> None:
    """With commas between them."""
    assert parse_peers("10.1.1.6,fe80::6", "--peer") == (
        ip_address("10.1.1.6"),
        ip_address("fe80::6"),
    )
    assert not is_host(ip_address("255.255.255.255"))


@pytest.mark.parametrize("text", ["::", "::1", "ff02::12"])
def test_no_source(text: str) -> None:
    """In IPv6 it must be a host's; in IPv4 any is accepted, as by ucarp."""
    assert str(parse_source("127.0.0.1", "-s")) == "127.0.0.1"
    assert str(parse_source("fe80::5", "-s")) == "fe80::5"
    with pytest.raises(ConfigError) as caught:
        parse_source(text, "-s")

    assert str(caught.value) == NO_HOST.replace("--peer", "-s").format(text)


@pytest.mark.parametrize(
    ("text", "virtuals"),
    [
        ("10.1.1.252", [("10.1.1.252", None)]),
        ("10.1.1.252/0", [("10.1.1.252", 0)]),
        ("10.1.1.252/32,fd00::1/128", [("10.1.1.252", 32), ("fd00::1", 128)]),
        ("fd00::1/0,10.1.1.252", [("fd00::1", 0), ("10.1.1.252", None)]),
        ("10.1.1.252/024", [("10.1.1.252", 24)]),
    ],
)
def test_virtual_addresses(text: str, virtuals: list[tuple[str, int | None]]) -> None:
    """Each with the host's bits, and with a prefix or without."""
    expected = tuple(VirtualAddress(ip_address(a), p) for a, p in virtuals)

    assert parse_virtual_addresses(text, "-a") == expected
    assert [str(virtual) for virtual in expected] == [
        str(ip_address(a)) + ("" if p is None else f"/{p}") for a, p in virtuals
    ]


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("10.1.1.252/33", 32), ("10.1.1.252/", 32), ("10.1.1.252/-1", 32),
        ("10.1.1.252/24/24", 32), ("10.1.1.252/٣", 32), ("10.1.1.252/255.0.0.0", 32),
        ("fd00::1/129", 128), ("fd00::1/ 64", 128), ("fd00::1/" + "1" * 5000, 128),
    ],
)  # fmt: skip
def test_no_prefix(text: str, most: int) -> None:
    """0 to 32, or 0 to 128."""
    with pytest.raises(ConfigError) as caught:
        parse_virtual_addresses(text, "-a")

    sentence = f"Invalid prefix length: [{text}] for -a (allowed: 0 to {most})"
    assert str(caught.value) == sentence


@pytest.mark.parametrize("text", ["", ",", "10.1.1.252,", "10.1.1.252, fd00::1"])
def test_nothing_between_commas(text: str) -> None:
    """Empty words and blanks are refused."""
    with pytest.raises(ConfigError, match="Invalid address: "):
        parse_virtual_addresses(text, "-a")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("-a ff02::12", "ff02::12"),
        ("-a ::1", "::1"),
        ("-a ::", "::"),
        ("-a 224.0.0.18/24", "224.0.0.18"),
        ("-a 10.1.1.252,0.0.0.0", "0.0.0.0"),
        ("-a 127.0.0.1 -a 10.1.1.252", "127.0.0.1"),
        ("-a 10.1.1.252,255.255.255.255", "255.255.255.255"),
    ],
)
def test_addresses_that_cannot_be_shared(arguments: str, named: str) -> None:
    """No host can have these, and digests leave some of them out."""
    with pytest.raises(ConfigError) as caught:
        parse(arguments.split())

    assert str(caught.value) == NOT_SHARED.format(named)


@pytest.mark.parametrize("text", ["127.0.0.1", "224.0.0.18", "255.255.255.255"])
def test_a_single_address_may_be_what_ucarp_takes(text: str) -> None:
    """As with ucarp, however little sense it makes."""
    settings, _ = parse(["-a", text])

    assert settings.vips == (ip_address(text),)


def test_the_same_address_again() -> None:
    """It is kept once, with the prefix that was given."""
    one, bare = (
        parse_virtual_addresses(text, "-a") for text in ("10.1.1.252/24", "10.1.1.252")
    )

    assert merge_virtual_addresses(one, bare) == one
    assert merge_virtual_addresses(bare, one) == one
    assert merge_virtual_addresses(one, one) == one


def test_one_address_in_two_networks() -> None:
    """Two prefixes for one address are refused."""
    known = parse_virtual_addresses("10.1.1.252/24", "-a")

    with pytest.raises(ConfigError) as caught:
        merge_virtual_addresses(known, parse_virtual_addresses("10.1.1.252/25", "-a"))

    sentence = "10.1.1.252 cannot be in a network /24 and in a network /25"
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "text", ["00:00:5e:00:01:2a", "0:0:5E:0:1:2A", "00-00-5e-00-01-2a"]
)
def test_mac(text: str) -> None:
    """In the notations of any system."""
    assert parse_mac(text, "--lladdr") == bytes.fromhex("00005e00012a")


@pytest.mark.parametrize(
    "text",
    [
        "", "00:00:5e:00:01", "00:00:5e:00:01:2a:00", "00005e00012a", "0:0:5e:0:1:g",
        "00:00:00:00:00:00", "01:00:5e:00:00:12", "ff:ff:ff:ff:ff:ff", "0:0:5e:0:1:٣",
    ],
)  # fmt: skip
def test_no_mac(text: str) -> None:
    """Only six bytes of a single host are accepted."""
    with pytest.raises(ConfigError) as caught:
        parse_mac(text, "--lladdr")

    assert str(caught.value) == (
        f"Invalid MAC: [{text}] for --lladdr (allowed: that of a single host, such as "
        "00:00:5e:00:01:2a)"
    )


def test_choice() -> None:
    """Words are the values of an Enum, in upper or lower case."""

    class Colour(Enum):
        RED = "red"
        BLUE = "blue"

    parse_colour = choice(Colour)

    assert parse_colour("Red", "--colour") is Colour.RED
    with pytest.raises(ConfigError) as caught:
        parse_colour("green", "--colour")
    sentence = "Unknown word: [green] for --colour (allowed: red, blue)"
    assert str(caught.value) == sentence
