"""Completes the drafts of groups with what the kernel of this host knows."""

from carppcap.addresses import Address
from carppcap.commands.host import status_of
from carppcap.configuration.render import Draft
from carppcap.errors import CarpError
from carppcap.options.parsers import parse_virtual_addresses
from carppcap.system.routes import Route, route_to
from carppcap.system.source_address import choose_source


def addresses_of(draft: Draft) -> list[Address]:
    """Return the virtual addresses of a draft."""
    given = draft.values.get("addr", [])
    texts = given if isinstance(given, list) else []
    return [v.address for text in texts for v in parse_virtual_addresses(text, "addr")]


def way_to(addresses: list[Address]) -> Route | None:
    """Return the way to the first of the addresses to which there is one, or None.

    A way to a network of this host is preferred.
    """
    ways = [way for way in map(route_to, addresses) if way is not None]
    return next((way for way in ways if way.is_direct), ways[0] if ways else None)


def source_for(interface: str, addresses: list[Address]) -> Address | None:
    """Return the address of `interface` from which to send adverts in IPv4.

    Return None if there is no such interface, if it has no such address, or if no
    virtual address is one of IPv4.
    """
    first = next((address for address in addresses if address.version == 4), None)
    if first is None:
        return None
    try:
        status = status_of(interface)
    except CarpError:
        return None
    return choose_source(status.sources, first, addresses)
