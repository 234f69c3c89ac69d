"""A run as a picture: one lane a host, time from left to right (SVG 1.1).

The wide bar of a lane shows the state, with a tick for each advert; the line below it
shows when the host holds the address.  The last lane shows how many hosts hold it:
one is right.  The scenes of the story are numbered, drawn where they happen, and
listed below.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from carppcap.election.actions import SendAdvert, State, StateChanged
from carppcap.node.groups import Step
from carppcap.simulation.model.happenings import Entry, Running, Told
from carppcap.simulation.output.report import Report, Tenure
from carppcap.simulation.scenario.parts import (
    Cut,
    Deed,
    Demote,
    Order,
    Resend,
    Scenario,
    Scene,
    StepClock,
)
from carppcap.simulation.scenario.quantities import format_length
from carppcap.simulation.scenario.story import format_scene
from carppcap.units import NS_PER_S, Instant, Interval

WIDTH = 1000
LEFT, RIGHT = 120, 24
TOP = 84
LANE_HEIGHT = 52
BAR_HEIGHT, HELD_HEIGHT = 20, 7
ROW_HEIGHT = 18
TICKS_MAX = 12
ADVERTS_MAX = 2_000
"""More of them could not be told apart."""

COLOURS = {State.INIT: "#d9d9d9", State.BACKUP: "#a6cee3", State.MASTER: "#33a02c"}
HELD, NOBODY, SEVERAL, FAULT = "#1f3552", "#e31a1c", "#ff7f00", "#b15928"

_NAMESPACE = "http://www.w3.org/2000/svg"
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}"
    ".small{font-size:11px;fill:#555}.mark{font-size:10px;font-weight:bold;fill:#fff}"
)
_TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 86400)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A scene of the run; `until` None: it took no time."""

    number: int
    scene: Scene
    since: Instant
    until: Instant | None


