"""Compares the files of two hosts: do their groups fit together, and who wins?"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from carppcap.addresses import tie_break
from carppcap.configuration.document import Group
from carppcap.configuration.findings import Finding, Severity, mistake, note, warning
from carppcap.configuration.review import host_of, seconds
from carppcap.election.advertiser import Advertiser
from carppcap.election.config import VirtualHostConfig
from carppcap.errors import N_, ConfigError
from carppcap.units import Interval

SamePassword = Callable[[Group, Group], bool | None]
"""Tells whether two groups have the same password; None if that is not known."""

_AGREED = (
    # Adverts of the other host are refused, and both are master.
    ("vhid", "vhid", True),
    ("link_address", "lladdr", True),
    ("group", "mcastip", True),
    ("nomcast", "nomcast", False),
    ("vmac", "vmac", False),
    ("advbase", "advbase", False),
    ("dead_ratio", "deadratio", False),
)
"""Settings that both hosts must have alike: the field, the key, and whether both hosts
are master if they do not."""


class _Side(NamedTuple):
    """A group of one host.  A lower `rank` is preferred."""

    group: Group
    host: VirtualHostConfig
    rank: tuple[int, Interval]


def compare(
    ours: Iterable[Group], theirs: Iterable[Group], same_password: SamePassword
) -> Iterator[Finding]:
    """Yield how the groups of this host, `ours`, go with those of the peer.

    Groups belong together if they have the same name, or else the same vhid, or else an
    address in common.  Lines are those of our file.
    """
    mine, rest = list(ours), list(theirs)
    pairs: dict[str, Group] = {}
    for belong_together in (_same_name, _same_vhid, _shared_address):
        for group in mine:
            same = [other for other in rest if belong_together(group, other)]
            if same and group.name not in pairs:
                pairs[group.name] = same[0]
                rest.remove(same[0])
    for group in mine:
        if group.name in pairs:
            yield from _compare_groups(group, pairs[group.name], same_password)
        else:
            yield warning(
                group.line,
                ConfigError(
                    "the peer has no group {group}, and none with the vhid {vhid} or "
                    "one of its addresses",
                    group=group.name,
                    vhid=group.settings.vhid,
                ),
            )
    for group in rest:
        yield warning(
            1,
            ConfigError(
                "only the peer has the group {group} (line {line} of its file)",
                group=group.name,
                line=group.line,
            ),
        )


def _same_name(our: Group, their: Group) -> bool:
    return our.name == their.name


def _same_vhid(our: Group, their: Group) -> bool:
    return our.settings.vhid == their.settings.vhid


def _shared_address(our: Group, their: Group) -> bool:
    return not set(our.settings.vips).isdisjoint(their.settings.vips)


def _compare_groups(
    our: Group, their: Group, same_password: SamePassword
) -> Iterator[Finding]:
    if not _same_name(our, their):
        yield note(
            our.line,
            ConfigError(
                "{group}: compared with the group {other} of the peer",
                group=our.name,
                other=their.name,
            ),
        )
    found = list(_compare_settings(our, their, same_password))
    yield from found
    are_both_master = any(each.severity is Severity.MISTAKE for each in found)
    for each in _compare_ranks(_side(our), _side(their)):
        if not (are_both_master and each.severity is Severity.NOTE):
            yield each


def _side(group: Group) -> _Side:
    host = host_of(group)
    interval_ns = Advertiser(host, int).interval_ns
    return _Side(group, host, (host.demotion, interval_ns))


def _compare_settings(
    our: Group, their: Group, same_password: SamePassword
) -> Iterator[Finding]:
    ours, theirs = our.settings, their.settings
    for field, key, is_fatal in _AGREED:
        mine, other = getattr(ours, field), getattr(theirs, field)
        if mine == other:
            continue
        values = {"group": our.name, "key": key}
        values |= {"ours": _shown(mine), "theirs": _shown(other)}
        if is_fatal:
            yield mistake(
                our.line_of(key),
                ConfigError(
                    "{group}: {key} is {ours} here and {theirs} on the peer, so both "
                    "hosts are master (allowed: the same on both)",
                    **values,
                ),
            )
        else:
            yield warning(
                our.line_of(key),
                ConfigError(
                    "{group}: {key} is {ours} here and {theirs} on the peer (should be "
                    "the same on both)",
                    **values,
                ),
            )
    if set(ours.vips) != set(theirs.vips):
        different = sorted(set(ours.vips) ^ set(theirs.vips), key=str)
        yield mistake(
            our.line_of("addr"),
            ConfigError(
                "{group}: only one of the hosts has {addresses}, so both are master "
                "(allowed: the same --addr on both)",
                group=our.name,
                addresses=", ".join(map(str, different)),
            ),
        )
    yield from _compare_passwords(our, their, same_password)
    yield from _compare_sources(our, their)


def _compare_passwords(
    our: Group, their: Group, same_password: SamePassword
) -> Iterator[Finding]:
    line = our.line_of("pass", "passfile", "credential")
    is_same = same_password(our, their)
    if is_same is False:
        yield mistake(
            line,
            ConfigError(
                "{group}: the peer has another password, so both hosts are master",
                group=our.name,
            ),
        )
    elif is_same is None:
        yield note(
            line,
            ConfigError(
                "{group}: the passwords were not compared (compare `sha256sum {path}` "
                "on both hosts)",
                group=our.name,
                path=our.settings.passfile or "FILE",
            ),
        )


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex(":") or "-"
    return f"{value}".lower() if isinstance(value, bool) else f"{value}"


_ONE_SIDED = {
    True: N_(
        "{group}: only this host has --peer, so the other one does not hear it, and "
        "both are master (allowed: --peer on both hosts, or on none)"
    ),
    False: N_(
        "{group}: only the other host has --peer, so this one does not hear it, and "
        "both are master (allowed: --peer on both hosts, or on none)"
    ),
}
"""The mistake if one host has peers; whether it is ours.

