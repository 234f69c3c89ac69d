"""The VLANs of a capture file: one of them is replayed, the others are only named."""

from carppcap.errors import ConfigError
from carppcap.wire.decode import UNTAGGED, Datagram, LinkType, Vlan, decode, untag

ID_MAX = 4094
NAMED_MAX = 32
"""A limit, because forged tags could fill the memory; others are not named."""

_DEPTH_MAX = 2
_UNTAGGED_NAME = "untagged"


def parse_vlan(text: str, what: str) -> Vlan:
    """Return the VLAN that `text` names: `10`, `10.20` with the outer one first.

    `0` and `untagged` are no VLAN.  Raises `ConfigError`.
    """
    if text in ("0", _UNTAGGED_NAME):
        return UNTAGGED
    numbers = [
        int(part) if part.isascii() and part.isdecimal() and len(part) <= 4 else 0
        for part in text.split(".")
    ]
    if len(numbers) > _DEPTH_MAX or not all(0 < number <= ID_MAX for number in numbers):
        raise ConfigError(
            "Invalid VLAN: [{text}] for {what} "
            "(allowed: 1 to 4094, OUTER.INNER, untagged)",
            text=text,
            what=what,
        )
    return tuple(numbers)


def vlan_name(vlan: Vlan) -> str:
    """Return how a VLAN is written; the inverse of `parse_vlan`."""
    return ".".join(map(str, vlan)) or _UNTAGGED_NAME


class VlanFilter:
    """Passes the frames of one VLAN, and remembers in which ones there are adverts."""

    def __init__(self, vlan: Vlan) -> None:
        self._vlan = vlan
        self._seen = set[Vlan]()

    def take(self, frame: bytes, link_type: LinkType) -> bytes | None:
        """Return `frame` as its VLAN has it, without tags; None if that is another."""
        vlan, frame = untag(frame, link_type) or (None, frame)
        if vlan is None:
            return None
        is_new = vlan not in self._seen and len(self._seen) < NAMED_MAX
        if is_new and isinstance(decode(frame, link_type), Datagram):
            self._seen.add(vlan)
        return frame if vlan == self._vlan else None

    def note(self) -> str:
        """Return a sentence on the VLANs of the file; empty if all is untagged."""
        if self._seen | {self._vlan} == {UNTAGGED}:
            return ""
        listed = ", ".join(vlan_name(vlan) for vlan in sorted(self._seen)) or "none"
        return (
            f"VLANs with adverts in this file: {listed}; "
            f"replayed: {vlan_name(self._vlan)} (--vlan takes another)"
        )
