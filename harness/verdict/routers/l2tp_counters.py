"""What the crypto engine counts, held against what crossed the wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.model import Evidence, FrameKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.calls import LAC, LAC_ADDRESS, LNS
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import came_up, frames, l2tp, printed, rows, told

ENGINE, SAS = "show crypto engine connections active", "show crypto ipsec sa"
NOT_YET_S = 0.2
"""What crosses the wire within this of a look at the counters may have been counted, or not yet."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One direction of IPsec as the engine counts it, and what the wire saw of its SPI before and until shortly after the look."""

    device: str
    spi: str
    inbound: bool
    row: Any
    least: int
    most: int

    @property
    def packets(self) -> int:
        return int(self.row.decrypt if self.inbound else self.row.encrypt)

    @property
    def of_the_other(self) -> int:
        """What the row counts of the other direction."""
        return int(self.row.encrypt if self.inbound else self.row.decrypt)


def _on_the_wire(evidence: Evidence, spi: str, until: float) -> int:
    return sum(1 for one in frames(evidence, FrameKind.ESP, until=until) if (one.esp or {}).get("spi") == spi)


def _look(evidence: Evidence, device: str, label: str) -> tuple[list[Counted], list[Any]]:
    """The engine's rows for IPsec, and its others. Which SPI a row is for `show crypto ipsec sa` says."""
    connections = {one.id: one for one in rows(evidence, device, ENGINE, label)}
    at = printed(evidence, device, ENGINE, label).t
    counted = []
    for flow in rows(evidence, device, SAS, label):
        for sa in flow.sas:
            if sa.conn_id in connections:
                ends = (_on_the_wire(evidence, sa.spi, at - NOT_YET_S), _on_the_wire(evidence, sa.spi, at + NOT_YET_S))
                counted.append(Counted(device, sa.spi, sa.direction == "inbound", connections.pop(sa.conn_id), *ends))
    return counted, list(connections.values())


def _looks(evidence: Evidence) -> Iterator[tuple[str, str, list[Counted], list[Any]]]:
    for device in (LAC, LNS):
        for label in ("first", "second"):
            yield device, label, *_look(evidence, device, label)


@check(Side.OUTSIDE, not_there="the table that it reads is that of 12.2, whichever release a router has")
def engine_shows_each_connection(evidence: Evidence) -> Verdict:
    """SEC-96: the engine shows the ISAKMP SA, which counts nothing, and each direction of IPsec, with as many packets as crossed
    the wire on its SPI."""
    require(came_up(evidence, "caller 1") is not None, "no call came up")
    found = Findings()
    for device, label, counted, others in _looks(evidence):
        address = evidence.gateway_address if device == LNS else LAC_ADDRESS
        found.facts[f"{device}, {label}"] = {one.spi: one.packets for one in counted}
        directions = sorted(one.inbound for one in counted)
        found.expect(directions == [False, True], f"{device} shows {len(counted)} rows for IPsec, and not one each direction")
        found.expect(len(others) == 1, f"{device} shows {len(others)} rows beside IPsec's, and not one for IKE")
        for row in others:
            found.expect((row.encrypt, row.decrypt) == (0, 0), f"the row of {device} for IKE counts packets")
        for one in counted:
            fits = one.least <= one.packets <= one.most and one.most > 0
            found.expect(fits, f"{device} counts {one.packets} packets on SPI {one.spi}, and {one.most} crossed the wire")
            found.expect(not one.of_the_other, f"the row of {device} for SPI {one.spi} counts the other direction too")
        for row in (*others, *(one.row for one in counted)):
            told = row.state, row.interface, row.address, row.algorithm
            wanted = "set", "FastEthernet0/0", address, "HMAC_SHA+DES_56_CB"
            found.expect(told == wanted, f"a connection of {device} is shown as {told}, and not as {wanted}")
    return found.verdict("the engine shows IKE and both directions, and counts what crossed the wire")


@check(Side.OUTSIDE)
def counters_move_with_traffic(evidence: Evidence) -> Verdict:
    """SEC-97: between two looks each direction's counter moves by what crossed the wire meanwhile, the echoes among it."""
    found = Findings()
    for device in (LAC, LNS):
        before, after = (printed(evidence, device, ENGINE, label).t for label in ("first", "second"))
        echoes = [one for one in told(evidence, "pinged", "caller 1", since=before, until=after) if one.data["answered"]]
        require(len(echoes) >= 5, f"{len(echoes)} echoes were answered between the looks at {device}, too few to tell")
        then = {one.spi: one for one in _look(evidence, device, "first")[0]}
        now = _look(evidence, device, "second")[0]
        same = bool(now) and {one.spi for one in now} == set(then)
        require(same, f"{device} has no SAs, or others than before")
        for one in now:
            moved = one.packets - then[one.spi].packets
            crossed = one.least - then[one.spi].most, one.most - then[one.spi].least
            way = "inbound" if one.inbound else "outbound"
            found.facts[f"{device}, {way}"] = moved
            found.expect(
                crossed[0] <= moved <= crossed[1],
                f"the {way} counter of {device} moved by {moved}, and {crossed[1]} packets crossed the wire",
            )
            found.expect(moved >= len(echoes), f"the {way} counter of {device} moved by {moved}, with {len(echoes)} echoes")
    return found.verdict("each counter moved by as many packets as crossed the wire")


@check(Side.OUTSIDE)
def one_direction_a_row(evidence: Evidence) -> Verdict:
    """SEC-98: no row counts packets of both directions, though both went over the wire."""
    found = Findings()
    for device in (LAC, LNS):
        for label in ("first", "second"):
            shown = rows(evidence, device, ENGINE, label)
            at = printed(evidence, device, ENGINE, label).t
            sources = {one.src for one in frames(evidence, FrameKind.ESP, until=at)}
            require(len(sources) > 1, "ESP did not go both ways")
            require(any(row.encrypt or row.decrypt for row in shown), f"{device} counts nothing at all")
            for row in shown:
                both = row.encrypt > 0 and row.decrypt > 0
                found.expect(not both, f"row {row.id} of {device} counts {row.encrypt} encrypted and {row.decrypt} decrypted")
    return found.verdict("every row counts one direction alone")


@check(Side.OUTSIDE, decrypted="esp")
def rows_scale(evidence: Evidence) -> Verdict:
    """SEC-99: with each tunnel there are two rows more for IPsec, and one for its ISAKMP SA."""
    found = Findings()
    for label, tunnels in (("one", 1), ("two", 2)):
        at = printed(evidence, LAC, ENGINE, label).t
        peers = {one.src for one in l2tp(evidence, "SCCRP", until=at)}
        require(len(peers) == tunnels, f"{len(peers)} LNSes had answered, and not {tunnels}")
        spis = {(one.esp or {})["spi"] for one in frames(evidence, FrameKind.ESP, until=at)}
        counted, others = _look(evidence, LAC, label)
        found.facts[label] = {"IPsec": len(counted), "IKE": len(others)}
        shown = {one.spi for one in counted}
        found.expect(shown == spis, f"with {tunnels} tunnels there are rows for {len(shown)} of {len(spis)} SPIs of the wire")
        found.expect(len(counted) == 2 * tunnels, f"with {tunnels} tunnels there are {len(counted)} rows for IPsec")
        found.expect(len(others) == tunnels, f"with {tunnels} tunnels there are {len(others)} rows for IKE")
    return found.verdict("each tunnel adds two rows for IPsec and one for IKE")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-96": engine_shows_each_connection,
    "SEC-97": counters_move_with_traffic,
    "SEC-98": one_direction_a_row,
    "SEC-99": rows_scale,
}
