"""Two cores wired back to back, with a clock of their own, and the configurations they start from."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from phase_1_ways import WAYS

from harness.wire.config import EspProposal, IkeConfig, IkeProposal
from harness.wire.events import Datagram, Event
from harness.wire.ike import registry
from harness.wire.ike.core import IkeCore
from harness.wire.retransmit import Schedule

settings.register_profile("fixed", derandomize=True, deadline=None)  # the same examples in every run, and no clock
settings.load_profile("fixed")

E = TypeVar("E", bound=Event)

RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")

CLIENT = IkeConfig(
    address="10.0.0.2",
    peer_address="203.0.113.231",
    psk=b"sharedsecret",
    proposals=(IkeProposal("aes-256", "sha1", "ecp256"), IkeProposal("3des", "sha1", "modp1024")),
    esp_proposals=(EspProposal("aes-256", "sha1"), EspProposal("3des", "sha1")),
    vendor_ids=(RFC_3947, registry.DPD_VENDOR_ID),
    schedule=Schedule((1.0, 2.0, 4.0)),
)
GATEWAY = replace(CLIENT, address="203.0.113.231", peer_address="203.0.113.232", rekey_margin=None)


class Pair:
    """`client` and `gateway`, both real cores; the gateway sees the client behind a NAT unless the configuration says otherwise.

    `drop` decides about each datagram by sender ("client", "gateway") and number of the datagram, from 1 for each sender.
    """

    def __init__(self, client: IkeConfig = CLIENT, gateway: IkeConfig = GATEWAY, seed: int = 1) -> None:
        self.client = IkeCore(client, random.Random(seed).randbytes)
        self.gateway = IkeCore(gateway, random.Random(seed + 1000).randbytes)
        self.now = 100.0
        self.drop: Callable[[str, int], bool] = lambda sender, number: False
        self.sent: dict[str, list[Datagram]] = {"client": [], "gateway": []}
        self.events: dict[str, list[Event]] = {"client": [], "gateway": []}

        self.seen_port: dict[str, int] = {}  # by sender: the port that the other side sees, where it is not the one sent from

    def pump(self) -> None:
        """Delivers until nobody says anything any more."""
        ends = (("client", self.client, self.gateway), ("gateway", self.gateway, self.client))
        moved = True
        while moved:
            moved = False
            for name, sender, receiver in ends:
                for datagram in sender.take_datagrams():
                    moved = True
                    self.sent[name].append(datagram)
                    if not self.drop(name, len(self.sent[name])):
                        receiver.receive(self.now, message(datagram), datagram.dport, self.seen_port.get(name, datagram.sport))
        for name, core, _ in ends:
            self.events[name] += core.take_events()

    def advance(self, seconds: float) -> None:
        """Lets time pass, from deadline to deadline."""
        end = self.now + seconds
        for _ in range(10_000):
            due = min((t for t in (self.client.deadline, self.gateway.deadline) if t is not None), default=None)
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.client.tick(self.now)
            self.gateway.tick(self.now)
            self.pump()
        else:
            raise AssertionError("the cores never come to rest: a deadline is not moved by tick")
        self.now = end

    def up(self) -> Pair:
        self.client.start(self.now)
        self.pump()
        return self

    def got(self, end: str, kind: type[E]) -> list[E]:
        return [event for event in self.events[end] if isinstance(event, kind)]

    def forget(self) -> None:
        self.sent = {"client": [], "gateway": []}
        self.events = {"client": [], "gateway": []}


def message(datagram: Datagram) -> bytes:
    """What a socket's owner hands to the core: no non-ESP marker."""
    if datagram.dport == registry.PORT_NATT and datagram.payload != registry.KEEPALIVE:
        assert datagram.payload[:4] == registry.NON_ESP_MARKER
        return datagram.payload[4:]
    return datagram.payload


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    return WAYS[request.param]


@pytest.fixture
def make_pair() -> Callable[..., Pair]:
    """Configurations are CLIENT and GATEWAY with the fields given by `client=` and `gateway=` replaced."""

    def make(client: dict[str, Any] | None = None, gateway: dict[str, Any] | None = None, seed: int = 1) -> Pair:
        return Pair(replace(CLIENT, **(client or {})), replace(GATEWAY, **(gateway or {})), seed)

    return make
