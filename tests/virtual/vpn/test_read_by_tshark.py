"""tshark, which shares no code with this project, reads what two endpoints say: main mode and quick mode in clear with the SAs'
keys, ESP down to the hosts' own packets."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from vpn_bench import EAST_HOST, NAT, WEST_HOST, World, east, mark, simulate, west, write_pcap

from harness.simulation.loop import SimulatedLoop
from harness.virtual.nat_transparency import NatTransparency
from harness.virtual.vpn_negotiation import Negotiation
from harness.wire import events

TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")


def tshark(path: Path, *arguments: str) -> str:
    """With the configuration that `write_keys` has made beside the capture."""
    assert TSHARK is not None
    command = [TSHARK, "-n", "-d", "udp.port==4500,udpencap", "-d", "udp.port==500,isakmp", "-r", str(path), *arguments]
    where = {**os.environ, "WIRESHARK_CONFIG_DIR": str(path.parent / "keys")}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=where).stdout


def write_keys(folder: Path, up: events.IkeUp, pairs: list[events.EspUp]) -> None:
    folder.mkdir()
    (folder / "preferences").write_text("esp.enable_encryption_decode: TRUE\nesp.enable_authentication_check: TRUE\n")
    (folder / "ikev1_decryption_table").write_text(f"{up.icookie.hex()},{up.encryption_key.hex()}\n")
    lines = []
    for pair in pairs:
        for spi, key, auth in (
            (pair.spi_out, pair.key_out, pair.auth_key_out),
            (pair.spi_in, pair.key_in, pair.auth_key_in),
        ):
            names = "AES-CBC [RFC3602]", f"0x{key.hex()}", "HMAC-SHA-1-96 [RFC2404]", f"0x{auth.hex()}"
            lines.append(",".join(f'"{field}"' for field in ("IPv4", "*", "*", f"0x{spi:08x}", *names)) + "\n")
    (folder / "esp_sa").write_text("".join(lines))


def ups_of(told: list[Any]) -> list[events.EspUp]:
    """Of who began."""
    return [event for event in told if isinstance(event, events.EspUp) and event.initiator]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the cores told their endpoints, keys and all."""
    told: list[Any] = []
    honest = Negotiation._hear

    def hear(self: Negotiation, now: float, association: Any, event: events.Event, packet: Any) -> None:
        told.append(event)
        honest(self, now, association, event, packet)

    monkeypatch.setattr(Negotiation, "_hear", hear)
    return told


@pytest.mark.parametrize("way", ["udp-encaps", "spi-matching"])
def test_a_session_with_a_rekey(way: str, heard: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "session.pcap"
    how, nat = (NatTransparency(), "pat") if way == "udp-encaps" else (NatTransparency(spi_matching=True), None)

    async def scenario(loop: SimulatedLoop) -> None:
        world = World(loop, nat=nat)
        one = world.add("west", west(nat_transparency=how), behind=nat is not None)
        two = world.add("east", east((NAT,) if nat else ("10.0.0.2",), nat_transparency=how))
        await world.bring_up(one)
        for number in range(1, 6):
            one.host(mark(number))
            two.host(mark(number + 10, EAST_HOST, WEST_HOST))
            await asyncio.sleep(1)
        (association,) = one.core.negotiation.associations
        child = association.core._all.pairs[0].child
        assert child is not None
        again = lambda ike: ike.start_child(loop.time(), child)  # noqa: E731
        one.order(lambda core: core.negotiation.order(loop.time(), association, again))
        await asyncio.sleep(1)
        one.host(mark(6))
        await asyncio.sleep(20)
        one.order(lambda core: core.clear_isakmp(loop.time()))
        await asyncio.sleep(1)
        write_pcap(path, world.crossed)

    simulate(scenario)
    ups = ups_of(heard)
    ike = next(event for event in heard if isinstance(event, events.IkeUp))
    assert len(ups) == 2
    write_keys(tmp_path / "keys", ike, ups)
    text = tshark(path, "-V")
    for word in ("Malformed", "unreassembled", "[Bad: True]", "Unknown"):
        lines = [line for line in text.splitlines() if word in line and "Unknown Vendor ID" not in line]
        assert not lines, lines[:5]
    for line in (
        "Exchange type: Identity Protection (Main Mode) (2)",
        "Exchange type: Quick Mode (32)",
        "ID type: IPV4_ADDR_SUBNET (4)",
        "Identification Data:10.1.0.0/255.255.0.0",
        "Identification Data:10.2.0.0/255.255.0.0",
        "Life Duration: 4608000",
        "Encapsulation Mode: " + ("UDP-Encapsulated-Tunnel (3)" if nat else "Tunnel (1)"),
        "Payload: Delete (12)",
    ):
        assert line in text, line
    assert ("RFC 3947 Negotiation of NAT-Traversal in the IKE" in text) is bool(nat)
    fields = ("-e", "esp.icv_good", "-e", "ip.src", "-e", "ip.dst", "-e", "esp.spi", "-e", "data.data")
    rows = [line.split("\t") for line in tshark(path, "-Y", "esp", "-T", "fields", *fields).splitlines()]
    assert len(rows) == 11
    assert {row[0] for row in rows} == {"1"}
    inner = [(row[1].split(",")[-1], row[2].split(",")[-1], bytes.fromhex(row[4]).decode()) for row in rows]
    there, back = (WEST_HOST, EAST_HOST), (EAST_HOST, WEST_HOST)
    wanted = [(*there, f"mark {number}") for number in range(1, 7)] + [(*back, f"mark {number}") for number in range(11, 16)]
    assert sorted(inner) == sorted(wanted)
    assert inner[-1] == (*there, "mark 6")
    spis = {int(row[3], 16) for row in rows}
    assert spis == {ups[0].spi_in, ups[0].spi_out, ups[1].spi_out}
    if way == "spi-matching":  # as an observer sees it, in two set-ups
        assert {up.spi_in ^ up.spi_out for up in ups} == {0x28726CD9 ^ 0x2E59EEF5}
