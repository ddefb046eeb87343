"""The steps of a script in the world of a LAC, its callers and an LNS."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, Protocol

from harness.errors import LabError
from harness.model.steps import StepBus
from harness.routers.l2tp_lab import ADDRESSES, HOST, LAC, LNS
from harness.routers.play import Gathered
from harness.routers.voluntary import VoluntaryClient
from harness.routers.wire_play import Wire, WirePlay
from harness.virtual.vpdn.caller import Caller
from harness.wire import ip, rip
from harness.wire.config import PppConfig
from harness.wire.packet import Packet, to_ip

USER, PASSWORD = "userSerial10@cisco.com", "cisco"
LNS_PPP = "172.16.1.1"
CALL_S = 40.0
"""How long a call may take to come up, lost datagrams included."""
ANSWER_S = 1.0
TEARDOWN_S = 60.0
"""After so long a tunnel that was ended is over at both ends, retransmissions and what IPsec has to say included."""
BETWEEN_S = 0.01
"""Between two packets that are injected one after another."""
IPV4_HEADER, UDP_HEADER = 20, 8  # bytes, the former without options
DISCARD = 9
"""The port of a service that says nothing (RFC 863)."""
FRAGMENTATION_NEEDED = b"\x03\x04"  # ICMP type and code, RFC 792 and RFC 1191


class CallersLine(Protocol):
    """Somebody who calls the LAC, by whatever way: simulation.access_box.CallerBox, field_callers.FieldCaller."""

    @property
    def core(self) -> Caller: ...

    def dial(self) -> None: ...

    def hang_up(self) -> None:
        """Without a word."""

    def close(self) -> None:
        """The orderly end."""

    def send(self, frame: bytes | None) -> None:
        """A PPP frame that the caller has made."""


class L2tpLab(Wire, Protocol):
    """A LAC, its callers and an LNS. `crossed` are the last IP packets on the wire, `host_heard` what came to the host on the LNS's
    LAN. LabError where a laboratory has no such thing."""

    @property
    def crossed(self) -> Sequence[bytes]: ...

    @property
    def host_heard(self) -> list[bytes]: ...

    def caller(self, name: str, config: PppConfig) -> CallersLine:
        """Who has not dialled yet."""

    def voluntary(self, name: str, user: str, password: str) -> VoluntaryClient:
        """A client behind a NAT, that is to tunnel to the LNS."""

    def from_host(self, packet: bytes) -> None:
        """An IP packet that the host on the LNS's LAN sends."""


