"""The table of AVPs in both directions, and what RFC 2661 §4 asks of a receiver."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire.l2tp import avp, message
from harness.wire.l2tp.avp import AVPS, Kind, Result, Row, UnknownMandatory, decode, encode
from harness.wire.l2tp.message import Type

# The SCCRQ of xl2tpd 1.3.18 (Debian 12) as its peer sees it is in test_xl2tpd; this SCCRP body follows RFC 2661 §4.4 by hand.
SCCRP = bytes.fromhex(
    "8008 0000 0000 0002"  # message type 2
    "8008 0000 0002 0100"  # protocol version 1.0
    "800a 0000 0003 00000003"  # framing: both
    "800a 0000 0004 00000000"  # bearer: none
    "0008 0000 0006 0690"  # firmware
    "8008 0000 0007 766d"  # host name "vm"
    "0013 0000 0008 78656c6572616e63652e636f6d"  # vendor name "xelerance.com"
    "8008 0000 0009 2bc8"  # tunnel 11208
    "8008 0000 000a 0004".replace(" ", "")  # window 4
)


def values_of(row: Row) -> st.SearchStrategy[avp.Value]:
    match row.kind:
        case Kind.U16:
            return st.integers(0, 0xFFFF)
        case Kind.U32:
            return st.integers(0, 0xFFFFFFFF)
        case Kind.BYTES if row.size is not None:
            return st.binary(min_size=row.size, max_size=row.size)
        case Kind.BYTES:
            return st.binary(max_size=100)
        case Kind.TEXT:
            return st.text(st.characters(max_codepoint=255), max_size=60)
    codes = st.integers(0, 0xFFFF)
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    return st.one_of(st.builds(Result, codes, st.none(), st.just("")), st.builds(Result, codes, codes, texts))


@pytest.mark.parametrize("row", AVPS, ids=lambda row: row.name)
@given(data=st.data())
def test_every_row_goes_there_and_back(row: Row, data: st.DataObject) -> None:
    value = data.draw(values_of(row))
    raw = encode(row.name, value)
    assert decode(raw) == {row.name: value}
    assert raw[:2] == ((0x8000 if row.mandatory else 0) | len(raw)).to_bytes(2)
    assert raw[2:6] == row.vendor.to_bytes(2) + row.type.to_bytes(2)


def test_names_and_numbers_are_unique() -> None:
    assert len(avp.BY_NAME) == len(avp.BY_TYPE) == len(AVPS)


def test_a_message_of_the_field_is_read() -> None:
    parsed = message.parse(SCCRP)
    assert parsed is not None
    assert parsed.type is Type.SCCRP
    assert parsed.values == {
        "protocol-version": 0x0100,
        "framing-capabilities": 3,
        "bearer-capabilities": 0,
        "firmware-revision": 0x0690,
        "host-name": "vm",
        "vendor-name": "xelerance.com",
        "assigned-tunnel-id": 11208,
        "receive-window-size": 4,
    }


def test_an_unknown_avp_counts_only_if_it_is_mandatory() -> None:
    assert decode(bytes.fromhex("0008 0000 00ff 0001".replace(" ", ""))) == {}
    with pytest.raises(UnknownMandatory, match="mandatory AVP 255 of vendor 0 is unknown"):
        decode(bytes.fromhex("8008 0000 00ff 0001".replace(" ", "")))


def test_a_vendors_avp_is_not_the_ietfs_of_the_same_number() -> None:
    assert decode(bytes.fromhex("0008 0009 0007 6162".replace(" ", ""))) == {}
    with pytest.raises(UnknownMandatory, match="vendor 9"):
        decode(bytes.fromhex("8008 0009 0007 6162".replace(" ", "")))


@pytest.mark.parametrize(("flags", "why"), [("c0", "hidden"), ("a0", "reserved"), ("84", "reserved")])
def test_hidden_and_reserved_bits_make_an_avp_unknown(flags: str, why: str) -> None:
    with pytest.raises(UnknownMandatory, match=why):
        decode(bytes.fromhex(f"{flags}08000000070001"))
    assert decode(bytes((int(flags, 16) & 0x7F,)) + bytes.fromhex("08000000070001")) == {}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("8005 0000 00", "shorter than its own header"),
        ("8009 0000 0007 6162", "AVP needs"),
        ("8007 0000 000a 01", "needs 2 bytes"),
        ("8009 0000 000a 010203", "too many"),
        ("0015 0137 0001 000102030405060708090a0b0c0d0e", "has 15 bytes"),
        ("8008 0000 000a 0004 8008 0000 000a 0004", "comes twice"),
    ],
)
def test_what_does_not_fit_is_refused(body: str, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode(bytes.fromhex(body.replace(" ", "")))


@pytest.mark.parametrize(
    ("name", "value"),
    [("nothing", 1), ("host-name", 1), ("receive-window-size", 0x10000), ("tie-breaker", b"1"), ("challenge", bytes(1100))],
)
def test_what_cannot_be_sent_is_refused(name: str, value: avp.Value) -> None:
    with pytest.raises(ProtocolError):
        encode(name, value)


@pytest.mark.parametrize(
    "body",
    ["", "8008000000070001", "000800000007", "c008000000000001", "80080137 00010001"],
)
def test_the_message_type_comes_first(body: str) -> None:
    with pytest.raises(ProtocolError):
        message.parse(bytes.fromhex(body))


def test_an_unknown_message_counts_only_if_it_is_mandatory() -> None:
    assert message.parse(bytes.fromhex("0008000000000063")) is None
    with pytest.raises(UnknownMandatory):
        message.parse(bytes.fromhex("8008000000000063"))


@pytest.mark.parametrize("kind", [kind for kind, names in message.REQUIRED.items() if names])
def test_required_avps_are_required(kind: Type) -> None:
    with pytest.raises(ProtocolError, match="lacks"):
        message.parse(message.build(kind, {}))


def test_results_in_words() -> None:
    assert message.describe(Type.CDN, Result(3)) == "CDN result 3 (call disconnected: administrative reasons)"
    assert (
        message.describe(Type.STOPCCN, Result(2, 4, "full"))
        == "StopCCN result 2 (general error), error 4 (insufficient resources): full"
    )
    assert "unassigned" in message.describe(Type.CDN, Result(99, 99))


@given(st.one_of(st.binary(max_size=120), st.binary(max_size=60).map(lambda tail: SCCRP + tail)))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    with suppress(ProtocolError):
        message.parse(data)


def test_reading_takes_linear_time() -> None:
    """Counted in calls, not in seconds: twice the AVPs, twice the calls."""

    def calls(copies: int) -> int:
        count = 0

        def note(frame: FrameType, event: str, argument: object) -> None:
            nonlocal count
            count += 1

        body = bytes.fromhex("0006000000ff") * copies
        sys.setprofile(note)
        try:
            decode(body)
        finally:
            sys.setprofile(None)
        return count

    one, two = calls(500), calls(1000)
    assert one > 500
    assert two < 2.05 * one
