"""A little world for the report's tests: two clients behind one NAT, and the frames of the second killing the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.model import (
    CaptureFacts,
    ClientPlan,
    Evidence,
    FrameKind,
    GatewayView,
    Identity,
    Inner,
    Mark,
    Observation,
    Outcome,
    Pair,
    Record,
    RecordKind,
    Secret,
    Side,
    Step,
    Verdict,
)

GATEWAY = "203.0.113.231"
NAT = "203.0.113.232"
PSK = "sharedsecret"
T0 = 1_700_000_000.0


class Wire:
    """Builds both captures packet by packet."""

    def __init__(self) -> None:
        self.inside: list[Observation] = []
        self.outside: list[Observation] = []
        self.pairs: list[Pair] = []
        self.t = T0

    def packet(
        self, client: int, direction: str, *, ike: str = "", message: str = "", ppp: str = "", mark: Mark | None = None
    ) -> None:
        self.t += 0.05
        inner = None
        if not ike:
            inner = Inner(
                1701,
                1701,
                0,
                (),
                l2tp={"message": message} if message else {"tunnel": client, "session": client},
                ppp={"protocol": ppp, "code": "Configure-Ack"} if ppp else None,
                mark=mark,
            )
        up = direction == "up"
        natt = 4500
        for side, seen, address in (
            (Side.INSIDE, self.inside, f"10.0.0.{client + 1}"),
            (Side.OUTSIDE, self.outside, NAT),
        ):
            port = natt if side is Side.INSIDE else 20000 + client
            seen.append(
                Observation(
                    side=side,
                    frame=len(seen) + 1,
                    t=self.t + (0.0001 if (side is Side.OUTSIDE) == up else 0.0),
                    src=address if up else GATEWAY,
                    dst=GATEWAY if up else address,
                    sport=port if up else natt,
                    dport=natt if up else port,
                    ttl=64,
                    kind=FrameKind.IKE if ike else FrameKind.ESP,
                    length=120,
                    payload_digest=f"{len(seen)}",
                    ike={"exchange": ike, "message": message, "retransmission": False} if ike else None,
                    esp=None if ike else {"spi": f"c0ffee0{client}", "sequence": len(seen), "icv_ok": True},
                    inner=inner,
                )
            )
        self.pairs.append(Pair(len(self.inside), len(self.outside), direction))

    def set_up(self, client: int) -> None:
        for number in range(1, 7):
            self.packet(client, "up" if number % 2 else "down", ike="main mode", message=f"MM{number}")
        for number in range(1, 4):
            self.packet(client, "up" if number % 2 else "down", ike="quick mode", message=f"QM{number}")

    def tunnel(self, client: int) -> None:
        for number, name in enumerate(("SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN")):
            self.packet(client, "down" if name in ("SCCRP", "ICRP") else "up", message=name)
            assert number >= 0
        for protocol in ("LCP", "CHAP", "IPCP"):
            self.packet(client, "up", ppp=protocol)
            self.packet(client, "down", ppp=protocol)

    def ping(self, owner: int, sequence: int, to: int | None = None, answered: bool = True) -> None:
        self.packet(owner, "up", mark=Mark(owner, sequence, False))
        if answered:
            self.packet(to or owner, "down", mark=Mark(owner, sequence, True))


def plan(number: int) -> ClientPlan:
    return ClientPlan(number, f"10.0.0.{number + 1}", GATEWAY, Secret(PSK), f"user{number}", Secret(f"pw{number}"))


def identity(number: int, port: int | None) -> Identity:
    return Identity(
        client=f"c{number}",
        inside=f"10.0.0.{number + 1}",
        inside_ike_port=500,
        inside_natt_port=4500,
        outside=NAT,
        outside_ike_port=1024 + number,
        outside_natt_port=20000 + number,
        cookies=(("a" * 16, "b" * 16),),
        spis_in=(f"c0ffee0{number}",),
        spis_out=(f"deadbee{number}",),
        gateway_port=port,
        tunnel_client=number,
        tunnel_gateway=4000 + number,
        session_client=number,
        session_gateway=5000 + number,
        user=f"user{number}",
        ppp_address=f"172.16.1.{9 + number}",
    )


def evidence(variant: str, folder: Path, *, kill: bool, trouble: tuple[str, ...] = ()) -> tuple[Evidence, dict[str, Verdict]]:
    """A scenario on the plain gateway (kill) or the demux one, with the facts as harness.verdict gives them."""
    wire = Wire()
    wire.set_up(1)
    wire.tunnel(1)
    for sequence in range(1, 9):
        wire.ping(1, sequence)
    wire.set_up(2)
    blow = len(wire.outside)
    proof = len(wire.outside) + 2
    wire.ping(1, 9, to=2 if kill else 1)
    wire.tunnel(2)
    for sequence in range(10, 30):
        wire.ping(1, sequence, to=2 if kill else None, answered=sequence % 2 == 0 or not kill)
        wire.ping(2, sequence)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("inside.pcap", "outside.pcap", "decrypted.pcap"):
        (folder / name).write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(2000))
    (folder / "keys.jsonl").write_text("{}\n")
    (folder / "records.jsonl").write_text("{}\n")
    steps = (
        Step("connect:c1", T0, T0 + 1.0, ("c1",)),
        Step("traffic", T0 + 1.0, T0 + 2.0, ("c1",)),
        Step("connect:c2", T0 + 2.0, T0 + 3.0, ("c2",)),
    )
    records = (
        Record(T0, "c1", RecordKind.STARTED, {}),
        Record(T0 + 0.4, "c1", RecordKind.STAGE, {"stage": "main mode", "took": 0.4}),
        Record(T0 + 2.4, "c2", RecordKind.STAGE, {"stage": "main mode", "took": 0.3}),
        Record(T0 + 2.9, "c2", RecordKind.FAILED, {"stage": "LCP", "reason": "no answer"}),
    )
    cells = {
        "c1": {"c1": 8, "c2": 11, "nobody": 0},
        "c2": {"c1": 0, "c2": 20, "nobody": 0},
        "nobody": {"c1": 0, "c2": 0, "nobody": 0},
    }
    if not kill:
        cells["c1"] = {"c1": 29, "c2": 0, "nobody": 0}
    death = {
        "victim": "c1",
        "killer": "c2",
        "strength": "certain",
        "frame": ["outside", blow],
        "t": wire.outside[blow - 1].t,
        "message": "QM3",
        "proof": [["outside", proof]],
        "blame": {"box": "gateway", "why": "the gateway put c1's traffic into another client's SA", "frames": [["outside", proof]]},
    }
    kills = {"c1": {"c1": "none", "c2": "certain" if kill else "none"}, "c2": {"c1": "none", "c2": "none"}}
    first = (
        Verdict(
            Outcome.FAIL,
            f"c2 killed c1 with QM3 at outside frame {blow}: the gateway put c1's traffic into c2's SA",
            {"deaths": [death], "matrix": kills},
            (("outside", blow), ("outside", proof)),
        )
        if kill
        else Verdict(Outcome.PASS, "both clients live on, at the gateway's ports 1024 and 1025", {"deaths": [], "matrix": kills})
    )
    verdicts = {
        "who killed whom": first,
        "confusion": Verdict(Outcome.PASS, "counted", {"confusion": {"towards": "the clients", "cells": cells}}),
    }
    captures = tuple(
        CaptureFacts(side, str(folder / f"{side.value}.pcap"), f"nat-{side.value}", len(seen), 0, True)
        for side, seen in ((Side.INSIDE, wire.inside), (Side.OUTSIDE, wire.outside))
    )
    return (
        Evidence(
            scenario="two-clients",
            testbed="linux",
            variant=variant,
            plans=(plan(1), plan(2)),
            steps=steps,
            records=records,
            observations={Side.INSIDE: tuple(wire.inside), Side.OUTSIDE: tuple(wire.outside)},
            captures=captures,
            pairs=tuple(wire.pairs),
            identities=(identity(1, None if kill else 1024), identity(2, None if kill else 1025)),
            gateway_address=GATEWAY,
            nat_outside=NAT,
            gateway_views=(GatewayView(T0 + 3, "after c2", texts={"ip xfrm state": f"src {NAT} dst {GATEWAY}\n  proto esp"}),),
            logs={"charon": f"loaded IKE secret '{PSK}' for %any\n"},
            trouble=trouble,
        ),
        verdicts,
    )


@pytest.fixture
def evidence_of() -> Callable[..., tuple[Evidence, dict[str, Verdict]]]:
    return evidence
