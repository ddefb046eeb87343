"""The LAC and the LNS of "L2TP Security", typed into two live routers with a wire between them: what goes over it, and what their
shows and debug lines say of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from live import Live, example
from vpdn_bench import LAC, LNS, WIRE_DELAY_S, Bench

from harness.devices.ios.parsers.crypto_engine import parse_crypto_engine
from harness.devices.ios.parsers.crypto_map import parse_crypto_map
from harness.devices.ios.parsers.crypto_socket import CryptoListener, parse_crypto_sockets
from harness.devices.ios.parsers.debug import parse_debug
from harness.devices.ios.parsers.interfaces import parse_interfaces
from harness.devices.ios.parsers.ipsec_sa import parse_ipsec_sa
from harness.devices.ios.parsers.isakmp_sa import parse_isakmp_sa
from harness.devices.ios.parsers.vpdn import VpdnSession, VpdnTunnel, parse_vpdn
from harness.simulation.access_box import AccessBox
from harness.simulation.loop import SimulatedLoop
from harness.wire import ip
from harness.wire.esp import spi_of
from harness.wire.l2tp import header
from harness.wire.l2tp.message import Type, build
from harness.wire.packet import Packet, to_ip

SAMPLES = Path(__file__).parents[2] / "devices" / "samples" / "ios"
LNS_LEFT_OUT = (
    "hostname LNS",
    "ip local pool DIALIN 172.16.1.10 172.16.1.20",
    "interface Loopback0",
    "ip address 172.16.1.1 255.255.255.255",
    "interface Virtual-Template1",
    "ip unnumbered Loopback0",
    "peer default ip address pool DIALIN",
    "ppp authentication chap",
)
"""What the document's example takes for granted."""
GROUP = "vpdn-group 1"
PROFILE = "crypto map l2tpsec 10 ipsec-isakmp profile l2tp"
USER = "userSerial10@cisco.com"


class Routers(Bench):
    def __init__(self, runner, release, lns, lac):
        super().__init__(runner)
        self.terminals = {}
        self.add(LNS, release, [*example("l2tp-security-lns"), *LNS_LEFT_OUT, *lns])
        self.add(LAC, release, [*example("l2tp-security-lac"), "hostname LAC", *lac])

    def add(self, address, release, lines):
        live = self.terminals[address] = Live(self.loop.time, seed=len(self.boxes), release=release)
        box = self.boxes[address] = AccessBox(self.loop, live.router, self._send)
        self.switch.attach(ip.packed(address), WIRE_DELAY_S, box.receive)
        live.order = lambda: box.order(lambda now: None)
        live.configure(*lines)

    def send_clear(self, payload):
        """To the LNS, as from the LAC's L2TP port; whether anything comes back."""
        since = self.loop.time()
        self.switch.send(to_ip(Packet(LAC, LNS, ip.UDP, payload, 1701, 1701)))
        self.run(1.0)
        return bool([packet for packet in self.since(since) if packet.src == LNS])


@pytest.fixture
def routers():
    with SimulatedLoop.runner() as runner:
        yield lambda lns=(), lac=(), release="12.4(1)": Routers(runner, release, lns, lac)


def sccrq(host="LAC"):
    values = {
        "protocol-version": 0x0100, "framing-capabilities": 1, "host-name": host, "assigned-tunnel-id": 77,
        "receive-window-size": 8,
    }  # fmt: skip
    return header.build_control(0, 0, 0, 0, build(Type.SCCRQ, values))


def maps(at, address):
    return at.terminals[address].shown("show crypto map", parse_crypto_map)


def phases(at, address):
    """(ISAKMP SAs, pairs of ESP SAs) by its shows."""
    live = at.terminals[address]
    flows = live.shown("show crypto ipsec sa", parse_ipsec_sa)
    return len(live.shown("show crypto isakmp sa", parse_isakmp_sa)), sum(len(flow.sas) for flow in flows) // 2


