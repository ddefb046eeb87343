"""What stands in the samples of IOS's output, value by value: the vendor's own documents and each release's layout."""

from __future__ import annotations

import pytest
from ios_families import SAMPLES, translations

from harness.devices.ios import parse
from harness.devices.ios.parsers.configured import (
    Interface,
    IsakmpKey,
    IsakmpPolicy,
    LocalPool,
    MapEntry,
    NatPool,
    NatRule,
    NatService,
    Other,
    Setting,
    TransformSet,
    VpdnGroup,
)
from harness.devices.ios.parsers.crypto_engine import Connection
from harness.devices.ios.parsers.crypto_map import CryptoMapEntry
from harness.devices.ios.parsers.crypto_session import SessionFlow, SessionIke
from harness.devices.ios.parsers.crypto_socket import CryptoListener, CryptoSocket
from harness.devices.ios.parsers.interfaces import InterfaceState
from harness.devices.ios.parsers.ipsec_sa import Sa, Selector
from harness.devices.ios.parsers.isakmp_sa import IsakmpSa, IsakmpSaDetail
from harness.devices.ios.parsers.local_pool import PoolAddress, PoolRange
from harness.devices.ios.parsers.nat_translations import Details, Translation
from harness.devices.ios.parsers.users import InterfaceUser, LineUser
from harness.devices.ios.parsers.vpdn import VpdnSession, VpdnTunnel
from harness.model.secret import Secret


def rows(command, sample):
    return parse(command, (SAMPLES / f"{sample}.txt").read_text()).rows


# --- crypto maps ---


def test_the_crypto_map_of_the_l2tp_security_document():
    """SEC-50, SEC-51: the template, and the clone for one tunnel."""
    common = {"lifetime_kb": 4608000, "lifetime_s": 3600, "pfs": False, "transform_sets": ("esp",), "algorithms": ("",)}
    common |= {"interfaces": ("FastEthernet0/0",)}
    permit = "permit udp host 10.0.0.12 port = 1701 host 10.0.0.13 port = 1701"
    assert rows("show crypto map tag l2tpsec", "crypto_map/l2tp-security") == (
        CryptoMapEntry("l2tpsec", 10, "ipsec-isakmp", current_peer="0.0.0.0", **common),
        CryptoMapEntry(
            "l2tpsec", 20, "ipsec-isakmp", ("10.0.0.13",), access_list="", permits=(permit,), current_peer="10.0.0.13", **common
        ),
    )


def test_temporary_entries_name_the_dynamic_map_that_they_come_from():
    dynamic, first, second = rows("show crypto map", "crypto_map/12.4-dynamic")
    assert (dynamic.sequence, dynamic.dynamic, dynamic.transform_sets) == (6000, "DYN_MAP", ())
    assert (first.sequence, first.created_from, first.current_peer, first.lifetime_s) == (65536, "DYN_MAP/10", "203.0.113.232", 600)
    assert first.permits == ("permit udp host 203.0.113.231 port = 1701 host 203.0.113.232 port = 1701",)
    assert (second.pfs, second.group, second.transform_sets) == (True, "group2", ("TS1", "TS2"))
    assert {entry.interfaces for entry in (dynamic, first, second)} == {("FastEthernet0/0", "FastEthernet0/1.23")}


def test_crypto_maps_of_other_releases():
    (old,) = rows("show crypto map", "crypto_map/11.3")
    assert (old.interfaces, old.local_address, old.lifetime_s) == (("Ethernet0",), "198.51.100.123", 120)
    assert old.permits == ("permit ip source: addr = 198.51.100.123/0.0.0.0 dest: addr = 198.51.100.67/0.0.0.0",)
    (new,) = rows("show crypto map", "crypto_map/15")
    assert (new.peers, new.current_peer, new.access_list) == (("198.51.100.2", "198.51.100.3"), "198.51.100.3", "VPN_TRAFFIC")
    assert new.transform_sets == ("TS-GCM", "TS-OLD")
    assert new.algorithms == ("esp-gcm 256", "esp-3des esp-md5-hmac")
    assert new.attributes == (("ISAKMP Profile", "LEGACY"), ("Responder-Only (Y/N)", "N"), ("Mixed-mode", "Disabled"))
    (xe,) = rows("show crypto map interface Vlan1", "crypto_map/iosxe-17")
    assert xe.incomplete
    assert xe.interfaces == ("TwoGigabitEthernet2/0/17", "TwoGigabitEthernet2/0/19")


