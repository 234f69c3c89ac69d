"""The help texts, in the user's language."""

from collections.abc import Sequence

from carppcap.options.table import OPTIONS, Option
from carppcap.text.i18n import translate

_HELP_COLUMN = 30
_WIDTH = 80


def usage(name: str) -> str:
    """Return the text of the daemon's --help; `name` is the name of the program."""
    head = translate(
        "Usage: {name} [OPTIONS]\n"
        "       carppcap replay FILE [OPTIONS]\n"
        "       carppcap simulate [FILE] [OPTIONS]\n"
        "       carppcap run FILE\n"
        "       carppcap init | check FILE | convert FILE [OPTIONS]\n"
        "\n"
        "Shares a virtual IP address with other hosts: one of them holds it, and when\n"
        "that one falls silent another takes it over (CARP, IP protocol 112).\n"
        "\n"
        "Needed: --vhid, --addr, --passfile or --pass, and with IPv4 --srcip.\n"
    ).format(name=name)
    example = translate(
        "Example: two hosts, 10.1.1.1 and 10.1.1.2, share 10.1.1.252.  On the first:\n"
        "\n"
        "  {name} -i eth0 -s 10.1.1.1 -v 42 -o /etc/vip.pass -a 10.1.1.252 \\\n"
        "         -u /etc/vip-up.sh -d /etc/vip-down.sh -z\n"
        "\n"
        "and the same with -s 10.1.1.2 -k 100 on the second, which then stands by.\n"
        "The scripts are called as: /etc/vip-up.sh eth0 10.1.1.252\n"
        "Their environment says more: CARPPCAP_ADDRESSES, CARPPCAP_CAUSE and others.\n"
        "\n"
        "Signals: USR1 logs the state; USR2 hands the address over; TERM, INT, QUIT\n"
        "and HUP end the process, with -z after the down script and a farewell.\n"
        "The password may also be in the environment, as CARPPCAP_PASS.\n"
    ).format(name=name)
    bsd = translate(
        "In the words of OpenBSD, of FreeBSD, and here; carppcap(8) has more:\n"
        "\n"
        "  ifconfig carp0 10.1.1.252/24 vhid 42 carpdev em0 pass x advskew 100\n"
        "  ifconfig em0 vhid 42 pass x advskew 100 alias 10.1.1.252/24\n"
        "  {name} -i em0 -s 10.1.1.2 -v 42 -p x -k 100 -a 10.1.1.252/24"
    ).format(name=name)
    return "\n".join((head, *map(option_row, OPTIONS), "", example, bsd))


def option_row(row: Option) -> str:
    """Return the help text of one option: one line, or several if it is too long."""
    short = f"-{row.short}, " if row.short else "    "
    value = f"={row.metavar}" if row.metavar else ""
    left = f"  {short}--{row.long}{value}"
    lines = [f"{left:<{_HELP_COLUMN}} "]
    for word in translate(row.help).split(" "):
        if len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append(" " * (_HELP_COLUMN + 1))
        lines[-1] += f" {word}"
    return "\n".join(lines)


def replay_usage(rows: Sequence[Option]) -> str:
    """Return the text of `carppcap replay --help`.

    `rows` are the options that have an effect on a replay.
    """
    head = translate(
        "Usage: carppcap replay FILE [OPTIONS]\n"
        "\n"
        "Shows what a host with these options would have done, had it heard what is\n"
        "recorded in FILE, a .pcap or .pcapng.  Sends nothing, runs no script, needs\n"
        "no privileges.  The command line of a daemon can be given as it is: options\n"
        "that mean nothing here are ignored.\n"
        "\n"
        "Without --vhid the first one in FILE counts.  Without --addr or a password\n"
        "adverts are believed and marked unverified.  Without --srcip this host is\n"
        "255.255.255.255, which loses every tie.\n"
    )
    example = translate(
        "Example: would this host have taken over, and when?\n"
        "\n"
        "  carppcap replay night.pcap -s 10.1.1.2 -v 42 -o /etc/vip.pass \\\n"
        "         -a 10.1.1.252 -k 100\n"
        "\n"
        "Each line of the answer: seconds since the first frame, vhid, state, why,\n"
        "what would have been done, and the next deadline.  Exit status 2 says that\n"
        "FILE, or a part of it, could not be read."
    )
    return "\n".join((head, *map(option_row, rows), "", example))


