"""Loads a configuration file for the daemon: groups with passwords, or mistakes."""

import os
from typing import NamedTuple

from carppcap.commands.files import read_text
from carppcap.configuration.document import Group, read
from carppcap.configuration.findings import mistake
from carppcap.configuration.keys import in_file
from carppcap.configuration.render import visible
from carppcap.errors import ConfigError
from carppcap.options.settings import Settings
from carppcap.system.password import with_password
from carppcap.system.syslog import Log


class Loaded(NamedTuple):
    """A group that can be run: `settings` have its password."""

    name: str
    settings: Settings


def load(path: str, log: Log) -> list[Loaded]:
    """Return the groups of the file `path`, in its order; there is at least one.

    Logs every mistake with its line, and then raises `ConfigError`.  Raises `LinkError`
    if the file cannot be read.
    """
    configuration = read(read_text(path))
    findings = list(configuration.findings)
    loaded: list[Loaded] = []
    for group in configuration.groups:
        try:
            loaded.append(Loaded(group.name, _with_password(group, log)))
        except ConfigError as error:
            line = group.line_of("passfile", "credential", "pass")
            findings.append(mistake(line, error, group.name))
    for finding in sorted(findings, key=lambda finding: finding.line):
        sentence = finding.sentence(in_file(f"{finding.error}"))
        log.error(f"{path}:{finding.line}: {visible(sentence)}")
    if len(findings) == 1:
        raise ConfigError(
            "{path}: 1 mistake (carppcap check {path} says more)", path=path
        )
    if findings:
        raise ConfigError(
            "{path}: {count} mistakes (carppcap check {path} says more)",
            path=path,
            count=len(findings),
        )
    return loaded


def _with_password(group: Group, log: Log) -> Settings:
    settings = group.resolved(os.environ.get("CREDENTIALS_DIRECTORY"))
    return settings if settings.passfile is None else with_password(settings, log)
