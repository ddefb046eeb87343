"""The parsers against what a real gateway printed, whole, empty, truncated and strange."""

from pathlib import Path

import pytest

from harness.devices import linux_parsers as parsers
from harness.devices.linux_parsers import Call, Closed, DemuxEvent, PppProcess, Tunnel, XfrmPolicy, XfrmState
from harness.devices.vici_text import ChildSa, IkeSa, parse_sas, read_message

SAMPLES = Path(__file__).parent / "samples"
PARSERS = {
    "xfrm-state": parsers.parse_xfrm_state,
    "xfrm-policy": parsers.parse_xfrm_policy,
    "ike-sas": parse_sas,
    "xl2tpd": parsers.parse_xl2tpd,
    "pppd": parsers.parse_pppd,
    "addresses": parsers.parse_addresses,
    "links": parsers.parse_links,
    "demux": parsers.parse_demux_log,
    "demux-filters": parsers.parse_demux_filters,
}
GOLDEN = sorted(SAMPLES.glob("*/*.txt"))
NAT, GATEWAY = "203.0.113.232", "203.0.113.231"


def sample(variant, name):
    return (SAMPLES / variant / f"{name}.txt").read_text()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_line_of_a_real_gateway_is_read(path):
    rows = PARSERS[path.stem](path.read_text())
    assert rows.rows
    assert rows.unread == ()


@pytest.mark.parametrize("name", PARSERS)
def test_nothing_said_is_nothing_read(name):
    for text in ("", "\n", "\n\n"):
        assert PARSERS[name](text) == parsers.Rows((), ())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_text_cut_short_gives_whole_rows_only(path):
    """Wherever it is cut: nothing is raised, and what is read before the cut is read as in the whole text."""
    text = path.read_text()
    whole = PARSERS[path.stem](text).rows
    for cut in range(0, len(text), 37):
        part = PARSERS[path.stem](text[:cut]).rows
        assert len(part) <= len(whole)
        if path.stem != "pppd":  # whose rows are drawn together from two lists
            assert part[:-1] == whole[: max(0, len(part) - 1)]


@pytest.mark.parametrize("name", sorted(PARSERS.keys() - {"xl2tpd"}))
def test_what_cannot_be_read_is_counted(name):
    assert PARSERS[name]("Error: no such thing\n").unread == ("Error: no such thing",)


def test_xfrm_state_of_demux():
    rows = parsers.parse_xfrm_state(sample("demux-kernel", "xfrm-state")).rows
    assert [(r.src, r.dst, r.spi, r.reqid, r.sport, r.dport, r.mark) for r in rows] == [
        (GATEWAY, NAT, "ce59c7fb", 2, 4500, 62364, 2),
        (NAT, GATEWAY, "cae22d9c", 2, 62364, 4500, 2),
        (GATEWAY, NAT, "c84fd842", 1, 4500, 4500, 1),
        (NAT, GATEWAY, "c10aa0c5", 1, 4500, 4500, 1),
    ]


def test_xfrm_state_without_encapsulation_marks_and_counters():
    text = (
        "src 10.0.0.2 dst 203.0.113.231\n"
        "\tproto esp spi 0x0000a1b2(41394) reqid 7(0x00000007) mode transport\n"
        "\treplay-window 32 flag\n"
        "\tauth-trunc hmac(sha1) <<Keys hidden>> 96\n"
        "\tanti-replay context: seq 0x5, oseq 0x0, bitmap 0x0000001f\n"
    )
    row = XfrmState("10.0.0.2", GATEWAY, "0000a1b2", 7, None, None, None, 5, 0, None, None)
    assert parsers.parse_xfrm_state(text).rows == (row,)


def test_an_sa_without_its_spi_is_unread_and_the_others_are_kept():
    text = sample("plain-kernel", "xfrm-state")
    broken = text.replace("spi 0xcd47e606", "spi ?", 1)
    rows = parsers.parse_xfrm_state(broken)
    assert [r.spi for r in rows.rows] == ["ca547886", "c25c3f66", "c05f11ad"]
    assert any("spi ?" in line for line in rows.unread)


def test_xfrm_policy_of_demux_and_without_sockets():
    rows = parsers.parse_xfrm_policy(sample("demux-kernel", "xfrm-policy")).rows
    assert rows[0] == XfrmPolicy(f"{GATEWAY}/32", f"{NAT}/32", 1701, 1701, "out", 2, 2, "ce59c7fb")
    assert [(r.direction, r.mark) for r in rows] == [("out", 2), ("in", 2), ("out", 1), ("in", 1)]


def test_plain_has_one_policy_a_direction_for_two_clients():
    """The defect itself: the second client's policy took the place of the first one's."""
    rows = parsers.parse_xfrm_policy(sample("plain-kernel", "xfrm-policy")).rows
    assert [(r.direction, r.mark) for r in rows] == [("out", None), ("in", None)]


def test_ike_sas():
    rows = parse_sas(sample("demux-kernel", "ike-sas")).rows
    child = ChildSa(2, "INSTALLED", "cae22d9c", "ce59c7fb", 2, 2)
    assert rows[0] == IkeSa(2, "ESTABLISHED", NAT, 62364, "45b953a4ec57cd1a", "951f4eacfd2fed69", "10.0.0.12", (child,))
    assert len(rows) == 2