def test_dynamic_maps():
    (old,) = rows("show crypto dynamic-map", "dynamic_map/12.2")
    assert (old.name, old.kind, old.access_list, old.transform_sets) == ("dyn1", "template", "152", ("tauth", "t1"))
    first, second = rows("show crypto dynamic-map tag DYN_MAP", "dynamic_map/12.4")
    assert (first.sequence, first.access_list, first.lifetime_s, first.nat_demux) == (10, None, 600, None)
    assert (second.sequence, second.algorithms) == (20, ("esp-3des esp-sha-hmac",))


@pytest.mark.parametrize(
    ("line", "demux"), [("\tNAT demux: enabled", True), ("\tnat demux (Y/N): N", False), ("\tset nat demux", True)]
)
def test_a_line_on_demux_is_read_however_it_is_put(line, demux):
    """DMX-55: how IOS puts it is not documented."""
    text = (SAMPLES / "dynamic_map/12.4.txt").read_text().replace("\tPFS", f"{line}\n\tPFS")
    found = parse("show crypto dynamic-map", text)
    assert found.unread == ()
    assert {entry.nat_demux for entry in found.rows} == {demux}


def test_the_keys_of_a_manual_entry_are_not_kept():
    text = (
        'Crypto Map "M" 10 ipsec-manual\n\tPeer = 10.0.0.1\n\tInbound esp spi: 256,\n\t cipher key: 0102030405060708,\n'
        "\t auth_key: ,\n\tTransform sets={ t, }\n"
    )
    (entry,) = parse("show crypto map", text).rows
    assert entry.attributes == (("Inbound esp spi", "256,"), ("cipher key", "***"), ("auth_key", ""))


def test_a_map_whose_interfaces_are_not_told_was_cut():
    text = (SAMPLES / "crypto_map/15.txt").read_text()
    found = parse("show crypto map", text[: text.index("        Interfaces using")])
    assert found.cut == 'what interfaces use crypto map "CMAP" is not told'
    assert len(found.rows) == 1


def test_an_entry_that_is_cut_in_two_is_told_of_and_named():
    text = (SAMPLES / "crypto_map/12.4-dynamic.txt").read_text()
    found = parse("show crypto map", text[: text.index("\tDH group")])
    assert [entry.sequence for entry in found.rows] == [6000, 65536]
    assert found.cut == 'entry 65537 of crypto map "CRYP_MAP" does not come to its end'
    assert found.unread[0] == 'Crypto Map "CRYP_MAP" 65537 ipsec-isakmp'
    assert found.numbers[0] == text.split("\n").index(found.unread[0]) + 1


# --- IPsec and IKE ---


def test_ipsec_sas_of_12_2():
    (flow,) = rows("show crypto ipsec sa", "ipsec_sa/12.2")
    host = "255.255.255.255"
    assert (flow.local, flow.remote) == (Selector("10.0.0.13", host, 17, 1701), Selector("10.0.0.12", host, 17, 1701))
    assert (flow.peer, flow.peer_port, flow.flags) == ("10.0.0.12", None, ("origin_is_acl", "parent_is_transport"))
    assert (flow.encaps, flow.decaps, flow.send_errors, flow.receive_errors) == (64, 62, 2, 1)
    assert flow.outbound_spi == "28726cd9"
    common = {"crypto_map": "l2tpsec", "left_s": 3459, "iv_octets": 8, "replay_detection": True}
    assert flow.sas == (
        Sa("inbound", "esp", "2e59eef5", "esp-des esp-sha-hmac", ("Transport",), 2000, left_kb=4607997,
           attributes=(("slot", "0"), ("flow_id", "1")), **common),
        Sa("outbound", "esp", "28726cd9", "esp-des esp-sha-hmac", ("Transport",), 2001, left_kb=4607996,
           attributes=(("slot", "0"), ("flow_id", "2")), **common),
    )  # fmt: skip


