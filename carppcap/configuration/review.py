"""Looks for what will not work in the groups of one file, all of them together."""

from collections.abc import Iterable, Iterator
from itertools import combinations

from carppcap.configuration.document import Group
from carppcap.configuration.findings import Finding, note, warning
from carppcap.election.config import VirtualHostConfig
from carppcap.election.tenure import tenure
from carppcap.errors import ConfigError
from carppcap.units import NS_PER_MS, Interval
from carppcap.wire.header import BOW_OUT


def review(groups: Iterable[Group]) -> Iterator[Finding]:
    """Yield what will not work, and how long a fail-over may take.

    `groups` are those of a configuration without mistakes.
    """
    groups = list(groups)
    for group in groups:
        yield from _review_group(group)
    for first, second in combinations(groups, 2):
        yield from _review_two(first, second)


def host_of(group: Group) -> VirtualHostConfig:
    """Return the virtual host of a group without mistakes, but not its real key."""
    settings = group.settings
    assert settings.vhid is not None
    return settings.host(
        interface=settings.interface or "",
        vhid=settings.vhid,
        key=None,
        source=settings.source,
        source6=settings.source6,
    )


def seconds(interval_ns: Interval) -> str:
    """Return `interval_ns` in seconds, rounded up to a thousandth."""
    whole_ms = -(-interval_ns // NS_PER_MS)
    return f"{whole_ms // 1000}.{whole_ms % 1000:03d} s"


def _review_group(group: Group) -> Iterator[Finding]:
    yield from _review_times(group)
    yield from _review_files(group)


def _review_times(group: Group) -> Iterator[Finding]:
    settings, host = group.settings, host_of(group)
    if settings.advbase == settings.advskew == BOW_OUT:
        yield warning(
            group.line_of("advskew", "advbase"),
            ConfigError(
                "{group} can never win: with an interval of 255/255 each advert is a "
                "farewell (allowed: an --advskew up to 254)",
                group=group.name,
            ),
        )
    if settings.dead_ratio == 1:
        yield warning(
            group.line_of("deadratio"),
            ConfigError(
                "{group}: with a --deadratio of 1 a single late advert is a fail-over",
                group=group.name,
            ),
        )
    yield note(
        group.line,
        ConfigError(
            "{group}: this host takes over at most {time} after the death of a master",
            group=group.name,
            time=seconds(host.master_down_interval_ns),
        ),
    )
    overlap_ns = tenure(host).overlap_ns if settings.own_addresses else 0
    if overlap_ns:
        yield warning(
            group.line_of("deadratio", "advbase", "advskew"),
            ConfigError(
                "{group}: a host that loses both its daemon and its keeper may have "
                "the address for {time} beside its successor (remedy: an --advbase of "
                "at least 1, a --deadratio of at least 3)",
                group=group.name,
                time=seconds(overlap_ns),
            ),
        )


def _review_files(group: Group) -> Iterator[Finding]:
    settings = group.settings
    needs_scripts = not (settings.vmac or settings.own_addresses)
    if needs_scripts and None in (settings.upscript, settings.downscript):
        yield warning(
            group.line_of("own_addresses"),
            ConfigError(
                "{group}: without --own-addresses its addresses are in the hands of "
                "--upscript and --downscript, and one of these is missing",
                group=group.name,
            ),
        )
    for key in ("passfile", "upscript", "downscript"):
        path = getattr(settings, key)
        if path is not None and not path.startswith("/"):
            yield warning(
                group.line_of(key),
                ConfigError(
                    "{group}: {path} is looked for in the directory in which the "
                    "daemon starts (better: the whole path)",
                    group=group.name,
                    path=path,
                ),
            )


def _review_two(first: Group, second: Group) -> Iterator[Finding]:
    one, other = first.settings, second.settings
    is_same_wire = first.device == second.device
    for address in one.vips:
        # A link-local address is another one on each interface.
        if address in other.vips and (is_same_wire or not address.is_link_local):
            yield warning(
                second.line_of("addr"),
                ConfigError(
                    "{address} is in {second} and in {first}, line {line}: when one of "
                    "them leaves, it takes the address from the other (allowed: each "
                    "--addr in one group)",
                    address=address,
                    second=second.name,
                    first=first.name,
                    line=first.line_of("addr"),
                ),
            )
