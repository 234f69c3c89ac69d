"""An interface as one group sees it: can it exchange adverts, and what was lost?

The group gets only these events: `LinkDown`, `LinkUp`, `AddressesLost` and
`MacChanged`.
"""

from collections.abc import Iterator

from carppcap.addresses import Address, Family
from carppcap.daemon.chosen_source import is_checking, with_another, with_chosen
from carppcap.daemon.interface import Interface, Refreshed
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesLost, LinkDown, LinkUp, MacChanged
from carppcap.system.link import Held
from carppcap.system.source_address import choose_source
from carppcap.system.syslog import Log

LinkEvent = LinkUp | LinkDown | AddressesLost | MacChanged


class GroupLink:
    """The link of the group with this `config`, which is one of those of `interface`.

    `ignore_link_state` suppresses `LinkDown` (for crossover cables).  An IPv6 source
    that was not given (`any_source6`) is chosen, now and whenever it has gone for good;
    until there is one the group is deaf.
    """

    def __init__(
        self,
        interface: Interface,
        config: VirtualHostConfig,
        log: Log,
        *,
        ignore_link_state: bool = False,
        any_source6: bool = False,
    ) -> None:
        self.interface = interface
        self.config = config
        self._log = log
        self._ignore_link_state = ignore_link_state
        self._any_source6 = any_source6 and Family.IPV6 in config.families
        self._sources_seen: set[Address] = set()
        self._trouble: str | None = None
        self._choose_source()
        self._look_for_trouble()
        self._was_usable = self.usable

    @property
    def usable(self) -> bool:
        """True if adverts can be sent and received."""
        return self._trouble is None

    @property
    def _sources(self) -> list[Address]:
        sources = map(self.config.source_of, self.config.families)
        return [source for source in sources if source is not None]

    def held(self) -> Held:
        """Return which virtual addresses this host has.  Raises `OSError`."""
        return self.interface.held(self.config.vips)

    def news(self, refreshed: Refreshed) -> tuple[LinkEvent, ...]:
        """Return the events that follow from a refresh of the interface."""
        self._choose_source()
        lost_vips = tuple(self._lost_vips(refreshed))
        link = tuple(self._link_event(refreshed))
        mac = (MacChanged(),) if refreshed.mac_changed else ()
        return (*link, *lost_vips[:1], *mac)

    def _choose_source(self) -> None:
        """Choose the IPv6 source, or another one, unless the user gave it."""
        if not self._any_source6:
            return
        before, status = self.config, self.interface.status
        if before.source6 is not None:
            self.config = with_another(before, status, self._log)
        # As kernels do, once none of the addresses is being checked for duplicates.
        elif not is_checking(status, before):
            self.config = with_chosen(before, status, self._log) or before
        if self.config is not before:
            self.interface.readdress(before, self.config)

    def _link_event(self, refreshed: Refreshed) -> Iterator[LinkUp | LinkDown]:
        was_usable = self.usable
        self._look_for_trouble()
        if was_usable and self.usable:
            self._log_lost_sources(refreshed)
        elif was_usable:
            yield LinkDown()
        elif self.usable:
            again = " again" if self._was_usable else ""
            self.interface.warn(f"{self.interface.name} can be used{again}")
            self._was_usable = True
            yield LinkUp()

    def _look_for_trouble(self) -> None:
        """Find out why adverts cannot be exchanged; log the reason if it is new."""
        found = self.interface.status.addresses.intersection(self._sources)
        self._sources_seen.update(found)
        logged, self._trouble = self._trouble, self._find_trouble()
        if self._trouble and self._trouble != logged:
            self.interface.warn(f"{self.interface.name} {self._trouble}")

    def _find_trouble(self) -> str | None:
        """Return why adverts cannot be exchanged; None if they can.

        Return an empty string if opening the interface failed, because the reason was
        logged at that moment.
        """
        interface, status = self.interface, self.interface.status
        if not interface.was_found:
            return "is not there yet: waiting for it"
        lacks_source6 = self._any_source6 and self.config.source6 is None
        lacking = "has no IPv6 address to send from: waiting for one (or give --srcip)"
        if self._ignore_link_state:
            return lacking if lacks_source6 else None
        # One family is enough to take part.
        all_lost = self._sources and all(map(self._has_lost, self._sources))
        sources = ", ".join(map(str, self._sources))
        troubles = (
            (not status.exists, "is gone"),
            (not status.up, "is down"),
            (not interface.is_open, ""),
            (not status.carrier, "has no carrier"),
            (lacks_source6, "" if is_checking(status, self.config) else lacking),
            (all_lost, f"has lost our address {sources}"),
        )
        return next((trouble for is_so, trouble in troubles if is_so), None)

    def _has_lost(self, source: Address) -> bool:
        status = self.interface.status
        if source in status.addresses or source not in self._sources_seen:
            return False
        # The interface may have been replaced: another link-local address takes the
        # place of the old one, which never returns.
        if self._any_source6 and source.version == 6:
            return not choose_source(status.sources, source, self.config.vips)
        return True

    def _log_lost_sources(self, refreshed: Refreshed) -> None:
        """Log a lost source address while we still have one of the other family."""
        for source in self._sources:
            if source in refreshed.before.addresses and self._has_lost(source):
                name = self.interface.name
                self.interface.warn(f"{name} has lost our address {source}")

    def _lost_vips(self, refreshed: Refreshed) -> Iterator[AddressesLost]:
        gone = refreshed.before.addresses - self.interface.status.addresses
        for vip in self.config.vips:
            if vip in gone:
                self._log.info(f"{vip} is no longer on {self.interface.name}")
                yield AddressesLost()