def test_two_clients_behind_one_nat_in_12_4():
    """DMX-57: one SA a direction for each client, told apart by the peer's port."""
    first, second = rows("sh cry ips sa", "ipsec_sa/12.4-nat-t")
    assert (first.interface, second.interface) == ("FastEthernet0/0", "FastEthernet0/0")
    assert [(flow.peer, flow.peer_port, flow.remote.port) for flow in (first, second)] == [
        ("203.0.113.232", 62636, 1024),
        ("203.0.113.232", 62637, 1025),
    ]
    for flow in (first, second):
        assert [(sa.direction, sa.settings, sa.status) for sa in flow.sas] == [
            ("inbound", ("Transport", "UDP-Encaps"), "ACTIVE"),
            ("outbound", ("Transport", "UDP-Encaps"), "ACTIVE"),
        ]
        assert flow.outbound_spi == flow.sas[1].spi
        assert all(sa.left_s is not None and sa.left_s <= 600 for sa in flow.sas)


def test_ipsec_sas_of_15_in_detail_and_of_ios_xe():
    (flow,) = rows("show crypto ipsec sa detail", "ipsec_sa/15-detail")
    assert (flow.vrf, flow.path_mtu, flow.pfs) == ("RED", 1500, False)
    assert dict(flow.counters)["pkts replay failed (rcv)"] == 12
    assert dict(flow.counters)["pkts invalid sa (rcv)"] == 3
    assert len(flow.counters) == 29
    assert dict(flow.sas[0].attributes)["replay window size"] == "1024"
    (idle,) = rows("show crypto ipsec sa interface GigabitEthernet 3", "ipsec_sa/iosxe-idle")
    assert (idle.sas, idle.outbound_spi, idle.vrf) == ((), "00000000", None)


def test_lines_of_ios_xe_that_samples_here_lack():
    text = (SAMPLES / "ipsec_sa/iosxe-idle.txt").read_text()
    text = text.replace("DH group: none", "DH group: group14, AKE group: AKE1: MLKEM512")
    text = text.replace("192.0.2.2, remote crypto endpt.:", "FE80::1,\n     remote crypto endpt.:")
    found = parse("show crypto ipsec sa", text)
    assert (found.unread, found.cut) == ((), "")
    assert found.rows[0].attributes[-2:] == (("DH group", "group14"), ("AKE group", "AKE1: MLKEM512"))
    assert (found.rows[0].local_endpoint, found.rows[0].remote_endpoint) == ("FE80::1", "192.0.2.1")
    none = "interface: Tunnel0\n    Crypto map tag: Tunnel0-head-0, local addr 192.0.2.4\n\n   No SAs found\n"
    assert parse("show crypto ipsec sa", none).cut == ""
    assert parse("show crypto ipsec sa", none.replace("   No SAs found\n", "")).cut == "nothing follows interface Tunnel0"


def test_isakmp_sas_of_each_release():
    assert rows("show crypto isakmp sa", "isakmp_sa/12.2") == (
        IsakmpSa("10.0.0.13", "10.0.0.12", "QM_IDLE", 1, 0),
        IsakmpSa("10.0.0.13", "10.0.0.14", "MM_KEY_EXCH", 2, 0),
    )
    assert rows("show crypto isakmp sa", "isakmp_sa/12.2-vrf")[0].vrf == "/vpn2"
    new = rows("show crypto isakmp sa", "isakmp_sa/12.4")
    assert [(sa.conn_id, sa.slot, sa.status, sa.deleted) for sa in new] == [
        (1001, 0, "ACTIVE", False), (1002, 0, "ACTIVE", False), (1003, 0, "ACTIVE", True), (1004, 0, "STDBY", False),
    ]  # fmt: skip
    xe = rows("show crypto isakmp sa", "isakmp_sa/iosxe")
    assert xe[1] == IsakmpSa("198.51.100.2", "192.0.2.82", "MM_NO_STATE", 29188, None, "ACTIVE", True)
    assert xe[2].dst == "2001:DB8:10::2"


def test_isakmp_sas_in_detail():
    old = rows("show crypto isakmp sa detail", "isakmp_sa_detail/12.3")
    assert old == (
        IsakmpSaDetail(1, "10.0.0.13", "10.0.0.12", "des", "sha", "psk", 1, 86300, engine="1:1(software)"),
        IsakmpSaDetail(2, "10.0.0.13", "10.0.0.14", "3des", "md5", "psk", 2, 127, None, "RED", "DN", "2:1(software)"),
    )
    xe = rows("show crypto isakmp sa detail", "isakmp_sa_detail/iosxe")
    assert [(sa.status, sa.vrf, sa.hash, sa.capabilities) for sa in xe] == [
        ("ACTIVE", "RED", "sha", "D"), ("ACTIVE", None, "sha256", "DN"), ("ACTIVE", "BLUE", "sha", "D"),
    ]  # fmt: skip


