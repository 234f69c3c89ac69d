"""What a replay tells: for people as a timeline, for programs as lines of JSON.

Both tell the same, in this order: notes on what had to be guessed, then step by step
what happened, then how it ended, who sent what, and which flag does not fit.

A line of JSON is one object.  Its `kind` says which of the others to expect:

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
from carppcap.replay.statistics import Sender, Tally
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
    """Takes what happens, as it happens."""

    def note(self, text: str) -> None:
        """Something to know about the run as a whole."""

    def step(self, step: Step) -> None:
        """Something came of an event."""

    def rejection(self, rejection: Rejection, at: Instant) -> None:
        """A frame moved nothing."""

    def summary(self, end: End, tally: Tally) -> None:
        """The run is over."""


class TextReport:
    """The timeline, with a few closing lines.  `write` takes one line at a time."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def note(self, text: str) -> None:
        """A line that no timeline line begins like."""
        self._write(f"note: {text}")

    def step(self, step: Step) -> None:
        """One line of the timeline."""
        self._write(format_step(step))

    def rejection(self, rejection: Rejection, at: Instant) -> None:
        """One line of the timeline."""
        self._write(format_rejection(rejection, at))

    def summary(self, end: End, tally: Tally) -> None:
        """The end, every sender, and the totals."""
        columns = [
            format_seconds(end.at),
            f"vhid {end.vhid}",
            end.state.value,
            "end of capture",
        ]
        if end.deadline is not None:
            columns.append(f"next {format_seconds(end.deadline)}")
        self._write("  ".join(columns))
        for sender in tally.senders:
            self._write(_format_sender(sender))
        self._write(
            f"total  frames {end.frames}  accepted {tally.accepted}  "
            f"rejected {_format_counts(_reasons(tally.rejected))}  "
            f"transitions {tally.transitions}"
        )
        if tally.remarks:
            self._write(f"obeyed, but remarked on  {_format_counts(_remarks(tally))}")


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
    """By name, in the order in which frames are judged."""
    return {r.value: rejected[r] for r in RejectReason if rejected[r]}


def _remarks(tally: Tally) -> dict[str, int]:
    return {f.value: tally.remarks[f] for f in Finding if tally.remarks[f]}


class JsonReport:
    """One object a line, as the module says.  `write` takes one line at a time."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def note(self, text: str) -> None:
        """A `note`."""
        self._put({"kind": "note", "text": text})

    def step(self, step: Step) -> None:
        """A `step`."""
        self._put(step_record(step))

    def rejection(self, rejection: Rejection, at: Instant) -> None:
        """A `rejection`."""
        self._put(rejection_record(rejection, at))

    def summary(self, end: End, tally: Tally) -> None:
        """A `summary`."""
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
                "accepted": tally.accepted,
                "rejected": _reasons(tally.rejected),
                "remarks": _remarks(tally),
                "transitions": tally.transitions,
                "senders": [_sender_record(sender) for sender in tally.senders],
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