class L2tpPlay(WirePlay):
    lab: L2tpLab

    def __init__(self, lab: L2tpLab, bus: StepBus, gathered: Gathered, options: Mapping[str, Any]) -> None:
        super().__init__(lab, bus, gathered, options)
        self._callers: dict[str, CallersLine] = {}
        self._voluntary: dict[str, VoluntaryClient] = {}
        self._read: Counter[str] = Counter()
        self._sent = 0  # by the host behind the LNS

    # Callers

    async def dial(self, user: str = USER, password: str = PASSWORD, *, wait_s: float = CALL_S, **ppp: Any) -> str:
        """A caller dials in at the LAC; returns its name ("caller 1" …) when it is up, when its line has gone, or after `wait_s`.
        `ppp` are fields of PppConfig in which it differs from one that takes CHAP and sends no echoes."""
        name = f"caller {len(self._callers) + 1}"
        config = PppConfig(user, password, **{"accept": ("chap-md5",), "echo_s": None, **ppp})
        box = self._callers[name] = self.lab.caller(name, config)
        await self._come_up(name, box.core, box.dial, user, wait_s, over="the line has gone")
        return name

    async def dial_voluntary(self, user: str = USER, password: str = PASSWORD, *, wait_s: float = CALL_S) -> str:
        """The same for a client behind the NAT that tunnels for itself; its name is "client 1" …"""
        name = f"client {len(self._voluntary) + 1}"
        client = self._voluntary[name] = self.lab.voluntary(name, user, password)
        await self._come_up(name, client, client.dial, user, wait_s, over="its stack has ended")
        return name

    async def _come_up(
        self, name: str, end: Caller | VoluntaryClient, dial: Callable[[], None], user: str, wait_s: float, over: str
    ) -> None:
        """The step of dialling, to when `end` is up or given up. `over` says why, where it has ended by itself."""
        async with self.step(f"dial:{name}", name, user=user):
            began = self.lab.epoch()
            self.tell(name, "dialled", user=user)
            dial()
            await self.until(lambda: end.down or end.address is not None, wait_s)
            if end.address is not None:
                self.tell(name, "up", address=end.address, took=round(self.lab.epoch() - began, 6))
            else:
                self.tell(name, "down", reason=over if end.down else f"not up within {wait_s:g} s")

    def _end(self, name: str) -> Caller | VoluntaryClient:
        """Who has a PPP address, and hears what is sent there."""
        return self._voluntary[name] if name in self._voluntary else self._callers[name].core

    def is_up(self, name: str) -> bool:
        return self._end(name).address is not None

    def address_of(self, name: str) -> str | None:
        """The caller's own, None while its PPP is not up."""
        return self._callers[name].core.address

    async def ping(self, name: str, to: str = LNS_PPP, *, size: int = 60, df: bool = False) -> bool:
        """One echo of `size` bytes, IP header included; whether it was answered within ANSWER_S. Errors that come back are told
        too."""
        async with self.step(f"ping:{name}", name, to=to, size=size, df=df):
            return await self._ping(name, to, size, df)

    async def pings(self, name: str, times: int) -> None:
        """As many, one after another, in one step."""
        async with self.step(f"pings:{name}", name, times=times):
            for _ in range(times):
                await self._ping(name, LNS_PPP, 60, df=False)

    async def _ping(self, name: str, to: str, size: int, df: bool) -> bool:
        box = self._callers[name]
        self._read[name] += 1
        number = self._read[name]
        payload = f"{name} echo {number} ".encode().ljust(max(size - IPV4_HEADER - 8, 0), b".")
        before = len(box.core.packets)
        box.send(box.core.ping(to, payload, number & 0xFFFF, df=df))
        heard: list[bytes] = []

        def answered() -> bool:
            heard[:] = box.core.packets[before:]
            return any(_is_answer(packet, payload) for packet in heard)

        found = await self.until(answered, ANSWER_S)
        for mtu in _too_big(heard):
            self.tell(name, "unreachable", mtu=mtu)
        self.tell(name, "pinged", to=to, size=size, df=df, answered=found)
        return found

    async def tell_routes(self, name: str, *networks: str) -> None:
        """The caller, as a router that speaks RIP, tells the LNS of networks behind it, and asks for all that the LNS knows."""
        box = self._callers[name]
        entries = [rip.Entry(IPv4Network(one), 1) for one in networks]
        async with self.step(f"tell-routes:{name}", name, networks=list(networks)):
            for message in (*rip.responses(entries), rip.request()):
                box.send(box.core.datagram(rip.GROUP, rip.PORT, message))
            await self.rest(ANSWER_S)

    async def hear_routes(self, name: str, seconds: float) -> None:
        """Which networks the LNS tells the caller of by RIP within that time, and at which distance."""
        box = self._callers[name]
        async with self.step(f"hear-routes:{name}", name):
            before = len(box.core.packets)
            await self.rest(seconds)
            self.tell(name, "routes", networks=_routes(box.core.packets[before:]))

    def count_answers(self, name: str, label: str) -> None:
        """Tells how many echo answers have come to the caller until now."""
        heard = self._callers[name].core.packets
        self.tell(name, "answers", label=label, count=sum(packet[9] == ip.ICMP and packet[20] == 0 for packet in heard))

    async def await_down(self, name: str, seconds: float) -> bool:
        """Whether the caller's line goes within that time, nobody having hung up here."""
        async with self.step(f"await-down:{name}", name):
            found = await self.until(lambda: self._callers[name].core.down, seconds)
            if found:
                self.tell(name, "down", reason="the line has gone")
        return found

    async def hang_up(self, name: str) -> None:
        """The orderly end: an LCP Terminate-Request; returns when the line has gone, or after a while."""
        box = self._callers[name]
        async with self.step(f"hang-up:{name}", name):
            box.close()
            await self.until(lambda: box.core.down, CALL_S)
            self.tell(name, "down", reason="hung up")

    async def lose_carrier(self, name: str) -> None:
        """The line goes, without a word."""
        async with self.step(f"lose-carrier:{name}", name):
            self._callers[name].hang_up()
            self.tell(name, "down", reason="carrier lost")

    async def end_tunnels(self, device: str) -> None:
        """The router ends its L2TP tunnels, and all that goes with them has gone."""
        async with self.step(f"end:{device}", device):
            await self.execute(device, "clear vpdn tunnel l2tp all")
            await self.rest(TEARDOWN_S)

    async def move_lac(self, address: str) -> None:
        """The LAC's interface gets another address, of those in the option `lac_moves_to` or its first one. It leaves the old one
        without a word: what it still sends is lost."""
        async with self.step(f"move:{address}", LAC):
            with self.losing(lambda packet: True):
                await self.configure(LAC, "interface FastEthernet0/0", f"ip address {address} 255.255.0.0")
                await self.rest(ANSWER_S)

    # The host behind the LNS

    async def host_sends(self, name: str, label: str, size: int, *, df: bool, to: str | None = None) -> int | None:
        """A numbered UDP packet of `size` bytes, IP header included, from the host to the caller, or `to` an address behind it. The
        next hop's MTU where the host was answered that fragmentation is needed, else None. `label` names the step."""
        end = self._end(name)
        address = to or end.address or "0.0.0.0"
        self._sent += 1
        payload = f"from the host, {self._sent} ".encode().ljust(size - IPV4_HEADER - UDP_HEADER, b".")
        datagram = ip.build_udp(ip.packed(HOST), ip.packed(address), DISCARD, DISCARD, payload)
        told = {"number": self._sent, "src": HOST, "dst": address, "size": size, "df": df}
        heard, came = len(self.lab.host_heard), len(end.packets)
        async with self.step(f"host-sends:{label}", name, size=size, df=df):
            self.tell("host", "sent", **told)
            self.lab.from_host(ip.build_ipv4(HOST, address, ip.UDP, datagram, identification=self._sent, df=df))
            await self.rest(ANSWER_S)
            if any(packet[9] == ip.UDP and payload in packet for packet in end.packets[came:]):
                self.tell(name, "got", **told)
            mtu = next(_too_big(self.lab.host_heard[heard:]), None)
            if mtu is not None:
                self.tell("host", "unreachable", mtu=mtu, number=told["number"])
        return mtu

    # The wire

    def crossed(self, src: str, protocol: int) -> list[bytes]:
        """The last packets that `src` has sent onto the wire by that protocol, in order. LabError where there were none."""
        found = [packet for packet in self.lab.crossed if packet[12:16] == ip.packed(src) and packet[9] == protocol]
        if not found:
            raise LabError("looking back at the wire", f"no packet of protocol {protocol} from {src}")
        return found

    async def forge(self, payload: bytes, what: str, *, src: str = ADDRESSES[LAC], dst: str = ADDRESSES[LNS], **ports: int) -> None:
        """A UDP packet that nobody of the two has sent, from and to port 1701 unless `sport` and `dport` say otherwise."""
        sport, dport = ports.get("sport", 1701), ports.get("dport", 1701)
        await self.inject(to_ip(Packet(src, dst, ip.UDP, payload, sport, dport), identification=0x4E53), what)

    async def inject(self, packet: bytes, what: str, **more: Any) -> None:
        """A whole IP packet onto the wire, towards its destination. `more` is told with it."""
        await self.inject_all((packet,), what, **more)

    async def inject_all(self, packets: Sequence[bytes], what: str, **more: Any) -> None:
        """The same for several, in one step, one after another."""
        async with self.step(f"inject:{what}"):
            for packet in packets:
                self.put_on_wire(packet, what, **more)
                await self.rest(BETWEEN_S)
            await self.rest(ANSWER_S)

    # The end

    async def come_to_rest(self) -> None:
        """What the callers heard on their lines, by protocol: kept after the script's last step."""
        for name, box in self._callers.items():
            heard = Counter(_protocol(frame) for frame in box.core.heard)
            carried = Counter(_carried(packet) for packet in box.core.packets)
            self.tell(
                name,
                "line",
                protocols={f"{number:#06x}": count for number, count in sorted(heard.items())},
                carried=dict(sorted(carried.items())),
            )