def test_crypto_engine_connections_of_each_layout():
    """SEC-96: the rows of the document."""
    algorithm = "HMAC_SHA+DES_56_CB"
    at = {"interface": "FastEthernet0/0", "address": "10.0.0.13", "state": "set"}
    assert rows("show crypto engine connections active", "crypto_engine/l2tp-security") == (
        Connection(1, algorithm, 0, 0, **at),
        Connection(2000, algorithm, 0, 62, **at),
        Connection(2001, algorithm, 64, 0, **at),
    )
    middle = rows("show crypto engine connections active", "crypto_engine/12.4")
    assert middle[2] == Connection(1001, "SHA+3DES", 0, 0, "Fa0/0", "203.0.113.231", type="IKE")
    new = rows("show crypto engine connections active", "crypto_engine/15")
    assert new[0] == Connection(1, "AES+SHA384", 0, 4, address="192.0.2.1", type="IPsec", last_sequence=4)
    assert new[3].address is None


def test_crypto_sockets():
    closed, open_ = rows("show crypto sockets", "crypto_socket/tunnels")
    host = "255.255.255.255"
    ends = Selector("192.0.2.2", host, 47, 0), Selector("198.51.100.2", host, 47, 0)
    assert closed == CryptoSocket("Tu2", "192.0.2.2", "198.51.100.2", *ends, "Closed", "TUNNEL SEC", "Active", "DMVPN")
    assert (open_.remote, open_.state, open_.flags) == ("203.0.113.2", "Open", ())
    *shared, listener = rows("show crypto sockets", "crypto_socket/dmvpn-shared")
    assert [(one.interface, one.remote, one.flags) for one in shared] == [
        ("Shd", "192.0.2.12", ("shared",)), ("Shd", "192.0.2.5", ("shared",)),
    ]  # fmt: skip
    assert listener == CryptoListener("TUNNEL SEC", "vpnprof", "vpnprof-head-1")
    short = parse("show crypto sockets", "Number of Crypto Socket connections 3\n")
    assert short.cut == "it tells of 3 sockets, and shows 0"


def test_crypto_sessions():
    first, second = rows("show crypto session", "crypto_session/12.4")
    assert (first.status, first.peer, first.peer_port) == ("UP-ACTIVE", "203.0.113.232", 62636)
    assert first.ikes[0] == SessionIke("203.0.113.231", 4500, "203.0.113.232", 62636, "Active")
    assert [ike.state for ike in first.ikes] == ["Active", "Inactive"]
    permit = "permit 17 host 203.0.113.231 port 1701 host 203.0.113.232 port 1701"
    assert first.flows == (SessionFlow(permit, 2, "dynamic crypto map"),)
    assert (second.ikes, second.peer_port, dict(second.attributes)["Username"]) == ((), 500, "user1")
    down, up = rows("show crypto session detail", "crypto_session/15-detail")
    assert (down.status, down.ikes[0].conn_id, down.ikes[0].left_s) == ("DOWN-NEGOTIATING", 0, 0)
    assert (up.uptime_s, up.fvrf, up.ivrf) == ((3 * 24 + 18) * 3600, "front", "10")
    assert up.ikes == (SessionIke("192.0.2.1", 4500, "203.0.113.11", 55411, "Active", 1, "DN", 323, 38587),)
    (flow,) = up.flows
    assert (flow.decrypted, flow.inbound_dropped, flow.inbound_left_kb, flow.inbound_left_s) == (47673, 5, 4607772, 1874)
    assert (flow.encrypted, flow.outbound_dropped, flow.outbound_left_kb, flow.outbound_left_s) == (47672, 6, None, 1875)
    (xe,) = rows("show crypto session", "crypto_session/iosxe")
    assert (xe.ikes[0].version, xe.ikes[0].remote, xe.ikes[0].state) == (2, "2001:DB8:ACAD:1::2", "Active")


# --- NAT ---


