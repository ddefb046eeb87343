"""The whole virtual gateway with live clients in several stages: whatever strangers and hostile clients send, nobody else's
connection changes, new clients come up meanwhile, and afterwards nothing is left of it.

Strangers spoil real traffic, from anywhere and in anybody's name. Hostile clients have come up like any other: with their own keys
they seal whatever they like, from IKE payloads to PPP frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from fuzzing import formats
from fuzzing.corpus import FRAMES, MESSAGES
from fuzzing.ike import HostilePeer, writing
from fuzzing.life import Life, Shot, Violation
from fuzzing.world import GATEWAY, HOST, NAT, PPP, Client, World, settings
from harness.wire import ip
from harness.wire.l2tp import header
from harness.wire.packet import Packet
from harness.wire.stack import State

STRANGERS = ("198.51.100.9", "198.51.100.10", NAT)
HALF_OPEN = 400
"""More than a life's hostile peers can fill: else nobody new came up, as it has to be."""
STAGES = (2, 4, 7, 10, 16)
"""After how many packets a bystander who is still coming up is held."""


class GatewayLife(Life):
    shots = 6_000
    weight_limit = 24 << 20

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.personality = self.setting.choice(("demux", "demux", "demux", "plain", "clear"))
        self.world = World(settings(self.personality, half_open=HALF_OPEN), self.setting)
        self.peer = HostilePeer(self.mutator)
        self.bystanders = [self.world.dial(number) for number in (1, 2)]
        if self.personality == "plain":  # there the newest client takes the place of those before it, by design
            self.bystanders = self.bystanders[1:]
        for one in self.bystanders:
            self._answered(one)
        self.hostile: list[Client] = []
        self.count = 10
        with writing(self.peer.hear):
            self._admit()
        self.coming: list[Client] = []
        if self.personality != "plain":
            self.coming = [
                self._coming(number, stage) for number, stage in zip((4, 5), self.setting.sample(STAGES, 2), strict=True)
            ]
        self.theirs = {packet.payload for packet in self.world.sent}
        self.before = self.state()

    def _coming(self, number: int, stage: int) -> Client:
        client = self.world.add(number)
        client.stopped = True
        self.world.settle()
        for _ in range(stage):
            self.world.release(client, 1)
        return client

    def _admit(self) -> None:
        """A hostile client more comes up; of many, the oldest vanishes."""
        if self.personality == "plain" and self.hostile:
            return
        self.count += 1
        if self.personality == "plain":
            return
        self.hostile.append(self.world.dial(self.count))
        if len(self.hostile) > 3:
            gone = self.hostile.pop(0)
            gone.stack.vanish()
            self.world.forget(gone)

    # What is watched

    def state(self) -> list[tuple[object, object, object]]:
        """All of the gateway that belongs to bystanders who are up, in values."""
        return [self._of(client) for client in self.bystanders]

    def _of(self, client: Client) -> tuple[object, object, object]:
        gateway = self.world.gateway
        address = client.stack.address
        link = gateway.links.by_address.get(address or "")
        if link is None:
            return (), (), ()
        tunnel = gateway.lns.tunnels.get(link.tunnel)
        if tunnel is None:
            return (), (), ()
        core, channel = tunnel.core, tunnel.core._channel
        sas = [
            (sa.spi_in, sa.spi_out, sa.inbound.window.highest, sa.inbound.window._seen, sa.port,
             sa.client.address, sa.client.udp_port, sa.client.translated, tuple(sa.association.ike_sas))
            for sa in gateway.ipsec.sadb
            if tunnel.origin is not None and sa.client is tunnel.origin
        ]  # fmt: skip
        l2tp = tunnel.number, tunnel.address, tunnel.port, core.tunnel_remote, core.calls, channel._nr, channel._first
        return sas, l2tp, (link.session, link.remote, link.assigned, link.up, link.ppp.phase, link.ppp.user, link.index)

    def _answered(self, client: Client) -> None:
        if not self.world.ping(client):
            raise Violation("a bystander's ping is not answered")

    def _unchanged(self) -> None:
        for client, now, before in zip(self.bystanders, self.state(), self.before, strict=True):
            for part, here, there in zip(("SAs", "tunnel", "link"), now, before, strict=True):
                if here != there:
                    raise Violation(f"a bystander's {part} changed") from ValueError(f"{client.address}: {there} became {here}")

    def check(self) -> None:
        self._unchanged()
        for client in self.bystanders:
            self._answered(client)
        gateway = self.world.gateway
        if gateway.ipsec.associations.half_open > HALF_OPEN or gateway.lns.half_open > HALF_OPEN:
            raise Violation("more peers are half open than may be")
        self.before = self.state()

    def end(self) -> None:
        """Who was coming up does; the storm's remains go; what is left are the clients."""
        for client in self.hostile:
            client.stack.vanish()
            self.world.forget(client)
        for client in self.coming:
            self.world.release(client)
            self.world.run(60.0, until=partial(_settled, client))
            if not client.up:
                raise Violation(f"a bystander who was coming up has not: {client.stack.state.value}")
        self.world.run(600.0)
        everybody = self.bystanders + self.coming
        for client in everybody:
            self._answered(client)
        gateway = self.world.gateway
        left = (
            len(gateway.ipsec.associations),
            len(gateway.lns.tunnels),
            gateway.lns.half_open,
            gateway.ipsec.associations.half_open,
        )
        wanted = (len(everybody) if self.world.ipsec else 0, len(everybody), 0, 0)
        if left != wanted:
            raise Violation(f"associations, tunnels, and half-open ones of both are {left} in the end, not {wanted}")
        if self.personality == "demux" and len(gateway.ipsec.sadb.by_spi) != len(everybody):
            raise Violation("ESP SAs of nobody are left")

    # What is thrown

    def aim(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        kind = choice.random()
        if kind < 0.0008:
            return [Shot(("tick", choice.choice((0.2, 1.0, 2.0))))]
        if kind < 0.002:
            return [Shot(("real", "admit"))]
        if kind < 0.02:
            return [Shot(("lan",), formats.inner(mutator, self._inner(), self._addresses()))]
        if kind < 0.45 or not self.hostile:
            return self._stranger()
        if self.world.ipsec:
            return self._insider(choice.choice(self.hostile))
        return self._insider_in_the_clear(choice.choice(self.hostile))

    def _stranger(self) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        packets = list(self.world.sent)
        packet = choice.choice(packets)
        others = [choice.choice(packets).payload for _ in range(4)]
        data = packet.payload
        match choice.randrange(10):
            case 0:
                data = mutator.noise()
            case 1:
                pass  # a replay, from here or from elsewhere
            case _:
                data = mutator.spoil(data, others)
                if packet.dport == 500 and len(data) >= 28 and mutator.chance(0.8):
                    data = data[:24] + len(data).to_bytes(4) + data[28:]
        src, sport = packet.src, packet.sport
        if mutator.chance(0.4):
            src, sport = choice.choice(STRANGERS), choice.choice((500, 4500, 1701, 1024, choice.randrange(1, 65536)))
        dport = packet.dport if mutator.chance(0.85) else choice.choice((500, 4500, 1701, 0, 9))
        protocol = choice.choice((17,) * 12 + (50, 51, 1))
        if self._is_anothers(src, sport, data):
            src = STRANGERS[0]
        return [Shot(("wire", src, protocol, sport, dport), data)]

    def _is_anothers(self, src: str, sport: int, data: bytes) -> bool:
        """Whether this would be a client's word, for all that the gateway can see: of a client whose IKE is not up yet, or who does
        without IPsec. Nothing can protect these from who speaks in their place."""
        if src != NAT:
            return False
        if not self.world.ipsec:
            return True
        return any((client.address, port) in self.world._outside and self.world._outside[client.address, port] == sport
                   for client in self.coming for port in (500, 4500))  # fmt: skip

    def _insider(self, client: Client) -> Sequence[Shot]:
        choice, mutator = self.mutator.choice, self.mutator
        stack = client.stack
        ipsec: Any = stack._ipsec
        src, sport = self.world.outside(client.address, 4500)
        if mutator.chance(0.1):
            sport = choice.choice((sport, sport + 1, 4500))
        door = "wire", src, 17, sport, 4500
        association = ipsec._ike._all
        if mutator.chance(0.3) and association.sas:
            sa = choice.choice(association.sas)
            return [Shot(door, bytes(4) + self.peer.sealed(sa.keys, sa.last_block, sa.cookies, self._deletes()))]
        if not ipsec.pairs:
            return self._stranger()
        _, outbound, _ = ipsec.pairs[next(reversed(ipsec.pairs))]
        next_header, payload = 17, self._l2tp(client)
        if mutator.chance(0.06):
            next_header, payload = choice.randrange(256), mutator.spoil(payload)
        else:
            source = 1701 if mutator.chance(0.9) else choice.choice((1024, 1025, 1026, 0))
            payload = ip.build_udp(ip.packed(client.address), ip.packed(GATEWAY), source, 1701, payload)
            if mutator.chance(0.05):
                payload = mutator.spoil(payload)
        return [Shot(door, outbound.seal(next_header, payload))]

    def _insider_in_the_clear(self, client: Client) -> Sequence[Shot]:
        src, sport = self.world.outside(client.address, 1701)
        return [Shot(("wire", src, 17, sport, 1701), self._l2tp(client))]

    def _l2tp(self, client: Client) -> bytes:
        """A message as the client sends it, or anybody's, spoilt; with its own tunnel and next number, or others'."""
        choice, mutator = self.mutator.choice, self.mutator
        core = client.stack._l2tp
        match choice.randrange(10):
            case 0 | 1 | 2:  # PPP, deep inside
                frame = formats.ppp(mutator, choice.choice(self._frames(client)), ())
                return header.build_data(core.tunnel_remote, core.session_remote, frame)
            case 3:
                packet = formats.inner(mutator, self._inner(client), self._addresses())
                return header.build_data(core.tunnel_remote, core.session_remote, b"\xff\x03\x00\x21" + packet)
            case 4:  # of another's tunnel
                other = choice.choice(self.bystanders).stack._l2tp
                whole = choice.choice(self._control(client))
                return whole[:4] + other.tunnel_remote.to_bytes(2) + whole[6:]
            case 5:
                other = choice.choice(self.bystanders).stack._l2tp
                return header.build_data(other.tunnel_remote, other.session_remote, choice.choice(self._frames(client)))
            case _:
                return formats.l2tp(mutator, choice.choice(self._control(client)), self._control(client))

    def _control(self, client: Client) -> list[bytes]:
        core = client.stack._l2tp
        channel = core._channel
        ns, nr = channel._first + len(channel._flight) & 0xFFFF, channel._nr
        if self.mutator.chance(0.5):  # as the gateway's end counts, who has heard what was thrown
            tunnel = self.world.gateway.lns.tunnels.get(core.tunnel_remote)
            if tunnel is not None:
                ns, nr = tunnel.core._channel._nr, tunnel.core._channel._first
        return [
            header.build_control(
                core.tunnel_remote if tunnel else 0, core.session_remote if tunnel else 0, ns if tunnel else 0, nr, body
            )
            for tunnel, body in MESSAGES
        ]

    def _frames(self, client: Client) -> list[bytes]:
        return FRAMES

    def _inner(self, client: Client | None = None) -> bytes:
        address = (client.stack.address if client is not None else None) or HOST
        echo = ip.build_echo(ip.Echo(True, 9, 9, b"hostile"))
        return ip.build_ipv4(address, PPP, ip.ICMP, echo)

    def _addresses(self) -> list[bytes]:
        own = [client.stack.address for client in self.bystanders if client.stack.address]
        return [
            ip.packed(one) for one in (*own, PPP, HOST, GATEWAY, NAT, "172.16.1.200", "224.0.0.1", "255.255.255.255", "0.0.0.0")
        ]

    def _deletes(self) -> list[tuple[int, bytes]]:
        """Deletes of others' SAs, and notifications that name them."""
        found = []
        for sa in self.world.gateway.ipsec.sadb:
            for spi in (sa.spi_in, sa.spi_out):
                found.append((12, b"\0\0\0\1\3\4\0\1" + spi.to_bytes(4)))
            for icookie, rcookie in sa.association.ike_sas:
                found.append((12, b"\0\0\0\1\1\x10\0\1" + icookie + rcookie))
                found.append((11, b"\0\0\0\1\1\x10" + (24578).to_bytes(2) + icookie + rcookie))
        return found

    # What becomes of it

    def take(self, shot: Shot) -> None:
        world = self.world
        match shot.door[0]:
            case "tick":
                self._unchanged()
                world.run(shot.door[1])
                self.before = self.state()
            case "real":
                self._unchanged()
                self._admit()
                self.before = self.state()
            case "lan":
                world.gateway.receive_lan(world.now, shot.data)
            case _:
                _, src, protocol, sport, dport = shot.door
                ported = protocol == 17
                packet = Packet(src, GATEWAY, protocol, shot.data, sport if ported else 0, dport if ported else 0)
                world.gateway.receive(world.now, packet)
        self.world.now += 0.0002
        self._flush()

    def _flush(self) -> None:
        """The gateway's answers to hostile clients go to them, so that they stay in step; nobody else is to get any."""
        world = self.world
        if (due := world.gateway.deadline) and due <= world.now:
            world.gateway.tick(world.now)
        for packet in world.gateway.take_packets():
            address, port = world._inside.get(packet.dport, ("", 0)) if packet.dst == NAT else ("", 0)
            client = world.clients.get(address)
            if client is not None and client in self.hostile:
                client.stack.receive(world.now, port, packet.payload, packet.protocol)
                client.stack.take_datagrams()
                client.stack.take_events()
            elif client is not None and client in self.bystanders:
                world._bring(client, port, packet)
        world.drain()

    def parts(self) -> Iterable[Any]:
        return [self.world.gateway]


def _settled(client: Client) -> bool:
    return client.stack.state in (State.UP, State.ENDED)
