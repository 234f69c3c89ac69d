"""Formats steps as lines of text, for replay, simulation, `--debug` and the manual.

    3.000000  vhid 7  BACKUP -> MASTER  master_down  advert 1/0 acquire  next 4.000000
    at        host    state             why          actions in order    deadline

Times are seconds since the start of the run.
"""

from typing import assert_never

from carppcap.addresses import Family
from carppcap.election import actions, events
from carppcap.node.groups import GroupEvent, Step
from carppcap.node.ingress import (
    HintReceived,
    Refusal,
    Rejection,
    RejectReason,
    SolicitationReceived,
)
from carppcap.units import Instant, format_seconds


def is_quiet(step: Step) -> bool:
    """True if the step has no actions and no finding, and refused no advert."""
    return not step.actions and step.finding is None and step.refusal is None


def format_step(step: Step, origin: Instant = 0) -> str:
    """Return the line of a step, without a newline."""
    if step.refusal is not None:
        return format_rejection(step.refusal, step.at, origin)
    change = step.change
    if change is None:
        state, why = step.state.value, format_cause(step)
    else:
        state = f"{change.old.value} -> {change.new.value}"
        why = change.cause.value
        if isinstance(step.event, events.AdvertReceived):
            why = f"{why} by {format_event(step.event)}"
    if step.finding is not None:
        why = f"{why} {step.finding.value}"
    columns = [format_seconds(step.at - origin), f"vhid {step.vhid}", state, why]
    if words := action_words(step):
        columns.append(" ".join(words))
    if step.deadline is not None:
        columns.append(f"next {format_seconds(step.deadline - origin)}")
    return "  ".join(columns)


def format_cause(step: Step) -> str:
    """Return the event of a step in a few words."""
    # A refused hint has no effect, so it is not called `sequence_contested`.
    is_hint = isinstance(step.event, HintReceived)
    return "hint" if is_hint and step.refused else format_event(step.event)


def format_event(event: GroupEvent) -> str:
    """Return an event in a few words."""
    match event:
        case events.AdvertReceived():
            mark = "" if event.verified else " unverified"
            rank = format_rank(event.advbase, event.advskew, event.demotion)
            return f"advert {rank} from {event.source}{mark}"
        case SolicitationReceived(source=source):
            return f"solicited from {source}"
        case events.AddressesAcquired(ok):
            return "acquired" if ok else "acquire_failed"
        case events.AddressesReleased(ok):
            return "released" if ok else "release_failed"
        case events.StepDown(pause_ns):
            return f"step_down {format_seconds(pause_ns)}"
        case events.DemotionChanged(demotion):
            return f"demotion {demotion}"
        case events.RivalHeard():
            return f"heard {_format_rival(event)}"
        case _:
            return _EVENT_WORDS[type(event)]


_EVENT_WORDS: dict[type, str] = {
    events.Start: "start",
    events.Stop: "stop",
    events.Tick: "tick",
    events.LinkUp: "link_up",
    events.LinkDown: "link_down",
    events.FramesLost: "frames_lost",
    events.AddressesLost: "addresses_lost",
    events.MacChanged: "mac_changed",
    events.ReplayRefused: "replay_refused",
    events.SequenceContested: "sequence_contested",
    events.FormChanged: "form_changed",
    events.TwinReceived: "twin_received",
    HintReceived: "sequence_contested",
    events.Solicited: "solicited",
    events.SendFailed: "send_failed",
    events.SendSucceeded: "send_succeeded",
}


def action_words(step: Step) -> list[str]:
    """Return a few words for each action of a step, and nothing for some actions."""
    return [word for word in map(format_action, step.actions) if word]


def format_action(action: actions.Action) -> str:
    """Return an action in a few words; empty if the line says it elsewhere."""
    match action:
        case actions.SendAdvert(advbase, advskew, _, demotion, family):
            word = "advert" if family is Family.IPV4 else "advert6"
            return f"{word} {format_rank(advbase, advskew, demotion)}"
        case actions.SendSolicitation(_, family):
            return "solicit" if family is Family.IPV4 else "solicit6"
        case actions.AcquireAddresses():
            return "acquire"
        case actions.ReleaseAddresses():
            return "release"
        case actions.AnnounceAddresses():
            return "announce"
        case actions.FamilySilent(family):
            return f"silent_ipv{family.value}"
        case actions.RivalAnswered():
            return _format_rival(action)
        case actions.StateChanged() | actions.SendHint():
            return ""
        case _:
            assert_never(action)


def _format_rival(rival: events.RivalHeard | actions.RivalAnswered) -> str:
    return f"rival {rival.mac.hex(':')} of {rival.address}"


def format_rank(advbase: int, advskew: int, demotion: int) -> str:
    """Return advbase/advskew, e.g. `1/100`; or `1/100+2` with a demotion of 2."""
    return f"{advbase}/{advskew}+{demotion}" if demotion else f"{advbase}/{advskew}"


def format_rejection(
    rejection: Rejection | Refusal, at: Instant, origin: Instant = 0
) -> str:
    """Return the line of a frame or an advert that no virtual host received."""
    columns = [
        format_seconds(at - origin),
        f"vhid {'-' if rejection.vhid is None else rejection.vhid}",
        f"rejected {rejection.reason.value}",
    ]
    if rejection.source is not None:
        columns.append(f"from {rejection.source}")
    datagram = rejection.datagram if isinstance(rejection, Rejection) else None
    if datagram is not None and rejection.reason is RejectReason.BADTTL:
        columns.append(f"ttl {datagram.ttl}")
    return "  ".join(columns)
