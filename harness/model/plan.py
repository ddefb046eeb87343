"""What a client is to do: the plan, made before the run and never changed by it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.secret import Secret


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """One remote-access client: who it is, where it sits, whom it dials.

    `number` counts from 1 and is the owner carried in every marked packet. `address` is the inside IPv4 address, before
    the NAT; `gateway` the address dialled. `personality` names a file of `harness/clients/personalities`. `site` is the NAT it is
    behind: 1 the testbed's own, 2 another one, where the same inside addresses may be in use, 0 none: the client is on the outside
    with an address of its own, and only the outside capture shows it.
    """

    number: int
    address: str
    gateway: str
    psk: Secret
    user: str
    password: Secret
    personality: str = "windows7"
    site: int = 1
    far_end: str | None = None  # whom its marked traffic is for; None: its PPP peer

    @property
    def name(self) -> str:
        return f"c{self.number}"