@pytest.mark.parametrize("release", ["12.2(11)T", "12.4(1)", "15.1(4)M"])
def test_a_call_through_both(routers, release):
    """SEC-01, 02, 07, 09, 15."""
    at = routers(release=release)
    caller = at.call()
    assert caller.core.address == "172.16.1.10"
    assert at.ping(caller)
    assert at.clear() == []
    seen = {}
    for address in (LAC, LNS):
        found = at.terminals[address].shown("show vpdn", parse_vpdn)
        (tunnel,) = [row for row in found if isinstance(row, VpdnTunnel)]
        (session,) = [row for row in found if isinstance(row, VpdnSession)]
        seen[address] = tunnel, session
    (lac, lac_call), (lns, lns_call) = seen[LAC], seen[LNS]
    assert (lac.name, lac.address, lns.name, lns.address) == ("LNS", LNS, "LAC", LAC)
    assert (lac.local_id, lac.remote_id) == (lns.remote_id, lns.local_id)
    assert (lac_call.local_id, lac_call.remote_id) == (lns_call.remote_id, lns_call.local_id)
    assert {call.user for call in (lac_call, lns_call)} == {USER[:13] if release.startswith("12.2") else USER}
    for address, peer in ((LAC, LNS), (LNS, LAC)):
        (phase,) = at.terminals[address].shown("show crypto isakmp sa", parse_isakmp_sa)
        assert (phase.dst, phase.src, phase.state) == (LNS, LAC, "QM_IDLE")
        (flow,) = at.terminals[address].shown("show crypto ipsec sa", parse_ipsec_sa)
        assert (flow.peer, flow.sas[0].transform, flow.sas[0].settings) == (peer, "esp-des esp-sha-hmac", ("Transport",))
        sent = [packet for packet in at.esp() if packet.src == address]
        assert flow.outbound_spi == f"{spi_of(sent[-1].payload):08x}"
        assert flow.encrypts == len(sent)


def test_the_template_its_clone_and_its_end(routers):
    """SEC-50, 51, 54, in the document's own lines; its sample calls the transform set "esp", which is not what its example does."""
    at = routers(release="12.2(11)T")
    live = at.terminals[LAC]
    (template,) = maps(at, LAC)
    assert (template.sequence, template.peers, template.current_peer, template.lifetime_kb, template.lifetime_s) == (
        10, (), "0.0.0.0", 4608000, 3600,
    )  # fmt: skip
    caller = at.call()
    wanted = (SAMPLES / "crypto_map" / "l2tp-security.txt").read_text().replace("{ esp, }", "{ esp-des-sha-transport, }")
    assert [line for line in live.run("show crypto map tag l2tpsec") if line] == [
        line for line in wanted.splitlines()[1:] if line
    ]
    caller.close()
    at.run(60)
    assert [entry.sequence for entry in maps(at, LAC)] == [10]
    assert [entry.sequence for entry in maps(at, LNS)] == [10]


def test_a_clone_says_what_the_template_said_when_it_was_made(routers):
    """SEC-52, and SEC-25 on the way: the life is what quick mode agreed on."""
    at = routers()
    at.terminals[LAC].configure(PROFILE, "set security-association lifetime seconds 120")
    at.call()
    assert [entry.lifetime_s for entry in maps(at, LAC)] == [120, 120]
    assert [entry.lifetime_s for entry in maps(at, LNS)] == [3600, 3600]
    (flow,) = at.terminals[LNS].shown("show crypto ipsec sa", parse_ipsec_sa)
    assert {sa.left_s for sa in flow.sas} <= set(range(100, 121))
    at.terminals[LAC].configure(PROFILE, "set security-association lifetime seconds 600")
    assert [entry.lifetime_s for entry in maps(at, LAC)] == [600, 120]