def test_the_translations_of_the_esp_document():
    """ESN-50 and ESN-52."""
    addresses = ("192.168.22.40", None, "192.168.122.20", None, "192.168.22.20", None, "192.168.22.20", None)
    plain = (
        Translation("esp", *addresses, inside_spi=None, outside_spi="28726cd9"),
        Translation("esp", *addresses, inside_spi="2e59eef5", outside_spi=None),
    )
    assert rows("show ip nat translations esp", "nat_translations/esp") == plain
    first, second = rows("sh ip nat trans esp ver", "nat_translations/esp-verbose")
    assert first.details == Details(0, 0, flags=("extended", "0x100000"), use_count=1, entry_id="192", lc_entries=0)
    assert second.details == Details(0, 0, 299, flags=("extended",), map_id="20", use_count=0, entry_id="191", lc_entries=0)
    assert [(row.inside_spi, row.outside_spi) for row in (first, second)] == [(None, "28726cd9"), ("2e59eef5", None)]


def test_translations_with_and_without_overload():
    """ESN-55 to ESN-57."""
    assert rows("show ip nat translations", "nat_translations/without-overload") == (
        Translation(None, "171.69.233.209", None, "192.168.1.95", None, None, None, None, None),
        Translation(None, "171.69.233.210", None, "192.168.1.89", None, None, None, None, None),
    )
    over = rows("show ip nat translations", "nat_translations/overload")
    assert over[0] == Translation(
        "udp", "171.69.233.209", 1220, "192.168.1.95", 1220, "171.69.2.132", 53, "171.69.2.132", 53
    )
    assert [row.inside_global_port for row in over] == [1220, 11012, 1067]
    verbose = rows("show ip nat translations verbose", "nat_translations/verbose")
    assert [row.details for row in verbose] == [Details(a, b, flags=("extended",)) for a, b in ((2, 0), (73, 50), (2, 0))]


def test_a_vrf_has_two_tables():
    """ESN-58."""
    found = rows("show ip nat translations vrf red", "nat_translations/vrf")
    assert [row.table for row in found] == [1] * 5 + [2] * 2
    assert found[5].inside_local == found[0].inside_local == "192.168.121.113"


def test_translations_of_ios_xe():
    first, second = rows("show ip nat translations verbose", "nat_translations/iosxe-verbose")
    assert (first.outside_global, first.details.created, first.details.timeout_s) == (None, "02/15/12 11:38:01", 0)
    assert (second.details.used, second.details.flags, second.details.use_count) == ("12/18/25 07:40:46", ("static",), 3)
    assert dict(second.details.others)["Out_bytes"] == "420"


def test_a_total_that_is_higher_than_the_rows_is_told():
    text = translations(3) + "Total number of translations: 4\n"
    assert parse("show ip nat translations", text).cut == "it tells of 4 translations, and holds 3"
    assert parse("show ip nat translations", text.replace(": 4", ": 3")).cut == ""


# --- L2TP ---


def test_vpdn_of_12_2_and_12_3():
    """Users with a domain, whom a parser in the field drops."""
    found = rows("show vpdn", "vpdn/12.2")
    assert found[:2] == (
        VpdnTunnel(13582, 5107, "ebooth02", "est", "10.0.0.12", 1, 1701),
        VpdnTunnel(4571, 61568, "w2k01", "est", "203.0.113.232", 2, 1024),
    )
    assert found[2] == VpdnSession(4, 691, 13582, "userSerial10@", "Vi1", "est", 360, None, "enabled")
    assert (found[4].interface, found[4].since_s, found[4].fast_switched) == ("Se0/0", 93600, "disabled")
    tunnel, session = rows("show vpdn", "vpdn/12.3")
    assert (tunnel.port, tunnel.group) == (1025, "Default-L2TP")
    assert session == VpdnSession(4, 691, 4571, "userSerial10@cisco.com", "Vi3", "est", 360, 12)


def test_vpdn_of_15_and_ios_xe():
    found = rows("show vpdn", "vpdn/15-lac-lns")
    assert found[0] == VpdnTunnel(7658, 8656, "LAC", "est", "198.51.100.1", 1, None, "1")
    assert found[1] == VpdnSession(3542, 56774, 7658, "userSerial10@cisco.com", "Vi2.1", "est", 609, 645)
    assert [(row.user, row.interface) for row in found[3:]] == [("lns@cisco.com", None), ("101", "Gi0/0/0")]
    (tunnel,) = rows("show l2tp tunnel", "vpdn/iosxe-tunnel")
    assert (tunnel.local_id, tunnel.sessions) == (2311074340, 16)
    assert [row.user for row in rows("show l2tp session", "vpdn/iosxe-session")] == ["user1", "user2"]


