"""Every option of the command line: the one place where they are described.

Parser, help, man page and tests read these rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from carppcap.addresses import parse_ipv4
from carppcap.election.config import (
    ADVBASE_MAX,
    ADVSKEW_MAX,
    DEAD_RATIO_MAX,
    DEMOTION_MAX,
    VHID_MAX,
    GuardMode,
    SourceMac,
)
from carppcap.errors import N_
from carppcap.options import parsers as read


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the command line.

    `field` is the setting that it fills.  `parse` reads its value and is None for a
    flag.  `help` is the line of --help, `detail` what the man page says beyond it.
    `original` is True if ucarp has the option too: its abbreviations win over ours.
    """

    short: str
    long: str
    field: str
    parse: Callable[[str, str], Any] | None
    metavar: str
    help: str
    original: bool = True
    detail: str = ""


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
