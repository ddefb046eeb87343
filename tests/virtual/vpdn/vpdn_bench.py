"""A LAC with callers and an LNS, two boxes on one simulated wire of which every packet is kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.model import GatewayEvent, Secret
from harness.simulation.access_box import AccessBox, CallerBox
from harness.simulation.loop import SimulatedLoop
from harness.simulation.network import Switch
from harness.virtual import settings as virtual
from harness.virtual.parts import Parts
from harness.virtual.settings import Settings
from harness.virtual.vpdn.caller import Caller
from harness.virtual.vpdn.crypto import Crypto, CryptoProfile, TransformSet
from harness.virtual.vpdn.groups import AcceptGroup, RequestGroup, Security, Target, Vpdn
from harness.virtual.vpdn.router import VpdnRouter
from harness.wire import ip
from harness.wire.config import IkeProposal, PppConfig
from harness.wire.packet import ESP, Packet, from_ip

LAC, LNS, OTHER_LNS = "10.0.0.12", "10.0.0.13", "10.0.0.14"
LNS_PPP, LAC_PPP = "172.16.1.1", "172.17.1.1"
USER, PASSWORD = "userSerial10@cisco.com", "cisco"
WIRE_DELAY_S = 0.004

DES = TransformSet("esp-des-sha-transport", "des", "sha1", "transport")
PROFILE = CryptoProfile("l2tpsec", 10, "l2tp", (DES,))
CRYPTO = Crypto((PROFILE,), applied="l2tpsec", keys={"10.0.0.0/8": Secret("cisco")})
SECURITY = Security("l2tp")
ACCEPT = AcceptGroup(name="1", terminate_from="LAC", local_name="LNS", password=Secret("cisco"), security=SECURITY)
REQUEST = RequestGroup(
    name="1", domains=("cisco.com",), targets=(Target(LNS),), local_name="LAC", password=Secret("cisco"), security=SECURITY
)


def router_settings(address: str, ppp: str, vpdn: Vpdn, **changes: Any) -> Settings:
    """As IOS has it: no dead peer detection, no idle timer, and short tables of proposals."""
    look = replace(
        virtual.load("plain"), dpd=None, idle=None, demux=False, ike_proposals=(IkeProposal("3des", "sha1", "modp1024", 86400),)
    )
    network = ppp.rpartition(".")[0]
    users = {USER: Secret(PASSWORD), "local": Secret(PASSWORD), "someone@other": Secret(PASSWORD)}
    settings = Settings(look, address, ppp_address=ppp, pool_first=f"{network}.10", pool_last=f"{network}.20", users=users)
    return settings.changed(vpdn=vpdn, **changes)


class Bench:
    """`wire` is every packet that was sent, with its time in seconds; `lose` decides which do not arrive."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        loop = runner.get_loop()
        assert isinstance(loop, SimulatedLoop)
        self.loop = loop
        self.random = random.Random(7)
        self.wire: list[tuple[float, Packet]] = []
        self.raw: list[tuple[int, bytes]] = []
        self.lose: Callable[[Packet], bool] = lambda packet: False
        self.switch = Switch(loop)
        self.boxes: dict[str, AccessBox] = {}
        self.callers: list[CallerBox] = []

    def _send(self, data: bytes) -> None:
        packet = from_ip(data)
        self.wire.append((self.loop.time(), packet))
        self.raw.append((self.loop.nanoseconds(), data))
        if not self.lose(packet):
            self.switch.send(data)

    def router(self, name: str, ppp: str, vpdn: Vpdn, parts: Parts | None = None, at: str = "", **changes: Any) -> AccessBox:
        """`name` is the address by which the bench knows it, `at` the one that it has, where that is another."""
        address = at or name
        core = VpdnRouter(router_settings(address, ppp, vpdn, **changes), random.Random(self.random.random()).randbytes, parts)
        box = AccessBox(self.loop, core, self._send)
        self.switch.attach(ip.packed(address), WIRE_DELAY_S, box.receive)
        self.boxes[name] = box
        return box

    @property
    def lac(self) -> AccessBox:
        return self.boxes[LAC]

    @property
    def lns(self) -> AccessBox:
        return self.boxes[LNS]

    def call(self, user: str = USER, password: str = PASSWORD, wait: float = 20.0, **changes: Any) -> CallerBox:
        """A caller dials in at the LAC; returns when it is up, or down, or the time is over."""
        look: dict[str, Any] = {"accept": ("chap-md5",), "echo_s": None} | changes
        core = Caller(PppConfig(user, password, **look), random.Random(self.random.random()).randbytes)
        box = CallerBox(self.loop, core, self.lac)
        self.callers.append(box)
        box.dial()
        self.run(wait, until=lambda: core.down or core.address is not None)
        return box

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Time passes; whether `until` has come true, which is asked every hundredth of a second where there is one."""

        async def pass_by() -> bool:
            end = self.loop.time() + seconds
            while until is not None and not until() and self.loop.time() < end:
                await asyncio.sleep(0.01)
            if until is None:
                await asyncio.sleep(seconds)
            return until is not None and until()

        return self._runner.run(pass_by())

    def ping(self, caller: CallerBox, to: str = LNS_PPP, payload: bytes = b"marked", **how: Any) -> bool:
        """Whether the echo of this payload comes back within a second."""
        before = len(caller.core.packets)
        caller.send(caller.core.ping(to, payload, **how))
        self.run(1.0)
        return any(payload in packet and packet[9] == ip.ICMP and packet[20] == 0 for packet in caller.core.packets[before:])

    # What is asked of it

    def since(self, time: float = 0.0) -> list[Packet]:
        return [packet for at, packet in self.wire if at >= time]

    def clear(self, time: float = 0.0) -> list[Packet]:
        """L2TP in the clear."""
        return [packet for packet in self.since(time) if packet.protocol == ip.UDP and 1701 in (packet.sport, packet.dport)]

    def ike(self, time: float = 0.0) -> list[tuple[str, int]]:
        """(who sent it, exchange type) of every ISAKMP message: 2 main mode, 5 informational, 32 quick mode (RFC 2408 §3.1)."""
        found = (packet for packet in self.since(time) if packet.protocol == ip.UDP and packet.dport == 500)
        return [(packet.src, packet.payload[18]) for packet in found]

    def esp(self, time: float = 0.0) -> list[Packet]:
        return [packet for packet in self.since(time) if packet.protocol == ESP]

    def of(self, address: str, kind: str) -> list[GatewayEvent]:
        return [event for event in self.boxes[address].events if event.kind == kind]

    def reasons(self, address: str, kind: str = "refused") -> list[str]:
        return [event.detail.get("reason", "") for event in self.of(address, kind)]
