from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.model import Identity, Side
from harness.probes.dissect import Addresses, Dissector
from harness.probes.identity import identities, translated_ports, with_gateway_ports
from harness.probes.pairing import pair

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"


def identify(dissector: Dissector, world: Any, folder: Path, clients: dict[str, str], keys: bool = True) -> tuple[Identity, ...]:
    files = world.write(folder)
    captures = {Side.INSIDE: files.inside, Side.OUTSIDE: files.outside}
    seen = dissector.dissect(captures, keys=files.keys if keys else None, addresses=Addresses(GATEWAY, NAT))
    return identities(seen, pair(seen[Side.INSIDE], seen[Side.OUTSIDE], GATEWAY).pairs, clients, GATEWAY)


def test_everything_of_a_client_is_found_on_the_wire(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    one, two = craft.Client(world, 1), craft.Client(world, 2)
    for client in (two, one):
        client.up()
    first, second, silent = identify(dissector, world, tmp_path, {"c1": one.address, "c2": two.address, "c3": "10.0.0.4"})
    assert first == Identity(
        "c1",
        one.address,
        inside_ike_port=500,
        inside_natt_port=4500,
        outside=NAT,
        outside_ike_port=one.ike_port,
        outside_natt_port=one.natt_port,
        cookies=((one.icookie.hex(), one.rcookie.hex()),),
        spis_in=(one.spis[0].hex(),),
        spis_out=(one.spis[1].hex(),),
        tunnel_client=101,
        tunnel_gateway=7001,
        session_client=201,
        session_gateway=8001,
        user="user1",
        ppp_address="172.16.1.10",
    )
    assert (second.client, second.user, second.outside_natt_port, second.tunnel_gateway) == ("c2", "user2", two.natt_port, 7002)
    assert silent == Identity("c3", "10.0.0.4")


def test_without_keys_the_flow_still_tells_cookies_spis_and_ports(
    dissector: Dissector, world: Any, craft: Any, tmp_path: Path
) -> None:
    one = craft.Client(world, 1)
    one.up()
    (found,) = identify(dissector, world, tmp_path, {"c1": one.address}, keys=False)
    assert (found.spis_in, found.spis_out) == ((one.spis[0].hex(),), (one.spis[1].hex(),))
    assert found.outside_natt_port == one.natt_port
    assert (found.tunnel_client, found.user, found.ppp_address) == (None, None, None)


def test_another_clients_messages_in_ones_esp_do_not_count(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    """The plain gateway: what it has to say to client 1 goes into the SA of client 2."""
    one, two = craft.Client(world, 1), craft.Client(world, 2)
    one.up()
    two.main_mode()
    two.quick_mode()
    two.tell(True, craft.control(1, 0, 0, 0, 0, craft.avp(9, b"\0\x66")))
    two.tell(False, craft.control(2, 101, 0, 0, 1, craft.avp(9, b"\x1b\x59")))
    two.tell(False, craft.data_message(101, 201, craft.ppp_control(0x8021, 2, 3, b"\x03\x06\xac\x10\x01\x0a")))
    first, second = identify(dissector, world, tmp_path, {"c1": one.address, "c2": two.address})
    assert (first.tunnel_gateway, first.ppp_address) == (7001, "172.16.1.10")
    assert (second.tunnel_client, second.tunnel_gateway, second.ppp_address) == (102, None, None)


def test_what_a_nat_delivers_to_the_wrong_client_makes_no_sa_its_own(
    dissector: Dissector, world: Any, craft: Any, tmp_path: Path
) -> None:
    one, two = craft.Client(world, 1), craft.Client(world, 2)
    one.up()
    two.main_mode()
    two.quick_mode()
    clients = {"c1": one.address, "c2": two.address}
    one.address = two.address
    one.tell(False, craft.data_message(101, 201, craft.ppp_control(0xC021, 9, 1, b"")))
    first, second = identify(dissector, world, tmp_path, clients)
    assert (first.spis_in, second.spis_in) == ((one.spis[0].hex(),), (two.spis[0].hex(),))


def test_a_client_that_returns_has_its_newest_tunnel_and_all_its_spis(
    dissector: Dissector, world: Any, craft: Any, tmp_path: Path
) -> None:
    one = craft.Client(world, 1)
    one.up()
    again = craft.Client(world, 1)
    again.tunnels, again.sessions = (150, 7050), (250, 8050)
    again.up()
    (found,) = identify(dissector, world, tmp_path, {"c1": one.address})
    assert (found.tunnel_client, found.tunnel_gateway, found.session_client, found.session_gateway) == (150, 7050, 250, 8050)
    assert found.spis_in == (one.spis[0].hex(), again.spis[0].hex())
    assert len(found.cookies) == 2
    first, second = found.lives
    assert [life.cookies for life in (first, second)] == [((c.icookie.hex(), c.rcookie.hex()),) for c in (one, again)]
    assert [life.spis_out for life in (first, second)] == [(c.spis[1].hex(),) for c in (one, again)]
    assert [(life.tunnel_gateway, life.session_client, life.ppp_address) for life in (first, second)] == [
        (7001, 201, "172.16.1.10"),
        (7050, 250, "172.16.1.10"),
    ]
    times = [t for t in (first.since, first.until, second.since) if t is not None]
    assert len(times) == 3
    assert times == sorted(set(times))


def test_a_delete_that_comes_to_the_wrong_client_makes_no_main_mode_its_own(
    dissector: Dissector, world: Any, craft: Any, tmp_path: Path
) -> None:
    one, two = craft.Client(world, 1), craft.Client(world, 2)
    one.up()
    two.up()
    clients = {"c1": one.address, "c2": two.address}
    one.address = two.address
    one.main_mode()
    first, second = identify(dissector, world, tmp_path, clients)
    assert [cookie for cookie, _ in first.cookies] == [one.icookie.hex()]
    assert [cookie for cookie, _ in second.cookies] == [two.icookie.hex()]


def test_what_comes_late_on_an_sa_of_before_makes_it_none_of_the_new_life(
    dissector: Dissector, world: Any, craft: Any, tmp_path: Path
) -> None:
    one = craft.Client(world, 1)
    one.up()
    again = craft.Client(world, 1)
    again.tunnels = (150, 7050)
    again.up()
    one.tell(False, craft.data_message(150, 201, craft.ppp_control(0xC021, 9, 1, b"")))
    (found,) = identify(dissector, world, tmp_path, {"c1": one.address})
    assert [life.spis_in for life in found.lives] == [(one.spis[0].hex(),), (again.spis[0].hex(),)]


def test_a_client_may_return_with_the_same_tunnel_number(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    craft.Client(world, 1).up()
    again = craft.Client(world, 1)
    again.tunnels = (101, 7050)
    again.up()
    (found,) = identify(dissector, world, tmp_path, {"c1": again.address})
    assert [(life.tunnel_client, life.tunnel_gateway) for life in found.lives] == [(101, 7001), (101, 7050)]


def test_a_rekey_of_ike_and_an_attempt_that_failed_are_no_lives_of_their_own(
    dissector: Dissector, world: Any, craft: Any, tmp_path: Path
) -> None:
    one = craft.Client(world, 1)
    one.up()
    rekeyed = craft.Client(world, 1)
    rekeyed.main_mode()
    rekeyed.quick_mode()
    rekeyed.tell(True, craft.control(None, 7001, 0, 4, 3))
    again = craft.Client(world, 1)
    again.tunnels, again.sessions = (150, 7050), (250, 8050)
    again.up()
    again.tell(True, craft.control(1, 0, 0, 0, 0, craft.avp(9, b"\0\x96")))  # its SCCRQ once more
    (found,) = identify(dissector, world, tmp_path, {"c1": one.address})
    first, second = found.lives
    assert first.spis_out == (one.spis[1].hex(), rekeyed.spis[1].hex())
    assert len(first.cookies) == 2
    assert second.spis_out == (again.spis[1].hex(),)


def test_the_gateways_ports_by_tunnel(dissector: Dissector, craft: Any, tmp_path: Path) -> None:
    def datagram(src: str, dst: str, sport: int, dport: int, payload: bytes) -> bytes:
        return bytes(craft.ip(src, dst, 17, craft.udp(src, dst, sport, dport, payload)))

    frames = [
        datagram(NAT, GATEWAY, 1024, 1701, craft.control(1, 0, 0, 0, 0, craft.avp(9, b"\0\x65"))),
        datagram(GATEWAY, NAT, 1701, 1024, craft.control(2, 101, 0, 0, 1, craft.avp(9, b"\x1b\x59"))),
        datagram(NAT, GATEWAY, 1025, 1701, craft.control(3, 7002, 0, 1, 1)),
    ]
    path = tmp_path / "translated.pcap"
    path.write_bytes(craft.pcap_bytes(list(enumerate(frames)), 101))
    ports = translated_ports(dissector.dissect({Side.TRANSLATED: path})[Side.TRANSLATED])
    assert ports == {7001: (NAT, 1024), 7002: (NAT, 1025)}
    three = Identity("c1", "a", tunnel_gateway=7001), Identity("c2", "b"), Identity("c3", "c", tunnel_gateway=9)
    found = with_gateway_ports(three, ports)
    assert [one.gateway_port for one in found] == [1024, None, None]
