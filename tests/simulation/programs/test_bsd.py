"""The simulated kernels behave as wire/README.rst says."""

from itertools import pairwise

import pytest

from carppcap.addresses import Family
from carppcap.election.actions import AnnounceAddresses
from carppcap.simulation.output.report import Run
from carppcap.simulation.scenario.parts import Kind
from carppcap.units import NS_PER_S
from tests.simulation.groups import (
    adverts,
    causes,
    changes,
    every_step,
    fail_over_s,
    nobody_s,
    play,
)

KERNELS = [kind.value for kind in Kind if kind.is_kernel]
every_kernel = pytest.mark.parametrize("kind", KERNELS)


def is_master(result: Run, name: str) -> bool:
    """True if the host is master at the end."""
    return changes(result, name)[-1][1].startswith("MASTER")


@every_kernel
@pytest.mark.parametrize("skew", [0, 100])
def test_fail_over(kind: str, skew: int) -> None:
    """It takes three intervals, the skew (OpenBSD: three times) and a tick."""
    result = play(
        kind,
        kind,
        story="at 20s crash node1",
        node={
            "node1": {"flags": "-k 0"},
            "node2": {"flags": f"-k {skew}", "start": "1s"},
        },
    )
    skews = 3 if kind in ("openbsd", "jcarp") else 1
    theory = 3 + skews * skew / 256

    assert theory < fail_over_s(result, "node1", "node2") <= theory + 0.011


@pytest.mark.parametrize(
    ("kind", "expected_s"), [("netbsd", 1.01), ("freebsd", 1.001), ("opnsense", 1.001)]
)
def test_a_tick_more_between_adverts(kind: str, expected_s: float) -> None:
    """At 100 ticks a second, 1.010 s were captured between adverts."""
    sent = [at for at, _ in adverts(play(kind), "node1")]

    assert sent[5] - sent[4] == pytest.approx(expected_s, abs=1e-9)


@every_kernel
def test_a_new_master_speaks_at_once(kind: str) -> None:
    """The step to MASTER sends advert and ARP, and holds the address from then on."""
    result = play(kind)
    step = next(
        step for _, step in every_step(result) if AnnounceAddresses() in step.actions
    )

    assert [type(action).__name__ for action in step.actions] == [
        "StateChanged",
        "SendAdvert",
        "AnnounceAddresses",
    ]
    assert result.holders[0].since == step.at


@every_kernel
def test_it_yields_every_tie(kind: str) -> None:
    """A kernel yields even with the better address, to a peer that would yield too."""
    story = "at 10s for 10s cut node1 from node2"
    result = play(
        kind,
        "ucarp",
        group={"flags": "-k 0"},
        story=story,
        node={"node2": {"start": "1s"}},
    )

    assert "BACKUP better_master" in causes(result, "node1")


@every_kernel
def test_preemption(kind: str) -> None:
    """A kernel preempts only with -P (net.inet.carp.preempt)."""
    for flags, expected in (("-P", "MASTER preemption"), ("", "BACKUP startup")):
        result = play(
            kind,
            kind,
            story="at 20s start node1",
            node={"node1": {"start": "never", "flags": flags}},
        )
        assert causes(result, "node1")[-1] == expected


@pytest.mark.parametrize(
    ("kind", "says_farewell"),
    [("freebsd", False), ("netbsd", True), ("openbsd", True), ("opnsense", False)],
)
def test_farewell(kind: str, says_farewell: bool) -> None:
    """NetBSD and OpenBSD send a farewell; every kernel obeys one."""
    result = play(kind, "freebsd", story="at 20.5s stop node1")

    assert (adverts(result, "node1")[-1][1].advbase == 255) is says_farewell
    assert (nobody_s(result) < 0.001) is says_farewell
    expected = "MASTER master_too_slow" if says_farewell else "MASTER master_down"
    assert causes(result, "node2")[-1] == expected
    assert causes(result, "node1")[-1] == "INIT shutdown"


