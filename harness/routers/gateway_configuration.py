"""The virtual IOS router that stands for a testbed's gateway in virtual time: configured as the driver configures a real one."""

from __future__ import annotations

from ipaddress import IPv4Interface

from harness.devices.ios.gateway_lines import ClientsLns, gateway_lines
from harness.errors import DeviceError
from harness.routers.script import RELEASE
from harness.virtual.ios.router import IosRouter, RouterParts
from harness.virtual.ios.state import State
from harness.virtual.settings import Settings
from harness.wire.config import Entropy

DEVICE = "gateway"
OUTSIDE, LAN = "FastEthernet0/0", "FastEthernet0/1"


def router(settings: Settings, entropy: Entropy, *, release: str = RELEASE, parts: RouterParts | None = None) -> IosRouter:
    """`settings` are the testbed's and the variant's. DeviceError where the router does not take a line of its configuration."""
    startup = "\n".join([*cabled(settings), *gateway_lines(lns_of(settings)), "end", ""])
    state = State(release=release, startup=startup)
    if state.troubles:
        raise DeviceError(DEVICE, state.troubles[0].line, "its startup configuration has a line that it does not take")
    return IosRouter(state, entropy, settings.personality, parts)


def cabled(settings: Settings) -> tuple[str, ...]:
    """A router's name and the addresses of its interfaces: what it has before anybody makes a gateway of it."""
    lines = ["hostname LNS", f"interface {OUTSIDE}", f" ip address {settings.address} 255.255.255.0"]
    if settings.lan is not None:
        lan = IPv4Interface(settings.lan)
        lines += [f"interface {LAN}", f" ip address {lan.ip} {lan.netmask}"]
    return tuple(lines)


def lns_of(settings: Settings) -> ClientsLns:
    look = settings.personality
    return ClientsLns(
        OUTSIDE,
        settings.psk,
        settings.ppp_address,
        settings.pool_first,
        settings.pool_last,
        settings.users,
        look.dpd,
        look.demux,
    )
