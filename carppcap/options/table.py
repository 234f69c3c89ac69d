"""The table of the daemon's options, the only place where they are described.

The parser, the help text, the man page and tests use its rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

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
from carppcap.options.settings import OnConflict


class Option(NamedTuple):
    """One option of a command line.

    `field` is the field of `Settings` that the option sets.  `parse` is the parser of
    its value, or None for an option without a value.  `help` is its text in --help and
    in the man page; `detail` is further text that only the man page has.  `ucarp` is
    True if ucarp has the option, too.  If an abbreviation fits an option of ucarp and
    one that only carppcap has, it means the option of ucarp.
    """

    short: str
    long: str
    field: str
    parse: Callable[[str, str], Any] | None
    metavar: str
    help: str
    ucarp: bool = True
    detail: str = ""


OPTIONS = (
    Option("i", "interface", "interface", read.plain_text, "IF", N_("network interface (default: the first that can capture)"), detail="Better name it: the first one may be another after the next boot. An alias such as eth0:1 stands for eth0; scripts get the name as it is given here."),
    Option("s", "srcip", "source", read.parse_source, "IP", N_("this host's permanent address on the interface, the source of its adverts; once for IPv4, once for IPv6"), detail="Required in IPv4. In IPv6 the default is chosen at the start, and again when it has gone with its card: the link-local address of the interface, if it is usable."),
    Option("v", "vhid", "vhid", read.number(1, VHID_MAX), "ID", N_("number of the group, 1 to 255, the same on all its hosts"), detail="No other CARP or VRRP group on this segment should have it."),
    Option("a", "addr", "addresses", read.parse_virtual_addresses, "IP", N_("virtual address that the group shares, with /LENGTH of its network if needed; several: with commas, or --addr again"), detail="IPv4 or IPv6. All hosts of the group must name the same addresses, in any order. The length of the prefix, 0 to 32 or 0 to 128, is for the scripts, for --vmac and for --own-addresses: peers are not told."),
    Option("o", "passfile", "passfile", read.plain_text, "FILE", N_("read the group's password from the first line of FILE"), detail="The password has 1 to 19 bytes, every byte before the newline, as for ucarp. A warning is logged for what an editor does not show: a carriage return, a byte order mark, a blank at either end. Another is logged if every user can read the file. The password in the second line is accepted and never used to sign; there is none if that line is blank or missing, and ucarp does not read it. See CHANGING THE PASSWORD."),
    Option("p", "pass", "password", read.password, "WORD", N_("the group's password, 1 to 19 bytes (better: --passfile)"), detail="See SECURITY CONSIDERATIONS."),
    Option("u", "upscript", "upscript", read.plain_text, "FILE", N_("run FILE to take the address: FILE IF ADDR [XPARAM]"), detail="See SCRIPTS. Default: none, with a warning unless --vmac or --own-addresses is given."),
    Option("d", "downscript", "downscript", read.plain_text, "FILE", N_("run FILE to drop the address, same arguments"), detail="Default: as for --upscript."),
    Option("x", "xparam", "xparam", read.any_text, "TEXT", N_("one more argument for both scripts")),
    Option("b", "advbase", "advbase", read.number(0, ADVBASE_MAX), "SECONDS", N_("seconds between two adverts, 0 to 255 (default 1)")),
    Option("k", "advskew", "advskew", read.number(0, ADVSKEW_MAX), "SKEW", N_("1/256 seconds added to --advbase, 0 to 255 (default 0); lower is preferred"), detail="The host with the shortest interval is preferred. Not 0 together with an --advbase of 0."),
    Option("r", "deadratio", "dead_ratio", read.number(1, DEAD_RATIO_MAX), "RATIO", N_("adverts that may be missing before a master counts as dead, 1 to 65535 (default 3)"), detail="With 1, a single late advert is a fail-over."),
    Option("P", "preempt", "preempt", None, "", N_("take over from a live master that is less preferred")),
    Option("n", "neutral", "neutral", None, "", N_("do not run the down script at start")),
    Option("z", "shutdown", "shutdown", None, "", N_("on a signal to stop: run the down script, send a farewell, exit with 0"), detail="Without it a signal ends the process at once, and the address stays on this host. On SIGUSR2, too, a farewell is sent only with this option."),
    Option("S", "ignoreifstate", "ignore_link_state", None, "", N_("ignore the state of the interface (crossover cables)"), detail="No carrier, interface down, --srcip missing: this host stays what it is. For two hosts joined by a crossover cable, whose carrier goes when the other host does."),
    Option("M", "nomcast", "nomcast", None, "", N_("send adverts to the broadcast MAC instead of the group's"), detail="The IP destination stays the group, but this host does not join it. Give it to all hosts or to none."),
    Option("m", "mcastip", "group", parse_ipv4, "IP", N_("multicast group of the adverts (default 224.0.0.18)"), detail="The same on all hosts."),
    Option("B", "daemonize", "daemonize", None, "", N_("go to the background once everything works"), detail="The command returns at that moment, or with the exit status of what went wrong. From then on the log goes to syslog only."),
    Option("f", "facility", "facility", read.facility, "NAME", N_("syslog facility (default daemon), or none")),
    Option("", "syslog", "facility", read.facility, "NAME", N_("the same as --facility"), ucarp=False, detail="The documentation of ucarp has this name, its program has not."),
    Option("D", "debug", "debug", None, "", N_("log every event and its result"), detail="Rejected frames are logged, too."),
    Option("", "script-timeout", "script_timeout_ns", read.seconds, "SECONDS", N_("kill a script that runs longer, 0 to 86400 seconds (default 0: never)"), ucarp=False, detail="Every process of its session is killed with it."),
    Option("", "pidfile", "pidfile", read.plain_text, "FILE", N_("keep the process id in FILE while running"), ucarp=False),
    Option("", "no-farewell", "no_farewell", None, "", N_("stop without a farewell to the peers"), ucarp=False, detail="They wait for their master-down interval, as after a crash."),
    Option("", "peer", "peers", read.parse_peers, "IP", N_("send adverts to this host instead of the multicast group; several as with --addr"), ucarp=False, detail="For networks without multicast. Adverts then come from the MAC of the interface. Name every other host of the group, in each family that has a virtual address. Not together with --mcastip or --nomcast."),
    Option("", "source-mac", "source_mac", read.choice(SourceMac), "KIND", N_("source MAC of adverts: virtual (as ucarp, default), bsd (as kernels) or real (the interface's)"), ucarp=False, detail="The virtual MAC is 00:00:5e:00:00:vhid and that of the BSDs 00:00:5e:00:01:vhid. The real one is for hypervisors that drop every other. With --vmac the default is bsd, and with --peer it is always real."),
    Option("", "lladdr", "link_address", read.parse_mac, "MAC", N_("MAC that was set by hand on the carp interfaces of the group's OpenBSD hosts"), ucarp=False, detail="They sign it along with the addresses."),
    Option("", "vmac", "vmac", None, "", N_("let a virtual MAC move with the addresses, as kernels do"), ucarp=False, detail="While this host is master, the addresses are on an interface of their own with the MAC 00:00:5e:00:01:vhid, so that neighbours need not learn another MAC at a hand-over. If IF is a macvlan, as in docker, other containers on its lower interface cannot reach the addresses. Needs the Python package pyroute2."),
    Option("", "announce-interval", "announce_interval_ns", read.seconds, "SECONDS", N_("as master, announce the addresses again this often, 0 to 86400 seconds (default 60, 0: never)"), ucarp=False, detail="Neighbours and switches that have lost an entry, or missed its change, have it again; with --vmac together with --peer or --source-mac=real nothing else comes from the virtual MAC. An announcement goes with an advert, so it comes no oftener than these. Without --vmac the console of a NetBSD host in the group calls each a duplicate address."),
    Option("", "own-addresses", "own_addresses", None, "", N_("hold the addresses without scripts, and never longer than this daemon works"), ucarp=False, detail="See OWN ADDRESSES. Scripts still run, if there are any."),
    Option("", "on-conflict", "on_conflict", read.choice(OnConflict), "WHAT", N_("what to do if another host claims an address of this master: nothing (default) or script"), ucarp=False, detail="In either case this host announces the address again and logs the MAC of the other. With script it also runs the up script again, with the cause rival, at most once a second and never beside another script. The exit code does not matter. Needs --upscript. See LOG MESSAGES."),
    Option("", "demotion", "demotion", read.number(0, DEMOTION_MAX), "N", N_("added to the skew and sent in adverts, 0 to 255 (default 0); lower is preferred"), ucarp=False, detail="How much worse a master this host is than it could be. The skew grows to 240 at most. To carppcap and OpenBSD the host with the lower demotion is preferred, whatever the skews, even without --preempt."),
    Option("", "replay-guard", "replay_guard", read.choice(GuardMode), "MODE", N_("what to do about adverts that are sent again: off, detect or enforce (default)"), ucarp=False, detail="The mode off obeys them, as ucarp and kernels do; detect logs and obeys them; enforce logs and ignores them. Senders with a constant counter, as OpenBSD has it, are recognised and exempt; the log says so. A carppcap whose clock went back over a restart is told so by the host that refused its advert, and goes on from there."),
    Option("", "no-realtime", "no_realtime", None, "", N_("run as an ordinary process, without real-time priority"), ucarp=False, detail="By default, and where it is permitted, this process is scheduled in real time at a low priority, keeps its memory from being swapped out and is not the first that the kernel kills when memory is short. Scripts inherit nothing of it. See REAL TIME."),
    Option("h", "help", "help", None, "", N_("show this help"), detail="So does a call without any option."),
    Option("", "version", "version", None, "", N_("show the version"), ucarp=False),
)  # fmt: skip
"""Every option, in the order of the help text."""
