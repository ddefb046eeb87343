"""IKEv1 messages and payloads (RFC 2408, RFC 3947) as scapy classes of our own: scapy's have no fields for NAT-D and NAT-OA."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from socket import inet_ntoa
from typing import Any

from scapy.fields import (
    ByteField,
    ConditionalField,
    IntField,
    PacketListField,
    ShortField,
    StrField,
    StrFixedLenField,
    StrLenField,
)
from scapy.packet import Packet

from harness.errors import ProtocolError
from harness.probes.dissector import ike_names as names
from harness.probes.dissector.scapy_guard import Item, read, whole

HEADER = 28
_PAYLOADS_AT_MOST = 64
_LISTS = ("vendor_ids", "vendors", "nat_d", "nat_oa", "proposals", "ids", "notifies", "deletes")


class Header(Packet):
    name = "ISAKMP header"
    fields_desc = [  # noqa: RUF012 - scapy's own way of declaring fields
        StrFixedLenField("icookie", b"", 8),
        StrFixedLenField("rcookie", b"", 8),
        ByteField("next_payload", 0),
        ByteField("version", 0x10),
        ByteField("exchange", 0),
        ByteField("flags", 0),
        IntField("message_id", 0),
        IntField("size", HEADER),
        StrField("body", b""),
    ]


class Attribute(Item):
    name = "attribute"
    fields_desc = [  # noqa: RUF012
        ShortField("kind", 0x8000),
        ShortField("short", 0),
        ConditionalField(StrLenField("value", b"", length_from=lambda a: a.short), lambda a: not a.kind & 0x8000),
    ]


class Transform(Item):
    name = "transform"
    fields_desc = [  # noqa: RUF012
        ByteField("next_payload", 0),
        ByteField("reserved", 0),
        ShortField("size", 8),
        ByteField("number", 1),
        ByteField("id", 0),
        ShortField("reserved2", 0),
        PacketListField("attributes", [], Attribute, length_from=lambda t: max(t.size - 8, 0), max_count=40),
    ]


class Proposal(Item):
    name = "proposal"
    fields_desc = [  # noqa: RUF012
        ByteField("next_payload", 0),
        ByteField("reserved", 0),
        ShortField("size", 8),
        ByteField("number", 1),
        ByteField("protocol", 1),
        ByteField("spi_size", 0),
        ByteField("count", 0),
        StrLenField("spi", b"", length_from=lambda p: p.spi_size),
        PacketListField("transforms", [], Transform, length_from=lambda p: max(p.size - 8 - p.spi_size, 0), max_count=100),
    ]


class SecurityAssociation(Packet):
    name = "SA payload"
    fields_desc = [  # noqa: RUF012
        IntField("doi", 1),
        IntField("situation", 1),
        PacketListField("proposals", [], Proposal, max_count=40),
    ]


class Identification(Packet):
    name = "ID payload"
    fields_desc = [ByteField("kind", 1), ByteField("protocol", 0), ShortField("port", 0), StrField("data", b"")]  # noqa: RUF012


class NatOriginalAddress(Packet):
    name = "NAT-OA payload"
    fields_desc = [ByteField("kind", 1), StrFixedLenField("reserved", bytes(3), 3), StrField("data", b"")]  # noqa: RUF012


class Notification(Packet):
    name = "notification payload"
    fields_desc = [  # noqa: RUF012
        IntField("doi", 1),
        ByteField("protocol", 1),
        ByteField("spi_size", 0),
        ShortField("kind", 0),
        StrLenField("spi", b"", length_from=lambda n: n.spi_size),
        StrField("data", b""),
    ]


class Deletion(Packet):
    name = "delete payload"
    fields_desc = [  # noqa: RUF012
        IntField("doi", 1),
        ByteField("protocol", 1),
        ByteField("spi_size", 0),
        ShortField("count", 0),
        StrField("spis", b""),
    ]


@dataclass(slots=True)
class Payload:
    kind: int
    body: bytes


def read_header(message: bytes) -> Any:
    """ProtocolError (layer "ike") for anything that cannot be an ISAKMP message of the length that it claims."""
    if len(message) < HEADER:
        raise ProtocolError("ike", f"{len(message)} bytes, the header takes {HEADER}")
    header = read("ike", Header, message)
    if header.size != len(message):
        raise ProtocolError("ike", f"the header says {header.size} bytes, {len(message)} are there", 24)
    return header


def chain(first: int, data: bytes, offset: int = HEADER, padded: bool = False) -> list[Payload]:
    """The payloads of a message. What follows the last one must be padding of a cipher (`padded`), and short, or nothing."""
    found: list[Payload] = []
    at, kind = 0, first
    while kind:
        if len(found) == _PAYLOADS_AT_MOST:
            raise ProtocolError("ike", f"more than {_PAYLOADS_AT_MOST} payloads", offset + at)
        name = names.PAYLOADS.get(kind, f"payload {kind}")
        if len(data) - at < 4:
            raise ProtocolError("ike", f"the message ends in the header of {name}", offset + at)
        following, _, size = struct.unpack_from("!BBH", data, at)
        if size < 4 or size > len(data) - at:
            raise ProtocolError("ike", f"{name} says {size} bytes, {len(data) - at} are left", offset + at)
        found.append(Payload(kind, data[at + 4 : at + size]))
        at, kind = at + size, following
    if len(data) - at > (32 if padded else 0):
        raise ProtocolError("ike", f"{len(data) - at} bytes follow the last payload", offset + at)
    return found


def payload_names(payloads: list[Payload]) -> list[str]:
    return [names.PAYLOADS.get(p.kind, f"payload {p.kind}") for p in payloads]


def describe(payloads: list[Payload]) -> dict[str, Any]:
    """What Observation.ike wants of the payloads, decoded: lists under the names that the model gives."""
    lists: dict[str, list[Any]] = {name: [] for name in _LISTS}
    for payload in payloads:
        body = payload.body
        if payload.kind == names.VID:
            lists["vendor_ids"].append(body.hex())
            lists["vendors"].append(names.vendor(body))
        elif payload.kind in (names.NAT_D, names.NAT_D_DRAFT):
            lists["nat_d"].append(body.hex())
        elif payload.kind in (names.NAT_OA, names.NAT_OA_DRAFT):
            lists["nat_oa"].append(_nat_oa(body))
        elif payload.kind == names.SA:
            lists["proposals"].extend(_proposals(body))
        elif payload.kind == names.ID:
            lists["ids"].append(_identification(body))
        elif payload.kind == names.NOTIFY:
            lists["notifies"].append(_notification(body))
        elif payload.kind == names.DELETE:
            lists["deletes"].append(_deletion(body))
    return lists


def _need(body: bytes, least: int, name: str) -> None:
    if len(body) < least:
        raise ProtocolError("ike", f"{name} has {len(body)} bytes, it takes {least}")


def _nat_oa(body: bytes) -> str:
    _need(body, 8, "NAT-OA")
    oa = read("ike", NatOriginalAddress, body)
    return inet_ntoa(bytes(oa.data)) if oa.kind == 1 and len(oa.data) == 4 else f"type {oa.kind}: {bytes(oa.data).hex()}"


def _identification(body: bytes) -> dict[str, Any]:
    _need(body, 4, "ID")
    one = read("ike", Identification, body)
    data = bytes(one.data)
    if one.kind == 1 and len(data) == 4:
        value = inet_ntoa(data)
    elif one.kind in (4, 7) and len(data) == 8:
        value = f"{inet_ntoa(data[:4])}{'/' if one.kind == 4 else '-'}{inet_ntoa(data[4:])}"
    elif one.kind in (2, 3):
        value = data.decode("utf-8", "backslashreplace")
    else:
        value = data.hex()
    return {"type": names.ID_TYPES.get(one.kind, f"type {one.kind}"), "value": value, "protocol": one.protocol, "port": one.port}


def _notification(body: bytes) -> dict[str, Any]:
    _need(body, 8, "N")
    one = read("ike", Notification, body)
    if len(one.spi) != one.spi_size:
        raise ProtocolError("ike", f"N says an SPI of {one.spi_size} bytes, {len(one.spi)} are there")
    return {
        "type": one.kind,
        "name": names.NOTIFIES.get(one.kind, f"notify {one.kind}"),
        "protocol": names.PROTOCOLS.get(one.protocol, str(one.protocol)),
        "spi": bytes(one.spi).hex(),
        "data": bytes(one.data).hex(),
    }


def _deletion(body: bytes) -> dict[str, Any]:
    _need(body, 8, "D")
    one = read("ike", Deletion, body)
    spis = bytes(one.spis)
    if one.spi_size == 0 or len(spis) != one.spi_size * one.count:
        raise ProtocolError("ike", f"D says {one.count} SPIs of {one.spi_size} bytes, {len(spis)} bytes are there")
    each = [spis[i : i + one.spi_size].hex() for i in range(0, len(spis), one.spi_size)]
    return {"protocol": names.DELETED.get(one.protocol, str(one.protocol)), "spis": each}


def _proposals(body: bytes) -> list[dict[str, Any]]:
    """One mapping a transform, with its proposal's number, protocol and SPI."""
    _need(body, 8, "SA")
    sa = read("ike", SecurityAssociation, body)
    found: list[dict[str, Any]] = []
    at = 8
    for proposal in whole("ike", Proposal, sa.proposals):
        at += proposal.size
        if proposal.size < 8 or len(proposal.spi) != proposal.spi_size or at > len(body):
            raise ProtocolError("ike", f"proposal {proposal.number} does not fit its {proposal.size} bytes")
        transforms = [_transform(t, proposal.protocol) for t in whole("ike", Transform, proposal.transforms)]
        if len(transforms) != proposal.count or 8 + proposal.spi_size + sum(t.size for t in proposal.transforms) != proposal.size:
            raise ProtocolError("ike", f"proposal {proposal.number} promises {proposal.count} transforms, {len(transforms)} fit")
        about = {
            "proposal": proposal.number,
            "protocol": names.PROTOCOLS.get(proposal.protocol, str(proposal.protocol)),
            "spi": bytes(proposal.spi).hex(),
        }
        found.extend(about | transform for transform in transforms)
    if at != len(body):
        raise ProtocolError("ike", f"proposals end at {at} of {len(body)} bytes of the SA payload")
    return found