A host without peers hears multicast only (`node.ingress`).
"""


def _compare_sources(our: Group, their: Group) -> Iterator[Finding]:
    ours, theirs = our.settings, their.settings
    line = our.line_of("peer", "srcip")
    if bool(ours.peers) != bool(theirs.peers):
        yield mistake(line, ConfigError(_ONE_SIDED[bool(ours.peers)], group=our.name))
    for mine, other in ((ours.source, theirs.source), (ours.source6, theirs.source6)):
        if mine is not None and mine == other:
            yield mistake(
                our.line_of("srcip"),
                ConfigError(
                    "{group}: both hosts have the --srcip {address} (allowed: each its "
                    "own)",
                    group=our.name,
                    address=mine,
                ),
            )
        elif other is not None and ours.peers and other not in ours.peers:
            missing = N_("{group}: --peer lacks {address}, the --srcip of the peer")
            yield mistake(line, ConfigError(missing, group=our.name, address=other))
        if mine is not None and theirs.peers and mine not in theirs.peers:
            missing = N_("{group}: the --peer of the other host lacks our {address}")
            yield mistake(line, ConfigError(missing, group=our.name, address=mine))


def _compare_ranks(our: _Side, their: _Side) -> Iterator[Finding]:
    if our.rank == their.rank:
        yield warning(
            _line_of_rank(our),
            ConfigError(
                "{group}: both hosts have an interval of {interval}, so chance decides "
                "which of them is master, and after a partition the --srcip: {winner} "
                "(remedy: a higher --advskew, such as 100, on one)",
                group=our.group.name,
                interval=seconds(our.rank[1]),
                winner=_winner_of_tie(our.host, their.host),
            ),
        )
        return
    we_win = our.rank < their.rank
    winner, loser = (our, their) if we_win else (their, our)
    for error in _vain_hopes(our.group.name, winner, loser):
        yield warning(_line_of_rank(our), error)
    sentence = _PREFERENCE[
        we_win, winner.host.preempt or winner.rank[0] < loser.rank[0]
    ]
    longest_ns = max(side.host.master_down_interval_ns for side in (our, their))
    yield note(
        our.group.line,
        ConfigError(sentence, group=our.group.name, time=seconds(longest_ns)),
    )


def _line_of_rank(side: _Side) -> int:
    return side.group.line_of("demotion", "advskew", "advbase")


def _vain_hopes(name: str, winner: _Side, loser: _Side) -> Iterator[ConfigError]:
    """Yield why a host that may be meant to win, or to stay master, does not."""
    if winner.host.interval_ns > loser.host.interval_ns:
        yield ConfigError(
            "{group}: the host with the shorter interval can never win, as its "
            "--demotion is {more} and that of the other host {less}",
            group=name,
            more=loser.rank[0],
            less=winner.rank[0],
        )
    if winner.rank[1] > loser.host.master_down_interval_ns:
        yield ConfigError(
            "{group}: the preferred host can never stay master: it sends an advert "
            "every {interval}, and the other host waits for {patience} only",
            group=name,
            interval=seconds(winner.rank[1]),
            patience=seconds(loser.host.master_down_interval_ns),
        )


_PREFERENCE = {
    (True, True): N_(
        "{group}: this host is preferred and takes its addresses back from the peer; a "
        "fail-over takes at most {time}"
    ),
    (True, False): N_(
        "{group}: this host is preferred, but without --preempt the peer keeps the "
        "addresses after a fail-over; that takes at most {time}"
    ),
    (False, True): N_(
        "{group}: the peer is preferred and takes its addresses back from this host; a "
        "fail-over takes at most {time}"
    ),
    (False, False): N_(
        "{group}: the peer is preferred, but without its --preempt this host keeps the "
        "addresses after a fail-over; that takes at most {time}"
    ),
}
"""Which host is preferred: whether it is ours, and whether it takes over from a live
master."""


def _winner_of_tie(ours: VirtualHostConfig, theirs: VirtualHostConfig) -> str:
    sources = [
        source
        for host in (ours, theirs)
        for source in (host.source or host.source6,)
        if source is not None
    ]
    return f"{min(sources, key=tie_break)}" if len(sources) == 2 else "-"
