"""What the log says of steps, rejections and scripts, in the original's words.

A fold over what has happened: it decides nothing.  What can come with every frame is
said once and then once a minute, with a count of what was held back.
"""

from carppcap.actions import (
    AnnounceAddresses,
    Cause,
    FamilySilent,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.advert import Advert
from carppcap.config import VirtualHostConfig
from carppcap.diagnose import is_signed_for_ours
from carppcap.errors import LinkError
from carppcap.events import AddressesLost, AdvertReceived
from carppcap.flood import FloodBegan, FloodEnded
from carppcap.frames import Datagram
from carppcap.guard import Finding
from carppcap.i18n import translate
from carppcap.ingress import Rejection, RejectReason
from carppcap.node import Step
from carppcap.options import N_
from carppcap.ratelimit import RateLimit
from carppcap.system.scripts import Job, Outcome
from carppcap.system.syslog import Level, Log
from carppcap.timeline import format_rejection, format_step
from carppcap.units import NS_PER_S, Instant

QUIET_PERIOD_NS = 60 * NS_PER_S

_CAUSE_LINES = {
    Cause.PREEMPTION: N_("Putting MASTER down - preemption"),
    Cause.MASTER_TOO_SLOW: N_("Putting MASTER DOWN (going to time out)"),
    Cause.BETTER_MASTER: N_("Preferred master advertised: going back to BACKUP state"),
}

_DEMOTION_LINES = {
    State.MASTER: N_("The master is more demoted than this host: taking over"),
    State.BACKUP: N_("This host is demoted, and another master is less so: giving way"),
}


_GUARD_LINES = {
    Finding.REPLAY: (
        Level.WARNING,
        N_(
            "Replay: an advert from {source} ({mac}) was sent before; "
            "{outcome}{limited}"
        ),
    ),
    Finding.TAMPERED: (
        Level.WARNING,
        N_(
            "Tampering: an advert from {source} ({mac}) was sent before with another "
            "advbase, advskew or demotion; {outcome}{limited}"
        ),
    ),
    Finding.STALE: (
        Level.WARNING,
        N_(
            "Old advert from {source} ({mac}): a replay, or its clock went back; "
            "{outcome}{limited}"
        ),
    ),
    Finding.REPEATING: (
        Level.NOTICE,
        N_(
            "{source} ({mac}) repeats its counter, as OpenBSD does: replays of its "
            "adverts cannot be told{limited}"
        ),
    ),
    Finding.CHANGED: (
        Level.NOTICE,
        N_(
            "{source} ({mac}) repeats its counter and has changed its advbase, advskew "
            "or demotion, unless somebody else has{limited}"
        ),
    ),
}


class Journal:
    """The log of one virtual host.  `origin` is the instant timelines count from."""

    def __init__(self, log: Log, config: VirtualHostConfig, origin: Instant) -> None:
        self._log = log
        self._config = config
        self._origin = origin
        self._limit = RateLimit(QUIET_PERIOD_NS)
        self._proofs = RateLimit(QUIET_PERIOD_NS)
        self._floods = RateLimit(QUIET_PERIOD_NS)

    def step(self, step: Step) -> None:
        """Say what came of an event."""
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
        ):
            self._limited(
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
        if step.remark is not None:
            finding, datagram = step.remark.finding, step.remark.datagram
            self._guarded(finding, datagram, N_("obeyed"), step.at)
        if self._log.is_debugging:
            self._log.debug("{line}", line=format_step(step, self._origin))

    def _asked(self, step: Step) -> None:
        if any(isinstance(action, StateChanged) for action in step.actions):
            return  # It was a master's last word.
        self._limited(
            Level.NOTICE,
            step.at,
            "asked",
            N_(
                "What was refused may have been an honest master's: asking it by an "
                "advert before taking over{limited}"
            ),
        )

    def _family_silent(self, silent: FamilySilent, step: Step) -> None:
        self._limited(
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
        source = rejection.source or "?"
        key = (rejection.reason, source)
        advert, datagram = rejection.advert, rejection.datagram
        match rejection.reason:
            case RejectReason.BADLEN:
                text = N_("Bogus size: a frame of protocol 112 from {source}{limited}")
                self._limited(Level.NOTICE, at, key, text, source=source)
            case RejectReason.VRRP:
                text = N_(
                    "VRRP from {source} shares this segment and is ignored{limited}"
                )
                self._limited(Level.INFO, at, key, text, source=source)
            case RejectReason.BADTTL if datagram is not None:
                text = N_("Bad TTL: [{ttl}] (from {source}){limited}")
                self._limited(
                    Level.WARNING, at, key, text, ttl=datagram.ttl, source=source
                )
            case RejectReason.BADVER if advert is not None:
                text = N_("Bad version: [{version}] (from {source}){limited}")
                self._limited(
                    Level.WARNING, at, key, text, version=advert.version, source=source
                )
            case RejectReason.BADSUM:
                text = N_("Bad IP checksum (from {source}){limited}")
                self._limited(Level.WARNING, at, key, text, source=source)
            case RejectReason.BADAUTH if advert is not None:
                self._bad_digest(rejection, advert, at)
            case RejectReason.BADVHID if advert is not None:
                self._other_vhid(advert, source, at)
            case RejectReason.WRONG_GROUP if advert and datagram:
                self._other_group(datagram, advert, at)
            case RejectReason.REPLAY | RejectReason.TAMPERED | RejectReason.STALE if (
                datagram is not None
            ):
                finding = Finding(rejection.reason.value)
                self._guarded(finding, datagram, N_("ignored"), at)

    def _guarded(
        self, finding: Finding, datagram: Datagram, outcome: str, at: Instant
    ) -> None:
        mac = (datagram.source_mac or b"").hex(":") or "?"
        level, text = _GUARD_LINES[finding]
        self._limited(
            level,
            at,
            (finding, datagram.source),
            text,
            source=datagram.source,
            mac=mac,
            outcome=translate(outcome),
        )

    def _bad_digest(self, rejection: Rejection, advert: Advert, at: Instant) -> None:
        expected = rejection.digest_expected or b""
        self._limited(
            Level.WARNING,
            at,
            (rejection.reason, rejection.source),
            N_(
                "Bad digest - md2=[{expected}...] md=[{found}...] - Check vhid, "
                "password and virtual IP address (from {source}){limited}"
            ),
            expected=expected[:4].hex(),
            found=advert.digest[:4].hex(),
            source=rejection.source,
        )

    def _other_vhid(self, advert: Advert, source: object, at: Instant) -> None:
        """Other groups are silent; our own group under another number is not."""
        # Whoever was found to be another group is not put to proof with every advert.
        if self._proofs.admit((source, advert.vhid), at) is None:
            return
        if not is_signed_for_ours(self._config, advert):
            return
        if advert.vhid == self._config.vhid:
            self._log.warning(
                "{source} advertises our address in a family in which we have none: it "
                "may wait for our adverts there, and become master",
                source=source,
            )
        else:
            self._log.warning(
                "{source} advertises our address under vhid {theirs}, ours is {ours}: "
                "one of the two is wrong, and both may become master",
                source=source,
                theirs=advert.vhid,
                ours=self._config.vhid,
            )

    def _other_group(self, datagram: Datagram, advert: Advert, at: Instant) -> None:
        key = (datagram.source, datagram.destination)
        if self._proofs.admit(key, at) is None:
            return
        if is_signed_for_ours(self._config, advert):
            self._log.warning(
                "{source} advertises to {theirs}, we listen to {ours}: one --mcastip "
                "is wrong, and both may become master",
                source=datagram.source,
                theirs=datagram.destination,
                ours=self._config.group,
            )

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
        # Not among the names that a flood may fill the other one with.
        self._limited(Level.WARNING, at, type(news), text, self._floods, **values)

    def send_failure(self, why: object, at: Instant) -> None:
        """A frame could not be sent."""
        self._limited(
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

    def _limited(
        self,
        level: Level,
        at: Instant,
        key: object,
        template: str,
        limit: RateLimit | None = None,
        **values: object,
    ) -> None:
        held = (limit or self._limit).admit(key, at)
        if held is not None:
            limited = ""
            if held:
                limited = translate(" [{held} more in between]").format(held=held)
            self._log.write(level, template, limited=limited, **values)
