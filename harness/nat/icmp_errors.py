"""ICMP errors through a NAT (RFC 5508 §4): the packet that they quote is translated as well as their own header."""

from __future__ import annotations

from collections.abc import Callable

from harness.nat.headers import ICMP, ICMP_ERRORS, OFFSET, TCP, UDP, change, checksum, residue
from harness.nat.state import Dropped
from harness.nat.table import Session

Find = Callable[[int, bytes], Session | None]
"""(protocol, key of the table) → session."""


def is_error(packet: bytes, at: int) -> bool:
    return packet[at] in ICMP_ERRORS


def quoted_key(packet: bytes, at: int) -> tuple[int, bytes]:
    """(protocol, the 12 bytes under which the quoted packet's own direction is kept) of the error whose header begins at `at`.

    `Dropped` where the message is damaged, or quotes what cannot be told: a further fragment, or less than its ports.
    """
    if residue(packet[at:]):
        raise Dropped("malformed")  # RFC 5508, REQ-3
    inner = at + 8
    if len(packet) < inner + 28 or packet[inner] >> 4 != 4:
        raise Dropped("malformed")
    ports_at = inner + ((packet[inner] & 15) << 2)
    if len(packet) < ports_at + 8 or ports_at < inner + 20 or (packet[inner + 6] << 8 | packet[inner + 7]) & OFFSET:
        raise Dropped("malformed")
    protocol = packet[inner + 9]
    addresses = packet[inner + 12 : inner + 20]
    if protocol in (UDP, TCP):
        return protocol, addresses + packet[ports_at : ports_at + 4]
    if protocol == ICMP:
        return protocol, addresses + packet[ports_at + 4 : ports_at + 6]
    return protocol, addresses


def quoted_spi(packet: bytes, at: int) -> bytes:
    """The SPI of the ESP packet that the error quotes, of which `quoted_key` has said that it is whole enough."""
    inner = at + 8
    spi_at = inner + ((packet[inner] & 15) << 2)
    return packet[spi_at : spi_at + 4]


def turned(key: bytes) -> bytes:
    """The key of the other direction."""
    return key[4:8] + key[:4] + key[10:12] + key[8:10] if len(key) == 12 else key[4:8] + key[:4] + key[8:]


def translate(packet: bytes, at: int, session: Session, *, inward: bool) -> bytes:
    """The error with its quotation as the receiver knows it. The quoted packet went the other way: inward, its source is what left
    the NAT. The outer header is left to the rewriting of every packet."""
    inner = at + 8
    ports_at = inner + ((packet[inner] & 15) << 2)
    buffer = bytearray(packet)
    new_address, new_port = (session.address_in, session.port_in) if inward else (session.address_out, session.port_out)
    address_at = inner + (12 if inward else 16)
    address_change = change(packet[address_at : address_at + 4], new_address)
    buffer[address_at : address_at + 4] = new_address
    _add(buffer, inner + 10, address_change)
    protocol = buffer[inner + 9]
    if protocol in (UDP, TCP):
        port_at = ports_at + (0 if inward else 2)
        port_change = change(packet[port_at : port_at + 2], new_port)
        buffer[port_at : port_at + 2] = new_port
        if protocol == TCP:
            if len(buffer) >= ports_at + 18:  # eight bytes are all that must be quoted
                _add(buffer, ports_at + 16, address_change + port_change)
        elif buffer[ports_at + 6 : ports_at + 8] != b"\0\0":
            _add(buffer, ports_at + 6, address_change + port_change, zero=0xFFFF)
    elif protocol == ICMP:
        _add(buffer, ports_at + 2, change(packet[ports_at + 4 : ports_at + 6], new_port))
        buffer[ports_at + 4 : ports_at + 6] = new_port
    buffer[at + 2 : at + 4] = b"\0\0"
    buffer[at + 2 : at + 4] = checksum(bytes(buffer[at:])).to_bytes(2)
    return bytes(buffer)


def _add(buffer: bytearray, at: int, difference: int, zero: int = 0) -> None:
    """Brings the checksum at `at` up to date; where it comes out as 0, `zero` is written."""
    total = (int.from_bytes(buffer[at : at + 2]) + difference) % 0xFFFF or zero
    buffer[at : at + 2] = total.to_bytes(2)
