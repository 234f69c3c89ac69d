"""The vrrp_instance blocks of keepalived.conf."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.conversion.formats import FORMATS
from tests.conversion.sources import (
    converted,
    only,
    read_again,
    said,
    sources,
    values,
)

FILE = """\
! The mail relays.
vrrp_instance MAIL {
    interface eth0          # the wire
    virtual_router_id 51
    priority 156
    advert_int 1
    unicast_src_ip 10.1.1.1
    authentication {
        auth_type PASS
        auth_pass love
    }
    virtual_ipaddress {
        10.1.1.252/24
        10.1.1.253 dev eth0
    }
}
"""
PLAIN = {
    "interface": "eth0", "vhid": 51, "advskew": 100, "advbase": 1, "srcip": ["10.1.1.1"],
    "pass": "love", "addr": ["10.1.1.252/24", "10.1.1.253"], "preempt": True,
    "shutdown": True,
}  # fmt: skip
IN_CLEAR = (
    "10: VRRP sends its password in clear text: choose a new one, better in a passfile"
)


def added(line: str) -> str:
    return FILE.replace("    interface", f"    {line}\n    interface")


def test_a_file() -> None:
    """keepalived preempts and says farewell; the skew is that of VRRP."""
    result = converted(FILE)

    assert (values(result), said(result)) == (PLAIN, [IN_CLEAR])
    assert only(result).name == "MAIL"
    assert read_again(result).is_usable


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nopreempt", {"preempt": None}),
        ("preempt", {}),
        ("dont_track_primary", {"ignoreifstate": True}),
        ("garp_master_refresh 30", {"announce_interval": 30}),
        ("down_timer_adverts 4", {"deadratio": 4}),
        ("use_vmac", {"vmac": True}),
        ("unicast_peer {\n 10.1.1.2\n\n10.1.1.3\n}", {"peer": ["10.1.1.2", "10.1.1.3"]}),
        ("virtual_ipaddress_excluded\n{\n 10.1.1.9\n}",
         {"addr": ["10.1.1.9", "10.1.1.252/24", "10.1.1.253"]}),
    ],
)  # fmt: skip
def test_what_has_a_counterpart(line: str, expected: dict[str, object]) -> None:
    """And needs no word."""
    result = converted(added(line))

    found = {**PLAIN, **expected}
    assert values(result) == {k: v for k, v in found.items() if v is not None}
    assert [line.partition(": ")[2] for line in said(result)] == [
        IN_CLEAR.partition(": ")[2]
    ]


@pytest.mark.parametrize(
    ("priority", "skew"), [("255", 1), ("254", 2), ("100", 156), ("2", 254), ("1", 254)]
)
def test_priorities(priority: str, skew: int) -> None:
    """Their order stays; 255/255 would be a farewell."""
    assert values(converted(FILE.replace("156", priority)))["advskew"] == skew


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("state MASTER", "3: state MASTER: every host starts as BACKUP"),
        ("track_script { chk_http weight 2 }", "3: no counterpart for: track_script { chk_http weight 2 }"),
        ("notify_master \"/etc/x.sh with words\"", "3: no counterpart for: notify_master /etc/x.sh with words"),
        ("use_vmac vrrp.51", "3: no counterpart for: use_vmac vrrp.51"),
        ("preempt_delay 60", "3: no counterpart for: preempt_delay 60"),
        ("priority high", "3: no counterpart for: priority high"),
        ("priority 256", "3: no counterpart for: priority 256"),
        ("advert_int 0.5", "3: advert_int 0.5: the advbase is 1 s now (for less: an advbase of 0, and an advskew in 1/256 s, here 128)"),
        ("advert_int .999999", "3: advert_int .999999: the advbase is 1 s now (for less: an advbase of 0, and an advskew in 1/256 s, here 255)"),
        ("advert_int 1.5", "3: no counterpart for: advert_int 1.5"),
        ("interface", "3: interface is empty"),
        ("authentication { auth_type SHA }", "3: no counterpart for: auth_type SHA"),
        ("unicast_peer {\n 10.1.1.2 min_ttl 200\n}", "4: no counterpart for: 10.1.1.2 min_ttl 200"),
        ("virtual_ipaddress {\n10.1.1.8 dev eth1 label a\n}", "4: no counterpart for: 10.1.1.8: dev eth1 label a"),
        ("virtual_ipaddress {\n10.1.1.8 scope global\n}", "4: no counterpart for: 10.1.1.8: scope global"),
        ("virtual_ipaddress {\n$VIP\n}", "4: Invalid address: [$VIP] for addr (allowed: an IPv4 or IPv6 address such as 10.1.1.252 or fd00::252)"),
        ("{ nameless }", "3: no counterpart for: { nameless }"),
    ],
)  # fmt: skip
def test_what_has_none(line: str, expected: str) -> None:
    """Each is listed with its line."""
    found = [each.strip() for each in said(converted(added(line)))]

    assert expected in [each.replace("for:  {", "for: {") for each in found]


def test_without_an_interface() -> None:
    """No address is on that of the group."""
    result = converted(FILE.replace("    interface eth0          # the wire\n", ""))

    assert "interface" not in values(result)
    assert "13: no counterpart for: 10.1.1.253: dev eth0" in said(result)


def test_other_blocks() -> None:
    """What is not about an instance is listed as a whole."""
    result = converted(
        "global_defs {\n router_id x\n}\nvrrp_instance\n" + FILE + "}\ninclude y"
    )

    assert said(result) == [
        "1: no counterpart for: global_defs { router_id x }",
        "4: no counterpart for: vrrp_instance",
        IN_CLEAR.replace("10", "14"),
        "22: no counterpart for: include y",
    ]


def test_without_authentication() -> None:
    """CARP cannot do without."""
    text = FILE.replace(
        "    authentication {\n        auth_type PASS\n        auth_pass love\n    }\n",
        "",
    )
    result = converted(text)

    assert values(result)["passfile"] == "/etc/carppcap/MAIL.pass"
    assert said(result) == [
        "2: without authentication: CARP needs a password, in /etc/carppcap/MAIL.pass"
    ]


@given(st.lists(st.sampled_from(["vrrp_instance", "x", "{", "}", "\n", "#", "!", '"', "'",
    "interface", "priority", "1", "virtual_ipaddress", "authentication", "auth_pass",
    "unicast_peer", "10.1.1.2", "dev", "use_vmac", "state", "preempt"])).map(" ".join))  # fmt: skip
def test_no_file_does_harm(text: str) -> None:
    """Open braces, open quotes, statements of nothing."""
    result = FORMATS["keepalived"](sources(("file", text)))

    assert all(1 <= remark.line <= text.count("\n") + 1 for remark in result.remarks)
    assert all(f"{remark.error}" for remark in result.remarks)
