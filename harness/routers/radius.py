"""RADIUS servers in a laboratory of routers, which tell what they were asked and what was accounted with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.model import Secret, Told
from harness.routers.radius_sites import KEY, SERVERS
from harness.simulation.link import Deliver
from harness.simulation.loop import SimulatedLoop
from harness.simulation.radius_box import RadiusBox
from harness.virtual.radius_server import RadiusServer
from harness.wire.radius.attributes import TABLE, Attributes


class ToldRadius:
    """`name` is one of SERVERS. `clients` are the addresses of the routers that may ask, `users` passwords by user."""

    def __init__(
        self,
        loop: SimulatedLoop,
        name: str,
        clients: tuple[str, ...],
        users: Mapping[str, str],
        send: Deliver,
        tell: Callable[[Told], None],
    ) -> None:
        secrets = {user: Secret(password) for user, password in users.items()}
        self.core = RadiusServer({address: Secret(KEY) for address in clients}, secrets)
        self._box = RadiusBox(loop, SERVERS[name], self.core, send)
        self._loop = loop
        self._name = name
        self._tell = tell

    def receive(self, data: bytes) -> None:
        """One IP packet from the wire."""
        asked, records = len(self.core.asked), len(self.core.records)
        self._box.receive(data)
        for one in self.core.asked[asked:]:
            self._say("judged", user=one.user, accepted=one.good, nas=one.client, method=one.method)
        for record in self.core.records[records:]:
            said = {"status": record.status, "user": record.user, "nas": record.client, "session": record.session}
            self._say("accounting", **said, attributes=readable(record.attributes))

    def _say(self, kind: str, **data: Any) -> None:
        self._tell(Told(self._loop.epoch(), self._name, kind, data))


def readable(found: Attributes) -> dict[str, Any]:
    """By RADIUS's names, those that are there once or more: numbers, dotted addresses and text; of Cisco's pairs all. What is
    neither is left out."""
    said: dict[str, Any] = {}
    for name, row in TABLE.items():
        if not found.all(name) or row.kind == "octets":
            continue
        if name == "cisco-avpair":
            said[name] = [value.decode("utf-8", "replace") for value in found.all(name)]
        else:
            read = {"number": found.number, "address": found.address, "text": found.text}[row.kind]
            said[name] = read(name)
    return said
