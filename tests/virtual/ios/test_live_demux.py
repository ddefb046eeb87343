"""The document's example of `set nat demux`, typed into a live router: what it does on the wire, and what its shows say of it."""

from __future__ import annotations

import pytest
from live import Live, example

from harness.devices.ios.parsers.crypto_engine import parse_crypto_engine
from harness.devices.ios.parsers.crypto_map import parse_crypto_map
from harness.devices.ios.parsers.ipsec_sa import parse_ipsec_sa
from harness.devices.ios.parsers.isakmp_sa import parse_isakmp_sa
from harness.devices.ios.parsers.local_pool import PoolAddress, PoolRange, parse_local_pool
from harness.devices.ios.parsers.vpdn import VpdnSession, VpdnTunnel, parse_vpdn, parse_vpdn_sessions, parse_vpdn_tunnels
from harness.wire import events, ip
from harness.wire.config import EspProposal, IkeProposal
from harness.wire.esp import spi_of

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"
HERE = (
    "interface FastEthernet0/0",
    f"ip address {GATEWAY} 255.255.255.0",
    "crypto isakmp key sharedsecret address 0.0.0.0 0.0.0.0",
    *(f"username user{number} password 0 pw{number}" for number in range(1, 5)),
)
CLIENT = {
    "ike__proposals": (IkeProposal("3des", "sha1", "modp1024"),),
    "ike__esp_proposals": (EspProposal("3des", "sha1"),),
    "ppp__accept": ("chap-md5",),
}
DYNAMIC = "crypto dynamic-map DYN_MAP 10"


class Clients:
    """Clients of `world` behind one NAT, dialling as Windows 2000 would."""

    def __init__(self, world, release="12.4(1)", more=()):
        self.net = world("demux")
        self.router = Live(lambda: self.net.now, self.net.settle, release=release)
        self.net.gateway = self.router.router
        self.router.configure(*example("nat-demux-lns"), *HERE, *more)

    def dial(self, number, **changes):
        return self.net.dial(number, **(CLIENT | changes))


@pytest.fixture
def lab(world):
    return lambda **how: Clients(world, **how)


def spis(client):
    """(those that the gateway receives on, those that it sends to), by the client's own account; the newest last."""
    return [(f"{one.spi_out:08x}", f"{one.spi_in:08x}") for one in client.of(events.EspUp)]


def esp_from_gateway(net, since):
    sent = [one for one in net.crossed[since:] if one.src == GATEWAY and one.sport == 4500 and one.payload[:4] != bytes(4)]
    return {spi_of(one.payload) for one in sent}


STATIC = ("no crypto map CRYP_MAP 6000", "crypto map CRYP_MAP 5 ipsec-isakmp", "set nat demux", "set transform-set TS1")


@pytest.mark.parametrize("more", [(), STATIC], ids=["dynamic", "static"])
def test_two_clients_behind_one_nat(lab, more):
    """DMX-50, DMX-51, DMX-57: both live, and the flow of each has its port, its SPIs and its settings."""
    at = lab(more=more)
    one, two = at.dial(1), at.dial(2)
    assert all(at.net.ping(client, to="12.0.0.8") for client in (one, two, one))
    flows = at.router.shown("show crypto ipsec sa", parse_ipsec_sa)
    assert [(flow.remote.address, flow.remote.port) for flow in flows] == [(NAT, 1024), (NAT, 1025)]
    assert [flow.peer_port for flow in flows] == [at.net.outside[client.address, 4500] for client in (one, two)]
    for flow, client in zip(flows, (one, two), strict=True):
        assert [(sa.direction, sa.spi) for sa in flow.sas] == list(zip(("inbound", "outbound"), spis(client)[0], strict=True))
        assert flow.outbound_spi == spis(client)[0][1]
        assert {sa.settings for sa in flow.sas} == {("Transport", "UDP-Encaps")}
        assert {sa.transform for sa in flow.sas} == {"esp-3des esp-sha-hmac"}
        assert all(0 < sa.left_s <= 600 for sa in flow.sas)
        arrived = [packet for packet in client.received if packet.sport == 4500 and packet.payload[:4] != bytes(4)]
        assert flow.encrypts == len(arrived)
    assert {flow.crypto_map for flow in flows} == {"CRYP_MAP"}


