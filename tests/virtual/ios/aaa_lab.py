"""The LAC and the LNS of "L2TP Security" with RADIUS servers beside them, on one simulated wire."""

from __future__ import annotations

from live import Live, example
from vpdn_bench import LAC, LNS, PASSWORD, USER, WIRE_DELAY_S, Bench

from harness.model import Secret
from harness.simulation.access_box import AccessBox
from harness.simulation.radius_box import RadiusBox
from harness.virtual.radius_server import RadiusServer
from harness.wire import ip

SERVER, SECOND, KEY = "10.0.0.20", "10.0.0.21", "xyzzy5461"
LEFT_OUT = (
    "hostname LNS",
    "ip local pool DIALIN 172.16.1.10 172.16.1.20",
    "interface Loopback0",
    "ip address 172.16.1.1 255.255.255.255",
    "interface Virtual-Template1",
    "ip unnumbered Loopback0",
    "peer default ip address pool DIALIN",
    "ppp authentication ms-chap-v2 chap pap",
)
"""What the document's example takes for granted."""
AAA = (
    "aaa new-model",
    "aaa authentication ppp default group radius",
    "aaa accounting network default start-stop group radius",
    f"radius-server host {SERVER} auth-port 1812 acct-port 1813 key {KEY}",
)


class Routers(Bench):
    """`lns` are lines in addition to AAA, `users` those whom the servers know, all by one password."""

    def __init__(self, runner, release="12.4(1)", lns=(), lac=(), aaa=AAA, users=(USER,)):
        super().__init__(runner)
        self.terminals, self.servers = {}, {}
        for address in (SERVER, SECOND):
            core = RadiusServer({LNS: Secret(KEY), LAC: Secret(KEY)}, {user: Secret(PASSWORD) for user in users})
            self.servers[address] = core
            box = RadiusBox(self.loop, address, core, self._send)
            self.switch.attach(ip.packed(address), WIRE_DELAY_S, box.receive)
        self._add(LNS, release, [*example("l2tp-security-lns"), *LEFT_OUT, *aaa, *lns])
        self._add(LAC, release, [*example("l2tp-security-lac"), "hostname LAC", *lac])

    def _add(self, address, release, lines):
        live = self.terminals[address] = Live(self.loop.time, seed=len(self.boxes), release=release)
        box = self.boxes[address] = AccessBox(self.loop, live.router, self._send)
        self.switch.attach(ip.packed(address), WIRE_DELAY_S, box.receive)
        live.order = lambda: box.order(lambda now: None)
        live.configure(*lines)

    @property
    def server(self):
        return self.servers[SERVER]

    def told(self, address=SERVER):
        """(status, user) of each record."""
        return [(record.status, record.user) for record in self.servers[address].records]

    def asked_at(self, address=SERVER):
        """When Access-Requests went there, in seconds after the first."""
        times = [at for at, packet in self.wire if packet.dst == address and packet.dport == 1812]
        return [round(at - times[0], 3) for at in times]
