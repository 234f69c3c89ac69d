"""The report of a replay: a timeline for people, or lines of JSON for programs.

Both have the same content in this order: notes on settings that were guessed, steps and
rejections, a summary with the senders, and notes on options that do not fit.

Each line of JSON is one object.  Its `kind` tells which other keys it has:

    note       text
    step       at_ns, interface, vhid, event, state, actions, next_ns
               if the state changes, also: old_state, cause
               for an advert, also: source, advbase, advskew, demotion, counter,
               verified
               if the replay guard remarks on the advert, also: remark
    rejection  at_ns, reason, source, vhid
    summary    at_ns, interface, vhid, families, state, next_ns, frames, accepted,
               rejected, remarks, transitions, senders; each sender has source, vhid,
               accepted, verified, rejected, advbase, advskew, demotion

Instants are nanoseconds since the first frame.  `next_ns` is the next deadline of the
virtual host.  Unknown values are null.  `families` lists the address families in which
the host would send adverts, as 4 and 6.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from carppcap.node.findings import Finding
from carppcap.node.groups import Group, Step
from carppcap.node.ingress import Rejection, RejectReason
from carppcap.node.records import rejection_record, step_record
from carppcap.node.timeline import format_rank, format_rejection, format_step
from carppcap.replay.statistics import Sender, Statistics
from carppcap.units import Instant, format_seconds


class Report:
    """Writes the report of a replay, line by line.

    `write` is called with one line at a time, without a newline.
    """

    def __init__(self, write: Callable[[str], None], *, as_json: bool = False) -> None:
        self._write = write
        self._as_json = as_json

    def write_note(self, text: str) -> None:
        """Write a note about the replay as a whole."""
        if self._as_json:
            self._write_record({"kind": "note", "text": text})
        else:
            self._write(f"note: {text}")

    def write_step(self, step: Step) -> None:
        """Write a step, or a rejection if the replay guard refused the advert."""
        if self._as_json:
            self._write_record(step_record(step))
        else:
            self._write(format_step(step))

    def write_rejection(self, rejection: Rejection, at: Instant) -> None:
        """Write the rejection of a frame, which arrived at `at`."""
        if self._as_json:
            self._write_record(rejection_record(rejection, at))
        else:
            self._write(format_rejection(rejection, at))

    def write_summary(self, at: Instant, group: Group, statistics: Statistics) -> None:
        """Write the summary: the counts, and the state of `group` at `at`, the end."""
        if self._as_json:
            self._write_record(_summary_record(at, group, statistics))
        else:
            for line in _summary_lines(at, group, statistics):
                self._write(line)

    def _write_record(self, record: dict[str, Any]) -> None:
        self._write(json.dumps(record, ensure_ascii=False))


def _summary_record(
    at: Instant, group: Group, statistics: Statistics
) -> dict[str, Any]:
    return {
        "kind": "summary",
        "at_ns": at,
        "interface": group.config.interface,
        "vhid": group.config.vhid,
        "families": [family.value for family in group.config.families],
        "state": group.state.value,
        "next_ns": group.deadline,
        "frames": statistics.frames,
        "accepted": statistics.accepted,
        "rejected": _reasons(statistics.rejected),
        "remarks": _remarks(statistics),
        "transitions": statistics.transitions,
        "senders": [_sender_record(sender) for sender in statistics.senders],
    }


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


def _summary_lines(at: Instant, group: Group, statistics: Statistics) -> Iterator[str]:
    end = f"{format_seconds(at)}  vhid {group.config.vhid}  {group.state.value}"
    due = "" if group.deadline is None else f"  next {format_seconds(group.deadline)}"
    yield f"{end}  end of capture{due}"
    yield from map(_sender_line, statistics.senders)
    yield (
        f"total  frames {statistics.frames}  accepted {statistics.accepted}  "
        f"rejected {_format_counts(_reasons(statistics.rejected))}  "
        f"transitions {statistics.transitions}"
    )
    if statistics.remarks:
        yield f"obeyed, but remarked on  {_format_counts(_remarks(statistics))}"


def _sender_line(sender: Sender) -> str:
    vhid = "-" if sender.vhid is None else sender.vhid
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
    """Return the number of rejections for each reason, keyed by the reason's name.

    The order is that of the checks.  Reasons that did not occur are left out.
    """
    return {r.value: rejected[r] for r in RejectReason if rejected[r]}


def _remarks(statistics: Statistics) -> dict[str, int]:
    return {f.value: statistics.remarks[f] for f in Finding if statistics.remarks[f]}
