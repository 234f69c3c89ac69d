"""The language of the story."""

import pytest

from carppcap.errors import ConfigError
from carppcap.simulation.scenario.parts import (
    Cut,
    Deed,
    Disturb,
    Mute,
    Order,
    Resend,
    Scene,
    SetPassword,
    Span,
    Verb,
)
from carppcap.simulation.scenario.story import format_scene, parse_scene, parse_story
from carppcap.units import NS_PER_MS, NS_PER_S

NAMES = ("alpha", "beta", "gamma")
ALPHA, BETA = ("alpha",), ("beta",)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("crash alpha", Order(Verb.CRASH, ALPHA)),
        ("kill alpha, beta", Order(Verb.KILL, ("alpha", "beta"))),
        ("kill keeper of alpha", Order(Verb.KILL_KEEPER, ALPHA)),
        ("kill both of alpha, beta", Order(Verb.KILL_BOTH, ("alpha", "beta"))),
        ("hang alpha", Order(Verb.HANG, ALPHA)),
        ("stop alpha and gamma", Order(Verb.STOP, ("alpha", "gamma"))),
        ("start all", Order(Verb.START, NAMES)),
        ("plug beta beta", Order(Verb.PLUG, BETA)),
        ("step down beta", Order(Verb.STEP_DOWN, BETA)),
        ("demote alpha by 50", Order(Verb.DEMOTE, ALPHA, 50)),
        ("demote all by 255", Order(Verb.DEMOTE, NAMES, 255)),
        ("undemote beta", Order(Verb.UNDEMOTE, BETA)),
        ("step clock of alpha by -5s", Order(Verb.STEP_CLOCK, ALPHA, -5 * NS_PER_S)),
        ("step clock of all by +1h", Order(Verb.STEP_CLOCK, NAMES, 3600 * NS_PER_S)),
        ("pull alpha", Order(Verb.PULL, ALPHA)),
        ("cut alpha from beta", Cut(ALPHA, BETA)),
        ("cut alpha, gamma to beta", Cut(("alpha", "gamma"), BETA, both=False)),
        ("cut all from all", Cut(NAMES, NAMES)),
        ("mute multicast of alpha, gamma", Mute(("alpha", "gamma"))),
        ("mute multicast of all", Mute(NAMES)),
        ("lose 30%", Disturb("loss", 0.3)),
        ("lose 100% of ipv6", Disturb("loss_ipv6", 1.0)),
        ("lose 5% of ipv4", Disturb("loss_ipv4", 0.05)),
        ("duplicate 1%", Disturb("duplicate", 0.01)),
        ("reorder 100%", Disturb("reorder", 1.0)),
        ("corrupt 0%", Disturb("corrupt", 0.0)),
        ("delay 20ms", Disturb("delay_ns", 20 * NS_PER_MS)),
        ("jitter 2s", Disturb("jitter_ns", 2 * NS_PER_S)),
        ("replay alpha", Resend("alpha")),
        ("replay beta every 100ms", Resend("beta", 100 * NS_PER_MS)),
        ("rewrite alpha to 0/1", Resend("alpha", forged=(0, 1))),
        ("set password of alpha to new", SetPassword(ALPHA, b"new")),
        ("set password of all to new, old", SetPassword(NAMES, b"new", b"old")),
        (
            "rewrite alpha to 255/255 every 2s",
            Resend("alpha", 2 * NS_PER_S, forged=(255, 255)),
        ),
    ],
)
def test_deeds(sentence: str, expected: Deed) -> None:
    """Each kind of sentence can be read, and is shown in the same words."""
    scene = parse_scene(f"at 10s {sentence}", NAMES)

    assert scene == Scene(Span(10 * NS_PER_S, 10 * NS_PER_S), expected)
    assert parse_scene(f"at 10s {format_scene(scene)}", NAMES) == scene


@pytest.mark.parametrize("name", ["keeper", "both"])
def test_a_host_may_be_called_like_a_word(name: str) -> None:
    """What is killed is told by the next word."""
    scene = parse_scene(f"at 1s kill {name}", [name])

    assert scene.deed == Order(Verb.KILL, (name,))


