"""Conversations: events at given seconds, and exactly what a virtual host does.

A line reads `at  event | state due | actions`, where a BACKUP takes over at `due` and
a MASTER sends its next advert.  We are 10.1.1.5 and advertise
1/0, so our master-down interval is 3 s, unless a conversation says otherwise.
"""

from ipaddress import IPv6Address, ip_address
from itertools import count
from typing import Any

import pytest

from carppcap.election.events import (
    AdvertReceived,
    DemotionChanged,
    Event,
    ReplayRefused,
    StepDown,
    TwinReceived,
)
from carppcap.election.fsm import VirtualHost
from tests.builders import VIP, config, counters, due, ns, words
from tests.election.test_fsm import EVENTS

NUMBERS = count(1000)
"""Counters of the adverts of `hear`: each advert has a new one."""


def event_named(text: str) -> Event:
    """`tick`, `step_down 5` and so on, or an advert.

    `hear 1/0 .4` comes from 10.1.1.4, `hear 1/0+2 ::4` from fd00::4 that is demoted by
    two; `again` is `hear` with one and the same counter; `twin` is the same advert in
    the other family.
    """
    match text.split():
        case [("hear" | "again") as verb, rank, source]:
            interval, _, demotion = rank.partition("+")
            advbase, advskew = map(int, interval.split("/"))
            network = "10.1.1" if source.startswith(".") else "fd00"
            return AdvertReceived(
                ip_address(network + source),
                advbase,
                advskew,
                99 if verb == "again" else next(NUMBERS),
                demotion=int(demotion or 0),
            )
        case ["twin", *advert]:
            theirs = event_named(" ".join(["hear", *advert]))
            assert isinstance(theirs, AdvertReceived)
            return TwinReceived(theirs)
        case ["step_down", seconds]:
            return StepDown(ns(float(seconds)))
        case ["demote", demotion]:
            return DemotionChanged(int(demotion))
        case ["refuse", seconds]:
            return ReplayRefused(ns(float(seconds)))
        case ["tick"]:
            return EVENTS["tick_due"]
        case [word]:
            return EVENTS[word]
    raise ValueError(text)


def converse(host: VirtualHost, script: str) -> None:
    """Pass the event of each line to `host` and check the result."""
    for line in script.strip().splitlines():
        said, after, actions = line.split("|")
        at, event = said.split(maxsplit=1)
        state, deadline = after.split()

        answered = host.handle(event_named(event), ns(float(at)))

        assert ", ".join(words(answered)) == actions.strip(), line
        assert host.state.value == state, line
        assert due(host) == (None if deadline == "-" else ns(float(deadline))), line


TOO_SLOW = "BACKUP -> MASTER master_too_slow, advert 1/0, solicit, acquire"
PREEMPT = "BACKUP -> MASTER preemption, advert 1/0, solicit, acquire"
CLAIM = "BACKUP -> MASTER master_down, advert 1/0, solicit, acquire"
YIELD = "advert 1/0, MASTER -> BACKUP better_master, release"
REPLACE = "BACKUP -> MASTER demotion, advert 1/0, solicit, acquire"
GIVE_WAY = "MASTER -> BACKUP demotion, release"
ANSWER = "rival 02:00:00:00:00:09 of 10.1.1.252, announce, solicit"
START = "0 start | BACKUP 3 | INIT -> BACKUP startup, release"
MASTER_AT_3 = f"""{START}
3      tick            | MASTER 4      | {CLAIM}
3.125  acquired        | MASTER 4      | announce"""

FAREWELL = {"farewell": True}

CONVERSATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "announced when acquired and again two adverts later": ({}, f"""{MASTER_AT_3}
4      tick            | MASTER 5      | advert 1/0
5      tick            | MASTER 6      | announce, advert 1/0
6      tick            | MASTER 7      | advert 1/0
7      tick            | MASTER 8      | advert 1/0"""),
    "announced again with every so many adverts": (
        {"announce_interval_ns": ns(3.5)}, f"""{MASTER_AT_3}
4      tick            | MASTER 5      | advert 1/0
5      tick            | MASTER 6      | announce, advert 1/0
6      tick            | MASTER 7      | advert 1/0
7      tick            | MASTER 8      | advert 1/0
8      tick            | MASTER 9      | announce, advert 1/0
9      tick            | MASTER 10     | advert 1/0
10     tick            | MASTER 11     | advert 1/0
11     tick            | MASTER 12     | announce, advert 1/0"""),
    "not announced again": ({"announce_interval_ns": 0}, f"""{MASTER_AT_3}
4      tick            | MASTER 5      | advert 1/0
5      tick            | MASTER 6      | announce, advert 1/0
6      tick            | MASTER 7      | advert 1/0
7      tick            | MASTER 8      | advert 1/0
8      tick            | MASTER 9      | advert 1/0
9      tick            | MASTER 10     | advert 1/0"""),
    "another MAC is announced at once, and again two adverts later": (
        {}, f"""{MASTER_AT_3}
4      tick            | MASTER 5      | advert 1/0
5      tick            | MASTER 6      | announce, advert 1/0
5.5    mac_changed     | MASTER 6      | announce
6      tick            | MASTER 7      | advert 1/0
7      tick            | MASTER 8      | announce, advert 1/0
8      tick            | MASTER 9      | advert 1/0"""),
    "adverts do not wait for a slow up script": ({}, f"""{START}
3      tick            | MASTER 4      | {CLAIM}
4      tick            | MASTER 5      | advert 1/0
5      tick            | MASTER 6      | advert 1/0
5.5    acquired        | MASTER 6      | announce
6      tick            | MASTER 7      | advert 1/0
7      tick            | MASTER 8      | announce, advert 1/0"""),
    "a contest starts the repetition again": ({}, f"""{MASTER_AT_3}
4      tick            | MASTER 5      | advert 1/0
4.5    hear 1/1 .4     | MASTER 5      | announce
5      tick            | MASTER 6      | advert 1/0
6      tick            | MASTER 7      | announce, advert 1/0"""),
    "a repetition is forgotten with the mastership": ({}, f"""{MASTER_AT_3}
4      tick            | MASTER 5      | advert 1/0
4.5    hear 0/9 .4     | BACKUP 7.5    | {YIELD}
7.5    tick            | MASTER 8.5    | {CLAIM}
8      hear 1/1 .4     | MASTER 8.5    |
8.5    tick            | MASTER 9.5    | advert 1/0
9.5    tick            | MASTER 10.5   | advert 1/0"""),
    "a rival is answered after a moment": ({}, f"""{MASTER_AT_3}
3.5    rival           | MASTER 3.55   |
3.55   tick            | MASTER 4      | {ANSWER}
4      tick            | MASTER 5      | advert 1/0
5      tick            | MASTER 6      | announce, advert 1/0
6      tick            | MASTER 7      | advert 1/0"""),
    "rivals are answered once a second, the last one too": ({}, f"""{MASTER_AT_3}
3.5    rival           | MASTER 3.55   |
3.52   rival           | MASTER 3.55   |
3.55   tick            | MASTER 4      | {ANSWER}
3.6    rival           | MASTER 4      |
4      tick            | MASTER 4.55   | advert 1/0
4.5    rival           | MASTER 4.55   |
4.55   tick            | MASTER 5      | {ANSWER}
5      tick            | MASTER 6      | announce, advert 1/0
5.9    rival           | MASTER 5.95   |
5.95   tick            | MASTER 6      | {ANSWER}"""),
    "an answer that is due with an advert goes before it": ({}, f"""{MASTER_AT_3}
3.95   rival           | MASTER 4      |
4      tick            | MASTER 5      | {ANSWER}, advert 1/0
4.95   rival           | MASTER 5      |
5      tick            | MASTER 6      | {ANSWER}, advert 1/0"""),
    "a master that announces just before its advert is no rival": ({}, f"""{MASTER_AT_3}
3.5    rival           | MASTER 3.55   |
3.52   hear 0/9 .4     | BACKUP 6.52   | {YIELD}"""),
    "what answers a worse master answers its announcement": ({}, f"""{MASTER_AT_3}
3.5    rival           | MASTER 3.55   |
3.52   hear 1/1 .4     | MASTER 4      | announce
4      tick            | MASTER 5      | advert 1/0"""),
    "an address that is taken is announced anyway": ({}, f"""{START}
3      tick            | MASTER 4      | {CLAIM}
3.125  rival           | MASTER 4      |
3.25   acquired        | MASTER 4      | announce
3.5    rival           | MASTER 3.55   |
3.525  lost            | MASTER 4      | acquire"""),
    "a lost address is taken and announced again": ({}, f"""{MASTER_AT_3}
3.5    lost            | MASTER 4      | acquire
3.75   hear 1/1 .4     | MASTER 4      |
4      tick            | MASTER 5      | advert 1/0
5      tick            | MASTER 6      | advert 1/0
5.5    acquired        | MASTER 6      | announce
6.5    lost            | MASTER 6      | acquire"""),
    "losing the addresses again and again: step aside": ({}, f"""{MASTER_AT_3}
3.5    lost            | MASTER 4      | acquire
3.6    acquired        | MASTER 4      | announce
3.7    lost            | BACKUP 9.7    | MASTER -> BACKUP address_failed, release
9.7    tick            | MASTER 10.7   | {CLAIM}
9.8    acquired        | MASTER 10.7   | announce
9.9    lost            | MASTER 10.7   | acquire"""),
    "an up script that ends after we yielded announces nothing": ({}, f"""{START}
3      tick            | MASTER 4      | {CLAIM}
3.5    hear 0/9 .4     | BACKUP 6.5    | {YIELD}
4      acquired        | BACKUP 6.5    |
5      acquire_failed  | BACKUP 6.5    |"""),
    "neutral: no release at start, but later": ({"neutral": True}, f"""
0      start           | BACKUP 3      | INIT -> BACKUP startup
3      tick            | MASTER 4      | {CLAIM}
3.5    hear 0/9 .4     | BACKUP 6.5    | {YIELD}"""),
    "a late tick delays, but does not add up": ({}, f"""{START}
3.75   tick            | MASTER 4.75   | {CLAIM}
5      tick            | MASTER 5.75   | advert 1/0
6.5    tick            | MASTER 6.75   | advert 1/0"""),
    "after a stall one advert, not a volley": ({}, f"""{MASTER_AT_3}
9.75   tick            | MASTER 10.75  | advert 1/0
11.75  tick            | MASTER 12.75  | announce, advert 1/0"""),
    "without preemption any master that comes in time is good": ({}, f"""{START}
1      hear 3/0 .6     | BACKUP 4      |
2      hear 1/0 .6     | BACKUP 5      |
3      hear 0/9 .6     | BACKUP 6      |
3.5    hear 3/1 .6     | MASTER 4.5    | {TOO_SLOW}"""),
    "preemption of a longer interval only": ({"preempt": True}, f"""{START}
1      hear 1/0 .6     | BACKUP 4      |
2      hear 0/9 .6     | BACKUP 5      |
3      hear 1/1 .6     | MASTER 4      | {PREEMPT}"""),
    "preemption is named before slowness": ({"preempt": True}, f"""{START}
1      hear 255/255 .6 | MASTER 2      | {PREEMPT}"""),
    "a pause keeps preemption back to its last instant": ({"preempt": True}, f"""{START}
1      step_down 2     | BACKUP 6      |
2      hear 2/0 .6     | BACKUP 5      |
2.75   hear 2/0 .6     | BACKUP 5.75   |
3      hear 2/0 .6     | MASTER 4      | {PREEMPT}"""),
    "a farewell in a pause is followed when it ends": ({}, f"""{START}
1      step_down 4     | BACKUP 8      |
2      hear 255/255 .6 | BACKUP 5      |
5      tick            | MASTER 6      | {CLAIM}"""),
    "a farewell in a pause, but another master after it": ({}, f"""{START}
1      step_down 1     | BACKUP 5      |
1.5    hear 255/255 .6 | BACKUP 2      |
1.75   hear 1/0 .4     | BACKUP 4.75   |"""),
    "a pause does not survive mastership": ({"preempt": True}, f"""{START}
1      step_down 9     | BACKUP 13     |
2      hear 255/255 .6 | BACKUP 10     |
10     tick            | MASTER 11     | {CLAIM}
10.5   hear 0/9 .4     | BACKUP 13.5   | {YIELD}
11     hear 2/0 .6     | MASTER 12     | {PREEMPT}"""),
    "handing over: release, farewell, pause, listening": (FAREWELL, f"""{MASTER_AT_3}
3.5    step_down 3     | MASTER 4      | release
4      tick            | MASTER 5      | advert 1/0
5      tick            | MASTER 6      | advert 1/0
5.5    released        | BACKUP 11.5   | advert 255/255, MASTER -> BACKUP step_down
6      hear 1/100 .6   | BACKUP 9      |
9      tick            | MASTER 10     | {CLAIM}
9.5    acquired        | MASTER 10     | announce"""),
    "handing over without a farewell": ({}, f"""{MASTER_AT_3}
3.5    step_down 3     | MASTER 4      | release
3.75   released        | BACKUP 9.75   | MASTER -> BACKUP step_down
9.75   tick            | MASTER 10.75  | {CLAIM}"""),
    "no farewell while we may still hold the addresses": (FAREWELL, f"""{MASTER_AT_3}
3.5    stop            | MASTER 4      | release
3.75   release_failed  | INIT   -      | MASTER -> INIT shutdown"""),
    "stepping down turns into leaving for good": (FAREWELL, f"""{MASTER_AT_3}
3.5    step_down 3     | MASTER 4      | release
3.625  stop            | MASTER 4      |
3.75   released        | INIT   -      | advert 255/255, MASTER -> INIT shutdown
5      released        | INIT   -      |
9      start           | BACKUP 12     | INIT -> BACKUP startup, release"""),
    "a step down does not undo leaving for good": ({}, f"""{MASTER_AT_3}
3.5    stop            | MASTER 4      | release
3.625  step_down 3     | MASTER 4      |
3.75   released        | INIT   -      | MASTER -> INIT shutdown"""),
    "the first pause counts": ({}, f"""{MASTER_AT_3}
3.5    step_down 3     | MASTER 4      | release
3.625  step_down 30    | MASTER 4      |
3.75   released        | BACKUP 9.75   | MASTER -> BACKUP step_down"""),
    "handing over before it has the addresses: no announcement": ({}, f"""{START}
3      tick            | MASTER 4      | {CLAIM}
3.5    step_down 3     | MASTER 4      | release
3.625  acquired        | MASTER 4      |
4.5    hear 1/9 .4     | MASTER 4      |
5      tick            | MASTER 6      | advert 1/0"""),
    "a hand-over is not undone by a cable": ({}, f"""{MASTER_AT_3}
3.5    step_down 5     | MASTER 4      | release
3.75   link_down       | BACKUP -      | MASTER -> BACKUP link_down
4      released        | BACKUP -      |
4.5    link_up         | BACKUP 11.75  |
9      link_up         | BACKUP 11.75  |"""),
    "a pause and the listening after it survive a link that flaps": ({}, f"""{START}
10     hear 1/0 .4     | BACKUP 13    |
10     step_down 3     | BACKUP 16    |
10.1   link_down       | BACKUP -      |
10.25  link_up         | BACKUP 16     |
11     link_down       | BACKUP -      |
12.75  link_up         | BACKUP 16     |
12.875 hear 255/255 .6 | BACKUP 13     |
13     tick            | MASTER 14     | {CLAIM}"""),
    "a link that comes up after the pause: a full wait": ({}, f"""{START}
1      step_down 3     | BACKUP 7      |
2      link_down       | BACKUP -      |
4      link_up         | BACKUP 7      |
4.125  link_down       | BACKUP -      |
5      link_up         | BACKUP 8      |"""),
    "a step down without a link pauses too": ({}, f"""{START}
1      link_down       | BACKUP -      |
2      step_down 3     | BACKUP -      |
3      link_up         | BACKUP 8      |"""),
    "a pause after a failed up script survives a flap": ({}, f"""{START}
3      tick            | MASTER 4      | {CLAIM}
3.5    acquire_failed  | BACKUP 9.5    | MASTER -> BACKUP address_failed, release
4      link_down       | BACKUP -      |
4.125  link_up         | BACKUP 9.5    |
4.25   hear 255/255 .6 | BACKUP 6.5    |"""),
    "on return of the link a full wait": ({}, f"""{START}
2.5    link_down       | BACKUP -      |
3      tick            | BACKUP -      |
4      hear 255/255 .4 | BACKUP -      |
5      link_up         | BACKUP 8      |
5.5    link_up         | BACKUP 8      |
8      tick            | MASTER 9      | {CLAIM}"""),
    "frames lost: a full wait again, but only once": ({}, f"""{START}
3.5    frames_lost     | BACKUP 6.5    |
6      frames_lost     | BACKUP 6.5    |
6.25   hear 1/0 .4     | BACKUP 9.25   |
9.5    frames_lost     | BACKUP 12.5   |
12.5   tick            | MASTER 13.5   | {CLAIM}
13     hear 0/9 .4     | BACKUP 16     | {YIELD}
16.5   frames_lost     | BACKUP 19.5   |"""),
    "frames lost never shorten a wait": ({}, f"""{START}
1      step_down 9     | BACKUP 13     |
2      frames_lost     | BACKUP 13     |"""),
    "no base: the ratio multiplies the skew": ({"advbase": 0, "advskew": 64}, f"""
0      start           | BACKUP 0.75   | INIT -> BACKUP startup, release
0.5    hear 0/192 .4   | BACKUP 1.25   |
0.75   hear 0/193 .4   | MASTER 1      | {TOO_SLOW.replace("1/0", "0/64")}
1      tick            | MASTER 1.25   | advert 0/64"""),
    "a tie that is lost is answered first, as a kernel yields": ({}, f"""{MASTER_AT_3}
3.5    hear 1/0 .4     | MASTER 4      | advert 1/0, announce
4      tick            | MASTER 5      | advert 1/0
5      tick            | MASTER 6      | announce, advert 1/0
6      tick            | MASTER 7      | advert 1/0
6.5    hear 1/0 .4     | MASTER 7      | advert 1/0, announce"""),
    "a tie is lost to the second advert": ({}, f"""{MASTER_AT_3}
3.25   hear 1/0 .4     | MASTER 4      | advert 1/0, announce
4      tick            | MASTER 5      | advert 1/0
4.25   hear 1/0 .4     | BACKUP 7.25   | {YIELD}"""),
    "a tie before a stall is lost after it": ({}, f"""{MASTER_AT_3}
7.25   hear 1/0 .4     | MASTER 4      | advert 1/0, announce
30     tick            | MASTER 31     | advert 1/0
30.25  hear 1/0 .4     | BACKUP 33.25  | {YIELD}"""),
    "a claim that ties is answered, and announced later": ({}, f"""{START}
3      tick            | MASTER 4      | {CLAIM}
3      hear 1/0 .4     | MASTER 4      | advert 1/0
3.125  acquired        | MASTER 4      | announce
3.25   hear 1/0 .4     | BACKUP 6.25   | {YIELD}"""),
    "each peer is answered": ({}, f"""{MASTER_AT_3}
3.25   hear 1/0 .4     | MASTER 4      | advert 1/0, announce
3.5    hear 1/0 .3     | MASTER 4      | advert 1/0, announce
3.75   hear 1/0 .4     | BACKUP 6.75   | {YIELD}"""),
    "each mastership has ties of its own": ({}, f"""{MASTER_AT_3}
3.5    hear 1/0 .4     | MASTER 4      | advert 1/0, announce
3.75   hear 0/9 .6     | BACKUP 6.75   | {YIELD}
4      hear 255/255 .6 | MASTER 5      | {TOO_SLOW}
4.25   hear 1/0 .4     | MASTER 5      | advert 1/0"""),
    "a better master is not answered": ({}, f"""{MASTER_AT_3}
3.5    hear 1/0 .4     | MASTER 4      | advert 1/0, announce
3.75   hear 0/9 .4     | BACKUP 6.75   | {YIELD}"""),
    "a frame that comes twice is one tie": ({}, f"""{MASTER_AT_3}
3.25   again 1/0 .4    | MASTER 4      | advert 1/0, announce
3.375  again 1/0 .4    | MASTER 4      | announce
3.5    hear 1/0 .4     | BACKUP 6.5    | {YIELD}"""),
    "a less demoted one is not kept out by a tie": ({"demotion": 4, "advskew": 96}, f"""
0      start           | BACKUP 3.375  | INIT -> BACKUP startup, release
4      tick            | MASTER 5.390625 | {CLAIM.replace("1/0", "1/100+4")}
4.25   hear 1/100 .4   | BACKUP 7.625  | {GIVE_WAY}"""),
    "a tie that is won is answered once in an interval": ({}, f"""{MASTER_AT_3}
3.5    hear 1/0 .6     | MASTER 4      | advert 1/0, announce
3.75   hear 1/0 .6     | MASTER 4      | announce
4      tick            | MASTER 5      | advert 1/0
4.25   hear 1/0 .6     | MASTER 5      | announce
4.5    hear 1/0 .6     | MASTER 5      | advert 1/0, announce"""),
    "another form of the digest is shown once in an interval": ({}, f"""{MASTER_AT_3}
3.5    form            | MASTER 4      | advert 1/0
3.75   form            | MASTER 4      |
4      tick            | MASTER 5      | advert 1/0
4.5    form            | MASTER 5      | advert 1/0"""),
    "demoted: all peers are told at once": ({"advskew": 10}, f"""
0      start           | BACKUP 3.0390625 | INIT -> BACKUP startup, release
1      demote 3        | BACKUP 3.0390625 |
3.0390625 tick         | MASTER 4.08984375 | {CLAIM.replace("1/0", "1/13+3")}
3.5    demote 3        | MASTER 4.08984375 |
3.5    demote 4        | MASTER 4.08984375 | advert 1/14+4
4.08984375 tick        | MASTER 5.14453125 | advert 1/14+4
4.5    demote 0        | MASTER 5.14453125 | advert 1/10
5.14453125 tick        | MASTER 6.18359375 | advert 1/10"""),
    "demotion raises the skew to 240 and no further": ({}, f"""{MASTER_AT_3}
3.5    demote 255      | MASTER 4      | advert 1/240+255
4      tick            | MASTER 5.9375 | advert 1/240+255"""),
    "demotion never lowers a skew": ({"advskew": 250}, f"""
0      start           | BACKUP 3.9765625 | INIT -> BACKUP startup, release
1      demote 9        | BACKUP 3.9765625 |
3.9765625 tick         | MASTER 5.953125 | {CLAIM.replace("1/0", "1/250+9")}"""),
    "started demoted": ({"demotion": 2}, f"""{START}
3      tick            | MASTER 4.0078125 | {CLAIM.replace("1/0", "1/2+2")}"""),
    "a demoted master gives way to the less demoted": ({}, f"""{MASTER_AT_3}
3.25   demote 2        | MASTER 4      | advert 1/2+2
3.5    hear 1/200+2 .4 | MASTER 4      | announce
3.75   hear 3/200+1 .4 | BACKUP 6.75   | {GIVE_WAY}"""),
    "of two demoted alike the better one stays": ({}, f"""{MASTER_AT_3}
3.25   demote 2        | MASTER 4      | advert 1/2+2
3.75   hear 1/1+2 .4   | BACKUP 6.75   | {YIELD.replace("1/0", "1/2+2")}"""),
    "a more demoted one takes nothing from us": ({}, f"""{MASTER_AT_3}
3.25   hear 0/9+1 .4   | MASTER 4      | announce
3.5    hear 1/0+1 .4   | MASTER 4      | advert 1/0, announce"""),
    "a more demoted master is replaced, uninvited": ({}, f"""{START}
1      hear 1/0+1 .4   | MASTER 2      | {REPLACE}"""),
    "a host demoted as much replaces no master": ({"demotion": 1}, f"""{START}
1      hear 1/0+1 .4   | BACKUP 4      |"""),
    "the demoted does not preempt": ({"preempt": True, "demotion": 1}, f"""{START}
1      hear 1/200 .4   | BACKUP 4      |
2      hear 1/200+1 .4 | MASTER 3.00390625 | {PREEMPT.replace("1/0", "1/1+1")}"""),
    "the demoted leaves a slow master alone": ({"demotion": 1}, f"""{START}
1      hear 9/0 .4     | BACKUP 4      |"""),
    "the demoted replaces a slow master as demoted": ({"demotion": 1}, f"""{START}
1      hear 9/0+1 .4   | MASTER 2.00390625 | {TOO_SLOW.replace("1/0", "1/1+1")}"""),
    "the demoted follows a farewell": ({"demotion": 1}, f"""{START}
1      hear 255/255 .4 | MASTER 2.00390625 | {TOO_SLOW.replace("1/0", "1/1+1")}"""),
    "a sender whose adverts were refused is probed first": ({}, f"""{START}
1      hear 1/0 .4     | BACKUP 4      |
2      refuse 1        | BACKUP 4      |
4      tick            | BACKUP 5.25   | advert 1/1
4.5    refuse 1        | BACKUP 5.25   |
5.25   tick            | MASTER 6.25   | {CLAIM}"""),
    "a master that answers the probe stays": ({}, f"""{START}
2      refuse 1        | BACKUP 3      |
3      tick            | BACKUP 4.25   | advert 1/1
3.5    hear 1/0 .4     | BACKUP 6.5    |
6.5    tick            | MASTER 7.5    | {CLAIM}"""),
    "no answer is awaited longer than our master-down interval": ({}, f"""{START}
2      refuse 255      | BACKUP 3      |
3      tick            | BACKUP 6      | advert 1/0
6      tick            | MASTER 7      | {CLAIM}"""),
    "an advert believed settles an earlier refusal": ({}, f"""{START}
1      refuse 1        | BACKUP 3      |
2      hear 1/0 .4     | BACKUP 5      |
5      tick            | MASTER 6      | {CLAIM}"""),
    "each silence may be probed": ({}, f"""{START}
2      refuse 1        | BACKUP 3      |
3      tick            | BACKUP 4.25   | advert 1/1
4.25   tick            | MASTER 5.25   | {CLAIM}
5      hear 0/9 .4     | BACKUP 8      | {YIELD}
6      refuse 1        | BACKUP 8      |
8      tick            | BACKUP 9.25   | advert 1/1
9.25   tick            | MASTER 10.25  | {CLAIM}"""),
}  # fmt: skip


