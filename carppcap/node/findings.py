"""What the replay guard can find about an advert."""

from enum import Enum


class Finding(Enum):
    """What the guard finds about an authentic advert."""

    FRESH = "fresh"
    REPEATING = "repeating"
    """Its counter was heard before, and counts as constant from now on."""

    TWIN = "twin"
    """The same advert was heard just before in the other family."""

    CHANGED = "changed"
    """Its sender may repeat this counter, but the claims have changed; an attacker may
    have changed them."""

    REPLAY = "replay"
    """The same advert was sent before."""

    TAMPERED = "tampered"
    """The same advert was sent before, but with other claims."""

    STALE = "stale"
    """The time in its counter is too old, compared with its sender's latest or with our
    start."""


REFUSED = frozenset((Finding.REPLAY, Finding.TAMPERED, Finding.STALE))
