"""The world of "L2TP Security" in virtual time: a LAC with callers on its lines, an LNS, and the wire between them.

    caller ── line ── LAC 10.0.0.12 ── wire ── LNS 10.0.0.13 ── its LAN, with a host
             client ── NAT 10.0.0.20 ──┤        (a client that tunnels for itself, where a script has one)
                                        └───── LNS 10.0.0.14, where a script has a second one

The wire is captured, and what passes the LNS's boundary to its far end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness.clients.journal import KEYS_MODE, LineFile
from harness.model import CaptureFacts, Side, router_lab
from harness.probes.dissect import Addresses
from harness.routers.consoles import Consoles
from harness.routers.makers import Makers
from harness.routers.play import Gathered, heard
from harness.routers.radius import ToldRadius
from harness.routers.radius_sites import SERVERS
from harness.routers.script import RouterScript
from harness.routers.terminal import Log, Terminal
from harness.routers.voluntary import NAT_OUTSIDE, NattedClients, VoluntaryClient
from harness.scenario.simulated_captures import GatewayCaptures, SimulatedCapture
from harness.simulation.access_box import AccessBox, CallerBox
from harness.simulation.loop import SimulatedLoop
from harness.virtual.ios.router import IosRouter
from harness.virtual.ios.state import Hardware
from harness.virtual.vpdn.caller import Caller
from harness.wire import events
from harness.wire.config import PppConfig
from harness.wire.ip import packed

LAC, LNS, LNS_2 = router_lab.LAC, router_lab.LNS, router_lab.LNS_2
ADDRESSES = router_lab.WIRE
CONFIGURATIONS = Path(__file__).parent / "configurations"
STARTS_WITH = {LAC: "l2tp-lac.cfg", LNS: "l2tp-lns.cfg", LNS_2: "l2tp-lns.cfg"}
WIRE_DELAY_S = 0.004
HOST = router_lab.HOST_BEHIND.host
"""On the LNS's LAN."""
REMEMBERED = 1024
"""Packets on the wire that a script can look back at."""


