"""A dict that forgets the oldest of too many entries."""

from carppcap.node.bounded_table import BoundedTable


def test_a_new_entry_displaces_the_oldest() -> None:
    """An entry that is set again is the newest."""
    table: BoundedTable[str, int] = BoundedTable(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        table.put(key, value)

    assert table == {"a": 3, "c": 4}
