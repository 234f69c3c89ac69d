"""Runs the command line: the daemon with ucarp's options, or a tool.

    carppcap [OPTIONS]                   run the daemon for one group
    carppcap run FILE                    run the daemon for the groups of a file
    carppcap replay FILE [OPTIONS]       show what the daemon would do with a capture
    carppcap simulate [FILE] [OPTIONS]   show what a group of hosts would do
    carppcap check FILE [OPTIONS]        say what is wrong with a configuration file
    carppcap init [OPTIONS]              write a configuration file
    carppcap convert FILE... [OPTIONS]   make one from those of ucarp or keepalived

If the program is called by the name `ucarp`, it has no tools and is always the daemon.
"""

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from io import TextIOWrapper
from itertools import starmap
from typing import TYPE_CHECKING

from carppcap import __version__
from carppcap.errors import CarpError, ConfigError, LinkError
from carppcap.options.command_line import parse
from carppcap.options.parsers import FACILITIES
from carppcap.options.settings import Settings
from carppcap.system import supervision
from carppcap.system.password import hide_passwords, with_password
from carppcap.system.process import (
    PidFile,
    SignalPipe,
    Verdict,
    allow_descriptors,
    become_daemon,
    check_pid_file,
    end_by_signal,
    fill_standard_streams,
    set_process_name,
)
from carppcap.system.syslog import Log, NamedLog
from carppcap.text.help import usage
from carppcap.text.i18n import translate_error
from carppcap.units import NS_PER_MS
from carppcap.wire.header import BOW_OUT

if TYPE_CHECKING:
    from carppcap.election.config import VirtualHostConfig
    from carppcap.system.keeper_process import KeeperProcess

UCARP_NAME = "ucarp"
COMMANDS = ("run", "init", "check", "convert", "replay", "simulate")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon or the tool that `arguments` name; return the exit status.

    If `arguments` is None, use the arguments of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = os.path.basename(sys.argv[0])
    if name != UCARP_NAME:
        name = "carppcap"  # also for `python -m carppcap`
    try:
        fill_standard_streams()
        if isinstance(sys.stdout, TextIOWrapper):
            # A terminal may be unable to show some letters in translations and names.
            sys.stdout.reconfigure(errors="backslashreplace")
        if name != UCARP_NAME and words and not words[0].startswith("-"):
            return _command(name, *words)
        return _daemon(name, words)
    except CarpError as error:
        _complain(name, error)
        return error.exit_status
    except OSError as error:
        # Our output cannot be written: its reader has ended, or the disk is full.
        # At exit Python would flush the rest and report the same error again.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            _complain(name, LinkError("Unable to go on: {why}", why=error.strerror))
        return 2
    except KeyboardInterrupt:
        return 130


def _command(name: str, word: str, *arguments: str) -> int:
    """Run the command `word`; return its exit status.  Raises `ConfigError`."""
    # Imported here, so that the daemon starts without them.
    match word:
        case "run":
            return _run_file(name, arguments)
        case "replay":
            from carppcap.replay.command import replay  # noqa: PLC0415

            return replay(arguments)
        case "simulate":
            from carppcap.simulation.command import simulate  # noqa: PLC0415

            return simulate(arguments)
        case "check":
            from carppcap.commands.check import check  # noqa: PLC0415

            return check(arguments)
        case "init":
            from carppcap.commands.init import init  # noqa: PLC0415

            return init(arguments)
        case "convert":
            from carppcap.commands.convert import convert  # noqa: PLC0415

            return convert(arguments)
        case _:
            raise _unknown_command(word)


def _unknown_command(word: str) -> ConfigError:
    """Return the error for a first word that is no command."""
    from carppcap.configuration.keys import nearest  # noqa: PLC0415 - not for the daemon

    meant = nearest(word, COMMANDS)
    if meant is not None:
        return ConfigError(
            "Unknown command: [{word}] (did you mean {meant}?)", word=word, meant=meant
        )
    return ConfigError(
        "Unknown command: [{word}] (allowed: options, or {commands})",
        word=word,
        commands=", ".join(COMMANDS),
    )


def _complain(name: str, error: CarpError) -> None:
    with suppress(OSError, ValueError):
        print(f"{name}: {translate_error(error)}", file=sys.stderr)


def _daemon(name: str, arguments: Sequence[str]) -> int:
    settings, words = parse(arguments)
    hide_passwords(arguments)
    if settings.help or not arguments:
        print(usage(name), flush=True)
        return 0
    if settings.version:
        print(f"carppcap {__version__}", flush=True)
        return 0
    if words:
        raise ConfigError(
            "Unexpected argument: [{word}] (options only, see --help)", word=words[0]
        )
    log = _log(name, settings)
    return _serve(name, lambda: {"": with_password(settings, log)}, settings, log)


def _run_file(name: str, arguments: Sequence[str]) -> int:
    """Run the groups of a configuration file."""
    from carppcap.commands.load import load  # noqa: PLC0415 - not for ucarp's way

    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise ConfigError(
            "Usage: carppcap run FILE (as in carppcap.toml(5); options are keys of "
            "FILE, such as debug = true)"
        )
    every = dict(load(arguments[0], Log(name)))
    common = next(iter(every.values()))
    return _serve(name, lambda: every, common, _log(name, common))


def _log(name: str, settings: Settings) -> Log:
    facility = FACILITIES.get(settings.facility)
    return Log(name, debug=settings.debug, facility=facility)


