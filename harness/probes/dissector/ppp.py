"""PPP inside L2TP (RFC 1661): control protocols through scapy classes of our own; IP down to ICMP and the mark with struct."""

from __future__ import annotations

from dataclasses import dataclass
from socket import inet_ntoa
from typing import Any

from scapy.fields import ByteField, FieldLenField, PacketListField, ShortField, StrField, StrLenField
from scapy.packet import Packet

from harness.errors import ProtocolError
from harness.probes.dissector.headers import ICMP, ip_packet, ones_sum
from harness.probes.dissector.marks import read_mark
from harness.probes.dissector.scapy_guard import Item, read, whole

IP, PAP = 0x0021, 0xC023
_PROTOCOLS = {
    IP: "IP",
    0x0057: "IPv6",
    0x00FD: "Compressed",
    0x8021: "IPCP",
    0x8057: "IPV6CP",
    0x80FD: "CCP",
    0xC021: "LCP",
    PAP: "PAP",
    0xC025: "LQR",
    0xC223: "CHAP",
    0xC227: "EAP",
}
_CODES = {
    1: "Configure-Request",
    2: "Configure-Ack",
    3: "Configure-Nak",
    4: "Configure-Reject",
    5: "Terminate-Request",
    6: "Terminate-Ack",
    7: "Code-Reject",
    8: "Protocol-Reject",
    9: "Echo-Request",
    10: "Echo-Reply",
    11: "Discard-Request",
    12: "Identification",
    13: "Time-Remaining",
}
_CHAP_CODES = {1: "Challenge", 2: "Response", 3: "Success", 4: "Failure"}
_PAP_CODES = {1: "Authenticate-Request", 2: "Authenticate-Ack", 3: "Authenticate-Nak"}
_NEGOTIATING = frozenset({"LCP", "IPCP", "CCP", "IPV6CP"})

# protocol → option → (name, form)
_OPTIONS: dict[str, dict[int, tuple[str, str]]] = {
    "LCP": {
        1: ("MRU", "number"),
        2: ("ACCM", "hex"),
        3: ("Authentication", "authentication"),
        4: ("Quality", "hex"),
        5: ("Magic", "hex"),
        7: ("PFC", "none"),
        8: ("ACFC", "none"),
        13: ("Callback", "hex"),
        17: ("MRRU", "number"),
        19: ("Endpoint", "hex"),
    },
    "IPCP": {
        2: ("IP-Compression", "hex"),
        3: ("IP-Address", "address"),
        129: ("Primary-DNS", "address"),
        130: ("Primary-NBNS", "address"),
        131: ("Secondary-DNS", "address"),
        132: ("Secondary-NBNS", "address"),
    },
    "CCP": {18: ("MPPC", "hex"), 26: ("Deflate", "hex"), 21: ("BSD", "hex")},
    "IPV6CP": {1: ("Interface-ID", "hex")},
}
_CHAP_ALGORITHMS = {5: "chap-md5", 128: "mschap", 129: "mschapv2"}


class Option(Item):
    name = "option"
    fields_desc = [  # noqa: RUF012 - scapy's own way of declaring fields
        ByteField("type", 0),
        ByteField("size", 2),
        StrLenField("data", b"", length_from=lambda option: max(option.size - 2, 0)),
    ]


class ControlPacket(Packet):
    name = "PPP control packet"
    fields_desc = [ByteField("code", 0), ByteField("id", 0), ShortField("size", 4), StrField("data", b"")]  # noqa: RUF012


class Options(Packet):
    name = "PPP options"
    fields_desc = [PacketListField("options", [], Option, max_count=100)]  # noqa: RUF012


class ChapValue(Packet):
    name = "CHAP challenge or response"
    fields_desc = [  # noqa: RUF012
        FieldLenField("size", None, length_of="value", fmt="B"),
        StrLenField("value", b"", length_from=lambda chap: chap.size),
        StrField("name_field", b""),
    ]


@dataclass(frozen=True, slots=True)
class PppFrame:
    """`facts` and `mark` as Inner wants them; `problem` where the frame is sound but what it carries is not.

    `secret` is where a PAP password stands in the frame: (offset, length).
    """

    facts: dict[str, Any]
    mark: dict[str, Any] | None = None
    problem: str | None = None
    secret: tuple[int, int] | None = None


def read_ppp(frame: bytes) -> PppFrame:
    """ProtocolError (layer "ppp") where not even the protocol can be told; what is damaged further in is `problem`."""
    start = 2 if frame[:2] == b"\xff\x03" else 0
    if len(frame) < start + 1:
        raise ProtocolError("ppp", f"a frame of {len(frame)} bytes")
    if frame[start] & 1:
        number, start = frame[start], start + 1
    elif len(frame) < start + 2:
        raise ProtocolError("ppp", "the frame ends in its protocol field", start)
    else:
        number, start = int.from_bytes(frame[start : start + 2]), start + 2
    protocol = _PROTOCOLS.get(number, f"{number:#06x}")
    body, facts = frame[start:], {"protocol": protocol}
    try:
        if number == IP:
            mark = read_ip(body, facts)
            return PppFrame(facts, mark)
        if protocol in _NEGOTIATING or protocol in ("CHAP", "PAP", "EAP"):
            secret = _control(protocol, body, facts)
            return PppFrame(facts, secret=None if secret is None else (start + secret[0], secret[1]))
    except ProtocolError as error:
        return PppFrame(facts, problem=str(error))
    return PppFrame(facts)


