"""Parsers for the values of options, one for each kind of value.

A parser takes `text`, the value as it was given, and `what`, the name of the option.
If the value is wrong, it raises a `ConfigError` that contains the name.  No parser
opens a file.
"""

import re
from collections.abc import Callable
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from carppcap.addresses import Address
from carppcap.errors import N_, ConfigError, PasswordError
from carppcap.units import NS_PER_S, Interval
from carppcap.wire.auth import PASSWORD_LENGTH_MAX

SECONDS_MAX = 86_400

FACILITIES = {
    "kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "security": 4,
    "syslog": 5, "lpr": 6, "news": 7, "uucp": 8, "cron": 9, "authpriv": 10,
    "ftp": 11, "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20,
    "local5": 21, "local6": 22, "local7": 23,
}  # fmt: skip
"""The numbers of syslog's facilities, by name (RFC 5424, table 1)."""

NO_SYSLOG = "none"


class VirtualAddress(NamedTuple):
    """An address that a group shares, and its prefix length.

    The prefix length is 0..32 for IPv4 and 0..128 for IPv6, or None if it was not
    given.
    """

    address: Address
    prefix: int | None = None

    def __str__(self) -> str:
        return f"{self.address}" + ("" if self.prefix is None else f"/{self.prefix}")


def parse_number(text: str, what: str, low: int, high: int) -> int:
    """Return the whole number in `text`, read as by strtol(3) with base 0: `010` is 8.

    Raises `ConfigError` unless the whole of `text` is a number from `low` to `high`.
    """
    number = None
    if re.fullmatch(r"\s*\+?0[0-7]+", text, re.ASCII):
        number = int(text, 8)
    elif re.fullmatch(r"\s*[+-]?(0[xX][0-9a-fA-F]+|[1-9][0-9]{0,9}|0)", text, re.ASCII):
        number = int(text, 0)
    if number is None or not low <= number <= high:
        wrong = N_("Invalid number: [{text}] for {what} (allowed: {low} to {high})")
        raise ConfigError(wrong, text=text, what=what, low=low, high=high)
    return number


def parse_password(password: bytes) -> bytes:
    """Return `password` unchanged.

    BSD kernels and ucarp can use 1 to 19 bytes without a zero byte.  Raises
    `ConfigError` for an empty password, and `PasswordError` for any other unusable one.
    """
    if not password:
        raise ConfigError("You must supply a password (allowed: 1 to 19 bytes)")
    if len(password) > PASSWORD_LENGTH_MAX:
        raise PasswordError(
            "Password too long: {length} bytes (allowed: 1 to 19)", length=len(password)
        )
    if b"\0" in password:
        raise PasswordError("Password contains a zero byte (allowed: any other)")
    return password


def parse_address(text: str, what: str) -> Address:
    """Return the IPv4 or IPv6 address in `text`.

    Raises `ConfigError` for any other text.  Raises it also for an IPv4-mapped IPv6
    address, which no datagram has, and for an address with a zone (`fe80::1%eth0`),
    because another option names the interface.
    """
    try:
        return IPv4Address(text)
    except AddressValueError:
        pass
    try:
        address = IPv6Address(text)
    except AddressValueError:
        address = None
    if address is None or address.ipv4_mapped is not None or "%" in text:
        raise ConfigError(
            "Invalid address: [{text}] for {what} (allowed: an IPv4 or IPv6 address "
            "such as 10.1.1.252 or fd00::252)",
            text=text,
            what=what,
        )
    return address


def parse_source(text: str, what: str) -> Address:
    """Return the address in `text`, from which this host is to send adverts.

    Any IPv4 address is allowed, as with ucarp.  An IPv6 address must be one that a host
    can have on a network (`is_host`).
    """
    address = parse_address(text, what)
    return address if address.version == 4 else _checked_host(address, what)


def parse_peers(text: str, what: str) -> tuple[Address, ...]:
    """Return the addresses in `text`, a comma-separated list of other hosts.

    Raises `ConfigError` for an address that no host can have on a network (`is_host`).
    """
    return tuple(
        _checked_host(parse_address(part, what), what) for part in text.split(",")
    )


def _checked_host(address: Address, what: str) -> Address:
    if not is_host(address):
        wrong = N_(
            "{address} for {what} is no address that a host can have on a network"
        )
        raise ConfigError(wrong, address=address, what=what)
    return address


def parse_virtual_addresses(text: str, what: str) -> tuple[VirtualAddress, ...]:
    """Return the virtual addresses in `text`, a comma-separated list.

    Each may have the length of its prefix, e.g. `10.1.1.252/24`.
    """
    return tuple(_virtual_address(part, what) for part in text.split(","))


def _virtual_address(text: str, what: str) -> VirtualAddress:
    spelt, slash, length = text.partition("/")
    address = parse_address(spelt, what)
    if not slash:
        return VirtualAddress(address)
    most = address.max_prefixlen
    if not re.fullmatch("[0-9]{1,3}", length, re.ASCII) or int(length) > most:
        wrong = N_("Invalid prefix length: [{text}] for {what} (allowed: 0 to {most})")
        raise ConfigError(wrong, text=text, what=what, most=most)
    return VirtualAddress(address, int(length))


