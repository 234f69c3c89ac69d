"""Tells what has happened in a lab: who became what, who sent what, and when."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from tests.netns.daemons import Daemon
from tests.netns.lab import VIP, Host, Lab
from tests.netns.ping import Outage
from tests.netns.wire import NS_PER_S, Advert

NS_PER_MS = NS_PER_S // 1000
BROADCAST = b"\xff" * 6
SOLICITATION = 3
"""The type of a packet that asks the master for an advert."""

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"

REASONS = {
    "startup": "it listens first",
    "master_down": "there was no master to be heard",
    "master_too_slow": "the farewell says: no host holds it now",
    "shutdown": "told to stop",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    time_ns: int
    who: str
    text: str
    colour: str = ""


def paint(text: str, colour: str) -> str:
    """Return `text` in a colour, where the output is a terminal."""
    if not colour or not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\033[{colour}m{text}\033[0m"


def seconds(interval_ns: int) -> str:
    return f"{interval_ns / NS_PER_S:.3f} s"


def milliseconds(interval_ns: int) -> str:
    return f"{interval_ns / NS_PER_MS:.0f} ms"


def pings(count: int) -> str:
    return f"{count} ping{'' if count == 1 else 's'} lost"


def moments(lab: Lab, outages: Iterable[Outage], since_ns: int) -> Iterator[Moment]:
    """Yield all that was recorded in `lab`, and `outages` of the client, in any order.

    Some of it is older than `since_ns`, but of a row of adverts only what follows.
    """
    yield from transitions(lab)
    yield from adverts(lab, since_ns)
    yield from solicitations(lab)
    yield from announcements(lab)
    yield from holdings(lab)
    yield from losses(outages)


def transitions(lab: Lab) -> Iterator[Moment]:
    for host, daemon in daemons(lab):
        for line in daemon.logged(" -> "):
            change, _, cause = line.text.partition(": ")[2].rpartition(" (")
            reason = REASONS.get(cause.rstrip(")"), cause.rstrip(")"))
            colour = GREEN if change.endswith("MASTER") else CYAN
            yield Moment(line.time_ns, host.name, f"{change}: {reason}", colour)


def adverts(lab: Lab, since_ns: int) -> Iterator[Moment]:
    """The first of each row of adverts, and the last one in this act."""
    names = {host.address: host.name for host in lab.hosts}
    to_all = (
        each for each in lab.wire.adverts() if each.ethernet_destination != BROADCAST
    )
    for (source, is_farewell), row in groupby(
        to_all, lambda advert: (advert.source, advert.is_farewell)
    ):
        sent = list(row)
        first, who = sent[0], names[str(source)]
        text = f"advert {first.advbase}/{first.advskew}"
        if is_farewell:
            text += ": farewell, a host that hears it may take over"
            yield Moment(first.time_ns, who, text, YELLOW)
            continue
        yield Moment(first.time_ns, who, f"{text}: the master is here, more to follow")
        in_act = [advert for advert in sent[1:] if advert.time_ns >= since_ns]
        if in_act:
            every_ns = (sent[-1].time_ns - first.time_ns) // (len(sent) - 1)
            text += f", number {len(sent)}, every {seconds(every_ns)}"
            yield Moment(in_act[-1].time_ns, who, text)


def solicitations(lab: Lab) -> Iterator[Moment]:
    """What a host that hears no master asks, and what it is answered."""
    names = {host.address: host.name for host in lab.hosts}
    for packet in lab.wire.packets:
        if not isinstance(packet, Advert) or packet.ethernet_destination != BROADCAST:
            continue
        who = names[str(packet.source)]
        if packet.type == SOLICITATION:
            text = "asks by broadcast: is there a master?"
            yield Moment(packet.time_ns, who, text, YELLOW)
        else:
            to = names.get(str(packet.destination), "all")
            text = f"advert to {to} by broadcast: yes, here"
            yield Moment(packet.time_ns, who, text)


def announcements(lab: Lab) -> Iterator[Moment]:
    names = {host.mac: host.name for host in lab.hosts}
    for arp in lab.wire.announcements():
        mac = arp.sender_mac.hex(":")
        text = f"ARP to all: {arp.sender} is at {mac}"
        yield Moment(arp.time_ns, names.get(arp.sender_mac, "?"), text)


def holdings(lab: Lab) -> Iterator[Moment]:
    for change in lab.addresses.changes:
        text = f"{'has' if change.held else 'no longer has'} {VIP}"
        yield Moment(change.time_ns, change.host, text)


def losses(outages: Iterable[Outage]) -> Iterator[Moment]:
    for one in outages:
        yield Moment(one.start_ns, "client", "its last answer for a while", RED)
        text = f"gets answers again: {pings(one.lost)}"
        yield Moment(one.end_ns, "client", text, GREEN)


def daemons(lab: Lab) -> Iterator[tuple[Host, Daemon]]:
    for host in lab.hosts:
        for daemon in host.daemons:
            yield host, daemon