def test_fewer_tunnels_or_sessions_than_it_says():
    text = (SAMPLES / "vpdn/15-lac-lns.txt").read_text()
    without = text[: text.index("LocTunID   RemTunID", text.index("3542"))]
    assert parse("show vpdn", without).cut == "it tells of 2 tunnels, and holds 1"
    assert parse("show vpdn session", without).cut == "it tells of 3 sessions, and holds 1"
    assert parse("show vpdn tunnel", (SAMPLES / "vpdn/iosxe-tunnel.txt").read_text()).cut == ""


def test_a_column_that_is_broken_behind_the_user():
    text = (SAMPLES / "vpdn/iosxe-session.txt").read_text().replace("user1, Vi2.1", "user1,      ") + "\n"
    text = text.replace("00:00:22 1\n", "00:00:22 1\n" + " " * 33 + "Vi2.1\n")
    first, _ = parse("show vpdn session", text).rows
    assert (first.user, first.interface) == ("user1", "Vi2.1")


def test_a_session_whose_user_goes_on_in_the_next_line_was_cut():
    text = (SAMPLES / "vpdn/15-lac-lns.txt").read_text()
    cut = text[: text.index("                                 om, Vi2.1")].replace("tunnels 2 sessions 3", "tunnels 1 sessions 1")
    assert parse("show vpdn", cut).cut == "the user of the last session is not all there"


def test_tables_of_other_protocols_are_left_unread():
    text = "PPTP Tunnel Information Total tunnels 1 sessions 1\n\n5 7 w2k est 10.0.0.1 1723 1\n"
    assert parse("show vpdn", text).unread == tuple(line for line in text.split("\n") if line)


def test_pools():
    first, second, third = rows("show ip local pool", "local_pool/12.4")
    assert first == PoolRange("POOL", "20.0.0.100", "20.0.0.110", 9, 2)
    assert (second.pool, second.begin, third.pool) == ("POOL", "20.0.1.1", "OTHER")
    groups = rows("show ip local pool", "local_pool/groups-15")
    assert [(row.pool, row.group, row.blocked) for row in groups] == [("p1", "g1", 0), ("p2", "g2", 0), ("lcl1", None, 0)]
    named = rows("show ip local pool POOL", "local_pool/named")
    assert named[1] == PoolAddress("POOL", "20.0.0.102", False)
    assert named[3] == PoolAddress("POOL", "20.0.0.100", True, "Vi2.1", "user1")
    text = (SAMPLES / "local_pool/named.txt").read_text()
    assert parse("show ip local pool POOL", text[: text.index("  20.0.0.101")]).cut == "it tells of 2 addresses in use, and lists 1"


def test_users():
    own, other, admin, ppp = rows("show users", "users/12.2")
    assert own == LineUser("con 0", 0, True, None, "idle", 118)
    assert other == LineUser("vty 0", 10, False, None, "Virtual-Access2", 0, "1212321")
    assert admin == LineUser("vty 1", 11, False, "admin", "192.0.2.7", 90, "198.51.100.9")
    assert ppp == InterfaceUser("Vi1", "userSerial10@cisco.com", "Virtual PPP (L2TP  )", 8, "20.0.0.100")
    xe = rows("show users all", "users/iosxe")
    assert xe[1] == LineUser("vty 0", 2, True, "admin", "idle", 0, "lab-host.example.net")
    assert xe[3] == InterfaceUser("Vi2.1", "lns@cisco.com", "PPPoVPDN", None, "20.0.0.100")


# --- debug ---


def test_the_debug_lines_of_the_l2tp_security_document():
    """SEC-90, SEC-91, SEC-95: what happened, in the document's order, within 340 ms."""
    found = rows("debug crypto socket", "debug/l2tp-security")
    assert [event.kind for event in found] == [
        "passive-open", "message", "security-requested", "challenge", "tunnel-created",
        "message", "retransmit-delay", "tunnel-state", "bound",
    ]  # fmt: skip
    opened, received, _, challenged, created, sent, delay, state, bound = found
    assert (opened.local_address, opened.local_port) == ("10.0.0.13", 1701)
    assert (opened.remote_address, opened.remote_port) == ("10.0.0.12", 1701)
    assert (opened.protocol, opened.interface, opened.facility) == (17, "Fa0/0", "CRYPTO_SS(L2X Security)")
    assert (received.direction, received.message, received.remote_name, received.remote_tunnel) == ("I", "SCCRQ", "ebooth02", 5107)
    assert (challenged.tunnel, challenged.message) == (13582, "SCCRQ")
    assert (created.remote_name, created.remote_address) == ("ebooth02", "10.0.0.12")
    assert (sent.direction, sent.message, sent.tunnel, sent.remote_tunnel) == ("O", "SCCRQ", 13582, 5107)
    assert (delay.delay_s, state.from_state, state.to_state) == (1, "idle", "wait-ctl-reply")
    assert bound.t_s - opened.t_s == pytest.approx(0.340)
    assert (opened.stamp, opened.synchronised) == ("Mar  1 00:56:46.959", False)


