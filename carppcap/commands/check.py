"""The command `carppcap check`: what is wrong with a file, and what will not work."""

import os
import stat
from collections.abc import Iterator, Sequence
from itertools import chain

from carppcap.commands.files import STANDARD_INPUT, read_text
from carppcap.commands.host import compare_with_host, password_of
from carppcap.configuration.document import Configuration, Group, read
from carppcap.configuration.findings import Finding, Severity, warning
from carppcap.configuration.keys import in_file
from carppcap.configuration.pair import compare
from carppcap.configuration.render import visible
from carppcap.configuration.review import review
from carppcap.errors import N_, CarpError, ConfigError
from carppcap.options.command_line import parse_values
from carppcap.options.parsers import plain_text
from carppcap.options.table import Option
from carppcap.system.syslog import Log
from carppcap.text.help import check_usage
from carppcap.text.i18n import translate, translate_error

CHECK_OPTIONS = (
    Option("", "peer", "peer", plain_text, "FILE", N_("compare with the file of the other host"), ucarp=False),
    Option("", "strict", "strict", None, "", N_("fail for warnings, too"), ucarp=False),
    Option("h", "help", "help", None, "", N_("show this help"), ucarp=False),
)  # fmt: skip
"""The options of the command."""

STATUS_OF_MISTAKES = 2

_LABELS = {
    Severity.MISTAKE: N_("mistake"),
    Severity.WARNING: N_("warning"),
    Severity.NOTE: N_("note"),
}


def check(arguments: Sequence[str]) -> int:
    """Run `carppcap check` with `arguments`; return its exit status.

    Raises `ConfigError` if the arguments are wrong, and `LinkError` if a file cannot be
    read.
    """
    values, words = parse_values(arguments, CHECK_OPTIONS)
    if values.get("help") or not arguments:
        print(check_usage(CHECK_OPTIONS), flush=True)
        return 0
    if len(words) != 1:
        raise ConfigError("You must supply one file to check (see --help)")
    findings = list(_findings(words[0], values.get("peer")))
    for where, finding in findings:
        print(line_of(where, finding))
    severities = {finding.severity for _, finding in findings}
    if Severity.MISTAKE in severities:
        return STATUS_OF_MISTAKES
    if Severity.WARNING in severities:
        return STATUS_OF_MISTAKES if values.get("strict") else 0
    print(
        translate("{path}: no mistakes, no warnings").format(path=words[0]), flush=True
    )
    return 0


def line_of(path: str, finding: Finding) -> str:
    """Return the line that shows a finding, in the user's language."""
    label = translate(_LABELS[finding.severity])
    text = in_file(translate_error(finding.error))
    sentence = visible(finding.sentence(text))
    return f"{path}:{finding.line}: {label}: {sentence}"


def _findings(path: str, peer: str | None) -> Iterator[tuple[str, Finding]]:
    """Yield each finding with the path of its file."""
    ours = read(read_text(path))
    theirs = None if peer is None else read(read_text(peer))
    on_host = chain.from_iterable(map(compare_with_host, ours.groups))
    found = [*ours.findings, *on_host, *_readable(path, ours)]
    if ours.is_usable:
        found += review(ours.groups)
    if ours.is_usable and theirs is not None and theirs.is_usable:
        found += compare(ours.groups, theirs.groups, _same_password)
    # The daemon would refuse the file of the peer, too.
    of_peer = theirs.findings if theirs is not None else ()
    yield from ((path, finding) for finding in sorted(found, key=lambda f: f.line))
    yield from ((f"{peer}", finding) for finding in of_peer)


def _readable(path: str, configuration: Configuration) -> Iterator[Finding]:
    """Yield a warning if every user can read a password in the file."""
    lines = [g.line_of("pass") for g in configuration.groups if g.settings.password]
    if lines and path != STANDARD_INPUT and os.stat(path).st_mode & stat.S_IROTH:
        yield warning(
            min(lines),
            ConfigError(
                "every user can read the password (remedy: chmod o-r {path}, or a "
                "--passfile)",
                path=path,
            ),
        )


def _same_password(ours: Group, theirs: Group) -> bool | None:
    if ours.credential or theirs.credential:
        return None  # They are in the services of two hosts.
    if ours.settings.passfile and ours.settings.passfile == theirs.settings.passfile:
        return None  # Each host has a file of that name.
    silent = Log("carppcap")
    silent.terminal = False
    try:
        return password_of(ours, silent) == password_of(theirs, silent)
    except CarpError:
        return None
