"""A run as an SVG 1.1 picture with one lane for each host, time from left to right.

In each lane a wide bar shows the state of the host, with a tick for each advert.  A
narrow bar below it shows when the host holds the address.  An additional lane shows
whether no host, one host or several hosts hold the address.  The scenes of the story
are numbered; each is marked in the lanes at its time and described below the picture.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise

from carppcap.election.actions import SendAdvert, State, StateChanged
from carppcap.node.groups import Step
from carppcap.simulation.model.happenings import Entry, Running, Told
from carppcap.simulation.output.report import Report, Run, Tenure, count_holders
from carppcap.simulation.scenario.parts import Scenario, Scene
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
"""If a run has more adverts than this, none is drawn: they could not be told apart."""

COLOURS = {State.INIT: "#d9d9d9", State.BACKUP: "#a6cee3", State.MASTER: "#33a02c"}
HELD, NOBODY, SEVERAL, FAULT = "#1f3552", "#e31a1c", "#ff7f00", "#b15928"

_NAMESPACE = "http://www.w3.org/2000/svg"
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}"
    ".small{font-size:11px;fill:#555}.mark{font-size:10px;font-weight:bold;fill:#fff}"
)
_TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 86400)


def draw(run: Run) -> str:
    """Return the picture of a run as an SVG document."""
    scenes = [
        (entry.at, told.scene)
        for entry in run.entries
        if isinstance(told := entry.what, Told) and not told.over
    ]
    canvas = _Canvas(run.scenario)
    height = canvas.bottom + ROW_HEIGHT * (len(scenes) + 1) + 16
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="{_NAMESPACE}" {size}>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *canvas.head(run.report),
        *canvas.axis(),
        *canvas.states(run.entries),
        *canvas.adverts(run.entries),
        *canvas.tenures(run.holders),
        *canvas.story(scenes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Canvas:
    """Makes the SVG elements of a picture, part by part."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._end = scenario.duration_ns
        self._lanes = {
            member.name: TOP + LANE_HEIGHT * number
            for number, member in enumerate(scenario.members)
        }
        self._last_lane = TOP + LANE_HEIGHT * len(self._lanes)
        self.bottom = self._last_lane + LANE_HEIGHT + 24

    def head(self, report: Report) -> Iterator[str]:
        """Yield the title, the main figures of the run, and the legend."""
        yield _text(16, 26, self._scenario.title or "carppcap simulate", "title")
        figures = (
            f"seed {report.seed}  ·  available {100 * report.availability:.3f} %  ·  "
            f"nobody {report.nobody_ns / NS_PER_S:.3f} s  ·  "
            f"several {report.several_ns / NS_PER_S:.3f} s"
        )
        yield _text(16, 46, figures, "small")
        x = WIDTH - RIGHT - 520.0
        colours = {state.value: colour for state, colour in COLOURS.items()}
        colours |= {"holds the address": HELD, "nobody": NOBODY, "several": SEVERAL}
        for label, colour in colours.items():
            yield _box(x, 37, 10, 10, colour)
            yield _text(x + 14, 46, label, "small")
            x += 30 + 6.4 * len(label)

    def axis(self) -> Iterator[str]:
        """Yield the time axis, with a line and a label at each round time."""
        bottom = self.bottom - 20
        for at in range(0, self._end + 1, _tick_step(self._end)):
            x = self._x(at)
            yield _line(x, TOP - 12, bottom, "#eee")
            yield _text(x, bottom + 14, format_length(at), "small", "middle")

    def states(self, entries: Iterable[Entry]) -> Iterator[str]:
        """Yield the name and kind of each host, and a bar for each of its states."""
        changes = _changes(entries)
        for member in self._scenario.members:
            y = self._lanes[member.name]
            yield _text(16, y + 13, member.name)
            yield _text(16, y + 27, member.kind.value, "small")
            until_end = [*changes[member.name], (self._end, None)]
            for (since, state), (until, _) in pairwise(until_end):
                if state is not None and since < until:
                    yield self._bar(y, since, until, BAR_HEIGHT, COLOURS[state])

    def adverts(self, entries: Iterable[Entry]) -> Iterator[str]:
        """Yield a tick for each advert, but nothing if there are too many adverts.

        More than `ADVERTS_MAX` are too many.
        """
        sent = [
            entry
            for entry in entries
            if isinstance(entry.what, Step)
            and any(isinstance(action, SendAdvert) for action in entry.what.actions)
        ]
        for entry in sent if len(sent) <= ADVERTS_MAX else ():
            y = self._lanes[entry.name]
            yield _line(self._x(entry.at), y + 6, y + BAR_HEIGHT, "#0b3d0b")

    def tenures(self, tenures: Sequence[Tenure]) -> Iterator[str]:
        """Yield bars for the times in which each host held the address.

        In the lane "the address", bars show whether no host, one or several held it.
        """
        for held in tenures:
            y = self._lanes[held.name] + BAR_HEIGHT + 3
            yield self._bar(y, held.since, held.until, HELD_HEIGHT, HELD)
        y = self._last_lane
        yield _text(16, y + 13, "the address")
        for count, since, until in count_holders(tenures, self._end):
            colour = (NOBODY, HELD, SEVERAL)[min(count, 2)]
            yield self._bar(y, since, until, BAR_HEIGHT, colour)

    def story(self, scenes: Iterable[tuple[Instant, Scene]]) -> Iterator[str]:
        """Yield each scene as a drawing at its time and a sentence below the lanes."""
        for number, (since, scene) in enumerate(scenes, start=1):
            yield from self._fault(number, since, scene)
            y = self.bottom + ROW_HEIGHT * number
            yield from _mark(26, y, number)
            yield _text(LEFT - 10, y, f"{since / NS_PER_S:.3f} s", "small", "end")
            yield _text(LEFT, y, format_scene(scene))

    def _fault(self, number: int, since: Instant, scene: Scene) -> Iterator[str]:
        """Yield the drawing of a scene, in the lane of each host that it concerns.

        It is a numbered mark at the start of the scene, and a band over the time for
        which the scene lasts.  A scene that concerns no particular host is drawn over
        all lanes.
        """
        x, until = self._x(since), scene.until(since, self._end)
        names = scene.deed.names
        height = LANE_HEIGHT - 8 if names else self.bottom - TOP - 24
        for y in [self._lanes[name] for name in names] or [TOP]:
            if until is not None:
                width = self._x(until) - x
                yield _box(x, y - 4, width, height, FAULT, look=' fill-opacity="0.16"')
            bottom = y + LANE_HEIGHT - 12
            yield _line(x, y - 8, bottom, FAULT, ' stroke-dasharray="3,3"')
            yield from _mark(x, y - 6, number)

    def _bar(
        self, y: float, since: Instant, until: Instant, height: float, colour: str
    ) -> str:
        x = self._x(since)
        # A bar that would be too narrow to be seen gets a least width.
        return _box(x, y, max(self._x(until) - x, 0.8), height, colour)

    def _x(self, at: Instant) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / self._end