def test_other_stamps_of_debug_lines():
    found = rows("debug vpdn l2x-events", "debug/12.4")
    assert [(event.stamp, event.t_s, event.synchronised) for event in (found[0], *found[-2:])] == [
        ("Mar  1 2005 00:56:47.291 UTC", 3407.291, True), ("1w2d", 777600, None), ("02:00:03", 7203.0, None),
    ]  # fmt: skip
    assert (found[3].tunnel, found[3].session, found[3].message) == (4571, 4, "ICRQ")
    assert (found[4].kind, found[4].to_state) == ("session-state", "established")
    assert (found[6].kind, found[6].text) == ("other", "Application started listening")


def test_debug_lines_without_stamps_and_of_others():
    other = "*Mar  1 00:00:01.000: ISAKMP (0:1): beginning Main Mode"
    found = parse("debug vpdn l2x-events", f"Tnl 1 L2TP:Tunnel state change from idle to wait-ctl-reply\n{other}\n")
    assert [(event.kind, event.t_s) for event in found.rows] == [("tunnel-state", None)]
    assert (found.unread, found.cut) == ((other,), "")
    half = "*Mar  1 00:00:01.000:L2X:Requested security for socket, UDP socket info:local"
    for after in ("L2TP:I SCCRQ from ebooth02 tnl 5107", "10.0.0.13(1701), remote nobody"):
        found = parse("debug crypto socket", f"{half}\n{after}\n")
        assert half in found.unread
        assert (after in found.unread) is not bool(found.rows)
    found = parse("debug crypto socket", "*Mar  1 00:00:01.000:L2X:Requested security for socket, UDP socket info:local\n")
    assert (found.rows, found.cut) == ((), "the last event does not come to its end")


# --- the running configuration ---


def test_the_configuration_of_the_demux_document():
    found = rows("show running-config", "running_config/demux-lns")
    kinds = [row for row in found if not isinstance(row, Other)]
    assert kinds == [
        Setting("vpdn enable"),
        Setting("vpdn ip udp ignore checksum"),
        VpdnGroup("1", "accept-dialin", "l2tp", 1, tunnel_authentication=False),
        IsakmpPolicy(1, "3des", None, "pre-share", "2", 3600),
        IsakmpKey(Secret("cisco"), hostname="w2k01"),
        IsakmpKey(Secret("letmein"), "0.0.0.0", "0.0.0.0", no_xauth=True),
        Setting("crypto isakmp keepalive 3600"),
        Setting("crypto ipsec security-association lifetime seconds 600"),
        TransformSet("TS1", ("esp-3des", "esp-sha-hmac"), "transport"),
        Setting("crypto ipsec nat-transparency udp-encaps", False),
        MapEntry("DYN_MAP", 10, "template", transform_sets=("TS1",), nat_demux=True),
        MapEntry("CRYP_MAP", 6000, "ipsec-isakmp", "DYN_MAP"),
        Interface("Loopback0", "12.0.0.8", "255.255.255.255"),
        Interface("FastEthernet0/0", "11.0.0.8", "255.255.255.0", nat="outside", crypto_map="CRYP_MAP", others=("speed auto",)),
        Interface("FastEthernet0/1", "20.0.0.8", "255.255.255.0", nat="inside", shutdown=True),
        Interface("Virtual-Template1", unnumbered="FastEthernet0/1", pool="POOL", ppp_authentication=("chap", "ms-chap")),
        LocalPool("POOL", "20.0.0.100", "20.0.0.110"),
        NatPool("OUT", "203.0.113.232", "203.0.113.233", "netmask", "255.255.255.0"),
        Setting("ip nat translation udp-timeout 60"),
        NatRule("inside", "source", "list", "7", pool="OUT", vrf="red", overload=True),
        NatRule("inside", "source", "list", "8", interface="FastEthernet0/0", overload=True),
        NatRule("inside", "source", "static", "udp 10.0.0.2 500 interface FastEthernet0/0 500"),
        NatService("10", "ESP spi-match"),
        NatService("10", "IKE preserve-port"),
        NatService("10", "ftp tcp port 2021"),
    ]
    others = [row for row in found if isinstance(row, Other)]
    assert Other("router ospf 1", ("redistribute static subnets", "network 11.0.0.0 0.0.0.255 area 0")) in others
    assert Other("line vty 0 4", ("password 7 ***", "login local")) in others
    assert Other("username w2k01 password 0 ***") in others


