"""Marks: their bytes, what damage does to them, and what a client makes of those it hears."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import marks
from harness.clients.flow import PATIENCE_S, Flow, spread
from harness.model import RecordKind
from harness.wire import ip
from harness.wire.reassembly import HOLD_S, MOST, Reassembly

NONCE, OTHER = bytes(range(8)), bytes(8)
ME, GATEWAY, NEIGHBOUR = "172.16.1.10", "172.16.1.1", "172.16.1.11"


def reply_to(request: bytes) -> bytes:
    echo = marks.read_echo(request)
    assert echo is not None
    return marks.answer(echo, 7)


def flowing(rate: float = 1.0, sizes: tuple[int, ...] | None = (64,), at: float = 0.0, mtu: int = 1280) -> Flow:
    """A flow whose far end has answered the first plain echo already."""
    flow = Flow(NONCE, 3)
    flow.mtu = mtu
    flow.start(at, rate, sizes)
    probe = flow.next(at, ME, GATEWAY).packet
    assert flow.hear(at, reply_to(probe), ME).entries == ((RecordKind.PINGED, {"tries": 1}),)
    return flow


def fragments(packet: bytes, size: int, ident: int = 9) -> list[bytes]:
    """The packet cut up as RFC 791 says, `size` bytes of payload each (a multiple of eight)."""
    body = packet[20:]
    parts = []
    for at in range(0, len(body), size):
        more = 0x2000 if at + size < len(body) else 0
        part = body[at : at + size]
        bare = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), ident, more | at // 8, 64, 1, 0, packet[12:16], packet[16:20])
        parts.append(bare[:10] + ip.checksum(bare).to_bytes(2) + bare[12:] + part)
    return parts


@pytest.mark.parametrize("size", [64, 65, 1280, 1400, 65535])
def test_the_bytes_of_a_mark_are_those_of_its_description(size: int) -> None:
    packet = marks.mark_request(NONCE, 3, 0x10002, size, ME, GATEWAY)
    assert len(packet) == size
    assert packet[20:22] == b"\x08\x00"
    assert packet[24:28] == struct.pack("!HH", 3, 2)  # identifier: the owner; sequence number: the low half
    assert packet[28:51] == b"NSTM\x01" + NONCE + struct.pack("!IIH", 3, 0x10002, size)
    first = hashlib.sha256(NONCE + struct.pack("!III", 3, 0x10002, 0)).digest()
    assert packet[51:83] == first[: size - 51]
    if size > 115:
        assert packet[83:115] == hashlib.sha256(NONCE + struct.pack("!III", 3, 0x10002, 1)).digest()
    assert ip.checksum(packet[:20]) == 0
    assert ip.checksum(packet[20:]) == 0


@pytest.mark.parametrize("size", [0, 63, 65536])
def test_sizes_that_are_no_marks(size: int) -> None:
    with pytest.raises(ValueError, match=f"a mark of {size} bytes"):
        marks.payload(NONCE, 1, 1, size)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_trouble_the_reader(data: bytes) -> None:
    marks.read_echo(data)
    marks.read_mark(data, len(data))


@given(position=st.integers(28, 199), change=st.integers(1, 255))
def test_any_changed_byte_of_a_mark_shows(position: int, change: int) -> None:
    packet = bytearray(marks.mark_request(NONCE, 3, 9, 200, ME, GATEWAY))
    packet[position] ^= change
    echo = marks.read_echo(bytes(packet))
    assert echo is None or (echo.mark is not None and echo.mark.problem)


def test_a_change_that_the_checksum_was_mended_for_shows_in_the_pattern() -> None:
    body = bytearray(marks.payload(NONCE, 3, 9, 200))
    body[-1] ^= 1
    echo = marks.read_echo(marks.echo(ME, GATEWAY, ip.Echo(True, 3, 9, bytes(body)), 1))
    assert echo is not None
    assert echo.mark is not None
    assert echo.mark.problem == "the pattern is not what was sent"


def test_an_answer_to_a_mark_of_its_own_is_recorded_once() -> None:
    flow = flowing(rate=4.0, sizes=(64, 300), at=10.0)
    first = flow.next(10.0, ME, GATEWAY)
    assert (first.sequence, first.size, flow.due) == (1, 64, 10.25)
    answer = reply_to(first.packet)
    assert flow.hear(10.125, answer, ME).entries == ((RecordKind.MARK_ANSWERED, {"sequence": 1, "size": 64, "took": 0.125}),)
    assert flow.hear(10.2, answer, ME).entries == ((RecordKind.MARK_DUPLICATE, {"sequence": 1}),)
    second = flow.next(10.25, ME, GATEWAY)
    assert (second.sequence, second.size, len(second.packet)) == (2, 300, 300)
    assert flow.unanswered == 1


def test_plain_echoes_go_first_until_one_is_answered_or_patience_is_over() -> None:
    flow = Flow(NONCE, 3)
    flow.start(0.0, 5.0, (64,))
    probes = []
    while flow.due is not None and flow.due < PATIENCE_S:
        probes.append(flow.next(flow.due, ME, GATEWAY))
    assert {probe.sequence for probe in probes} == {0}
    assert len(probes) >= 20
    assert flow.next(PATIENCE_S, ME, GATEWAY).sequence == 1
    assert flow.hear(PATIENCE_S, reply_to(probes[3].packet), ME).entries[0][0] is RecordKind.PINGED
    assert flow.hear(PATIENCE_S, reply_to(probes[4].packet), ME).entries == ()
    flow.stop()
    flow.start(9.0, 5.0, (64,))
    assert flow.next(9.0, ME, GATEWAY).sequence == 2  # the far end is known by now
    flow.renew()
    flow.start(9.0, 5.0, (64,))
    assert flow.next(9.0, ME, GATEWAY).sequence == 0  # that of a new connection is not


def test_marks_of_others_are_strange() -> None:
    flow = Flow(NONCE, 3)
    flow.start(0.0, 1.0, None)
    foreign = reply_to(marks.mark_request(NONCE, 4, 17, 64, ME, GATEWAY))
    assert flow.hear(1.0, foreign, ME).entries == (
        (RecordKind.MARK_STRANGE, {"owner": 4, "sequence": 17, "via": "its own session"}),
    )
    elsewhere = reply_to(marks.mark_request(NONCE, 4, 18, 64, NEIGHBOUR, GATEWAY))
    assert flow.hear(1.0, elsewhere, ME).entries[0][1]["via"] == "sent to 172.16.1.11"
    assert flow.hear(1.0, foreign, ME, via="tunnel 5 session 6").entries[0][1]["via"] == "tunnel 5 session 6"
    older = reply_to(marks.mark_request(OTHER, 3, 1, 64, ME, GATEWAY))
    assert flow.hear(1.0, older, ME).entries[0][1]["detail"] == "of another run"
    unsent = reply_to(marks.mark_request(NONCE, 3, 99, 64, ME, GATEWAY))
    assert flow.hear(1.0, unsent, ME).entries[0][1]["via"] == "never sent"


def test_a_strange_question_is_recorded_but_never_answered() -> None:
    flow = Flow(NONCE, 3)
    question = marks.mark_request(NONCE, 4, 1, 64, GATEWAY, NEIGHBOUR)
    for heard in (flow.hear(1.0, question, ME), flow.hear(1.0, question, NEIGHBOUR, via="tunnel 1 session 2")):
        assert [kind for kind, _ in heard.entries] == [RecordKind.MARK_STRANGE]
        assert heard.reply is None


def test_a_question_from_the_far_end_is_answered_as_a_real_host_would() -> None:
    flow = Flow(NONCE, 3)
    heard = flow.hear(1.0, marks.mark_request(NONCE, 3, 5, 128, GATEWAY, ME), ME)
    assert heard.entries == ((RecordKind.MARK_RECEIVED, {"sequence": 5, "size": 128}),)
    assert heard.reply is not None
    echo = marks.read_echo(heard.reply)
    assert echo is not None
    assert (echo.request, echo.source, echo.destination, echo.identifier, echo.number) == (False, ME, GATEWAY, 3, 5)
    assert echo.mark is not None
    assert echo.mark.problem == ""
    plain = marks.echo(GATEWAY, ME, ip.Echo(True, 1, 2, b"abcdefgh"), 1)
    heard = flow.hear(1.0, plain, ME)
    assert heard.entries == ()
    assert heard.reply is not None
    assert heard.reply.endswith(b"abcdefgh")


def test_a_damaged_answer_is_recorded_as_damaged() -> None:
    flow = flowing()
    answer = bytearray(reply_to(flow.next(0.0, ME, GATEWAY).packet))
    answer[-1] ^= 0xFF
    ((kind, data),) = flow.hear(1.0, bytes(answer), ME).entries
    assert kind is RecordKind.MARK_DAMAGED
    assert (data["owner"], data["sequence"]) == (3, 1)


def test_lateness_is_not_made_up_for_in_a_burst() -> None:
    flow = flowing(rate=10.0)
    flow.next(5.0, ME, GATEWAY)
    assert flow.due == 5.0
    flow.next(5.0, ME, GATEWAY)
    assert flow.due == 5.1


def test_sizes_are_spread_up_to_the_mtu_and_never_beyond() -> None:
    assert spread(1280) == (64, 128, 256, 512, 1024, 1280)
    assert spread(64) == (64,)
    flow = flowing(sizes=(1400, 64), mtu=700)
    assert [flow.next(0.0, ME, GATEWAY).size for _ in range(2)] == [700, 64]
    for rate, sizes in ((0, None), (-1.0, None), (1.0, ()), (1.0, (63,)), (1.0, (65536,))):
        with pytest.raises(ValueError, match="possible"):
            flow.start(0.0, rate, sizes)


def test_an_answer_in_fragments_is_one_answer() -> None:
    flow = flowing(sizes=(1400,), mtu=1400)
    first, last = fragments(reply_to(flow.next(0.0, ME, GATEWAY).packet), 1256)
    assert flow.hear(0.1, last, ME).entries == ()
    assert [kind for kind, _ in flow.hear(0.2, first, ME).entries] == [RecordKind.MARK_ANSWERED]


@given(st.randoms(use_true_random=False), st.integers(1, 40).map(lambda n: n * 8))
def test_fragments_join_in_any_order(random, size: int) -> None:  # type: ignore[no-untyped-def]
    packet = marks.mark_request(NONCE, 3, 1, 400, ME, GATEWAY)
    parts = fragments(packet, size)
    random.shuffle(parts)
    box = Reassembly()
    whole = [box.add(0.0, part) for part in parts]
    assert whole[:-1] == [None] * (len(parts) - 1)
    assert whole[-1] is not None
    assert whole[-1][20:] == packet[20:]
    assert marks.read_echo(whole[-1]) is not None
    assert len(box) == 0


def test_fragments_that_never_complete_are_forgotten() -> None:
    packet = marks.mark_request(NONCE, 3, 1, 400, ME, GATEWAY)
    box = Reassembly()
    for ident in range(MOST + 5):
        assert box.add(0.0, fragments(packet, 200, ident)[0]) is None
    assert len(box) == MOST
    first, last = fragments(packet, 200, MOST)
    assert box.add(HOLD_S + 1, last) is None  # its first part is too old by now
    assert box.add(HOLD_S + 1, first) is not None


@given(st.lists(st.binary(min_size=0, max_size=60), max_size=20))
def test_no_bytes_at_all_trouble_reassembly(packets: list[bytes]) -> None:
    box = Reassembly()
    for packet in packets:
        box.add(0.0, b"\x45" + packet)
