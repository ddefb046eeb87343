"""Populations that are not behind one NAT: two sites of one inside address, and a client on the outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.model import ClientPlan, FrameKind, Observation, Secret, Side, Site
from harness.probes.sites import sort_out

GATEWAY, NAT, NAT_2, DIRECT = "203.0.113.231", "203.0.113.232", "203.0.113.240", "203.0.113.250"


def plan(number: int, address: str, site: int) -> ClientPlan:
    return ClientPlan(number, address, GATEWAY, Secret("s"), f"user{number}", Secret("p"), site=site)


def crossing(inside: Side, address: str, outside: str, icookie: str, frame: int) -> tuple[Observation, Observation]:
    """One MM2 on both sides: what tells the cookies."""
    ike: dict[str, Any] = {
        "icookie": icookie, "rcookie": "b" * 16, "exchange": "main mode", "decrypted": False, "proposals": [], "message": "MM2",
    }  # fmt: skip
    port = 1024 + frame
    out = Observation(Side.OUTSIDE, frame, 1.0 + frame, GATEWAY, outside, 500, port, 64, FrameKind.IKE, 99, icookie, ike=ike)
    return replace(out, side=inside, frame=1, t=out.t + 0.001, dst=address, dport=500), out


def test_each_site_is_paired_and_identified_by_itself() -> None:
    (in1, out1), (in2, out2) = (
        crossing(Side.INSIDE, "10.0.0.2", NAT, "a1" * 8, 1),
        crossing(Side.INSIDE_2, "10.0.0.2", NAT_2, "a2" * 8, 2),
    )
    _, direct = crossing(Side.INSIDE, DIRECT, DIRECT, "a3" * 8, 3)
    seen = {Side.INSIDE: (in1,), Side.INSIDE_2: (in2,), Side.OUTSIDE: (out1, out2, direct)}
    plans = [plan(1, "10.0.0.2", 1), plan(2, "10.0.0.2", 2), plan(3, DIRECT, 0)]
    pairing, found, sites = sort_out(seen, plans, GATEWAY, NAT, [Site(2, NAT_2, Side.INSIDE_2)])
    assert [(p.inside, p.outside, p.direction) for p in pairing.pairs] == [(1, 1, "down")]
    assert [(p.inside, p.outside, p.direction) for p in sites[0].pairs] == [(1, 2, "down")]
    assert [(i.client, i.outside, i.outside_ike_port, i.cookies[0][0][:2]) for i in found] == [
        ("c1", NAT, 1025, "a1"),
        ("c2", NAT_2, 1026, "a2"),
        ("c3", DIRECT, 1027, "a3"),
    ]


def test_an_sa_that_was_agreed_behind_one_nat_is_nobodys_behind_another() -> None:
    """A gateway that takes two clients of one inside address for one sends what is for the first in the second one's SA."""

    def across(frame: int, outside: str, up: bool, side: Side, **facts: Any) -> tuple[Observation, Observation]:
        ends = (outside, GATEWAY) if up else (GATEWAY, outside)
        kind = FrameKind.ESP if "esp" in facts else FrameKind.IKE
        out = Observation(Side.OUTSIDE, frame, float(frame), *ends, 4500, 4500, 64, kind, 99, f"{frame}", **facts)
        ends = ("10.0.0.2", GATEWAY) if up else (GATEWAY, "10.0.0.2")
        return replace(out, side=side, src=ends[0], dst=ends[1]), out

    def agrees(frame: int, outside: str, side: Side, spi: str) -> tuple[Observation, Observation]:
        proposals = [{"protocol": "ESP", "spi": spi}]
        ike = {"icookie": spi * 2, "rcookie": "b" * 16, "exchange": "quick mode", "decrypted": True, "proposals": proposals}
        return across(frame, outside, True, side, ike={**ike, "message": "QM1"})

    one, two = agrees(1, NAT, Side.INSIDE, "000000a1"), agrees(2, NAT_2, Side.INSIDE_2, "000000a2")
    own, strayed = (across(f, NAT, False, Side.INSIDE, esp={"spi": spi}) for f, spi in ((3, "000000a1"), (4, "000000a2")))
    unknown = across(5, NAT, False, Side.INSIDE, esp={"spi": "000000a3"})
    seen = {
        Side.INSIDE: (one[0], own[0], strayed[0], unknown[0]),
        Side.INSIDE_2: (two[0],),
        Side.OUTSIDE: tuple(both[1] for both in (one, two, own, strayed, unknown)),
    }
    plans = [plan(1, "10.0.0.2", 1), plan(2, "10.0.0.2", 2)]
    _, found, _ = sort_out(seen, plans, GATEWAY, NAT, [Site(2, NAT_2, Side.INSIDE_2)])
    assert [i.spis_in for i in found] == [("000000a1", "000000a3"), ("000000a2",)]


def test_one_site_is_what_pairing_and_identities_say() -> None:
    inside, outside = crossing(Side.INSIDE, "10.0.0.2", NAT, "a1" * 8, 1)
    pairing, found, sites = sort_out({Side.INSIDE: (inside,), Side.OUTSIDE: (outside,)}, [plan(1, "10.0.0.2", 1)], GATEWAY, NAT)
    assert (len(pairing.pairs), len(pairing.unpaired), sites) == (1, 0, ())
    assert found[0].outside == NAT
