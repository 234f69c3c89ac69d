"""Files that are written: tomllib reads what was meant."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from carppcap.configuration.keys import KEYS
from carppcap.configuration.render import Draft, Value, quoted, render

VALUES: st.SearchStrategy[Value] = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.text(st.characters(codec="utf-8")),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=2, max_size=4),
)
TABLES = st.dictionaries(st.sampled_from(list(KEYS)), VALUES, max_size=6)


@given(TABLES, st.lists(TABLES, min_size=1, max_size=3), st.text())
def test_what_is_written_is_read(
    top: dict[str, Value], tables: list[dict[str, Value]], comment: str
) -> None:
    """Comments hold whatever they are given."""
    drafts = [Draft(f"g{n}", table) for n, table in enumerate(tables)]
    for key in ("", "vhid", "addr"):
        drafts[0].comment(key, comment)

    document = tomllib.loads(render([comment], top, drafts))

    assert document.pop("group") == {draft.name: draft.values for draft in drafts}
    assert document == top


def test_a_file() -> None:
    """Keys in the order of the manual, each after its comments."""
    draft = Draft("web", {"vhid": 7, "interface": "eth0", "peer": ["10.1.1.2"]})
    draft.values["addr"] = ["10.1.1.3", "fd00::3"]
    draft.comment("", "About all.")
    draft.comment("vhid", "The number " * 10)
    draft.comment("srcip", "It is missing.")

    assert (
        render(["Head."], {"pidfile": "/p"}, [draft])
        == """\
# Head.

pidfile = "/p"

[group.web]
# About all.
interface = "eth0"
# It is missing.
# The number The number The number The number The number The number The number
# The number The number The number
vhid = 7
addr = ["10.1.1.3", "fd00::3"]
peer = "10.1.1.2"
"""
    )


def test_what_toml_cannot_have() -> None:
    """Bytes that are no text, as in arguments of the process."""
    assert quoted('a"\\\n\udcff') == '"a\\"\\\\\\u000a?"'
