"""A RADIUS server core on the simulated network."""

from __future__ import annotations

from harness.errors import ProtocolError
from harness.simulation.link import Deliver
from harness.simulation.loop import SimulatedLoop
from harness.virtual.radius_server import RadiusServer
from harness.wire import ip
from harness.wire.packet import Packet, from_ip, to_ip


class RadiusBox:
    """The host at `address`; `outside` takes what it sends. Whatever is no UDP for it falls."""

    def __init__(self, loop: SimulatedLoop, address: str, core: RadiusServer, outside: Deliver) -> None:
        self.core = core
        self.address = address
        self._loop = loop
        self._outside = outside

    def receive(self, data: bytes) -> None:
        """One IP packet from the wire."""
        try:
            packet = from_ip(data)
        except ProtocolError:
            return
        if packet.protocol != ip.UDP or packet.dst != self.address:
            return
        self.core.receive(self._loop.time(), packet.src, packet.sport, packet.dport, packet.payload)
        for one in self.core.take_datagrams():
            self._outside(to_ip(Packet(self.address, one.address, ip.UDP, one.payload, one.sport, one.dport)))
