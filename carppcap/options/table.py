"""The command line of the original, as one table, and what it means.

Help, parser and tests read the same rows.  Values are checked one by one (`values`);
what they mean together is checked when a virtual host is made of them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from carppcap.addresses import (
    ANY,
    CARP_GROUP,
    Address,
    Family,
    kernel_mac,
    parse_ipv4,
)
from carppcap.election.config import (
    ADVBASE_MAX,
    ADVSKEW_MAX,
    DEAD_RATIO_DEFAULT,
    DEAD_RATIO_MAX,
    DEMOTION_MAX,
    VHID_MAX,
    GuardMode,
    SourceMac,
    VirtualHostConfig,
)
from carppcap.errors import N_, ConfigError
from carppcap.options import parsers as read
from carppcap.options.parsers import VirtualAddress, merge_virtual_addresses
from carppcap.units import Interval
from carppcap.wire.auth import Key

TYPE_CHECKING = False
if TYPE_CHECKING:  # For mypy alone: typing would cost the daemon 0.4 MB.
    from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the command line said; None or empty where it said nothing.

    `script_timeout_ns` 0 means that scripts may take as long as they like.
    """

    interface: str | None = None
    source: IPv4Address | None = None
    source6: IPv6Address | None = None
    group: IPv4Address = CARP_GROUP
    vhid: int | None = None
    password: bytes | None = None
    passfile: str | None = None
    preempt: bool = False
    neutral: bool = False
    addresses: tuple[VirtualAddress, ...] = ()
    advbase: int = 1
    advskew: int = 0
    dead_ratio: int = DEAD_RATIO_DEFAULT
    upscript: str | None = None
    downscript: str | None = None
    xparam: str | None = None
    shutdown: bool = False
    daemonize: bool = False
    ignore_link_state: bool = False
    nomcast: bool = False
    facility: str = "daemon"
    debug: bool = False
    help: bool = False
    version: bool = False
    script_timeout_ns: Interval = 0
    pidfile: str | None = None
    no_farewell: bool = False
    peers: tuple[Address, ...] = ()
    source_mac: SourceMac | None = None
    link_address: bytes = b""
    vmac: bool = False
    demotion: int = 0
    replay_guard: GuardMode = GuardMode.ENFORCE

    @property
    def vips(self) -> tuple[Address, ...]:
        """The virtual addresses, without their prefixes."""
        return tuple(virtual.address for virtual in self.addresses)

    @property
    def prefixes(self) -> tuple[int | None, ...]:
        """The length of the prefix of each of them, as `VirtualHostConfig` has it."""
        lengths = tuple(virtual.prefix for virtual in self.addresses)
        return () if set(lengths) == {None} else lengths

    def virtual_host(self, interface: str) -> VirtualHostConfig:
        """The virtual host these settings describe.

        Raises `ConfigError` for whatever is missing or impossible, in the order and
        the words of the original.
        """
        if self.vhid is None:
            raise ConfigError("You must supply a valid virtual host id (--vhid, 1-255)")
        if self.password is None:
            raise ConfigError("You must supply a password (--passfile or --pass)")
        if self.advbase == 0 and self.advskew == 0:
            raise ConfigError(
                "You must supply an advertisement time base: --advbase and --advskew "
                "cannot both be 0"
            )
        families = {Family.of(vip) for vip in self.vips}
        needs_ipv4 = Family.IPV4 in families or (not families and self.source6 is None)
        if needs_ipv4 and self.source in (None, ANY):
            raise ConfigError("You must supply a persistent source address (--srcip)")
        if not families or self.vips == (ANY,):
            raise ConfigError("You must supply a virtual host address (--addr)")
        self._check_peers(families)
        return self.host(
            interface,
            self.vhid,
            Key(self.password),
            self.source if Family.IPV4 in families else None,
            self.source6 if Family.IPV6 in families else None,
        )

    def host(
        self,
        interface: str,
        vhid: int,
        key: Key | None,
        source: IPv4Address | None,
        source6: IPv6Address | None,
    ) -> VirtualHostConfig:
        """A virtual host of these values, and else of these settings.

        Raises `ConfigError` for numbers that are impossible together.
        """
        # OpenBSD leaves the usual one out of its digest (`carp_hmac_prepare_ctx`).
        is_usual = self.link_address == kernel_mac(vhid)
        return VirtualHostConfig(
            interface=interface,
            vhid=vhid,
            source=source,
            source6=source6,
            vips=self.vips,
            prefixes=self.prefixes,
            key=key,
            advbase=self.advbase,
            advskew=self.advskew,
            dead_ratio=self.dead_ratio,
            preempt=self.preempt,
            neutral=self.neutral,
            farewell=self.shutdown and not self.no_farewell,
            group=self.group,
            multicast=not self.nomcast,
            peers=self.peers,
            source_mac=self.source_mac or self._usual_source_mac(),
            link_address=b"" if is_usual else self.link_address,
            vmac=self.vmac,
            demotion=self.demotion,
            replay_guard=self.replay_guard,
        )

    def _usual_source_mac(self) -> SourceMac:
        """The MAC that adverts come from where nobody asks for another one.

        Peers by name may be behind a router, and the network between us may know the
        NIC only.  A virtual MAC that moves is taught to switches by the adverts.
        """
        if self.peers:
            return SourceMac.REAL
        return SourceMac.BSD if self.vmac else SourceMac.VIRTUAL

    def _check_peers(self, families: set[Family]) -> None:
        """Raises `ConfigError` for peers that not all adverts can be sent to."""
        if not self.peers:
            return
        if self.nomcast or self.group != CARP_GROUP:
            raise ConfigError(
                "With --peer adverts go to no group (leave out --mcastip and --nomcast)"
            )
        if self.source_mac not in (None, SourceMac.REAL):
            raise ConfigError(
                "With --peer adverts come from the interface's own MAC (leave out "
                "--source-mac)"
            )
        for peer in self.peers:
            if peer in (self.source, self.source6, *self.vips):
                raise ConfigError(
                    "{address} is no peer, but an address of this host or of the "
                    "group (--peer)",
                    address=peer,
                )
        served = {Family.of(peer) for peer in self.peers}
        for family in Family:
            if family in families - served:
                raise ConfigError(
                    "No --peer is an IPv{version} address, but an --addr is",
                    version=family.value,
                )
            if family in served - families:
                raise ConfigError(
                    "No --addr is an IPv{version} address, but a --peer is",
                    version=family.value,
                )


