"""The command `carppcap init`: the configuration file of a first group."""

import os
import re
import secrets
import socket
from collections.abc import Sequence

from carppcap.addresses import Address
from carppcap.commands.files import write_text
from carppcap.commands.sources import addresses_of, source_for, way_to
from carppcap.configuration.document import check_name, read
from carppcap.configuration.keys import description
from carppcap.configuration.render import Draft, render
from carppcap.conversion.result import Conversion
from carppcap.conversion.ucarp import add_group
from carppcap.errors import N_, ConfigError
from carppcap.options.command_line import split
from carppcap.options.parsers import plain_text
from carppcap.options.table import OPTIONS, Option
from carppcap.system.link import device_of
from carppcap.system.password import hide_passwords
from carppcap.system.routes import route_to
from carppcap.text.help import init_usage
from carppcap.text.i18n import translate
from carppcap.wire.auth import PASSWORD_LENGTH_MAX

INIT_OPTIONS = (
    Option("", "group", "group", plain_text, "NAME", N_("name of the group (default vip)"), ucarp=False),
    Option("", "output", "output", plain_text, "FILE", N_("write to FILE, and a new password to the passfile if there is none"), ucarp=False),
    Option("", "force", "force", None, "", N_("replace a FILE that is there already"), ucarp=False),
)  # fmt: skip
"""The options that the daemon does not have."""

NAME_DEFAULT = "vip"
VHID_DEFAULT = "1"
_PASSFILE = "/etc/carppcap/{name}.pass"
_SCRIPT_TIMEOUT_S = 30
_SHUTDOWN_COMMENT = (
    "On a signal to stop: drop the addresses, send a farewell, exit with 0."
)


def init(arguments: Sequence[str]) -> int:
    """Run `carppcap init` with `arguments`; return its exit status.

    Raises `ConfigError` if the arguments are wrong or a file is there already, and
    `LinkError` if the kernel cannot be asked or a file cannot be written.
    """
    rows = (*INIT_OPTIONS, *OPTIONS)
    given, words = split(arguments, rows)
    hide_passwords(arguments, rows)
    own = {row.field: text for row, _, text in given if row in INIT_OPTIONS}
    if any(row.field == "help" for row, _, _ in given) or not arguments:
        print(init_usage(rows), flush=True)
        return 0
    if words:
        raise ConfigError(
            "Unexpected argument: [{word}] (options only, see --help)", word=words[0]
        )
    name, output = own.get("group", NAME_DEFAULT), own.get("output")
    check_name(name)
    draft, whole = _draft(name, [each for each in given if each[0] in OPTIONS])
    text = render(_head(output), whole.top, [draft])
    for finding in read(text).findings:
        raise finding.error
    write_text(output, text, mode=0o600, force="force" in own)
    if output is not None:
        print(translate("{path} is written").format(path=output))
        _write_password(draft)
    return 0


def _draft(
    name: str, given: Sequence[tuple[Option, str, str]]
) -> tuple[Draft, Conversion]:
    whole = Conversion()
    draft = add_group(whole, given, "", 0)
    draft.name = name
    for remark in whole.remarks:
        raise remark.error
    values = draft.values
    addresses = addresses_of(draft)
    if not addresses:
        raise ConfigError("You must supply a virtual host address (--addr)")
    if "interface" not in values:
        way = way_to(addresses)
        if way is None or way.is_local or not way.is_direct:
            raise _own_address(addresses) or ConfigError(
                "No interface of this host is in a network with {address} (name one: "
                "--interface)",
                address=addresses[0],
            )
        values["interface"] = way.interface
    interface = f"{values['interface']}"
    source = source_for(interface, addresses)
    if source is not None:
        values.setdefault("srcip", [f"{source}"])
    elif "srcip" not in values and any(a.version == 4 for a in addresses):
        raise (
            _own_address(addresses)
            or _no_interface(interface)
            or ConfigError(
                "{interface} has no IPv4 address to send from (give one: --srcip)",
                interface=interface,
            )
        )
    values.setdefault("vhid", int(VHID_DEFAULT))
    values.setdefault("advskew", 0)
    values.setdefault("preempt", False)
    values.setdefault("shutdown", True)
    if "vmac" not in values:
        values.setdefault("own_addresses", True)
    if not values.keys() & {"pass", "passfile"}:
        values["passfile"] = _PASSFILE.format(name=name)
    for key in values.keys() & {"passfile", "upscript", "downscript"}:
        # The daemon may start elsewhere.
        values[key] = os.path.abspath(f"{values[key]}")
    for key in values:
        draft.comments.setdefault(key, [_help(key)])
    if "downscript" not in values:
        draft.comments["shutdown"] = [_SHUTDOWN_COMMENT]
    whole.top.setdefault("facility", "none")
    if "script_timeout" not in values:
        whole.top["script_timeout"] = _SCRIPT_TIMEOUT_S
    return draft, whole


def _own_address(addresses: Sequence[Address]) -> ConfigError | None:
    """Return the error for the first address that this host has, None without one."""
    for address in addresses:
        way = route_to(address)
        if way is not None and way.is_local:
            return ConfigError(
                "{address} is this host's own address (allowed: an --addr that the "
                "hosts share)",
                address=address,
            )
    return None


def _no_interface(interface: str) -> ConfigError | None:
    """Return the error if there is no such interface, None if there is one."""
    names = [name for _, name in socket.if_nameindex()]
    if device_of(interface) in names:
        return None
    return ConfigError(
        "there is no interface {interface} (here: {names})",
        interface=interface,
        names=", ".join(names),
    )


def _help(key: str) -> str:
    """Return the comment for a key that has a value, and so needs no default.

    It is English, as the keys are: the hosts of a group share the file.
    """
    text = re.sub(r" \(default[^)]*\)", "", description(key))
    return f"{text[0].upper()}{text[1:]}."


def _head(output: str | None) -> list[str]:
    return [
        "The groups of this host; carppcap.toml(5) has all keys.",
        "The other host has the same file, but another srcip and advskew.",
        f"After a change: carppcap check {output or 'FILE'}",
        'With the facility "none" systemd has each line of the log once.',
    ]


def _write_password(draft: Draft) -> None:
    """Write a new password, unless the passfile is there."""
    path = draft.values.get("passfile")
    if isinstance(path, str) and not os.path.exists(path):
        password = secrets.token_urlsafe(PASSWORD_LENGTH_MAX)[:PASSWORD_LENGTH_MAX]
        write_text(path, f"{password}\n", mode=0o600)
        print(
            translate(
                "{path} has a new password: copy it to the other hosts of the group"
            ).format(path=path)
        )
