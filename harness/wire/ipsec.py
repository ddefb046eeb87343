"""What carries a client's L2TP messages to its gateway: ESP SAs under IKE (`Ipsec`), or the bare UDP port (`NoIpsec`).

Where IKE found a NAT, ESP goes in UDP port 4500 (RFC 3948) and IKE has floated there; where it found none, IKE stays on port 500
and ESP is IP protocol 50 (RFC 3947 §4). A packet that comes in the other way than its SA agreed on is refused. In transport mode
ESP holds the UDP datagram, in tunnel mode a whole IP packet between the two hosts themselves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Protocol

from harness.errors import ProtocolError
from harness.wire import events, ip
from harness.wire.config import Entropy, IkeConfig, StackConfig
from harness.wire.esp import InboundSa, OutboundSa, spi_of
from harness.wire.ike.core import IkeCore
from harness.wire.l2tp import inner_packet
from harness.wire.packet import ESP, IP_IN_IP

IKE_PORT = 500
NATT_PORT = 4500
L2TP_PORT = 1701
MARKER = bytes(4)
KEEPALIVE = b"\xff"


class Carrier(Protocol):
    """`ready`: an L2TP message would go out now. Of an incoming datagram `receive` returns the L2TP message in it, if any, and
    raises ProtocolError for what it refuses."""

    @property
    def ready(self) -> bool: ...

    @property
    def deadline(self) -> float | None: ...

    def take_datagrams(self) -> list[events.Datagram]: ...

    def take_events(self) -> list[events.Event]: ...

    def start(self, now: float) -> None: ...

    def close(self, now: float) -> None: ...

    def tick(self, now: float) -> None: ...

    def send(self, now: float, message: bytes) -> None: ...

    def receive(self, now: float, local_port: int, payload: bytes, protocol: int) -> bytes | None: ...

    def rekey_ipsec(self, now: float) -> None: ...

    def rekey_ike(self, now: float) -> None: ...

    def delete_ipsec(self, now: float) -> None: ...


def carrier(config: StackConfig, entropy: Entropy, ipsec: type[Ipsec]) -> Carrier:
    """The one that the configuration asks for: `ipsec`, or none."""
    if config.ike is None:
        return NoIpsec(config.l2tp_port)
    return ipsec(replace(config.ike, l2tp_port=config.l2tp_port), entropy, checksummed=config.udp_checksum == "full")


class Ipsec:
    """IKE, the ESP SAs it brings up (`pairs`, by inbound SPI, newest last), and the UDP header between ESP and L2TP.

    `checksummed`: whether the inner UDP header carries a checksum. It covers the client's own view of its address, which no NAT
    can mend inside ESP; a sender may leave it out (RFC 3948 §3.1.2).
    """

    ike_type: ClassVar[type[IkeCore]] = IkeCore
    inbound_type: ClassVar[type[InboundSa]] = InboundSa
    outbound_type: ClassVar[type[OutboundSa]] = OutboundSa

    def __init__(self, config: IkeConfig, entropy: Entropy, *, checksummed: bool = True) -> None:
        if config.ah_proposals:
            raise ValueError("AH covers the IP header, which this stack does not write")
        self.config = config
        self.pairs: dict[int, tuple[InboundSa, OutboundSa, str]] = {}
        self._entropy = entropy
        self._checksummed = checksummed
        self._ike = self.ike_type(config, entropy)
        self._here = ip.packed(config.address)
        self._there = ip.packed(config.peer_address)
        self._identification = 0  # of the last inner IP packet, in tunnel mode
        self._datagrams: list[events.Datagram] = []
        self._events: list[events.Event] = []

    @property
    def ready(self) -> bool:
        return bool(self.pairs)

    @property
    def deadline(self) -> float | None:
        return self._ike.deadline

    def take_datagrams(self) -> list[events.Datagram]:
        taken, self._datagrams = self._datagrams + self._ike.take_datagrams(), []
        return taken

    def take_events(self) -> list[events.Event]:
        self._hear()
        told, self._events = self._events, []
        return told

    def _hear(self) -> None:
        for event in self._ike.take_events():
            if isinstance(event, events.EspUp):
                self._install(event)
            elif isinstance(event, events.EspDown):
                self.pairs.pop(event.spi_in, None)
            self._events.append(event)

    def start(self, now: float) -> None:
        self._ike.start(now)

    def close(self, now: float) -> None:
        self._ike.close(now)

    def tick(self, now: float) -> None:
        self._ike.tick(now)

    def rekey_ipsec(self, now: float) -> None:
        self._ike.rekey_ipsec(now)

    def rekey_ike(self, now: float) -> None:
        self._ike.rekey_ike(now)

    def delete_ipsec(self, now: float) -> None:
        self._ike.delete_ipsec(now)

    def send(self, now: float, message: bytes) -> None:
        """Into the newest outbound SA. Without one the message is lost, as it is under an IPsec policy."""
        if not self.pairs:
            return
        spi_in = self._spi_for_sending()
        _, outbound, encapsulation = self.pairs[spi_in]
        ports = self.config.l2tp_port, L2TP_PORT
        datagram = ip.build_udp(self._here, self._there, *ports, message, checksummed=self._checksummed)
        try:
            sealed = outbound.seal(*self._wrapped(encapsulation, datagram))
        except ProtocolError as error:
            self._events.append(events.Refused(error.layer, error.reason))
            return
        if encapsulation.startswith("udp"):
            self._datagrams.append(events.Datagram(NATT_PORT, NATT_PORT, sealed))
        else:
            self._datagrams.append(events.Datagram(0, 0, sealed, ESP))
        self._ike.note_traffic(now, received=False)
        self._ike.spend(now, spi_in, outbound.octets)

    def _spi_for_sending(self) -> int:
        """The inbound SPI of the pair that the next packet goes into."""
        return next(reversed(self.pairs))

    def _wrapped(self, encapsulation: str, datagram: bytes) -> tuple[int, bytes]:
        """(next header, what ESP holds)."""
        if not encapsulation.endswith("tunnel"):
            return ip.UDP, datagram
        self._identification = self._identification + 1 & 0xFFFF
        ends = self.config.address, self.config.peer_address
        return IP_IN_IP, ip.build_ipv4(*ends, ip.UDP, datagram, identification=self._identification)

    def _unwrapped(self, next_header: int, payload: bytes) -> tuple[int, bytes]:
        """What lies in the inner IP packet, which has to be one from the peer to us (RFC 4301 §5.2): (protocol, payload)."""
        if next_header != IP_IN_IP:
            raise ProtocolError("esp", f"next header {next_header} in tunnel mode")
        inner = ip.parse_ipv4(payload)
        ends = inner.source, inner.destination
        if ends != (self.config.peer_address, self.config.address) or inner.fragment:
            what = "a fragment" if inner.fragment else "an inner packet"
            raise ProtocolError("esp", f"{what} from {ends[0]} to {ends[1]}, which the tunnel is not for")
        return inner.protocol, inner.payload

    def receive(self, now: float, local_port: int, payload: bytes, protocol: int) -> bytes | None:
        if protocol == ESP:
            return self._open(now, payload, in_udp=False)
        if protocol != ip.UDP:
            raise ProtocolError("stack", f"IP protocol {protocol} is not served")
        if local_port == IKE_PORT:
            self._isakmp(now, payload, IKE_PORT)
        elif local_port == self.config.l2tp_port:
            raise ProtocolError("stack", f"L2TP in the clear came to port {local_port}, where the policy asks for IPsec")
        elif local_port != NATT_PORT:
            raise ProtocolError("stack", f"port {local_port} is not served")
        elif payload[:4] == MARKER:
            self._isakmp(now, payload[4:], NATT_PORT)
        elif payload != KEEPALIVE:
            return self._open(now, payload, in_udp=True)
        return None

    def _isakmp(self, now: float, message: bytes, local_port: int) -> None:
        self._ike.receive(now, message, local_port)
        self._hear()  # the SAs that it brings are wanted for the very next packet

    def _open(self, now: float, packet: bytes, *, in_udp: bool) -> bytes | None:
        spi = spi_of(packet)
        known = self.pairs.get(spi)
        if known is None:
            raise ProtocolError("esp", f"unknown SPI {spi:08x}")
        inbound, _, encapsulation = known
        if encapsulation.startswith("udp") is not in_udp:
            came = "in UDP" if in_udp else "as IP protocol 50"
            raise ProtocolError("esp", f"SA {spi:08x} is {encapsulation}, its packet came {came}")
        next_header, payload = inbound.open(packet)
        self._ike.note_traffic(now, sent=False)
        self._ike.spend(now, spi, inbound.octets)
        if encapsulation.endswith("tunnel"):
            next_header, payload = self._unwrapped(next_header, payload)
        if next_header != ip.UDP:
            inner = payload if next_header == IP_IN_IP else None
            self._events.append(events.Strange("esp", f"next header {next_header} is not UDP", None, None, inner))
            return None
        # The checksum is not judged: the gateway computed it over addresses that the NAT has changed since (RFC 3948 §3.1.2).
        datagram = ip.parse_udp(payload)
        if datagram.dport != self.config.l2tp_port:
            ports = f"UDP {datagram.sport} to {datagram.dport} is not L2TP to port {self.config.l2tp_port}"
            self._events.append(events.Strange("udp", ports, None, None, inner_packet(datagram.payload)))
            return None
        return datagram.payload

    def _install(self, event: events.EspUp) -> None:
        names = event.encryption, event.authentication
        self.pairs[event.spi_in] = (
            self.inbound_type(event.spi_in, *names, event.key_in, event.auth_key_in),
            self.outbound_type(event.spi_out, *names, event.key_out, event.auth_key_out, self._entropy),
            event.encapsulation,
        )


class NoIpsec:
    """L2TP in the clear, from `port` to the peer's 1701: always ready, and nothing about it to start, renew or end."""

    ready = True
    deadline = None

    def __init__(self, port: int) -> None:
        self._port = port
        self._datagrams: list[events.Datagram] = []

    def take_datagrams(self) -> list[events.Datagram]:
        taken, self._datagrams = self._datagrams, []
        return taken

    def take_events(self) -> list[events.Event]:
        return []

    def start(self, now: float) -> None:
        """Nothing comes before L2TP."""

    def close(self, now: float) -> None:
        """Nothing outlives L2TP."""

    def tick(self, now: float) -> None:
        """Nothing is ever due."""

    def send(self, now: float, message: bytes) -> None:
        self._datagrams.append(events.Datagram(self._port, L2TP_PORT, message))

    def receive(self, now: float, local_port: int, payload: bytes, protocol: int) -> bytes | None:
        if protocol != ip.UDP or local_port != self._port:
            what = f"port {local_port}" if protocol == ip.UDP else f"IP protocol {protocol}"
            raise ProtocolError("stack", f"{what} is not served: there is no IPsec here")
        return payload

    def rekey_ipsec(self, now: float) -> None:
        self._none("rekey")

    def rekey_ike(self, now: float) -> None:
        self._none("rekey")

    def delete_ipsec(self, now: float) -> None:
        self._none("delete")

    def _none(self, order: str) -> None:
        raise ProtocolError("stack", f"there is no SA to {order}: this client does without IPsec")
