"""The mutants: what is changed where, and which laws and tests must notice.

`laws` are those of `tests.properties` that must object within `CLUSTERS` clusters.
Without laws only a unit test can notice it: the simulator does not go there, shares
the mistake, or the group compensates for it.  `tests` must fail in any case.

Not here, because nobody could tell: leaving out the reset of `_leaving` in
`_become_init`, of `_hold_until` in `_become_master`, of `_send_successes` on a cure.
"""

from dataclasses import dataclass

CLUSTERS = 150
"""For each law that must object."""

CLUSTERS_OF_OTHERS = 8
"""For each law that may."""

FSM = "election/fsm.py"
INGRESS = "node/ingress.py"
FSM_TESTS = (
    "election/test_fsm.py",
    "election/test_fsm_conversations.py",
    "election/test_fsm_sending.py",
    "election/test_ucarp_rules.py",
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


def _ties(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "election/ties.py", old, new, laws, ("election/test_ties.py",))


def _hearing(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(
        name, "election/families.py", old, new, laws, ("election/test_families.py",)
    )


def _voice(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(
        name, "election/advertiser.py", old, new, laws, ("election/test_advertiser.py",)
    )


def _ingress(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, INGRESS, old, new, laws, ("node/test_ingress.py",))


def _auth(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "wire/auth.py", old, new, (), ("wire/test_auth.py",))


def _frames(name: str, old: str, new: str) -> Mutant:
    tests = ("wire/test_decode.py", "wire/test_encode.py")
    return Mutant(name, "wire/decode.py", old, new, (), tests)


def _built(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "wire/encode.py", old, new, (), ("wire/test_encode.py",))


def _egress(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "node/egress.py", old, new, laws, ("node/test_egress.py",))


def _flood(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "filter/flood.py", old, new, (), ("filter/test_flood.py",))


def _jobs(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(
        name,
        "election/script_queue.py",
        old,
        new,
        laws,
        ("election/test_script_queue.py",),
    )


def _node(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "node/groups.py", old, new, laws, ("node/test_groups.py",))


def _guard(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(
        name, "node/replay_guard.py", old, new, laws, ("node/test_replay_guard.py",)
    )


def _sequence(name: str, old: str, new: str, *laws: str) -> Mutant:
    return Mutant(name, "node/counter.py", old, new, laws, ("node/test_counter.py",))


_NO_ATTACKER = "an_attacker_changes_nothing"
_IN_NO_WAY = "the_guard_never_disturbs_honest_hosts"
_PREEMPTS = "if self.config.preempt and is_slower and theirs.demotion >= self.demotion:"
_SLOWER = "is_slower = self.interval_ns < theirs.interval_ns"
_TIE = "ours is None or tie_break(theirs) < tie_break(ours)"
_PREFERRED = "is_preferred = is_better or is_lost_tie"
_YIELDS = "if is_less_demoted or (is_preferred and theirs.demotion == self.demotion):"
_CLAIMS = "return [changed, *first_advert, AcquireAddresses()]"
_FROM_AFAR = (
    "if datagram.ttl != TTL and not (door and datagram.source.packed in door.peers):"
)
_DEMOTED = "a_demoted_master_is_replaced"
_COMPANY = "any_combination_settles"
_HEARD = "no_take_over_without_a_reason"

MUTANTS = (
    # What a backup decides.
    _fsm("preempts uninvited", _PREEMPTS, _PREEMPTS.replace("self.config.preempt and ", ""), _HEARD),
    _fsm("preempts the better", _SLOWER, _SLOWER.replace("<", ">"), "preemption_ends_at_the_shortest_interval"),
    _fsm("preempts an equal", _SLOWER, _SLOWER.replace("<", "<="), "no_flapping"),
    _fsm("never too slow", "too_slow = self._patience_ns < theirs.interval_ns", "too_slow = False"),
    _fsm("always too slow", "too_slow = self._patience_ns < theirs.interval_ns", "too_slow = True", _HEARD),
    _fsm("hears in vain", "        self._rearm_master_down(now)\n        return [FamilySilent", "        return [FamilySilent", _HEARD),
    _fsm("preempts while demoted", _PREEMPTS, _PREEMPTS.replace(" and theirs.demotion >= self.demotion", "")),
    _fsm("a demoted master is good enough", "if theirs.demotion > self.demotion:", "if False:", _DEMOTED),
    _fsm("takes a slow master for a dead one", "if too_slow and (theirs.demotion >= self.demotion or is_farewell):", "if too_slow:"),
    _fsm("the demoted hears no farewell", "if too_slow and (theirs.demotion >= self.demotion or is_farewell):", "if too_slow and theirs.demotion >= self.demotion:"),
    _fsm("takes over from its like", "if theirs.demotion > self.demotion:", "if theirs.demotion >= self.demotion:", _HEARD),
    _fsm("never probes", "if interval_ns is None or self._has_asked:", "if True:"),
    _fsm("asks for ever", "if interval_ns is None or self._has_asked:", "if interval_ns is None:"),
    _fsm("waits as long as it is told", "min(interval_ns + interval_ns // 4, self._patience_ns)", "interval_ns + interval_ns // 4"),
    _fsm("remembers old doubts", "        self._refused_interval_ns, self._has_asked = None, False\n", ""),
    _fsm("no master-down interval at the start", "        if self._link_up:\n            self._rearm_master_down(now)\n        return changed", "        return changed", "one_master_after_faults"),
    _fsm("a shorter master-down interval", "self._patience_ns = config.master_down_interval_ns", "self._patience_ns = config.master_down_interval_ns - 1", _HEARD),
    _fsm("time is always up", "return self.deadline is not None and now >= self.deadline", "return self.deadline is not None", "early_ticks_change_nothing"),
    _fsm("trusts the silence after a stop", "self.deadline = max(self.deadline or now, now + self._patience_ns)", "pass", "a_stall_does_no_harm_beyond_itself"),
    _fsm("doubts for ever", "if not self._doubted_silence:", "if True:"),
    # Pauses.
    _fsm("a pause of no length", "self._hold_until = now + pause_ns", "self._hold_until = now", _HEARD),
    _fsm("listens while it pauses", "self.deadline = self._hold_until + self._patience_ns", "self.deadline = self._hold_until", "stepping_down_hands_over"),
    _fsm("no pause after leaving", "        self._hold(leaving.pause_ns, now)\n        return [*farewell, changed]", "        return [*farewell, changed]", _HEARD),
    _fsm("a pause that adverts cut short", "self.deadline = max(self.deadline, self._hold_until)", "pass"),
    # What a master decides.
    _fsm("never yields to the better", _PREFERRED, "is_preferred = is_lost_tie", "one_master_after_faults"),
    _fsm("never yields a tie", _PREFERRED, "is_preferred = is_better", "a_tie_settles"),
    _fsm("yields to any demoted peer", _YIELDS, "if is_less_demoted or is_preferred:"),
    _fsm("clings to the address though demoted", _YIELDS, "if is_preferred and theirs.demotion <= self.demotion:", _DEMOTED),
    _fsm("its last word beats its successor", "last_advert = self._advertiser.advert(now) if is_preferred else []", "last_advert = self._advertiser.advert(now)"),
    _fsm("keeps its demotion to itself", "if is_news and self.state is State.MASTER:", "if False:"),
    _fsm("each family decides ties", "if not self._families.decides_ties(theirs.family, now):", "if False:", _COMPANY),
    _ties("yields every tie", _TIE, _TIE.replace("<", "!="), _HEARD),
    _ties("yields the wrong tie", _TIE, _TIE.replace("<", ">"), _HEARD),
    _ties("forgets the peer it yielded to", "self._kept_from, self._yielded_to = self._yielded_to, None", "self._kept_from, self._yielded_to = None, None", "a_tie_settles"),
    _ties("keeps every tie from then on", "        elif self._kept_counter != counter:\n", "        elif False:\n"),
    _ties("a duplicate counts as a tie", "        elif self._kept_counter != counter:\n", "        else:\n"),
    _ties("takes the living for silent", "        if peer == self._yielded_to:\n            self._yielded_to = None", "        pass"),
    _fsm("keeps a tie in silence", "return [*self._advertiser.advert(now), *self._reassert()]", "return self._reassert()"),
    _fsm("yields without a word", "return [*last_advert, *yielding]", "return yielding"),
    # Families.
    _hearing("a family that is never missed", "and self.deadline_of(other) <= now", "and False"),
    _hearing("missed too soon", "max(self._since, self._heard_at.get(family, 0))", "self._heard_at.get(family, 0)"),
    _hearing("missed again and again", "self._reported.update(silent)", "pass"),
    _hearing("the second family never decides", "return heard_at is None or now - heard_at >= self._master_down_ns", "return False"),
    _fsm("does not reassert", "return self._announce() if self._acquired and self._leaving is None else []", "return []"),
    # Adverts.
    _fsm("every other advert", "self.deadline = due + self.interval_ns", "self.deadline = due + 2 * self.interval_ns", "intervals_and_timeouts_are_exact"),
    _fsm("a late second advert", "        self.deadline = now + self.interval_ns\n        # The announcement follows when", "        self.deadline = now + self._patience_ns\n        # The announcement follows when", "intervals_and_timeouts_are_exact"),
    _fsm("claims in silence", _CLAIMS, "return [changed, AcquireAddresses()]", "intervals_and_timeouts_are_exact"),
    _fsm("claims what it does not take", _CLAIMS, "return [changed, *first_advert]", "one_master_after_faults"),
    _fsm("lateness adds up", "due = now if self.deadline is None else self.deadline", "due = now"),
    _fsm("a volley after a stop", "if self.deadline <= now:", "if False:"),
    _voice("one counter for all", "counter = self._draw_counter(now)", "counter = 7", "one_master_after_faults"),
    _voice("counters from elsewhere", "self._draw_counter = draw_counter", 'self._draw_counter = lambda now: __import__("secrets").randbits(64)', "one_seed_is_one_run"),
    _voice("demotion is not advertised", "min(advskew + self._demotion, SUPPRESSED_SKEW)", "advskew", _DEMOTED),
    _voice("demotion without a limit", "min(advskew + self._demotion, SUPPRESSED_SKEW)", "advskew + self._demotion"),
    _voice("only one family", "for family in self._config.families:", "for family in self._config.families[:1]:", _COMPANY),
    _voice("knows no own advert", "return counter in self._own_counters", "return False"),
    _voice("never suppressed", "return self._send_failures >= SEND_FAILURES_MAX", "return False"),
    # Ways out.
    _fsm("farewell before the release", "return [] if was_leaving else [ReleaseAddresses()]", "return [] if was_leaving else [*self._advertiser.farewell(0), ReleaseAddresses()]", "a_farewell_never_leaves_two_holders"),
    _fsm("farewell with the address", "farewell = self._advertiser.farewell(now) if released else []", "farewell = self._advertiser.farewell(now)"),
    _fsm("leaves twice", "was_leaving = self._leaving is not None", "was_leaving = False", "acquire_and_release_alternate"),
    _fsm("releases twice", "        if leaving is None:\n            return self._become_backup", "        if True:\n            return self._become_backup", "acquire_and_release_alternate"),
    _fsm("hands over and stays", "if self._leaving is None or new is State.INIT:", "if self._leaving is None:"),
    _fsm("releases what it should leave", "if cause is Cause.STARTUP and self.config.neutral:", "if cause is Cause.STARTUP and not self.config.neutral:", "acquire_and_release_alternate"),
    _fsm("never gives up an address", "AddressesAcquired(ok) if self._leaving is None:\n                return self._announce() if ok else self._address_failed(now)", "AddressesAcquired() if self._leaving is None:\n                return self._announce()"),
    # Cables.
    _fsm("a cable that is never out", "self._link_up = False", "self._link_up = True", _HEARD),
    _fsm("deaf and impatient", "        self.deadline = None\n        return []\n\n    def _address_failed", "        return []\n\n    def _address_failed"),
    _fsm("never listens again", "                self._families.listen(now)\n                self._rearm_master_down(now)", "                self._families.listen(now)"),
    # What is believed.
    _ingress("hears itself", "if source in self._own_sources:", "if False:"),
    _ingress("from any distance", _FROM_AFAR, "if False:"),
    _ingress("no peer may be routed", _FROM_AFAR, "if datagram.ttl != TTL:"),
    _ingress("a peer of one is a peer of all", _FROM_AFAR, "if datagram.ttl != TTL and not (door and door.peers):"),
    _ingress("any version", "if advert.version != header.VERSION:", "if False:"),
    _ingress("any group number", "door = self._hosts.get(advert.vhid)", "door = next(iter(self._hosts.values()))"),
    _ingress("a family without addresses", "for family in config.families\n        }", "for family in Family\n        }"),
    _ingress("any multicast group", "if not is_hint and datagram.destination.packed not in destinations:", "if False:", "only_adverts_of_peers_are_accepted"),
    _ingress("peers of one family are peers of both", "any(Family.of(peer) is family for peer in config.peers)", "bool(config.peers)"),
    _ingress("no checksum", "if not datagram.header_ok or not header.has_valid_checksum(datagram.payload):", "if not datagram.header_ok:", "only_adverts_of_peers_are_accepted"),
    _ingress("no header checksum", "if not datagram.header_ok or not header.has_valid_checksum(datagram.payload):", "if not header.has_valid_checksum(datagram.payload):", "only_adverts_of_peers_are_accepted"),
    _ingress("any password", "if verifier is not None and form is None:", "if False:", "only_adverts_of_peers_are_accepted"),
    _auth("the scope is signed", 'b"\\0\\0" + vip.packed[4:]', "vip.packed[2:]"),
    _auth("link-local addresses are signed always", "if link_local or not is_local", "if True"),
    _auth("a virtual MAC is signed", " and not source_mac.startswith(_VIRTUAL_MACS)", ""),
    _auth("the lowest address is signed", "kept - _UNHASHED", "kept"),
    _frames("an end that is not there", "if not start <= end <= len(packet):", "if not start <= end:"),
    _frames("fragments are whole", "    if is_fragment:\n        return Defect.FRAGMENT\n", ""),
    _frames("answers are announcements", "or message[4] & _SOLICITED", "or False"),
    _built("announces without the override flag", "message.set_override_flag(True)", "message.set_override_flag(False)"),
    _built("may be forwarded", "packet.set_hop_limit(TTL)", "packet.set_hop_limit(TTL - 1)"),
    _egress("peers see the virtual MAC", "yield self.nic_mac, peer_mac, peer", "yield self._multicast_source_mac, peer_mac, peer"),
    _egress("demotion stays here", "            demotion=action.demotion,\n", "", _DEMOTED),
    _egress("peers of every family", "if Family.of(peer) is family]", "]"),
    # Scripts, routing, arithmetic.
    _jobs("nothing cancels out", "self.waiting = job if self.waiting in (None, job) else None", "self.waiting = job", "acquire_and_release_alternate"),
    _jobs("forgets the waiting job", "self.running, self.waiting = self.waiting, None", "self.running, self.waiting = None, None", "acquire_and_release_alternate"),
    _jobs("two scripts at once", "        if self.running is None:\n", "        if True:\n", "acquire_and_release_alternate"),
    _node("trusts its own counter", "if self._host.is_own(advert.counter):", "if False:"),
    _node("sleeps until the last", "return min((due", "return max((due"),
    # Floods.
    _flood("narrow for ever", "case Stage.NARROW if is_over and self._may_look(now, waiting):", "case Stage.NARROW if False:"),
    _flood("one turn for ever", "self._turn += 1", "pass"),
    _flood("a flood restarts the turn", "case Stage.NARROW if overflows and self._slices < SLICES_MAX:\n                self._slices *= 2", "case Stage.NARROW if overflows:\n                self._slices = min(2 * self._slices, SLICES_MAX)"),
    _flood("a known sender waits for its turn", "turn, known = self._turn % self._slices, tuple(self._known)", "turn, known = self._turn % self._slices, ()"),
    _flood("deaf to a successor", "if now >= missed_at:", "if False:"),
    _flood("looks when the advert is due", "return just_heard or not waiting or", "return True or"),
    Mutant("no word from peers to us alone", "filter/bpf.py", 'return f"(dst host {group} or dst host {_plain(own)})"', 'return f"dst host {group}"', (), ("filter/test_bpf.py",)),
    # What was sent before.
    _node("a guard that only watches", "refused = finding in REFUSED and", "refused = False and", _NO_ATTACKER),
    _node("a guard that hears itself", "self._guard.sent(counter)", "pass"),
    _node("a question for each replay", "is_asked = guard.is_worth_a_question(advert.counter)", "is_asked = True"),
    _node("a hint that is not sent", "actions = [*actions, SendHint(counter, advert.source)]", "pass"),
    _node("every hint is news", "if not self._counter.raise_to(event.counter, now):", "if self._counter.raise_to(event.counter, now) is None:"),
    _node("a twin keeps our id", "self._counter.avoid(advert.counter)", "pass"),
    _guard("what was heard is forgotten", "if behind >= WINDOW or heard >> behind & 1:", "if behind >= WINDOW:", _NO_ATTACKER),
    _guard("no advert may be late", "if behind >= WINDOW or heard >> behind & 1:", "if True:", _IN_NO_WAY),
    _guard("one time for all", "floor, heard = self._floors[number]", "floor, heard = max(self._floors)", _IN_NO_WAY),
    _guard("begins with nothing", "floor = max(0, start - START_SLACK)", "floor = 0"),
    _guard("no two clocks differ", "floor = max(0, start - START_SLACK)", "floor = start + START_SLACK", _IN_NO_WAY),
    _guard("no other counter was heard", " and entry % REMEMBERED:", " and False:"),
    _guard("a changing sender may repeat", "sender.changes = True", "sender.changes = False"),
    _guard("no sender may repeat", "_keep(self._candidates, counter, candidate, CANDIDATES_MAX)\n            # Later", "# Later", _IN_NO_WAY),
    _guard("repeats in no time", " and span_ns >= candidate.patience_ns", ""),
    _guard("hints without end", "if now - self._hinted_at.get(other, now - HINT_PERIOD_NS) < HINT_PERIOD_NS:", "if False:"),
    _guard("no sender continues from OpenBSD", "if self._counts_on(counter):", "if False:"),
    _guard("counting on may step back", "constant.counted = ahead", "pass"),
    _guard("no sender is ever replaced", "now - sender.fresh_at > max(patience_ns, REPLACED_NS)", "False"),
    _guard("the next may have been heard", "memory[index] // REMEMBERED == counter // REMEMBERED\n            or now", "now"),
    _guard("the next is not remembered", "        memory[index] = counter - index + self._steady_digest\n", ""),
    _guard("tables grow", "if len(table) >= length_max:", "if False:"),
    _sequence("two of one number", "self._last + 1)", "self._last)"),
    _sequence("time stands still", "(now - self._began_at) // _NS_PER_UNIT", "0"),
    _sequence("time begins in 2020", "self.start = time_at(wall_ns)", "self.start = 0"),
    _sequence("any hint will do", "if not is_ours or not", "if not"),
    _sequence("no hint helps", "self._offset = time + 1 - self._clock(now)", "pass"),
    _sequence("keeps an id that is taken", "if stamp[0] > self._last:", "if False:"),
    _sequence("an echo takes our id", "if stamp[0] > self._last:", "if True:"),
    _sequence("no step aside for a twin", "unit = self._draw_id() & 1", "unit = 0"),
    _sequence("steps aside without end", "and self._sidesteps < SIDESTEPS_MAX", ""),
    _sequence("marks nothing", "    if counter & _MARK_MASK != _mark(top):\n        return None\n", ""),
    Mutant("one silent interval is too many", "units.py", "if advbase == 0:", "if advbase < 0:", ("one_master_after_faults",), ("test_units.py",)),
    Mutant("another order of addresses", "addresses.py", '"little"', '"big"', (), ("test_addresses.py",)),
)  # fmt: skip
"""Rows of a table are as long as they are."""