def test_the_map_shows_what_the_dynamic_entry_made(lab):
    """DMX-55, DMX-56."""
    at = lab()
    client = at.dial(1)
    (configured, made) = at.router.shown("show crypto map", parse_crypto_map)
    assert (configured.sequence, configured.dynamic) == (6000, "DYN_MAP")
    assert (made.peers, made.created_from, made.lifetime_s, made.nat_demux) == ((NAT,), "DYN_MAP/10", 600, True)
    assert made.permits == (f"permit udp host {GATEWAY} port = 1701 host {NAT} port = 1024",)
    assert made.interfaces == ("FastEthernet0/0",)
    assert at.router.shown("show crypto map interface FastEthernet0/0", parse_crypto_map) == (configured, made)
    assert at.router.shown("show crypto map tag CRYP_MAP", parse_crypto_map) == (configured, made)
    assert at.router.shown("show crypto map tag OTHER", parse_crypto_map) == ()
    assert at.router.shown("show crypto map interface FastEthernet0/1", parse_crypto_map) == ()
    (template,) = at.router.shown("show crypto dynamic-map", parse_crypto_map)
    assert (template.transform_sets, template.nat_demux) == (("TS1",), True)
    assert at.router.shown("show crypto dynamic-map tag NONE", parse_crypto_map) == ()
    client.stack.close(at.net.now)
    at.net.run(10)
    assert len(at.router.shown("show crypto map", parse_crypto_map)) == 1
    at.router.configure(DYNAMIC, "no set nat demux")
    (template,) = at.router.shown("show crypto dynamic-map tag DYN_MAP", parse_crypto_map)
    assert template.nat_demux is None


def test_isakmp_engine_vpdn_and_pool(lab):
    at = lab()
    clients = [at.dial(1), at.dial(2)]
    phases = at.router.shown("show crypto isakmp sa", parse_isakmp_sa)
    assert [(one.dst, one.src, one.state, one.conn_id) for one in phases] == [
        (GATEWAY, NAT, "QM_IDLE", 1001), (GATEWAY, NAT, "QM_IDLE", 1002),
    ]  # fmt: skip
    rows = at.router.shown("show crypto engine connections active", parse_crypto_engine)
    assert [(row.id, row.type, row.algorithm) for row in rows] == [
        (1, "IPsec", "3DES+SHA"), (2, "IPsec", "3DES+SHA"), (3, "IPsec", "3DES+SHA"), (4, "IPsec", "3DES+SHA"),
        (1001, "IKE", "SHA+3DES"), (1002, "IKE", "SHA+3DES"),
    ]  # fmt: skip
    found = at.router.shown("show vpdn", parse_vpdn)
    tunnels = [row for row in found if isinstance(row, VpdnTunnel)]
    sessions = [row for row in found if isinstance(row, VpdnSession)]
    assert [(row.name, row.address, row.port, row.sessions, row.group) for row in tunnels] == [
        ("win7-1", NAT, 1024, 1, "1"), ("win7-2", NAT, 1025, 1, "1"),
    ]  # fmt: skip
    for client, tunnel, session in zip(clients, tunnels, sessions, strict=True):
        (up,), (call,) = client.of(events.TunnelUp), client.of(events.CallUp)
        assert (tunnel.local_id, tunnel.remote_id) == (up.tunnel_remote, up.tunnel_local)
        assert (session.local_id, session.remote_id) == (call.session_remote, call.session_local)
        assert session.tunnel_id == tunnel.local_id
    assert [session.user for session in sessions] == ["user1", "user2"]
    (pool,) = at.router.shown("show ip local pool", parse_local_pool)
    assert pool == PoolRange("POOL", "20.0.0.100", "20.0.0.110", 9, 2)
    listed = at.router.shown("show ip local pool POOL", parse_local_pool)
    used = [row for row in listed if isinstance(row, PoolAddress) and row.in_use]
    assert [(row.address, row.user) for row in used] == [(client.stack.address, f"user{n}") for n, client in enumerate(clients, 1)]


