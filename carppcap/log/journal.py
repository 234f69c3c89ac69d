"""What the log says of steps, rejections and scripts, in the original's words.

A fold over what has happened: it decides nothing.  What can come with every frame is
said once and then once a minute, with a count of what was held back.
"""

from carppcap.election.actions import (
    AnnounceAddresses,
    Cause,
    FamilySilent,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesLost, AdvertReceived
from carppcap.errors import N_, LinkError
from carppcap.filter.flood import FloodBegan, FloodEnded
from carppcap.log.limited import LimitedLog
from carppcap.log.rejections import Complaints
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.node.timeline import format_rejection, format_step
from carppcap.system.scripts import Job, Outcome
from carppcap.system.syslog import Level, Log
from carppcap.units import NS_PER_S, Instant
from carppcap.wire.header import BOW_OUT

_CAUSE_LINES = {
    Cause.PREEMPTION: N_("Putting MASTER down - preemption"),
    Cause.MASTER_TOO_SLOW: N_("Putting MASTER DOWN (going to time out)"),
    Cause.BETTER_MASTER: N_("Preferred master advertised: going back to BACKUP state"),
}

_DEMOTION_LINES = {
    State.MASTER: N_("The master is more demoted than this host: taking over"),
    State.BACKUP: N_("This host is demoted, and another master is less so: giving way"),
}


class Journal:
    """The log of one virtual host.  `origin` is the instant timelines count from."""

    def __init__(self, log: Log, config: VirtualHostConfig, origin: Instant) -> None:
        self._log = log
        self._config = config
        self._origin = origin
        self._complaints = Complaints(log, config)
        self._limited = LimitedLog(log)

    def step(self, step: Step) -> None:
        """Say what came of an event."""
        if step.refusal is not None:
            self._debug(step)
        change = next((a for a in step.actions if isinstance(a, StateChanged)), None)
        if change is not None:
            self._change(step, change)
        elif isinstance(step.event, AddressesLost) and step.actions:
            self._log.warning(
                "{address} was taken away from this master: taking it again",
                address=", ".join(map(str, self._config.vips)),
            )
        elif (
            step.state is State.MASTER
            and isinstance(step.event, AdvertReceived)
            and AnnounceAddresses() in step.actions
            # Who takes leave does so in each family, and we are master at the first.
            and not step.event.advbase == step.event.advskew == BOW_OUT
        ):
            self._limited.write(
                Level.WARNING,
                step.at,
                ("reassert", step.event.source),
                N_(
                    "Non-preferred master advertising: reasserting control of VIP with "
                    "another gratuitous arp{limited}"
                ),
            )
        for action in step.actions:
            if isinstance(action, FamilySilent):
                self._family_silent(action, step)
            elif isinstance(action, SendAdvert) and step.state is State.BACKUP:
                self._asked(step)
        self._complaints.finding(step)
        if step.refusal is None:
            self._debug(step)

    def _debug(self, step: Step) -> None:
        if self._log.is_debugging:
            self._log.debug("{line}", line=format_step(step, self._origin))

    def _asked(self, step: Step) -> None:
        if any(isinstance(action, StateChanged) for action in step.actions):
            return  # It was a master's last word.
        self._limited.write(
            Level.NOTICE,
            step.at,
            "asked",
            N_(
                "What was refused may have been an honest master's: asking it by an "
                "advert before taking over{limited}"
            ),
        )

    def _family_silent(self, silent: FamilySilent, step: Step) -> None:
        self._limited.write(
            Level.WARNING,
            step.at,
            silent,
            N_(
                "No advert of the master arrives over IPv{version} any more: a BSD "
                "kernel would take over{limited}"
            ),
            version=silent.family.value,
        )

    def _change(self, step: Step, change: StateChanged) -> None:
        line = _CAUSE_LINES.get(change.cause)
        if change.cause is Cause.DEMOTION:
            line = _DEMOTION_LINES[change.new]
        if line is not None:
            self._log.warning(line)
        if change.cause is Cause.ADDRESS_FAILED:
            self._log.error(
                "The up script failed and {address} is not on this host: stepping "
                "aside so that a peer can take it",
                address=", ".join(map(str, self._config.vips)),
            )
        level = Level.INFO if change.new is State.INIT else Level.WARNING
        self._log.write(
            level, N_("Switching to state: {state}"), state=change.new.value
        )
        self._log.info(
            "{interface} id {vhid}: {old} -> {new} ({cause})",
            interface=step.interface,
            vhid=step.vhid,
            old=change.old.value,
            new=change.new.value,
            cause=change.cause.value,
        )

    def status(self, state: State) -> None:
        """The line that SIGUSR1 asks for."""
        self._log.info(
            "{state} on {interface} id {vhid}",
            state=state.value,
            interface=self._config.interface,
            vhid=self._config.vhid,
        )

    def rejection(self, rejection: Rejection, at: Instant) -> None:
        """Say why a frame moved nothing, unless it was none of our business."""
        if self._log.is_debugging:
            line = format_rejection(rejection, at, self._origin)
            self._log.debug("{line}", line=line)
        self._complaints.rejection(rejection, at)

    def flood(self, news: FloodBegan | FloodEnded, at: Instant) -> None:
        """The filter was narrowed, or is wide again."""
        values: dict[str, object]
        if isinstance(news, FloodBegan):
            text = N_(
                "About {rate} frames a second that are no adverts of ours: taking "
                "only what could be one{limited}"
            )
            values = {"rate": news.rate}
        else:
            text = N_(
                "The flood is over after {seconds} s and {frames} frames read: taking "
                "all of protocol 112 again{limited}"
            )
            seconds = f"{news.duration_ns / NS_PER_S:.1f}"
            values = {"seconds": seconds, "frames": news.frames}
        # A flood may fill the list of complaints with names, but not this one.
        self._limited.write(Level.WARNING, at, type(news), text, **values)

    def frames_lost(self, at: Instant) -> None:
        """What had arrived while we were held up found no room."""
        text = N_("Frames were lost while this process was held up{limited}")
        self._limited.write(Level.NOTICE, at, "lost", text)

    def send_failure(self, why: object, at: Instant) -> None:
        """A frame could not be sent."""
        self._limited.write(
            Level.WARNING,
            at,
            ("send", str(why)),
            N_("write() has failed: {why}{limited}"),
            why=why,
        )

    def holding_failure(self, error: LinkError) -> None:
        """Our own interface for the addresses could not be made, or removed."""
        self._log.error(error.template, **error.values)

    def script_started(self, command: tuple[str, ...]) -> None:
        """A script was started."""
        self._log.warning("Spawning [{command}]", command=" ".join(command))

    def script_postponed(self, command: tuple[str, ...], why: str) -> None:
        """A down script cannot be started now, and will be as soon as it can."""
        self._log.error(
            "Unable to exec {command}: {why}; trying again every second",
            command=" ".join(command),
            why=why,
        )

    def waiting_for(self, command: tuple[str, ...]) -> None:
        """We are to leave, and a script still runs."""
        if command:
            self._log.info(
                "Waiting for [{command}] before leaving; signal again to kill it",
                command=" ".join(command),
            )

    def script_ended(self, outcome: Outcome, ok: bool) -> None:
        """A script ended; `ok` tells whether the addresses are as it should be."""
        command = " ".join(outcome.command)
        if outcome.error:
            self._log.error(
                "Unable to exec {command}: {why}", command=command, why=outcome.error
            )
        elif outcome.overdue:
            self._log.error(
                "Script [{command}] took too long and was killed", command=command
            )
        elif outcome.exit_code is not None and outcome.exit_code < 0:
            self._log.error(
                "Script [{command}] was ended by signal {number}",
                command=command,
                number=-outcome.exit_code,
            )
        elif outcome.exit_code:
            # A down script that finds nothing to take down is nothing to worry about.
            harmless = ok and outcome.job is Job.RELEASE
            say = self._log.info if harmless else self._log.warning
            say(
                N_("Script [{command}] exited with code {code}"),
                command=command,
                code=outcome.exit_code,
            )
        else:
            self._log.debug("Script [{command}] succeeded", command=command)
        if not ok and outcome.job is Job.RELEASE:
            self._log.error(
                "The down script failed and this host still has {address}",
                address=", ".join(map(str, self._config.vips)),
            )