def _changes(entries: Iterable[Entry]) -> dict[str, list[tuple[Instant, State | None]]]:
    """Return the instants at which the state of each host changed, with the new states.

    A state of None means that the program of the host has ended.
    """
    changes = defaultdict(list)
    for entry in entries:
        match entry.what:
            case Running(runs):
                changes[entry.name].append((entry.at, State.INIT if runs else None))
            case Step(actions=actions):
                changes[entry.name] += [
                    (entry.at, action.new)
                    for action in actions
                    if isinstance(action, StateChanged)
                ]
    return changes


def _tick_step(duration_ns: Interval) -> Interval:
    """Return the time between two labels of the time axis.

    It is the smallest of `_TICK_STEPS_S` that divides the duration into at most
    `TICKS_MAX` parts.  If all of them are too small, it is a number of whole days.
    """
    least_s = -(-duration_ns // (TICKS_MAX * NS_PER_S))
    days = -(-least_s // 86_400)
    steps_s = (step_s for step_s in _TICK_STEPS_S if step_s >= least_s)
    return next(steps_s, days * 86_400) * NS_PER_S


def _box(
    x: float, y: float, width: float, height: float, fill: str, *, look: str = ""
) -> str:
    size = f'width="{width:.1f}" height="{height}"'
    return f'<rect x="{x:.1f}" y="{y}" {size} fill="{fill}"{look}/>'


def _line(x: float, top: float, bottom: float, colour: str, look: str = "") -> str:
    ends = f'x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"'
    return f'<line {ends} stroke="{colour}"{look}/>'


def _mark(x: float, y: float, number: int) -> Iterator[str]:
    yield f'<circle cx="{x:.1f}" cy="{y - 4}" r="7" fill="{FAULT}"/>'
    yield _text(x, y, str(number), "mark", "middle")


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    look = f' class="{kind}"' if kind else ""
    look += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y}"{look}>{escape(text)}</text>'