@dataclass(frozen=True, slots=True)
class Option:
    """One row: how it is written, which setting it makes, and what to say of it.

    `parse` is None for a flag.  `original` tells that `ucarp` has it too: its
    abbreviations win over those of ours.
    """

    short: str
    long: str
    field: str
    parse: "Callable[[str, str], Any] | None"
    metavar: str
    help: str
    original: bool = True


OPTIONS = (
    Option("i", "interface", "interface", read.plain_text, "IF", N_("network interface to work on (default: the first one)")),
    Option("s", "srcip", "source", read.parse_source, "IP", N_("this host's own, permanent address on it; once for IPv4, once for IPv6 (default there: chosen at start)")),
    Option("v", "vhid", "vhid", read.number(1, VHID_MAX), "ID", N_("number of the group, 1 to 255, the same on all its hosts")),
    Option("a", "addr", "addresses", read.parse_virtual_addresses, "IP", N_("the virtual address that the group shares, perhaps with /LENGTH of its network; of several, all: with commas, or --addr again")),
    Option("o", "passfile", "passfile", read.plain_text, "FILE", N_("read the group's password from the first line of FILE")),
    Option("p", "pass", "password", read.password, "WORD", N_("the group's password, 1 to 19 bytes (better: --passfile)")),
    Option("u", "upscript", "upscript", read.plain_text, "FILE", N_("run FILE to take the address: FILE IF ADDR [XPARAM]")),
    Option("d", "downscript", "downscript", read.plain_text, "FILE", N_("run FILE to drop the address, same arguments")),
    Option("x", "xparam", "xparam", read.any_text, "TEXT", N_("one more argument for both scripts")),
    Option("b", "advbase", "advbase", read.number(0, ADVBASE_MAX), "SECONDS", N_("time between two adverts, 0 to 255 (default 1)")),
    Option("k", "advskew", "advskew", read.number(0, ADVSKEW_MAX), "SKEW", N_("1/256 seconds on top, 0 to 255 (default 0); lower is preferred")),
    Option("r", "deadratio", "dead_ratio", read.number(1, DEAD_RATIO_MAX), "RATIO", N_("missing adverts until a master counts as dead (default 3)")),
    Option("P", "preempt", "preempt", None, "", N_("take over from a live master that is less preferred")),
    Option("n", "neutral", "neutral", None, "", N_("do not run the down script at start")),
    Option("z", "shutdown", "shutdown", None, "", N_("when told to stop: run the down script, say farewell, exit")),
    Option("S", "ignoreifstate", "ignore_link_state", None, "", N_("ignore the state of the interface (crossover cables)")),
    Option("M", "nomcast", "nomcast", None, "", N_("send adverts to the broadcast MAC instead of the group's")),
    Option("m", "mcastip", "group", parse_ipv4, "IP", N_("multicast group of the adverts (default 224.0.0.18)")),
    Option("B", "daemonize", "daemonize", None, "", N_("go to the background once everything works")),
    Option("f", "facility", "facility", read.facility, "NAME", N_("syslog facility (default daemon), or none")),
    Option("", "syslog", "facility", read.facility, "NAME", N_("the same as --facility"), original=False),
    Option("D", "debug", "debug", None, "", N_("say more: every event and what came of it")),
    Option("", "script-timeout", "script_timeout_ns", read.seconds, "SECONDS", N_("kill a script that runs longer (default 0: never)"), original=False),
    Option("", "pidfile", "pidfile", read.plain_text, "FILE", N_("keep the process id in FILE while running"), original=False),
    Option("", "no-farewell", "no_farewell", None, "", N_("leave without telling the peers"), original=False),
    Option("", "peer", "peers", read.parse_peers, "IP", N_("send adverts to this host and not to the group; several as with --addr"), original=False),
    Option("", "source-mac", "source_mac", read.choice(SourceMac), "KIND", N_("MAC that adverts come from: virtual (as ucarp, default), bsd (as kernels) or real (the interface's)"), original=False),
    Option("", "lladdr", "link_address", read.parse_mac, "MAC", N_("the MAC, if the group's OpenBSD hosts were given one by hand"), original=False),
    Option("", "vmac", "vmac", None, "", N_("let a virtual MAC move with the addresses, as kernels do"), original=False),
    Option("", "demotion", "demotion", read.number(0, DEMOTION_MAX), "N", N_("how much worse a master this host is than it could be, 0 to 255 (default 0)"), original=False),
    Option("", "replay-guard", "replay_guard", read.choice(GuardMode), "MODE", N_("what to do about old adverts that are sent again: off, detect or enforce (default)"), original=False),
    Option("h", "help", "help", None, "", N_("show this help")),
    Option("", "version", "version", None, "", N_("show the version"), original=False),
)  # fmt: skip
"""Every option, in the order of the help text."""