@every_kernel
def test_a_backup_goes_without_a_word(kind: str) -> None:
    """A backup that stops sends no farewell."""
    result = play(kind, kind, story="at 20s stop node2\nat 30s stop node2")

    assert adverts(result, "node2") == []
    assert causes(result, "node2") == ["BACKUP startup", "INIT shutdown"]

    unplugged = play(kind, story="at 9s pull node1\nat 20s stop node1")
    assert causes(unplugged, "node1")[-1] == "INIT link_down"


@every_kernel
def test_step_down(kind: str) -> None:
    """`ifconfig state backup` takes effect at once, and only on a master."""
    result = play(kind, kind, story="at 20s step down all")

    assert (20.0, "BACKUP step_down") in changes(result, "node1")
    assert "BACKUP step_down" not in causes(result, "node2")


@every_kernel
def test_link(kind: str) -> None:
    """Without a carrier it is INIT, with it BACKUP, also at the start."""
    story = "at 0s for 5s pull node1\nat 20s for 5s pull node1"
    result = play(kind, story=story, node={"node1": {"start": "1s"}})

    assert causes(result, "node1") == [
        "BACKUP startup",
        "MASTER master_down",
        "INIT link_down",
        "BACKUP startup",
        "MASTER master_down",
    ]
    assert [at for at, _ in changes(result, "node1")][::3] == [5, 25]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("freebsd", True), ("netbsd", True), ("openbsd", False), ("opnsense", True)],
)
def test_its_own_advert_come_back(kind: str, expected: bool) -> None:
    """Other kernels yield to their own adverts; OpenBSD recognises its cookie."""
    result = play(kind, story="at 20.3s for 2s replay node1")

    assert ("BACKUP better_master" in causes(result, "node1")) is expected
    (member,) = result.report.hosts
    assert (member.rejected.get("own", 0) == 2) is not expected


def test_counters() -> None:
    """OpenBSD keeps one counter; the others continue the counter that they hear.

    jcarp sends each of its counters in both families.
    """
    constant = [a.counter for _, a in adverts(play("openbsd"), "node1")]
    fresh = [a.counter for _, a in adverts(play("freebsd"), "node1")]
    result = play("freebsd", "carppcap", story="at 10s for 5s cut node1 from node2")
    following = [a.counter for _, a in adverts(result, "node1")][-5:]

    assert len(set(constant)) == 1
    assert len(set(fresh)) == len(fresh)
    assert following == list(range(following[0], following[0] + 5))


def test_a_frame_that_is_none_of_its_business() -> None:
    """An advert for another vhid is rejected."""
    result = play("netbsd", "carppcap", node={"node2": {"flags": "-v 9"}})

    assert result.report.hosts[0].rejected["badvhid"] > 30


def demotions(result: Run, name: str) -> list[int]:
    """Return the demotion that each advert of a host carried, without repetitions."""
    sent = [advert.demotion for _, advert in adverts(result, name)]
    return [now for before, now in pairwise([-1, *sent]) if now != before]


def skews(result: Run, name: str) -> list[int]:
    """Return the skew that each advert of a host carried, without repetitions."""
    sent = [advert.advskew for _, advert in adverts(result, name)]
    return [now for before, now in pairwise([-1, *sent]) if now != before]


@pytest.mark.parametrize(
    ("kind", "flags", "expected_demotions", "expected_skews"),
    [
        ("openbsd", "-k 10", [0, 50, 0], [10]),
        ("freebsd", "-k 10", [0], [10, 60, 10]),
        ("opnsense", "-k 10", [0], [10, 60, 10]),
        ("freebsd", "-k 200", [0], [200, 240, 200]),
        ("freebsd", "-k 250", [0], [240]),
        ("freebsd", "-k 10 --demotion 5", [0], [15, 65, 15]),
        ("netbsd", "-k 10", [0], [10, 240, 10]),
        ("netbsd", "-k 250", [0], [250]),
        ("openbsd", "-k 10 --demotion 230", [230, 255, 230], [10]),
    ],
)
def test_demotion_on_the_wire(
    kind: str, flags: str, expected_demotions: list[int], expected_skews: list[int]
) -> None:
    """Adverts carry the demotion, or a raised skew, at once and while it lasts."""
    story = "at 20.5s for 10s demote node1 by 50"
    result = play(kind, story=story, node={"node1": {"flags": flags}})

    assert demotions(result, "node1") == expected_demotions
    assert skews(result, "node1") == expected_skews
    assert {20.5, 30.5} <= {at for at, _ in adverts(result, "node1")}


