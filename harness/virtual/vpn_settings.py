"""What a tunnel-mode VPN endpoint is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network

from harness.model import Secret
from harness.virtual.crypto_map import Policy
from harness.virtual.nat_transparency import NatTransparency
from harness.wire.config import IkeProposal
from harness.wire.retransmit import Schedule


@dataclass(frozen=True, slots=True)
class IsakmpKey:
    """`crypto isakmp key KEY address NETWORK`."""

    network: IPv4Network
    key: Secret


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """`address` is that of the interface with the crypto map, `inside` the networks behind the router: all others lie outside.
    Times in seconds. `dpd_s` None: it only answers. `idle_s`: SAs over which nothing came for so long end, None for never.

    `isakmp`: IKE is spoken, as long as an interface has a crypto map.
    `demand_port_500`: IKE from another port than 500 is not listened to, as by concentrators that know no NAT."""

    address: str
    inside: tuple[IPv4Network, ...]
    policy: Policy = field(default_factory=Policy)
    keys: tuple[IsakmpKey, ...] = ()
    ike_proposals: tuple[IkeProposal, ...] = (IkeProposal("3des", "sha1", "modp1024", 86400),)
    nat_transparency: NatTransparency = field(default=NatTransparency())
    initial_contact: bool = True
    dpd_s: float | None = None
    keepalive_s: float = 20.0
    idle_s: float | None = None
    isakmp: bool = True
    rekey_margin: float | None = 0.9
    demand_port_500: bool = False
    half_open: int = 100
    schedule: Schedule = field(default=Schedule((2.0, 4.0, 8.0, 16.0)))

    @property
    def speaks_ike(self) -> bool:
        return self.isakmp and self.policy.crypto_map is not None

    def key_for(self, peer: str) -> bytes | None:
        """The key of the narrowest network that the peer's address is in."""
        address = int.from_bytes(IPv4Network(peer).network_address.packed)
        fitting = [one for one in self.keys if not (address ^ int(one.network.network_address)) & int(one.network.netmask)]
        found = max(fitting, key=lambda one: one.network.prefixlen, default=None)
        return None if found is None else found.key.reveal().encode()