def parse(arguments: Sequence[str]) -> tuple[Settings, list[str]]:
    """The settings and the words that belong to no option.

    Options may be bundled, abbreviated and mixed with words, as `getopt_long` has
    it; the last of two contradicting ones holds.  Raises `ConfigError`.
    """
    values, words = parse_values(arguments, OPTIONS)
    return Settings(**values), words


def parse_values(
    arguments: Sequence[str], rows: Sequence[Option]
) -> "tuple[dict[str, Any], list[str]]":
    """The same by the names of the fields, for a table with rows of its own."""
    given, words = split(arguments, rows)
    values: dict[str, Any] = {}
    for row, name, text in given:
        _put(values, row.field, True if row.parse is None else row.parse(text, name))
    return values, words


def _put(values: "dict[str, Any]", field: str, value: "Any") -> None:
    """Add one more value to those that were given before it."""
    if field == "addresses":
        value = merge_virtual_addresses(values.get(field, ()), value)
    elif field == "peers":
        value = tuple(dict.fromkeys((*values.get(field, ()), *value)))
    elif field == "source" and value.version == 6:
        field = "source6"
    elif field == "passfile":
        values.pop("password", None)
    elif field == "password":
        values.pop("passfile", None)
    values[field] = value


def passwords(
    arguments: Sequence[str], rows: Sequence[Option] = OPTIONS
) -> list[bytes]:
    """Every password on the command line, also those that a later one replaces.

    Raises `ConfigError`, where `parse` does too.
    """
    given, _ = split(arguments, rows)
    return [read.encode(text) for row, _, text in given if row.field == "password"]


def split(
    arguments: Sequence[str], rows: Sequence[Option]
) -> tuple[list[tuple[Option, str, str]], list[str]]:
    """Each option as (row, the name it was called by, value), and all other words.

    Values are not looked at yet.  Raises `ConfigError`.
    """
    given: list[tuple[Option, str, str]] = []
    words: list[str] = []
    rest = deque(arguments)
    while rest:
        word = rest.popleft()
        if word == "--":
            words.extend(rest)
            break
        if word.startswith("--"):
            given.append(_long(word, rest, rows))
        elif word.startswith("-") and word != "-":
            given.extend(_bundle(word, rest, rows))
        else:
            words.append(word)
    return given, words


def _long(
    word: str, rest: deque[str], rows: Sequence[Option]
) -> tuple[Option, str, str]:
    abbreviation, equals, text = word[2:].partition("=")
    row = _find_long(abbreviation, rows)
    name = f"--{row.long}"
    if row.parse is None and equals:
        raise ConfigError("Option {name} takes no value (see --help)", name=name)
    if row.parse is not None and not equals:
        text = _next_word(name, rest)
    return row, name, text


def _bundle(
    word: str, rest: deque[str], rows: Sequence[Option]
) -> Iterator[tuple[Option, str, str]]:
    for position, letter in enumerate(word[1:], start=2):
        name = f"-{letter}"
        row = next((row for row in rows if row.short == letter), None)
        if row is None:
            raise ConfigError("Unknown option: {name} (see --help)", name=name)
        if row.parse is None:
            yield row, name, ""
        else:
            yield row, name, word[position:] or _next_word(name, rest)
            return


def _next_word(name: str, rest: deque[str]) -> str:
    if not rest:
        raise ConfigError("Option {name} needs a value (see --help)", name=name)
    return rest.popleft()


def _find_long(name: str, rows: Sequence[Option]) -> Option:
    for row in rows:
        if row.long == name:
            return row
    meant = [row for row in rows if row.long.startswith(name)]
    # An abbreviation that was unique among the original's options stays what it was:
    # --no is --nomcast, whatever we have added since.
    meant = [row for row in meant if row.original] or meant
    if not meant:
        raise ConfigError("Unknown option: {name} (see --help)", name=f"--{name}")
    if len(meant) > 1:
        raise ConfigError(
            "Option {name} may mean {names} (see --help)",
            name=f"--{name}",
            names=", ".join(f"--{row.long}" for row in meant),
        )
    return meant[0]
