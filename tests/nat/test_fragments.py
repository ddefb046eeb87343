"""Fragments through the NAT, in order and out of it, within bounds; and the links that make them, and other trouble."""

import random
from itertools import pairwise

import pytest
from nat_packets import CLIENT, GATEWAY, NAT, SECOND, esp, seen, sum_of, udp, udp_part

from harness.nat import fragments as kept
from harness.nat.draws import Draws
from harness.nat.link import Impairments, Link, fragment
from harness.nat.state import Dropped

BIG = bytes(range(256)) * 20


def whole(pieces):
    """The payload put together from packets taken apart, and the one set of addresses that all bear."""
    ((ends),) = {(piece.src, piece.dst, piece.ident) for piece in pieces}
    together = bytearray(max((piece.flags & 0x1FFF) * 8 + len(piece.payload) for piece in pieces))
    for piece in pieces:
        at = (piece.flags & 0x1FFF) * 8
        together[at : at + len(piece.payload)] = piece.payload
    return ends, bytes(together)


@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize("order", ["first to last", "last to first", "any"])
def test_fragments_both_ways(bench, order, summed):
    nat = bench("preserving")

    def arranged(packet):
        pieces = fragment(packet, 576)
        assert len(pieces) > 8
        if order == "last to first":
            pieces.reverse()
        elif order == "any":
            random.Random(7).shuffle(pieces)
        return pieces

    out = [one for piece in arranged(udp(CLIENT, 4500, GATEWAY, 4500, BIG, summed=summed)) for _, one in nat.send("inside", piece)]
    assert whole(out) == ((NAT, GATEWAY, 7), udp_part(NAT, GATEWAY, 4500, 4500, BIG, summed=summed))
    back = [one for piece in arranged(udp(GATEWAY, 4500, NAT, 4500, BIG, summed=summed)) for _, one in nat.send("outside", piece)]
    assert whole(back) == ((GATEWAY, CLIENT, 7), udp_part(GATEWAY, CLIENT, 4500, 4500, BIG, summed=summed))
    assert {one.ttl for one in out + back} == {63}
    assert len(nat.core.mappings()) == 1


def test_two_clients_fragments_of_equal_identification_are_kept_apart(bench):
    nat = bench("pat")
    pieces = [fragment(udp(who, 4500, GATEWAY, 4500, BIG), 1500) for who in (CLIENT, SECOND)]
    out = [[], []]
    for pair in zip(*pieces, strict=True):
        for which, piece in enumerate(pair):
            out[which] += [one for _, one in nat.send("inside", piece)]
    for which, who in enumerate((CLIENT, SECOND)):
        ((_, port),) = [(r.inside_address, r.outside_port) for r in nat.core.mappings() if r.inside_address == who]
        assert whole(out[which])[1] == udp_part(NAT, GATEWAY, port, 4500, BIG)


def test_esp_in_fragments(bench):
    nat = bench("pat")
    out = [one for piece in fragment(esp(CLIENT, GATEWAY, 9, BIG), 1500) for _, one in nat.send("inside", piece)]
    assert whole(out) == ((NAT, GATEWAY, 7), b"\0\0\0\x09" + BIG)


def test_fragments_without_a_first_wait_and_then_are_forgotten(bench):
    nat = bench("pat")
    first, *rest = fragment(udp(CLIENT, 4500, GATEWAY, 4500, BIG), 1500)
    assert [nat.send("inside", piece) for piece in rest] == [[]] * len(rest)
    nat.now = kept.LIFETIME_S + 1
    assert len(nat.send("inside", first)) == 1  # too late for them


def test_what_waits_is_bounded(bench, monkeypatch):
    nat = bench("pat")
    memory = nat.core.parts.fragments_up
    monkeypatch.setattr(kept, "WAITING_BYTES", 10_000)
    monkeypatch.setattr(kept, "DATAGRAMS", 5)
    for ident in range(100):
        nat.send("inside", fragment(udp(CLIENT, 4500, GATEWAY, 4500, BIG, ident=ident), 1500)[1])
        assert len(memory._known) <= 5
        assert memory._waiting == sum(len(piece) for one in memory._known.values() for piece in one.waiting) <= 10_000
    monkeypatch.setattr(kept, "WAITING_BYTES", 3000)
    for piece in fragment(udp(CLIENT, 4500, GATEWAY, 4500, BIG, ident=500), 1500)[1:] * 3:
        nat.send("inside", piece)
    assert nat.core.dropped["fragment"] > 0


def test_fragments_of_a_forgotten_mapping_stop(bench):
    nat = bench("pat")
    first, second, *_ = fragment(udp(CLIENT, 4500, GATEWAY, 4500, BIG), 1500)
    nat.send("inside", first)
    nat.core.forget(CLIENT)
    assert nat.send("inside", second) == []
    assert nat.core.dropped == {"fragment": 1}


