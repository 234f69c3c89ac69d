"""Many groups in one process: each is elected, held and lost for itself."""

import shlex
import signal
import time
from collections.abc import Mapping
from itertools import pairwise

from carppcap.configuration.keys import KEYS, Kind, key_of
from carppcap.configuration.render import Draft, Value, render
from carppcap.options.command_line import split
from carppcap.options.table import OPTIONS, Option
from tests.netns.daemons import Daemon
from tests.netns.lab import PASSWORD, Host, Lab, wait_for
from tests.netns.scenes import OURS, only_ours
from tests.netns.wire import NS_PER_S, Advert

pytestmark = [only_ours]

NS_PER_MS = 1_000_000
OWN = "--own-addresses -z"
VIPS = ("10.9.0.101", "10.9.0.102", "10.9.0.103")


def start(host: Host, groups: Mapping[str, str]) -> Daemon:
    """Start one daemon on `host` with these groups, each given by ucarp's options."""
    path = host.lab.directory / f"{host.name}-{len(host.daemons)}.toml"
    drafts = []
    for name, options in groups.items():
        given, _ = split(shlex.split(options), OPTIONS)
        values = {key_of(row): _value(row, text) for row, _, text in given}
        drafts.append(Draft(name, {"own_addresses": False} | values))
    top: dict[str, Value] = {"facility": "none", "pass": PASSWORD}
    path.write_text(render([], top, drafts))
    return host.start_bare(OURS, ["run", str(path)])


def _value(row: Option, text: str) -> Value:
    if row.parse is None:
        return True
    return int(text) if KEYS[key_of(row)].kind is Kind.NUMBER else text


def on_eth0(host: Host, vhid: int, vip: str, more: str = OWN) -> str:
    """Return the options of a group on the bridge of the lab."""
    return f"-i eth0 -s {host.address} -v {vhid} -a {vip} {more}"


def plug_second(one: Host, other: Host) -> None:
    """Connect two hosts by a second cable, eth1 on both, without the bridge."""
    link = f"ip link add eth1 type veth peer name eth1 netns {other.namespace.pid}"
    one.run(*link.split())
    for number, host in enumerate((one, other), 1):
        host.run(*f"ip address add 10.8.0.{number}/24 dev eth1".split())
        host.run(*"ip link set eth1 up".split())


def holds(lab: Lab, *names: str) -> bool:
    """True if each host holds just its part of the addresses: "101,103" and "102"."""
    return all(
        {address.rpartition(".")[2] for address in lab.addresses.held_by(host.name)}
        == set(filter(None, part.split(",")))
        for host, part in zip(lab.hosts, names, strict=True)
    )


def adverts_of(lab: Lab, host: Host, vhid: int, since_ns: int = 0) -> list[Advert]:
    return [
        advert
        for advert in lab.wire.adverts(host.address)
        if advert.vhid == vhid and advert.time_ns >= since_ns
    ]


def test_an_election_for_each_group() -> None:
    """On two interfaces, of which one fails; then the whole daemon is killed."""
    with Lab(2, vips=VIPS) as lab:
        one, other = lab.hosts
        plug_second(one, other)

        def groups(host: Host, number: int, skews: tuple[int, int, int]) -> Daemon:
            second = f"-i eth1 -s 10.8.0.{number} -v 1 -a {VIPS[2]} {OWN}"
            return start(
                host,
                {
                    "web": f"{on_eth0(host, 1, VIPS[0])} -P -k {skews[0]}",
                    "mail": f"{on_eth0(host, 2, VIPS[1])} -P -k {skews[1]}",
                    "back": f"{second} -P -k {skews[2]}",
                },
            )

        first = groups(one, 1, (0, 50, 0))
        groups(other, 2, (50, 0, 50))
        wait_for("all of them", lambda: holds(lab, "101,103", "102"))

        one.run(*"ip address delete 10.8.0.1/24 dev eth1".split())
        wait_for("the third", lambda: holds(lab, "101", "102,103"))
        assert first.logged("eth1 has lost our address 10.8.0.1")
        assert first.logged("back: eth1 id 1: MASTER -> BACKUP (link_down)")

        first.signal(signal.SIGUSR1)
        wait_for("the states", lambda: first.logged("web: MASTER on eth0 id 1"))
        assert first.logged("back: BACKUP on eth1 id 1")

        first.kill()
        wait_for("a successor", lambda: holds(lab, "", "101,102,103"))