def _protocol(frame: bytes) -> int:
    """The PPP protocol field, behind address and control where they are there (RFC 1661 §2, RFC 1662 §3.1)."""
    body = frame[2:] if frame[:2] == b"\xff\x03" else frame
    if not body:
        return 0
    return body[0] if body[0] & 1 else int.from_bytes(body[:2])


def _carried(packet: bytes) -> str:
    """What an IP packet is: its protocol's number, with UDP's ports behind ("1", "17 1701 1701")."""
    start = (packet[0] & 15) * 4
    if packet[9] != ip.UDP or len(packet) < start + 4:
        return str(packet[9])
    sport, dport = struct.unpack_from("!HH", packet, start)
    return f"{packet[9]} {sport} {dport}"


def _routes(packets: list[bytes]) -> dict[str, int]:
    """By network, as the last message of RIP tells it."""
    found: dict[str, int] = {}
    for parsed in (ip.parse_ipv4(packet) for packet in packets if packet[9] == ip.UDP):
        datagram = ip.parse_udp(parsed.payload)
        if datagram.sport == rip.PORT:
            found |= {str(entry.network): entry.metric for entry in rip.parse(datagram.payload).entries}
    return found


def _is_answer(packet: bytes, payload: bytes) -> bool:
    return packet[9] == ip.ICMP and packet[20] == 0 and payload in packet


def _too_big(packets: list[bytes]) -> Iterator[int]:
    for packet in packets:
        if packet[9] == ip.ICMP and packet[20:22] == FRAGMENTATION_NEEDED:
            (mtu,) = struct.unpack("!H", packet[26:28])
            yield mtu
