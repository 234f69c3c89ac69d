"""Compares the groups of a configuration file with this host: what is not there?"""

import os
import stat
from collections.abc import Iterator

from carppcap.configuration.document import Group
from carppcap.configuration.findings import Finding, mistake, note, warning
from carppcap.configuration.managers import threats
from carppcap.errors import ConfigError, LinkError
from carppcap.system.kernel_addresses import KernelAddresses
from carppcap.system.link import LinkMonitor, LinkStatus
from carppcap.system.network_managers import manager_of
from carppcap.system.password import with_password
from carppcap.system.syslog import Level, Log
from carppcap.system.vmac import load_pyroute2


class _Collector(Log):
    """A log that keeps its lines."""

    def __init__(self) -> None:
        super().__init__("carppcap")
        self.lines: list[str] = []

    def write(self, level: Level, text: str, translated: str | None = None) -> None:
        self.lines.append(text.removeprefix("Warning: "))


def status_of(interface: str) -> LinkStatus:
    """Return the status of an interface.  Raises `LinkError`."""
    monitor = LinkMonitor(interface)
    try:
        return monitor.status()
    finally:
        monitor.close()


def compare_with_host(group: Group) -> Iterator[Finding]:
    """Yield what this host lacks for a group, and what will work against it.

    The group may have mistakes.
    """
    yield from check_password(group)
    yield from _check_scripts(group)
    line = group.line_of("interface")
    if not group.device:
        return
    try:
        status = status_of(group.settings.interface or "")
    except LinkError as error:
        yield mistake(line, error, group.name)
        return
    if not status.exists:
        yield warning(
            line,
            ConfigError(
                "{group}: there is no interface {interface} (the daemon will wait)",
                group=group.name,
                interface=group.device,
            ),
        )
        return
    yield from _check_interface(group, status)
    if group.settings.vmac:
        try:
            load_pyroute2()
        except ConfigError as error:
            yield mistake(group.line_of("vmac"), error, group.name)
    manager = manager_of(status.name, status.index)
    if not group.settings.vmac:
        own = group.settings.own_addresses
        for threat in threats(manager, own_addresses=own):
            yield warning(line, threat, group.name)


def password_of(group: Group, log: Log) -> bytes | None:
    """Return the password of a group.  Raises `ConfigError` if it cannot be read."""
    settings = group.resolved(os.environ.get("CREDENTIALS_DIRECTORY"))
    return with_password(settings, log).password


def check_password(group: Group) -> Iterator[Finding]:
    """Yield what is wrong with the password of a group."""
    line = group.line_of("passfile", "credential", "pass")
    if group.credential is not None and "CREDENTIALS_DIRECTORY" not in os.environ:
        yield note(
            line,
            ConfigError(
                "{group}: the credential {name} can only be read in the service",
                group=group.name,
                name=group.credential,
            ),
        )
        return
    log = _Collector()
    try:
        password_of(group, log)
    except ConfigError as error:
        yield mistake(line, error, group.name)
    for text in log.lines:
        yield warning(line, ConfigError("{text}", text=text), group.name)


def _check_scripts(group: Group) -> Iterator[Finding]:
    settings = group.settings
    scripts = ("upscript", settings.upscript), ("downscript", settings.downscript)
    for key, path in scripts:
        if path is None:
            continue
        why = _why_not_runnable(path)
        if why is not None:
            yield warning(group.line_of(key), why, group.name)


def _why_not_runnable(path: str) -> ConfigError | None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return ConfigError(
            "script {path} cannot be run: {why}", path=path, why=error.strerror
        )
    if not stat.S_ISREG(mode):
        return ConfigError("script {path} is no file", path=path)
    if not mode & 0o111:
        return ConfigError(
            "script {path} is not executable (remedy: chmod +x {path})", path=path
        )
    return None


def _check_interface(group: Group, status: LinkStatus) -> Iterator[Finding]:
    settings = group.settings
    if not status.mac:
        yield mistake(
            group.line_of("interface"),
            ConfigError(
                "Unable to find MAC address of [{interface}]: not Ethernet",
                interface=group.device,
            ),
            group.name,
        )
    if not settings.ignore_link_state:
        for source in (settings.source, settings.source6):
            if source is not None and source not in status.addresses:
                yield warning(
                    group.line_of("srcip"),
                    ConfigError(
                        "{group}: {interface} does not have the --srcip {address} (the "
                        "daemon will wait for it)",
                        group=group.name,
                        interface=group.device,
                        address=source,
                    ),
                )
    kernel = KernelAddresses()
    try:
        for found in kernel.find(settings.vips):
            if not found.ours and settings.own_addresses:
                yield warning(
                    group.line_of("addr"),
                    ConfigError(
                        "{group}: {address} is set on {interface}, and not by "
                        "carppcap: so it may be on two hosts at once (remedy: take it "
                        "out of the configuration of the network)",
                        group=group.name,
                        address=found.place,
                        interface=found.interface,
                    ),
                )
    finally:
        kernel.close()
