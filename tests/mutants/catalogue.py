"""The mutants: what is changed where, and which laws and tests must notice.

`laws` are those of `tests.properties` that must object within `CLUSTERS` clusters.
Without laws only a unit test can notice it: the simulator does not go there, shares
the mistake, or the group compensates for it.  `tests` must fail in any case.

One change has no mutant, because it changes nothing that can be seen: an `Advertiser`
that is no longer suppressed need not set `_send_successes` to 0.  The next failure
does so, and until then only successes are counted.
"""

from dataclasses import dataclass

CLUSTERS = 200
"""For each law that must object."""

CLUSTERS_OF_OTHERS = 8
"""For each law that may."""

FSM = "election/fsm.py"
INGRESS = "node/ingress.py"
FSM_TESTS = (
    "election/test_fsm.py",
    "election/test_fsm_conversations.py",
    "election/test_fsm_sending.py",
    "election/test_situations.py",
    "election/test_ucarp_rules.py",
    "election/test_comparison.py",
    "election/test_ties.py",
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file of the package in which `old` has become `new`."""

    name: str
    file: str
    old: str
    new: str
    laws: tuple[str, ...] = ()
    tests: tuple[str, ...] = FSM_TESTS


def _fsm(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, FSM, old, new, laws)


def _situation(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "election/situations.py", old, new, laws)


def _rivals(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "node/rivals.py", old, new, (), ("node/test_rivals.py",))


def _queue(name: str, old: str, new: str) -> Mutant:
    tests = ("election/test_script_queue.py",)
    return Mutant(name, "election/script_queue.py", old, new, (), tests)


def _comparison(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "election/comparison.py", old, new, laws)


def _ties(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "election/ties.py", old, new, laws, ("election/test_ties.py",))


def _families(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(
        name, "election/families.py", old, new, laws, ("election/test_families.py",)
    )


def _advertiser(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(
        name, "election/advertiser.py", old, new, laws, ("election/test_advertiser.py",)
    )


def _ingress(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, INGRESS, old, new, laws, ("node/test_ingress.py",))


def _auth(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "wire/auth.py", old, new, laws, ("wire/test_auth.py",))


def _frames(name: str, old: str, new: str) -> Mutant:
    tests = ("wire/test_decode.py", "wire/test_encode.py")
    return Mutant(name, "wire/decode.py", old, new, (), tests)


def _built(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "wire/encode.py", old, new, (), ("wire/test_encode.py",))


def _egress(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "node/egress.py", old, new, laws, ("node/test_egress.py",))


def _flood(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "filter/flood.py", old, new, (), ("filter/test_flood.py",))


def _scripts(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(
        name,
        "election/script_queue.py",
        old,
        new,
        laws,
        ("election/test_script_queue.py",),
    )


def _tenure(name: str, old: str, new: str, *laws: str) -> Mutant:
    tests = ("election/test_tenure.py",)
    return Mutant(name, "election/tenure.py", old, new, laws, tests)


def _permission(name: str, old: str, new: str, *laws: str) -> Mutant:
    tests = ("election/test_permission.py",)
    return Mutant(name, "election/permission.py", old, new, laws, tests)


def _node(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "node/groups.py", old, new, laws, ("node/test_groups.py",))


def _guard(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(
        name, "node/replay_guard.py", old, new, laws, ("node/test_replay_guard.py",)
    )


def _hints(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "node/hints.py", old, new, (), ("node/test_hints.py",))


def _tables(name: str, old: str, new: str) -> Mutant:
    tests = ("node/test_bounded_table.py",)
    return Mutant(name, "node/bounded_table.py", old, new, (), tests)


def _sequence(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "node/counter.py", old, new, laws, ("node/test_counter.py",))


_NO_ATTACKER = "an_attacker_changes_nothing"
_BROADCAST = "no_second_holder_while_broadcast_passes"
_IN_NO_WAY = "the_guard_never_disturbs_honest_hosts"
_NO_SECOND = "a_failed_daemon_leaves_no_second_holder"
_AT_ONCE = "a_killed_daemon_is_succeeded_at_once"
_KEEPS = "the_last_living_host_keeps_its_address"
_PREEMPTS = "if config.preempt and is_slower and theirs.demotion >= ours.demotion:"
_SLOWER = "is_slower = ours.interval_ns < theirs.interval_ns"
_TIE = "source is None or tie_break(theirs.source) < tie_break(source)"
_PREFERRED = "is_preferred = is_lost or theirs.interval_ns < ours.interval_ns"
_YIELDS = "if is_preferred and theirs.demotion <= ours.demotion:"
_CLAIMS = "return [changed, *ours.advert(now), *ours.solicit(now), AcquireAddresses()]"
_FROM_AFAR = (
    "if datagram.ttl != TTL and not (door and datagram.source.packed in door.peers):"
)
_LISTENS = "        self.situation = Listening(now + self._master_down_ns, self._master_down_ns)\n        "
_EXTENDS = "self.master_down_at = max(self.master_down_at, master_down_at)"
_DEMOTED = "a_demoted_master_is_replaced"
_COMPANY = "any_combination_settles"
_HEARD = "no_take_over_without_a_reason"

MUTANTS = (
    # What a backup decides.
    _comparison("preempts uninvited", _PREEMPTS, _PREEMPTS.replace("config.preempt and ", ""), _HEARD),
    _comparison("preempts the better", _SLOWER, _SLOWER.replace("<", ">"), "preemption_ends_at_the_shortest_interval"),
    _comparison("preempts an equal", _SLOWER, _SLOWER.replace("<", "<="), "no_flapping"),
    _comparison("never too slow", "return config.master_down_interval_ns < theirs.interval_ns", "return False"),
    _comparison("always too slow", "return config.master_down_interval_ns < theirs.interval_ns", "return True", _HEARD),
    _fsm("hears in vain", _LISTENS + "return silent", "        return silent", _HEARD),
    _comparison("preempts while demoted", _PREEMPTS, _PREEMPTS.replace(" and theirs.demotion >= ours.demotion", "")),
    _comparison("a demoted master is good enough", "if theirs.demotion > ours.demotion:", "if False:", _DEMOTED),
    _comparison("takes a slow master for a dead one", "theirs.demotion >= ours.demotion or theirs.is_farewell", "True"),
    _comparison("the demoted hears no farewell", "theirs.demotion >= ours.demotion or theirs.is_farewell", "theirs.demotion >= ours.demotion"),
    _comparison("takes over from its like", "if theirs.demotion > ours.demotion:", "if theirs.demotion >= ours.demotion:", _HEARD),
    _fsm("probes no sender", "if refused_ns is None or listening.has_probed:", "if True or refused_ns is None:"),
    _fsm("probes for ever", "if refused_ns is None or listening.has_probed:", "if refused_ns is None:"),
    _fsm("waits as long as it is told", "min(refused_ns * 5 // 4, self._master_down_ns)", "refused_ns * 5 // 4"),
    _fsm("remembers an earlier refusal", _LISTENS + "return silent", "        assert isinstance(self.situation, Listening)\n        self.situation.master_down_at = now + self._master_down_ns\n        return silent"),
    _fsm("no wait at the start", "listening = Listening(now + self._master_down_ns, self._master_down_ns)", "listening = Listening(now, self._master_down_ns)", _HEARD),
    _fsm("a shorter wait", "self._master_down_ns = config.master_down_interval_ns", "self._master_down_ns = config.master_down_interval_ns - 1", _HEARD),
    _fsm("silence is always over", "case Listening() as listening, events.Tick() if now >= listening.deadline:", "case Listening() as listening, events.Tick():", "early_ticks_change_nothing"),
    _fsm("an advert is always due", "if now < master.advert_at:", "if False:", "early_ticks_change_nothing"),
    _situation("answers a rival at once", "        self.answer_at = max(now + ANSWER_AFTER_NS, self.answer_at)", "        self.answer_at = max(now, self.answer_at)"),
    _situation("answers rivals as often as they come", "        self.rival, self.answer_at = None, now + ANSWER_INTERVAL_NS", "        self.rival, self.answer_at = None, now"),
    _situation("answers one rival for ever", "        self.rival, self.answer_at = None, now + ANSWER_INTERVAL_NS", "        self.answer_at = now + ANSWER_INTERVAL_NS"),
    _situation("names no rival", "        return [RivalAnswered(rival.address, rival.mac), AnnounceAddresses()]", "        return [AnnounceAddresses()]"),
    _situation("does not wake up for its answer", "        return min(self.advert_at, self.answer_at)", "        return self.advert_at"),
    _fsm("lets a rival put off its answer", "case Holding(rival=None) as holding, events.RivalHeard() as rival:", "case Holding() as holding, events.RivalHeard() as rival:"),
    _fsm("answers no rival", "                holding.note_rival(rival, now)", "                pass"),
    _fsm("adverts whenever it answers a rival", "        if now < master.advert_at:\n            return answer", "        if False:\n            return answer"),
    _fsm("announces twice with one advert", "        announcement = [AnnounceAddresses()] if again and not answer else answer", "        announcement = [*answer, AnnounceAddresses()] if again else answer"),
    _rivals("takes its own frames for a rival's", "    return None if mac in own else RivalHeard(address, mac)", "    return RivalHeard(address, mac)"),
    _rivals("takes its own virtual MAC for a rival's", "    own = (nic_mac, kernel_mac(config.vhid)) if config.vmac else (nic_mac,)", "    own = (nic_mac,)"),
    _rivals("takes claims to any address for a rival's", "    if claim is None or claim.announcement.address not in config.vips:", "    if claim is None:"),
    _queue("lets two scripts cancel each other beside a conflict", "        is_last = self.waiting in (None, job) or self.running is Job.CONFLICT", "        is_last = self.waiting in (None, job)"),
    _situation("trusts the silence after a stop", _EXTENDS, "pass", "a_stall_does_no_harm_beyond_itself"),
    _situation("extends for ever", "if not self.has_extended:", "if True:"),
    _situation("lost frames shorten a wait", _EXTENDS, "self.master_down_at = master_down_at"),
    # Pauses.
    _fsm("a pause of no length", "self._pause(wait, now + pause_ns)", "self._pause(wait, now)"),
    _fsm("listens while it pauses", "listening.master_down_at = until + self._master_down_ns", "listening.master_down_at = until", "stepping_down_hands_over"),
    _fsm("no pause after leaving", "self._enter_backup(cause, now, now + leaving.pause_ns)", "self._enter_backup(cause, now)", _HEARD),
    _fsm("a pause that adverts cut short", "max(end, now + self._master_down_ns) if is_alive", "now + self._master_down_ns if is_alive"),
    _fsm("a farewell in a pause is lost", "max(end, now + self._master_down_ns) if is_alive else end", "max(end, now + self._master_down_ns)"),
    _fsm("a pause without an end", "case Paused(until, listening) if now >= until:", "case Paused(until, listening) if False:"),
    _fsm("a pause longer than it is", "case Paused(until, listening) if now >= until:", "case Paused(until, listening) if now > until:"),
    _fsm("a flap ends the pause", "self.situation = Deaf(backup.until)", "self.situation = Deaf()"),
    _fsm("a flap ends the pause, later", "self._listen(paused_until, now)", "self._listen(0, now)"),
    _fsm("the deaf do not pause", "self.situation = Deaf(now + pause_ns)", "pass"),
    _fsm("a pause that is over shortens the wait", "        if now < paused_until:\n", "        if paused_until:\n"),
    _fsm("no pause after a failure", "self._enter_backup(Cause.ADDRESS_FAILED, now, until)", "self._enter_backup(Cause.ADDRESS_FAILED, now)"),
    _fsm("failures are not counted", "        self._backoff.note_failure()\n", ""),
    _fsm("a success is not counted", "        self._backoff.note_success()\n", ""),
    # What a master decides.
    _comparison("never yields to the better", _PREFERRED, "is_preferred = is_lost", "one_master_after_faults"),
    _comparison("never yields a tie", _PREFERRED, "is_preferred = theirs.interval_ns < ours.interval_ns", "a_tie_settles"),
    _comparison("yields to a demoted one", _YIELDS, "if is_preferred:"),
    _comparison("clings to the address though demoted", "return Cause.DEMOTION if theirs.demotion < ours.demotion else None", "return None", _DEMOTED),
    _fsm("its last word beats its successor", "last_advert = ours.advert(now) if cause is Cause.BETTER_MASTER else []", "last_advert = ours.advert(now)"),
    _fsm("keeps its demotion to itself", "return self.advertiser.advert(now) if is_news else []", "return []"),
    _fsm("repeats its demotion", "is_news = demotion != self.advertiser.demotion and", "is_news ="),
    _fsm("each family decides ties", "if decides and theirs.interval_ns == ours.interval_ns:", "if theirs.interval_ns == ours.interval_ns:", _COMPANY),
    _ties("yields at once", "return Tie.ANSWER\n        # A frame", "return Tie.YIELD if is_lost else Tie.ANSWER\n        # A frame", "a_tie_settles"),
    _ties("answers for ever", "return Tie.YIELD if is_lost and not is_twice else Tie.STAY", "return Tie.STAY", "a_tie_settles"),
    _ties("a duplicate counts as a tie", "return Tie.YIELD if is_lost and not is_twice else Tie.STAY", "return Tie.YIELD if is_lost else Tie.STAY"),
    _ties("one counter is one tie", "is_twice = is_same and now - answered.at <= interval_ns // 2", "is_twice = is_same"),
    _ties("answers without end", "if answered is None or now - answered.at >= meeting_ns:", "if answered is None or not is_lost or now - answered.at >= meeting_ns:"),
    _ties("answers one advert", "if answered is None or now - answered.at >= meeting_ns:", "if answered is None:"),
    _ties("a tie is lost for ever", "meeting_ns = self._config().master_down_interval_ns if is_lost else interval_ns", "meeting_ns = interval_ns"),
    _ties("answers any number", "if answered is None and len(self._answered) == PEERS_MAX:", "if False:"),
    _ties("ties outlive the mastership", "self._answered.clear()", "pass"),
    _ties("yields every tie", _TIE, _TIE.replace("<", "!="), _HEARD),
    _ties("yields the wrong tie", _TIE, _TIE.replace("<", ">"), _HEARD),
    _fsm("keeps a tie in silence", "answer = ours.advert(now) if tie is Tie.ANSWER else []", "answer: list[Action] = []"),
    _advertiser("shows its form without end", "if answered_at is not None and now - answered_at < self.interval_ns:", "if False:"),
    _fsm("keeps its form to itself", "case Master(), events.FormChanged():", "case Idle(), events.FormChanged():"),
    _fsm("announces after a kernel", "return [*announcement, *self.advertiser.advert(now)]", "return [*self.advertiser.advert(now), *announcement]"),
    _fsm("yields without a word", "return [*last_advert, *self._give_way(cause, now)]", "return self._give_way(cause, now)"),
    # Families.
    _families("a family that is never missed", "and self.deadline_of(other) <= now", "and False"),
    _families("missed too soon", "max(self._since, self._heard_at.get(family, 0))", "self._heard_at.get(family, 0)"),
    _families("missed again and again", "self._reported.update(silent)", "pass"),
    _families("the second family never decides", "return heard_at is None or now - heard_at >= self._master_down_ns", "return False"),
    _fsm("does not reassert", "return self._announce(master) if isinstance(master, Holding) else []", "return []", "the_last_announcement_is_the_holders"),
    # Adverts.
    _advertiser("every other advert", "following = deadline + self.interval_ns", "following = deadline + 2 * self.interval_ns", "intervals_and_timeouts_are_exact"),
    _fsm("a late second advert", "self.situation = Claiming(self.advertiser.first_deadline(now))", "self.situation = Claiming(now + self._master_down_ns)", "intervals_and_timeouts_are_exact"),
    _fsm("claims in silence", _CLAIMS, "return [changed, AcquireAddresses()]", "intervals_and_timeouts_are_exact"),
    _fsm("claims what it does not take", _CLAIMS, "return [changed, *ours.advert(now)]", "one_master_after_faults"),
    _advertiser("lateness adds up", "following = deadline + self.interval_ns", "following = now + self.interval_ns"),
    _advertiser("a volley after a stop", "return following if following > now else self.first_deadline(now)", "return following"),
    _advertiser("all groups in one instant", "part, parts = self.place", "part, parts = 0, 1"),
    _node("takes over for all at once", "if group is first or", "if True or"),
    _advertiser("one counter for all", "counter = self._draw_counter(now)", "counter = 7", "one_master_after_faults"),
    _advertiser("counters from elsewhere", "self._draw_counter = draw_counter", 'self._draw_counter = lambda now: __import__("secrets").randbits(64)', "one_seed_is_one_run"),
    _advertiser("demotion that is not advertised", "min(advskew + self._demotion, SUPPRESSED_SKEW)", "advskew", _DEMOTED),
    _advertiser("demotion without a limit", "min(advskew + self._demotion, SUPPRESSED_SKEW)", "advskew + self._demotion"),
    _advertiser("only one family", "for family in self._families:", "for family in self._families[:1]:", _COMPANY),
    _advertiser("knows no own advert", "return counter in self._own_counters", "return False"),
    _advertiser("never suppressed", "return self._send_failures >= SEND_FAILURES_MAX", "return False"),
    # Ways out.
    _fsm("farewell before the release", "return [] if isinstance(master, Leaving) else [ReleaseAddresses()]", "return [] if isinstance(master, Leaving) else [*self.advertiser.farewell(now), ReleaseAddresses()]", "a_farewell_never_leaves_two_holders"),
    _fsm("farewell with the address", "farewell = self.advertiser.farewell(now) if ok else []", "farewell = self.advertiser.farewell(now)"),
    _fsm("leaves twice", "case Claiming() | Holding() as master, events.StepDown(pause_ns):", "case Master() as master, events.StepDown(pause_ns):"),
    _fsm("releases again when it stops", "return [] if isinstance(master, Leaving) else [ReleaseAddresses()]", "return [ReleaseAddresses()]"),
    _fsm("releases twice", "return [self._left(self.situation, cause, now)]", "return [self._left(self.situation, cause, now), ReleaseAddresses()]", "acquire_and_release_alternate"),
    _fsm("hands over and stays", "case Master() as master, events.Stop():", "case (Claiming() | Holding()) as master, events.Stop():"),
    _fsm("releases what it should leave", "releases = [] if self.config.neutral else", "releases = [] if not self.config.neutral else", "acquire_and_release_alternate"),
    _fsm("never gives up an address", "return self._announce(master) if ok else self._address_failed(now)", "return self._announce(master)"),
    _fsm("takes lost addresses again for ever", "if regained_at is not None and now - regained_at < self._master_down_ns:", "if False:"),
    # Cables.
    _fsm("a cable that is never out", "self.situation = Deaf(backup.until)", "pass", _HEARD),
    _fsm("deaf after a mastership, but not quite", "return [*self._give_way(Cause.LINK_DOWN, now), *self.handle(event, now)]", "return self._give_way(Cause.LINK_DOWN, now)"),
    _fsm("never listens again", "self._listen(paused_until, now)", "pass"),
    # What is believed.
    _ingress("hears every VLAN", "if datagram.vlan != UNTAGGED:", "if False:"),
    _ingress("hears itself", "if datagram.source.packed in self._own_sources:", "if False:"),
    _ingress("from any distance", _FROM_AFAR, "if False:"),
    _ingress("no peer may be routed", _FROM_AFAR, "if datagram.ttl != TTL:"),
    _ingress("a peer of one is a peer of all", _FROM_AFAR, "if datagram.ttl != TTL and not (door and door.peers):"),
    _ingress("any version", "if advert.version != header.VERSION:", "if False:"),
    _ingress("any group number", "door = self._hosts.get(advert.vhid)", "door = next(iter(self._hosts.values()))"),
    _ingress("a family without addresses", "for family in config.families\n        }", "for family in Family\n        }"),
    _ingress("any multicast group", "if not is_ours and datagram.destination.packed not in destinations:", "if False:", "only_adverts_of_peers_are_accepted"),
    _ingress("peers of one family are peers of both", "any(Family.of(peer) is family for peer in config.peers)", "bool(config.peers)"),
    _ingress("no checksum", "if not datagram.header_ok or not header.has_valid_checksum(datagram.payload):", "if not datagram.header_ok:", "only_adverts_of_peers_are_accepted"),
    _ingress("no header checksum", "if not datagram.header_ok or not header.has_valid_checksum(datagram.payload):", "if not header.has_valid_checksum(datagram.payload):", "only_adverts_of_peers_are_accepted"),
    _ingress("any password", "if verifier is not None and form is None:", "if False:", "only_adverts_of_peers_are_accepted"),
    _ingress("a second password is not believed", "second_key=config.second_key, type=each", "type=each", "a_change_of_password_loses_no_advert"),
    _ingress("every password is the second one", "form.key is self.config.second_key", "True"),
    _auth("only the first password counts", "else (key, second_key)", "else (key,)", "a_change_of_password_loses_no_advert"),
    _auth("only the second password counts", "else (key, second_key)", "else (second_key,)", "a_change_of_password_loses_no_advert"),
    _egress("signs with the second password", "key = config.key or", "key = config.second_key or config.key or", "a_change_of_password_loses_no_advert"),
    _auth("the scope is signed", 'b"\\0\\0" + vip.packed[4:]', "vip.packed[2:]"),
    _auth("link-local addresses are signed always", "if link_local or not is_local", "if True"),
    _auth("a virtual MAC is signed", " and not source_mac.startswith(_VIRTUAL_MACS)", ""),
    _auth("the lowest address is signed", "kept - _UNHASHED", "kept"),
    _frames("an end that is not there", "if not start <= end <= len(packet):", "if not start <= end:"),
    _frames("a priority is a VLAN", "for number in ids if number)", "for number in ids)"),
    _frames("fragments are whole", "    if is_fragment:\n        return Defect.FRAGMENT\n", ""),
    _frames("answers are announcements", " and not is_solicited", ""),
    _built("announces without the override flag", "message.set_override_flag(True)", "message.set_override_flag(False)"),
    _built("may be forwarded", "packet.set_hop_limit(TTL)", "packet.set_hop_limit(TTL - 1)"),
    _egress("peers see the virtual MAC", "yield self.nic_mac, peer_mac, peer", "yield self._multicast_source_mac, peer_mac, peer"),
    _egress("demotion stays here", "            demotion=action.demotion,\n", "", _DEMOTED),
    _egress("peers of every family", "if Family.of(peer) is family]", "]"),
    # Scripts, routing, arithmetic.
    _scripts("nothing cancels out", "self.waiting = job if is_last else None", "self.waiting = job", "acquire_and_release_alternate"),
    _scripts("forgets the waiting job", "self.running, self.waiting = self.waiting, None", "self.running, self.waiting = None, None", "acquire_and_release_alternate"),
    _scripts("two scripts at once", "        if self.running is None:\n", "        if True:\n", "acquire_and_release_alternate"),
    _node("trusts its own counter", "if self._host.advertiser.is_own(advert.counter):", "if False:"),
    Mutant("sleeps until the last", "units.py", "return min((each", "return max((each", (), ("test_units.py",)),
    # Floods.
    _flood("narrow for ever", "case Stage.NARROW if is_over and self._may_look(now, waiting):", "case Stage.NARROW if False:"),
    _flood("one turn for ever", "self._turn += 1", "pass"),
    _flood("a flood restarts the turn", "case Stage.NARROW if overflows and self._slices < SLICES_MAX:\n                self._slices *= 2", "case Stage.NARROW if overflows:\n                self._slices = min(2 * self._slices, SLICES_MAX)"),
    _flood("a known sender waits for its turn", "turn, known = self._turn % self._slices, tuple(self._known)", "turn, known = self._turn % self._slices, ()"),
    Mutant("signed otherwise is forged", "filter/prefilter.py", "frame[6:12]) is None", "None) is None", (), ("filter/test_prefilter.py",)),
    _flood("deaf to a successor", "if now >= missed_at:", "if False:"),
    _flood("looks when the advert is due", "return just_heard or not waiting or", "return True or"),
    Mutant("no word from peers to us alone", "filter/bpf.py", "        config.source_of(family),\n", "", (), ("filter/test_bpf.py",)),
    # What was sent before.
    _node("a guard that only watches", "refused = finding in REFUSED and", "refused = False and", _NO_ATTACKER),
    _node("a guard that hears itself", "self._guard.note_sent(counter)", "pass"),
    _node("a probe for each replay of a group", "if verdict.probe else None", "if True else None"),
    _node("a hint that is not sent", "actions = [*actions, SendHint(counter, advert.source)]", "pass"),
    _node("every hint is news", "if not self._counter.is_behind(event.counter, now):", "if False:"),
    _node("a twin keeps our id", "self._counter.avoid(advert.counter)", "pass"),
    _guard("what was heard is forgotten", " and time not in self._times[number]", "", _NO_ATTACKER),
    _guard("no advert may be late", "begin = max(self._floor, self.latest(number) - WINDOW)", "begin = self.latest(number)", _IN_NO_WAY),
    _guard("one time for all", "self._marked.examine(advert, stamp)", "self._marked.examine(advert, (stamp[0], 0))", _IN_NO_WAY),
    _guard("any late time is new", "begin = max(self._floor, self.latest(number) - WINDOW)", "begin = self._floor"),
    _guard("times are never forgotten", "for each in times if each > begin", "for each in times"),
    _guard("begins with nothing", "self.raise_floor(start)", "pass"),
    _guard("no two clocks differ", "self.raise_floor(start)", "self._floor = start + START_SLACK", _IN_NO_WAY),
    _guard("no other counter was heard", "        self._heard.put(counter, claims)  # 10\n", ""),
    _guard("a changing sender may repeat", "sender.changes = True", "sender.changes = False"),
    _guard("no sender may repeat", "            self._candidates.put(advert.counter, candidate)\n", "", _IN_NO_WAY),
    _guard("repeats in no time", "            and now - candidate.since >= candidate.silence_ns\n", ""),
    _guard("repeats of a sender that has changed", "            and (sender is None or sender.fresh_at == candidate.since)\n", ""),
    _hints("hints without end", "if told_at is not None and now - told_at < HINT_PERIOD_NS:", "if False:"),
    _hints("hints to ever new hosts", "told_at = next(iter(self._hinted_at.values()))", "pass"),
    _guard("no sender continues from OpenBSD", "if known is not None and origin is not None:  # 7", "if False:"),
    _guard("takes a twin for a replay", "if known == claims and self._is_twin(advert, now):  # 8", "if False:", _IN_NO_WAY),
    _guard("a twin at any time", "and now - heard_at <= longest_ns", ""),
    _guard("a twin after any interval", "longest_ns = min(advert.interval_ns // 4, TWIN_NS)", "longest_ns = TWIN_NS"),
    _guard("a twin as late as it says", "longest_ns = min(advert.interval_ns // 4, TWIN_NS)", "longest_ns = advert.interval_ns // 4"),
    _guard("a twin in the same family", "return family is not advert.family and now", "return now"),
    _guard("twins without end", "            del self._single[counter]\n", ""),
    _guard("a twin with other claims", "if known == claims and self._is_twin(advert, now):  # 8", "if known is not None and self._is_twin(advert, now):  # 8"),
    _guard("what was missed may come later", "self._marked.raise_floor(time)", "pass"),
    _guard("a floor that sinks", "self._floor = max(self._floor, time - START_SLACK)", "self._floor = max(0, time - START_SLACK)"),
    _node("a twin counts as an advert", "self._host.handle(TwinReceived(advert), now)", "self._host.handle(advert, now)"),
    _node("never deaf", "if isinstance(event, LinkUp) and self._guard is not None:", "if False:"),
    _fsm("deaf to a twin", "case Listening() | Paused(), events.TwinReceived(theirs):", "case Idle(), events.TwinReceived(theirs):"),
    _guard("counting on may step back", "origin.counted = origin.distance(counter)", "pass"),
    _guard("no sender is ever replaced", "if gap_ns > max(silence_ns, REPLACED_NS):", "if False:"),
    _guard("a probe for each replay", "probe = finding in REFUSED and advert.counter not in self._probed", "probe = finding in REFUSED"),
    _guard("no probe at all", "probe = finding in REFUSED and advert.counter not in self._probed", "probe = False"),
    _tables("tables grow", "if len(self) >= self._length_max:", "if False:"),
    _sequence("two of one number", "self._last + 1)", "self._last)"),
    _sequence("time stands still", "(now - self._began_at) // _NS_PER_UNIT", "0"),
    _sequence("time begins in 2020", "self.start = time_at(wall_ns)", "self.start = 0"),
    _sequence("any hint will do", "return number in self._ids and self._next", "return self._next"),
    _sequence("no hint helps", "self._offset = stamp[0] + 1 - self.clock(now)", "pass"),
    _sequence("keeps an id that is taken", "if stamp[0] > self._last:", "if False:"),
    _sequence("an echo takes our id", "if stamp[0] > self._last:", "if True:"),
    _sequence("no step aside for a twin", "unit = self._draw_id() & 1", "unit = 0"),
    _sequence("steps aside without end", "and self._sidesteps < SIDESTEPS_MAX", ""),
    _sequence("marks nothing", "return divmod(top, IDS) if mark == _mark(top) else None", "return divmod(top, IDS)"),
    Mutant("one silent interval is too many", "units.py", "if advbase == 0:", "if advbase < 0:", ("one_master_after_faults",), ("test_units.py",)),
    Mutant("another order of addresses", "addresses.py", '"little"', '"big"', (), ("test_addresses.py",)),
    # Asking before taking over.
    _fsm("answers no solicitation", "events.SequenceContested() | events.Solicited():", "events.SequenceContested():", _BROADCAST),
    _fsm("answers with an advert that is due", "return self.advertiser.advert(now) if now < due else []", "return self.advertiser.advert(now)"),
    _fsm("a master that was stopped asks nothing", "case Master(), events.FramesLost():", "case Idle(), events.FramesLost():"),
    _fsm("takes over without a question", "listening.master_down_at:\n            return self.advertiser.solicit(now)", "listening.master_down_at:\n            return []", _BROADCAST),
    _fsm("a new master asks nothing", "*ours.solicit(now), AcquireAddresses()", "AcquireAddresses()"),
    _situation("asks once", "SOLICIT_BEFORE = (10, 20)", "SOLICIT_BEFORE = (10,)"),
    _situation("asks while it pauses", "return max(self.until, self.listening.deadline)", "return self.listening.deadline"),
    _egress("copies no advert", "if Family.of(host) is family and now - asked_at < ASKER_NS:", "if False:", _BROADCAST),
    _egress("copies for ever", "if Family.of(host) is family and now - asked_at < ASKER_NS:", "if Family.of(host) is family:"),
    _egress("does not reply in kind", "if heard.to_us:", "if False:", _BROADCAST),
    _egress("a refused message is heeded", "if step.refused:", "if False:"),
    _ingress("hears nothing by broadcast", "if _is_to_one_host(datagram) and destination not in self._own_sources:", "if _is_to_one_host(datagram):", _BROADCAST),
    _ingress("hears what is for another host", "if _is_to_one_host(datagram) and destination not in self._own_sources:", "if False:"),
    _node("answers a solicitation again and again", "if finding is Finding.FRESH:\n            actions = self._host.handle(Solicited(), now)", "if True:\n            actions = self._host.handle(Solicited(), now)", _NO_ATTACKER),
    _node("a copy is a replay", "return None if group.is_copy(event) else group", "return group"),
    # How long own addresses are kept.
    _tenure("keeps addresses until a peer takes over", "taken_over_ns - GRACE_NS, needed_ns", "taken_over_ns, needed_ns"),
    _tenure("keeps addresses no longer than an interval", "config.interval_ns + STALL_ALLOWED_NS", "config.interval_ns", _KEEPS),
    _tenure("tells the kernel a lifetime too long", "(kept_ns - 1) // NS_PER_S, 1)", "kept_ns // NS_PER_S + 1, 1)", _NO_SECOND),
    _tenure("trusts long lifetimes", "1), LIFETIME_MAX_S)", "1), 255)"),
    _tenure("hides an overlap", "overlap_ns=max(window_ns + lifetime_ns + GRACE_NS - taken_over_ns, 0)", "overlap_ns=0"),
    _tenure("refreshes too late", "self.window_ns - LATENESS_NS", "self.window_ns + LATENESS_NS"),
    _tenure("refreshes too rarely", "min(now + REFRESH_NS, last)", "last"),
    _node("uses up the counters of a farewell that nothing sends", "self._counter.peek(now, ahead)", "self._counter.draw(now)"),
    _node("has one counter for two farewells", "self._counter.peek(now, ahead)", "self._counter.peek(now)"),
    _node("has the last counter for its last will", "self._counter.peek(now, ahead)", "self._counter.peek(now, ahead - 1)", _AT_ONCE),
    _permission("takes without a permission", "return now < self.advert + self._tenure.kept_ns", "return True"),
    _permission("keeps addresses twice as long", "self.advert + self._tenure.kept_ns if", "self.advert + 2 * self._tenure.kept_ns if"),
    _permission("gives addresses up at each refresh", "        return True\n\n    def _refresh_and", "        return False\n\n    def _refresh_and", _KEEPS),
    _permission("refreshes after the window", "if now <= self.advert + self._tenure.window_ns:", "if True:"),
    _permission("refreshes at no advert", "if now >= due:", "if False:"),
    _permission("refreshes at adverts only", "self._refresh_at = self._tenure.next_refresh(self.advert, now)", "self._refresh_at = None", _KEEPS),
    _permission("refreshes as often as adverts are sent", "due = self._refreshed_at + WINDOW_MIN_NS", "due = now"),
    _permission("refreshes what is not held", "if not self._is_used:", "if False:"),
    _ties("answers again after a stall", "if answered.at >= due:", "if False:"),
    _ties("answers nothing again after a stall", "if answered.at >= due:", "if True:"),
)  # fmt: skip
"""Rows of a table are as long as they are."""
