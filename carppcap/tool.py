"""The tools beside the daemon, from their command lines on."""

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace as changed
from ipaddress import IPv4Address
from typing import Any

from carppcap.auth import Key
from carppcap.config import VirtualHostConfig
from carppcap.diagnose import plausible_vhid
from carppcap.errors import ConfigError, LinkError
from carppcap.frames import Datagram, decode
from carppcap.options import N_, OPTIONS, Option, Settings, parse_values
from carppcap.password import hide_passwords, with_password
from carppcap.replay import FrameSource, Replay
from carppcap.report import JsonReport, Report, TextReport
from carppcap.system.capture import FileCapture, StampedFrame
from carppcap.system.inject import FileInjector
from carppcap.system.syslog import Log
from carppcap.tally import explain
from carppcap.usage import replay_usage


def _path(text: str, what: str) -> str:
    if not text:
        raise ConfigError("{what} is empty", what=what)
    return text


REPLAY_OPTIONS = (
    Option(
        "",
        "json",
        "json",
        None,
        "",
        N_("one JSON object per line instead of text"),
        original=False,
    ),
    Option(
        "",
        "write",
        "write",
        _path,
        "FILE",
        N_("store what we would have sent in FILE, a .pcap"),
        original=False,
    ),
)

LOSES_TIES = IPv4Address("255.255.255.255")
"""Who we are without --srcip: nobody ranks behind it, and nobody can be it."""

_IGNORED = frozenset(
    """
    upscript downscript xparam shutdown ignore_link_state daemonize facility
    script_timeout_ns pidfile no_farewell version
    """.split()
)
"""Settings without a meaning here."""

PROGRESS_BYTES_MIN = 16 * 1024 * 1024
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
    vhid = settings.vhid or _first_vhid(path)
    capture = FileCapture(path, "")
    if output is not None and os.path.exists(output) and os.path.samefile(path, output):
        raise ConfigError("{path} cannot be read and written at once", path=path)
    config = _config(settings, path, vhid)
    with closing(_Progress(capture, path)) as progress:
        report = (JsonReport if as_json else TextReport)(progress.write)
        _say_guesses(report, settings, vhid)
        with closing(FileInjector(output)) if output else nullcontext() as injector:
            run = Replay(config, progress, report, injector, verbose=settings.debug)
            broken_off = run.run()
        if settings.password is not None:
            config = changed(config, key=Key(settings.password))
        for sentence in explain(config, run.tally):
            report.note(sentence)
    return broken_off


def _first_vhid(path: str) -> int:
    """The vhid of the first advert in a file.  Raises `LinkError` if there is none."""
    if os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):
        raise ConfigError("{path} can be read only once: say --vhid", path=path)
    capture = FileCapture(path, "")
    while frames := capture.read():
        for _, frame in frames:
            datagram = decode(frame, capture.link_type)
            vhid = plausible_vhid(datagram) if isinstance(datagram, Datagram) else None
            if vhid is not None:
                return vhid
    raise LinkError(
        "{path}: no CARP advert over IPv4 in it (--vhid replays it all the same)",
        path=path,
    )


def _config(settings: Settings, path: str, vhid: int) -> VirtualHostConfig:
    # A digest covers the address too: without both there is nothing to check it with.
    checkable = settings.password is not None and bool(settings.vips)
    return VirtualHostConfig(
        interface=settings.interface or os.path.basename(path),
        vhid=vhid,
        source=settings.source or LOSES_TIES,
        vips=settings.vips,
        prefixes=settings.prefixes,
        key=Key(settings.password) if settings.password and checkable else None,
        advbase=settings.advbase,
        advskew=settings.advskew,
        dead_ratio=settings.dead_ratio,
        preempt=settings.preempt,
        neutral=settings.neutral,
        group=settings.group,
        multicast=not settings.nomcast,
    )


def _say_guesses(report: Report, settings: Settings, vhid: int) -> None:
    if settings.vhid is None:
        report.note(f"no --vhid: taking {vhid}, the first in the file")
    if settings.source is None:
        report.note(f"no --srcip: we are {LOSES_TIES}, which loses every tie")
    missing = [
        name
        for name, value in (
            ("password", settings.password),
            ("--addr", settings.vips or None),
        )
        if value is None
    ]
    if missing:
        report.note(f"no {' and no '.join(missing)}: adverts cannot be verified")


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
