"""Generated parts of documents: the text between two marker lines.

A marker is a comment of the document, such as `.. begin survival` and `.. end survival`
in reStructuredText, or `.\\" begin options` in a manual page.
"""

import re
from pathlib import Path


def replace_between(text: str, name: str, new: str) -> str:
    """Return `text` with `new` between the markers of `name`.

    Raises ValueError unless there is exactly one pair of markers.
    """
    marker = rf"^(\.\.|\.\\\") {{}} {re.escape(name)}$\n"
    pattern = f"({marker.format('begin')})(.*?)(?={marker.format('end')})"
    replaced, count = re.subn(
        pattern,
        lambda match: f"{match[1]}{new}",
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"{count} pairs of markers named {name}")
    return replaced


def write_between(path: Path, name: str, new: str) -> None:
    """Replace in the file `path` what is between the markers of `name`."""
    path.write_text(replace_between(path.read_text("utf-8"), name, new), "utf-8")
