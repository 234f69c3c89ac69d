"""The report of a replay: a timeline for people, or lines of JSON for programs.

Both have the same content in this order: notes on what was guessed, all steps, the end
with all senders, and notes on flags that do not fit.

A line of JSON is one object.  Its `kind` tells which other keys it has:

    note       text
    step       at_ns, interface, vhid, event, state, actions, next_ns; with a change of
               state also old_state and cause; for an advert also source, advbase,
               advskew, demotion, counter, verified; where the replay guard has
               something to say of it also remark
    rejection  at_ns, reason, source, vhid
    summary    at_ns, interface, vhid, families, state, next_ns, frames, accepted,
               rejected, remarks, transitions, senders; each sender has source, vhid,
               accepted, verified, rejected, advbase, advskew, demotion

Instants are nanoseconds since the first frame; what is not known is null.  Families
are 4 and 6, those in which the host would send.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from carppcap.addresses import Family
from carppcap.election.actions import State
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection, RejectReason
from carppcap.node.records import rejection_record, step_record
from carppcap.node.replay_guard import Finding
from carppcap.node.timeline import (
    format_rank,
    format_rejection,
    format_step,
)
from carppcap.replay.statistics import Sender, Statistics
from carppcap.units import Instant, format_seconds


@dataclass(frozen=True, slots=True)
class End:
    """Where a run ended: the last frame's instant, and the host's state there."""

    at: Instant
    interface: str
    vhid: int
    families: tuple[Family, ...]
    state: State
    deadline: Instant | None
    frames: int


class Report(Protocol):
    """Takes what happens, in its order."""

    def write_note(self, text: str) -> None:
        """Write a note on the run as a whole."""

    def write_step(self, step: Step) -> None:
        """Write a step."""

    def write_rejection(self, rejection: Rejection, at: Instant) -> None:
        """Write a frame that reached no virtual host."""

    def write_summary(self, end: End, statistics: Statistics) -> None:
        """Write how the run ended."""


class TextReport:
    """The timeline, with a few closing lines.  `write` takes one line at a time."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def write_note(self, text: str) -> None:
        """Write a line that cannot be taken for one of the timeline."""
        self._write(f"note: {text}")

    def write_step(self, step: Step) -> None:
        """Write one line of the timeline."""
        self._write(format_step(step))

    def write_rejection(self, rejection: Rejection, at: Instant) -> None:
        """Write one line of the timeline."""
        self._write(format_rejection(rejection, at))

    def write_summary(self, end: End, statistics: Statistics) -> None:
        """Write the end, every sender and the totals."""
        columns = [
            format_seconds(end.at),
            f"vhid {end.vhid}",
            end.state.value,
            "end of capture",
        ]
        if end.deadline is not None:
            columns.append(f"next {format_seconds(end.deadline)}")
        self._write("  ".join(columns))
        for sender in statistics.senders:
            self._write(_format_sender(sender))
        self._write(
            f"total  frames {end.frames}  accepted {statistics.accepted}  "
            f"rejected {_format_counts(_reasons(statistics.rejected))}  "
            f"transitions {statistics.transitions}"
        )
        if statistics.remarks:
            self._write(
                f"obeyed, but remarked on  {_format_counts(_remarks(statistics))}"
            )


def _format_sender(sender: Sender) -> str:
    vhid = "-" if sender.vhid is None else str(sender.vhid)
    columns = [f"sender {sender.source}", f"vhid {vhid}"]
    if sender.accepted:
        mark = "" if sender.verified else " unverified"
        columns.append(f"accepted {sender.accepted}{mark}")
    if sender.rank is not None:
        columns.append(f"last {format_rank(*sender.rank)}")
    if sender.rejected:
        columns.append(f"rejected {_format_counts(_reasons(sender.rejected))}")
    return "  ".join(columns)


def _format_counts(counts: dict[str, int]) -> str:
    if not counts:
        return "0"
    each = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"{sum(counts.values())} ({each})"


def _reasons(rejected: Counter[RejectReason]) -> dict[str, int]:
    """Return the counts by name, in the order of the checks."""
    return {r.value: rejected[r] for r in RejectReason if rejected[r]}


def _remarks(statistics: Statistics) -> dict[str, int]:
    return {f.value: statistics.remarks[f] for f in Finding if statistics.remarks[f]}


class JsonReport:
    """One object a line, as described above.  `write` takes one line at a time."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def write_note(self, text: str) -> None:
        """Write a `note`."""
        self._put({"kind": "note", "text": text})

    def write_step(self, step: Step) -> None:
        """Write a `step`, or a `rejection` if it refused an advert."""
        self._put(step_record(step))

    def write_rejection(self, rejection: Rejection, at: Instant) -> None:
        """Write a `rejection`."""
        self._put(rejection_record(rejection, at))

    def write_summary(self, end: End, statistics: Statistics) -> None:
        """Write a `summary`."""
        self._put(
            {
                "kind": "summary",
                "at_ns": end.at,
                "interface": end.interface,
                "vhid": end.vhid,
                "families": [family.value for family in end.families],
                "state": end.state.value,
                "next_ns": end.deadline,
                "frames": end.frames,
                "accepted": statistics.accepted,
                "rejected": _reasons(statistics.rejected),
                "remarks": _remarks(statistics),
                "transitions": statistics.transitions,
                "senders": [_sender_record(sender) for sender in statistics.senders],
            }
        )

    def _put(self, record: dict[str, Any]) -> None:
        self._write(json.dumps(record, ensure_ascii=False))


def _sender_record(sender: Sender) -> dict[str, Any]:
    advbase, advskew, demotion = sender.rank or (None, None, None)
    return {
        "source": str(sender.source),
        "vhid": sender.vhid,
        "accepted": sender.accepted,
        "verified": sender.verified,
        "rejected": _reasons(sender.rejected),
        "advbase": advbase,
        "advskew": advskew,
        "demotion": demotion,
    }