def is_host(address: Address) -> bool:
    """True if a host can have `address` on a network and can be reached there.

    False for a multicast, unspecified or loopback address, and for 255.255.255.255.
    """
    return not (
        address.is_multicast
        or address.is_unspecified
        or address.is_loopback
        or address == IPv4Address("255.255.255.255")
    )


def merge_virtual_addresses(
    known: tuple[VirtualAddress, ...], more: tuple[VirtualAddress, ...]
) -> tuple[VirtualAddress, ...]:
    """Return the addresses in `known` and those in `more`, each of them once.

    Raises `ConfigError` for an address with two different prefix lengths, and for an
    address that no host can have on a network (`is_host`).  A single IPv4 address
    without a prefix length may be any address, because ucarp accepts any.
    """
    merged = {virtual.address: virtual for virtual in known}
    for virtual in more:
        before = merged.get(virtual.address)
        if before is None or before.prefix is None:
            merged[virtual.address] = virtual
        elif virtual.prefix not in (None, before.prefix):
            raise ConfigError(
                "{address} cannot be in a network /{one} and in a network /{other}",
                address=virtual.address,
                one=before.prefix,
                other=virtual.prefix,
            )
    virtuals = tuple(merged.values())
    # The only form that ucarp has.
    is_plain = [(v.address.version, v.prefix) for v in virtuals] == [(4, None)]
    for virtual in virtuals:
        if not is_plain and not is_host(virtual.address):
            raise ConfigError(
                "{address} is no address that hosts can share on a network",
                address=virtual.address,
            )
    return virtuals


def parse_mac(text: str, what: str) -> bytes:
    """Return the MAC in `text`: six hexadecimal numbers with colons or hyphens between.

    Raises `ConfigError` for any other text, a multicast MAC, or a MAC of zeros.
    """
    mac = b""
    if re.fullmatch(r"[0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}", text, re.ASCII):
        mac = bytes(int(byte, 16) for byte in re.split("[:-]", text))
    if not any(mac) or mac[0] & 1:
        raise ConfigError(
            "Invalid MAC: [{text}] for {what} (allowed: that of a single host, such "
            "as 00:00:5e:00:01:2a)",
            text=text,
            what=what,
        )
    return mac


def number(low: int, high: int) -> Callable[[str, str], int]:
    """Return a parser for numbers from `low` to `high`."""
    return lambda text, what: parse_number(text, what, low, high)


def choice(choices: type[Enum]) -> Callable[[str, str], Enum]:
    """Return a parser for a value of the enum `choices`, in upper or lower case."""

    def parse(text: str, what: str) -> Enum:
        try:
            return choices(text.lower())
        except ValueError:
            words = ", ".join(member.value for member in choices)
            wrong = N_("Unknown word: [{text}] for {what} (allowed: {words})")
            raise ConfigError(wrong, text=text, what=what, words=words) from None

    return parse


def plain_text(text: str, what: str) -> str:
    """Return `text` unchanged.  Raises `ConfigError` if it is empty."""
    if not text:
        raise ConfigError("{what} is empty", what=what)
    return text


def parse_credential(text: str, what: str) -> str:
    """Return `text`, the name of a systemd credential: of a file, without a directory.

    Raises `ConfigError` for any other text.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.:@-]{1,255}", text, re.ASCII) or text in {
        ".",
        "..",
    }:
        wrong = N_("Invalid name: [{text}] for {what} (allowed: such as web.pass)")
        raise ConfigError(wrong, text=text, what=what)
    return text


def any_text(text: str, what: str) -> str:
    """Return `text` unchanged, even if it is empty."""
    return text


def password(text: str, what: str) -> bytes:
    """Return the password in `text` as bytes, exactly as they were typed.

    Raises `ConfigError` unless there are 1 to 19 bytes and no zero byte.
    """
    return parse_password(encode(text))


def encode(text: str) -> bytes:
    """Return the bytes from which Python decoded `text`, an argument of the process.

    The bytes need not be UTF-8.
    """
    return text.encode("utf-8", "surrogateescape")


def decode(typed: bytes) -> str:
    """Return the text for `typed`, the bytes of an argument; it reverses `encode`."""
    return typed.decode("utf-8", "surrogateescape")


def facility(text: str, what: str) -> str:
    """Return the syslog facility in `text`, in lower case, or `NO_SYSLOG`."""
    name = text.lower()
    if name != NO_SYSLOG and name not in FACILITIES:
        raise ConfigError(
            "Unknown syslog facility: [{text}] (allowed: {names})",
            text=text,
            names=", ".join((*FACILITIES, NO_SYSLOG)),
        )
    return name


def seconds(text: str, what: str) -> Interval:
    """Return in nanoseconds what `text` gives in whole seconds, 0 to 86400.

    The meaning of 0 depends on the option.
    """
    return parse_number(text, what, 0, SECONDS_MAX) * NS_PER_S