def test_clear_l2tp_by_command(routers):
    """SEC-30, 31, 37: ignored while the group is protected, answered after the `no` form, ignored again after the line."""
    at = routers()
    live = at.terminals[LNS]
    assert not at.send_clear(sccrq())
    assert live.router.core.lns.ignored["SCCRQ"] == 1
    live.configure(GROUP, "no l2tp security crypto-profile")
    assert at.send_clear(sccrq())
    at.run(60)
    live.configure(GROUP, "l2tp security crypto-profile l2tp")
    assert not at.send_clear(sccrq())
    assert live.router.core.lns.ignored["SCCRQ"] == 2


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_left_after_the_tunnel(routers, keep):
    """SEC-38, 39, as it is typed, on the wire and in the shows."""
    line = f"l2tp security crypto-profile l2tp{' keep-sa' if keep else ''}"
    at = routers(lns=(GROUP, line), lac=(GROUP, line))
    at.call()
    assert phases(at, LAC) == phases(at, LNS) == (1, 1)
    since = at.loop.time()
    at.terminals[LNS].run("clear vpdn tunnel l2tp all")
    at.run(60)
    deletes = [sender for sender, kind in at.ike(since) if kind == 5]
    assert deletes
    assert phases(at, LAC) == phases(at, LNS) == (int(keep), 0)
    since = at.loop.time()
    caller = at.call()
    assert at.ping(caller)
    assert {kind for _, kind in at.ike(since)} == ({32} if keep else {2, 32})  # SEC-40


def test_engine_connections(routers):
    """SEC-96 to SEC-99: the columns of the sample, a row a direction, as many packets as the wire saw."""
    at = routers(release="12.2(11)T")
    caller = at.call()
    live = at.terminals[LNS]
    assert at.ping(caller)
    rows = live.shown("show crypto engine connections active", parse_crypto_engine)
    sample = parse_crypto_engine((SAMPLES / "crypto_engine" / "l2tp-security.txt").read_text() + "\n").rows
    columns = [(row.id, row.interface, row.address, row.state, row.algorithm) for row in sample]
    assert [(row.id, row.interface, row.address, row.state, row.algorithm) for row in rows] == columns
    came, went = ([packet for packet in at.esp() if packet.src == address] for address in (LAC, LNS))
    assert [(row.encrypt, row.decrypt) for row in rows] == [(0, 0), (0, len(came)), (len(went), 0)]
    assert live.run("show crypto engine connections active")[1].split() == [
        "ID", "Interface", "IP-Address", "State", "Algorithm", "Encrypt", "Decrypt",
    ]  # fmt: skip


def test_crypto_sockets(routers):
    """SEC-92: the LNS listens by its profile; each end's socket is open, and its client active, for as long as the tunnel is up."""
    at = routers()
    listening = CryptoListener("L2X Security", "l2tp", "l2tpsec")

    def sockets(address):
        return at.terminals[address].shown("show crypto sockets", parse_crypto_sockets)

    assert (sockets(LNS), sockets(LAC)) == ((listening,), ())
    caller = at.call()
    for address, peer, others in ((LNS, LAC, (listening,)), (LAC, LNS, ())):
        socket, *rest = sockets(address)
        assert tuple(rest) == others
        assert (socket.interface, socket.local, socket.remote, socket.profile) == ("Fa0/0", address, peer, "l2tp")
        assert (socket.state, socket.client, socket.client_state) == ("Open", "L2X Security", "Active")
        idents = [(ident.address, ident.protocol, ident.port) for ident in (socket.local_ident, socket.remote_ident)]
        assert idents == [(address, 17, 1701), (peer, 17, 1701)]
    at.terminals[LNS].run("clear crypto sa")
    assert sockets(LNS)[0].state == "Closed"
    caller.close()
    at.run(120)
    assert (sockets(LNS), sockets(LAC)) == ((listening,), ())


