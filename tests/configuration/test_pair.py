"""Two files: do they fit together, and who wins?"""

import pytest

from carppcap.configuration.document import Group
from carppcap.configuration.findings import Severity
from carppcap.configuration.pair import compare
from tests.configuration.files import GOOD, group, groups, shown


def two(ours: str = "", theirs: str = "", *, same: bool | None = True) -> list[str]:
    """The findings of a pair whose second host has another source and a skew."""
    defaults = ["srcip = '10.1.1.2'", "advskew = 100"]
    names = {line.partition(" ")[0] for line in theirs.splitlines()}
    kept = [line for line in defaults if line.partition(" ")[0] not in names]
    mine = group(*ours.splitlines())
    other = group(*kept, *theirs.splitlines())
    return shown(list(compare([mine], [other], lambda *_: same)))


def trouble(*args: str, same: bool | None = True) -> list[str]:
    return [line for line in two(*args, same=same) if ": note: " not in line]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("preempt = true", "", "this host is preferred and takes its addresses back from the peer; a fail-over takes at most 3.391 s"),
        ("", "preempt = true", "this host is preferred, but without preempt the peer keeps the addresses after a fail-over; that takes at most 3.391 s"),
        ("advskew = 200", "preempt = true", "the peer is preferred and takes its addresses back from this host; a fail-over takes at most 3.782 s"),
        ("advskew = 200", "", "the peer is preferred, but without its preempt this host keeps the addresses after a fail-over; that takes at most 3.782 s"),
        # A lower demotion needs no --preempt.
        ("", "demotion = 5", "this host is preferred and takes its addresses back from the peer; a fail-over takes at most 3.391 s"),
    ],
)  # fmt: skip
def test_who_wins(ours: str, theirs: str, expected: str) -> None:
    """Said, with what happens when the preferred host is back, and the time."""
    assert two(ours, theirs) == [f"1: note: web: {expected}"]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("vhid = 41", "", "mistake: web: vhid is 41 here and 42 on the peer, so both hosts are master (allowed: the same on both)"),
        ("mcastip = '224.0.0.19'", "", "mistake: web: mcastip is 224.0.0.19 here and 224.0.0.18 on the peer, so both hosts are master (allowed: the same on both)"),
        ("", "lladdr = '2:0:0:0:0:1'", "mistake: web: lladdr is - here and 02:00:00:00:00:01 on the peer, so both hosts are master (allowed: the same on both)"),
        ("nomcast = true", "", "warning: web: nomcast is true here and false on the peer (should be the same on both)"),
        ("", "vmac = true", "warning: web: vmac is false here and true on the peer (should be the same on both)"),
        ("deadratio = 4", "", "warning: web: deadratio is 4 here and 3 on the peer (should be the same on both)"),
        ("advbase = 2", "", "warning: web: advbase is 2 here and 1 on the peer (should be the same on both)"),
        ("addr = ['10.1.1.252', '10.1.1.250']", "addr = ['10.1.1.251', '10.1.1.252/24']",
         "mistake: web: only one of the hosts has 10.1.1.250, 10.1.1.251, so both are master (allowed: the same addr on both)"),
        ("", "srcip = '10.1.1.1'", "mistake: web: both hosts have the srcip 10.1.1.1 (allowed: each its own)"),
        ("peer = '10.1.1.2'", "", "mistake: web: only this host has peer, so the other one does not hear it, and both are master (allowed: peer on both hosts, or on none)"),
        ("", "peer = '10.1.1.1'", "mistake: web: only the other host has peer, so this one does not hear it, and both are master (allowed: peer on both hosts, or on none)"),
        ("peer = '10.1.1.3'", "peer = '10.1.1.1'", "mistake: web: peer lacks 10.1.1.2, the srcip of the peer"),
        ("peer = '10.1.1.2'", "peer = '10.1.1.4'", "mistake: web: the peer of the other host lacks our 10.1.1.1"),
        ("demotion = 5", "", "warning: web: the host with the shorter interval can never win, as its demotion is 5 and that of the other host 0"),
        ("advbase = 4", "demotion = 1", "warning: web: the preferred host can never stay master: it sends an advert every 4.000 s, and the other host waits for 3.391 s only"),
        ("advskew = 100", "", "warning: web: both hosts have an interval of 1.391 s, so chance decides which of them is master, and after a partition the srcip: 10.1.1.1 (remedy: a higher advskew, such as 100, on one)"),
        ("advskew = 100\nsrcip = '10.2.0.3'", "", "warning: web: both hosts have an interval of 1.391 s, so chance decides which of them is master, and after a partition the srcip: 10.1.1.2 (remedy: a higher advskew, such as 100, on one)"),
    ],
)  # fmt: skip
def test_trouble(ours: str, theirs: str, expected: str) -> None:
    """What makes two masters is a mistake, what is only unwise a warning."""
    assert expected in [line.partition(": ")[2] for line in trouble(ours, theirs)]


