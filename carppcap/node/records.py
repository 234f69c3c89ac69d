"""Makes JSON objects of steps and rejections, for replay and simulation."""

from typing import Any

from carppcap.election.events import AdvertReceived
from carppcap.node.groups import Step
from carppcap.node.ingress import Refusal, Rejection
from carppcap.node.timeline import action_words, format_cause
from carppcap.units import Instant


def step_record(step: Step) -> dict[str, Any]:
    """Return a step as a JSON object.

    If the step refused an advert, return the object of a rejection.
    """
    if step.refusal is not None:
        return rejection_record(step.refusal, step.at)
    record: dict[str, Any] = {
        "kind": "step",
        "at_ns": step.at,
        "interface": step.interface,
        "vhid": step.vhid,
        "event": format_cause(step),
        "state": step.state.value,
        "actions": action_words(step),
        "next_ns": step.deadline,
    }
    change = step.change
    if change is not None:
        record |= {"old_state": change.old.value, "cause": change.cause.value}
    if isinstance(step.event, AdvertReceived):
        record |= {
            "event": "advert",
            "source": str(step.event.source),
            "advbase": step.event.advbase,
            "advskew": step.event.advskew,
            "demotion": step.event.demotion,
            "counter": step.event.counter,
            "verified": step.event.verified,
        }
    if step.finding is not None:
        record["remark"] = step.finding.value
    return record


def rejection_record(rejection: Rejection | Refusal, at: Instant) -> dict[str, Any]:
    """Return a rejection as a JSON object."""
    source = rejection.source
    return {
        "kind": "rejection",
        "at_ns": at,
        "reason": rejection.reason.value,
        "source": None if source is None else str(source),
        "vhid": rejection.vhid,
    }
