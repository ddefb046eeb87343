"""L2TPv2 (RFC 2661): control messages with their AVPs through scapy classes of our own, data headers with struct."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from scapy.fields import BitField, PacketListField, ShortField, StrLenField
from scapy.packet import Packet

from harness.errors import ProtocolError
from harness.probes.dissector.scapy_guard import Item, read, whole

_MESSAGES = {
    0: "ZLB",  # a header alone: nothing but an acknowledgement
    1: "SCCRQ",
    2: "SCCRP",
    3: "SCCCN",
    4: "StopCCN",
    6: "Hello",
    7: "OCRQ",
    8: "OCRP",
    9: "OCCN",
    10: "ICRQ",
    11: "ICRP",
    12: "ICCN",
    14: "CDN",
    15: "WEN",
    16: "SLI",
}

# RFC 2661 §4.4: number → (name, form)
_AVPS: dict[int, tuple[str, str]] = {
    0: ("Message Type", "u16"),
    1: ("Result Code", "result"),
    2: ("Protocol Version", "hex"),
    3: ("Framing Capabilities", "u32"),
    4: ("Bearer Capabilities", "u32"),
    5: ("Tie Breaker", "hex"),
    6: ("Firmware Revision", "u16"),
    7: ("Host Name", "text"),
    8: ("Vendor Name", "text"),
    9: ("Assigned Tunnel ID", "u16"),
    10: ("Receive Window Size", "u16"),
    11: ("Challenge", "hex"),
    12: ("Q.931 Cause Code", "hex"),
    13: ("Challenge Response", "hex"),
    14: ("Assigned Session ID", "u16"),
    15: ("Call Serial Number", "u32"),
    16: ("Minimum BPS", "u32"),
    17: ("Maximum BPS", "u32"),
    18: ("Bearer Type", "u32"),
    19: ("Framing Type", "u32"),
    21: ("Called Number", "text"),
    22: ("Calling Number", "text"),
    23: ("Sub-Address", "text"),
    24: ("Tx Connect Speed", "u32"),
    25: ("Physical Channel ID", "u32"),
    26: ("Initial Received LCP CONFREQ", "hex"),
    27: ("Last Sent LCP CONFREQ", "hex"),
    28: ("Last Received LCP CONFREQ", "hex"),
    29: ("Proxy Authen Type", "u16"),
    30: ("Proxy Authen Name", "text"),
    31: ("Proxy Authen Challenge", "hex"),
    32: ("Proxy Authen ID", "u16"),
    33: ("Proxy Authen Response", "secret"),
    34: ("Call Errors", "hex"),
    35: ("ACCM", "hex"),
    36: ("Random Vector", "hex"),
    37: ("Private Group ID", "text"),
    38: ("Rx Connect Speed", "u32"),
    39: ("Sequencing Required", "none"),
}
_WIDTH = {"u16": 2, "u32": 4}
_MICROSOFT = 311


class Avp(Item):
    name = "AVP"
    fields_desc = [  # noqa: RUF012 - scapy's own way of declaring fields
        BitField("mandatory", 0, 1),
        BitField("hidden", 0, 1),
        BitField("reserved", 0, 4),
        BitField("size", 6, 10),
        ShortField("vendor", 0),
        ShortField("attribute", 0),
        StrLenField("value", b"", length_from=lambda avp: max(avp.size - 6, 0)),
    ]


class ControlMessage(Packet):
    name = "L2TP control message"
    fields_desc = [  # noqa: RUF012
        ShortField("flags", 0xC802),
        ShortField("size", 12),
        ShortField("tunnel", 0),
        ShortField("session", 0),
        ShortField("ns", 0),
        ShortField("nr", 0),
        PacketListField("avps", [], Avp, length_from=lambda message: max(message.size - 12, 0), max_count=200),
    ]


@dataclass(frozen=True, slots=True)
class L2tpMessage:
    """`facts` as Observation wants them; `ppp` is the frame of a data message, None for control."""

    facts: dict[str, Any]
    ppp: bytes | None


def looks_like_control(data: bytes) -> bool:
    """Whether bytes found where no L2TP belongs carry the header of a control message, its length field and all."""
    return len(data) >= 12 and data[:2] == b"\xc8\x02" and int.from_bytes(data[2:4]) == len(data)


def read_l2tp(data: bytes) -> L2tpMessage:
    """ProtocolError (layer "l2tp") where the header or an AVP is damaged."""
    if len(data) < 6:
        raise ProtocolError("l2tp", f"{len(data)} bytes, the shortest header takes 6")
    flags = int.from_bytes(data[:2])
    if flags & 0x000F != 2:
        raise ProtocolError("l2tp", f"version {flags & 0x000F}", 1)
    return _control(flags, data) if flags & 0x8000 else _data(flags, data)


def _data(flags: int, data: bytes) -> L2tpMessage:
    at, facts = 2, {"control": False, "flags": flags}
    need = 6 + (2 if flags & 0x4000 else 0) + (4 if flags & 0x0800 else 0) + (2 if flags & 0x0200 else 0)
    if len(data) < need:
        raise ProtocolError("l2tp", f"{len(data)} bytes, the flags {flags:#06x} ask for a header of {need}")
    end = len(data)
    if flags & 0x4000:
        end = facts["length"] = int.from_bytes(data[2:4])
        at += 2
    facts["tunnel"], facts["session"] = struct.unpack_from("!HH", data, at)
    at += 4
    if flags & 0x0800:
        facts["ns"], facts["nr"] = struct.unpack_from("!HH", data, at)
        at += 4
    if flags & 0x0200:
        at += 2 + int.from_bytes(data[at : at + 2])
    if not at <= end <= len(data):
        raise ProtocolError("l2tp", f"a header of {at} bytes and a length of {end} in {len(data)} bytes", 2)
    return L2tpMessage(facts, data[at:end])


def _control(flags: int, data: bytes) -> L2tpMessage:
    if flags & 0x4800 != 0x4800:
        raise ProtocolError("l2tp", f"a control message without length or sequence numbers (flags {flags:#06x})", 0)
    if len(data) < 12:
        raise ProtocolError("l2tp", f"a control message of {len(data)} bytes, its header takes 12")
    size = int.from_bytes(data[2:4])
    if not 12 <= size <= len(data):
        raise ProtocolError("l2tp", f"it says {size} bytes, {len(data)} are there", 2)
    message = read("l2tp", ControlMessage, data)
    avps: dict[str, Any] = {}
    kind, at = 0, 12
    for avp in whole("l2tp", Avp, message.avps):
        if avp.size < 6 or len(avp.value) != avp.size - 6:
            raise ProtocolError("l2tp", f"an AVP says {avp.size} bytes, {6 + len(avp.value)} are there", at)
        at += avp.size
        name, value = _avp(avp)
        if name in avps:
            name = f"{name} ({at})"
        avps[name] = value
        if name == "Message Type" and isinstance(value, int):
            kind = value
    if at != size:
        raise ProtocolError("l2tp", f"AVPs end at {at}, the message at {size}", at)
    facts = {
        "control": True,
        "flags": flags,
        "message": _MESSAGES.get(kind, f"message {kind}") if avps else "ZLB",
        "tunnel": message.tunnel,
        "session": message.session,
        "ns": message.ns,
        "nr": message.nr,
        "avps": avps,
    }
    return L2tpMessage(facts, None)


def _avp(avp: Any) -> tuple[str, Any]:
    if avp.vendor == _MICROSOFT and avp.attribute == 1:
        return "Correlation ID", avp.value.hex()
    if avp.vendor:
        return f"vendor {avp.vendor} attribute {avp.attribute}", avp.value.hex()
    name, form = _AVPS.get(avp.attribute, (f"attribute {avp.attribute}", "hex"))
    if avp.hidden:
        return name, f"hidden, {len(avp.value)} bytes"
    if form == "secret":
        return name, "***"
    if form in _WIDTH:
        if len(avp.value) != _WIDTH[form]:
            raise ProtocolError("l2tp", f"the AVP {name} has {len(avp.value)} bytes, {_WIDTH[form]} are right")
        return name, int.from_bytes(avp.value)
    if form == "text":
        return name, avp.value.decode("utf-8", "backslashreplace")
    if form == "result":
        return name, _result(avp.value)
    return name, avp.value.hex()


def _result(value: bytes) -> dict[str, Any]:
    if len(value) < 2:
        raise ProtocolError("l2tp", f"a Result Code AVP of {len(value)} bytes")
    facts: dict[str, Any] = {"result": int.from_bytes(value[:2]), "error": None, "message": ""}
    if len(value) >= 4:
        facts["error"] = int.from_bytes(value[2:4])
        facts["message"] = value[4:].decode("utf-8", "backslashreplace")
    return facts
