"""A plain UDP socket between our RADIUS cores and programs that others have written."""

from __future__ import annotations

import os
import select
import socket
import time

PATIENCE_S = 20.0


def own_address() -> str:
    """A loopback address that no other process of this run takes."""
    number = os.getpid()
    return f"127.{77 + (number >> 16 & 63)}.{number >> 8 & 255}.{number & 255}"


class ClientWire:
    """Carries what a client core sends, from one socket for each of its ports, and brings the answers."""

    def __init__(self, core, source="127.0.0.1"):
        self.core = core
        self._source = source
        self._sockets = {}

    def settle(self, until):
        """Until something is told of that `until(events)` is content with; the events."""
        told, end = [], time.monotonic() + PATIENCE_S
        while not until(told := told + self.core.take_events()):
            assert time.monotonic() < end, told
            for out in self.core.take_datagrams():
                self._of(out.sport).sendto(out.payload, (out.address, out.dport))
            now = time.monotonic()
            wait = 0.2 if self.core.deadline is None else max(0.0, min(0.2, self.core.deadline - now))
            ready, _, _ = select.select(list(self._sockets.values()), [], [], wait)
            for own, one in self._sockets.items():
                if one in ready:
                    data, (address, port) = one.recvfrom(0xFFFF)
                    self.core.receive(time.monotonic(), address, port, own, data)
            self.core.tick(time.monotonic())
        return told

    def _of(self, own):
        if own not in self._sockets:
            one = self._sockets[own] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind((self._source, 0))
        return self._sockets[own]

    def close(self):
        for one in self._sockets.values():
            one.close()
