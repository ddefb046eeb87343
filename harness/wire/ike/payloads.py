"""Bodies of payloads other than SA: identification, NAT original address, notification, deletion.

Sources: RFC 2407 §4.6.2 (ID), RFC 3947 §5.2 (NAT-OA), RFC 2408 §3.14 and §3.15 (N, D). KE, NONCE, HASH, VID and NAT-D have no
inner structure: their body is their value.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.config import Selector
from harness.wire.crypto.certificates import read_name
from harness.wire.ike import registry

MAX_SPIS = 256  # of one Delete payload


@dataclass(frozen=True, slots=True)
class Identification:
    """`value` is raw: four bytes of address, a name, …"""

    kind: int
    protocol: int
    port: int
    value: bytes

    def write(self) -> bytes:
        return struct.pack(">BBH", self.kind, self.protocol, self.port) + self.value

    @classmethod
    def read(cls, body: bytes) -> Identification:
        reader = Reader("ike", body)
        kind = reader.u8("the type of an ID")
        protocol = reader.u8("the protocol of an ID")
        port = reader.u16("the port of an ID")
        value = reader.rest()
        if kind == registry.ID_IPV4_ADDR and len(value) != 4:
            raise reader.error(f"ID_IPV4_ADDR with {len(value)} bytes of address")
        if kind == registry.ID_IPV4_ADDR_SUBNET and len(value) != 8:
            raise reader.error(f"ID_IPV4_ADDR_SUBNET with {len(value)} bytes of address and mask")
        return cls(kind, protocol, port, value)

    @classmethod
    def of_address(cls, address: str, protocol: int = 0, port: int = 0) -> Identification:
        return cls(registry.ID_IPV4_ADDR, protocol, port, packed(address))

    @classmethod
    def of_selector(cls, end: Selector) -> Identification:
        value = end.address.to_bytes(4)
        if end.mask == 0xFFFFFFFF:
            return cls(registry.ID_IPV4_ADDR, end.protocol, end.port, value)
        return cls(registry.ID_IPV4_ADDR_SUBNET, end.protocol, end.port, value + end.mask.to_bytes(4))

    @property
    def selector(self) -> Selector | None:
        """The end of a flow that it means (RFC 2407 §4.6.2.1, §4.6.2.5); None where it is a name or a range."""
        if self.kind not in (registry.ID_IPV4_ADDR, registry.ID_IPV4_ADDR_SUBNET):
            return None
        mask = int.from_bytes(self.value[4:] or b"\xff\xff\xff\xff")
        return Selector(int.from_bytes(self.value[:4]) & mask, mask, self.protocol, self.port)

    @property
    def name(self) -> str:
        """Whom it means, as text."""
        if self.kind == registry.ID_IPV4_ADDR:
            return str(ipaddress.IPv4Address(self.value))
        if self.kind == registry.ID_IPV4_ADDR_SUBNET:
            return "/".join(str(ipaddress.IPv4Address(part)) for part in (self.value[:4], self.value[4:]))
        if self.kind in (registry.ID_FQDN, registry.ID_USER_FQDN):
            return self.value.decode("ascii", "backslashreplace")
        if self.kind == registry.ID_DER_ASN1_DN:
            return _distinguished_name(self.value)
        return f"type {self.kind} {self.value.hex()}"

    def __str__(self) -> str:
        text = self.name
        return f"{text}[{self.protocol}/{self.port}]" if self.protocol or self.port else text


def _distinguished_name(der: bytes) -> str:
    """In text (RFC 4514); what is none is shown as it is, since a name is only shown, and whether it is good is asked elsewhere."""
    try:
        return read_name(der).rfc4514_string()
    except ProtocolError:
        return f"no distinguished name {der.hex()}"


def packed(address: str) -> bytes:
    return ipaddress.IPv4Address(address).packed


def write_nat_oa(address: str) -> bytes:
    return struct.pack(">B3x", registry.ID_IPV4_ADDR) + packed(address)


def read_nat_oa(body: bytes) -> str:
    """An IPv4 address in text. IPv6 is refused: nothing here can carry it."""
    reader = Reader("ike", body)
    kind = reader.u8("the type of a NAT-OA")
    reader.take(3, "the reserved bytes of a NAT-OA")
    if kind != registry.ID_IPV4_ADDR or reader.left != 4:
        raise reader.error(f"a NAT-OA of type {kind} with {reader.left} bytes is no IPv4 address")
    return str(ipaddress.IPv4Address(reader.rest()))


@dataclass(frozen=True, slots=True)
class Notification:
    protocol: int
    type: int
    spi: bytes
    data: bytes

    def write(self) -> bytes:
        head = struct.pack(">IBBH", registry.DOI_IPSEC, self.protocol, len(self.spi), self.type)
        return head + self.spi + self.data

    @classmethod
    def read(cls, body: bytes) -> Notification:
        reader = Reader("ike", body)
        doi = reader.u32("the DOI of a notification")
        if doi not in (0, registry.DOI_IPSEC):
            raise reader.error(f"a notification of DOI {doi}")
        protocol = reader.u8("the protocol of a notification")
        size = reader.u8("the SPI size of a notification")
        kind = reader.u16("the type of a notification")
        spi = reader.take(size, "the SPI of a notification")
        return cls(protocol, kind, spi, reader.rest())

    @property
    def name(self) -> str:
        return registry.notify_name(self.type)

    @property
    def error(self) -> bool:
        return 0 < self.type < registry.FIRST_STATUS_TYPE


@dataclass(frozen=True, slots=True)
class Deletion:
    """`spis` are those on which the sender of the message receives."""

    protocol: int
    spis: tuple[bytes, ...]

    def write(self) -> bytes:
        size = len(self.spis[0])
        return struct.pack(">IBBH", registry.DOI_IPSEC, self.protocol, size, len(self.spis)) + b"".join(self.spis)

    @classmethod
    def read(cls, body: bytes) -> Deletion:
        reader = Reader("ike", body)
        doi = reader.u32("the DOI of a deletion")
        if doi not in (0, registry.DOI_IPSEC):
            raise reader.error(f"a deletion of DOI {doi}")
        protocol = reader.u8("the protocol of a deletion")
        size = reader.u8("the SPI size of a deletion")
        count = reader.u16("the number of SPIs of a deletion")
        if size != (16 if protocol == registry.PROTO_ISAKMP else 4):
            raise reader.error(f"a deletion with SPIs of {size} bytes for {registry.PROTOCOLS.get(protocol, protocol)}")
        if count > MAX_SPIS:
            raise reader.error(f"a deletion of {count} SPIs")
        spis = tuple(reader.take(size, "an SPI of a deletion") for _ in range(count))
        if reader.left:
            raise ProtocolError("ike", "a deletion longer than its SPIs", reader.position)
        return cls(protocol, spis)
