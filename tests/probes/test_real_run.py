"""The probes on captures of a real gateway (strongSwan, xl2tpd, a kernel's ESP), with tshark as the second opinion."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.model import FrameKind, Observation, Side
from harness.probes.dissect import Addresses, Dissector
from harness.probes.identity import identities
from harness.probes.keyring import read_keys
from harness.probes.pairing import pair
from harness.probes.sentinel import watch
from harness.probes.tshark import judge, phase1_retransmissions

ROOT = Path(__file__).parents[2]
GATEWAY, NAT = "203.0.113.231", "203.0.113.232"
CLIENTS = {"c1": "10.0.0.2", "c2": "10.0.0.3"}
pytestmark = pytest.mark.lab

Seen = dict[Side, tuple[Observation, ...]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    gateway = [sys.executable, str(ROOT / "tests/lab/bench_gateway.py"), "plain-user"]
    command = [*gateway, sys.executable, str(ROOT / "tests/probes/capture_a_run.py"), str(folder)]
    command += ["--clients", "2", "--hold", "3", "--action", "rekey_ipsec"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def seen(folder: Path, dissector: Dissector) -> Seen:
    captures = {side: folder / f"{side.value}.pcap" for side in (Side.INSIDE, Side.OUTSIDE)}
    return dissector.dissect(captures, keys=folder / "keys.jsonl", addresses=Addresses(GATEWAY, NAT, CLIENTS))


def test_the_captures_are_whole(folder: Path, seen: Seen) -> None:
    facts: list[dict[str, Any]] = json.loads((folder / "facts.json").read_text())
    assert [(f["dropped"], f["complete"]) for f in facts] == [(0, True)] * 2
    assert [f["frames"] for f in facts] == [len(seen[Side.INSIDE]), len(seen[Side.OUTSIDE])]


def test_every_frame_is_read_to_its_end(seen: Seen) -> None:
    for side in seen:
        assert [(o.frame, o.problem) for o in seen[side] if o.problem] == []
        assert all(o.inner is not None for o in seen[side] if o.kind is FrameKind.ESP)
        assert all(o.ike["decrypted"] for o in seen[side] if o.ike and o.ike["encrypted"])
        assert all(o.headers["ip_checksum_ok"] and o.headers["udp_checksum_ok"] is not False for o in seen[side])


def test_tshark_says_the_same(folder: Path, seen: Seen) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    keys = read_keys(folder / "keys.jsonl")
    for side in seen:
        judgement = judge(folder / f"{side.value}.pcap", keys, phase1_retransmissions(seen[side]))
        assert judgement.remarks == ()
        assert judgement.frames == len(seen[side])


def test_every_packet_is_found_on_both_sides_and_none_is_clear(seen: Seen) -> None:
    pairing = pair(seen[Side.INSIDE], seen[Side.OUTSIDE], GATEWAY)
    assert pairing.unpaired == pairing.other == ()
    assert len(pairing.pairs) == len(seen[Side.INSIDE])
    assert watch(seen) == ()


def test_inner_checksums_are_made_for_the_inside_address(seen: Seen) -> None:
    for o in seen[Side.OUTSIDE]:
        if o.inner and o.dst == GATEWAY:
            assert [src in CLIENTS.values() for src, _ in o.inner.checksum_fits] == [True]


def test_both_clients_have_an_identity_of_their_own(seen: Seen) -> None:
    one, two = identities(seen, pair(seen[Side.INSIDE], seen[Side.OUTSIDE], GATEWAY).pairs, CLIENTS, GATEWAY)
    assert (one.user, two.user) == ("user1", "user2")
    assert (one.outside, two.outside) == (NAT, NAT)
    assert one.outside_ike_port != two.outside_ike_port
    assert one.outside_natt_port != two.outside_natt_port
    assert len(set(one.spis_in + two.spis_in)) == 4  # two each: one before the rekey, one after
    assert None not in (one.tunnel_client, one.tunnel_gateway, one.session_client, one.session_gateway, one.ppp_address)


def test_the_second_client_receives_what_is_the_first_ones(seen: Seen) -> None:
    """The plain gateway in user space: marks of client 1 cross the wire in the ESP of client 2. This is what the probes are for."""
    strayed = [o for o in seen[Side.INSIDE] if o.dst == CLIENTS["c2"] and o.inner and o.inner.mark and o.inner.mark.owner == 1]
    assert len(strayed) > 5