def test_each_calls_interface_counts_its_own_frames(routers):
    """SEC-137: against the LAC's own packets, which carry one frame each."""
    at = routers()
    caller, other = at.call(), at.call()
    live = at.terminals[LNS]
    before = [live.shown(f"show interfaces virtual-access {number}", parse_interfaces)[0] for number in (1, 2)]
    for _ in range(5):
        assert at.ping(caller)
    after = [live.shown(f"show interfaces virtual-access {number}", parse_interfaces)[0] for number in (1, 2)]
    grown = [(new.packets_in - old.packets_in, new.packets_out - old.packets_out) for new, old in zip(after, before, strict=True)]
    assert grown == [(5, 5), (0, 0)]
    assert (after[0].name, after[0].status, after[0].lcp, after[0].open) == ("Virtual-Access1", "up", "Open", ("IPCP",))
    assert after[0].octets_in - before[0].octets_in > 5 * 28
    other.close()
    at.run(60)
    assert live.run("show interfaces virtual-access 2") == ["% Virtual-Access2 does not exist"]


def test_debug_lines(routers):
    """SEC-90, 91, 92 in the sample's order; nothing without `terminal monitor`, and nothing after `undebug all`."""
    at = routers(lns=("no vpdn logging",))
    live = at.terminals[LNS]
    live.run("debug crypto socket")
    live.run("debug vpdn l2x-events")
    first = at.call()
    assert live.read() == ""
    first.close()
    at.run(60)
    live.run("terminal monitor")
    at.call()
    lines = [line for line in live.read().replace("\r\n", "\n").split("\n") if line.startswith("*")]
    events = parse_debug("\n".join([*lines, ""]))
    assert not events.unread
    sample = parse_debug((SAMPLES / "debug" / "l2tp-security.txt").read_text() + "\n").rows
    wanted = [event.kind for event in sample]
    kinds = [event.kind for event in events.rows]
    assert kinds[: len(wanted)] == wanted
    assert "session-state" in kinds
    (opened,) = [event for event in events.rows if event.kind == "passive-open"]
    assert (opened.local_address, opened.local_port, opened.remote_address, opened.remote_port) == (LNS, 1701, LAC, 1701)
    assert (opened.protocol, opened.interface) == (17, "Fa0/0")
    request = next(event for event in events.rows if event.message == "SCCRQ" and event.direction == "I")
    (tunnel,) = live.router.core.lns
    assert (request.remote_name, request.remote_tunnel) == ("LAC", tunnel.core.tunnel_remote)
    assert {event.tunnel for event in events.rows if event.tunnel is not None} == {tunnel.number}
    live.run("undebug all")
    at.terminals[LAC].run("clear vpdn tunnel l2tp all")
    at.run(60)
    assert live.read() == ""


@pytest.mark.parametrize(("line", "told"), [("vpdn logging", True), ("no vpdn logging", False)])
def test_vpdn_events_are_logged_or_not(routers, line, told):
    """SEC-16: at both ends, to whoever monitors."""
    at = routers(lns=(line,), lac=(line,))
    for address in (LAC, LNS):
        at.terminals[address].run("terminal monitor")
    caller = at.call()
    caller.close()
    at.run(20)
    for address in (LAC, LNS):
        assert ("%VPDN-6-CLOSED" in at.terminals[address].read()) is told


def test_the_default_pool_serves_a_template_that_names_none(routers):
    """SEC-15: `ip address-pool local`; without that line there is no address."""
    pool = "ip local pool default 172.16.2.10 172.16.2.10"
    unnamed = (pool, "interface Virtual-Template1", "no peer default ip address pool DIALIN")
    assert routers(lns=("ip address-pool local", *unnamed)).call().core.address == "172.16.2.10"
    assert routers(lns=("no ip address-pool local", *unnamed)).call().core.address is None


