"""Client-initiated tunnelling: a dial-in client with IPsec of its own at an LNS with VPDN groups, with and without a NAT."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vpdn_bench import CRYPTO, DES, PROFILE

from harness.model import Secret
from harness.virtual.vpdn import view
from harness.virtual.vpdn.crypto import TransformSet
from harness.virtual.vpdn.groups import AcceptGroup, Security, Vpdn
from harness.virtual.vpdn.router import VpdnRouter
from harness.wire import ip
from harness.wire.config import EspProposal
from harness.wire.packet import ESP

AES = TransformSet("aes", "aes-256", "sha1", "transport")
ANYBODY = AcceptGroup(name="1", tunnel_authentication=False, security=Security("l2tp"), authentication=("mschapv2",))
KEYS = {"0.0.0.0/0": Secret("sharedsecret")}


@pytest.fixture
def lns(world):
    """A world whose gateway is a router with one group for anybody; the client asks for AES with SHA-1."""

    def make(*, nat: bool = False, demux: bool = False, group: AcceptGroup = ANYBODY, seconds: int = 3600, **changes):
        made = world("plain", nat=nat)
        profile = replace(PROFILE, sets=(AES,), lifetime_s=seconds)
        vpdn = Vpdn((group,), crypto=replace(CRYPTO, profiles=(profile,), keys=KEYS))
        settings = made.gateway.settings.changed(vpdn=vpdn, dpd=None, idle=None, demux=demux, **changes)
        made.gateway = VpdnRouter(settings, made.random.randbytes)
        return made

    return make


def shown(world) -> view.RouterView:
    return view.of(world.now, world.gateway)


@pytest.mark.parametrize("nat", [False, True])
def test_end_to_end(lns, nat: bool) -> None:
    """SEC-20, 22: no Challenge is sent, and nothing goes in the clear."""
    world = lns(nat=nat)
    client = world.dial(1)
    assert client.up
    assert world.ping(client)
    assert not [packet for packet in world.crossed if 1701 in (packet.sport, packet.dport)]
    assert {packet.protocol for packet in world.crossed} == ({ip.UDP} if nat else {ip.UDP, ESP})
    assert shown(world).esp_sas[0].mode == ("udp-transport" if nat else "transport")
    assert shown(world).maps[1].peer == client.address if not nat else shown(world).maps[1].peer == "203.0.113.232"


@pytest.mark.parametrize("keep", [False, True])
def test_after_hanging_up(lns, keep: bool) -> None:
    """SEC-27, 39: the LNS ends both phases, or the second alone, whatever the client does: here the client is deaf by then."""
    world = lns(group=replace(ANYBODY, security=Security("l2tp", keep_sa=keep)))
    client = world.dial(1)
    assert client.up
    world.gateway.close_l2tp(world.now, shown(world).tunnels[0].number)
    client.stack.vanish()
    world.run(40.0)
    assert (len(shown(world).ike_sas), len(shown(world).esp_sas)) == (1 if keep else 0, 0)
    world.run(5.0)
    assert [entry.sequence for entry in shown(world).maps] == [10]


def test_a_client_that_returns_is_not_blocked_by_what_was_kept(lns) -> None:
    """SEC-43: it has forgotten all, and begins anew from the same address."""
    world = lns(group=replace(ANYBODY, security=Security("l2tp", keep_sa=True)))
    client = world.dial(1)
    client.stack.vanish()
    world.clients.clear()
    world.run(200.0)
    assert world.dial(1).up


@pytest.mark.parametrize(("client", "lns_seconds"), [(100, 3600), (3600, 100)])
def test_the_shorter_life_is_in_force(lns, client: int, lns_seconds: int) -> None:
    """SEC-26 with a client's own life: the view shows it, and the client renews by it."""
    world = lns(seconds=lns_seconds)
    found = world.dial(1, ike__esp_proposals=(EspProposal("aes-256", "sha1", client),))
    assert found.up
    assert shown(world).esp_sas[0].lifetime_s == 100
    world.run(500.0)
    assert len(world.of("esp-up")) >= 6
    assert world.ping(found)


def test_esp_without_authentication_carries_no_session(lns) -> None:
    """SEC-21: it may be configured, is flagged, and nothing is agreed on by it."""
    profile = replace(PROFILE, sets=(replace(DES, authentication=None),))
    assert [one.name for one in profile.flawed] == ["esp-des-sha-transport"]
    world = lns()
    vpdn = replace(world.gateway.settings.vpdn, crypto=replace(CRYPTO, profiles=(profile,), keys=KEYS))
    world.gateway.reconfigure(world.now, vpdn=vpdn)
    client = world.dial(1)
    assert not client.up
    assert not shown(world).esp_sas


@pytest.mark.parametrize(("demux", "alive"), [(True, True), (False, False)])
def test_clients_behind_one_nat(lns, demux: bool, alive: bool) -> None:
    """With `set nat demux` both live; without it the first one's downlink goes to the second, as it does without VPDN groups."""
    world = lns(nat=True, demux=demux)
    one, two = world.dial(1), world.dial(2)
    assert one.up
    assert two.up
    assert world.ping(two)
    assert world.ping(one) is alive


def test_a_nat_leaves_less_room_and_no_black_hole(lns) -> None:
    """SEC-122: of every size with DF either the packet arrives, or its sender is told; what goes out fits the path."""
    world = lns(nat=True, group=replace(ANYBODY, pmtu=True))
    client = world.dial(1, ppp__mru=1500)
    assert client.up
    passed = []
    for size in range(1300, 1501, 4):
        before, lan = len(world.crossed), len(world.lan)
        answer = ip.build_echo(ip.Echo(False, 1, 1, bytes(size - 28)))
        packet = ip.build_ipv4("192.0.2.80", client.stack.address, ip.ICMP, answer, df=True)
        world.gateway.receive_lan(world.now, packet)
        world.settle()
        sent = [one for one in world.crossed[before:] if one.src == "203.0.113.231"]
        assert bool(sent) is not (len(world.lan) > lan), size
        assert all(28 + len(one.payload) <= 1500 and one.df for one in sent)
        passed += [size] if sent else []
    assert passed
    assert passed == list(range(1300, passed[-1] + 1, 4))
    assert passed[-1] < 1400 + 28


def test_off_the_interface_nothing_is_protected_any_more(lns) -> None:
    """SEC-63 while it runs: the SAs go with the map, and the clear is not what takes their place."""
    world = lns()
    client = world.dial(1)
    assert client.up
    vpdn = world.gateway.settings.vpdn
    world.gateway.reconfigure(world.now, vpdn=replace(vpdn, crypto=replace(vpdn.crypto, applied=None)))
    world.settle()
    assert not shown(world).esp_sas
    assert not shown(world).ike_sas
    assert not world.dial(2).up
    assert not [packet for packet in world.crossed if 1701 in (packet.sport, packet.dport)]


def test_an_orderly_end_waits_for_both_roles(lns) -> None:
    world = lns()
    assert world.dial(1).up
    world.gateway.shut_down(world.now)
    world.run(10.0, until=lambda: world.gateway.ended)
    assert world.gateway.ended
    assert not shown(world).ike_sas
