"""The command: the original's options, and the tools beside them.

    carppcap [OPTIONS]               the daemon
    carppcap replay FILE [OPTIONS]   what it would have done

Run under the name `ucarp`, it is the daemon and nothing else.
"""

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from carppcap import __version__
from carppcap.errors import CarpError, ConfigError
from carppcap.i18n import translate
from carppcap.options import (
    FACILITIES,
    OPTIONS,
    Option,
    Settings,
    parse,
    parse_password,
)
from carppcap.system.process import (
    PASSWORD_VARIABLE,
    PidFile,
    become_daemon,
    end_by_signal,
    hide_from_ps,
    report_readiness,
)
from carppcap.system.syslog import Log

ORIGINAL_NAME = "ucarp"
_HELP_COLUMN = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = os.path.basename(sys.argv[0])
    if name != ORIGINAL_NAME:
        name = "carppcap"  # also for `python -m carppcap`
    try:
        if words[:1] == ["replay"] and name != ORIGINAL_NAME:
            from carppcap.tool import replay  # noqa: PLC0415 - the daemon needs none of it

            return replay(words[1:])
        return _daemon(name, words)
    except CarpError as error:
        _complain(name, error)
        return error.exit_status
    except BrokenPipeError:
        # Whoever read our output has seen enough; do not complain at exit either.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _complain(name: str, error: CarpError) -> None:
    sentence = translate(error.template).format(**error.values)
    with suppress(OSError, ValueError):
        print(f"{name}: {sentence}", file=sys.stderr)


def _daemon(name: str, arguments: Sequence[str]) -> int:
    settings, words = parse(arguments)
    hide_from_ps(_secrets(settings))
    if settings.help or not arguments:
        print(usage(name))
        return 0
    if settings.version:
        print(f"carppcap {__version__}")
        return 0
    if words:
        raise ConfigError(
            "Unexpected argument: [{word}] (options only, see --help)", word=words[0]
        )
    log = Log(name, debug=settings.debug, facility=FACILITIES.get(settings.facility))
    settings = with_password(settings, log)
    if settings.daemonize:
        return _in_background(settings, log, name)
    return _run(settings, log, None)


def _secrets(settings: Settings) -> list[bytes]:
    given = os.environ.get(PASSWORD_VARIABLE, "")
    return [settings.password or b"", given.encode("utf-8", "surrogateescape")]


def with_password(settings: Settings, log: Log) -> Settings:
    """`settings` with the password of --passfile or of the environment filled in.

    The variable is taken out of the environment, so that scripts do not inherit it.
    Raises `ConfigError`.
    """
    from_environment = os.environ.pop(PASSWORD_VARIABLE, None)
    if settings.passfile is not None:
        return replace(settings, password=_read_passfile(settings.passfile, log))
    if settings.password is None and from_environment is not None:
        password = from_environment.encode("utf-8", "surrogateescape")
        return replace(settings, password=parse_password(password))
    return settings


def _read_passfile(path: str, log: Log) -> bytes:
    try:
        with open(path, "rb") as file:
            line = file.readline(4096)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise ConfigError(
            "unable to open passfile {path} for reading: {why}",
            path=path,
            why=error.strerror,
        ) from None
    if mode & stat.S_IROTH:
        log.warning("passfile {path} can be read by every user: chmod o-r", path=path)
    if not line:
        raise ConfigError(
            "error reading passfile {path}: unexpected end of file", path=path
        )
    return parse_password(line.rstrip(b"\r\n"))


def _in_background(settings: Settings, log: Log, name: str) -> int:
    # What can be found wrong at once is said before there is a second process.
    settings.virtual_host(settings.interface or "")
    verdict = become_daemon()
    try:
        return _run(settings, log, verdict)
    except CarpError as error:
        _complain(name, error)
        log.terminal = False
        log.error(error.template, **error.values)
        report_readiness(verdict, error.exit_status)
        return error.exit_status


def _run(settings: Settings, log: Log, verdict: int | None) -> int:
    """Be the daemon; `verdict` is the descriptor on which a parent waits."""
    # The rest of us is imported only now, so that help and errors come at once.
    from carppcap.daemon import Daemon  # noqa: PLC0415
    from carppcap.system.capture import default_interface  # noqa: PLC0415

    interface = settings.interface
    if interface is None:
        interface = default_interface()
        log.info("Using [{interface}] as a network interface", interface=interface)
    config = settings.virtual_host(interface)
    _warn(settings, log)
    daemon = Daemon(settings, config, log)
    pidfile = PidFile(settings.pidfile) if settings.pidfile else None
    try:
        if verdict is not None:
            log.terminal = False
        daemon.start()
        if verdict is not None:
            report_readiness(verdict, 0)
        ended_by = daemon.run()
    finally:
        daemon.close()
        if pidfile is not None:
            pidfile.remove()
    if ended_by is not None:
        end_by_signal(ended_by)
    return 0


def _warn(settings: Settings, log: Log) -> None:
    if settings.upscript is None:
        log.warning("Warning: no script called when going up")
    if settings.downscript is None:
        log.warning("Warning: no script called when going down")
    if settings.dead_ratio == 1:
        log.warning("Warning: with --deadratio 1 a single late advert is a fail-over")


def usage(name: str) -> str:
    """The help text, in the reader's language."""
    head = translate(
        "Usage: {name} [OPTIONS]\n"
        "       carppcap replay FILE [OPTIONS]\n"
        "\n"
        "Shares a virtual IP address with other hosts: one of them holds it, and when\n"
        "that one falls silent another takes it over (CARP, IP protocol 112).\n"
        "\n"
        "Needed: --srcip, --vhid, --addr, and --passfile or --pass.\n"
    ).format(name=name)
    example = translate(
        "Example: two hosts, 10.1.1.1 and 10.1.1.2, share 10.1.1.252.  On the first:\n"
        "\n"
        "  {name} -i eth0 -s 10.1.1.1 -v 42 -o /etc/vip.pass -a 10.1.1.252 \\\n"
        "         -u /etc/vip-up.sh -d /etc/vip-down.sh -z\n"
        "\n"
        "and the same with -s 10.1.1.2 -k 100 on the second, which then stands by.\n"
        "The scripts are called as: /etc/vip-up.sh eth0 10.1.1.252\n"
        "\n"
        "Signals: USR1 logs the state; USR2 hands the address over; TERM, INT, QUIT\n"
        "and HUP end the process, with -z after the down script and a farewell.\n"
        "The password may also be in the environment, as CARPPCAP_PASS."
    ).format(name=name)
    return "\n".join((head, *map(_usage_row, OPTIONS), "", example))


def _usage_row(row: Option) -> str:
    short = f"-{row.short}, " if row.short else "    "
    value = f"={row.metavar}" if row.metavar else ""
    left = f"  {short}--{row.long}{value}"
    return f"{left:<{_HELP_COLUMN}}  {translate(row.help)}"


if __name__ == "__main__":
    sys.exit(main())
