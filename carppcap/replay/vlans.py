"""The VLANs of a capture file: one is replayed, and a note names those with adverts."""

from carppcap.errors import ConfigError
from carppcap.wire.decode import UNTAGGED, Datagram, LinkType, Vlan, decode, untag

ID_MAX = 4094
NAMED_MAX = 32
"""The most VLANs that the note names, since forged tags could fill the memory."""

_DEPTH_MAX = 2
_UNTAGGED_NAME = "untagged"


def parse_vlan(text: str, what: str) -> Vlan:
    """Return the VLAN that `text` names, e.g. `10`, or `10.20` for tag 20 in tag 10.

    `0` and `untagged` stand for frames without a VLAN.  Raises `ConfigError` for any
    other text; `what` is the name of the option.
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
    """Return the name of `vlan` as `parse_vlan` reads it, e.g. `10.20`."""
    return ".".join(map(str, vlan)) or _UNTAGGED_NAME


class VlanFilter:
    """Passes the frames of one VLAN, and records which VLANs contain adverts."""

    def __init__(self, vlan: Vlan) -> None:
        self._vlan = vlan
        self._seen = set[Vlan]()

    def take(self, frame: bytes, link_type: LinkType) -> bytes | None:
        """Return `frame` without its VLAN tags, or None if its VLAN is not replayed."""
        vlan, frame = untag(frame, link_type) or (None, frame)
        if vlan is None:
            return None
        is_new = vlan not in self._seen and len(self._seen) < NAMED_MAX
        if is_new and isinstance(decode(frame, link_type), Datagram):
            self._seen.add(vlan)
        return frame if vlan == self._vlan else None

    def note(self) -> str:
        """Return a sentence about the VLANs of the file.

        Return an empty string if no advert has a tag and untagged frames are replayed.
        """
        if self._seen | {self._vlan} == {UNTAGGED}:
            return ""
        listed = ", ".join(vlan_name(vlan) for vlan in sorted(self._seen)) or "none"
        return (
            f"VLANs with adverts in this file: {listed}; "
            f"replayed: {vlan_name(self._vlan)} (--vlan takes another)"
        )
