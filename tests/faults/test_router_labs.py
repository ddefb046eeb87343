"""Faults that take a LAC, an LNS and a caller to show: on the wire, or in what the two hold at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from router_rehearsal import Rehearsed, rehearse

from harness.routers import forgeries
from harness.routers.l2tp_lab import ADDRESSES, LAC, LNS
from harness.routers.l2tp_play import LNS_PPP, L2tpPlay
from harness.virtual.aaa.records import Traffic

GROUP = "vpdn-group 1"
KEEP = (GROUP, "l2tp security crypto-profile l2tp keep-sa")
Run = Callable[[L2tpPlay], Awaitable[None]]


def pair(fault: str, run: Run, **about: Any) -> tuple[Rehearsed, Rehearsed]:
    """Sound, and broken."""
    return rehearse(None, run, **about), rehearse(fault, run, **about)


def core(played: Rehearsed, device: str) -> Any:
    return played.lab.router(device).core


async def call(play: L2tpPlay) -> None:
    await play.ping(await play.dial())


async def forged_request(play: L2tpPlay) -> None:
    await play.forge(forgeries.sccrq(tunnel=77), "SCCRQ in the clear")


def test_a_request_in_the_clear_is_answered() -> None:
    sound, broken = pair("clear-request-taken", forged_request)
    assert sound.clear(ADDRESSES[LNS]) == []
    assert broken.clear(ADDRESSES[LNS]) != []


async def forged_data(play: L2tpPlay) -> None:
    caller = await play.dial()
    (tunnel,) = play.lab.router(LNS).core.lns.tunnels.values()
    (link,) = tunnel.links.values()
    before = link.traffic.packets_in
    data = forgeries.echo(tunnel.number, link.session, play.address_of(caller) or "", LNS_PPP, b"nobody has asked this")
    await play.forge(data, "data in the clear")
    play.tell("test", "taken", packets=link.traffic.packets_in - before)


async def forged_stop(play: L2tpPlay) -> None:
    await play.dial()
    await play.rest(5)
    (tunnel,) = play.lab.router(LNS).core.lns.tunnels.values()
    remote = tunnel.core.tunnel_remote
    await play.forge(forgeries.stop(tunnel.number, remote, 4, 2), "StopCCN in the clear")
    play.tell("test", "taken", packets=int(not tunnel.links))


@pytest.mark.parametrize(("fault", "run"), [("clear-data-taken", forged_data), ("clear-control-taken", forged_stop)])
def test_what_bears_the_ids_of_a_live_tunnel_is_taken_in_the_clear(fault: str, run: Run) -> None:
    taken = [one.data["packets"] for played in pair(fault, run) for one in played.gathered.told if one.kind == "taken"]
    assert taken == [0, 1]


@pytest.mark.parametrize(("fault", "run"), [("clear-data-taken", forged_stop), ("clear-control-taken", forged_data)])
def test_each_of_the_two_takes_its_own_kind_only(fault: str, run: Run) -> None:
    assert [one.data["packets"] for one in rehearse(fault, run).gathered.told if one.kind == "taken"] == [0]


async def deaf(play: L2tpPlay) -> None:
    with play.losing(lambda packet: packet.src == ADDRESSES[LNS]):
        await play.dial(wait_s=5)


def test_the_request_does_not_wait_for_sas() -> None:
    sound, broken = pair("request-before-sas", deaf)
    assert sound.clear(ADDRESSES[LAC]) == []
    assert broken.clear(ADDRESSES[LAC]) != []


def test_a_tunnel_without_the_password_comes_up() -> None:
    sound, broken = pair("tunnel-proof-not-asked", call, lines={LAC: (GROUP, "l2tp tunnel password wrong")})
    assert sound.up() == []
    assert broken.up() == ["caller 1"]


async def to_the_end(play: L2tpPlay) -> None:
    await call(play)
    await play.end_tunnels(LNS)


def left(played: Rehearsed) -> tuple[int, int]:
    """How many ISAKMP SAs and pairs of ESP SAs the LNS has."""
    ipsec = core(played, LNS).ipsec
    return sum(len(one.ike_sas) for one in ipsec.associations), len(ipsec.sadb.by_spi)


@pytest.mark.parametrize(
    ("fault", "keeps", "good", "bad"),
    [
        ("keep-sa-ignored", True, (1, 0), (0, 0)),
        ("keep-sa-always", False, (0, 0), (1, 0)),
        ("sas-left-behind", False, (0, 0), (1, 1)),
        ("keep-sa-of-esp", True, (1, 0), (0, 1)),
    ],
)
def test_what_a_tunnel_leaves(fault: str, keeps: bool, good: tuple[int, int], bad: tuple[int, int]) -> None:
    played = pair(fault, to_the_end, lines=dict.fromkeys((LAC, LNS), KEEP) if keeps else {})
    assert [left(one) for one in played] == [good, bad]


def test_a_profile_with_another_peer_protects_nothing() -> None:
    async def run(play: L2tpPlay) -> None:
        await play.offer(LAC, "crypto map l2tpsec 10 ipsec-isakmp profile l2tp", "set peer 10.0.0.99")
        await play.dial(wait_s=10)

    sound, broken = pair("profile-peer-heeded", run)
    assert (sound.up(), broken.up()) == (["caller 1"], [])


def test_what_goes_out_is_counted_as_what_came_in() -> None:
    for played, same in zip(pair("engine-counts-out-as-in", call), (False, True), strict=True):
        (sa,) = core(played, LNS).ipsec.sadb.by_spi.values()
        assert sa.outbound.sequence > 0
        assert (sa.inbound.packets == sa.outbound.sequence) is same


def test_links_of_a_router_are_the_fault_s() -> None:
    """The seams reach the layers of a router that is configured by its command line."""
    played = rehearse("link-counted-wrong-way", call)
    (tunnel,) = core(played, LNS).lns.tunnels.values()
    (link,) = tunnel.links.values()
    assert type(link.frames) is not Traffic
    assert played.answered() == [True]
