"""What a LAC hands over of a link that it has begun (RFC 2661 §4.4.5), read off the frames that pass between caller and LAC.

Whoever owns the LAC's PPP core shows every frame in both directions before it goes on; `answered` says when the caller has told who
it is. The answer itself is then to be judged by the LNS, or by the LAC's own core where the call is not tunnelled.
"""

from __future__ import annotations

from enum import IntEnum

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.ppp import frame
from harness.wire.ppp.frame import Protocol
from harness.wire.ppp.packet import Code, Packet, parse, readable
from harness.wire.proxy import AuthenType, Proxy


class _Chap(IntEnum):
    CHALLENGE = 1
    RESPONSE = 2


PAP_REQUEST = 1


class Handover:
    """`user` is the name that the caller gave, "" before that. Malformed frames are passed over: the core refuses them."""

    def __init__(self) -> None:
        self.user = ""
        self._initial = self._sent = self._received = b""
        self._asked: dict[int, bytes] = {}  # what the caller has asked for, by identifier
        self._challenge: tuple[int, bytes] | None = None
        self._answer: tuple[AuthenType, int, bytes, bytes] | None = None  # type, identifier, challenge, response

    @property
    def answered(self) -> bool:
        return self._answer is not None

    def proxy(self) -> Proxy:
        """Once there is an answer."""
        if self._answer is None:
            raise ProtocolError("ppp", "the caller has not said who it is")
        kind, identifier, challenge, response = self._answer
        return Proxy(self._initial, self._sent, self._received, kind, self.user, challenge, identifier, response)

    def incoming(self, data: bytes) -> None:
        """A frame of the caller's."""
        found = _read(data)
        if found is None:
            return
        protocol, packet = found
        if protocol == Protocol.LCP and packet.code == Code.CONFIGURE_REQUEST:
            self._initial = self._initial or packet.data
            self._asked = {packet.identifier: packet.data}
        elif protocol == Protocol.LCP and packet.code == Code.CONFIGURE_ACK:
            self._sent = packet.data
        elif protocol == Protocol.CHAP and packet.code == _Chap.RESPONSE:
            self._responded(packet)
        elif protocol == Protocol.PAP and packet.code == PAP_REQUEST:
            self._requested(packet)

    def outgoing(self, data: bytes) -> None:
        """A frame of the LAC's own core."""
        found = _read(data)
        if found is None:
            return
        protocol, packet = found
        if protocol == Protocol.LCP and packet.code == Code.CONFIGURE_ACK:
            self._received = self._asked.get(packet.identifier, self._received)
        elif protocol == Protocol.CHAP and packet.code == _Chap.CHALLENGE and packet.data:
            self._challenge = packet.identifier, packet.data[1 : 1 + packet.data[0]]

    def _responded(self, packet: Packet) -> None:
        if self._challenge is None or self._challenge[0] != packet.identifier or not packet.data:
            return
        size = packet.data[0]
        self.user = readable(packet.data[1 + size :])
        self._answer = AuthenType.CHAP, packet.identifier, self._challenge[1], packet.data[1 : 1 + size]

    def _requested(self, packet: Packet) -> None:
        reader = Reader("pap", packet.data)
        try:
            user = reader.take(reader.u8("peer ID length"), "peer ID")
            password = reader.take(reader.u8("password length"), "password")
        except ProtocolError:
            return
        self.user = readable(user)
        self._answer = AuthenType.PAP, packet.identifier, b"", password


def is_echo(data: bytes) -> bool:
    """Whether a frame is an LCP Echo-Request, which is answered whoever will have the link in the end."""
    found = _read(data)
    return found is not None and found[0] == Protocol.LCP and found[1].code == Code.ECHO_REQUEST


def _read(data: bytes) -> tuple[int, Packet] | None:
    """(protocol, packet) of a frame that holds LCP, CHAP or PAP."""
    try:
        protocol, information = frame.parse(data)
        if protocol not in (Protocol.LCP, Protocol.CHAP, Protocol.PAP):
            return None
        return protocol, parse("ppp", information)
    except ProtocolError:
        return None
