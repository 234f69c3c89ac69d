"""Lists all events in a lab in order, to find out why a scenario failed."""

from collections.abc import Iterable

from tests.netns.daemons import Daemon
from tests.netns.watch import Change
from tests.netns.wire import NS_PER_S, Advert, Arp, Packet


def tell(
    daemons: Iterable[Daemon], packets: Iterable[Packet], changes: Iterable[Change]
) -> str:
    """Return logs, frames and changes of addresses as lines of text, in order.

    Each line begins with the seconds since the first event.
    """
    events = [
        (line.time_ns, f"{daemon}: {line.level} {line.text}")
        for daemon in daemons
        for line in daemon.lines
    ]
    events += [(packet.time_ns, _words(packet)) for packet in packets]
    for change in changes:
        verb = "has" if change.held else "lost"
        events.append((change.time_ns, f"{change.host} {verb} {change.address}"))
    events.sort()
    first_ns = next((time_ns for time_ns, _ in events if time_ns), 0)
    return "\n".join(
        f"{max(time_ns - first_ns, 0) / NS_PER_S:10.6f}  {text}"
        for time_ns, text in events
    )


def _words(packet: Packet) -> str:
    if isinstance(packet, Arp):
        return f"ARP op {packet.operation} {packet.sender} {packet.target}"
    if isinstance(packet, Advert):
        return (
            f"advert {packet.source} vhid {packet.vhid} "
            f"{packet.advbase}+{packet.advskew}/256 to {packet.destination}"
        )
    kind = "NA" if packet.is_advertisement else "NS"
    return f"{kind} {packet.source} {packet.destination} for {packet.target}"