def test_the_life_is_the_configured_one_and_the_port_outlives_it(lab):
    """DMX-14, DMX-58."""
    at = lab()
    client = at.dial(1)
    (before,) = at.router.shown("show crypto ipsec sa", parse_ipsec_sa)
    at.net.run(1500)
    at.router.connect()
    (after,) = at.router.shown("show crypto ipsec sa", parse_ipsec_sa)
    assert before.outbound_spi != after.outbound_spi == spis(client)[-1][1]
    assert after.remote.port == 1024
    assert at.net.ping(client, to="12.0.0.8")


def test_no_set_nat_demux_brings_the_failure_back_for_new_sas(lab):
    """DMX-09: who is up keeps the port; of those that come later only the last is served, and each by the newest SA."""
    at = lab()
    before = at.dial(1)
    at.router.configure(DYNAMIC, "no set nat demux")
    one, two = at.dial(2), at.dial(3)
    assert two.up
    since = len(at.net.crossed)
    assert [at.net.ping(client, to="12.0.0.8") for client in (one, two, before)] == [False, True, True]
    assert esp_from_gateway(at.net, since) == {int(spis(two)[0][1], 16), int(spis(before)[0][1], 16)}
    ports = [flow.remote.port for flow in at.router.shown("show crypto ipsec sa", parse_ipsec_sa)]
    assert ports == [1024, 1701, 1701]
    at.router.configure(DYNAMIC, "set nat demux")
    again = at.dial(4)
    assert at.net.ping(again, to="12.0.0.8")
    assert at.net.ping(two, to="12.0.0.8")


@pytest.mark.parametrize(
    "lines",
    [
        ("no crypto isakmp policy 1",),
        ("no crypto isakmp key sharedsecret address 0.0.0.0", "no crypto keyring L2TP"),
        ("crypto ipsec transform-set TS1 esp-3des esp-sha-hmac", "mode tunnel"),
        ("crypto ipsec transform-set TS1 esp-3des esp-md5-hmac",),
        ("crypto isakmp policy 1", "group 5"),
        ("no vpdn enable",),
        ("interface FastEthernet0/0", "shutdown"),
        (f"no {DYNAMIC}",),
        ("crypto isakmp key other address 203.0.113.232",),
    ],
)
def test_a_line_that_is_missing_or_other_keeps_clients_out(lab, lines):
    """DMX-60 among others; the lines' own `no` brings nobody down that is needed by others."""
    at = lab(more=lines)
    assert not at.dial(1).up


def test_a_key_for_an_address_goes_before_anybodys(lab):
    at = lab(more=("crypto isakmp key mine address 203.0.113.232",))
    assert at.dial(1, ike__psk=b"mine").up


def test_a_map_that_is_on_no_interface_protects_nothing(lab):
    at = lab(more=("interface FastEthernet0/0", "no crypto map"))
    assert not at.dial(1).up
    assert "no interface has a crypto map: nothing is protected" in at.router.router.meaning.lacks
    assert at.router.run("show crypto ipsec sa") == ["", "No SAs found"]


def test_taking_the_map_off_the_interface_tells_the_peers(lab):
    at = lab()
    client = at.dial(1)
    assert "local crypto endpt." in "".join(at.router.run("show crypto ipsec sa"))
    assert at.router.run("show crypto ipsec sa map another") == ["", "No SAs found"]
    at.router.configure("interface FastEthernet0/0", "no crypto map")
    at.net.run(1)
    assert [event.by_peer for event in client.of(events.EspDown)] == [True]
    assert at.router.run("show vpdn")[1] == "%No active L2TP tunnels"