def draw(
    scenario: Scenario,
    entries: Sequence[Entry],
    tenures: Sequence[Tenure],
    report: Report,
) -> str:
    """Return the picture of a run, a whole document."""
    canvas = _Canvas(scenario)
    marks = _marks(entries, scenario.duration_ns)
    height = canvas.bottom + ROW_HEIGHT * (len(marks) + 1) + 16
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="{_NAMESPACE}" {size}>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *canvas.head(report),
        *canvas.axis(),
        *canvas.lanes(entries, tenures),
        *canvas.totals(tenures, report),
        *(part for mark in marks for part in canvas.fault(mark)),
        *canvas.story(marks),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Canvas:
    """The places of all things in the picture."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._lanes = {m.name: number for number, m in enumerate(scenario.members)}
        self.bottom = TOP + LANE_HEIGHT * (len(self._lanes) + 1) + 24

    def head(self, report: Report) -> Iterator[str]:
        """Yield title, figures and legend."""
        title = self._scenario.title or "carppcap simulate"
        yield _text(16, 26, title, "title")
        figures = (
            f"seed {report.seed}  ·  available {100 * report.availability:.3f} %  ·  "
            f"nobody {report.nobody_ns / NS_PER_S:.3f} s  ·  "
            f"several {report.several_ns / NS_PER_S:.3f} s"
        )
        yield _text(16, 46, figures, "small")
        x = WIDTH - RIGHT - 520.0
        for label, colour in (
            *((state.value, colour) for state, colour in COLOURS.items()),
            ("holds the address", HELD),
            ("nobody", NOBODY),
            ("several", SEVERAL),
        ):
            yield _box(x, 37, 10, 10, colour)
            yield _text(x + 14, 46, label, "small")
            x += 30 + 6.4 * len(label)

    def axis(self) -> Iterator[str]:
        """Yield the time axis, in round numbers."""
        duration_ns = self._scenario.duration_ns
        step_ns = _tick_step(duration_ns)
        bottom = self.bottom - 20
        for at in range(0, duration_ns + 1, step_ns):
            x = self._x(at)
            yield _line(x, TOP - 12, bottom, "#eee")
            yield _text(x, bottom + 14, format_length(at), "small", "middle")

    def lanes(
        self, entries: Sequence[Entry], tenures: Iterable[Tenure]
    ) -> Iterator[str]:
        """Yield states, adverts and tenures of each host."""
        for member in self._scenario.members:
            y = self._y(member.name)
            yield _text(16, y + 13, member.name)
            yield _text(16, y + 27, member.kind.value, "small")
        for name, state, since, until in _states(entries, self._scenario.duration_ns):
            yield self._bar(self._y(name), since, until, BAR_HEIGHT, COLOURS[state])
        yield from self._adverts(entries)
        for held in tenures:
            y = self._y(held.name) + BAR_HEIGHT + 3
            yield self._bar(y, held.since, held.until, HELD_HEIGHT, HELD)

    def totals(self, tenures: Sequence[Tenure], report: Report) -> Iterator[str]:
        """Yield how many hosts held the address."""
        y = TOP + LANE_HEIGHT * len(self._lanes)
        yield _text(16, y + 13, "the address")
        for count, since, until in _counts(tenures, report):
            colour = (NOBODY, HELD, SEVERAL)[min(count, 2)]
            yield self._bar(y, since, until, BAR_HEIGHT, colour)

    def fault(self, mark: _Mark) -> Iterator[str]:
        """Yield a mark where a scene begins, and a band for as long as it lasts."""
        x = self._x(mark.since)
        names = _struck(mark.scene.deed)
        rows = [self._y(name) for name in names] or [TOP]
        if mark.until is not None:
            width = self._x(mark.until) - x
            height = LANE_HEIGHT - 8 if names else self.bottom - TOP - 24
            for y in rows:
                yield (
                    f'<rect x="{x:.1f}" y="{y - 4}" width="{width:.1f}" '
                    f'height="{height}" fill="{FAULT}" fill-opacity="0.16"/>'
                )
        for y in rows:
            bottom = y + LANE_HEIGHT - 12
            yield _line(x, y - 8, bottom, FAULT, ' stroke-dasharray="3,3"')
            yield f'<circle cx="{x:.1f}" cy="{y - 10}" r="7" fill="{FAULT}"/>'
            yield _text(x, y - 6, str(mark.number), "mark", "middle")

    def story(self, marks: Sequence[_Mark]) -> Iterator[str]:
        """Yield the sentences of all marks."""
        for row, mark in enumerate(marks):
            y = self.bottom + ROW_HEIGHT * (row + 1)
            when = f"{mark.since / NS_PER_S:.3f} s"
            yield f'<circle cx="26" cy="{y - 4}" r="7" fill="{FAULT}"/>'
            yield _text(26, y, str(mark.number), "mark", "middle")
            yield _text(LEFT - 10, y, when, "small", "end")
            yield _text(LEFT, y, format_scene(mark.scene))

    def _adverts(self, entries: Sequence[Entry]) -> Iterator[str]:
        sent = [
            entry
            for entry in entries
            if isinstance(entry.what, Step)
            and any(isinstance(action, SendAdvert) for action in entry.what.actions)
        ]
        for entry in sent if len(sent) <= ADVERTS_MAX else ():
            x, y = self._x(entry.at), self._y(entry.name)
            yield _line(x, y + 6, y + BAR_HEIGHT, "#0b3d0b")

    def _bar(
        self, y: float, since: Instant, until: Instant, height: float, colour: str
    ) -> str:
        x = self._x(since)
        # What is too short to be seen is drawn as a thin line.
        return _box(x, y, max(self._x(until) - x, 0.8), height, colour)

    def _x(self, at: Instant) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / self._scenario.duration_ns

    def _y(self, name: str) -> int:
        return TOP + LANE_HEIGHT * self._lanes[name]


def _states(
    entries: Iterable[Entry], end: Instant
) -> Iterator[tuple[str, State, Instant, Instant]]:
    """Yield each state of each host, with its beginning and its end."""
    current: dict[str, tuple[State, Instant]] = {}
    for entry in entries:
        match entry.what:
            case Running(runs):
                new = State.INIT if runs else None
            case Step(actions=actions):
                changes = [a.new for a in actions if isinstance(a, StateChanged)]
                if not changes:
                    continue
                new = changes[-1]
            case _:
                continue
        if entry.name in current:
            state, since = current.pop(entry.name)
            if since < entry.at:
                yield entry.name, state, since, entry.at
        if new is not None:
            current[entry.name] = new, entry.at
    for name, (state, since) in current.items():
        yield name, state, since, end


def _counts(
    tenures: Sequence[Tenure], report: Report
) -> Iterator[tuple[int, Instant, Instant]]:
    """Yield how many hosts held the address, from when to when."""
    changes = [(held.since, 1) for held in tenures]
    changes += [(held.until, -1) for held in tenures]
    since, count = report.first_held_ns, 0
    if since is None:
        return
    for at, change in sorted(changes):
        if at > since:
            yield count, since, at
        since, count = at, count + change
    if since < report.duration_ns:
        yield count, since, report.duration_ns


def _marks(entries: Iterable[Entry], end: Instant) -> list[_Mark]:
    marks: list[_Mark] = []
    for entry in entries:
        if isinstance(entry.what, Told) and not entry.what.over:
            scene = entry.what.scene
            until = None if _is_momentary(scene.deed) else end
            if scene.lasts_ns is not None:
                until = min(entry.at + scene.lasts_ns, end)
            marks.append(_Mark(len(marks) + 1, scene, entry.at, until))
    return marks


def _is_momentary(deed: Deed) -> bool:
    """True if a deed takes no time."""
    is_mending = isinstance(deed, Demote) and deed.by is None
    return is_mending or isinstance(deed, Order | StepClock)


def _struck(deed: Deed) -> tuple[str, ...]:
    """Return the hosts that a deed concerns; none for the medium."""
    match deed:
        case Order(names=names) | Demote(names=names) | StepClock(names=names):
            return names
        case Cut(senders, receivers):
            return tuple(dict.fromkeys((*senders, *receivers)))
        case Resend(name):
            return (name,)
        case _:
            return ()


def _tick_step(duration_ns: Interval) -> Interval:
    """Return the first step of which there are at most `TICKS_MAX`, or whole days."""
    least_s = -(-duration_ns // (TICKS_MAX * NS_PER_S))
    days = -(-least_s // 86_400)
    steps_s = (step_s for step_s in _TICK_STEPS_S if step_s >= least_s)
    return next(steps_s, days * 86_400) * NS_PER_S


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    size = f'width="{width:.1f}" height="{height}"'
    return f'<rect x="{x:.1f}" y="{y}" {size} fill="{fill}"/>'


def _line(x: float, top: float, bottom: float, colour: str, look: str = "") -> str:
    ends = f'x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"'
    return f'<line {ends} stroke="{colour}"{look}/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    look = f' class="{kind}"' if kind else ""
    look += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y}"{look}>{escape(text)}</text>'
