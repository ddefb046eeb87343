"""The NAT without its interfaces: whole IPv4 packets in on one side, out on the other, as a personality's parts translate them.

Fragments are packets here too. Packets come in by `receive`, go out by `take_packets`; `tick` has to be called at `deadline`. What
goes nowhere is counted in `dropped` by reason, and never raises: any bytes may come in.
"""

from __future__ import annotations

import heapq
import ipaddress
import itertools
from collections import Counter
from dataclasses import replace
from typing import Literal

from harness.nat import icmp_errors
from harness.nat.draws import Entropy
from harness.nat.headers import (
    AH,
    ECHO_REPLY,
    ECHO_REQUEST,
    ESP,
    ICMP,
    IKE,
    MORE_FRAGMENTS,
    OFFSET,
    TCP,
    UDP,
    change,
    dotted,
    header_length,
    packed,
)  # fmt: skip
from harness.nat.ios import addressed
from harness.nat.ios.esp import HeldEsp
from harness.nat.ios.segment import RST
from harness.nat.ios.tcp import Flow, Tcp
from harness.nat.link import Link
from harness.nat.parts import Parts, Translator, build
from harness.nat.personality import Personality
from harness.nat.state import Dropped, State
from harness.nat.table import Mapping, Session

Side = Literal["inside", "outside"]
INSIDE: Side = "inside"
OUTSIDE: Side = "outside"

_FRAGMENT_HIGH = MORE_FRAGMENTS >> 8 | OFFSET >> 8
_MORE_HIGH = MORE_FRAGMENTS >> 8