@pytest.mark.parametrize("ours", ["vhid = 41", "peer = '10.1.1.2'"])
def test_none_is_preferred_of_two_masters(ours: str) -> None:
    """Beside the mistake there is no word of a fail-over."""
    (found,) = two(ours, "preempt = true")

    assert "both" in found


def test_lines() -> None:
    """That of the key in our file, or of our group."""
    assert trouble("nomcast = true")[0].startswith("7: warning: web: nomcast")
    assert trouble("", "vmac = true")[0].startswith("1: warning: web: vmac")
    assert trouble("advskew = 100")[0].startswith("7: warning: web: both hosts")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("", ""),
        ("addr = '10.1.1.252/24'", "addr = '10.1.1.252/32'"),
        ("peer = '10.1.1.2'", "peer = '10.1.1.1'"),
        ("addr = ['10.1.1.252', 'fe80::9']", "addr = ['fe80::9', '10.1.1.252']"),
    ],
)
def test_no_trouble(ours: str, theirs: str) -> None:
    """Prefixes and the order of addresses are nobody else's business."""
    assert trouble(ours, theirs) == []


def test_passwords() -> None:
    """Compared where both can be read."""
    line = "6: mistake: web: the peer has another password, so both hosts are master"

    assert trouble(same=False) == [line]
    assert trouble(same=True) == trouble(same=None) == []
    assert two(same=None)[0] == (
        "6: note: web: the passwords were not compared (compare `sha256sum FILE` on "
        "both hosts)"
    )


def test_a_tie_without_sources() -> None:
    """In IPv6 they are chosen at the start."""
    text = GOOD.replace("10.1.1.252", "fe80::9").replace('srcip = "10.1.1.1"\n', "")
    (found,) = compare(groups(text), groups(text), lambda *_: True)

    assert "after a partition the --srcip: -" in str(found.error)


def test_groups_belong_together_by_name_or_else_by_vhid() -> None:
    """What is left over on either host is said."""
    ours = groups(
        GOOD + GOOD.replace("web", "db").replace("42", "43").replace("252", "3")
    )
    theirs = groups(
        GOOD.replace("web", "db").replace("42", "50")
        + GOOD.replace("web", "www")
        + GOOD.replace("web", "more").replace("42", "51")
    )
    seen: list[tuple[str, str]] = []

    def same_password(one: Group, two: Group) -> bool:
        seen.append((one.name, two.name))
        return True

    found = list(compare(ours, theirs, same_password))

    assert seen == [("web", "www"), ("db", "db")]
    assert "1: warning: only the peer has the group more (line 13 of its file)" in (
        shown(found)
    )
    alone = list(compare(ours[:1], [], same_password))
    assert shown(alone) == [
        (
            "1: warning: the peer has no group web, and none with the vhid 42 or one "
            "of its addresses"
        )
    ]
    assert alone[0].severity is Severity.WARNING


def test_groups_belong_together_by_an_address() -> None:
    """If neither name nor vhid fits; a better fit of another group goes before."""
    ours = groups(GOOD + GOOD.replace("web", "db").replace("42", "43"))
    theirs = groups(
        GOOD.replace("web", "db").replace("42", "50")
        + GOOD.replace("web", "www").replace("42", "44")
    )

    found = shown(list(compare(ours, theirs, lambda *_: True)))

    assert "1: note: web: compared with the group www of the peer" in found
    assert (
        "4: mistake: web: vhid is 42 here and 44 on the peer, so both hosts are master "
        "(allowed: the same on both)"
    ) in found
    assert not [line for line in found if "compared with the group db" in line]