DUAL = {
    "vips": (VIP, IPv6Address("fd00::fc")),
    "source6": IPv6Address("fd00::5"),
}
ONLY_IPV6 = DUAL | {"vips": (IPv6Address("fd00::fc"),)}
TWICE = "advert 1/0, advert6 1/0"
CLAIM_TWICE = f"BACKUP -> MASTER master_down, {TWICE}, solicit, solicit6, acquire"
CLAIM6 = CLAIM.replace("advert", "advert6").replace("solicit", "solicit6")
YIELD_TWICE = f"{TWICE}, MASTER -> BACKUP better_master, release"

CONVERSATIONS |= {
    "both families: an advert in each": (DUAL, f"""{START}
3      tick            | MASTER 4      | {CLAIM_TWICE}
4      tick            | MASTER 5      | {TWICE}"""),
    "IPv6 alone": (ONLY_IPV6, f"""{START}
3      tick            | MASTER 4      | {CLAIM6}
3.5    hear 1/0 ::6    | MASTER 4      | advert6 1/0
3.5    hear 1/0 ::4    | MASTER 4      | advert6 1/0
3.75   hear 1/0 ::4    | BACKUP 6.75   | {YIELD.replace("advert", "advert6")}"""),
    "one family is enough for a master to be alive": (DUAL, f"""{START}
2      hear 1/0 .4     | BACKUP 5      |
2      hear 1/0 ::4    | BACKUP 5      |
4      hear 1/0 .4     | BACKUP 7      |
4.75   hear 1/0 .4     | BACKUP 7.75   |
5      hear 1/0 .4     | BACKUP 8      | silent_ipv6
6      hear 1/0 .4     | BACKUP 9      |
6.5    hear 1/0 ::4    | BACKUP 9.5    |
9.5    hear 1/0 ::4    | BACKUP 12.5   | silent_ipv4
12.5   tick            | MASTER 13.5   | {CLAIM_TWICE}"""),
    "a twin tells that its family is heard, and nothing else": (DUAL, f"""{START}
2      hear 1/0 .4     | BACKUP 5      |
2.25   twin 1/0 ::4    | BACKUP 5      |
2.25   twin 255/255 ::4| BACKUP 5      |
4.75   hear 1/0 .4     | BACKUP 7.75   |
5.25   hear 1/0 .4     | BACKUP 8.25   | silent_ipv6
6      step_down 1     | BACKUP 10     |
6.5    twin 1/0 ::4    | BACKUP 10     |
9.25   hear 1/0 .4     | BACKUP 12.25  |
9.5    hear 1/0 .4     | BACKUP 12.5   | silent_ipv6
12.5   tick            | MASTER 13.5   | {CLAIM_TWICE}
12.75  twin 0/9 ::4    | BACKUP 15.75  | {YIELD_TWICE}"""),
    "the silence of a family counts from when we could hear": (DUAL, f"""{START}
1      link_down       | BACKUP -      |
7      link_up         | BACKUP 10     |
8      hear 1/0 .4     | BACKUP 11     |
9.75   hear 1/0 .4     | BACKUP 12.75  |
10     hear 1/0 .4     | BACKUP 13     | silent_ipv6"""),
    "IPv4 decides a tie for both": (DUAL, f"""{START}
3      tick            | MASTER 4      | {CLAIM_TWICE}
3.25   hear 1/0 .6     | MASTER 4      | {TWICE}
3.25   hear 1/0 ::4    | MASTER 4      |
4      tick            | MASTER 5      | {TWICE}
4.25   hear 1/0 .4     | MASTER 5      | {TWICE}
4.25   hear 1/0 ::4    | MASTER 5      |
4.5    hear 1/0 .4     | BACKUP 7.5    | {YIELD_TWICE}"""),
    "a tie in IPv6 counts where IPv4 is silent": (DUAL, f"""{START}
3      tick            | MASTER 4      | {CLAIM_TWICE}
3.25   hear 1/0 ::6    | MASTER 4      | {TWICE}
3.5    hear 1/0 .6     | MASTER 4      | {TWICE}
6.25   hear 1/0 ::4    | MASTER 4      |
6.5    hear 1/0 ::4    | MASTER 4      | {TWICE}
6.75   hear 1/0 ::4    | BACKUP 9.75   | {YIELD_TWICE}"""),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(name: str) -> None:
    """Each answer exactly, and the instant that is due to the nanosecond."""
    changes, script = CONVERSATIONS[name]

    converse(VirtualHost(config(**changes), counters()), script)


def test_the_pause_after_a_failing_up_script_grows() -> None:
    """3, 6, 12, 24, 48 and then always 60 s, until it succeeds."""
    host = VirtualHost(config(farewell=True), counters())
    converse(host, START)
    at, pauses = 0.0, []
    for _ in range(12):
        at += 1000.0
        converse(host, f"{at} tick | MASTER {at + 1} | {CLAIM}")
        host.handle(event_named("acquire_failed"), ns(at))
        due_at = due(host)
        assert due_at is not None
        pauses.append((due_at - ns(at + 3)) / ns(1))
    assert pauses == [3, 6, 12, 24, 48, 60, 60, 60, 60, 60, 60, 60]

    failed = "advert 255/255, MASTER -> BACKUP address_failed, release"
    converse(
        host,
        f"""
20000  tick            | MASTER 20001  | {CLAIM}
20000  acquired        | MASTER 20001  | announce
20000  acquire_failed  | BACKUP 20006  | {failed}""",
    )
