"""Captures made by hand: a small independent builder of IKEv1, ESP, L2TP and PPP bytes behind a NAT, for the tests of the probes.

It shares nothing with the dissector nor with `wire`: struct, hashlib, hmac and `cryptography` only.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from socket import inet_aton
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from harness.probes.dissect import Dissector

GATEWAY, NAT, START = "203.0.113.231", "203.0.113.232", 1_700_000_000_000_000_000
RFC3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")
NONCE = bytes(range(8))


def summed(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(src: str, dst: str, sport: int, dport: int, payload: bytes, checksum: bool = True) -> bytes:
    head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    pseudo = inet_aton(src) + inet_aton(dst) + struct.pack("!HH", 17, 8 + len(payload))
    value = (summed(pseudo + head + payload) or 0xFFFF) if checksum else 0
    return head[:6] + struct.pack("!H", value) + payload


def ip(
    src: str, dst: str, protocol: int, payload: bytes, ttl: int = 64, ident: int = 1, flags: int = 0x4000, tos: int = 0
) -> bytes:
    ends = inet_aton(src), inet_aton(dst)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(payload), ident, flags, ttl, protocol, 0, *ends)
    return head[:10] + struct.pack("!H", summed(head)) + head[12:] + payload


def ether(packet: bytes) -> bytes:
    return bytes.fromhex("020000000002020000000001") + b"\x08\x00" + packet


def encrypted(key: bytes, iv: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def avp(kind: int, value: bytes, vendor: int = 0) -> bytes:
    return struct.pack("!HHH", 0x8000 | 6 + len(value), vendor, kind) + value


def control(message: int | None, tunnel: int, session: int, ns: int, nr: int, *avps: bytes) -> bytes:
    body = b"" if message is None else avp(0, struct.pack("!H", message)) + b"".join(avps)
    return struct.pack("!HHHHHH", 0xC802, 12 + len(body), tunnel, session, ns, nr) + body


def data_message(tunnel: int, session: int, ppp: bytes) -> bytes:
    return struct.pack("!HHH", 0x0002, tunnel, session) + ppp


def ppp_control(protocol: int, code: int, ident: int, data: bytes) -> bytes:
    return b"\xff\x03" + struct.pack("!HBBH", protocol, code, ident, 4 + len(data)) + data


def marked(src: str, dst: str, owner: int, sequence: int, answer: bool, size: int = 100) -> bytes:
    """An IPv4 packet with a marked echo, by the description of the format alone."""
    body = b"NSTM\x01" + NONCE + struct.pack("!IIH", owner, sequence, size)
    stream = b"".join(hashlib.sha256(NONCE + struct.pack("!III", owner, sequence, i)).digest() for i in range(60))
    body += stream[: size - 51]
    icmp = struct.pack("!BBHHH", 0 if answer else 8, 0, 0, owner & 0xFFFF, sequence & 0xFFFF) + body
    return ip(src, dst, 1, icmp[:2] + struct.pack("!H", summed(icmp)) + icmp[4:])


def chained(*payloads: tuple[int, bytes]) -> tuple[int, bytes]:
    """(type of the first, the bytes) of a chain of IKE payloads."""
    kinds = [kind for kind, _ in payloads] + [0]
    bodies = [struct.pack("!BBH", kinds[i + 1], 0, 4 + len(body)) + body for i, (_, body) in enumerate(payloads)]
    return kinds[0], b"".join(bodies)


def attributes(*pairs: tuple[int, int]) -> bytes:
    out = b""
    for kind, value in pairs:
        out += struct.pack("!HH", 0x8000 | kind, value) if value < 0x10000 else struct.pack("!HHI", kind, 4, value)
    return out


def security_association(protocol: int, spi: bytes, *transforms: tuple[int, bytes]) -> bytes:
    out = b""
    for number, (ident, attrs) in enumerate(transforms, 1):
        more = 3 if number < len(transforms) else 0
        out += struct.pack("!BBHBBH", more, 0, 8 + len(attrs), number, ident, 0) + attrs
    proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(spi) + len(out), 1, protocol, len(spi), len(transforms)) + spi + out
    return struct.pack("!II", 1, 1) + proposal


MM_TRANSFORM = (1, attributes((1, 7), (14, 256), (2, 2), (4, 14), (3, 1), (11, 1), (12, 28800)))
QM_TRANSFORM = (12, attributes((6, 256), (5, 2), (4, 4), (1, 1), (2, 3600), (1, 2), (2, 250000)))


class World:
    """Two captures and a key file in the making. `pass_on=False` loses a packet at the NAT."""

    def __init__(self) -> None:
        self.now = START
        self.frames: dict[str, list[tuple[int, bytes]]] = {"inside": [], "outside": []}
        self.keys: list[dict[str, object]] = []
        self.random = random.Random(1701)

    def add(self, side: str, packet: bytes) -> int:
        self.now += 1_000_000
        self.frames[side].append((self.now, ether(packet)))
        return len(self.frames[side])

    def send(self, client: Client, up: bool, natt: bool, payload: bytes, pass_on: bool = True, checksum: bool = True) -> None:
        inner_port, outer_port, service = (4500, client.natt_port, 4500) if natt else (500, client.ike_port, 500)
        ident = self.random.randrange(1, 65536)

        def packet(address: str, port: int, ttl: int) -> bytes:
            ends = (address, GATEWAY, port, service) if up else (GATEWAY, address, service, port)
            return ip(*ends[:2], 17, udp(*ends, payload, checksum), ttl, ident)

        first, second = ("inside", "outside") if up else ("outside", "inside")
        ttls = {first: 64, second: 63}
        addresses = {"inside": (client.address, inner_port), "outside": (NAT, outer_port)}
        self.add(first, packet(*addresses[first], ttls[first]))
        if pass_on:
            self.add(second, packet(*addresses[second], ttls[second]))

    def write(self, folder: Path) -> SimpleNamespace:
        paths = {}
        for side, frames in self.frames.items():
            paths[side] = folder / f"{side}.pcap"
            paths[side].write_bytes(pcap_bytes(frames))
        keys = folder / "keys.jsonl"
        keys.write_text("".join(json.dumps(key) + "\n" for key in self.keys))
        return SimpleNamespace(inside=paths["inside"], outside=paths["outside"], keys=keys)


def pcap_bytes(frames: list[tuple[int, bytes]], link: int = 1) -> bytes:
    out = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link)
    for t, frame in frames:
        out += struct.pack("<IIII", t // 10**9, t % 10**9, len(frame), len(frame)) + frame
    return out


class Client:
    """One client of a World, with a whole set-up in methods; every secret is random and in the world's key file."""

    def __init__(self, world: World, number: int) -> None:
        take = world.random.randbytes
        self.world, self.number, self.name = world, number, f"c{number}"
        self.address = f"10.0.0.{1 + number}"
        self.ike_port, self.natt_port = 1024 + number, 2048 + number
        self.icookie, self.rcookie = take(8), take(8)
        self.key, self.ke = take(32), (take(256), take(256))
        self.iv = hashlib.sha1(self.ke[0] + self.ke[1]).digest()[:16]
        self.last = b""
        self.spis, self.esp_keys = (take(4), take(4)), ((take(32), take(20)), (take(32), take(20)))  # in, out
        self.sequence = [0, 0]
        self.tunnels, self.sessions = (100 + number, 7000 + number), (200 + number, 8000 + number)  # client's, gateway's

    def ike(
        self, up: bool, exchange: int, chain: tuple[int, bytes], mid: int = 0, key: bool = False, rcookie: bool = True
    ) -> bytes:
        first, body = chain
        if key:
            if mid:
                iv = getattr(self, f"iv_{mid}", None) or hashlib.sha1(self.last + struct.pack("!I", mid)).digest()[:16]
            else:
                iv = self.iv
            body = encrypted(self.key, iv, body + bytes(-len(body) % 16))
            if mid:
                setattr(self, f"iv_{mid}", body[-16:])
            else:
                self.iv = self.last = body[-16:]
        cookies = self.icookie + (self.rcookie if rcookie else bytes(8))
        return cookies + struct.pack("!BBBBII", first, 0x10, exchange, int(key), mid, 28 + len(body)) + body

    def main_mode(self, again: bool = False) -> None:
        """MM1 to MM6; `again` sends MM5 twice, as a client does that hears nothing."""
        send, take = self.world.send, self.world.random.randbytes
        sa = security_association(1, b"", MM_TRANSFORM)
        send(self, True, False, self.ike(True, 2, chained((1, sa), (13, RFC3947)), rcookie=False))
        send(self, False, False, self.ike(False, 2, chained((1, sa), (13, RFC3947))))
        for up in (True, False):
            chain = chained((4, self.ke[0 if up else 1]), (10, take(32)), (20, take(20)), (20, take(20)))
            send(self, up, False, self.ike(up, 2, chain))
        client_id = b"\x01\x00\x00\x00" + inet_aton(self.address)
        fifth = bytes(4) + self.ike(True, 2, chained((5, client_id), (8, take(20))), key=True)
        for _ in range(2 if again else 1):
            send(self, True, True, fifth)
        gateway_id = b"\x01\x00\x00\x00" + inet_aton(GATEWAY)
        send(self, False, True, bytes(4) + self.ike(False, 2, chained((5, gateway_id), (8, take(20))), key=True))
        entry = {"t": 0, "client": self.name, "kind": "ike", "icookie": self.icookie.hex(), "rcookie": self.rcookie.hex()}
        iv = hashlib.sha1(self.ke[0] + self.ke[1]).digest()[:16]
        self.world.keys.append(entry | {"encryption": "aes-256", "hash": "sha1", "key": self.key.hex(), "iv": iv.hex()})

    def quick_mode(self, mid: int = 0x01020304) -> None:
        take = self.world.random.randbytes
        ids = tuple((5, b"\x01\x11\x06\xa5" + inet_aton(address)) for address in (self.address, GATEWAY))
        oas = tuple((21, b"\x01\x00\x00\x00" + inet_aton(address)) for address in (self.address, GATEWAY))
        for up, spi in ((True, self.spis[0]), (False, self.spis[1])):
            sa = security_association(3, spi, QM_TRANSFORM)
            chain = chained((8, take(20)), (1, sa), (10, take(32)), *ids, *oas)
            self.world.send(self, up, True, bytes(4) + self.ike(up, 32, chain, mid, key=True))
        self.world.send(self, True, True, bytes(4) + self.ike(True, 32, chained((8, take(20))), mid, key=True))
        for direction, spi, keys in zip(("in", "out"), self.spis, self.esp_keys, strict=True):
            entry = {"t": 0, "client": self.name, "kind": "esp", "spi": spi.hex(), "direction": direction, "encryption": "aes-256"}
            entry |= {"authentication": "sha1", "key": keys[0].hex(), "auth_key": keys[1].hex(), "gateway": GATEWAY}
            self.world.keys.append(entry)

    def informational(self, payload: tuple[int, bytes], mid: int, up: bool = True) -> None:
        chain = chained((8, self.world.random.randbytes(20)), payload)
        self.world.send(self, up, True, bytes(4) + self.ike(up, 5, chain, mid, key=True))

    def esp(self, up: bool, l2tp: bytes, ends: tuple[str, str] | None = None) -> bytes:
        """An ESP packet with an L2TP datagram; its checksum is for `ends`, by default what each side believes it sends between."""
        which = 1 if up else 0
        self.sequence[which] += 1
        key, auth = self.esp_keys[which]
        src, dst = ends or ((self.address, GATEWAY) if up else (GATEWAY, NAT))
        plain = udp(src, dst, 1701, 1701, l2tp)
        padding = -(len(plain) + 2) % 16
        plain += bytes(range(1, padding + 1)) + bytes([padding, 17])
        iv = self.world.random.randbytes(16)
        packet = self.spis[which] + struct.pack("!I", self.sequence[which]) + iv + encrypted(key, iv, plain)
        return packet + hmac.digest(auth, packet, "sha1")[:12]

    def tell(self, up: bool, l2tp: bytes, **options: bool) -> None:
        self.world.send(self, up, True, self.esp(up, l2tp), **options)

    def l2tp(self) -> None:
        mine, theirs = self.tunnels
        host = avp(2, b"\x01\x00"), avp(3, bytes(3) + b"\x01"), avp(7, b"host"), avp(10, b"\x00\x08")
        self.tell(True, control(1, 0, 0, 0, 0, *host, avp(8, b"Microsoft"), avp(9, struct.pack("!H", mine))))
        self.tell(False, control(2, mine, 0, 0, 1, *host, avp(9, struct.pack("!H", theirs))))
        self.tell(True, control(3, theirs, 0, 1, 1))
        call = avp(14, struct.pack("!H", self.sessions[0])), avp(15, bytes(4)), avp(1, bytes(16), 311)
        self.tell(True, control(10, theirs, 0, 2, 1, *call))
        self.tell(False, control(11, mine, self.sessions[0], 1, 3, avp(14, struct.pack("!H", self.sessions[1]))))
        self.tell(True, control(12, theirs, self.sessions[1], 3, 2, avp(24, b"\x05\xf5\xe1\x00"), avp(19, bytes(3) + b"\x01")))
        self.tell(False, control(None, mine, 0, 2, 4))

    def frame(self, up: bool, ppp: bytes, **options: bool) -> None:
        end = 1 if up else 0
        self.tell(up, data_message(self.tunnels[end], self.sessions[end], ppp), **options)

    def ppp(self) -> None:
        magic = b"\x05\x06" + self.world.random.randbytes(4)
        self.frame(True, ppp_control(0xC021, 1, 1, b"\x01\x04\x05\x78" + magic))
        self.frame(False, ppp_control(0xC021, 2, 1, b"\x01\x04\x05\x78" + magic))
        self.frame(False, ppp_control(0xC021, 1, 1, b"\x03\x05\xc2\x23\x81" + magic))
        self.frame(True, ppp_control(0xC021, 2, 1, b"\x03\x05\xc2\x23\x81" + magic))
        self.frame(False, ppp_control(0xC223, 1, 7, b"\x10" + self.world.random.randbytes(16) + b"lns"))
        self.frame(True, ppp_control(0xC223, 2, 7, b"\x31" + self.world.random.randbytes(49) + f"user{self.number}".encode()))
        self.frame(False, ppp_control(0xC223, 3, 7, b"S=0123 M=Welcome"))
        address = b"\x03\x06" + inet_aton(f"172.16.1.{9 + self.number}")
        self.frame(True, ppp_control(0x8021, 1, 3, address))
        self.frame(False, ppp_control(0x8021, 2, 3, address))

    def mark(self, sequence: int, answered: bool = True, **options: bool) -> None:
        mine = f"172.16.1.{9 + self.number}"
        self.frame(True, b"\xff\x03\x00\x21" + marked(mine, "172.16.1.1", self.number, sequence, False), **options)
        if answered:
            self.frame(False, b"\x00\x21" + marked("172.16.1.1", mine, self.number, sequence, True))

    def keepalive(self, **options: bool) -> None:
        self.world.send(self, True, True, b"\xff", **options)

    def up(self) -> None:
        self.main_mode()
        self.quick_mode()
        self.l2tp()
        self.ppp()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def craft() -> SimpleNamespace:
    """The builder's parts, for tests that put single frames together (test modules cannot import one another)."""
    return SimpleNamespace(**{name: value for name, value in globals().items() if not name.startswith("_")})


@pytest.fixture(scope="session")
def dissector() -> Iterator[Dissector]:
    with Dissector() as process:
        yield process
