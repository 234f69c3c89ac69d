"""The formats that can be converted, and which of them a file has."""

import re
from collections.abc import Sequence
from posixpath import basename

from carppcap.conversion import debian, fedora, keepalived, ucarp
from carppcap.conversion.result import Converter, Source

FORMATS: dict[str, Converter] = {
    "ucarp": ucarp.convert,
    "debian": debian.convert,
    "fedora": fedora.convert,
    "keepalived": keepalived.convert,
}
"""The converter of each format."""


def format_of(sources: Sequence[Source]) -> str | None:
    """Return the format of `sources`, or None if they have none that is known."""
    text = "\n".join(source.text for source in sources)
    if re.search(rf"^\s*{keepalived.BLOCK}\s", text, re.MULTILINE):
        return "keepalived"
    if re.search(r"^\s*ucarp-\w+\s", text, re.MULTILINE):
        return "debian"
    if any(list(ucarp.command_lines(source)) for source in sources):
        return "ucarp"
    is_fedora = any(re.match(r"vip-.*\.conf", basename(s.path)) for s in sources)
    if is_fedora or re.search(r"^\s*(VIP_ADDRESS|BIND_INTERFACE)=", text, re.MULTILINE):
        return "fedora"
    return None