def read_ip(packet: bytes, facts: dict[str, Any]) -> dict[str, Any] | None:
    """Fills `facts` with src, dst, ttl, ip_protocol and for ICMP its type; returns the mark of a marked echo, None for all else."""
    ip = ip_packet(packet)
    facts.update(src=ip.src, dst=ip.dst, ttl=ip.ttl, ip_protocol=ip.protocol, ip_length=len(ip.header) + len(ip.payload))
    if ones_sum(ip.header) != 0:
        raise ProtocolError("ip", "the header's checksum is wrong", 10)
    if ip.protocol != ICMP or ip.is_fragment:
        return None
    return read_icmp(ip.payload, facts["ip_length"], facts)


def read_icmp(icmp: bytes, packet_length: int, facts: dict[str, Any]) -> dict[str, Any] | None:
    if len(icmp) < 8:
        raise ProtocolError("icmp", f"{len(icmp)} bytes, the header takes 8")
    facts.update(icmp_type=icmp[0], icmp_code=icmp[1])
    if ones_sum(icmp) != 0:
        raise ProtocolError("icmp", "the checksum is wrong", 2)
    if icmp[0] not in (0, 8):
        return None
    facts.update(icmp_id=int.from_bytes(icmp[4:6]), icmp_sequence=int.from_bytes(icmp[6:8]))
    return read_mark(icmp[8:], packet_length, icmp[0] == 0)


def _control(protocol: str, body: bytes, facts: dict[str, Any]) -> tuple[int, int] | None:
    layer = protocol.lower()
    if len(body) < 4:
        raise ProtocolError(layer, f"{len(body)} bytes, the header takes 4")
    packet = read(layer, ControlPacket, body)
    names = {"CHAP": _CHAP_CODES, "PAP": _PAP_CODES}.get(protocol, _CODES)
    facts.update(code=names.get(packet.code, f"code {packet.code}"), id=packet.id)
    if not 4 <= packet.size <= len(body):
        raise ProtocolError(layer, f"it says {packet.size} bytes, {len(body)} are there", 2)
    data = body[4 : packet.size]
    if protocol in _NEGOTIATING:
        _negotiation(protocol, layer, packet.code, data, facts)
    elif protocol == "CHAP":
        _chap(packet.code, data, facts)
    elif protocol == "PAP":
        return _pap(packet.code, data, facts)
    return None


def _negotiation(protocol: str, layer: str, code: int, data: bytes, facts: dict[str, Any]) -> None:
    if 1 <= code <= 4:
        facts["options"] = _options(protocol, layer, data)
    elif protocol == "LCP" and 9 <= code <= 13 and len(data) >= 4:
        facts["magic"] = data[:4].hex()
    elif protocol == "LCP" and code == 8 and len(data) >= 2:
        rejected = int.from_bytes(data[:2])
        facts["rejected"] = _PROTOCOLS.get(rejected, f"{rejected:#06x}")
    elif code in (5, 6) and data:
        facts["message"] = data.decode("utf-8", "backslashreplace")


def _options(protocol: str, layer: str, data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    table = _OPTIONS.get(protocol, {})
    at = 0
    for option in whole(layer, Option, read(layer, Options, data).options if data else ()):
        if option.size < 2 or len(option.data) != option.size - 2:
            raise ProtocolError(layer, f"an option says {option.size} bytes, {2 + len(option.data)} are there", 4 + at)
        at += option.size
        name, form = table.get(option.type, (f"option {option.type}", "hex"))
        found[name] = _option(form, option.data)
    if at != len(data):
        raise ProtocolError(layer, f"options end at {at} of {len(data)} bytes", 4 + at)
    return found


def _option(form: str, data: bytes) -> Any:
    if form == "number":
        return int.from_bytes(data)
    if form == "address" and len(data) == 4:
        return inet_ntoa(data)
    if form == "authentication" and len(data) >= 2:
        protocol = _PROTOCOLS.get(int.from_bytes(data[:2]), data[:2].hex())
        return _CHAP_ALGORITHMS.get(data[2], f"chap-{data[2]}") if protocol == "CHAP" and len(data) == 3 else protocol.lower()
    return True if form == "none" else data.hex()


def _chap(code: int, data: bytes, facts: dict[str, Any]) -> None:
    if code not in (1, 2):
        facts["message"] = data.decode("utf-8", "backslashreplace")
        return
    chap = read("chap", ChapValue, data)
    if not data or len(chap.value) != chap.size:
        raise ProtocolError("chap", f"the value ends after {len(data)} bytes")
    facts.update(value_size=chap.size, name=bytes(chap.name_field).decode("utf-8", "backslashreplace"))


def _pap(code: int, data: bytes, facts: dict[str, Any]) -> tuple[int, int] | None:
    """Names the user. Returns where in the PAP packet the password stands; the password itself is never given out."""
    if code != 1:
        return None
    if not data or len(data) < 2 + data[0]:
        raise ProtocolError("pap", f"the peer ID ends after {len(data)} bytes")
    facts["name"] = data[1 : 1 + data[0]].decode("utf-8", "backslashreplace")
    size = data[1 + data[0]]
    if len(data) < 2 + data[0] + size:
        raise ProtocolError("pap", f"the password ends after {len(data)} bytes")
    return 4 + 2 + data[0], size
