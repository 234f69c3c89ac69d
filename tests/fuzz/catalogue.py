"""Every target by its name, and where its inputs come from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tests import captures
from tests.fuzz.captures import check_file, check_stream, file_seeds, stream_seeds
from tests.fuzz.configurations import (
    check_configuration,
    check_conversion,
    configuration_seeds,
    conversion_seeds,
)
from tests.fuzz.frames import (
    check_frame,
    check_verdict,
    frame_seeds,
    verdict_seeds,
)
from tests.fuzz.scenarios import check_scenario, scenario_seeds
from tests.fuzz.settings import check_settings, settings_seeds
from tests.timelines import FIXTURES

KEPT = FIXTURES / "fuzz"
"""A directory for each target, a file for each input that others cannot replace."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that takes any bytes.

    `check` raises where a promise is broken, and else tells what came of its input: a
    value that is equal for inputs of a kind.  `seeds` makes inputs of captured
    Ethernet frames.  No input need be longer than `length_max` bytes.
    """

    name: str
    check: Callable[[bytes], object]
    seeds: Callable[[list[bytes]], Iterable[bytes]]
    length_max: int

    @property
    def kept(self) -> list[Path]:
        """The inputs that earlier runs found worth keeping."""
        return sorted((KEPT / self.name).glob("*"))


TARGETS = {
    target.name: target
    for target in (
        Target("frames", check_frame, frame_seeds, 200),
        Target("verdicts", check_verdict, verdict_seeds, 160),
        Target("streams", check_stream, stream_seeds, 96),
        Target("files", check_file, file_seeds, 2048),
        Target("settings", check_settings, settings_seeds, 400),
        Target("configurations", check_configuration, configuration_seeds, 800),
        Target("conversions", check_conversion, conversion_seeds, 800),
        Target("scenarios", check_scenario, scenario_seeds, 5000),
    )
}


def captured_frames() -> list[bytes]:
    """The frames of all recorded captures, one of each length."""
    paths = sorted(FIXTURES.glob("*/capture.pcap"))
    frames = chain.from_iterable(captures.read(path) for path in paths)
    by_kind = {(len(frame), frame[12:15], frame[23:24]): frame for _, frame in frames}
    return list(by_kind.values())