def test_l2tp_forms_and_clear_by_peer(lab):
    at = lab()
    one, two = at.dial(1), at.dial(2)
    rows = at.router.shown("show l2tp tunnel", parse_vpdn_tunnels) + at.router.shown("show l2tp session", parse_vpdn_sessions)
    same = at.router.shown("show vpdn tunnel", parse_vpdn_tunnels) + at.router.shown("show vpdn session", parse_vpdn_sessions)
    assert rows == same
    assert len(rows) == 4
    at.router.run("clear l2tp tunnel hostname win7-1")
    at.net.run(2)
    assert [one.up, two.up] == [False, True]
    at.router.run("clear crypto sa peer 203.0.113.1")
    at.net.run(1)
    assert two.of(events.EspDown) == []
    at.router.run(f"clear crypto sa peer {NAT}")
    at.net.run(1)
    assert two.of(events.EspDown)


def test_clear_crypto_sa_and_isakmp(lab):
    """Each peer is told by Deletes."""
    at = lab()
    one, two = at.dial(1), at.dial(2)
    since = len(at.net.crossed)
    at.router.run("clear crypto isakmp 1001")
    at.net.run(1)
    assert [event.by_peer for event in one.of(events.IkeDown)] == [True]
    assert [row.conn_id for row in at.router.shown("show crypto isakmp sa", parse_isakmp_sa)] == [1002]
    assert not one.of(events.EspDown)
    assert [at.net.ping(client, to="12.0.0.8") for client in (one, two)] == [True, True]
    at.net.run(700)  # longer than an ESP SA lives: the client makes another ISAKMP SA for the next
    at.router.connect()
    assert [at.net.ping(client, to="12.0.0.8") for client in (one, two)] == [True, True]
    assert [row.conn_id for row in at.router.shown("show crypto isakmp sa", parse_isakmp_sa)] == [1002, 1003]
    assert {flow.remote.port for flow in at.router.shown("show crypto ipsec sa", parse_ipsec_sa)} == {1024, 1025}
    assert {packet.dport for packet in at.net.crossed[since:] if packet.src == GATEWAY} >= {at.net.outside[one.address, 4500]}
    at.router.run("clear crypto sa")
    at.net.run(1)
    assert two.of(events.EspDown)
    assert not [flow for flow in at.router.shown("show crypto ipsec sa", parse_ipsec_sa) if flow.sas]


@pytest.mark.parametrize("command", ["clear vpdn tunnel l2tp id {}", "clear l2tp tunnel id {}"])
def test_clear_a_tunnel_ends_that_client_alone(lab, command):
    """DMX-43."""
    at = lab()
    one, two = at.dial(1), at.dial(2)
    (up,) = one.of(events.TunnelUp)
    at.router.run(command.format(up.tunnel_remote))
    at.net.run(2)
    assert not one.up
    assert [row.name for row in at.router.shown("show vpdn tunnel", parse_vpdn_tunnels)] == ["win7-2"]
    assert at.net.ping(two, to="12.0.0.8")


def test_reload_loses_everything_without_a_word(lab):
    at = lab()
    client = at.dial(1)
    at.router.run("write memory")
    at.router.configure("username never-saved password 0 x")
    since = len(at.net.crossed)
    at.router.state.reload("Reload Command")
    assert not at.net.ping(client, to="12.0.0.8")
    assert not [packet for packet in at.net.crossed[since:] if packet.src == GATEWAY]
    assert not at.dial(2, wait=3.0).up  # it is still booting
    at.net.run(20)
    again = at.dial(3)
    assert again.up
    at.router.connect()
    assert [flow.outbound_spi for flow in at.router.shown("show crypto ipsec sa", parse_ipsec_sa)][-1] == spis(again)[-1][1]


