"""The language in which a scenario tells what happens.

    at 10s crash alpha                       the host dies, and its address with it
    at 10s kill alpha                        the process dies, the address stays behind
    at 10s stop alpha                        as by SIGTERM (a kernel: ifconfig down)
    at 20s start alpha
    at 25s step down alpha                   as by SIGUSR2
    at 30s for 10s pull alpha, beta          no carrier, and 10 s later it is back
    at 30s plug alpha
    at 30s for 5s stall alpha                the process is stopped, as by SIGSTOP
    at 30s for 10s demote alpha by 50        a poorer master (interface group, sysctl)
    at 40s undemote alpha                    and all is well again
    at 30s step clock of alpha by -5s
    at 30s for 10s cut alpha from beta       frames pass neither way; `to`: one way
    at 30s for 10s lose 30%                  also duplicate, reorder, corrupt
    at 30s for 10s lose 100% of ipv6         adverts of one family
    at 30s for 10s delay 20ms                also jitter
    at 30s for 10s replay alpha every 1s     a captured advert, again and again
    at 30s rewrite alpha to 0/1 every 1s     its latest, claiming advbase 0, advskew 1

`at 10s..11s` is any time between the two, drawn anew in each run.  Without `for` it
lasts until the end.  `all` means all hosts.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn, assert_never

from carppcap.election.config import DEMOTION_MAX
from carppcap.errors import ConfigError
from carppcap.simulation.scenario.parts import (
    Cut,
    Deed,
    Demote,
    Disturb,
    Order,
    Resend,
    Scene,
    StepClock,
    Verb,
)
from carppcap.simulation.scenario.quantities import (
    format_length,
    format_share,
    parse_length,
    parse_positive_length,
    parse_share,
    parse_span,
)
from carppcap.units import NS_PER_S, Interval

EVERYBODY = "all"

_FIELDS = {
    "lose": "loss",
    "duplicate": "duplicate",
    "reorder": "reorder",
    "corrupt": "corrupt",
    "delay": "delay_ns",
    "jitter": "jitter_ns",
}
"""Words of the wire, and which field of `Quality` each one sets."""

_FAMILIES = {"ipv4": "loss_ipv4", "ipv6": "loss_ipv6"}
"""The same for what is lost of one family."""

_LENGTHS = ("delay", "jitter")
_LASTING_VERBS = {Verb.CRASH, Verb.KILL, Verb.STOP, Verb.PULL, Verb.STALL}
_VERBS = {verb.value.partition(" ")[0]: verb for verb in Verb}
_ALLOWED = ", ".join(
    [verb.value for verb in Verb]
    + ["demote", "undemote", "step clock of"]
    + ["cut", *_FIELDS, "replay", "rewrite"]
)


def parse_story(
    lines: Iterable[str], names: Sequence[str], where: str
) -> tuple[Scene, ...]:
    """The scenes of a text; empty lines and what follows a # do not count.

    `names` are the hosts there are, `where` is the place of the text.  Raises
    `ConfigError`.
    """
    scenes = []
    for number, line in enumerate(lines, start=1):
        sentence = line.partition("#")[0].strip()
        if sentence:
            scenes.append(parse_scene(sentence, names, f"{where}, line {number}"))
    return tuple(scenes)


def parse_scene(sentence: str, names: Sequence[str], where: str) -> Scene:
    """The scene of one sentence.  Raises `ConfigError`."""
    reader = _Reader(re.findall(r"[^\s,]+", sentence), sentence, names, where)
    reader.expect("at")
    at = parse_span(reader.word(), where)
    lasts_ns: Interval | None = None
    if reader.skip("for"):
        lasts_ns = parse_positive_length(reader.word(), where)
    deed = _parse_deed(reader)
    reader.end()
    if lasts_ns is not None and not _can_last(deed):
        raise ConfigError(
            "{where}: [{text}] happens at once and cannot last (leave out: for)",
            where=where,
            text=sentence,
        )
    if lasts_ns is None and isinstance(deed, Order) and deed.verb is Verb.STALL:
        raise ConfigError(
            "{where}: [{text}] must say for how long (such as: for 5s stall alpha)",
            where=where,
            text=sentence,
        )
    return Scene(at, deed, lasts_ns)


def _can_last(deed: Deed) -> bool:
    match deed:
        case Order(verb):
            return verb in _LASTING_VERBS
        case Demote(by=by):
            return by is not None
        case _:
            return not isinstance(deed, StepClock)


def format_scene(scene: Scene) -> str:
    """The sentence, but for when it happens."""
    lasts = "" if scene.lasts_ns is None else f"for {format_length(scene.lasts_ns)} "
    return lasts + format_deed(scene.deed)


def format_deed(deed: Deed) -> str:
    """What is done."""
    match deed:
        case Order(verb, names):
            return f"{verb.value} {', '.join(names)}"
        case Demote(names, None):
            return f"undemote {', '.join(names)}"
        case Demote(names, by):
            return f"demote {', '.join(names)} by {by}"
        case StepClock(names, by_ns):
            return f"step clock of {', '.join(names)} by {format_length(by_ns)}"
        case Cut(senders, receivers, both):
            link = "from" if both else "to"
            return f"cut {', '.join(senders)} {link} {', '.join(receivers)}"
        case Disturb(field, value) if field in _FAMILIES.values():
            family = next(word for word, name in _FAMILIES.items() if name == field)
            return f"lose {format_share(value)} of {family}"
        case Disturb(field, value):
            word = next(word for word, name in _FIELDS.items() if name == field)
            shown = (
                format_length(int(value)) if word in _LENGTHS else format_share(value)
            )
            return f"{word} {shown}"
        case Resend(name, every_ns, forged):
            every = f"every {format_length(every_ns)}"
            if forged is None:
                return f"replay {name} {every}"
            return f"rewrite {name} to {forged[0]}/{forged[1]} {every}"
        case _:
            assert_never(deed)


@dataclass(slots=True)
class _Reader:
    """The words of a sentence, taken out one by one."""

    words: list[str]
    sentence: str
    names: Sequence[str]
    where: str

    def peek(self) -> str:
        return self.words[0] if self.words else ""

    def word(self) -> str:
        if not self.words:
            self.fail("more words")
        return self.words.pop(0)

    def skip(self, *expected: str) -> bool:
        """Whether the next word was one of these."""
        if self.peek() not in expected:
            return False
        self.words.pop(0)
        return True

    def expect(self, *expected: str) -> str:
        if self.peek() not in expected:
            self.fail(" or ".join(expected))
        return self.words.pop(0)

    def end(self) -> None:
        if self.words:
            self.fail("the end of the sentence")

    def fail(self, allowed: str) -> NoReturn:
        found = self.peek() or "the end"
        raise ConfigError(
            "{where}: [{text}]: found {found} (allowed here: {allowed})",
            where=self.where,
            text=self.sentence,
            found=found,
            allowed=allowed,
        )

    def host(self) -> str:
        name = self.word()
        if name not in self.names:
            raise ConfigError(
                "{where}: unknown host [{name}] (allowed: {names})",
                where=self.where,
                name=name,
                names=", ".join(self.names),
            )
        return name

    def hosts(self, *until: str) -> tuple[str, ...]:
        """One or more hosts, up to one of these words or the end."""
        if self.skip(EVERYBODY):
            return tuple(self.names)
        hosts = [self.host()]
        while self.words and self.peek() not in until:
            self.skip("and")
            hosts.append(self.host())
        return tuple(dict.fromkeys(hosts))


def _parse_deed(reader: _Reader) -> Deed:
    word = reader.peek()
    if word in _FIELDS:
        return _parse_disturbance(reader)
    if word == "cut":
        return _parse_cut(reader)
    if word in ("demote", "undemote"):
        return _parse_demotion(reader)
    if word in ("replay", "rewrite"):
        return _parse_attack(reader)
    if word not in _VERBS:
        reader.fail(_ALLOWED)
    reader.word()
    if word == "step" and reader.expect("down", "clock") == "clock":
        return _parse_clock(reader)
    return Order(_VERBS[word], reader.hosts())


def _parse_disturbance(reader: _Reader) -> Disturb:
    word, text = reader.word(), reader.word()
    if word in _LENGTHS:
        return Disturb(_FIELDS[word], parse_length(text, reader.where))
    field = _FIELDS[word]
    if word == "lose" and reader.skip("of"):
        field = _FAMILIES[reader.expect(*_FAMILIES)]
    return Disturb(field, parse_share(text, reader.where))


def _parse_cut(reader: _Reader) -> Cut:
    reader.word()
    senders = reader.hosts("from", "to")
    both = reader.expect("from", "to") == "from"
    return Cut(senders, reader.hosts(), both)


def _parse_demotion(reader: _Reader) -> Demote:
    if reader.word() == "undemote":
        return Demote(reader.hosts(), None)
    names = reader.hosts("by")
    reader.expect("by")
    if re.fullmatch(r"\d{1,3}", reader.peek(), re.ASCII) is None or not (
        1 <= int(reader.peek()) <= DEMOTION_MAX
    ):
        reader.fail(f"1 to {DEMOTION_MAX}")
    return Demote(names, int(reader.word()))


def _parse_clock(reader: _Reader) -> StepClock:
    reader.expect("of")
    names = reader.hosts("by")
    reader.expect("by")
    text = reader.word()
    length_ns = parse_length(text.lstrip("+-"), reader.where)
    return StepClock(names, -length_ns if text.startswith("-") else length_ns)


def _parse_attack(reader: _Reader) -> Resend:
    is_forged = reader.word() == "rewrite"
    name = reader.host()
    forged = None
    if is_forged:
        reader.expect("to")
        match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", reader.peek(), re.ASCII)
        if match is None or max(int(match[1]), int(match[2])) > 255:
            reader.fail("advbase/advskew, each 0 to 255, such as 0/1")
        forged = int(match[1]), int(match[2])
        reader.word()
    every_ns = NS_PER_S
    if reader.skip("every"):
        every_ns = parse_positive_length(reader.word(), reader.where)
    return Resend(name, every_ns, forged)
