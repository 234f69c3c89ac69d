"""The tools beside the daemon, from their command lines on."""

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext
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
from carppcap.replay.report import JsonReport, Report, TextReport
from carppcap.replay.run import FrameSource, Replay
from carppcap.replay.statistics import explain
from carppcap.system.capture import FileCapture, StampedFrame
from carppcap.system.inject import FileInjector
from carppcap.system.password import hide_passwords, with_password
from carppcap.system.syslog import Log
from carppcap.text.help import replay_usage
from carppcap.wire.auth import Key
from carppcap.wire.decode import Datagram, decode

REPLAY_OPTIONS = (
    Option(
        "",
        "json",
        "json",
        None,
        "",
        N_("one JSON object per line instead of text"),
        ucarp=False,
    ),
    Option(
        "",
        "write",
        "write",
        plain_text,
        "FILE",
        N_("store the frames that would have been sent in FILE, a .pcap"),
        ucarp=False,
    ),
)

LOSES_TIES = IPv4Address("255.255.255.255")
LOSES_TIES6 = IPv6Address((1 << 128) - 1)
"""Who we are without --srcip: nobody ranks behind it, and nobody can be it."""

_IGNORED = frozenset(
    """
    upscript downscript xparam shutdown ignore_link_state daemonize facility
    script_timeout_ns pidfile no_farewell version
    """.split()
)
"""Settings without a meaning here."""

PROGRESS_BYTES_MIN = 4 * 1024 * 1024
"""Smaller files are done before anybody has read a progress bar."""

_RECORD_HEADER_LENGTH = 16


def replay(arguments: Sequence[str]) -> int:
    """`carppcap replay FILE [OPTIONS]`: the exit status, or a `CarpError`."""
    rows = (*REPLAY_OPTIONS, *OPTIONS)
    values, words = parse_values(arguments, rows)
    hide_passwords(arguments, rows)
    as_json, output = values.pop("json", False), values.pop("write", None)
    settings = Settings(**values)
    if settings.help or not arguments:
        shown = [row for row in rows if row.field not in _IGNORED]
        print(replay_usage(shown), flush=True)
        return 0
    if len(words) != 1:
        raise ConfigError("You must supply one capture file to replay (see --help)")
    settings = with_password(settings, Log("carppcap", debug=False, facility=None))
    broken_off = _replay(settings, words[0], output, as_json=as_json)
    sys.stdout.flush()
    if broken_off is not None:
        raise broken_off
    return 0


def _replay(
    settings: Settings, path: str, output: str | None, *, as_json: bool
) -> LinkError | None:
    """Replay one file; what broke it off."""
    vhid, family = _group(settings, path)
    capture = FileCapture(path)
    if output is not None and os.path.exists(output) and os.path.samefile(path, output):
        raise ConfigError("{path} cannot be read and written at once", path=path)
    config = _config(settings, path, vhid, family)
    with closing(_Progress(capture, path)) as progress:
        report = (JsonReport if as_json else TextReport)(progress.write)
        _say_guesses(report, settings, config)
        with closing(FileInjector(output)) if output else nullcontext() as injector:
            run = Replay(config, progress, report, injector, verbose=settings.debug)
            broken_off = run.run()
        if settings.password is not None:
            config = changed(config, key=Key(settings.password))
        for sentence in explain(config, run.statistics):
            report.write_note(sentence)
    return broken_off


def _group(settings: Settings, path: str) -> tuple[int, Family]:
    """The vhid that counts, and the family to assume where nothing else tells.

    Raises `LinkError` if the file had to tell the vhid, and could not.
    """
    if settings.vhid is not None and (settings.vips or _known_sources(settings)):
        return settings.vhid, Family.IPV4
    if os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):
        if settings.vhid is not None:
            return settings.vhid, Family.IPV4
        raise ConfigError("{path} can be read only once: say --vhid", path=path)
    capture = FileCapture(path)
    try:
        while frames := capture.read():
            for _, frame in frames:
                datagram = decode(frame, capture.link_type)
                if isinstance(datagram, Datagram):
                    vhid = plausible_vhid(datagram)
                    if vhid is not None and settings.vhid in (None, vhid):
                        return vhid, Family.of(datagram.source)
    except LinkError:
        if settings.vhid is None:
            raise  # Else that is said after what could be replayed.
    if settings.vhid is not None:
        return settings.vhid, Family.IPV4
    raise LinkError(
        "{path}: no CARP advert in it (--vhid replays it all the same)", path=path
    )


def _known_sources(settings: Settings) -> list[Address]:
    return [s for s in (settings.source, settings.source6) if s is not None]


def _config(
    settings: Settings, path: str, vhid: int, family: Family
) -> VirtualHostConfig:
    # A digest covers the address too: without both there is nothing to check it with.
    checkable = settings.password is not None and settings.vips
    told = settings.vips or _known_sources(settings)
    families = {Family.of(address) for address in told} or {family}
    return settings.host(
        interface=settings.interface or os.path.basename(path),
        vhid=vhid,
        key=Key(settings.password) if settings.password and checkable else None,
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
    missing = [
        name
        for name, value in (
            ("password", settings.password),
            ("--addr", settings.vips or None),
        )
        if value is None
    ]
    if missing:
        report.write_note(f"no {' and no '.join(missing)}: adverts cannot be verified")


class _Progress:
    """A capture that shows how much of it was read, where somebody may look.

    That takes a long file, a terminal and tqdm.
    """

    def __init__(self, capture: FileCapture, path: str) -> None:
        self.link_type = capture.link_type
        self._capture: FrameSource = capture
        self._bar = _bar(os.stat(path).st_size)

    def read(self) -> list[StampedFrame]:
        """What the capture has."""
        frames = self._capture.read()
        if self._bar is not None:
            self._bar.update(
                sum(len(frame) + _RECORD_HEADER_LENGTH for _, frame in frames)
            )
        return frames

    def write(self, line: str) -> None:
        """Print `line` above the bar."""
        if self._bar is not None and sys.stdout.isatty():
            self._bar.clear()
        print(line)

    def close(self) -> None:
        """Take the bar away."""
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