def test_the_first_interval_of_a_demoted_freebsd_is_undemoted() -> None:
    """Demotion counts for neither first interval, as master and as backup."""
    flags = "-k 10 --demotion 200"
    sent = [
        at
        for at, _ in adverts(play("freebsd", node={"node1": {"flags": flags}}), "node1")
    ]

    assert 3 + 10 / 256 < sent[0] <= 3 + 10 / 256 + 0.002
    assert sent[1] - sent[0] == pytest.approx(1 + 10 / 256, abs=0.002)
    assert sent[2] - sent[1] == pytest.approx(1 + 210 / 256, abs=0.002)


@pytest.mark.parametrize("preempt", [False, True])
@pytest.mark.parametrize(
    ("master", "backup", "cause"),
    [
        # Only OpenBSD and OpenBSD need no preemption for it.
        ("openbsd", "openbsd", "MASTER demotion"),
        ("openbsd", "freebsd", None),
        ("openbsd", "netbsd", None),
        ("freebsd", "openbsd", "MASTER preemption"),
        ("freebsd", "freebsd", "MASTER preemption"),
        ("freebsd", "netbsd", "MASTER preemption"),
        ("netbsd", "freebsd", "MASTER preemption"),
    ],
)
def test_who_replaces_a_demoted_master(
    master: str, backup: str, cause: str | None, preempt: bool
) -> None:
    """OpenBSD reacts to demotion even without -P; the others to a longer interval."""
    result = play(
        master,
        backup,
        group={"flags": "-P" if preempt else ""},
        story="at 20s demote node1 by 150",
    )

    if cause == "MASTER preemption" and not preempt:
        cause = None
    assert causes(result, "node2") == ["BACKUP startup"] + ([cause] if cause else [])
    assert causes(result, "node1")[-1] == (
        "BACKUP better_master" if cause else "MASTER master_down"
    )


@pytest.mark.parametrize("peer", ["freebsd", "netbsd", "carppcap"])
def test_a_demoted_openbsd_yields_to_a_peer_that_is_not(peer: str) -> None:
    """It yields whatever the skews are, once it hears the peer as a master."""
    story = "at 0s for 20s cut node1 from node2\nat 20s for 5s cut node1 to node2"
    node = {"node1": {"flags": "-k 0 --demotion 1"}, "node2": {"flags": "-k 200"}}
    result = play("openbsd", peer, story=story, node=node)

    assert changes(result, "node1")[-1][1] == "BACKUP better_master"
    assert causes(result, "node2")[-1] == "MASTER master_down"


def test_a_demoted_openbsd_does_not_preempt() -> None:
    """It preempts only a peer with at least its own demotion, whatever the skews."""
    node = {
        "node1": {"flags": "-k 200", "start": "0s"},
        "node2": {"flags": "-k 0 -P --demotion 3", "start": "10s"},
    }
    result = play("openbsd", "openbsd", node=node)
    assert causes(result, "node2") == ["BACKUP startup"]

    later = play("openbsd", "openbsd", node=node, story="at 20s demote node1 by 3")
    assert causes(later, "node2") == ["BACKUP startup", "MASTER preemption"]

    story = "at 0s for 20s cut node1 from node2\nat 0s demote node1 by 2"
    apart = play("openbsd", "openbsd", node=node, story=story)
    assert causes(apart, "node1") == ["BACKUP startup", "MASTER master_down"]
    assert causes(apart, "node2")[-1] == "BACKUP better_master"