def _transform(transform: Any, protocol: int) -> dict[str, Any]:
    table = names.PHASE1 if protocol == 1 else names.PHASE2
    facts: dict[str, Any] = {"transform": transform.number}
    if protocol == 1:
        facts["id"] = "KEY_IKE" if transform.id == 1 else str(transform.id)
    elif protocol == 2:
        facts["id"] = names.AH_TRANSFORMS.get(transform.id, str(transform.id))
    else:
        facts["encryption"] = names.ESP_TRANSFORMS.get(transform.id, str(transform.id))
    unit, at, key_length = "s", 8, 0
    for attribute in whole("ike", Attribute, transform.attributes):
        if attribute.kind & 0x8000:
            number, at = attribute.short, at + 4
        else:
            if len(attribute.value) != attribute.short:
                raise ProtocolError("ike", f"an attribute says {attribute.short} bytes, {len(attribute.value)} are there")
            number, at = int.from_bytes(attribute.value), at + 4 + attribute.short
        name, values = table.get(attribute.kind & 0x7FFF, (f"attribute {attribute.kind & 0x7FFF}", {}))
        if name == "life_type":
            unit = values.get(number, str(number))
        elif name == "life":
            facts[f"lifetime_{unit}"] = number
        elif name == "key_length":
            key_length = number
        else:
            facts[name] = values.get(number, number)
    if key_length:
        facts["encryption"] = f"{facts.get('encryption', '?')}-{key_length}"
    if at != transform.size:
        raise ProtocolError("ike", f"attributes of transform {transform.number} end at {at} of {transform.size} bytes")
    return facts