def test_a_daemon_that_is_told_to_stop() -> None:
    """Every group says farewell, and the peer has all addresses at once."""
    with Lab(2, vips=VIPS) as lab:
        one, other = lab.hosts
        vhids = dict(enumerate(VIPS, 1))
        groups = [
            {f"g{v}": f"{on_eth0(host, v, vip)} -k {skew}" for v, vip in vhids.items()}
            for host, skew in ((one, 0), (other, 50))
        ]
        first = start(one, groups[0])
        wait_for("all of them", lambda: holds(lab, "101,102,103", ""))
        start(other, groups[1])
        wait_for(
            "a backup", lambda: len(other.daemons[0].logged("BACKUP (startup)")) == 3
        )

        first.signal(signal.SIGTERM)

        assert first.wait() == 0
        wait_for("a successor", lambda: holds(lab, "", "101,102,103"))
        farewells = {a.vhid for a in lab.wire.adverts(one.address) if a.is_farewell}
        assert farewells == set(vhids)
        assert lab.addresses.time_with(2) == 0


def test_the_script_of_one_group_delays_no_other() -> None:
    """One hangs, and keeps hanging at the end; the adverts of the others go on."""
    with Lab(1, vips=VIPS) as lab:
        [host] = lab.hosts
        slow = lab.script("up", sleep_s=1000)
        hangs = f"-z -u {slow} -d {lab.down}"
        scripts = f"-z -u {lab.up} -d {lab.down}"
        daemon = start(
            host,
            {
                "hanging": on_eth0(host, 1, VIPS[0], hangs + " -n"),
                "script": on_eth0(host, 2, VIPS[1], scripts),
                "own": on_eth0(host, 3, VIPS[2]),
            },
        )
        wait_for("the others", lambda: holds(lab, "102,103"))
        since_ns = time.time_ns()
        wait_for("adverts", lambda: len(adverts_of(lab, host, 3, since_ns)) >= 5)

        for vhid in (1, 2, 3):
            times = [advert.time_ns for advert in adverts_of(lab, host, vhid, since_ns)]
            for before, after in pairwise(times):
                late_ns = after - before - NS_PER_S
                assert late_ns - lab.stalled_ns(before, after) < 100 * NS_PER_MS

        daemon.signal(signal.SIGTERM)
        wait_for("the others to leave", lambda: holds(lab, ""))
        assert daemon.is_running
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


def test_the_death_of_a_peer_with_fifty_groups() -> str:
    """Each is taken when its master-down interval ends, and its address with it."""
    vips = {vhid: f"10.9.1.{vhid}" for vhid in range(1, 51)}
    with Lab(2, vips=tuple(vips.values())) as lab:
        one, other = lab.hosts
        for host, skew in ((one, 0), (other, 50)):
            groups = {
                f"g{vhid}": f"{on_eth0(host, vhid, vip)} -k {skew}"
                for vhid, vip in vips.items()
            }
            start(host, groups)
            wait_for("a master", lambda: one.holds_all)
        wait_for(
            "backups",
            lambda: len(other.daemons[0].logged("BACKUP (startup)")) == len(vips),
        )
        wait_for("adverts", lambda: len(lab.wire.adverts(one.address)) > 200)

        one.power_off()
        wait_for("a successor", lambda: other.holds_all)

        expected_ns = 3 * NS_PER_S + 50 * NS_PER_S // 256
        late = {}
        for vhid in vips:
            last_ns = adverts_of(lab, one, vhid)[-1].time_ns
            taken_ns = adverts_of(lab, other, vhid)[0].time_ns
            stalled_ns = lab.stalled_ns(last_ns, taken_ns)
            late[vhid] = taken_ns - last_ns - expected_ns - stalled_ns
        assert max(late.values()) < 100 * NS_PER_MS
        return f"the latest one after {max(late.values()) // NS_PER_MS} ms more"


def test_spread_adverts() -> None:
    """Groups that become master at once do not advertise at once."""
    vips = {vhid: f"10.9.1.{vhid}" for vhid in range(1, 21)}
    with Lab(1, vips=tuple(vips.values())) as lab:
        [host] = lab.hosts
        start(host, {f"g{v}": on_eth0(host, v, vip) for v, vip in vips.items()})
        wait_for("all of them", lambda: host.holds_all)
        since_ns = time.time_ns()
        wait_for("adverts", lambda: len(adverts_of(lab, host, 1, since_ns)) >= 3)

        adverts = [a for a in lab.wire.adverts(host.address) if a.time_ns >= since_ns]
        tenths = {advert.time_ns % NS_PER_S // (100 * NS_PER_MS) for advert in adverts}
        assert len(tenths) >= 9


def test_a_group_whose_interface_is_missing() -> None:
    """It waits for it; the others run."""
    with Lab(1, vips=VIPS) as lab:
        [host] = lab.hosts
        later = f"-i eth1 -s 10.8.0.1 -v 1 -a {VIPS[1]} {OWN}"
        daemon = start(host, {"late": later, "web": on_eth0(host, 1, VIPS[0])})
        wait_for("the other", lambda: holds(lab, "101"))
        assert daemon.logged("eth1 is not there yet: waiting for it")

        for command in (
            "ip link add eth1 type veth peer name far",
            "ip link set far up",
            "ip address add 10.8.0.1/24 dev eth1",
            "ip link set eth1 up",
        ):
            host.run(*command.split())
        wait_for("both", lambda: holds(lab, "101,102"))