# --- links ---


@pytest.mark.parametrize("mtu", [68, 576, 577, 1492, 1500, 6000])
@pytest.mark.parametrize("options", [b"", b"\x94\x04\0\0"])
def test_cutting_up(mtu, options):
    packet = udp(CLIENT, 500, GATEWAY, 500, BIG, options=options)
    pieces = fragment(packet, mtu)
    assert all(len(piece) <= mtu for piece in pieces)
    assert whole([seen(piece) for piece in pieces])[1] == packet[20 + len(options) :]
    again = [part for piece in pieces for part in fragment(piece, 100)]  # a fragment can be cut again
    assert whole([seen(piece) for piece in again])[1] == packet[20 + len(options) :]
    assert [seen(piece).flags & 0x2000 != 0 for piece in again] == [True] * (len(again) - 1) + [False] or len(again) == 1


def test_what_forbids_to_be_cut_is_lost_unless_that_is_ignored():
    packet = udp(CLIENT, 500, GATEWAY, 500, BIG, flags=0x4000)
    with pytest.raises(Dropped, match="too big"):
        fragment(packet, 576)
    assert not seen(fragment(packet, 576, ignore_df=True)[0]).flags & 0x4000


def sent(impairments, count=4000, key=b"key"):
    """(when, number) of what arrives of `count` packets sent one a second; and how many are lost."""
    link = Link(impairments, Draws(key))
    arrived, lost = [], 0
    for number in range(count):
        try:
            carried = link.carry(float(number), udp(CLIENT, 1, GATEWAY, 2, ident=number))
            arrived += [(at, seen(out, sums=False).ident, out) for at, out in carried]
        except Dropped:
            lost += 1
    return arrived, lost


def test_loss_and_duplication_come_as_often_as_they_should():
    arrived, lost = sent(Impairments(loss=0.1, duplicate=0.05))
    assert 320 < lost < 480
    assert 150 < len(arrived) - (4000 - lost) < 230
    assert sent(Impairments(loss=1.0))[0] == []
    assert len(sent(Impairments(duplicate=1.0))[0]) == 8000


def test_delay_and_jitter_keep_the_order_reordering_does_not():
    arrived, _ = sent(Impairments(delay_s=0.5, jitter_s=3.0))
    assert all(ident + 0.5 <= at < ident + 0.5 + 3.0 + 3.0 for at, ident, _ in arrived)
    assert [ident for _, ident, _ in sorted(arrived, key=lambda one: one[0])] == list(range(4000))
    assert len({at - ident for at, ident, _ in arrived}) > 2000
    arrived, _ = sent(Impairments(delay_s=0.5, reorder=0.1, reorder_s=1.5))
    order = [ident for _, ident, _ in sorted(arrived)]
    overtaken = sum(later < earlier for earlier, later in pairwise(order))
    assert 300 < overtaken < 500


def test_corruption_turns_one_bit_behind_the_header():
    arrived, _ = sent(Impairments(corrupt=0.25))
    damaged = 0
    for _, ident, out in arrived:
        sound = udp(CLIENT, 1, GATEWAY, 2, ident=ident)
        assert sum_of(out[:20]) == 0
        bits = (int.from_bytes(out) ^ int.from_bytes(sound)).bit_count()
        assert bits <= 1
        damaged += bits
    assert 900 < damaged < 1100


def test_delayed_packets_leave_at_their_deadline(bench):
    nat = bench("slow")
    assert nat.send("inside", udp(CLIENT, 500, GATEWAY, 500)) == []
    due = nat.core.deadline
    assert 0.08 <= due <= 0.16
    nat.core.tick(due - 0.001)
    assert nat.core.take_packets() == []
    nat.core.tick(due)
    ((side, packet),) = nat.core.take_packets()
    assert (side, seen(packet).src) == ("outside", NAT)
    nat.send("inside", udp(CLIENT, 500, GATEWAY, 500))
    nat.core.reboot(due)
    nat.core.tick(due + 10)
    assert nat.core.take_packets() == []


def test_a_narrow_line_cuts_up_what_the_nat_sends(bench):
    nat = bench("narrow")
    out = nat.send("inside", udp(CLIENT, 4500, GATEWAY, 4500, BIG[:1400], flags=0x4000))
    assert len(out) == 3
    assert whole([one for _, one in out])[0] == (NAT, GATEWAY, 7)


def test_what_the_link_loses_is_counted_as_such(bench):
    nat = bench("lossy")
    for _ in range(2000):
        nat.send("inside", udp(CLIENT, 500, GATEWAY, 500))
    assert 10 < nat.core.dropped["link: lost"] < 80
