"""IKE and ESP that no client of the run agreed: counted and named, and hiding nothing that the run shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import verdict_builders as b

from harness.model import FrameKind, Outcome, RecordKind
from harness.verdict.checks import CHECKS
from harness.verdict.foreign import FROM_GATEWAY, FROM_NOBODY, agreed_spis, foreign
from harness.verdict.reading import Reading
from harness.verdict.trust import TRAFFIC, doubts

ROWS = ("DMX-07", "NTT-28", "DMX-30", "DMX-10", "NTT-18", "DMX-34")


def strange_esp(w: Any, direction: str, client: str = "c1", **fields: Any) -> Any:
    esp = {"spi": "deadbeef", "sequence": 1, "icv_ok": None}
    return w.packet(client, b.T0 + 5, direction, 4500, FrameKind.ESP, "strange", **{"esp": esp, **fields})


def garbage_ike(w: Any, direction: str) -> Any:
    facts = {"icookie": "ff" * 8, "rcookie": "ee" * 8, "message": None, "encrypted": False, "decrypted": False, "marker": True}
    return w.packet("c1", b.T0 + 5, direction, 4500, FrameKind.IKE, "garbage", ike=facts, problem="isakmp: a payload of 9999 bytes")


@pytest.mark.parametrize("make", [lambda w: strange_esp(w, "down"), lambda w: garbage_ike(w, "down"),
                                  lambda w: strange_esp(w, "down", esp=None, problem="esp: 3 bytes")])  # fmt: skip
def test_what_the_gateway_sends_besides_is_counted_and_named(make: Any) -> None:
    world = b.clean()
    make(world)
    evidence = world.evidence()
    for row in ROWS:
        verdict = CHECKS[row](evidence)
        assert verdict.outcome is Outcome.PASS, (row, verdict.because)
        told: Any = verdict.facts["foreign"]
        assert told[FROM_GATEWAY]["count"] == 2  # on either side of the NAT
        assert len(told[FROM_GATEWAY]["frames"]) == 2


def test_one_strange_packet_does_not_hide_an_eviction() -> None:
    world = b.eviction()
    strange_esp(world, "down")
    evidence = world.evidence()
    assert CHECKS["DMX-01"](evidence).outcome is CHECKS["DMX-01"](b.eviction().evidence()).outcome is Outcome.PASS
    assert CHECKS["DMX-07"](evidence).outcome is Outcome.FAIL


def test_noise_from_nobodys_address_is_counted() -> None:
    world = b.clean()
    o = world.find("mark", "c1")[3].outside
    world.lone.append(replace(o, src="203.0.113.9", esp={"spi": "deadbeef", "sequence": 1}, inner=None, payload_digest="scan"))
    through = strange_esp(world, "up")  # from a host beside the clients, through the NAT
    through.inside = replace(through.inside, src="10.0.0.99")
    through.outside = replace(through.outside, sport=55_555)
    assert CHECKS["DMX-33"](world.evidence()).outcome is Outcome.PASS
    verdict = CHECKS["DMX-07"](world.evidence())
    told: Any = verdict.facts["foreign"]
    assert verdict.outcome is Outcome.PASS
    assert (told[FROM_NOBODY]["count"], told[FROM_NOBODY]["spis"]) == (3, ["deadbeef"])
    assert FROM_GATEWAY not in told


def test_what_a_client_itself_sends_on_an_unknown_spi_stays_a_doubt() -> None:
    for lone_outside in (False, True):
        world = b.clean()
        packet = strange_esp(world, "up")
        if lone_outside:
            packet.inside = None
        assert any("which no client agreed" in d for d in doubts(Reading(world.evidence()), TRAFFIC))


def test_what_a_quick_mode_or_a_client_named_must_open() -> None:
    world = b.clean()
    world.record(b.T0 + 4, "c1", RecordKind.ESP_UP, spi_in="deadbeef", spi_out="d0000009")
    strange_esp(world, "down")
    reading = Reading(world.evidence())
    assert {"deadbeef", "d0000009", "c0000001", "d0000001"} <= agreed_spis(reading)
    assert foreign(reading)[FROM_GATEWAY] == ()
    assert any("could not be decrypted though its key is known" in d for d in doubts(reading, TRAFFIC))
    proposed = b.clean()
    proposed.records = [r for r in proposed.records if r.kind is not RecordKind.ESP_UP]
    assert {"c0000001", "d0000001"} <= agreed_spis(Reading(proposed.evidence()))


def test_a_clean_run_tells_of_none() -> None:
    assert "foreign" not in CHECKS["DMX-07"](b.clean().evidence()).facts
