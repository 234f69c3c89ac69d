"""Scenario files: what they say, and a moment of what would happen."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from carppcap.errors import ConfigError
from carppcap.simulation.command import _read
from carppcap.simulation.run import measure
from carppcap.simulation.scenario.document import parse_document
from carppcap.simulation.scenario.parts import Disturb, Resend, Scenario
from carppcap.simulation.scenario.story import format_deed, parse_scene
from carppcap.units import NS_PER_MS, NS_PER_S
from tests.fuzz.settings import said
from tests.timelines import SIMULATIONS

_MOMENT_NS = 2 * NS_PER_S
_EVERY_NS_MIN = 50 * NS_PER_MS
_MEMBERS_MAX = 3


def check_scenario(data: bytes) -> object:
    """A scenario file."""
    try:
        scenario = parse_document(_read(_file(data)), "file")
    except ConfigError as error:
        return said(error)
    names = tuple(member.name for member in scenario.members)
    for scene in scenario.story:
        if not isinstance(scene.deed, Disturb):  # where shares are written shorter
            sentence = f"at 0s {format_deed(scene.deed)}"
            lasts = "" if scene.lasts_ns is None else "for 1s "
            again = parse_scene(sentence.replace("0s ", f"0s {lasts}"), names)
            assert again.deed == scene.deed, (again.deed, scene.deed)
    if not _is_quick(scenario):
        return len(scenario.members), len(scenario.story)
    moment = replace(scenario, duration_ns=min(scenario.duration_ns, _MOMENT_NS))
    assert measure(moment, 1) == measure(moment, 1)
    return len(scenario.members), len({type(scene.deed) for scene in scenario.story})


def _is_quick(scenario: Scenario) -> bool:
    """True if not too many things happen in one moment."""
    deeds = [scene.deed for scene in scenario.story]
    members = scenario.members
    return len(members) <= _MEMBERS_MAX and all(
        every_ns >= _EVERY_NS_MIN
        for every_ns in [
            *(deed.every_ns for deed in deeds if isinstance(deed, Resend)),
            *(member.config.interval_ns for member in members),
        ]
    )


@cache
def _memory_file() -> int:
    return os.memfd_create("scenario")


def _file(data: bytes) -> str:
    os.ftruncate(_memory_file(), 0)
    os.pwrite(_memory_file(), data, 0)
    return f"/proc/self/fd/{_memory_file()}"


def scenario_seeds(captured: list[bytes]) -> Iterator[bytes]:
    """The scenarios that come with a golden run, and one sentence of each kind."""
    for path in SIMULATIONS:
        yield path.read_bytes()
    for sentence in (
        "crash a", "kill a", "stop a", "start a", "step down a", "for 1s pull a, b",
        "plug b", "for 1s stall b", "hang a", "step clock of a by -5s",
        "for 1s cut a from b", "cut a to b", "lose 30%", "duplicate 5%", "reorder 1%",
        "corrupt 0.5%", "delay 20ms", "for 1s jitter 5ms", "replay a every 1s",
        "rewrite a to 0/1 every 100ms", "crash all", "set password of a to new, old",
        "for 1s mute multicast of a, b",
    ):  # fmt: skip
        yield f'story = ["at 1s..2s {sentence}"]\n[node.a]\n[node.b]\n'.encode()
    for sentence in ("kill keeper of a", "kill both of a, b"):
        yield (
            f'story = ["at 1s {sentence}"]\n[group]\nflags = "--own-addresses"\n'
            "[node.a]\n[node.b]\n"
        ).encode()
    for line in (
        'kind = "ucarp"', 'kind = "freebsd"', 'start = "never"', 'drift = "-50ppm"',
        'up_script = "200ms, exit 1, address first"', 'down_script = "none"',
        'flags = "-k 20 -b 0 -P -z -o x"', "flags = 1", "drift = 0x1", "start = []",
        "other = 1979-05-27T07:32:00Z", "other = 1e9", "[other]", "[wire]\nloss = 1",
        'second_password = "old"',
    ):  # fmt: skip
        yield f"[node.a]\n{line}\n".encode()
    # Python refuses to read and to write numbers of more than 4300 digits.
    yield b"title = " + b"7" * 4400
    yield b"title = 0x" + b"7" * 4000