class SimulatedL2tp(Consoles):
    """Every one begins at the same moment, with the same chances for the same `seed`. `crossed` are the last IP packets
    that routers sent, lost ones too; `host_heard` is all that came to the host on the LNS's LAN.

    Options of a script: `second_lns` (there is one), `lac_moves_to` (addresses that the LAC can be reached at too, once it is
    configured with them), `platform` (of all routers, as in model/ios_releases), `radius` (passwords by user: two RADIUS servers on
    the wire know them, see radius_sites)."""

    def __init__(self, loop: SimulatedLoop, script: RouterScript, gathered: Gathered, seed: int, makers: Makers) -> None:
        super().__init__(loop, script, seed)
        self.crossed: deque[bytes] = deque(maxlen=REMEMBERED)
        self.host_heard: list[bytes] = []
        self.boxes: dict[str, AccessBox] = {}
        self._gathered = gathered
        self._makers = makers
        self._natted: NattedClients | None = None
        for device in (LAC, LNS, *((LNS_2,) if script.options.get("second_lns") else ())):
            self._add(device)
        for address in script.options.get("lac_moves_to", ()):
            self.switch.attach(packed(address), WIRE_DELAY_S, self.boxes[LAC].receive)
        if "radius" in script.options:
            self._add_servers(script.options["radius"])

    def _add_servers(self, users: Mapping[str, str]) -> None:
        for name, address in SERVERS.items():
            server = ToldRadius(
                self.loop, name, (ADDRESSES[LAC], ADDRESSES[LNS]), users, self._send, self._gathered.told.append
            )
            self.switch.attach(packed(address), WIRE_DELAY_S, server.receive)

    def _add(self, device: str) -> None:
        startup = (CONFIGURATIONS / STARTS_WITH[device]).read_text(encoding="utf-8")
        if device == LNS_2:
            startup = startup.replace("hostname LNS", "hostname LNS2").replace(ADDRESSES[LNS], ADDRESSES[LNS_2])
        state = self._state(device, startup, self._script.release, Hardware(platform=self._script.options.get("platform")))
        router = self._makers.router(device, state, self.entropy(device))
        box = self.boxes[device] = AccessBox(self.loop, router, self._send)
        router.changed = lambda: box.order(lambda now: None)
        if device == LNS:
            box.heard = self.host_heard.append
        self.switch.attach(packed(ADDRESSES[device]), WIRE_DELAY_S, box.receive)
        settle = router.changed
        self.terminals[device] = Terminal(device, state, self.loop.time, settle)
        Log(state, lambda line: self._gathered.logged.append(heard(self.epoch(), device, line)))
        self._type_first(device)

    def router(self, device: str) -> IosRouter:
        core = self.boxes[device].core
        assert isinstance(core, IosRouter)
        return core

    def _send(self, data: bytes) -> None:
        if self._keys is not None:
            self._write_keys()
        self.crossed.append(data)
        self._cross(data)

    def voluntary(self, name: str, user: str, password: str) -> VoluntaryClient:
        """A client behind the NAT, that is to tunnel to the LNS."""
        if self._natted is None:
            self._natted = NattedClients(self.loop, self.entropy("NAT"), self._send, self._write_clients_key)
            self.switch.attach(packed(NAT_OUTSIDE), WIRE_DELAY_S, self._natted.box.from_outside)
        return self._natted.add(name, ADDRESSES[LNS], user, password, self.entropy(name))

    def caller(self, name: str, config: PppConfig) -> CallerBox:
        """Somebody on a line of the LAC's, who has not dialled yet."""
        return CallerBox(self.loop, Caller(config, self.entropy(name)), self.boxes[LAC])

    def from_host(self, packet: bytes) -> None:
        """An IP packet that the host on the LNS's LAN sends."""
        self.boxes[LNS].from_host(packet)

    # A Lab for scripts

    async def reboot(self, device: str) -> None:
        import asyncio

        state = self.terminals[device].state
        self.boxes[device].order(lambda now: state.reload("Reload Command"))
        await asyncio.sleep(state.up_at - state.now)
        self.boxes[device].order(lambda now: self.router(device).tick(now))

    # Witnesses

    @property
    def addresses(self) -> Addresses:
        """The LAC plays the client's part: the keys are its own."""
        clients = {} if self._natted is None else self._natted.addresses
        return Addresses(ADDRESSES[LNS], NAT_OUTSIDE if clients else "0.0.0.0", {LAC: ADDRESSES[LAC], **clients})

    @contextmanager
    def captured(self, folder: Path, captures: list[CaptureFacts]) -> Iterator[None]:
        wire = SimulatedCapture(Side.OUTSIDE, folder, "the wire between LAC and LNS")
        within = GatewayCaptures(folder, translated=False)
        self._keys = LineFile(folder / "keys.jsonl", KEYS_MODE)
        self.switch.tap, self.boxes[LNS].tap = wire.see, within.see
        self.router(LAC).core.ipsec.keys = []
        try:
            yield
        finally:
            self.switch.tap = self.boxes[LNS].tap = None
            self._write_keys()
            self._keys.close()
            self._keys = None
            captures += [wire.close(), *within.close()]

    def _write_keys(self) -> None:
        """Before the packet that they are for is captured: the events come before what they protect is sent."""
        assert self._keys is not None
        ipsec = self.router(LAC).core.ipsec
        if ipsec.keys is None:  # a new one, after the router was rebuilt
            ipsec.keys = []
        for event in ipsec.keys:
            self._write_key(LAC, ADDRESSES[LNS], event)
        ipsec.keys.clear()

    def _write_clients_key(self, client: str, event: events.Event) -> None:
        self._write_key(client, ADDRESSES[LNS], event)
