"""The header, against packets of the field and any bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire.l2tp import header

u16 = st.integers(0, 0xFFFF)


@given(u16, u16, u16, u16, st.binary(max_size=40))
def test_control_there_and_back(tunnel: int, session: int, ns: int, nr: int, body: bytes) -> None:
    assert header.parse(header.build_control(tunnel, session, ns, nr, body)) == (True, tunnel, session, ns, nr, body)


@given(u16, u16, st.one_of(st.none(), st.tuples(u16, u16)), st.binary(max_size=40))
def test_data_there_and_back(tunnel: int, session: int, sequence: tuple[int, int] | None, body: bytes) -> None:
    ns, nr = sequence or (None, None)
    assert header.parse(header.build_data(tunnel, session, body, sequence)) == (False, tunnel, session, ns, nr, body)


@pytest.mark.parametrize(
    ("packet", "wanted"),
    [
        ("0002 0001 0002 ff03c021", (False, 1, 2, None, None, "ff03c021")),  # neither length nor sequence: l2tp_ppp of Linux
        ("4002 000c 0001 0002 ff03c021 dead", (False, 1, 2, None, None, "ff03c021")),  # cut to the length field
        ("4302 000e 0001 0002 0002 0000 c021", (False, 1, 2, None, None, "c021")),  # offset of 2, priority
        ("0802 0001 0002 0005 0006 21", (False, 1, 2, 5, 6, "21")),
    ],
)
def test_forms_of_data_headers(packet: str, wanted: tuple[object, ...]) -> None:
    parsed = header.parse(bytes.fromhex(packet.replace(" ", "")))
    assert (*parsed[:5], parsed.body.hex()) == wanted


@pytest.mark.parametrize("version", [0, 1, 3, 15])
def test_other_versions_are_refused(version: int) -> None:
    """1 is L2F, 3 is L2TPv3 (RFC 2661 §3.1: must be 2)."""
    with pytest.raises(ProtocolError, match=f"version {version} is not 2"):
        header.parse(bytes((0xC8, version)) + (12).to_bytes(2) + bytes(8))


@pytest.mark.parametrize("flags", [0x8002, 0xC002, 0x8802, 0xCA02, 0xC902])
def test_control_is_exactly_t_l_and_s(flags: int) -> None:
    with pytest.raises(ProtocolError, match="not T, L and S"):
        header.parse(flags.to_bytes(2) + (14).to_bytes(2) + bytes(12))


@pytest.mark.parametrize("bit", [0x2000, 0x1000, 0x0400, 0x0080, 0x0040, 0x0020, 0x0010])
def test_reserved_bits_are_refused(bit: int) -> None:
    with pytest.raises(ProtocolError, match="header bits"):
        header.parse((bit | 2).to_bytes(2) + bytes(8))


@pytest.mark.parametrize("bit", [0x0200, 0x0100])
def test_a_microsoft_client_takes_no_offset_and_no_priority(bit: int) -> None:
    packet = (bit | 2).to_bytes(2) + bytes(8)
    assert not header.parse(packet).control
    with pytest.raises(ProtocolError, match="header bits"):
        header.parse(packet, header.TYPE | header.LENGTH | header.SEQUENCE)


@pytest.mark.parametrize("length", [0, 3, 13, 0xFFFF])
def test_length_fields_that_do_not_fit_are_refused(length: int) -> None:
    with pytest.raises(ProtocolError):
        header.parse(b"\xc8\x02" + length.to_bytes(2) + bytes(8))


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    with suppress(ProtocolError):
        header.parse(data)
