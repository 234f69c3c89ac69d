"""Configuration files, and files of others that are made into some."""

import tomllib
from collections.abc import Iterator

from carppcap.configuration.document import read
from carppcap.configuration.findings import Severity
from carppcap.configuration.keys import KEYS, Kind
from carppcap.configuration.locate import locate
from carppcap.configuration.pair import compare
from carppcap.configuration.render import render
from carppcap.configuration.review import review
from carppcap.conversion.formats import FORMATS, format_of
from carppcap.conversion.result import Source
from carppcap.options.settings import Settings
from tests.configuration.files import paths_of
from tests.fuzz.settings import said

_FILE = """\
facility = "user"
passfile = "/etc/vip.pass"
[group.web]
interface = "eth0"
srcip = ["10.1.1.1", "fe80::1"]
vhid = 42
addr = [
  "10.1.1.252/24", # one
  'fd00::252',
]
[group.'db']
interface = "eth1:1"
srcip = \"\"\"10.2.2.1\"\"\"
vhid = 0x2a
addr = "10.2.2.252"
pass = "love"
own_addresses = false
upscript = '''/up'''
"""


def check_configuration(data: bytes) -> object:
    """A configuration file."""
    text = data.decode("utf-8", "replace")
    configuration = read(text)
    lines = text.count("\n") + 1
    kinds = set()
    for finding in configuration.findings:
        assert finding.severity is Severity.MISTAKE
        assert 1 <= finding.line <= lines
        assert "\n" not in f"{finding.error}" or "\n" in text
        kinds.add(said(finding.error)[0])
    _check_lines(text)
    if not configuration.is_usable:
        return frozenset(kinds)
    groups = configuration.groups
    assert len({(g.device, g.settings.vhid) for g in groups}) == len(groups) >= 1
    for group in groups:
        _check_settings(group.settings, has_file=group.credential is not None)
    found = [*review(groups), *compare(groups, groups, lambda *_: True)]
    assert all(1 <= finding.line <= lines for finding in found)
    assert all(f"{finding.error}" for finding in found)
    return frozenset(finding.error.template for finding in found)


def _check_lines(text: str) -> None:
    """If it is TOML at all, each key is in the line that is said."""
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        document = tomllib.loads(plain)
        located = locate(plain)
    except (ValueError, RecursionError):
        return
    assert set(located) == set(paths_of(document))
    rows = plain.split("\n")
    for path, line in located.items():
        if isinstance(path[-1], str) and path[-1].isidentifier():
            # No key of ours needs an escape, but a file may have one.
            assert path[-1] in rows[line - 1] or "\\" in rows[line - 1], (path, line)


def _check_settings(settings: Settings, *, has_file: bool) -> None:
    if settings.password is None:
        assert settings.passfile is not None or has_file
    else:
        assert settings.virtual_host(f"{settings.interface}").vhid == settings.vhid


def check_conversion(data: bytes) -> object:
    """Files of others, in each format: what is made of them is TOML."""
    text = data.decode("utf-8", "surrogateescape")
    sources = [Source("vip-common.conf", text), Source("vip-001.conf", text)]
    outcome: set[object] = {format_of(sources)}
    for name, convert in FORMATS.items():
        result = convert(sources)
        lines = text.count("\n") + 1
        assert all(1 <= remark.line <= lines for remark in result.remarks)
        head = [
            f"{remark.path}:{remark.line}: {remark.error}" for remark in result.remarks
        ]
        written = render(head, result.top, result.drafts)
        document = tomllib.loads(written)
        assert document.get("group", {}).keys() == {d.name for d in result.drafts}
        for finding in read(written).findings:
            # A wrong value was left out, so that it can only be missing.
            wrong = ("nvalid", "beside", "must be", "unknown")
            assert not any(word in f"{finding.error}" for word in wrong), finding
        outcome |= {(name, remark.error.template) for remark in result.remarks}
        outcome.add((name, min(len(result.drafts), 2)))
    return frozenset(outcome)


def configuration_seeds(captured: list[bytes]) -> Iterator[bytes]:
    """A file, each key with a value of each kind, and each form of TOML."""
    yield _FILE.encode()
    yield _FILE.replace("\n", "\r\n").encode()
    for name, key in KEYS.items():
        for value in ("true", "7", "'10.1.1.9'", "['10.1.1.9', 'x']", "{a = 1}"):
            row = f"{name} = {value}\n"
            yield (row + _FILE if key.is_global else _FILE + row).encode()
        if key.kind is not Kind.FLAG:
            yield f"[group.x]\n{name}= 1979-05-27 07:32:00 # ]\n".encode()
    for text in (
        "a = [", "a.b.'c d' = {e = [[1],[{f=1}]]}", "[[group]]\n[[group.a]]\n[x]",
        '"gro\\u0075p".a.vhid = 1', "a = '''\n''''''", 'a = """\\""""""', "[group.web]",
        "group = 1", "group.web = 1", "a = 1\na = 2", "[" * 300,
    ):  # fmt: skip
        yield text.encode()


def conversion_seeds(captured: list[bytes]) -> Iterator[bytes]:
    """A file of each format, and the words of all of them."""
    yield (
        b"#!/bin/sh\nexec /usr/sbin/ucarp -i eth0 -s 10.1.1.1 -v 42 -o '/etc/p p' \\\n"
        b" -a 10.1.1.252 -u /up -d /down -zPB -k 0x10 --facility=user > /dev/null &\n"
    )
    yield (
        b"auto eth0\niface eth0 inet static\n address 10.1.1.1\n netmask 255.255.255.0\n"
        b" ucarp-vid 42\n ucarp-vip 10.1.1.252\n ucarp-password love\n ucarp-master no\n"
        b" ucarp-nomcast yes\niface eth0:ucarp inet static\n address 10.1.1.252/24\n up x\n"
    )
    yield (
        b"PASSWORD=\"love\"\nBIND_INTERFACE='eth0'\nSOURCE_ADDRESS=10.1.1.1\nID=007\n"
        b'export VIP_ADDRESS=10.1.1.252 # x\nOPTIONS="-z --preempt word"\nif x\n'
    )
    yield (
        b"! x\nglobal_defs {\n router_id x\n}\nvrrp_instance A {\n state MASTER\n"
        b" interface eth0\n virtual_router_id 51\n priority 150\n advert_int 1\n"
        b" nopreempt\n use_vmac x\n unicast_src_ip 10.1.1.1\n unicast_peer { 10.1.1.2\n }\n"
        b" authentication {\n  auth_type PASS\n  auth_pass 'a b'\n }\n garp_master_refresh 3\n"
        b" virtual_ipaddress {\n  10.1.1.9/24 dev eth0\n  fd00::9 dev eth1 label x\n }\n}\n"
    )
    yield b"ucarp -v 1 -p love -o /p -f user --syslog local0\nsu -c 'ucarp -v 1'\nucarp -Q\n"
    yield b"ucarp -x '\xff' -p \xff -i \x01 -v 1\n"
