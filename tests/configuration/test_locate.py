"""The lines of keys: a table of TOML's forms, and documents of every shape."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.configuration.locate import Path, locate
from tests.configuration.files import paths_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# only\n\n", {}),
        ("a = 1", {("a",): 1}),
        ("\n\na=1#b=2\nb = 2", {("a",): 3, ("b",): 4}),
        ("a.b.c = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 1}),
        ("a . 'b' = 1", {("a",): 1, ("a", "b"): 1}),
        ('"a\\u0042\\t" = 1', {("aB\t",): 1}),
        ("'a\\t' = 1", {("a\\t",): 1}),
        ("'' = 1", {("",): 1}),
        ('"" = 1', {("",): 1}),
        ('"\\U0001F600" = 1', {("\U0001f600",): 1}),
        ("a = '#'\nb = \"\\\"#\"", {("a",): 1, ("b",): 2}),
        ('a = """\nb = 1\n"""\nc = 1', {("a",): 1, ("c",): 4}),
        ('a = """x""""\nc = 1', {("a",): 1, ("c",): 2}),
        ('a = """x"""""\nc = 1', {("a",): 1, ("c",): 2}),
        ('a = """\\""" # """\nc = 1', {("a",): 1, ("c",): 2}),
        ('a = """"quoted""x\\\n"""\nc = 1', {("a",): 1, ("c",): 3}),
        ("a = '''\n'b''\n'''''\nc = 1", {("a",): 1, ("c",): 4}),
        ("a = ''''''\nc = 1", {("a",): 1, ("c",): 2}),
        ("a = [\n1,\n[2, 3],\n# c\n'4]',\n]\nb = 1", {
            ("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, 0): 3, ("a", 1, 1): 3,
            ("a", 2): 5, ("b",): 7,
        }),
        ("a = []", {("a",): 1}),
        ("a = {}", {("a",): 1}),
        ("a = {b = 1, c.d = [\n2]}\ne = 1", {
            ("a",): 1, ("a", "b"): 1, ("a", "c"): 1, ("a", "c", "d"): 1,
            ("a", "c", "d", 0): 2, ("e",): 3,
        }),
        ("[a]\nb = 1\n[a.c]\nd = 1", {
            ("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("a", "c", "d"): 4,
        }),
        ("[a.b]\n[a]\nc = 1", {("a",): 1, ("a", "b"): 1, ("a", "c"): 3}),
        ("[ a . \"b\" ] # c\nd = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "d"): 2}),
        ("[[a]]\nb = 1\n[[a]]\n[a.c]\nd = 1", {
            ("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2, ("a", 1): 3, ("a", 1, "c"): 4,
            ("a", 1, "c", "d"): 5,
        }),
        ("[[a]]\n[[a.b]]\n[[a]]\n[[a.b]]\nc = 1", {
            ("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2, ("a", 0, "b", 0): 2, ("a", 1): 3,
            ("a", 1, "b"): 4, ("a", 1, "b", 0): 4, ("a", 1, "b", 0, "c"): 5,
        }),
        ("a = 1979-05-27 07:32:00\nb = 0x1F", {("a",): 1, ("b",): 2}),
    ],
)  # fmt: skip
def test_lines(text: str, expected: dict[Path, int]) -> None:
    """Each form, and nothing else in the result."""
    assert locate(text) == expected
    assert set(paths_of(tomllib.loads(text))) == expected.keys()


STRINGS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\x7f"), max_size=6
) | st.sampled_from(['"', '"""', "'''", "#", "]", "}", "=", "\\", "\n[a]\nb=1", "[["])


def basic(text: str) -> str:
    """A basic string, in one line."""
    return '"' + "".join(f"\\U{ord(letter):08x}" if letter in '"\\' or letter < " "
                         else letter for letter in text) + '"'  # fmt: skip


def written(text: str, form: int) -> str:
    """The text as one of TOML's four strings, where it is possible."""
    plain = all(letter >= " " or letter in "\t\n" for letter in text)
    if form == 1 and plain and "'" not in text and "\n" not in text:
        return f"'{text}'"
    if form == 2 and plain and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''"
    if form == 3 and plain:
        return '"""\n' + text.replace("\\", "\\\\").replace('"""', '""\\"') + '\\\n """'
    return basic(text)


SCALARS = st.one_of(
    st.builds(written, STRINGS, st.integers(0, 3)),
    st.sampled_from(["1", "-1.5e3", "true", "1979-05-27 07:32:00", "nan", "0b1"]),
)
GAPS = st.sampled_from(["", " ", "\n", " # ]}\"'''\n", "\n\n\t"])
KEYS = st.builds(written, STRINGS.filter(lambda t: "\n" not in t), st.integers(0, 1))
KEYS |= st.from_regex(r"[A-Za-z0-9_-]{1,3}", fullmatch=True)


@st.composite
def arrays(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    parts = draw(st.lists(values, max_size=3))
    inside = "".join(f"{draw(GAPS)}{part}{draw(GAPS)}," for part in parts)
    return f"[{inside}{draw(GAPS)}]"


@st.composite
def inline_tables(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    parts = draw(st.lists(st.tuples(KEYS, values), max_size=3))
    return "{" + ", ".join(f"{key} = {value}" for key, value in parts) + "}"


VALUES = st.recursive(SCALARS, lambda v: arrays(v) | inline_tables(v), max_leaves=6)
HEADERS = st.builds(
    lambda keys, double: "[" * double + ".".join(keys) + "]" * double,
    st.lists(KEYS, min_size=1, max_size=3),
    st.integers(1, 2),
)
LINES = st.one_of(
    st.builds(
        lambda keys, value: f"{' . '.join(keys)} = {value}",
        st.lists(KEYS, min_size=1, max_size=2),
        VALUES,
    ),
    HEADERS,
    st.sampled_from(["", "# [x]", "\t"]),
)


@given(st.lists(LINES, max_size=8))
def test_it_knows_what_tomllib_knows(lines: list[str]) -> None:
    """The same tables, keys and elements, each in a line that there is.

    The tomllib of this Python is the judge of what is a document.
    """
    good: list[str] = []
    for line in lines:
        try:
            tomllib.loads("\n".join([*good, line]))
        except tomllib.TOMLDecodeError:
            continue
        good.append(line)
    text = "\n".join(good)

    found = locate(text)

    assert set(found) == set(paths_of(tomllib.loads(text)))
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())


@given(st.lists(st.tuples(SCALARS, GAPS), max_size=6))
def test_lines_are_those_where_keys_are(values: list[tuple[str, str]]) -> None:
    """Keys that are written one after the other, each in a line that we know."""
    text, expected = "", {}
    for number, (value, gap) in enumerate(values):
        text += gap if "\n" in gap else ""
        expected[f"k{number}",] = text.count("\n") + 1
        text += f"k{number} = {value}\n"

    assert locate(text) == expected
