"""The command line: ucarp's options, and the tools beside them.

    carppcap [OPTIONS]                   the daemon
    carppcap replay FILE [OPTIONS]       what it would have done in a recording
    carppcap simulate [FILE] [OPTIONS]   what a group of hosts would do

Run under the name `ucarp`, it is the daemon and nothing else.
"""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext, suppress
from io import TextIOWrapper

from carppcap import __version__
from carppcap.errors import CarpError, ConfigError, LinkError
from carppcap.options.command_line import parse
from carppcap.options.parsers import FACILITIES
from carppcap.options.settings import Settings
from carppcap.system.lock import sole_daemon
from carppcap.system.password import hide_passwords, with_password
from carppcap.system.process import (
    PidFile,
    Verdict,
    become_daemon,
    end_by_signal,
    fill_standard_streams,
    set_process_name,
)
from carppcap.system.syslog import Log
from carppcap.text.help import usage
from carppcap.text.i18n import translate_error
from carppcap.wire.header import BOW_OUT

UCARP_NAME = "ucarp"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = os.path.basename(sys.argv[0])
    if name != UCARP_NAME:
        name = "carppcap"  # also for `python -m carppcap`
    try:
        fill_standard_streams()
        if isinstance(sys.stdout, TextIOWrapper):
            # A terminal may lack the letters of a translation, or of a file name.
            sys.stdout.reconfigure(errors="backslashreplace")
        if words[:1] == ["replay"] and name != UCARP_NAME:
            from carppcap.replay.command import replay  # noqa: PLC0415 - not for the daemon

            return replay(words[1:])
        if words[:1] == ["simulate"] and name != UCARP_NAME:
            from carppcap.simulation.command import simulate  # noqa: PLC0415 - nor this

            return simulate(words[1:])
        return _daemon(name, words)
    except CarpError as error:
        _complain(name, error)
        return error.exit_status
    except OSError as error:
        # The reader of our output is gone or has no space.  At exit Python would
        # complain again, of what it could not flush.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError):
            _complain(name, LinkError("Unable to go on: {why}", why=error.strerror))
        return 2
    except KeyboardInterrupt:
        return 130


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
    set_process_name(name)
    log = Log(name, debug=settings.debug, facility=FACILITIES.get(settings.facility))
    verdict = None
    try:
        settings = with_password(settings, log)
        if settings.daemonize:
            # Report what is wrong with the options before there is a second process.
            settings.virtual_host(settings.interface or "")
            verdict = become_daemon()
        return _run(name, settings, log, verdict)
    except (CarpError, MemoryError) as error:
        why = error if isinstance(error, CarpError) else _out_of_memory()
        log.fatal(why)
        if verdict is not None:
            verdict.report(why.exit_status)
        return why.exit_status
    except Exception as error:
        # In the background the traceback goes nowhere.
        log.error(f"Unable to go on: {error!r}")
        raise


def _out_of_memory() -> LinkError:
    return LinkError("Unable to go on: {why}", why=os.strerror(errno.ENOMEM))


def _run(name: str, settings: Settings, log: Log, verdict: Verdict | None) -> int:
    """Run the daemon as `name`; report to `verdict`, if given, that it has started."""
    # Imported late, so that help and errors come at once.
    from carppcap.daemon.ipv6_source import with_source  # noqa: PLC0415
    from carppcap.daemon.loop import Daemon  # noqa: PLC0415
    from carppcap.system.capture import default_interface  # noqa: PLC0415

    interface = settings.interface
    if interface is None:
        interface = default_interface()
        log.info(f"Using [{interface}] as a network interface")
    config = with_source(settings.virtual_host(interface), log)
    _warn(settings, log)
    # What starts ucarp relies on it that the one before ended with its interface.
    take_over = name == UCARP_NAME
    with (
        sole_daemon(interface, config.vhid, log, take_over=take_over),
        closing(Daemon(settings, config, log)) as daemon,
        PidFile(settings.pidfile) if settings.pidfile else nullcontext(),
    ):
        if verdict is not None:
            log.terminal = False
        daemon.start()
        if verdict is not None:
            verdict.report(0)
        ended_by = daemon.run()
    if ended_by is not None:
        end_by_signal(ended_by)
    return 0


def _warn(settings: Settings, log: Log) -> None:
    # With --vmac the addresses come and go without scripts.
    if settings.upscript is None and not settings.vmac:
        log.warning("Warning: no script called when going up")
    if settings.downscript is None and not settings.vmac:
        log.warning("Warning: no script called when going down")
    if settings.dead_ratio == 1:
        log.warning("Warning: with --deadratio 1 a single late advert is a fail-over")
    if settings.advbase == settings.advskew == BOW_OUT:
        log.warning("Warning: with an interval of 255/255 each advert is a farewell")


if __name__ == "__main__":
    sys.exit(main())
