"""The steps of a script that are about a wire of the lab's: what it loses, and what nobody at it has sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from harness.routers.play import Lab, Play
from harness.scenario.injector import digest
from harness.wire import ip
from harness.wire.packet import Packet


class Wire(Lab, Protocol):
    """A laboratory whose wire can be meddled with. `lose` decides which packets it loses. LabError where it cannot be."""

    @property
    def lose(self) -> Callable[[Packet], bool]: ...

    @lose.setter
    def lose(self, which: Callable[[Packet], bool]) -> None: ...

    def inject(self, data: bytes) -> None:
        """One IP packet, put on the wire by nobody that is at it."""


class WirePlay(Play):
    lab: Wire

    @contextmanager
    def losing(self, which: Callable[[Packet], bool]) -> Iterator[None]:
        """While inside, the wire loses these packets: their sender has sent them, and the capture has them."""
        before, self.lab.lose = self.lab.lose, which
        try:
            yield
        finally:
            self.lab.lose = before

    def put_on_wire(self, packet: bytes, what: str, **more: Any) -> None:
        """A whole IP packet, towards its destination, in the step that is under way. `more` is told with it."""
        start = (packet[0] & 15) * 4 + (8 if packet[9] == ip.UDP else 0)
        told = {"to": ip.dotted(packet[16:20]), "what": what, "digest": digest(packet[start:]), **more}
        self.tell("injector", "injected", **told)
        self.lab.inject(packet)
