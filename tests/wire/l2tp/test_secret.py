"""Tunnel authentication and hidden AVPs. RFC 2661 has no example of either: §4.3 and §5.1.1 are worked out here by hand."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire import events
from harness.wire.config import L2tpConfig
from harness.wire.l2tp import L2tpCore, avp, header, secret
from harness.wire.l2tp.avp import HIDEABLE, Result, UnknownMandatory, Veil, decode, encode, encode_all
from harness.wire.l2tp.message import Type, build, parse
from harness.wire.retransmit import Schedule

SECRET = b"tunnel secret"
VECTOR = bytes(range(100, 116))
PATIENT = Schedule((1.0,) * 60)


def hidden_by_hand(attribute: int, value: bytes, padding: int) -> bytes:
    """§4.3 in integers: p(i) xor b(i), b1 = MD5(AV + S + RV), b(i) = MD5(S + c(i-1))."""
    subformat = len(value).to_bytes(2, "big") + value + bytes(padding)
    blocks, previous = [], hashlib.md5(attribute.to_bytes(2, "big") + SECRET + VECTOR).hexdigest()
    while subformat:
        clear, subformat = subformat[:16], subformat[16:]
        size = len(clear)
        cipher = int.from_bytes(clear, "big") ^ int(previous[: 2 * size], 16)
        blocks.append(cipher.to_bytes(size, "big"))
        previous = hashlib.md5(SECRET + blocks[-1]).hexdigest()
    return b"".join(blocks)


@pytest.mark.parametrize("value", [b"", b"secret", b"x" * 14, b"y" * 15, b"z" * 100])
def test_hiding_is_what_the_rfc_describes(value: bytes) -> None:
    padding = -(len(value) + 2) % 16
    assert secret.hide(SECRET, 11, VECTOR, value) == hidden_by_hand(11, value, padding)


@given(st.binary(max_size=200), st.integers(0, 40), st.sampled_from([7, 11, 33]))
def test_any_padding_is_taken(value: bytes, padding: int, attribute: int) -> None:
    """§4.3: the length of the padding is free, blocks need not be full."""
    assert secret.reveal(SECRET, attribute, VECTOR, hidden_by_hand(attribute, value, padding)) == value


def test_the_response_is_over_the_type_of_its_own_message() -> None:
    """§4.4.3 (Challenge Response): CHAP's MD5 with the message type as identifier."""
    challenge = b"who are you"
    assert secret.response(SECRET, 2, challenge) == hashlib.md5(b"\x02tunnel secretwho are you").digest()
    assert secret.response(SECRET, 3, challenge) == hashlib.md5(b"\x03tunnel secretwho are you").digest()


def test_what_may_be_hidden() -> None:
    """§4.4: each AVP says so itself."""
    never = {
        "message-type", "result-code", "protocol-version", "tie-breaker", "host-name", "receive-window-size", "q931-cause-code",
        "random-vector", "sequencing-required", "correlation-id",
    }  # fmt: skip
    assert {row.name for row in avp.AVPS} - HIDEABLE == never
    for name in never - {"correlation-id"}:
        with pytest.raises(ProtocolError):
            encode(name, b"", Veil(frozenset({name}), SECRET, VECTOR))


def test_hidden_avps_are_read_under_the_vector_before_them() -> None:
    other = bytes(16)
    body = encode_all({"assigned-tunnel-id": 77, "host-name": "lac"}, Veil(frozenset({"assigned-tunnel-id"}), SECRET, VECTOR))
    body += encode_all({"vendor-name": "ours"}, Veil(frozenset({"vendor-name"}), SECRET, other))
    values = decode(body, SECRET)
    assert (values["assigned-tunnel-id"], values["host-name"], values["vendor-name"]) == (77, "lac", "ours")
    assert (77).to_bytes(2) not in body
    assert b"ours" not in body
    assert body[:6] == bytes.fromhex("801600000024")  # the vector comes first, in clear


