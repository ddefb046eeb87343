"""A gateway in memory, made of the same cores in their other role, and a link with a NAT's eye view of it.

What one set of code writes and reads can agree with itself and be wrong; the tests with published packets, tshark and xl2tpd are
there for that. This gateway is for behaviour over time: loss, rekeys, ends.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from harness.wire import events, ip
from harness.wire.config import EspProposal, IkeConfig, IkeProposal, L2tpConfig, PppConfig, StackConfig
from harness.wire.esp import InboundSa, OutboundSa, spi_of
from harness.wire.ike.core import IkeCore
from harness.wire.l2tp import Frame, L2tpCore
from harness.wire.ppp import PppCore
from harness.wire.stack import ClientStack

CLIENT, OUTSIDE, GATEWAY = "10.0.0.2", "203.0.113.232", "203.0.113.231"
RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")
DPD = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")
PROPOSALS = (IkeProposal("aes-256", "sha1", "ecp256"),)
ESP_PROPOSALS = (EspProposal("aes-256", "sha1"),)


def client_config(number: int = 1, *, ipsec: bool = True) -> StackConfig:
    address = f"10.0.0.{number + 1}"
    l2tp = L2tpConfig(f"win7-{number}", correlation_id=bytes(range(16)))
    ppp = PppConfig(f"user{number}", f"pw{number}")
    if not ipsec:
        return StackConfig(None, l2tp, ppp)
    ike = IkeConfig(address, GATEWAY, b"sharedsecret", PROPOSALS, ESP_PROPOSALS, (RFC_3947,))
    return StackConfig(ike, l2tp, ppp)


def gateway_config(*, ipsec: bool = True, nat: bool = True) -> StackConfig:
    """Where there is no `nat`, the gateway sees the client's own address."""
    secrets = {f"user{number}": f"pw{number}" for number in range(1, 9)}
    ppp = PppConfig(
        "", "", accept=(), demand="mschapv2", secrets=secrets, name="lns", local_address="172.16.1.1", assign="172.16.1.10",
        assign_dns=("172.16.1.1",), request_dns=False, echo_s=None,
    )  # fmt: skip
    l2tp = L2tpConfig("lns", "xelerance", hello_s=0)
    if not ipsec:
        return StackConfig(None, l2tp, ppp)
    peer = OUTSIDE if nat else CLIENT
    ike = IkeConfig(GATEWAY, peer, b"sharedsecret", PROPOSALS, ESP_PROPOSALS, (RFC_3947,), rekey_margin=None, client_ports=())
    return StackConfig(ike, l2tp, ppp)


class Gateway:
    """The answering side of one client. `told` keeps every event of its cores."""

    def __init__(self, config: StackConfig, seed: int) -> None:
        entropy = random.Random(seed).randbytes
        self.protected = config.ike is not None
        self.ike = IkeCore(config.ike or IDLE_IKE, entropy)
        self.l2tp = L2tpCore(config.l2tp, entropy)
        self.ppp = PppCore(config.ppp, entropy)
        self.entropy = entropy
        self.now = 0.0
        self.port = 1701  # the client's own, as it was heard last
        self.pairs: dict[int, tuple[InboundSa, OutboundSa, str]] = {}
        self.told: list[events.Event] = []
        self.out: list[events.Datagram] = []
        self.inside: list[bytes] = []  # what came out of the inbound SAs: UDP datagrams

    def receive(self, now: float, datagram: events.Datagram) -> None:
        port, payload = datagram.dport, datagram.payload
        if not self.protected:
            assert (port, datagram.protocol) == (1701, 17)
            self.port = datagram.sport
            self.l2tp.receive(now, payload)
        elif port == 500:
            self.ike.receive(now, payload, 500)
        elif port == 4500 and payload[:4] == bytes(4):
            self.ike.receive(now, payload[4:], 4500)
        elif payload != b"\xff":
            self.open(now, payload, "udp" if datagram.protocol == 17 else "")
        self.pump(now)

    def open(self, now: float, payload: bytes, outer: str) -> None:
        pair = self.pairs.get(spi_of(payload))
        if pair is not None:
            assert pair[2].startswith("udp") is (outer == "udp")
            inbound, _, encapsulation = pair
            next_header, datagram = inbound.open(payload)
            self.ike.spend(now, inbound.spi, inbound.octets)
            if encapsulation.endswith("tunnel"):
                inner = ip.parse_ipv4(datagram)
                assert (next_header, inner.source, inner.destination) == (4, CLIENT, GATEWAY)
                datagram = inner.payload
            self.inside.append(datagram)
            parsed = ip.parse_udp(datagram)
            self.port = parsed.sport
            self.l2tp.receive(now, parsed.payload)

    def pump(self, now: float) -> None:
        self.now = now
        for _ in range(50):
            self.out += self.ike.take_datagrams()
            told = self.ike.take_events() + self.l2tp.take_events() + self.ppp.take_events()
            packets, frames = self.l2tp.take_packets(), self.ppp.take_frames()
            for event in told:
                self.hear(now, event)
            for packet in packets:
                self.send_udp(packet)
            for frame in frames:
                self.l2tp.send_data(now, frame)
            if not (told or packets or frames):
                return
        raise AssertionError("the gateway goes round in circles")

    def hear(self, now: float, event: events.Event) -> None:
        match event:
            case Frame():
                self.ppp.receive(now, event.frame)
                return
            case events.EspUp():
                self.pairs[event.spi_in] = (
                    InboundSa(event.spi_in, event.encryption, event.authentication, event.key_in, event.auth_key_in),
                    OutboundSa(
                        event.spi_out, event.encryption, event.authentication, event.key_out, event.auth_key_out, self.entropy
                    ),
                    event.encapsulation,
                )
            case events.EspDown():
                self.pairs.pop(event.spi_in, None)
            case events.CallUp():
                self.ppp.open(now)
        self.told.append(event)

    def send_udp(self, payload: bytes, dport: int | None = None) -> None:
        port = self.port if dport is None else dport
        if not self.protected:
            self.out.append(events.Datagram(1701, port, payload))
        elif self.pairs:
            outside, gateway = ip.packed(OUTSIDE), ip.packed(GATEWAY)
            datagram = ip.build_udp(gateway, outside, 1701, port, payload)
            if next(reversed(self.pairs.values()))[2].endswith("tunnel"):
                self.send_inside(4, ip.build_ipv4(GATEWAY, CLIENT, 17, datagram))
            else:
                self.send_inside(17, datagram)

    def send_inside(self, next_header: int, payload: bytes) -> None:
        inbound, outbound, encapsulation = next(reversed(self.pairs.values()))
        sealed = outbound.seal(next_header, payload)
        self.ike.spend(self.now, inbound.spi, outbound.octets)
        in_udp = encapsulation.startswith("udp")
        self.out.append(events.Datagram(4500, 4500, sealed) if in_udp else events.Datagram(0, 0, sealed, 50))

    def send_ip(self, now: float, packet: bytes) -> None:
        frame = self.ppp.send_ip(packet)
        assert frame is not None
        assert self.l2tp.send_data(now, frame)
        self.pump(now)

    @property
    def deadline(self) -> float | None:
        times = [self.ike.deadline, self.l2tp.deadline, self.ppp.deadline]
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: float) -> None:
        self.ike.tick(now)
        self.l2tp.tick(now)
        self.ppp.tick(now)
        self.pump(now)