def _serve(
    name: str, prepare: Callable[[], Mapping[str, Settings]], common: Settings, log: Log
) -> int:
    """Run the groups that `prepare` returns; return the exit status.

    Errors are logged.  Settings of the process are taken from `common`.
    """
    set_process_name(name)
    verdict = None
    try:
        every = prepare()
        if common.daemonize:
            # Impossible options are reported here, while there is only one process.
            for settings in every.values():
                settings.virtual_host(settings.interface or "")
            verdict = become_daemon()
        supervision.begin(os.environ)
        return run_groups(name, every, log, verdict)
    except (CarpError, MemoryError) as error:
        why = error if isinstance(error, CarpError) else _out_of_memory()
        log.fatal(why)
        if verdict is not None:
            verdict.report(why.exit_status)
        return why.exit_status
    except Exception as error:
        # A process in the background has no terminal that could show the traceback.
        log.error(f"Unable to go on: {error!r}")
        raise


def _out_of_memory() -> LinkError:
    return LinkError("Unable to go on: {why}", why=os.strerror(errno.ENOMEM))


def run_groups(
    name: str, every: Mapping[str, Settings], log: Log, verdict: Verdict | None
) -> int:
    """Run the daemon under the program name `name`; return the exit status.

    `every` has the settings of each group by its name, which is empty for the group of
    ucarp's command line.  Settings of the process are alike in all.  If there is a
    `verdict`, report to it when the daemon has started.  A parent process waits for
    this report.
    """
    groups = []
    for group, settings in every.items():
        config = settings.virtual_host(settings.interface or _default_interface(log))
        groups.append((group, settings, config))
        _warn(settings, NamedLog(log, group) if group else log)
    common = next(iter(every.values()))
    with ExitStack() as stack:
        keeper = None
        kept = [(each, config) for _, each, config in groups if each.own_addresses]
        if kept:
            # A process of its own, made before the imports that follow: it stays small.
            keeper = stack.enter_context(closing(_keeper(kept, log)))
        # Imported here, so that --help and errors in options appear without delay.
        from carppcap.daemon.loop import Daemon, NamedGroup, heeded_signals  # noqa: PLC0415
        from carppcap.system import realtime  # noqa: PLC0415
        from carppcap.system.lock import sole_daemon  # noqa: PLC0415

        allow_descriptors(len(groups))
        for _, settings, config in groups:
            # A program that starts ucarp again when the interface is back expects that
            # the old one has ended.  carppcap does not end then, so the new process
            # asks the old one to leave.
            check = partial(_check, settings, config)
            ours = (config.interface, config.vhid, log)
            is_ucarp = name == UCARP_NAME
            stack.enter_context(sole_daemon(*ours, take_over=is_ucarp, check=check))
        signals = SignalPipe(heeded_signals(every.values()))
        stack.enter_context(closing(signals))
        daemon = Daemon(list(starmap(NamedGroup, groups)), log, signals, keeper)
        stack.enter_context(closing(daemon))
        if common.pidfile:
            stack.enter_context(PidFile(common.pidfile))
        log.terminal = verdict is None
        if not common.no_realtime:
            log.info(realtime.enter())
        daemon.start()
        if verdict is not None:
            os.chdir("/")
            log.terminal = False
            verdict.report(0)
        supervision.tell(READY="1")
        ended_by = daemon.run()
    if ended_by is not None:
        end_by_signal(ended_by)
    return 0


def _check(settings: Settings, config: "VirtualHostConfig") -> None:
    """Raise `ConfigError` or `LinkError` if the daemon could not start.

    Call this before the running daemon of the group is asked to leave: if it left and
    this one failed, no daemon would remain.
    """
    from carppcap.daemon.interface import Interface  # noqa: PLC0415 - as in `run_groups`

    if config.vmac:
        from carppcap.system.vmac import load_pyroute2  # noqa: PLC0415

        load_pyroute2()
    if settings.pidfile:
        check_pid_file(settings.pidfile)
    # The daemon logs the same lines when it opens the interface itself.
    silent = Log(UCARP_NAME)
    silent.terminal = False
    Interface([config], silent).close()


def _default_interface(log: Log) -> str:
    from carppcap.system.capture import default_interface  # noqa: PLC0415 - as in `run_groups`

    interface = default_interface()
    log.info(f"Using [{interface}] as a network interface")
    return interface


def _keeper(
    kept: Sequence[tuple[Settings, "VirtualHostConfig"]], log: Log
) -> "KeeperProcess":
    """Start the process that holds the addresses of these groups."""
    from carppcap.election.tenure import tenure  # noqa: PLC0415
    from carppcap.system.keeper_process import start_keeper  # noqa: PLC0415

    held = [(config, tenure(config)) for _, config in kept]
    overlap_ns = max(times.overlap_ns for _, times in held)
    if overlap_ns:
        tenths = -(-overlap_ns // (100 * NS_PER_MS))
        log.warning(
            "Warning: with this interval and --deadratio a host that loses both its "
            "daemon and its keeper may have the address for "
            f"{tenths / 10} s beside its successor"
        )
    return start_keeper(held, realtime=not kept[0][0].no_realtime)


def _warn(settings: Settings, log: Log) -> None:
    # With these carppcap itself adds and removes the addresses.
    needs_scripts = not (settings.vmac or settings.own_addresses)
    if settings.upscript is None and needs_scripts:
        log.warning("Warning: no script called when going up")
    if settings.downscript is None and needs_scripts:
        log.warning("Warning: no script called when going down")
    if settings.dead_ratio == 1:
        log.warning("Warning: with --deadratio 1 a single late advert is a fail-over")
    if settings.advbase == settings.advskew == BOW_OUT:
        log.warning("Warning: with an interval of 255/255 each advert is a farewell")


if __name__ == "__main__":
    sys.exit(main())
