"""Steps as lines of text: one format for replay, simulation, `--debug` and manual.

    3.000000  vhid 7  BACKUP -> MASTER  master_down  advert 1/0 acquire  next 4.000000
    at        host    state             why          actions in order    deadline

Times are seconds since the start of the run.
"""

from carppcap.addresses import Family
from carppcap.election.actions import (
    AcquireAddresses,
    Action,
    AnnounceAddresses,
    FamilySilent,
    ReleaseAddresses,
    SendAdvert,
    StateChanged,
)
from carppcap.election.events import (
    AddressesAcquired,
    AddressesLost,
    AddressesReleased,
    AdvertReceived,
    DemotionChanged,
    Event,
    FramesLost,
    LinkDown,
    LinkUp,
    ReplayRefused,
    SendFailed,
    SendSucceeded,
    SequenceContested,
    Start,
    StepDown,
    Stop,
    Tick,
)
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.units import Instant, format_seconds


def is_quiet(step: Step) -> bool:
    """Whether nothing came of it but, perhaps, another deadline, nor is to be said."""
    return not step.actions and step.remark is None


def format_step(step: Step, origin: Instant = 0) -> str:
    """One line, without its end."""
    change = next((a for a in step.actions if isinstance(a, StateChanged)), None)
    if change is None:
        state, why = step.state.value, format_event(step.event)
    else:
        state = f"{change.old.value} -> {change.new.value}"
        why = change.cause.value
        if isinstance(step.event, AdvertReceived):
            why = f"{why} by {format_event(step.event)}"
    if step.remark is not None:
        why = f"{why} {step.remark.finding.value}"
    columns = [f"{format_seconds(step.at - origin)}", f"vhid {step.vhid}", state, why]
    actions = [word for word in map(format_action, step.actions) if word]
    if actions:
        columns.append(" ".join(actions))
    if step.deadline is not None:
        columns.append(f"next {format_seconds(step.deadline - origin)}")
    return "  ".join(columns)


def format_event(event: Event) -> str:
    """An event in a word or a few."""
    match event:
        case AdvertReceived():
            mark = "" if event.verified else " unverified"
            rank = format_rank(event.advbase, event.advskew, event.demotion)
            return f"advert {rank} from {event.source}{mark}"
        case AddressesAcquired(ok):
            return "acquired" if ok else "acquire_failed"
        case AddressesReleased(ok):
            return "released" if ok else "release_failed"
        case StepDown(hold_ns):
            return f"step_down {format_seconds(hold_ns)}"
        case DemotionChanged(demotion):
            return f"demotion {demotion}"
        case _:
            return _EVENT_WORDS[type(event)]


_EVENT_WORDS: dict[type, str] = {
    Start: "start",
    Stop: "stop",
    Tick: "tick",
    LinkUp: "link_up",
    LinkDown: "link_down",
    FramesLost: "frames_lost",
    AddressesLost: "addresses_lost",
    ReplayRefused: "replay_refused",
    SequenceContested: "sequence_contested",
    SendFailed: "send_failed",
    SendSucceeded: "send_succeeded",
}


def format_action(action: Action) -> str:
    """An action in a word; a change of state stands in its own column."""
    match action:
        case SendAdvert(advbase, advskew, _, demotion, family):
            word = "advert" if family is Family.IPV4 else "advert6"
            return f"{word} {format_rank(advbase, advskew, demotion)}"
        case AcquireAddresses():
            return "acquire"
        case ReleaseAddresses():
            return "release"
        case AnnounceAddresses():
            return "announce"
        case FamilySilent(family):
            return f"silent_ipv{family.value}"
        case StateChanged():  # pragma: no branch - these are all
            return ""


def format_rank(advbase: int, advskew: int, demotion: int) -> str:
    """`1/100`, or `1/100+2` for who is demoted by two."""
    return f"{advbase}/{advskew}+{demotion}" if demotion else f"{advbase}/{advskew}"


def format_rejection(rejection: Rejection, at: Instant, origin: Instant = 0) -> str:
    """One line for a frame that moved nothing."""
    vhid = "-" if rejection.vhid is None else str(rejection.vhid)
    columns = [
        format_seconds(at - origin),
        f"vhid {vhid}",
        f"rejected {rejection.reason.value}",
    ]
    if rejection.source is not None:
        columns.append(f"from {rejection.source}")
    if rejection.datagram is not None and rejection.reason.value == "badttl":
        columns.append(f"ttl {rejection.datagram.ttl}")
    return "  ".join(columns)