def test_an_ike_sa_without_children():
    text = (
        "list-sa event {l2tp {uniqueid=3 version=1 state=CONNECTING remote-host=203.0.113.232 remote-port=500 "
        "initiator-spi=0000000000000001 responder-spi=0000000000000002 tasks-active=[MAIN_MODE] child-sas {}}}\n"
        "list-sas reply {}\n"
    )
    assert parse_sas(text).rows == (IkeSa(3, "CONNECTING", NAT, 500, "0" * 15 + "1", "0" * 15 + "2", "", ()),)


@pytest.mark.parametrize("text", ["", "{", "{a=1", "{a {b=1}", "{a=1}}", "a=1}", "{a=[x}", "{=}", "{a b}"])
def test_a_message_that_is_not_whole(text):
    with pytest.raises(ValueError):
        read_message(text)


def test_message_values():
    text = "{a=1 b= list=[x y z] ts=[203.0.113.231/32[udp/l2f]] empty {} deep {c {d=e}}}"
    assert read_message(text) == {
        "a": "1",
        "b": "",
        "list": ["x", "y", "z"],
        "ts": ["203.0.113.231/32[udp/l2f]"],
        "empty": {},
        "deep": {"c": {"d": "e"}},
    }


def test_tunnels_and_calls_are_linked_by_the_packet_before():
    assert parsers.parse_xl2tpd(sample("closed", "xl2tpd")).rows == (
        Tunnel(NAT, 1024, 42040, 57466),
        Call(NAT, 803, 48621, 58095, 42040),
        Tunnel(NAT, 1025, 4848, 16664),
        Call(NAT, 816, 40402, 610, 4848),
        Closed(remote=16664, address=NAT, port=1025),
        Closed(local=4848),
    )


def test_a_call_without_the_packet_that_brought_it_names_no_tunnel():
    line = "xl2tpd[768]: Call established with 203.0.113.232, PID: 812, Local: 36339, Remote: 49573, Serial: 1\n"
    other = "xl2tpd[768]: network_thread: recv packet from 203.0.113.232, size = 50, tunnel = 1, call = 2 ref=0 refhim=0\n"
    call = Call(NAT, 812, 36339, 49573, None)
    assert parsers.parse_xl2tpd(line).rows == (call,)
    assert parsers.parse_xl2tpd(other + line).rows == (call,)


def test_a_tunnel_that_the_peer_closed():
    line = "xl2tpd[1]: control_finish: Connection closed to 203.0.113.232, port 1701 (Goodbye!), Local: 5, Remote: 6\n"
    (closed,) = parsers.parse_xl2tpd(line).rows
    assert closed.ends(Tunnel(NAT, 1701, 5, 6))
    assert not closed.ends(Tunnel(NAT, 1701, 7, 6))


def test_an_xl2tpd_line_about_a_tunnel_that_cannot_be_read_is_counted():
    line = "xl2tpd[1]: Connection established to nowhere"
    assert parsers.parse_xl2tpd(line).unread == (line,)


def test_pppd_in_kernel_and_user_mode():
    kernel = parsers.parse_pppd(sample("demux-kernel", "pppd")).rows
    assert [(p.interface, p.tunnel, p.session, p.remote_address) for p in kernel] == [
        ("ppp0", 57638, 53860, "172.16.1.10"),
        ("ppp1", 38638, 33948, "172.16.1.11"),
    ]
    user = parsers.parse_pppd(sample("plain-user", "pppd")).rows
    assert [(p.interface, p.tunnel, p.session, p.remote_address) for p in user] == [
        ("ppp0", None, None, "172.16.1.10"),
        ("ppp1", None, None, "172.16.1.11"),
    ]


def test_a_pppd_without_an_interface_yet():
    assert parsers.parse_pppd("812 /usr/sbin/pppd passive\n").rows == (PppProcess(812, None, None, None, None),)


def test_addresses():
    rows = parsers.parse_addresses(sample("demux-kernel", "addresses")).rows
    assert ("vec0", GATEWAY, None) in rows
    assert ("ppp1", "172.16.1.1", "172.16.1.11") in rows


def test_demux_log_and_filters():
    events = parsers.parse_demux_log(sample("demux-kernel", "demux")).rows
    assert [(e.verb, e.udp_port, e.mark, e.port, e.status) for e in events] == [
        ("up-host", 4500, 1, 1024, 0),
        ("up-host", 62364, 2, 1025, 0),
    ]
    assert parsers.parse_demux_filters(sample("demux-kernel", "demux-filters")).rows == ((1, 1024), (2, 1025))


def test_a_client_without_encapsulation_in_the_demux_log():
    line = "7.31 down-host peer=10.0.0.2 udp=none mark=3 reqid=3 port=1026 status=2\n"
    assert parsers.parse_demux_log(line).rows == (DemuxEvent(7.31, "down-host", "10.0.0.2", None, 3, 1026, 2),)


def test_links_as_listed_and_as_they_come_and_go():
    text = (
        "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN qlen 1000\\    link/loopback\n"
        "7: ppp0: <POINTOPOINT,MULTICAST,NOARP> mtu 1500 qdisc noop state DOWN group default \\    link/ppp \n"
        "Deleted 7: ppp0: <POINTOPOINT,MULTICAST,NOARP> mtu 1280 qdisc noop state DOWN group default \\    link/ppp \n"
        "8: demux0@l2tp0: <BROADCAST,UP> mtu 1500 \\    link/ether 02:00:00:00:00:01\n"
        "netlink receive error\n"
    )
    found = ((1, "lo"), (7, "ppp0"), (7, "ppp0"), (8, "demux0"))
    assert parsers.parse_links(text) == parsers.Rows(found, ("netlink receive error",))
