"""Structure-aware spoiling: payload chains of IKE, AVPs of L2TP, options of PPP, headers of IP.

What is taken apart here is well-formed traffic of our own; where it turns out to be none, bytes are changed instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from fuzzing.mutation import LONGEST, Mutator
from harness.errors import ProtocolError
from harness.wire import ip
from harness.wire.ike import registry
from harness.wire.l2tp import header
from harness.wire.ppp import frame, packet

Payload = tuple[int, bytes]
KINDS = tuple(registry.PAYLOADS)
PROTOCOLS = tuple(frame.Protocol)


def payloads(mutator: Mutator, chain: Sequence[Payload], others: Sequence[Payload]) -> list[Payload]:
    """An IKE chain: payloads dropped, doubled, of another type, changed in their bodies."""
    bodies = [body for _, body in others]

    def spoil(one: Payload) -> Payload:
        if mutator.chance(0.15):
            return mutator.choice.choice(KINDS), one[1]
        return one[0], mutator.spoil(one[1], bodies)[:LONGEST]

    return mutator.items(chain, others, spoil)


def l2tp(mutator: Mutator, data: bytes, others: Sequence[bytes]) -> bytes:
    """A control message by its AVPs, now and then with numbers that fit the window; a data message by the PPP frame in it."""
    try:
        message = header.parse(data)
    except ProtocolError:
        return mutator.spoil(data, others)
    if not message.control:
        made = header.build_data(message.tunnel, message.session, ppp(mutator, message.body, ()))
        return made if mutator.chance(0.8) else mutator.spoil(made, others)
    lent = [avp for other in (mutator.choice.choice(others),) for avp in _avps(other)] if others else []
    spoilt = b"".join(mutator.items(_avps(data), lent, lambda avp: _avp(mutator, bytes(avp))))
    ns, nr = message.ns or 0, message.nr or 0
    if mutator.chance(0.3):
        ns = ns + mutator.choice.choice((-1, 1, 2, 8, 0x8000)) & 0xFFFF
    if mutator.chance(0.2):
        nr = nr + mutator.choice.choice((-1, 1, 2, 8, 0x8000)) & 0xFFFF
    session = message.session if mutator.chance(0.8) else mutator.choice.choice((0, 1, 0xFFFF))
    made = header.build_control(message.tunnel, session, ns, nr, spoilt)
    return made if mutator.chance(0.85) else mutator.spoil(made, others)


def _avps(data: bytes) -> list[bytes]:
    try:
        body = header.parse(data).body
    except ProtocolError:
        return []
    found = []
    while len(body) >= 6 and (size := int.from_bytes(body[:2]) & 0x3FF) >= 6:
        found.append(body[:size])
        body = body[size:]
    return found


def _avp(mutator: Mutator, avp: bytes) -> bytes:
    """One AVP: its value changed under a length that fits, its flags, its number, or anything."""
    match mutator.choice.randrange(4):
        case 0:
            value = mutator.spoil(avp[6:])[:1000]
            return (int.from_bytes(avp[:2]) & 0xFC00 | len(value) + 6).to_bytes(2) + avp[2:6] + value
        case 1:
            return (int.from_bytes(avp[:2]) ^ mutator.choice.choice((0x8000, 0x4000, 0x0400, 0xC000))).to_bytes(2) + avp[2:]
        case 2:
            return avp[:4] + mutator.choice.randrange(42).to_bytes(2) + avp[6:]
        case _:
            return mutator.spoil(avp)


def ppp(mutator: Mutator, data: bytes, others: Sequence[bytes]) -> bytes:
    """A frame: its protocol, the code and identifier of its packet, the options in that."""
    try:
        protocol, information = frame.parse(data)
    except ProtocolError:
        return mutator.spoil(data, others)
    if mutator.chance(0.1):
        protocol = mutator.choice.choice(PROTOCOLS)
    if protocol == frame.Protocol.IP:
        return frame.build(protocol, inner(mutator, information))
    try:
        parsed = packet.parse("ppp", information)
        options = packet.parse_options("ppp", parsed.data)
    except ProtocolError:
        return frame.build(protocol, mutator.spoil(information, others))
    code = parsed.code if mutator.chance(0.6) else mutator.choice.randrange(16)
    identifier = parsed.identifier if mutator.chance(0.7) else mutator.choice.randrange(256)
    if mutator.chance(0.5):
        body = packet.build_options(mutator.items(options, options, lambda one: _option(mutator, one)))
    else:
        body = mutator.spoil(parsed.data, others)
    made = frame.build(protocol, packet.build(packet.Packet(code, identifier, body)))
    return made if mutator.chance(0.85) else mutator.spoil(made, others)


def _option(mutator: Mutator, option: packet.Option) -> packet.Option:
    kind = option.type if mutator.chance(0.7) else mutator.choice.choice((0, 1, 2, 3, 4, 5, 7, 8, 13, 17, 129, 130, 131, 132, 255))
    return packet.Option(kind, mutator.spoil(option.value)[:250] if mutator.chance(0.7) else option.value)


def inner(mutator: Mutator, data: bytes, addresses: Sequence[bytes] = ()) -> bytes:
    """An IP packet; half of them with a header whose checksum is right again, from or to one of `addresses`."""
    spoilt = bytearray(mutator.spoil(data))
    if len(spoilt) >= 20 and mutator.chance(0.6):
        if addresses:
            at = mutator.choice.choice((12, 16))
            spoilt[at : at + 4] = mutator.choice.choice(addresses)
        size = (spoilt[0] & 15) * 4
        if mutator.chance(0.7):
            spoilt[0], spoilt[2:4], size = 0x45, min(len(spoilt), 0xFFFF).to_bytes(2), 20
        if 20 <= size <= len(spoilt):
            spoilt[10:12] = bytes(2)
            spoilt[10:12] = ip.checksum(bytes(spoilt[:size])).to_bytes(2)
    return bytes(spoilt)
