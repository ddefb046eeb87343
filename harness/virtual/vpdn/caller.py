"""A caller on a LAC's line: PPP as the peer, and nothing below it, as over a modem. It knows of no tunnel and of no IPsec."""

from __future__ import annotations

from harness.wire import events, ip
from harness.wire.config import Entropy, PppConfig
from harness.wire.ppp import PppCore


class Caller:
    """Frames and `now` in; frames, events and a deadline out. `heard` are the frames that came, `told` all that its PPP said;
    `down`: the line has gone."""

    def __init__(self, config: PppConfig, entropy: Entropy) -> None:
        self.heard: list[bytes] = []
        self.told: list[events.Event] = []
        self.down = False
        self._ppp = PppCore(config, entropy)

    @property
    def address(self) -> str | None:
        return None if self.down else self._ppp.address

    @property
    def deadline(self) -> float | None:
        return None if self.down else self._ppp.deadline

    def dial(self, now: float) -> None:
        self._ppp.open(now)
        self._listen()

    def receive(self, now: float, frame: bytes | None) -> None:
        """None: the line goes down."""
        if frame is None:
            self.down = True
        if self.down or frame is None:
            return
        self.heard.append(frame)
        self._ppp.receive(now, frame)
        self._listen()

    def tick(self, now: float) -> None:
        if not self.down:
            self._ppp.tick(now)
            self._listen()

    def close(self, now: float) -> None:
        """The orderly end: an LCP Terminate-Request."""
        self._ppp.close(now)
        self._listen()

    def take_frames(self) -> list[bytes]:
        frames = self._ppp.take_frames()
        return [] if self.down else frames

    def ping(self, to: str, payload: bytes, sequence: int = 1, *, df: bool = False) -> bytes | None:
        """The frame with an echo request, None while there is no address to send it from."""
        if self.address is None:
            return None
        request = ip.build_echo(ip.Echo(True, 1, sequence, payload))
        return self._ppp.send_ip(ip.build_ipv4(self.address, to, ip.ICMP, request, identification=sequence, df=df))

    def datagram(self, to: str, port: int, payload: bytes) -> bytes | None:
        """The frame with a UDP datagram from and to that port, None while there is no address to send it from."""
        if self.address is None:
            return None
        datagram = ip.build_udp(ip.packed(self.address), ip.packed(to), port, port, payload)
        return self._ppp.send_ip(ip.build_ipv4(self.address, to, ip.UDP, datagram, ttl=1))

    @property
    def packets(self) -> list[bytes]:
        """The IP packets that it was sent."""
        return [event.packet for event in self.told if isinstance(event, events.IpPacket)]

    def _listen(self) -> None:
        self.told += self._ppp.take_events()
