"""The command `carppcap replay`: its options, its output and its exit status."""

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace as changed
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from carppcap.addresses import Address, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.errors import N_, ConfigError, LinkError
from carppcap.node.mismatch import plausible_vhid
from carppcap.options.command_line import parse_values
from carppcap.options.parsers import plain_text
from carppcap.options.settings import Settings
from carppcap.options.table import OPTIONS, Option
from carppcap.replay.report import Report
from carppcap.replay.run import FrameSource, Replay
from carppcap.replay.statistics import explain
from carppcap.replay.vlans import parse_vlan, vlan_name
from carppcap.system.capture import FileCapture, StampedFrame
from carppcap.system.inject import FileInjector
from carppcap.system.password import hide_passwords, with_password
from carppcap.system.syslog import Log
from carppcap.text.help import replay_usage
from carppcap.wire.auth import Key
from carppcap.wire.decode import UNTAGGED, Datagram, Vlan, decode

REPLAY_OPTIONS = (
    Option("", "json", "json", None, "", N_("one JSON object per line instead of text"), ucarp=False),
    Option("", "write", "write", plain_text, "FILE", N_("store the frames that would have been sent in FILE, a .pcap"), ucarp=False),
    Option("", "vlan", "vlan", parse_vlan, "ID", N_("the VLAN to replay: 1 to 4094, OUTER.INNER, or untagged"), ucarp=False),
)  # fmt: skip
"""The options that a replay has and the daemon does not."""

LOSES_TIES = IPv4Address("255.255.255.255")
LOSES_TIES6 = IPv6Address((1 << 128) - 1)
"""Our source address of each family if there is no --srcip.

No host can have these addresses, and they lose every tie."""

_IGNORED = frozenset(
    """
    upscript downscript xparam shutdown ignore_link_state daemonize facility
    script_timeout_ns pidfile no_farewell on_conflict version
    """.split()
)
"""Fields of `Settings` that do not affect a replay; its --help leaves them out."""

PROGRESS_BYTES_MIN = 4 * 1024 * 1024
"""The size in bytes of the smallest file for which a progress bar is shown."""

_RECORD_HEADER_LENGTH = 16


def replay(arguments: Sequence[str]) -> int:
    """Run `carppcap replay` with `arguments`; return its exit status.

    Raises `ConfigError` if the arguments are wrong.  Raises `LinkError` if the file
    cannot be read to its end, but first reports on the part that could be read.
    """
    rows = (*REPLAY_OPTIONS, *OPTIONS)
    values, words = parse_values(arguments, rows)
    hide_passwords(arguments, rows)
    as_json, output = values.pop("json", False), values.pop("write", None)
    vlan = values.pop("vlan", None)
    settings = Settings(**values)
    if settings.help or not arguments:
        shown = [row for row in rows if row.field not in _IGNORED]
        print(replay_usage(shown), flush=True)
        return 0
    if len(words) != 1:
        raise ConfigError("You must supply one capture file to replay (see --help)")
    settings = with_password(settings, Log("carppcap", debug=False, facility=None))
    _replay(settings, words[0], output, vlan, as_json=as_json)
    return 0


def _replay(
    settings: Settings,
    path: str,
    output: str | None,
    told_vlan: Vlan | None,
    *,
    as_json: bool,
) -> None:
    vhid, family, vlan = _group(settings, path, told_vlan)
    capture = FileCapture(path)
    if output is not None and os.path.exists(output) and os.path.samefile(path, output):
        raise ConfigError("{path} cannot be read and written at once", path=path)
    config = _config(settings, path, vhid, family)
    with closing(_Progress(capture, path)) as progress:
        report = Report(progress.write, as_json=as_json)
        _say_guesses(report, settings, config)
        if told_vlan is None and vlan != UNTAGGED:
            report.write_note(
                f"no --vlan: taking {vlan_name(vlan)}, the first with vhid {vhid}"
            )
        with closing(FileInjector(output)) if output else nullcontext() as injector:
            run = Replay(
                config, progress, report, injector, vlan=vlan, verbose=settings.debug
            )
            error = run.run()
        if settings.password is not None:
            config = changed(
                config, key=Key(settings.password), second_key=settings.second_key
            )
        for sentence in explain(config, run.statistics):
            report.write_note(sentence)
        if on_vlans := run.vlans.note():
            report.write_note(on_vlans)
    sys.stdout.flush()
    if error is not None:
        raise error