IDLE_IKE = IkeConfig(GATEWAY, CLIENT, b"", (), (), ())  # of a gateway that has no use for it

Drop = Callable[[bool, events.Datagram], bool]


@dataclass
class Link:
    """Client and gateway on one clock. `drop(to_gateway, datagram)` says which datagrams the network loses."""

    client: ClientStack
    gateway: Gateway
    drop: Drop = lambda to_gateway, datagram: False
    now: float = 1000.0
    told: list[events.Event] = field(default_factory=list)
    crossed: list[tuple[bool, events.Datagram]] = field(default_factory=list)

    def settle(self) -> None:
        """Carries datagrams until both sides are quiet."""
        for _ in range(200):
            there, back = self.client.take_datagrams(), self.gateway.out
            self.gateway.out = []
            self.told += self.client.take_events()
            if not there and not back:
                return
            for to_gateway, datagrams in ((True, there), (False, back)):
                for datagram in datagrams:
                    self.crossed.append((to_gateway, datagram))
                    if self.drop(to_gateway, datagram):
                        continue
                    if to_gateway:
                        self.gateway.receive(self.now, datagram)
                    else:
                        self.client.receive(self.now, datagram.dport, datagram.payload, datagram.protocol)
        raise AssertionError("client and gateway never fall quiet")

    def run(self, until: Callable[[], bool] = lambda: False, seconds: float = 60.0) -> bool:
        """Lets time pass from deadline to deadline until `until` holds, for at most `seconds`."""
        end = self.now + seconds
        self.settle()
        while not until():
            due = min((time for time in (self.client.deadline, self.gateway.deadline) if time is not None), default=None)
            if due is None or due > end:
                self.now = end
                return until()
            self.now = max(self.now, due)
            self.client.tick(self.now)
            self.gateway.tick(self.now)
            self.settle()
        return True

    def of(self, kind: type[events.Event]) -> Iterator[events.Event]:
        return (event for event in self.told if isinstance(event, kind))


Dial = Callable[..., Link]


@pytest.fixture
def dial() -> Dial:
    """Makes a client and its gateway and starts the client. `stack` replaces fields of the client's configuration, other keyword
    arguments those of its PPP."""

    def make(
        client: StackConfig | None = None,
        gateway: StackConfig | None = None,
        drop: Drop | None = None,
        seed: int = 1,
        *,
        ipsec: bool = True,
        nat: bool = True,
        stack: Mapping[str, object] | None = None,
        ike: Mapping[str, object] | None = None,
        gateway_ike: Mapping[str, object] | None = None,
        **ppp: object,
    ) -> Link:
        config, peer = client or client_config(ipsec=ipsec), gateway or gateway_config(ipsec=ipsec, nat=nat)
        config = replace(config, ppp=replace(config.ppp, **ppp), **(stack or {}))  # type: ignore[arg-type]
        if config.ike is not None and peer.ike is not None:
            config = replace(config, ike=replace(config.ike, **(ike or {})))  # type: ignore[arg-type]
            peer = replace(peer, ike=replace(peer.ike, **(gateway_ike or {})))  # type: ignore[arg-type]
        link = Link(ClientStack(config, random.Random(seed).randbytes), Gateway(peer, seed + 1000))
        if drop is not None:
            link.drop = drop
        link.client.start(link.now)
        link.settle()
        return link

    return make
