"""The language in which a scenario tells what happens.

    at 10s crash alpha                       the host fails, and its address with it
    at 10s kill alpha                        the process dies, the address stays
    at 10s kill keeper of alpha              with --own-addresses; another is started
    at 10s kill both of alpha                the process and the keeper
    at 10s stop alpha                        as by SIGTERM (a kernel: ifconfig down)
    at 20s start alpha
    at 25s step down alpha                   as by SIGUSR2
    at 30s for 10s pull alpha, beta          no carrier for 10 s
    at 30s plug alpha
    at 30s for 5s stall alpha                the process is stopped, as by SIGSTOP
    at 30s hang alpha                        the same, but for ever without "for"
    at 30s for 10s demote alpha by 50        less preferred (interface group, sysctl)
    at 40s undemote alpha                    ends all demotion
    at 30s step clock of alpha by -5s
    at 30s set password of alpha to new, old   its passfile, read at the next start
    at 30s for 10s cut alpha from beta       no frames in either direction
    at 30s for 10s cut alpha to beta         no frames from alpha to beta
    at 30s for 10s mute multicast of alpha   only broadcast and unicast pass
    at 30s for 10s lose 30%                  also duplicate, reorder, corrupt
    at 30s for 10s lose 100% of ipv6         adverts of one family
    at 30s for 10s delay 20ms                also jitter
    at 30s for 10s replay alpha every 1s     an attacker sends the same advert again
    at 30s rewrite alpha to 0/1 every 1s     an attacker forges advbase 0, advskew 1

`at 10s..11s` means a random time between the two, chosen again in each run.  Without
`for` an event lasts until the end of the run.  `all` means all hosts.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, assert_never

from carppcap.election.config import DEMOTION_MAX
from carppcap.errors import ConfigError
from carppcap.options.parsers import decode, password
from carppcap.simulation.scenario.parts import (
    Cut,
    Deed,
    Disturb,
    Mute,
    Order,
    Resend,
    Scene,
    SetPassword,
    Verb,
)
from carppcap.simulation.scenario.quantities import (
    format_length,
    format_share,
    located,
    parse_length,
    parse_positive_length,
    parse_share,
    parse_span,
)
from carppcap.units import NS_PER_S, Interval

ALL = "all"

_PHRASES = {
    "loss": "lose {}",
    "loss_ipv4": "lose {} of ipv4",
    "loss_ipv6": "lose {} of ipv6",
    "duplicate": "duplicate {}",
    "reorder": "reorder {}",
    "corrupt": "corrupt {}",
    "delay_ns": "delay {}",
    "jitter_ns": "jitter {}",
}
"""The phrase of the story that sets a field of `Quality`, keyed by the field."""

_MOMENTARY = (
    Verb.START,
    Verb.STEP_DOWN,
    Verb.PLUG,
    Verb.UNDEMOTE,
    Verb.STEP_CLOCK,
    Verb.KILL_KEEPER,
)
_DISTURBANCES = list(dict.fromkeys(words.split()[0] for words in _PHRASES.values()))
_ALLOWED = ", ".join(
    [
        *(verb.value for verb in Verb),
        *(
            "set password of",
            "cut",
            "mute multicast of",
            *_DISTURBANCES,
            "replay",
            "rewrite",
        ),
    ]
)


def parse_story(lines: Iterable[str], names: Sequence[str]) -> tuple[Scene, ...]:
    """Return the scenes in `lines`; each line contains one sentence, or none.

    `#` begins a comment.  `names` are the names of all hosts.  Raises a `ConfigError`
    that contains the number of the wrong line.
    """
    scenes = []
    for number, line in enumerate(lines, start=1):
        sentence = line.partition("#")[0].strip()
        if sentence:
            with located(f"story, line {number}"):
                scenes.append(parse_scene(sentence, names))
    return tuple(scenes)


def parse_scene(sentence: str, names: Sequence[str]) -> Scene:
    """Return the scene that `sentence` describes; raise `ConfigError` if it is wrong.

    `names` are the names of all hosts.
    """
    reader = _Reader(re.findall(r"[^\s,]+", sentence), sentence, names)
    reader.expect("at")
    at = parse_span(reader.word())
    lasts_ns: Interval | None = None
    if reader.skip("for"):
        lasts_ns = parse_positive_length(reader.word())
    if reader.peek() not in _PARSERS:
        reader.fail(_ALLOWED)
    deed = _PARSERS[reader.word()](reader)
    if reader.words:
        reader.fail("the end of the sentence")
    order = deed.verb if isinstance(deed, Order) else None
    is_momentary = order in _MOMENTARY or isinstance(deed, SetPassword)
    if lasts_ns is not None and is_momentary:
        raise ConfigError(
            "[{text}] happens at once and cannot last (leave out: for)", text=sentence
        )
    if lasts_ns is None and order is Verb.STALL:
        raise ConfigError(
            "[{text}] must say for how long (such as: for 5s stall alpha)",
            text=sentence,
        )
    return Scene(at, deed, lasts_ns)


def format_scene(scene: Scene) -> str:
    """Return the sentence that describes `scene`, without its beginning, `at TIME`."""
    lasts = "" if scene.lasts_ns is None else f"for {format_length(scene.lasts_ns)} "
    return lasts + format_deed(scene.deed)


def format_deed(deed: Deed) -> str:
    """Return the words for `deed` in a sentence of the story, e.g. `crash alpha`."""
    match deed:
        case Order(verb, names, by):
            amount = f"{by}" if verb is Verb.DEMOTE else format_length(by)
            by_how_much = f" by {amount}" if verb in _AMOUNTS else ""
            return f"{verb.value} {', '.join(names)}{by_how_much}"
        case Cut(senders, receivers, both):
            link = "from" if both else "to"
            return f"cut {', '.join(senders)} {link} {', '.join(receivers)}"
        case Mute(names):
            return f"mute multicast of {', '.join(names)}"
        case Disturb(field, value):
            is_length = field.endswith("_ns")
            how = format_length(int(value)) if is_length else format_share(value)
            return _PHRASES[field].format(how)
        case Resend(name, every_ns, forged):
            every = f"every {format_length(every_ns)}"
            if forged is None:
                return f"replay {name} {every}"
            return f"rewrite {name} to {forged[0]}/{forged[1]} {every}"
        case SetPassword(names, first, second):
            words = ", ".join(decode(word) for word in (first, second) if word)
            return f"set password of {', '.join(names)} to {words}"
        case _:
            assert_never(deed)


@dataclass(slots=True)
class _Reader:
    """The words of a sentence that are still to be read.

    The methods remove the words that they read from `words`.
    """

    words: list[str]
    sentence: str
    names: Sequence[str]

    def peek(self) -> str:
        return self.words[0] if self.words else ""

    def word(self) -> str:
        if not self.words:
            self.fail("more words")
        return self.words.pop(0)

    def skip(self, *expected: str) -> bool:
        """True if the next word is one of `expected`; that word is then removed."""
        if self.peek() not in expected:
            return False
        self.words.pop(0)
        return True

    def expect(self, *expected: str) -> str:
        if self.peek() not in expected:
            self.fail(" or ".join(expected))
        return self.words.pop(0)

    def fail(self, allowed: str) -> NoReturn:
        found = self.peek() or "the end"
        raise ConfigError(
            "[{text}]: found {found} (allowed here: {allowed})",
            text=self.sentence,
            found=found,
            allowed=allowed,
        )

    def numbers(self, pattern: str, least: int, allowed: str) -> list[int]:
        """Return the numbers in the next word: the groups that `pattern` matches there.

        Raises a `ConfigError` that mentions `allowed` unless the word matches and each
        number is `least` to 255.
        """
        match = re.fullmatch(pattern, self.peek(), re.ASCII)
        numbers = [int(number) for number in match.groups()] if match else []
        if not numbers or min(numbers) < least or max(numbers) > 255:
            self.fail(allowed)
        self.word()
        return numbers

    def host(self) -> str:
        name = self.word()
        if name not in self.names:
            raise ConfigError(
                "unknown host [{name}] (allowed: {names})",
                name=name,
                names=", ".join(self.names),
            )
        return name

    def hosts(self, *until: str) -> tuple[str, ...]:
        """Return the hosts that the next words name; `all` stands for all hosts.

        A list of names ends before a word in `until`, or at the end of the sentence.
        """
        if self.skip(ALL):
            return tuple(self.names)
        hosts = [self.host()]
        while self.words and self.peek() not in until:
            self.skip("and")
            hosts.append(self.host())
        return tuple(dict.fromkeys(hosts))


def _parse_order(verb: Verb, reader: _Reader) -> Order:
    if verb not in _AMOUNTS:
        return Order(verb, reader.hosts())
    names = reader.hosts("by")
    reader.expect("by")
    return Order(verb, names, _AMOUNTS[verb](reader))


def _parse_demotion(reader: _Reader) -> int:
    (demotion,) = reader.numbers(r"(\d{1,3})", 1, f"1 to {DEMOTION_MAX}")
    return demotion


def _parse_signed_length(reader: _Reader) -> Interval:
    text = reader.word()
    length_ns = parse_length(text.lstrip("+-"))
    return -length_ns if text.startswith("-") else length_ns


def _parse_step(reader: _Reader) -> Order:
    if reader.expect("down", "clock") == "down":
        return _parse_order(Verb.STEP_DOWN, reader)
    reader.expect("of")
    return _parse_order(Verb.STEP_CLOCK, reader)


def _parse_kill(reader: _Reader) -> Order:
    # A host may be called keeper, too.
    if reader.words[1:2] != ["of"]:
        return _parse_order(Verb.KILL, reader)
    is_keeper = reader.expect("keeper", "both") == "keeper"
    reader.expect("of")
    return _parse_order(Verb.KILL_KEEPER if is_keeper else Verb.KILL_BOTH, reader)


def _parse_disturbance(word: str, reader: _Reader) -> Disturb:
    text = reader.word()
    if word in ("delay", "jitter"):
        return Disturb(f"{word}_ns", parse_length(text))
    field = "loss" if word == "lose" else word
    if word == "lose" and reader.skip("of"):
        field = f"loss_{reader.expect('ipv4', 'ipv6')}"
    return Disturb(field, parse_share(text))


def _parse_cut(reader: _Reader) -> Cut:
    senders = reader.hosts("from", "to")
    both = reader.expect("from", "to") == "from"
    return Cut(senders, reader.hosts(), both)


def _parse_mute(reader: _Reader) -> Mute:
    reader.expect("multicast")
    reader.expect("of")
    return Mute(reader.hosts())


def _parse_attack(reader: _Reader, *, forges: bool) -> Resend:
    name, forged = reader.host(), None
    if forges:
        reader.expect("to")
        advbase, advskew = reader.numbers(
            r"(\d{1,3})/(\d{1,3})", 0, "advbase/advskew, each 0 to 255, such as 0/1"
        )
        forged = advbase, advskew
    period_ns = (
        parse_positive_length(reader.word()) if reader.skip("every") else NS_PER_S
    )
    return Resend(name, period_ns, forged)


def _parse_password(reader: _Reader) -> SetPassword:
    reader.expect("password")
    reader.expect("of")
    names = reader.hosts("to")
    reader.expect("to")
    first = password(reader.word(), "set password")
    second = password(reader.word(), "set password") if reader.words else b""
    return SetPassword(names, first, second)


_AMOUNTS: dict[Verb, Callable[[_Reader], int]] = {
    Verb.DEMOTE: _parse_demotion,
    Verb.STEP_CLOCK: _parse_signed_length,
}
"""The verbs that need an amount (`by`), each with the parser of the amount."""

_PARSERS: dict[str, Callable[[_Reader], Deed]] = {
    **{verb.value: partial(_parse_order, verb) for verb in Verb},
    **{word: partial(_parse_disturbance, word) for word in _DISTURBANCES},
    "step": _parse_step,
    "kill": _parse_kill,
    "set": _parse_password,
    "cut": _parse_cut,
    "mute": _parse_mute,
    "replay": partial(_parse_attack, forges=False),
    "rewrite": partial(_parse_attack, forges=True),
}