class NatCore:
    """A NAT between the prefix `inside` ("10.0.0.0/24") and the world, known there by the address `outside`.

    `parts` takes the place of what `personality` says. With equal entropy and calls it does the same, packet for packet.
    """

    def __init__(
        self, personality: Personality, *, outside: str, inside: str, entropy: Entropy, parts: Parts | None = None
    ) -> None:
        network = ipaddress.IPv4Network(inside)
        self.personality = personality
        self.parts = build(personality, entropy) if parts is None else parts
        self.dropped: Counter[str] = Counter()
        self.passed: Counter[Side] = Counter()
        """Packets that went out, by the side on which they did."""
        self._network, self._mask = int(network.network_address), int(network.netmask)
        self._state = State(self.parts, packed(outside))
        self._ready: list[tuple[Side, bytes]] = []
        self._flying: list[tuple[float, int, Side, bytes]] = []
        self._order = itertools.count()

    # --- packets and time ---

    def receive(self, now: float, side: Side, packet: bytes) -> None:
        """A packet has come in on `side`. Bytes behind the packet's total length, such as an Ethernet frame's padding, are
        ignored."""
        self._state.now = now
        try:
            at = header_length(packet)
            if not at:
                raise Dropped("malformed")
            total = packet[2] << 8 | packet[3]
            if total < len(packet):
                packet = packet[:total]
            if packet[8] <= 1:
                raise Dropped("TTL")
            if self.parts.translator is None:
                self._route(side, packet)
            elif side == INSIDE:
                self._up(self.parts.translator, packet, at)
            else:
                self._down(self.parts.translator, packet, at)
        except Dropped as dropped:
            self.dropped[dropped.reason] += 1

    def tick(self, now: float) -> None:
        """Lets time pass: mappings expire, delayed packets arrive."""
        self._state.now = now
        self._state.table.expire(now)
        while self._flying and self._flying[0][0] <= now:
            _, _, side, packet = heapq.heappop(self._flying)
            self._ready.append((side, packet))
        self.retry()

    def retry(self) -> None:
        """Tries the packets anew that wait for what may have ended by now."""
        how = self.parts.translator
        if how is None or how.held is None or not how.held:
            return
        for since, packet in how.held.take(self._state.now):
            how.held.since = since
            try:
                self._up(how, packet, header_length(packet))
            except Dropped as dropped:
                self.dropped[dropped.reason] += 1
        how.held.since = None

    @property
    def deadline(self) -> float | None:
        expiry = self._state.table.deadline
        if not self._flying:
            return expiry
        return self._flying[0][0] if expiry is None else min(expiry, self._flying[0][0])

    def take_packets(self) -> list[tuple[Side, bytes]]:
        """(the side on which it goes out, the packet), in order."""
        taken, self._ready = self._ready, []
        return taken

    # --- what can be asked and ordered ---

    @property
    def outside(self) -> str:
        return dotted(self._state.outside)

    @property
    def now(self) -> float:
        """What time it was said to be last."""
        return self._state.now

    def outside_addresses(self) -> tuple[bytes, ...]:
        """Those that packets from outside may be for."""
        how = self.parts.translator
        more = () if how is None or how.addresses is None else how.addresses.outsides()
        return (self._state.outside, *more)

    def install(self) -> None:
        """Puts static translations into the table."""
        how = self.parts.translator
        if how is not None and how.addresses is not None:
            how.addresses.install(self._state)

    def mappings(self) -> tuple[Mapping, ...]:
        """The table as of the last call that said what time it is, by inside address and port."""
        return self._state.table.rows(self._state.now)

    def forget(self, inside: str | None = None) -> int:
        """Drops the mappings of one inside address, or all; how many there were."""
        return self._state.table.forget(None if inside is None else packed(inside))

    def reboot(self, now: float) -> None:
        """Everything that is held in memory is gone, packets under way included; the allocator begins anew."""
        self._state.now = now
        self._ready.clear()
        self._flying.clear()
        self._state.table.clear()
        self.parts.fragments_up.clear()
        self.parts.fragments_down.clear()
        if (translator := self.parts.translator) is not None:
            translator.allocator.reset()
            translator.portless.reset()
            if translator.tcp is not None:
                translator.tcp.reset()
            if translator.ike is not None:
                translator.ike.reset()
        self.install()

    def renumber(self, now: float, outside: str) -> None:
        """A new outside address, as after a new lease: no mapping of the old one lives on."""
        address = packed(outside)
        self.forget()
        self._state.now = now
        self._state.outside = address
        self.install()

    def set_udp_timeout(self, seconds: float, stream_seconds: float | None = None) -> None:
        """How long a UDP mapping outlives its last packet: before an answer was seen, and after (default: the same)."""
        self._state.timers.udp_s = seconds
        self._state.timers.udp_stream_s = seconds if stream_seconds is None else stream_seconds

    def set_ports(self, first: int, last: int) -> None:
        """The outside ports that mappings made from now on get."""
        if (translator := self.parts.translator) is not None:
            translator.allocator.ports = replace(translator.allocator.ports, first=first, last=last)

    # --- from inside ---

    def _up(self, how: Translator, packet: bytes, at: int) -> None:
        parts, state = self.parts, self._state
        if how.addresses is not None:
            self._check_up(packet)
            own = addressed.outward(state, how.addresses, how.tcp, parts.rewriter, packet, at)
            if own is not None:
                self._send(OUTSIDE, parts.up, own)
                return
            if not how.overloads:
                raise Dropped("no address")
        fragment = packet[6] & _FRAGMENT_HIGH or packet[7]
        if fragment and (packet[6] << 8 | packet[7]) & OFFSET:
            session, waits = parts.fragments_up.further(state.now, packet)
            if session is not None:
                self._send(OUTSIDE, parts.up, parts.rewriter.outward(packet, 0, session))
            elif not waits:
                raise Dropped("fragment")
            return
        protocol = packet[9]
        if protocol == UDP:
            session = self._udp_up(how, packet, at)
        elif protocol == ICMP:
            if len(packet) < at + 8:
                raise Dropped("malformed")
            if icmp_errors.is_error(packet, at):
                self._error_up(packet, at)
                return
            session = self._echo_up(how, packet, at)
        elif protocol in (ESP, AH):
            self._check_up(packet)
            answered = how.portless.outward(state, packet, at)
            if answered is None:
                return
            session = answered
        elif protocol == TCP and how.tcp is not None:
            session, packet = self._tcp_up(how, how.tcp, packet, at)
        else:
            raise Dropped("protocol")
        session.up += 1
        how.timers.outbound(state.now, session.binding)
        if how.payload is not None and protocol == UDP and not fragment:
            packet = _with_payload(packet, at, how.payload.outward(session, packet[at + 8 :]))
        self._send(OUTSIDE, parts.up, parts.rewriter.outward(packet, at, session))
        if packet[6] & _MORE_HIGH:
            for piece in parts.fragments_up.first(state.now, packet, session):
                self._send(OUTSIDE, parts.up, parts.rewriter.outward(piece, 0, session))

    def _udp_up(self, how: Translator, packet: bytes, at: int) -> Session:
        if len(packet) < at + 8:
            raise Dropped("malformed")
        ports = packet[at : at + 4]
        if how.ike is not None and ports == IKE:
            self._check_up(packet)
            helped = how.ike.outward(self._state, packet, at)
            if helped is not None:
                return helped
        key = packet[12:20] + ports
        found = how.table.find_leaving(self._state.now, UDP, key)
        return self._admit(how, packet, UDP, key, int.from_bytes(ports[:2]), int.from_bytes(ports[2:])) if found is None else found

    def _echo_up(self, how: Translator, packet: bytes, at: int) -> Session:
        if packet[at] != ECHO_REQUEST:
            raise Dropped("ICMP type")
        key = packet[12:20] + packet[at + 4 : at + 6]
        found = how.table.find_leaving(self._state.now, ICMP, key)
        return self._admit(how, packet, ICMP, key, int.from_bytes(key[8:]), 0) if found is None else found

    def _admit(self, how: Translator, packet: bytes, protocol: int, key: bytes, port: int, remote_port: int) -> Session:
        """A session for a flow that has none: below the binding that its endpoint has, or a new one."""
        self._check_up(packet)
        state, table = self._state, how.table
        if table.full(state.now):
            raise Dropped("table full")
        inside, remote, remote_key = key[:4], key[4:8], key[10:12]
        bound_by = how.maps_by(protocol, inside, port, remote, remote_port)
        binding = table.binding(state.now, bound_by)

        def coming(outside_port: int) -> bytes:
            return remote + state.outside + remote_key + outside_port.to_bytes(2)

        def free(outside_port: int) -> bool:
            if how.overload:
                return table.find_coming(state.now, protocol, coming(outside_port)) is None
            there = table.on_port(state.now, protocol, outside_port)
            return not there or (how.endpoint_ports and all((one.inside, one.inside_port) == (inside, port) for one in there))

        if binding is None:
            siblings = (one.outside_port for one in table.of_inside(protocol, inside, port))
            outside_port = how.allocator.choose(port, siblings, free)
            if outside_port is None:
                raise Dropped("no port")
            expires = state.now + how.timers.lifetime(protocol, False)
            binding = table.bind(bound_by, protocol, inside, port, state.outside, outside_port, expires)
            binding.created = binding.used = state.now
        return table.join(binding, remote, remote_port, key, coming(binding.outside_port))

    def _tcp_up(self, how: Translator, tcp: Tcp, packet: bytes, at: int) -> tuple[Session, bytes]:
        """(the connection's session, the segment as the gateways that read it leave it)."""
        if len(packet) < at + 20:
            raise Dropped("malformed")
        key = packet[12:20] + packet[at : at + 4]
        port, remote_port = int.from_bytes(key[8:10]), int.from_bytes(key[10:])
        flow = Flow(key[:4], port, key[4:8], remote_port, self._state.outside, keeps_ports=False)
        tcp.check(flow)
        found = how.table.find_leaving(self._state.now, TCP, key)
        if found is None:
            if packet[at + 13] & RST:
                raise Dropped("unsolicited")
            found = self._admit(how, packet, TCP, key, port, remote_port)
        tcp.tracker.segment(found.binding, packet, at, inward=False)
        return found, tcp.outward(self._state, flow, packet, at)

    def _error_up(self, packet: bytes, at: int) -> None:
        self._check_up(packet)
        protocol, key = icmp_errors.quoted_key(packet, at)
        session = self._state.table.find_leaving(self._state.now, protocol, icmp_errors.turned(key))
        if session is None and (esp := self._esp_by_spi(protocol)) is not None:
            session = esp.quoted_in(self._state, key[:4], key[4:8], icmp_errors.quoted_spi(packet, at))
        if session is None:
            raise Dropped("unsolicited")
        translated = icmp_errors.translate(packet, at, session, inward=False)
        if packet[12:16] != session.address_in:  # a router on the way to the host has sent it
            session = replace(session, ip_change=change(packet[12:16], session.address_out))
        self._send(OUTSIDE, self.parts.up, self.parts.rewriter.outward(translated, 0, session))

    def _check_up(self, packet: bytes) -> None:
        """From the inside prefix, and to somewhere outside: RFC 1812 §5.3.7; what is sent to the NAT's own address is no affair of
        the far side (no hairpinning)."""
        if int.from_bytes(packet[12:16]) & self._mask != self._network:
            raise Dropped("source")
        first = packet[16]
        if first == 0 or first == 127 or first >= 224 or packet[16:20] == self._state.outside or self._is_inside(packet[16:20]):
            raise Dropped("destination")

    def _is_inside(self, address: bytes) -> bool:
        return int.from_bytes(address) & self._mask == self._network

    # --- from outside ---

    def _down(self, how: Translator, packet: bytes, at: int) -> None:
        parts, state = self.parts, self._state
        if how.addresses is not None:
            own = addressed.inward(state, how.addresses, how.tcp, parts.rewriter, packet, at)
            if own is not None:
                self._send(INSIDE, parts.down, own)
                return
        if packet[16:20] != state.outside or not how.overloads:
            raise Dropped("destination")
        fragment = packet[6] & _FRAGMENT_HIGH or packet[7]
        if fragment and (packet[6] << 8 | packet[7]) & OFFSET:
            session, waits = parts.fragments_down.further(state.now, packet)
            if session is not None:
                self._send(INSIDE, parts.down, parts.rewriter.inward(packet, 0, session))
            elif not waits:
                raise Dropped("fragment")
            return
        protocol = packet[9]
        if protocol == UDP:
            session = self._udp_down(how, packet, at)
        elif protocol == ICMP:
            if len(packet) < at + 8:
                raise Dropped("malformed")
            if icmp_errors.is_error(packet, at):
                self._error_down(packet, at)
                return
            session = self._echo_down(how, packet, at)
        elif protocol in (ESP, AH):
            answer = how.portless.inward(state, packet, at)
            if answer is None:
                return
            session = answer
        elif protocol == TCP and how.tcp is not None:
            session, packet = self._tcp_down(how, how.tcp, packet, at)
        else:
            raise Dropped("protocol")
        session.down += 1
        how.timers.inbound(state.now, session.binding)
        if how.payload is not None and protocol == UDP and not fragment:
            packet = _with_payload(packet, at, how.payload.inward(session, packet[at + 8 :]))
        self._send(INSIDE, parts.down, parts.rewriter.inward(packet, at, session))
        if packet[6] & _MORE_HIGH:
            for piece in parts.fragments_down.first(state.now, packet, session):
                self._send(INSIDE, parts.down, parts.rewriter.inward(piece, 0, session))
        if how.held:
            self.retry()

    def _udp_down(self, how: Translator, packet: bytes, at: int) -> Session:
        if len(packet) < at + 8:
            raise Dropped("malformed")
        ports = packet[at : at + 4]
        if how.ike is not None and ports == IKE:
            helped = how.ike.inward(self._state, packet, at)
            if helped is not None:
                return helped
        key = packet[12:20] + ports
        found = how.table.find_coming(self._state.now, UDP, key)
        return self._uninvited(how, UDP, key, int.from_bytes(ports[2:]), int.from_bytes(ports[:2])) if found is None else found

    def _echo_down(self, how: Translator, packet: bytes, at: int) -> Session:
        if packet[at] != ECHO_REPLY:
            raise Dropped("ICMP type")
        key = packet[12:20] + packet[at + 4 : at + 6]
        found = how.table.find_coming(self._state.now, ICMP, key)
        return self._uninvited(how, ICMP, key, int.from_bytes(key[8:]), 0) if found is None else found

    def _uninvited(self, how: Translator, protocol: int, key: bytes, outside_port: int, remote_port: int) -> Session:
        """For a remote end that nobody inside has sent to: what the binding of that port admits gets in, and leaves no session."""
        remote = key[:4]
        for binding in how.table.on_port(self._state.now, protocol, outside_port):
            if how.admits(binding, remote, remote_port):
                return replace(binding.sessions[0], remote=remote, remote_port=remote_port, coming=key, up=0, down=0)
        if how.expectations is not None:
            expected = how.expectations.admit(self._state, protocol, key, outside_port)
            if expected is not None:
                return expected
        raise Dropped("unsolicited")

    def _tcp_down(self, how: Translator, tcp: Tcp, packet: bytes, at: int) -> tuple[Session, bytes]:
        if len(packet) < at + 20:
            raise Dropped("malformed")
        key = packet[12:20] + packet[at : at + 4]
        port, remote_port = int.from_bytes(key[10:]), int.from_bytes(key[8:10])
        found = how.table.find_coming(self._state.now, TCP, key)
        if found is None:
            found = self._uninvited(how, TCP, key, port, remote_port)
        flow = Flow(found.address_in, found.binding.inside_port, key[:4], remote_port, self._state.outside, keeps_ports=False)
        tcp.check(flow)
        tcp.tracker.segment(found.binding, packet, at, inward=True)
        return found, tcp.inward(self._state, flow, packet, at)

    def _error_down(self, packet: bytes, at: int) -> None:
        protocol, key = icmp_errors.quoted_key(packet, at)
        session = self._state.table.find_coming(self._state.now, protocol, icmp_errors.turned(key))
        if session is None and key[:4] == self._state.outside and (esp := self._esp_by_spi(protocol)) is not None:
            session = esp.quoted_out(self._state, key[4:8], icmp_errors.quoted_spi(packet, at))
        if session is None:
            raise Dropped("unsolicited")
        translated = icmp_errors.translate(packet, at, session, inward=True)
        self._send(INSIDE, self.parts.down, self.parts.rewriter.inward(translated, 0, session))

    def _esp_by_spi(self, protocol: int) -> HeldEsp | None:
        """The helper that knows whose an SPI is, where the protocol is ESP and there is one."""
        how = self.parts.translator
        return how.portless if protocol == ESP and how is not None and isinstance(how.portless, HeldEsp) else None

    # --- onwards ---

    def _route(self, side: Side, packet: bytes) -> None:
        to_inside = self._is_inside(packet[16:20])
        if to_inside == (side == INSIDE):
            raise Dropped("destination")
        routed = self.parts.rewriter.routed(packet)
        if to_inside:
            self._send(INSIDE, self.parts.down, routed)
        else:
            self._send(OUTSIDE, self.parts.up, routed)

    def _send(self, side: Side, link: Link | None, packet: bytes) -> None:
        self.passed[side] += 1
        if link is None:
            self._ready.append((side, packet))
            return
        now = self._state.now
        for at, piece in link.carry(now, packet):
            if at <= now:
                self._ready.append((side, piece))
            else:
                heapq.heappush(self._flying, (at, next(self._order), side, piece))


def _with_payload(packet: bytes, at: int, payload: bytes) -> bytes:
    """A whole UDP packet with another payload of the same length, its checksum brought up to date."""
    old = packet[at + 8 :]
    if payload == old:
        return packet
    total = packet[at + 6] << 8 | packet[at + 7]
    if total:
        total = (total + change(old, payload)) % 0xFFFF or 0xFFFF
    return packet[: at + 6] + total.to_bytes(2) + payload