@pytest.mark.parametrize(
    ("router", "lines"),
    [
        ("lns", ("interface FastEthernet0/0", "no crypto map")),  # SEC-63
        ("lac", ("interface FastEthernet0/0", "no crypto map")),
        ("lac", (GROUP, "l2tp security crypto-profile typo")),  # SEC-36
        ("lns", (GROUP, "l2tp security crypto-profile typo")),
        ("lac", (GROUP, "l2tp tunnel password other")),  # SEC-10
        ("lns", (GROUP, "terminate-from hostname OTHER")),  # SEC-08
        ("lac", ("no crypto isakmp key cisco address 10.0.0.13",)),  # SEC-65
        ("lns", ("crypto ipsec transform-set esp-des-sha-transport esp-3des esp-sha-hmac",)),  # SEC-61
        ("lac", ("crypto ipsec transform-set esp-des-sha-transport esp-des", "mode transport")),  # SEC-21
        ("lns", ("no ip local pool DIALIN",)),
        ("lac", (GROUP, "no initiate-to ip 10.0.0.13")),
    ],
)
def test_a_line_that_is_missing_or_other_means_no_tunnelled_call(routers, router, lines):
    """And never L2TP in the clear."""
    at = routers(**{router: lines})
    assert at.call().core.address is None
    assert at.clear() == []


def test_another_domain_is_not_tunnelled(routers):
    """SEC-04, 05."""
    at = routers(lns=("username a@other.net password 0 cisco",), lac=("username a@other.net password 0 cisco",))
    assert at.call("a@other.net").core.address is None
    assert at.esp() == []
    at.terminals[LAC].configure(GROUP, "request-dialin", "domain other.net")
    assert at.call("a@other.net").core.address == "172.16.1.10"
    assert at.call().core.address == "172.16.1.11"


def test_both_in_the_clear_where_neither_is_protected(routers):
    """SEC-30 end to end: IPsec is off for the group, though its map is on the interface."""
    off = (GROUP, "no l2tp security crypto-profile")
    at = routers(lns=off, lac=off)
    caller = at.call()
    assert at.ping(caller)
    assert at.esp() == []
    assert at.clear()


@pytest.mark.parametrize(
    ("line", "inner", "outer"),
    [
        (None, True, False),
        ("ip pmtu", True, True),
        ("ip pmtu", False, False),
        ("ip dfbit set", False, True),
    ],
)
def test_dont_fragment_around_what_a_caller_sends(routers, line, inner, outer):
    """SEC-113, 114, 116: typed while the tunnel is up, it counts for the next one."""
    at = routers()
    at.call()
    if line:
        at.terminals[LAC].configure(GROUP, line)
    at.terminals[LAC].run("clear l2tp all")
    at.run(60)
    caller = at.call()
    since = at.loop.time()
    assert at.ping(caller, df=inner)
    assert [packet.df for packet in at.esp(since) if packet.src == LAC and len(packet.payload) > 80] == [outer]


def test_taking_the_map_off_the_interface_ends_its_sas(routers):
    at = routers()
    caller = at.call()
    since = at.loop.time()
    at.terminals[LNS].configure("interface FastEthernet0/0", "no crypto map")
    at.run(1)
    assert (LNS, 5) in at.ike(since)
    assert not at.ping(caller)
    assert len(at.terminals[LNS].router.core.ipsec.sadb.by_spi) == 0


def test_a_changed_line_leaves_other_tunnels_alone(routers):
    at = routers()
    caller = at.call()
    at.terminals[LNS].configure(GROUP, "l2tp security crypto-profile l2tp", "lcp renegotiation always", "username new password 0 x")
    assert at.ping(caller)


def test_a_transform_set_of_null_encryption_protects_without_hiding(routers):
    """RFC 2410: authenticated, and to be read by whoever is on the wire."""
    line = "crypto ipsec transform-set esp-des-sha-transport esp-null esp-sha-hmac"
    at = routers(lns=(line, "mode transport"), lac=(line, "mode transport"))
    caller = at.call()
    assert at.ping(caller)
    assert at.clear() == []
    (request, *_) = at.esp()
    assert b"LAC" in request.payload
    (flow,) = at.terminals[LAC].shown("show crypto ipsec sa", parse_ipsec_sa)
    assert flow.sas[0].transform == "esp-null esp-sha-hmac"
