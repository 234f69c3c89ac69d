"""A scenario as the file that `carppcap simulate` reads."""

import shlex
from collections.abc import Iterator

from carppcap.election.config import GuardMode
from carppcap.simulation.scenario.document import (
    PASSWORD_DEFAULT,
    VHID_DEFAULT,
    VIP_DEFAULT,
)
from carppcap.simulation.scenario.parts import Member, Quality, Scenario, Script, Span
from carppcap.simulation.scenario.quantities import format_length, format_share
from carppcap.simulation.scenario.story import format_deed
from carppcap.units import NS_PER_S
from carppcap.wire.auth import Key

SOUND = Quality()


def as_toml(scenario: Scenario) -> str:
    """Return the text of a file for `carppcap simulate FILE --seed SEED`."""
    lines = [f'duration = "{format_length(scenario.duration_ns)}"']
    if scenario.title:
        lines.insert(0, f'title = "{scenario.title}"')
    if scenario.story:
        lines += ['story = """', *_story(scenario), '"""']
    if scenario.quality != SOUND:
        lines += ["", "[wire]", *_wire(scenario.quality)]
    for member in scenario.members:
        lines += ["", f"[node.{member.name}]", *_node(member)]
    return "\n".join([*lines, ""])


def _story(scenario: Scenario) -> Iterator[str]:
    for scene in sorted(scenario.story, key=lambda scene: scene.at.low_ns):
        lasts = ""
        if scene.lasts_ns is not None:
            lasts = f"  for {format_length(scene.lasts_ns)}"
        yield f"at {_span(scene.at)}{lasts}  {format_deed(scene.deed)}"


def _wire(quality: Quality) -> Iterator[str]:
    for field in ("loss", "duplicate", "reorder", "corrupt"):
        if getattr(quality, field):
            yield f'{field} = "{format_share(getattr(quality, field))}"'
    for field in ("delay", "jitter"):
        yield f'{field} = "{format_length(getattr(quality, f"{field}_ns"))}"'


def _node(member: Member) -> Iterator[str]:
    yield f'flags = "{_flags(member)}"'
    yield f'kind = "{member.kind.value}"'
    yield f'start = "{"never" if member.start is None else _span(member.start)}"'
    yield f'up_script = "{_script(member.up)}"'
    yield f'down_script = "{_script(member.down)}"'
    if member.config.second_key:
        yield f'second_password = "{_word(member.config.second_key)}"'
    if member.drift_ppm:
        yield f'drift = "{member.drift_ppm}ppm"'


def _flags(member: Member) -> str:
    config = member.config
    sources = [source for source in (config.source, config.source6) if source]
    words = [word for source in sources for word in ("-s", str(source))]
    words += ["-b", str(config.advbase)]
    words += ["-k", str(config.advskew), "-r", str(config.dead_ratio)]
    switches = {
        "-P": config.preempt,
        "-n": config.neutral,
        "-z": member.shutdown,
        "--no-farewell": member.no_farewell
        or (member.shutdown and not config.farewell),
        "--own-addresses": member.own_addresses,
        "-S": member.ignore_link_state,
    }
    words += [switch for switch, is_on in switches.items() if is_on]
    if config.demotion:
        words += ["--demotion", str(config.demotion)]
    if config.peers:
        words += ["--peer", ",".join(map(str, config.peers))]
    if config.replay_guard is not GuardMode.ENFORCE:
        words += ["--replay-guard", config.replay_guard.value]
    if config.vhid != VHID_DEFAULT:
        words += ["-v", str(config.vhid)]
    if config.vips != (VIP_DEFAULT,):
        words += ["-a", ",".join(map(str, config.vips))]
    if not config.group.packed.endswith(b"\x12"):
        words += ["-m", str(config.group)]
    assert config.key is not None
    password = _word(config.key)
    if password != PASSWORD_DEFAULT.decode():
        words += ["-p", password]
    if member.script_timeout_ns:
        words += ["--script-timeout", str(member.script_timeout_ns // NS_PER_S)]
    return shlex.join(words)


def _word(key: Key) -> str:
    return key._secret.rstrip(b"\0").decode()


def _script(script: Script) -> str:
    if script.exit_code is None:
        return "none"
    remarks = ["exit 1"] if script.exit_code else []
    remarks += ["address first"] if script.address_first else []
    return ", ".join([format_length(script.duration_ns), *remarks])


def _span(span: Span) -> str:
    if span.low_ns == span.high_ns:
        return format_length(span.low_ns)
    return f"{format_length(span.low_ns)}..{format_length(span.high_ns)}"