def test_the_configuration_of_the_l2tp_security_document():
    found = rows("show run | section vpdn", "running_config/l2tp-security-lac")
    assert found[1] == VpdnGroup(
        "1", "request-dialin", "l2tp", None, ("cisco.com", "example.com"), None, "10.0.0.13", "LAC", True, Secret("0822455D0A16"),
        "l2tp", True, "on-mismatch", True, "set", ("source-ip 10.0.0.12",),
    )  # fmt: skip
    assert found[-2:] == (
        MapEntry("l2tpsec", 10, "ipsec-isakmp", profile="l2tp", transform_sets=("esp", "esp2"), pfs="group2", lifetime_s=120,
                 lifetime_kb=4000),
        MapEntry("l2tpsec", 20, "ipsec-manual", peers=("10.0.0.1", "10.0.0.2"), match_address="101",
                 others=("set session-key inbound ah 256 ***",)),
    )  # fmt: skip


def test_no_secret_of_a_configuration_is_in_what_is_printed_of_it():
    for sample in ("demux-lns", "l2tp-security-lac"):
        shown = repr(rows("show running-config", f"running_config/{sample}"))
        for secret in ("opensesame", "letmein", "0822455D0A16", "98765432109876549876543210987654", "key=Secret("):
            assert secret not in shown


def test_a_configuration_that_was_cut_keeps_its_last_section_back():
    text = (SAMPLES / "running_config/demux-lns.txt").read_text()
    found = parse("show running-config", text[: text.index(" crypto map CRYP_MAP\n")])
    assert found.cut == "the configuration does not come to its end"
    assert found.unread[0] == "interface FastEthernet0/0"
    assert found.rows[-1] == Interface("Loopback0", "12.0.0.8", "255.255.255.255")
    found = parse("show running-config", text[: text.index("terface FastEthernet0/1")])
    assert found.unread == ("in",)
    assert found.rows[-1].name == "FastEthernet0/0"


def test_an_empty_line_behind_the_end_of_a_configuration_cuts_nothing_off():
    text = (SAMPLES / "running_config/demux-lns.txt").read_text().rstrip()
    assert text.endswith("\nend")
    bare, padded = parse("show running-config", f"{text}\n"), parse("show running-config", f"{text}\n\n")
    assert (bare.cut, padded.cut, padded.rows) == ("", "", bare.rows)


def test_interfaces():
    first, down, closed, access = rows("show interfaces", "interfaces/12.4")
    assert (first.name, first.status, first.protocol, first.hardware) == ("FastEthernet0/0", "up", "up", "AmdFE")
    assert (first.address, first.mtu, first.bandwidth_kbit, first.keepalive_s) == ("10.0.0.13/24", 1500, 10000, 10)
    assert (first.packets_in, first.octets_in, first.packets_out, first.octets_out) == (20871, 2741103, 20417, 2655210)
    assert (first.input_errors, first.output_errors) == (2, 1)
    assert "Half-duplex, 10Mb/s, 100BaseTX/FX" in first.others
    assert (down.status, down.protocol, down.keepalive_s) == ("administratively down", "down", None)
    assert (closed.lcp, closed.packets_out, closed.open) == ("Closed", 665, ())
    assert access == InterfaceState(
        "Virtual-Access2", "up", "up", 62, 5406, 64, 5586, "Virtual Access interface", "172.16.1.1", "Loopback0", 1500, 100000,
        "PPP", "Open", ("IPCP",), 10, 0, 0, access.others,
    )  # fmt: skip
    dialer, bound = rows("show interfaces", "interfaces/15-dialer")
    assert (dialer.protocol, dialer.encapsulation, dialer.lcp, dialer.packets_in) == ("up (spoofing)", "PPP", "Closed", 2)
    assert (bound.address, bound.lcp, bound.open, bound.packets_in, bound.packets_out) == (None, "Open", ("IPCP",), 4736, 4735)
