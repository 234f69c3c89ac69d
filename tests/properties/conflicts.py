"""Laws of what follows when several hosts were masters at once."""

from carppcap.election.actions import AnnounceAddresses
from carppcap.node.groups import Step
from carppcap.simulation.output.report import Run
from carppcap.simulation.scenario.parts import Cut, Scenario
from carppcap.units import NS_PER_MS
from tests.properties import groups
from tests.properties.choices import Choices
from tests.properties.faults import lasting, until_quiet
from tests.properties.groups import with_config
from tests.properties.law import on
from tests.properties.reading import holders_at_end
from tests.properties.settling import CALM_S


def _parted(choices: Choices) -> Scenario:
    hosts = tuple(
        with_config(host, announce_interval_ns=0)
        for host in groups.group(choices, groups.ours(choices))
    )
    names = [host.name for host in hosts]
    story = []
    for _ in range(choices.between(1, 3)):
        some = names[: choices.between(1, len(names) - 1)]
        others = tuple(name for name in names if name not in some)
        cut = Cut(tuple(some), others)
        at_ms = choices.between(CALM_S * 1000, CALM_S * 1000 + 30_000)
        lasts_ms = choices.between(100, 20_000)
        story.append(lasting(cut, at_ms * NS_PER_MS, lasts_ms * NS_PER_MS))
    return until_quiet(Scenario(hosts, tuple(story)))


@on(_parted)
def the_last_announcement_is_the_holders(run: Run) -> None:
    """Neighbours, which believe the latest announcement, find the host that holds.

    So it is however often hosts lost sight of each other and were masters side by side.
    Nothing is announced by mere repetition.

    Preconditions: carppcap only (a kernel yields without a word); a wire that loses
    nothing but by the cuts, and these in both directions (a host that hears, but is not
    heard, may have announced and yielded without any trace at the holder); scripts that
    succeed.
    """
    announced = [
        entry.name
        for entry in run.entries
        if isinstance(entry.what, Step) and AnnounceAddresses() in entry.what.actions
    ]
    holders = holders_at_end(run)
    assert {announced[-1]} == holders, f"{announced[-1]} announced last, not {holders}"
