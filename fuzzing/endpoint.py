"""Two VPN endpoints in tunnel mode, each a virtual IOS router with a crypto map, and their tunnel: whatever is thrown at either
from outside, in anybody's name, or by a host inside, the tunnel carries the hosts' packets both ways, and afterwards still.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fuzzing import formats
from fuzzing.life import Life, Shot, Violation
from fuzzing.pair import REMEMBERED, passed
from harness.routers.esp_sites import EAST, WEST, Site, client, concentrator
from harness.virtual.ios.endpoint_role import EndpointRole
from harness.virtual.ios.state import State
from harness.virtual.vpn_endpoint import INSIDE, OUTSIDE
from harness.wire import ip
from harness.wire.packet import Packet, to_ip

WEST_1, EAST_1 = Site(WEST, 1), Site(EAST, 1)
SITES = (WEST_1, EAST_1)
STRANGER = "198.51.100.9"
PORTS = 9000, 9001
DELIVERIES = 200
"""Packets that may follow from one: what goes on for longer goes on for ever."""
AFTERWARDS_S = 120.0
"""In which whatever is half open is given up."""


class EndpointLife(Life):
    shots = 1500
    weight_limit = 4 << 20

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.ends = {
            WEST_1: self._endpoint(WEST_1, client(WEST_1, (EAST_1,))),
            EAST_1: self._endpoint(EAST_1, concentrator(EAST_1, (WEST_1,))),
        }
        self.crossed: deque[bytes] = deque(maxlen=REMEMBERED)  # outside, of both
        self.got: list[tuple[Site, bytes]] = []
        self.number = 0
        self._send(WEST_1, EAST_1)  # makes IKE begin, and is lost
        self.check()

    def _endpoint(self, site: Site, lines: Sequence[str]) -> EndpointRole:
        return EndpointRole(State(startup="\n".join((*lines, "end")), now=self.now), self.setting.randbytes)

    def aim(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        if mutator.chance(0.03):
            return [Shot(("tick", choice.choice((0.01, 0.1, 1.0))))]
        where = choice.randrange(2)
        if mutator.chance(0.2):
            data = self._mark(SITES[where], SITES[1 - where])
            return [Shot((INSIDE, where), mutator.spoil(data) if mutator.chance(0.7) else data)]
        seen = list(self.crossed)
        data = choice.choice(seen)
        match choice.randrange(6):
            case 0:
                data = mutator.noise()
            case 1:
                data = mutator.spoil(data, seen)
            case 2:  # whole, and at the wrong moment
                pass
            case 3:
                addresses = [ip.packed(one) for one in (WEST_1.address, EAST_1.address, STRANGER, "0.0.0.0", "224.0.0.1")]
                data = formats.inner(mutator, data, addresses)
            case _:  # what IKE or ESP make of it, in headers that are right
                data = _with_payload(data, lambda payload: mutator.spoil(payload, [one[28:] for one in seen]))
        return [Shot((OUTSIDE, where), data)]

    def take(self, shot: Shot) -> None:
        if shot.door[0] == "tick":
            self._pass(shot.door[1])
            return
        side, where = shot.door
        self.now += 0.000_5
        self.ends[SITES[where]].receive(self.now, side, shot.data)
        self._deliver()

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        for end in self.ends.values():
            passed(end, self.now)
        self._deliver()

    def _deliver(self) -> None:
        """Until nobody has anything to send. Outside there is nobody but the two."""
        for _ in range(DELIVERIES):
            sent = [(site, side, packet) for site, end in self.ends.items() for side, packet in end.take_packets()]
            if not sent:
                break
            for site, side, packet in sent:
                if side == INSIDE:
                    self.got.append((site, packet))
                    continue
                self.crossed.append(packet)
                for other, end in self.ends.items():
                    if other is not site and packet[16:20] == ip.packed(other.address):
                        end.receive(self.now, OUTSIDE, packet)
        else:
            raise Violation(f"the two have sent one another {DELIVERIES} times what one packet brought about")
        for end in self.ends.values():
            end.take_events()

    def _mark(self, here: Site, there: Site) -> bytes:
        self.number += 1
        payload = b"mark %d" % self.number
        return to_ip(Packet(here.host, there.host, ip.UDP, payload, *PORTS), identification=self.number & 0xFFFF)

    def _send(self, here: Site, there: Site) -> bytes:
        packet = self._mark(here, there)
        self.got.clear()
        self.ends[here].receive(self.now, INSIDE, packet)
        self._deliver()
        return packet

    def check(self) -> None:
        for here, there in (SITES, SITES[::-1]):
            packet = self._send(here, there)
            if not any(site is there and got[28:] == packet[28:] for site, got in self.got):
                raise Violation(f"the tunnel does not carry what the host of {here.side} sends")

    def end(self) -> None:
        self._pass(AFTERWARDS_S)
        self.check()
        half_open = {site.side: end.core.negotiation.associations.half_open for site, end in self.ends.items() if end.core}
        if any(half_open.values()):
            raise Violation(f"peers are half open after {AFTERWARDS_S:.0f} s: {half_open}")

    def parts(self) -> Iterable[Any]:
        return [end.core for end in self.ends.values()]


def _with_payload(packet: bytes, make: Callable[[bytes], bytes]) -> bytes:
    """The packet with what is behind its UDP or IP header made into something else, lengths and IP's checksum right."""
    size = (packet[0] & 15) * 4
    udp = packet[9] == ip.UDP and len(packet) >= size + 8
    body = make(packet[size + 8 :] if udp else packet[size:])
    if udp:
        body = packet[size : size + 4] + (8 + len(body)).to_bytes(2) + b"\0\0" + body
    return ip.build_ipv4(ip.dotted(packet[12:16]), ip.dotted(packet[16:20]), packet[9], body)
