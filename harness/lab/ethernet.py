"""A card that is lent, as whoever is on it has it: whole frames, by sockets in the namespace that the card was lent to."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from harness.lab.namespaces import Netns
from harness.lab.packet_port import SOL_PACKET, packet_socket

BATCH = 64
TO_US = (socket.PACKET_HOST, socket.PACKET_BROADCAST)
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1  # linux/if_packet.h


class EthernetCard:
    """Inside a running event loop. `hear` is given every frame of these ethertypes that comes to the card, and is for it or for
    everybody; with `promiscuous` also those for others, for as long as it is open. `address` is the card's. `unsent`: frames that
    the kernel refused. LabError where there is no such interface."""

    def __init__(
        self, where: Netns, name: str, kinds: tuple[int, ...], hear: Callable[[bytes], None], *, promiscuous: bool = False
    ) -> None:
        self.unsent = 0
        self._to = (*TO_US, socket.PACKET_OTHERHOST) if promiscuous else TO_US
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        try:
            with where.entered():
                for kind in kinds:
                    self._sockets.append(packet_socket(socket.SOCK_RAW, name, kind))
                if promiscuous:  # the kernel takes it back when the socket is closed, whatever ends the run
                    wish = struct.pack("=iHH8s", socket.if_nametoindex(name), PACKET_MR_PROMISC, 0, b"")
                    self._sockets[0].setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, wish)
        except BaseException:
            self.close()
            raise
        self.address: bytes = self._sockets[0].getsockname()[4]
        for one in self._sockets:
            self._loop.add_reader(one.fileno(), self._arrived, one)

    def send(self, frame: bytes) -> None:
        try:
            self._sockets[0].send(frame)
        except OSError:  # no room, too long for the link, the link is down
            self.unsent += 1

    def close(self) -> None:
        """Safe twice."""
        while self._sockets:
            one = self._sockets.pop()
            self._loop.remove_reader(one.fileno())
            one.close()

    def _arrived(self, one: socket.socket) -> None:
        for _ in range(BATCH):
            try:
                frame, (_, _, kind, _, _) = one.recvfrom(0xFFFF)
            except OSError:  # nothing more; or the link went down, which is told once
                return
            if kind in self._to:
                self._hear(frame)
