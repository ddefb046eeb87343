from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from harness.model import FrameKind, Observation, Pair, Side
from harness.probes.dissect import Addresses, Dissector
from harness.probes.pairing import DOWN, UP, Pairing, pair

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"


def paired(dissector: Dissector, world: Any, folder: Path) -> tuple[Pairing, Any]:
    files = world.write(folder)
    captures = {Side.INSIDE: files.inside, Side.OUTSIDE: files.outside}
    seen = dissector.dissect(captures, keys=files.keys, addresses=Addresses(GATEWAY, NAT))
    return pair(seen[Side.INSIDE], seen[Side.OUTSIDE], GATEWAY), seen


def test_every_packet_of_two_clients_finds_itself(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    one, two = craft.Client(world, 1), craft.Client(world, 2)
    one.main_mode(again=True)
    two.main_mode()
    for client in (one, two):
        client.quick_mode()
    for _ in range(3):
        two.keepalive()
        one.keepalive()
    result, seen = paired(dissector, world, tmp_path)
    assert result.unpaired == ()
    assert len(result.pairs) == len(seen[Side.INSIDE]) == len(seen[Side.OUTSIDE])
    outside = {o.frame: o for o in seen[Side.OUTSIDE]}
    ports = {one.address: (one.ike_port, one.natt_port), two.address: (two.ike_port, two.natt_port)}
    for both in result.pairs:
        inside, out = seen[Side.INSIDE][both.inside - 1], outside[both.outside]
        client = inside.src if both.direction == UP else inside.dst
        assert (out.sport if both.direction == UP else out.dport) in ports[client]
        assert inside.payload_digest == out.payload_digest
    assert {(m.inside, m.outside, m.service) for m in result.mappings} == {
        ((address, port), (NAT, ports[address][i]), port) for address in ports for i, port in enumerate((500, 4500))
    }


def test_a_lost_packet_is_unpaired_and_shifts_nobody(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    one, two = craft.Client(world, 1), craft.Client(world, 2)
    for client in (one, two):
        client.main_mode()
    for lost in (False, True, False):
        world.now += 20_000_000_000
        one.keepalive(pass_on=not lost)
        two.keepalive()
    result, seen = paired(dissector, world, tmp_path)
    ((side, frame),) = result.unpaired
    missing = seen[side][frame - 1]
    assert (side, missing.kind, missing.src) == (Side.INSIDE, FrameKind.KEEPALIVE, one.address)
    keepalives = [p for p in result.pairs if seen[Side.INSIDE][p.inside - 1].kind is FrameKind.KEEPALIVE]
    assert len(keepalives) == 5
    for both in keepalives:
        inside, outside = seen[Side.INSIDE][both.inside - 1], seen[Side.OUTSIDE][both.outside - 1]
        assert outside.t - inside.t < 0.1
        assert outside.sport == (one if inside.src == one.address else two).natt_port


def test_a_reply_that_the_nat_drops_is_unpaired_outside(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    client = craft.Client(world, 1)
    client.main_mode()
    client.quick_mode()
    client.tell(False, craft.control(6, client.tunnels[0], 0, 0, 0), pass_on=False)
    result, seen = paired(dissector, world, tmp_path)
    assert result.unpaired == ((Side.OUTSIDE, len(seen[Side.OUTSIDE])),)
    assert [p.direction for p in result.pairs][:2] == [UP, DOWN]


def test_a_new_mapping_is_learnt_and_keepalives_follow_it(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    one, two = craft.Client(world, 1), craft.Client(world, 2)
    for client in (one, two):
        client.main_mode()
        client.keepalive()
    world.now += 60_000_000_000
    one.natt_port = 5000
    one.quick_mode()
    for client in (two, one):
        client.keepalive()
    result, seen = paired(dissector, world, tmp_path)
    assert result.unpaired == ()
    assert [m.outside for m in result.mappings if m.inside == (one.address, 4500)] == [(NAT, 2049), (NAT, 5000)]
    last = max(result.pairs, key=lambda p: p.inside)
    assert seen[Side.OUTSIDE][last.outside - 1].sport == 5000


def test_what_does_not_concern_the_gateway_is_set_apart() -> None:
    def frame(side: Side, number: int, src: str, dst: str) -> Observation:
        return Observation(side, number, 0.0, src, dst, None, None, 64, FrameKind.ICMP, 60, "d")

    inside = [frame(Side.INSIDE, 1, "192.0.2.2", "10.0.0.2"), frame(Side.INSIDE, 2, "10.0.0.2", GATEWAY)]
    result = pair(inside, [], GATEWAY)
    assert result.other == ((Side.INSIDE, 1),)
    assert result.unpaired == ((Side.INSIDE, 2),)
    assert result.pairs == ()


def test_random_loss_never_pairs_a_stranger() -> None:
    """1,000 alike keepalives of 20 clients, a fifth lost: each found pair is the right one, and nearly all are found."""
    rng = random.Random(7)
    inside: list[Observation] = []
    outside: list[Observation] = []
    right: set[tuple[int, int]] = set()

    def send(client: int, t: float, digest: str, lost: bool) -> None:
        src = f"10.0.0.{client + 2}"
        number = len(inside) + 1
        kind = FrameKind.KEEPALIVE if digest == "k" else FrameKind.ESP
        inside.append(Observation(Side.INSIDE, number, t, src, GATEWAY, 4500, 4500, 64, kind, 43, digest))
        if not lost:
            after = len(outside) + 1
            outside.append(Observation(Side.OUTSIDE, after, t + 1e-4, NAT, GATEWAY, 1024 + client, 4500, 63, kind, 43, digest))
            right.add((number, len(outside)))

    for client in range(20):
        send(client, client / 10, f"esp {client}", False)
    for turn in range(50):
        for client in rng.sample(range(20), 20):
            send(client, 10 + turn * 20 + client / 10, "k", rng.random() < 0.2)
    result = pair(inside, outside, GATEWAY)
    assert {(p.inside, p.outside) for p in result.pairs} == right
    assert {side for side, _ in result.unpaired} == {Side.INSIDE}
    assert result.pairs[0] == Pair(1, 1, UP)


def test_a_lost_retransmission_is_told_apart_by_its_identification() -> None:
    """The same message went in twice within what a NAT may take, and came out once: which of the two it was its IP header says,
    where what else came through shows that the NAT leaves that as it is."""

    def sent(side: Side, number: int, t: float, ip_id: int | None, digest: str = "mm3") -> Observation:
        headers = {} if ip_id is None else {"ip_id": ip_id}
        src, port = ("10.0.0.2", 500) if side is Side.INSIDE else (NAT, 1024)
        return Observation(side, number, t, src, GATEWAY, port, 500, 64, FrameKind.IKE, 200, digest, headers=headers)

    def pairs(*outside: Observation, kept: bool = True) -> tuple[Pair, ...]:
        inside = [sent(Side.INSIDE, 1, 9.0, 3, "mm1"), sent(Side.INSIDE, 2, 10.0, 4), sent(Side.INSIDE, 3, 10.5, 5)]
        first = sent(Side.OUTSIDE, 1, 9.001, 3 if kept else 9, "mm1")
        return pair(inside, [first, *outside], GATEWAY).pairs[1:]

    assert pairs(sent(Side.OUTSIDE, 2, 10.501, 5)) == (Pair(3, 2, UP),)
    assert pairs(sent(Side.OUTSIDE, 2, 10.001, 4)) == (Pair(2, 2, UP),)
    assert pairs(sent(Side.OUTSIDE, 2, 10.501, 5), kept=False) == (Pair(2, 2, UP),)  # it says nothing: by time
    assert pairs(sent(Side.OUTSIDE, 2, 10.501, None)) == (Pair(2, 2, UP),)
    copies = [sent(Side.OUTSIDE, 2, 10.001, 4), sent(Side.OUTSIDE, 3, 10.002, 4), sent(Side.OUTSIDE, 4, 10.501, 5)]
    assert pairs(*copies) == (Pair(2, 2, UP), Pair(3, 4, UP))
    assert pairs(sent(Side.OUTSIDE, 2, 10.2, 5)) == (Pair(2, 2, UP),), "nothing comes out before it went in"


def test_a_retransmission_that_goes_astray_is_told_apart_by_its_identification() -> None:
    """The gateway's message comes twice; the NAT hands one of the two to another client, whose flow it is not."""

    def down(side: Side, number: int, t: float, ip_id: int, digest: str, client: int = 2) -> Observation:
        dst, port = (f"10.0.0.{client}", 4500) if side is Side.INSIDE else (NAT, 1022 + client)
        return Observation(side, number, t, GATEWAY, dst, 4500, port, 64, FrameKind.IKE, 200, digest, headers={"ip_id": ip_id})

    def pairs(astray_id: int) -> tuple[Pair, ...]:
        sent = ((9.0, "mm6"), (10.0, "qm2"), (10.5, "qm2"))
        outside = [down(Side.OUTSIDE, number, t, number, digest) for number, (t, digest) in enumerate(sent, 1)]
        inside = [down(Side.INSIDE, 1, 9.001, 1, "mm6"), down(Side.INSIDE, 2, 10.001, astray_id, "qm2", client=3)]
        return pair([*inside, down(Side.INSIDE, 3, 10.501, 3, "qm2")], outside, GATEWAY).pairs

    assert pairs(2) == (Pair(1, 1, DOWN), Pair(2, 2, DOWN), Pair(3, 3, DOWN))
    assert Pair(2, 2, DOWN) not in pairs(9), "nothing says which it is"