@pytest.mark.parametrize("wrong", [b"", b"another secret"])
def test_without_the_secret_a_mandatory_one_breaks_and_another_is_passed_over(wrong: bytes) -> None:
    veil = Veil(frozenset({"assigned-tunnel-id", "vendor-name"}), SECRET, VECTOR)
    assert "vendor-name" not in decode(encode_all({"vendor-name": "ours"}, veil), wrong)
    with pytest.raises(UnknownMandatory, match="hidden"):
        decode(encode_all({"assigned-tunnel-id": 77}, veil), wrong)


def test_a_hidden_avp_without_a_vector_cannot_be_read() -> None:
    raw = encode("assigned-tunnel-id", 77, Veil(frozenset({"assigned-tunnel-id"}), SECRET, VECTOR))
    with pytest.raises(UnknownMandatory):
        decode(raw, SECRET)


@given(st.binary(max_size=80), st.binary(min_size=1, max_size=8), st.binary(max_size=20))
def test_anything_hidden_is_revealed_or_not(hidden: bytes, key: bytes, vector: bytes) -> None:
    value = secret.reveal(key, 11, vector, hidden)
    assert value is None or len(value) <= max(len(hidden) - 2, 0)


# Two cores


def config(name: str, **changes: Any) -> L2tpConfig:
    return L2tpConfig(name, hello_s=0, max_sessions=10, **changes)


@pytest.mark.parametrize("lac_asks", [True, False])
@pytest.mark.parametrize("lns_asks", [True, False])
@pytest.mark.parametrize("hide", [frozenset(), HIDEABLE])
def test_ends_that_share_a_secret_come_up(join: Any, lac_asks: bool, lns_asks: bool, hide: frozenset[str]) -> None:
    lac = config("lac", secret=SECRET, challenge=lac_asks, hide=hide)
    link = join(lac, config("lns", secret=SECRET, challenge=lns_asks, hide=hide)).up()
    request, reply, connect = (
        next(message.values for message in link.messages(who) if message.type is kind)
        for who, kind in (("lac", Type.SCCRQ), ("lns", Type.SCCRP), ("lac", Type.SCCCN))
    )
    assert ("challenge" in request, "challenge" in reply) == (lac_asks, lns_asks)
    if lac_asks:
        assert reply["challenge-response"] == hashlib.md5(b"\x02" + SECRET + request["challenge"]).digest()
    if lns_asks:
        assert connect["challenge-response"] == hashlib.md5(b"\x03" + SECRET + reply["challenge"]).digest()
    assert ("random-vector" in request) is bool(hide)


@pytest.mark.parametrize(
    ("lac", "lns", "loser"),
    [
        ({"secret": b"one", "challenge": True}, {"secret": b"other"}, "lac"),
        ({"secret": b"one"}, {"secret": b"other", "challenge": True}, "lns"),
        ({}, {"secret": SECRET, "challenge": True}, "lac"),  # cannot answer
        ({"secret": SECRET, "challenge": True}, {}, "lns"),
    ],
)
def test_ends_that_share_none_do_not(join: Any, lac: dict[str, Any], lns: dict[str, Any], loser: str) -> None:
    """The end that is not satisfied says result 4, not authorised; no tunnel is ever told of on that side."""
    link = join(config("lac", **lac), config("lns", **lns))
    link.lac.start(0.0)
    link.run(30)
    (stop,) = (message for who in ("lac", "lns") for message in link.messages(who) if message.type is Type.STOPCCN)
    assert stop.result == Result(4)
    assert stop in link.messages(loser)
    assert not link.of(loser, events.TunnelUp)
    assert link.lac.finished
    assert link.lns.finished
    failed = link.of("lac", events.Failed)[0]
    assert isinstance(failed, events.Failed)
    assert "not authorised" in failed.reason


