"""Configuration: command lines, password files, and what is made of both."""

import os
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from functools import cache

from carppcap.addresses import ANY, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.errors import CarpError, ConfigError
from carppcap.options import command_line
from carppcap.options.command_line import parse
from carppcap.options.settings import Settings
from carppcap.options.table import OPTIONS, Option
from carppcap.system.password import with_password
from carppcap.system.syslog import Log
from carppcap.wire.auth import Key

_END_OF_WORD = b"\0"
_DEFAULTS = Settings()
_BY_FIELD: dict[str, Option] = {}
for _row in OPTIONS:
    _BY_FIELD.setdefault(_row.field, _row)


def check_settings(data: bytes) -> object:
    """The content of a password file, and words, with a zero byte in between.

    So that the content can have zero bytes as well, a byte 1 stands for them there.
    """
    content, *rest = data.split(_END_OF_WORD)
    words = [word.decode("utf-8", "surrogateescape") for word in rest]
    try:
        settings, others = parse(words)
    except ConfigError as error:
        return said(error)
    assert set(others) <= set(words)
    given = command_line.passwords(words)
    assert settings.password is None or settings.password in given
    assert parse(_spelt_out(settings)) == (settings, [])
    try:
        if settings.passfile is not None:
            settings = _with_passfile(settings, content.replace(b"\1", b"\0"))
        host = settings.virtual_host("eth0")
    except ConfigError as error:
        return said(error)
    _check_host(host, settings)
    return host.preempt, host.farewell, host.multicast, settings.passfile is None


def said(error: CarpError) -> tuple[object, ...]:
    """Which error it is; its template must fit its values, and say something."""
    assert str(error)
    return error.template, error.values.get("what"), error.values.get("length") == 20


def _with_passfile(settings: Settings, content: bytes) -> Settings:
    # A real file or a device must not be read.
    named = replace(settings, passfile=_password_file(content), password=None)
    settings = with_password(named, Log("fuzz"))
    assert settings.password == content.split(b"\n")[0]
    assert 1 <= len(settings.password) <= 19
    return settings


def _check_host(host: VirtualHostConfig, settings: Settings) -> None:
    """All that the documentation promises of an accepted configuration."""
    password = settings.password
    assert password is not None
    assert 1 <= len(password) <= 19
    assert b"\0" not in password
    assert isinstance(host.key, Key)
    assert 1 <= host.vhid <= 255
    assert 0 < 256 * host.advbase + host.advskew <= 256 * 255 + 255
    assert 1 <= host.dead_ratio <= 65535
    assert host.group.is_multicast
    assert host.interval_ns > 0
    assert host.master_down_interval_ns > 0
    assert host.vips == settings.vips
    assert len(set(host.vips)) == len(host.vips) >= 1
    assert len(host.prefixes) in (0, len(host.vips))
    assert (Family.IPV4 in host.families) == (host.source is not None)
    assert host.source != ANY
    assert not any(vip.is_unspecified for vip in host.vips)
    is_plain = len(host.vips) == 1 and host.vips[0].version == 4 and not host.prefixes
    for vip in host.vips:
        assert is_plain or not (vip.is_multicast or vip.is_loopback)
    assert not any(peer.is_multicast for peer in host.peers)
    assert not set(host.peers) & {*host.vips, host.source, host.source6}
    assert {Family.of(peer) for peer in host.peers} in (set(), set(host.families))
    assert len(host.link_address) in (0, 6)
    assert 0 <= host.demotion <= 255
    assert repr(host.key) == "Key()"


def _spelt_out(settings: Settings) -> list[str]:
    """A command line that says the same in full."""
    words = []
    for field, row in _BY_FIELD.items():
        value = getattr(settings, field)
        if row.parse is None:
            words += [f"--{row.long}"] if value else []
        elif value is not None and value != getattr(_DEFAULTS, field):
            words += [f"--{row.long}={text}" for text in _texts(field, value)]
    if settings.source6 is not None:
        words.append(f"--srcip={settings.source6}")
    return words


def _texts(field: str, value: object) -> list[str]:
    """How a value is written; some are written in several words."""
    match value:
        case tuple():
            return [str(part) for part in value]
        case Enum():
            return [str(value.value)]
        case bytes():
            return [value.hex(":") if field == "link_address" else os.fsdecode(value)]
        case int() if field.endswith("_ns"):
            return [str(value // 10**9)]
        case _:
            return [str(value)]


@cache
def _memory_file() -> int:
    descriptor = os.memfd_create("password")
    os.fchmod(descriptor, 0o600)
    return descriptor


def _password_file(content: bytes) -> str:
    os.ftruncate(_memory_file(), 0)
    os.pwrite(_memory_file(), content, 0)
    return f"/proc/self/fd/{_memory_file()}"


def settings_seeds(captured: list[bytes]) -> Iterator[bytes]:
    """Command lines of the manual, each option in each of its spellings."""
    needed = "-s 10.1.1.1 -v 42 -a 10.1.1.252"
    for line in (
        f"{needed} -p love",
        f"{needed} -o file -P -z -n -k 100 -b 2 -r 4 -M -S -D -B",
        f"{needed} -plove -PznMSDB -x -1 --mcast 224.0.0.1 -f none word",
        f"-i eth0 {needed} -p love -u /up.sh -d /down.sh --script-timeout=30",
        f"{needed} -p love -b 0 -k 0",
        f"{needed} -p love -v 0x10 -k 010 -b +3 -r 65535 --no -- -x",
        f"{needed} -p a-password-of-twenty-one",
        f"{needed} -p love -m 10.0.0.1",
        f"{needed} -p love -s 0.0.0.0",
        f"{needed} -p love -a 0.0.0.0",
        f"{needed} -p love -a 10.1.1.253/24,fd00::252/64 -s fe80::5 --vmac",
        f"{needed} -p love -a fe80::1 --peer 10.1.1.6,fe80::6 --peer 10.1.1.7",
        f"{needed} -p love --lladdr 2:0:0:0:0:1 --source-mac bsd --demotion 3",
        f"{needed} -p love --replay-guard detect",
    ):
        yield _END_OF_WORD.join((b"love\n", *(word.encode() for word in line.split())))
    for content in (b"", b"\n", b"\r\n", b"x" * 20, b"x\1y\n", b"\xff\xfe\r\nmore\n"):
        yield _END_OF_WORD.join((content, *f"{needed} -o file".encode().split()))
    for row in OPTIONS:
        for value in (b"1", b"10.1.1.1", b"none", b""):
            yield b"\0--" + row.long.encode() + b"=" + value
            yield b"\0--" + row.long[:-1].encode() + b"\0" + value
            yield b"\0-" + row.short.encode() + value