@every_kernel
def test_a_second_announcement(kind: str) -> None:
    """OpenBSD sends ARP again with the second advert after it became master."""
    result = play(kind)
    announced = [
        step.at / NS_PER_S
        for _, step in every_step(result)
        if AnnounceAddresses() in step.actions
    ]

    again = [announced[0] + 2] if kind in ("openbsd", "jcarp") else []
    assert announced[1:] == pytest.approx(again, abs=0.03)


def test_what_was_wrong_is_still_wrong_after_a_restart() -> None:
    """Demotion survives a restart, unless it was ended meanwhile."""
    story = "at 10s demote all by 7\nat 20s for 5s stop node1\n"
    result = play("openbsd", story=story)
    assert demotions(result, "node1") == [0, 7]

    mended = play("openbsd", story=story + "at 22s undemote node1")
    assert demotions(mended, "node1") == [0, 7, 0]


BOTH = "-a 10.9.0.254,10.9.0.253 -a 2001:db8::fe"
ONLY6 = "-a 2001:db8::fe,fe80::fe"


@every_kernel
@pytest.mark.parametrize("flags", [BOTH, ONLY6], ids=["both", "ipv6"])
def test_families(kind: str, flags: str) -> None:
    """There is an advert in each family that has addresses, IPv4 first.

    OpenBSD has one counter for all, and jcarp one for both families.
    """
    result = play(kind, kind, group={"flags": flags}, story="at 20s crash node1")
    first = [advert for _, advert in adverts(result, "node1")][:4]
    families = [Family.IPV4, Family.IPV6] if flags is BOTH else [Family.IPV6] * 2
    counters = {"openbsd": 1, "opnsense": 1, "jcarp": 2 if flags is BOTH else 4}.get(
        kind, 4
    )

    assert [advert.family for advert in first] == families * 2
    assert len({advert.counter for advert in first}) == counters
    assert causes(result, "node2") == ["BACKUP startup", "MASTER master_down"]
    assert [member.rejected for member in result.report.hosts] == [{}, {}]


@every_kernel
@pytest.mark.parametrize("skews", [(0, 100), (100, 0)], ids=["kernel", "carppcap"])
def test_a_link_local_address_beside_carppcap(
    kind: str, skews: tuple[int, int]
) -> None:
    """Signed by all kernels but OpenBSD: we do what they do, once we have heard them.

    A kernel that is to be backup does not understand our first adverts, becomes master,
    and yields to the next, which we send at once; from then on it is quiet.
    """
    result = play(
        kind,
        "carppcap",
        group={"flags": ONLY6},
        node={f"node{n + 1}": {"flags": f"-k {skews[n]} -P"} for n in range(2)},
    )
    masters = [name for name in ("node1", "node2") if is_master(result, name)]

    assert masters == (["node1"] if skews[0] == 0 else ["node2"])
    late = [at for name in ("node1", "node2") for at, _ in changes(result, name)]
    assert max(late) < 12
    if kind in ("freebsd", "netbsd") and masters == ["node2"]:
        claimed_at = next(
            at for at, what in changes(result, "node1") if "MASTER" in what
        )
        assert max(late) - claimed_at < 0.001


@every_kernel
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_silent_family(kind: str, family: str) -> None:
    """A backup that hears its master in one family only takes over all the same."""
    story = f"at 20s for 10s lose 100% of {family}"
    result = play(kind, kind, group={"flags": BOTH}, story=story)

    flaps = [what for at, what in changes(result, "node2") if 20 < at < 31]
    assert flaps[:2] == ["MASTER master_down", "BACKUP better_master"]
    assert len(flaps) >= 4
    assert changes(result, "node2")[-1][0] < 31
    assert [what for at, what in changes(result, "node1") if at > 20] == []