def test_reload_without_write_forgets_what_was_typed(lab):
    at = lab()
    at.dial(1)
    at.router.state.reload("Reload Command")
    at.net.run(20)
    assert not at.dial(2).up
    assert at.router.router.meaning.settings is None


def test_the_clients_link_to_the_lan(lab):
    """What the example's interfaces say: the pool's network is behind FastEthernet0/1."""
    at = lab()
    client = at.dial(1)
    request = ip.build_echo(ip.Echo(True, 1, 0, b"marked"))
    client.stack.send_ip(at.net.now, ip.build_ipv4(client.stack.address, "20.0.0.200", ip.ICMP, request))
    at.net.settle()
    (seen,) = [packet for packet in at.net.lan if packet[16:20] == ip.packed("20.0.0.200")]
    assert seen[12:16] == ip.packed("20.0.0.100")


NAMED = {"ike__identity": "fqdn:w2k01", "ike__psk": b"cisco"}


@pytest.mark.parametrize(
    ("how", "up"),
    [
        (NAMED | {"ike__exchange": "aggressive"}, True),
        (NAMED | {"ike__exchange": "aggressive", "ike__psk": b"sharedsecret"}, False),
        (NAMED, False),  # main mode needs the key before the name is said
        ({"ike__identity": "fqdn:w2k02", "ike__exchange": "aggressive"}, True),  # a name without a key of its own
    ],
)
def test_a_key_of_a_name(lab, how, up):
    """DMX-61."""
    assert lab().dial(1, **how).up is up


def test_the_key_of_a_name_in_a_keyring(lab):
    at = lab(more=("crypto keyring L2TP", "pre-shared-key hostname w2k09 key ninth"))
    assert at.dial(1, ike__identity="fqdn:w2k09", ike__exchange="aggressive", ike__psk=b"ninth").up


def test_where_routes_lead(lab):
    """DMX-68: to the networks of interfaces and static routes, and nowhere else."""
    at = lab()
    client = at.dial(1)

    def sent_on(to):
        request = ip.build_echo(ip.Echo(True, 1, 0, b"marked"))
        client.stack.send_ip(at.net.now, ip.build_ipv4(client.stack.address, to, ip.ICMP, request))
        at.net.settle()
        return ip.packed(to) in [packet[16:20] for packet in at.net.lan]

    hosts = ("171.0.0.10", "172.19.192.1", "172.30.0.1")
    assert [sent_on(to) for to in hosts] == [True, True, False]
    at.router.configure("no ip route 171.0.0.0 255.0.0.0 172.19.192.1")
    at.net.lan.clear()
    assert not sent_on("171.0.0.10")


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ((), True),
        (("crypto ipsec security-association idle-time 60",), False),
        ((DYNAMIC, "set security-association idle-time 60"), False),
    ],
)
def test_sas_of_the_silent_go_where_a_line_says_so(lab, lines, left):
    at = lab(more=(*lines, "vpdn-group 1", "l2tp tunnel hello 0", "interface Virtual-Template1", "no keepalive"))
    client = at.dial(1, l2tp__hello_s=0.0, ppp__echo_s=None)
    since = len(at.net.crossed)
    at.net.run(200)
    said = [packet for packet in at.net.crossed[since:] if packet.src == GATEWAY and packet.payload[:4] != bytes(4)]
    assert said == []  # neither Hello nor echo
    assert client.up is left


def test_an_entry_with_a_peer_is_for_that_peer(lab):
    """DMX-63: the static entry goes before the dynamic one, for whom it is for."""
    entry = ("crypto map CRYP_MAP 5 ipsec-isakmp", "set transform-set TS1", "set security-association lifetime seconds 300")
    lives = []
    for peer in (NAT, "203.0.113.99"):
        client = lab(more=(*entry, f"set peer {peer}")).dial(1)
        lives += [up.lifetime_s for up in client.of(events.EspUp)]
    assert lives == [300, 600]