def simulate_usage(rows: Sequence[Option]) -> str:
    """Return the text of `carppcap simulate --help`; `rows` are its options."""
    head = translate(
        "Usage: carppcap simulate [FILE] [OPTIONS] [-- OPTIONS OF THE DAEMON]\n"
        "\n"
        "Shows what a group of hosts would do, and what that means for their address:\n"
        "the same election and the same frames, but on a simulated wire, in simulated\n"
        "time.  One seed, one run.  FILE describes the hosts, the wire and what\n"
        "happens to them, in TOML.  Without it there are node1, node2 and so on, with\n"
        "skew 0, 100 and so on.\n"
    )
    example = translate(
        "Times are written 200ms, 1.5s, 2m or 1h; 10s..11s is any time between two.\n"
        "\n"
        "Sentences for --at and for the story in FILE:\n"
        "\n"
        "  10s crash HOST            also kill, stop, start, step down, pull, plug\n"
        "  10s for 5s stall HOST     or hang HOST, also for ever\n"
        "  10s kill both of HOST     daemon and keeper; also kill keeper of HOST\n"
        "  10s demote HOST by 50     undone by: undemote HOST\n"
        "  10s step clock of HOST by -5s\n"
        "  10s set password of HOST to NEW, OLD\n"
        "  10s for 5s cut HOST from HOST, or one way: cut HOST to HOST\n"
        "  10s for 5s mute multicast of HOST\n"
        "  10s for 5s lose 30%       also duplicate, reorder, corrupt\n"
        "  10s lose 30% of ipv4      or of ipv6\n"
        "  10s for 5s delay 20ms     also jitter\n"
        "  10s replay HOST every 1s\n"
        "  10s rewrite HOST to 0/1 every 1s\n"
        "\n"
        "What has a duration (for) is undone when it is over.  HOST may be several,\n"
        "or all.\n"
        "\n"
        "Example: three hosts, 5% loss, and the first one dies after ten seconds.\n"
        "\n"
        "  carppcap simulate --nodes 3 --loss 5% --crash 10s:node1 --seed 7\n"
        "\n"
        "The same a thousand times, with other chances each time:\n"
        "\n"
        "  carppcap simulate --nodes 3 --loss 5% --crash 10s..11s:node1 --repeat 1000"
    )
    return "\n".join((head, *map(option_row, rows), "", example))


def check_usage(rows: Sequence[Option]) -> str:
    """Return the text of `carppcap check --help`; `rows` are its options."""
    head = translate(
        "Usage: carppcap check FILE [OPTIONS]\n"
        "\n"
        "Says every mistake in a configuration file, and what will not work on this\n"
        "host, each in a line: FILE:LINE: mistake, warning or note: what is wrong\n"
        "(what is allowed, or helps).\n"
    )
    end = translate(
        "Exit status: 0 without mistakes, 1 for a wrong command line, 2 for mistakes,\n"
        "with --strict also for warnings, and for a FILE that cannot be read.\n"
        "\n"
        "Example: do the files of two hosts fit together, and which one is preferred?\n"
        "\n"
        "  carppcap check one.toml --peer two.toml"
    )
    return "\n".join((head, *map(option_row, rows), "", end))


def init_usage(rows: Sequence[Option]) -> str:
    """Return the text of `carppcap init --help`; `rows` are its options."""
    head = translate(
        "Usage: carppcap init --addr=IP [OPTIONS]\n"
        "\n"
        "Writes a configuration file with one group.  The options of the daemon go\n"
        "into the file.  If they are missing, the kernel is asked for the interface\n"
        "that is in a network with the address, and for this host's address on it.\n"
    )
    end = translate(
        "Example: two hosts share 10.1.1.252.  On the first:\n"
        "\n"
        "  carppcap init -a 10.1.1.252 -v 42 -P --output /etc/carppcap.toml\n"
        "\n"
        "and the same with -k 100 on the second, with the passfile of the first."
    )
    return "\n".join((head, *map(option_row, rows), "", end))


def convert_usage(rows: Sequence[Option]) -> str:
    """Return the text of `carppcap convert --help`; `rows` are its options."""
    head = translate(
        "Usage: carppcap convert FILE... [OPTIONS]\n"
        "\n"
        "Makes a configuration file from command lines of ucarp in scripts and units,\n"
        "from the ucarp lines of Debian's /etc/network/interfaces, from Fedora's\n"
        "/etc/ucarp/vip-*.conf, or from the vrrp_instance blocks of keepalived.  What\n"
        "has no counterpart is listed in the file and on standard error.\n"
    )
    end = translate(
        "Examples:\n"
        "\n"
        "  carppcap convert /etc/network/interfaces --output carppcap.toml\n"
        "  carppcap convert /etc/ucarp/vip-common.conf /etc/ucarp/vip-001.conf\n"
        '  echo "ucarp -i eth0 ..." | carppcap convert -'
    )
    return "\n".join((head, *map(option_row, rows), "", end))
