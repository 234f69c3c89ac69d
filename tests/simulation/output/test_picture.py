"""Pictures of runs."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from carppcap.simulation.output.picture import (
    COLOURS,
    FAULT,
    HELD,
    LEFT,
    NOBODY,
    RIGHT,
    SEVERAL,
    WIDTH,
    draw,
)
from carppcap.simulation.output.report import Run
from tests.simulation.groups import play

SVG = "{http://www.w3.org/2000/svg}"
BARS_FROM = 60  # the legend is above
SCALE = (WIDTH - LEFT - RIGHT) / 60


def picture(result: Run) -> ET.Element:
    return ET.fromstring(draw(result))


def bars(root: ET.Element, colour: str) -> list[tuple[float, float]]:
    """Return from when to when, in seconds, there are bars of a colour."""
    return [
        (
            round((float(box.attrib["x"]) - LEFT) / SCALE, 1),
            round(
                (float(box.attrib["x"]) - LEFT + float(box.attrib["width"])) / SCALE, 1
            ),
        )
        for box in root.iter(f"{SVG}rect")
        if box.attrib["fill"] == colour and float(box.get("y", 0)) > BARS_FROM
    ]


def texts(root: ET.Element) -> list[str | None]:
    return [text.text for text in root.iter(f"{SVG}text")]


def test_what_is_shown() -> None:
    """The picture shows states, tenures and the number of holders."""
    root = picture(
        play(
            "carppcap",
            "carppcap",
            story="at 20s crash node1\nat 40s start node1",
            group={"flags": "-P"},
        )
    )
    init, backup, master = (sorted(bars(root, colour)) for colour in COLOURS.values())

    assert len(init) == 0
    assert [since for since, _ in backup] == [0, 0, 40, 40.5]
    assert master == [(3, 20), (22.4, 40.5), (40.5, 60)]
    assert bars(root, HELD)[:3] == master
    assert bars(root, NOBODY) == [(20, 22.4)]
    # For a tenth of a millisecond: even that can be seen.
    assert bars(root, SEVERAL) == [(40.5, 40.5)]
    assert {"node1", "node2", "crash node1", "start node1"} <= set(texts(root))


def test_too_many_holders() -> None:
    """Two holders at once have a colour of their own."""
    root = picture(play("carppcap", "carppcap", story="at 20s kill node1"))

    assert bars(root, SEVERAL) == [(22.4, 60)]


@pytest.mark.parametrize(
    ("story", "bands"),
    [
        ("at 10s for 20s lose 5%", [(10, 30)]),
        ("at 10s corrupt 5%", [(10, 60)]),
        ("at 50s for 20s cut node1 from node2", [(50, 60), (50, 60)]),
        ("at 10s for 5s pull all", [(10, 15), (10, 15)]),
        ("at 10s for 5s replay node2", [(10, 15)]),
        ("at 10s step clock of node1 by 1s", []),
        ("at 10s crash node1", []),
    ],
)
def test_faults(story: str, bands: list[tuple[float, float]]) -> None:
    """A band lasts as long as the fault, on the lanes of its hosts."""
    root = picture(play("carppcap", "carppcap", story=story))

    assert bars(root, FAULT) == bands
    marks = [c for c in root.iter(f"{SVG}circle") if c.attrib["fill"] == FAULT]
    assert len(marks) == max(len(bands), 1) + 1  # and one beside its sentence


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("10s", ["0s", "1s", "9s"]),
        ("60s", ["0s", "5s", "60s"]),
        ("1h", ["0s", "300s"]),
        ("30d", ["0s", "259200s"]),
    ],
)
def test_axis(duration: str, expected: list[str]) -> None:
    """The axis has few ticks, at round numbers."""
    nobody: dict[str, Any] = {"node": {"node1": {"start": "never"}}}
    root = picture(play("carppcap", duration=duration, **nobody))
    shown = [
        text for text in texts(root) if text and text[0].isdigit() and text[-1] == "s"
    ]

    assert set(expected) <= set(shown)
    assert len(shown) <= 14
    assert bars(root, HELD) == []


def test_names_are_escaped() -> None:
    """A title with markup in it does not break the picture."""
    root = picture(play("carppcap", title="<b> & \"c\" 'd'"))

    assert "<b> & \"c\" 'd'" in texts(root)


def test_adverts_are_ticks_until_there_are_too_many() -> None:
    """A long run is drawn without adverts."""

    def ticks(duration: str) -> int:
        root = picture(play("carppcap", duration=duration))
        return sum(
            line.attrib["stroke"] == "#0b3d0b" for line in root.iter(f"{SVG}line")
        )

    assert ticks("60s") == 57
    assert ticks("3000s") == 0


def test_a_host_that_is_stopped_for_good_has_no_state() -> None:
    """INIT is shown only while there is a process."""
    stopped = picture(
        play("carppcap", story="at 20s stop node1", group={"flags": "-z"})
    )
    waiting = picture(
        play(
            "carppcap",
            story="at 20s stop node1",
            group={"flags": "-z"},
            node={"node1": {"down_script": "5s"}},
        )
    )
    kernel = picture(play("netbsd", story="at 20s for 5s pull node1"))

    assert bars(stopped, COLOURS[next(iter(COLOURS))]) == []
    assert bars(waiting, COLOURS[next(iter(COLOURS))]) == []
    assert bars(kernel, COLOURS[next(iter(COLOURS))]) == [(20, 25)]
