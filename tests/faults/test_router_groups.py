"""Faults of LACs and LNSs that know too many, or too few, of what their lines say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from router_rehearsal import Rehearsed, parts, rehearse
from test_router_labs import LAC, LNS, call, core, pair, to_the_end
from test_router_layers import FLOW, SETTINGS, both, ipsec
from test_router_readings import DEMUXED, DYNAMIC, accepting, lab_lines, read, state_of

from harness.routers.l2tp_play import L2tpPlay
from harness.routers.scripts.l2tp_benefits import BEHIND, BEHIND_NETWORK
from harness.virtual import settings as virtual
from harness.virtual.ios.router import RouterParts
from harness.virtual.peers import Association, Client
from harness.virtual.settings import Settings
from harness.wire.packet import ESP

KEEP = "l2tp security crypto-profile l2tp keep-sa"
PROFILE = ("crypto map l2tpsec 10 ipsec-isakmp profile l2tp", " set security-association lifetime seconds 120")
RING = ("crypto keyring L2TP", " pre-shared-key address 0.0.0.0 0.0.0.0 key cisco")


def security(settings: Settings) -> Any:
    found = accepting(settings)[0].security
    return found and found.profile


def life(settings: Settings) -> Any:
    assert settings.vpdn is not None
    assert settings.vpdn.crypto is not None
    crypto = settings.vpdn.crypto
    return crypto.lifetimes(crypto.profiles[0])[0]


UNPROTECTED = [line for line in lab_lines(LNS) if "l2tp security" not in line]
LIVED = lab_lines(LNS)
LIVED[LIVED.index(PROFILE[0]) + 1 : LIVED.index(PROFILE[0]) + 1] = [PROFILE[1]]
GLOBAL = "crypto ipsec security-association lifetime seconds 600"
READINGS: dict[str, tuple[Any, Callable[[Settings], Any], Any, Any]] = {
    "profile-of-anybody": (UNPROTECTED, security, None, "l2tp"),
    "profile-life-ignored": (LIVED, life, 120, 3600),
    "path-mtu-always": (lab_lines(LNS), lambda s: accepting(s)[0].pmtu, False, True),
    "global-life-ignored": ((*DEMUXED, GLOBAL, *DYNAMIC), lambda s: s.personality.esp_proposals[0].lifetime_s, 600, 3600),
    "pool-from-excluded": ((*DEMUXED, "ip dhcp excluded-address 172.16.1.3", *DYNAMIC), lambda s: s.pool_first, "172.16.1.10",
                           "172.16.1.3"),
}  # fmt: skip


@pytest.mark.parametrize("fault", READINGS)
def test_a_reading_that_is_broken(fault: str) -> None:
    lines, what, sound, broken = READINGS[fault]
    assert what(read(RouterParts(), *lines)) == sound
    assert what(read(parts(fault), *lines)) == broken


def keys(how: RouterParts, *lines: str) -> Any:
    return how.meant(state_of(*lines).configuration.tree, virtual.load("demux")).keys


def test_a_keyring_s_key_for_anybody() -> None:
    lines = [*(line for line in DEMUXED if "isakmp key" not in line), *RING, *DYNAMIC]
    good, bad = (keys(how, *lines) for how in both("keyring-neighbours"))
    assert [one.key_for("10.0.0.20") for one in (good, bad)] == [b"cisco"] * 2
    assert [one.key_for("10.0.0.50") for one in (good, bad)] == [b"cisco", None]
    assert keys(parts("keyring-neighbours"), *DEMUXED, *DYNAMIC).key_for("192.0.2.1") == b"cisco"


def test_the_order_of_entries() -> None:
    static = ("crypto map M 5 ipsec-isakmp", " set peer 10.0.0.20", " set transform-set ts", " match address 101")
    lines = (*DEMUXED, "access-list 101 permit udp any any", *static, *DYNAMIC)
    good, bad = (keys(how, *lines).entries for how in both("last-entry-first"))
    assert [peers for peers, _ in good] == [("10.0.0.20",), ()]
    assert bad == good[::-1]


# What is negotiated


@pytest.mark.parametrize("fault", ["last-set-only", "any-transform-taken"])
def test_who_answers(fault: str) -> None:
    """Who begins offers what is configured."""
    configs = []
    for how in both(fault):
        one, association = ipsec(how), Association(1, "10.0.0.12", {500: 500})
        configs.append(one._config(association).esp_proposals)
        one._profiles[1] = SETTINGS.vpdn.crypto.profiles[0]  # type: ignore[union-attr]
        assert one._config(association).esp_proposals == configs[0]
    good, bad = configs
    assert bad == good[-1:] if fault == "last-set-only" else ({row.authentication for row in bad} > {"sha1", "none"})


def test_a_kept_isakmp_sa_does_not_end() -> None:
    async def run(play: L2tpPlay) -> None:
        await to_the_end(play)
        await play.rest(700)
        await call(play)

    lines = dict.fromkeys((LAC, LNS), ("vpdn-group 1", KEEP, "exit", "crypto isakmp policy 1", "lifetime 600"))
    agreed = [len(core(one, LNS).ipsec.ike_agreed) for one in pair("ike-life-ignored", run, lines=lines)]
    phases = [core(one, LNS).ipsec._phases for one in pair("ike-life-ignored", run, lines=lines)]
    assert (agreed, phases) == ([1, 1], [2, 1])


def test_an_sa_s_own_life() -> None:
    lines = {LAC: (*PROFILE[:1], PROFILE[1].strip())}  # it asks for less
    lives = []
    for played in pair("own-life-only", call, lines=lines):
        ((event, _),) = core(played, LNS).ipsec.agreed.values()
        lives.append(event.lifetime_s)
    assert lives == [120, 3600]


def test_what_a_natted_client_leaves() -> None:
    for how, ended in zip(both("natted-sas-left"), (True, False), strict=True):
        for udp_port, goes in ((4500, ended), (0, True)):
            one, told = ipsec(how), []
            one.order = lambda now, association, what, told=told: told.append(association)
            client = Client(object(), "10.0.0.12", udp_port)  # type: ignore[arg-type]
            client.sas[1] = SimpleNamespace(association=Association(1, client.address, {500: 500}))  # type: ignore[assignment]
            one.release(0.0, client, keep=False)
            assert bool(told) is goes


# What is told


def test_connections_have_one_number() -> None:
    async def run(play: L2tpPlay) -> None:
        await to_the_end(play)
        await call(play)

    assert [list(core(one, LNS).ipsec.numbers.values()) for one in pair("connections-one-number", run)] == [[1], [0]]


def test_a_socket_of_any_port() -> None:
    ports = []
    for played in pair("socket-any-port", call):
        (held,) = core(played, LNS).lns.held.values()
        ports.append(held.flow.remote_port)
    assert ports == [FLOW.remote_port, 0]


def logged(played: Rehearsed, device: str) -> list[str]:
    return [one.line for one in played.gathered.logged if one.device == device]


def place(lines: list[str], part: str) -> int:
    return next(number for number, line in enumerate(lines) if part in line)


def test_debug_tells_the_newest_first() -> None:
    async def run(play: L2tpPlay) -> None:
        await play.execute(LNS, "debug crypto socket")
        await call(play)

    for played, first in zip(pair("debug-newest-first", run), (True, False), strict=True):
        lines = logged(played, LNS)
        assert (place(lines, "Passive open") < place(lines, "Completed binding")) is first


def test_calls_are_logged_all_the_same() -> None:
    async def run(play: L2tpPlay) -> None:
        await play.hang_up(await play.dial())

    played = pair("vpdn-logging-always", run, lines={LNS: ("no vpdn logging",)})
    assert [any("%VPDN-" in line for line in logged(one, LNS)) for one in played] == [False, True]


# Where packets go


def carried(played: Rehearsed) -> set[int]:
    return {packet[9] for box in played.lab.boxes[LAC].callers.values() for packet in box.core.packets}


def test_a_caller_hears_the_wire() -> None:
    assert [ESP in carried(one) for one in pair("lines-bridged", call)] == [False, True]


def test_a_network_behind_a_caller() -> None:
    async def run(play: L2tpPlay) -> None:
        caller = await play.dial()
        await play.tell_routes(caller, BEHIND_NETWORK)
        await play.host_sends(caller, "behind", 200, df=False, to=BEHIND)

    lines = {LNS: ("interface FastEthernet0/1", "ip address 192.0.2.1 255.255.255.0", "exit", "router rip", "version 2",
                   "network 172.16.0.0", "network 192.0.2.0", "no auto-summary")}  # fmt: skip
    got = [any(told.kind == "got" for told in one.gathered.told) for one in pair("routes-not-taken", run, lines=lines)]
    assert got == [True, False]


def test_addresses_beside_the_pool() -> None:
    settings = replace(SETTINGS, pool_first="172.16.1.10", pool_last="172.16.1.19")
    assert [how.address_pool(settings).give() for how in both("router-pool-beside")] == ["172.16.1.10", "172.16.1.20"]
    assert rehearse("router-pool-beside", call).answered() == [True]