def _group(
    settings: Settings, path: str, vlan: Vlan | None
) -> tuple[int, Family, Vlan]:
    """Return the vhid, the address family and the VLAN to replay.

    They are those of the first advert in the file that matches --vhid and --vlan, if
    these are given.  `vlan` is the value of --vlan, or None.  The family matters only
    if the options contain no address.

    With --vhid, but no such advert, return this vhid, IPv4, and --vlan or no VLAN.
    Without --vhid, raises `LinkError` if there is no such advert, and `ConfigError` for
    a pipe, which cannot be read twice.
    """
    vhid = settings.vhid
    is_pipe = os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)
    if is_pipe and vhid is None:
        raise ConfigError("{path} can be read only once: say --vhid", path=path)
    if vhid is None:
        found = _first_advert(path, vhid, vlan)
        if found is None:
            raise LinkError(
                "{path}: no CARP advert in it (--vhid replays it all the same)",
                path=path,
            )
        return found
    told = vhid, Family.IPV4, UNTAGGED if vlan is None else vlan
    knows_family = settings.vips or _known_sources(settings)
    if not is_pipe and (vlan is None or not knows_family):
        with suppress(LinkError):  # The replay will raise it, after a report.
            return _first_advert(path, vhid, vlan) or told
    return told


def _first_advert(
    path: str, vhid: int | None, vlan: Vlan | None
) -> tuple[int, Family, Vlan] | None:
    """Return vhid, family and VLAN of the first advert with this `vhid` and `vlan`.

    If `vhid` or `vlan` is None, any value matches.  Return None if there is no such
    advert.  Raises `LinkError` if the file cannot be read, or is damaged before the
    first such advert.
    """
    capture = FileCapture(path)
    while frames := capture.read():
        for _, frame in frames:
            datagram = decode(frame, capture.link_type)
            if isinstance(datagram, Datagram) and vlan in (None, datagram.vlan):
                found = plausible_vhid(datagram)
                if found is not None and vhid in (None, found):
                    return found, Family.of(datagram.source), datagram.vlan
    return None


def _known_sources(settings: Settings) -> list[Address]:
    return [s for s in (settings.source, settings.source6) if s is not None]


def _config(
    settings: Settings, path: str, vhid: int, family: Family
) -> VirtualHostConfig:
    # Both are needed to check a digest, because it covers the addresses, too.
    checkable = settings.password is not None and settings.vips
    told = settings.vips or _known_sources(settings)
    families = {Family.of(address) for address in told} or {family}
    return settings.host(
        interface=settings.interface or os.path.basename(path),
        vhid=vhid,
        key=Key(settings.password) if settings.password and checkable else None,
        second_key=settings.second_key,
        source=(settings.source or LOSES_TIES) if Family.IPV4 in families else None,
        source6=(settings.source6 or LOSES_TIES6) if Family.IPV6 in families else None,
    )


def _say_guesses(report: Report, settings: Settings, config: VirtualHostConfig) -> None:
    if settings.vhid is None:
        report.write_note(f"no --vhid: taking {config.vhid}, the first in the file")
    known = {Family.of(source) for source in _known_sources(settings)}
    for family in config.families:
        if family not in known:
            which = f" of IPv{family.value}" if len(config.families) > 1 else ""
            we = config.source_of(family)
            report.write_note(f"no --srcip{which}: we are {we}, which loses every tie")
    missing = ["password"] if settings.password is None else []
    if not settings.vips:
        missing.append("--addr")
    if missing:
        report.write_note(f"no {' and no '.join(missing)}: adverts cannot be verified")


class _Progress:
    """Reads a capture file, and shows a progress bar while it does.

    There is no bar if tqdm is not installed, if standard error is no terminal, or if
    the file is smaller than `PROGRESS_BYTES_MIN`.
    """

    def __init__(self, capture: FileCapture, path: str) -> None:
        self.link_type = capture.link_type
        self._capture: FrameSource = capture
        self._bar = _bar(os.stat(path).st_size)

    def read(self) -> list[StampedFrame]:
        """Return the next frames of the capture, and advance the bar by their size."""
        frames = self._capture.read()
        if self._bar is not None:
            self._bar.update(
                sum(len(frame) + _RECORD_HEADER_LENGTH for _, frame in frames)
            )
        return frames

    def write(self, line: str) -> None:
        """Print `line`, above the bar if there is one."""
        if self._bar is not None and sys.stdout.isatty():
            self._bar.clear()
        print(line)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


def _bar(size_bytes: int) -> Any:
    if size_bytes < PROGRESS_BYTES_MIN or not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        return None
    return tqdm(total=size_bytes, unit="B", unit_scale=True, leave=False)
