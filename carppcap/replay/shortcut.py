"""A short way for the usual advert, in files of millions of them.

From one advert to the next a sender changes its IP id, two checksums, the counter and
the digest.  A frame that otherwise equals one which was judged and accepted needs no
second judgement on anything but those, and none of the values that judging makes.
"""

from dataclasses import replace
from functools import partial
from hashlib import sha1
from struct import Struct

from carppcap.election.actions import Action, State
from carppcap.election.events import AdvertReceived
from carppcap.election.fsm import VirtualHost
from carppcap.node.groups import Step
from carppcap.node.replay_guard import Guard
from carppcap.units import Instant
from carppcap.wire.auth import Verifier, same_digest

# Up to the IP id, which differs; flags, TTL and protocol; the header's sum; addresses
# and the advert's settings; its sum (left out), counter and digest.
_LAYOUT = Struct("!18s H 4s H 14s 2x 8s 20s")
_ADVERT = slice(34, 70)
_COUNTER = slice(42, 50)
_sha1 = partial(sha1, usedforsecurity=False)
"""OpenSSL's is the fastest; that an auditor may forbid it is no matter for a replay."""

SOURCE = slice(26, 30)
"""Where the sender's address stands in such a frame."""


class Familiar:
    """An accepted advert, and every other that says the same of the same sender.

    `frame` is one that `decode_intact` can read; it led to `event` for `host`, whose
    replay guard is `guard`.
    """

    __slots__ = (
        "_addresses",
        "_authenticator",
        "_ethernet",
        "_event",
        "_flags",
        "_guard",
        "_host",
        "_ip_sum",
    )

    def __init__(
        self,
        frame: bytes,
        event: AdvertReceived,
        host: VirtualHost,
        guard: Guard | None = None,
    ) -> None:
        self._event = event
        self._host = host
        self._guard = guard
        self._ethernet, ip_id, self._flags, ip_sum, self._addresses, _, digest = (
            _LAYOUT.unpack_from(frame)
        )
        self._ip_sum = ip_id + ip_sum
        config = host.config
        self._authenticator = None
        if config.key is not None:
            verifier = Verifier(
                config.key,
                config.vhid,
                config.vips,
                config.link_address,
                hash_function=_sha1,
            )
            form = verifier.find(event.counter, digest, self._ethernet[6:12])
            assert form is not None  # or `frame` would not have been accepted
            self._authenticator = form

    def hear(self, frame: bytes, now: Instant) -> list[Action] | None:
        """Pass `frame` to the host, if it would be accepted and as an equal event.

        None says no more than that `frame` has to be judged.
        """
        if len(frame) < _LAYOUT.size:
            return None
        ethernet, ip_id, flags, ip_sum, addresses, counter, digest = (
            _LAYOUT.unpack_from(frame)
        )
        if (
            addresses != self._addresses
            or ethernet != self._ethernet
            or flags != self._flags
            # Sums are modulo 65535, see `advert.checksum`.
            or (ip_id + ip_sum - self._ip_sum) % 0xFFFF
            or int.from_bytes(frame[_ADVERT], "big") % 0xFFFF
        ):
            return None
        authenticator = self._authenticator
        if authenticator is not None and not same_digest(
            authenticator.digest_of(counter), digest
        ):
            return None
        host = self._host
        number = int.from_bytes(counter, "big")
        if host.is_own(number):
            return None
        if self._guard is not None and not self._guard.admit(self._event, number, now):
            return None
        # A backup looks at who and how fast; a master also, in a tie, at the counter.
        event = self._event
        if host.state is State.MASTER:
            event = replace(event, counter=number)
        return host.handle(event, now)

    def step(self, frame: bytes, actions: list[Action], now: Instant) -> Step:
        """What `hear` did, as the node would tell it."""
        host = self._host
        counter = int.from_bytes(frame[_COUNTER], "big")
        return Step(
            now,
            host.config.interface,
            host.config.vhid,
            replace(self._event, counter=counter),
            tuple(actions),
            host.state,
            host.deadline,
        )
