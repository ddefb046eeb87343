"""What an IP datagram carries, to and from its bytes."""

from __future__ import annotations

import pytest

from harness.errors import ProtocolError
from harness.wire.ip import checksum
from harness.wire.packet import ESP, Packet, from_ip, to_ip

UDP = Packet("10.0.0.2", "203.0.113.231", 17, b"four", 500, 4500)


@pytest.mark.parametrize("packet", [UDP, Packet("10.0.0.2", "203.0.113.231", ESP, bytes(range(40)))])
def test_comes_back_as_it_went(packet: Packet) -> None:
    assert from_ip(to_ip(packet, identification=7)) == packet


def test_a_checksum_of_other_addresses_is_refused() -> None:
    data = bytearray(to_ip(UDP))
    data[26] ^= 1
    with pytest.raises(ProtocolError, match="checksum"):
        from_ip(bytes(data))


def test_a_fragment_is_refused() -> None:
    data = bytearray(to_ip(UDP))
    data[6] |= 0x20
    data[10:12] = bytes(2)
    data[10:12] = checksum(bytes(data[:20])).to_bytes(2)
    with pytest.raises(ProtocolError, match="fragment"):
        from_ip(bytes(data))