@pytest.mark.parametrize(
    "sentence",
    [
        "crash alpha",
        "kill all",
        "stop beta",
        "pull beta",
        "stall alpha",
        "lose 5%",
        "demote alpha by 1",
    ],
)
def test_what_lasts(sentence: str) -> None:
    """A scene begins within a span of time and lasts for a length of time."""
    scene = parse_scene(f"at 1s..2s for 5s {sentence}", NAMES)

    assert scene.at == Span(NS_PER_S, 2 * NS_PER_S)
    assert scene.lasts_ns == 5 * NS_PER_S
    assert format_scene(scene).startswith("for 5s ")


def test_a_story_is_a_text() -> None:
    """Comments and empty lines do not count, but lines are numbered with them."""
    lines = [
        "",
        "# At first:",
        "  at 1s crash alpha  # poor alpha",
        "at 2s start alpha",
    ]

    scenes = parse_story(lines, NAMES)

    assert [format_scene(scene) for scene in scenes] == ["crash alpha", "start alpha"]
    with pytest.raises(ConfigError, match=r"^story, line 5: \[at 3s\]"):
        parse_story([*lines, "at 3s"], NAMES)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("crash alpha", "found crash (allowed here: at)"),
        ("at", "found the end (allowed here: more words)"),
        ("at soon crash alpha", "[soon] is not a length of time"),
        ("at 10s", "found the end (allowed here: crash, kill, stop,"),
        ("at 10s explode alpha", "found explode (allowed here: crash, kill, stop,"),
        ("at 10s crash", "found the end (allowed here: more words)"),
        ("at 10s crash delta", "unknown host [delta] (allowed: alpha, beta, gamma)"),
        ("at 10s crash all now", "found now (allowed here: the end of the sentence)"),
        ("at 10s step up alpha", "found up (allowed here: down or clock)"),
        ("at 10s step clock alpha", "found alpha (allowed here: of)"),
        ("at 10s step clock of alpha", "found the end (allowed here: by)"),
        ("at 10s demote alpha", "found the end (allowed here: by)"),
        ("at 10s demote alpha by 0", "found 0 (allowed here: 1 to 255)"),
        ("at 10s demote alpha by 256", "found 256 (allowed here: 1 to 255)"),
        ("at 10s demote alpha by -1", "found -1 (allowed here: 1 to 255)"),
        ("at 10s undemote alpha by 5", "unknown host [by]"),
        ("at 10s mute alpha", "found alpha (allowed here: multicast)"),
        ("at 10s mute multicast alpha", "found alpha (allowed here: of)"),
        ("at 10s cut alpha", "found the end (allowed here: from or to)"),
        ("at 10s lose", "found the end (allowed here: more words)"),
        ("at 10s lose 30% of arp", "found arp (allowed here: ipv4 or ipv6)"),
        ("at 10s lose 30", "[30] is not a share"),
        ("at 10s delay 5%", "[5%] is not a length of time"),
        ("at 10s replay alpha every 0s", "[0s] must be more than 0"),
        ("at 10s rewrite alpha 0/1", "found 0/1 (allowed here: to)"),
        ("at 10s rewrite alpha to 1", "found 1 (allowed here: advbase/advskew"),
        ("at 10s rewrite alpha to 0/256", "found 0/256 (allowed here: advbase/advskew"),
        ("at 10s for 0s crash alpha", "[0s] must be more than 0"),
        ("at 10s for 5s start alpha", "happens at once and cannot last"),
        ("at 10s for 5s plug alpha", "happens at once and cannot last"),
        ("at 10s for 5s step down alpha", "happens at once and cannot last"),
        ("at 10s for 5s undemote alpha", "happens at once and cannot last"),
        ("at 10s for 5s step clock of alpha by 1s", "happens at once and cannot last"),
        ("at 10s for 5s set password of all to x", "happens at once and cannot last"),
        ("at 10s set clock of alpha", "found clock (allowed here: password)"),
        ("at 10s set password alpha", "found alpha (allowed here: of)"),
        ("at 10s set password of alpha", "found the end (allowed here: to)"),
        ("at 10s set password of alpha to", "found the end (allowed here: more words)"),
        ("at 10s set password of alpha to a, b, c", "found c (allowed here: the end"),
        ("at 10s set password of alpha to 12345678901234567890", "too long: 20 bytes"),
        ("at 10s kill beta of alpha", "found beta (allowed here: keeper or both)"),
        ("at 10s for 5s kill keeper of alpha", "happens at once"),
        ("at 10s stall alpha", "must say for how long"),
    ],
)
def test_misunderstandings(sentence: str, expected: str) -> None:
    """A mistake is one line with place, what was found and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        parse_scene(sentence, NAMES)

    assert expected in str(caught.value)