@pytest.mark.parametrize("seed", range(12))
def test_authentication_and_hiding_over_a_bad_link(join: Any, seed: int) -> None:
    """A third lost, a third doubled, any order."""
    options: dict[str, Any] = {"secret": SECRET, "challenge": True, "hide": HIDEABLE, "schedule": PATIENT}
    link = join(config("lac", **options), config("lns", **options), seed)
    link.loss, link.doubling, link.spread = 0.33, 0.33, 3.0
    link.lac.start(0.0)
    numbers = [link.lac.place_call(0.0) for _ in range(3)]
    link.run(200)
    assert [state for *_, state in link.lac.calls] == ["established"] * 4
    assert [state for *_, state in link.lns.calls] == ["established"] * 4
    assert len(link.of("lac", events.TunnelUp)) == len(link.of("lns", events.TunnelUp)) == 1
    assert not link.of("lac", events.Failed)
    assert set(numbers) < {local for local, *_ in link.lac.calls}


def test_the_schemes_need_a_secret() -> None:
    for changes in ({"challenge": True}, {"hide": HIDEABLE}, {"secret": SECRET, "hide": frozenset({"host-name"})}):
        with pytest.raises(ProtocolError):
            L2tpCore(config("lac", **changes), bytes)


def test_a_response_that_nobody_asked_for_is_passed_over(join: Any) -> None:
    link = join(config("lac"), config("lns"))
    values: dict[str, avp.Value] = {
        "protocol-version": 0x0100, "host-name": "lac", "assigned-tunnel-id": 5, "challenge-response": bytes(16),
    }  # fmt: skip
    link.lns.receive(0.0, header.build_control(0, 0, 0, 0, build(Type.SCCRQ, values)))
    answer = parse(header.parse(link.lns.take_packets()[0]).body)
    assert answer is not None
    assert answer.type is Type.SCCRP


# Both ends open at once


def opened_at_once(join: Any, lac: bool, lns: bool, seed: int = 1) -> Any:
    link = join(config("lac", tie_breaker=lac), config("lns", tie_breaker=lns), seed)
    link.lac.start(0.0)
    link.lns.start(0.0)
    link.run(60)
    return link


@pytest.mark.parametrize("seed", range(6))
def test_the_lower_tie_breaker_wins(join: Any, seed: int) -> None:
    link = opened_at_once(join, True, True, seed)
    ties = {who: link.messages(who)[0].values["tie-breaker"] for who in ("lac", "lns")}
    winner, loser = sorted(ties, key=lambda who: ties[who])
    for who in (winner, loser):
        assert len(link.of(who, events.TunnelUp)) == 1
        assert not link.of(who, events.Failed)
        assert len(link.of(who, events.CallUp)) == 2  # each its own, and the other's
    assert [message.type for message in link.messages(winner)][:2] == [Type.SCCRQ, Type.SCCCN]
    assert Type.SCCRP in {message.type for message in link.messages(loser)}
    assert link.cores[loser].tunnel_remote == link.cores[winner].tunnel_local


@pytest.mark.parametrize(("lac", "lns"), [(True, False), (False, True)])
def test_who_has_a_tie_breaker_wins_over_who_has_none(join: Any, lac: bool, lns: bool) -> None:
    link = opened_at_once(join, lac, lns)
    winner, loser = ("lac", "lns") if lac else ("lns", "lac")
    assert link.messages(winner)[1].type is Type.SCCCN
    assert link.messages(loser)[1].type is Type.SCCRP
    assert link.lac.established
    assert link.lns.established


def test_with_the_same_tie_breaker_neither_lives(join: Any) -> None:
    link = join(config("lac", tie_breaker=True), config("lns", tie_breaker=True))
    for core in link.cores.values():
        core._handshake._entropy = bytes  # both draw the same
        core.start(0.0)
    link.run(60)
    for who in ("lac", "lns"):
        assert link.cores[who].finished
        (failed,) = link.of(who, events.Failed)
        assert "same tie breaker" in failed.reason
        assert [message.type for message in link.messages(who)] == [Type.SCCRQ]  # silently (§4.4.3)


def test_without_any_there_are_two_tunnels(join: Any) -> None:
    """The request is told as somebody else's: whoever owns the cores makes another one for it."""
    link = join(config("lac"), config("lns"))
    link.lac.start(0.0)
    link.lns.start(0.0)
    (request,) = link.lns.take_packets()
    link.lac.receive(0.0, request)
    (strange,) = link.lac.take_events()
    assert isinstance(strange, events.Strange)
    assert strange.tunnel == 0
