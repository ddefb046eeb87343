"""The virtual IOS router that stands for a testbed's gateway in virtual time: configured as the driver configures a real one, or as
the examples of "L2TP-IPsec Support for NAT and PAT Windows Clients" and "L2TP Security" have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Interface

from harness.devices.ios.gateway_lines import ClientsLns, gateway_lines
from harness.errors import DeviceError, UsageError
from harness.routers.script import GatewayStart
from harness.virtual.ios.router import IosRouter, RouterParts
from harness.virtual.ios.state import State
from harness.virtual.settings import Settings
from harness.wire.config import Entropy

DEVICE = "gateway"
OUTSIDE, LAN = "FastEthernet0/0", "FastEthernet0/1"
MAP = "CRYP_MAP"
DYNAMIC = "crypto dynamic-map DYN_MAP 10"


def router(settings: Settings, entropy: Entropy, start: GatewayStart, parts: RouterParts | None = None) -> IosRouter:
    """`settings` are the testbed's and the variant's. DeviceError where the router does not take a line of its configuration,
    UsageError where there is no base of that name."""
    if start.base not in BASES:
        raise UsageError(f"there is no configuration {start.base!r} of a gateway", cure=f"one of {', '.join(BASES)}")
    startup = "\n".join([*BASES[start.base](settings), *start.lines, "end", ""])
    state = State(release=start.release, startup=startup)
    if state.troubles:
        raise DeviceError(DEVICE, state.troubles[0].line, "its startup configuration has a line that it does not take")
    return IosRouter(state, entropy, settings.personality, parts)


def clients(settings: Settings) -> Iterator[str]:
    """An LNS for clients of all ages, as the driver makes one of a real router. `settings` give names, addresses and secrets, and
    whether the dynamic map has `set nat demux`. A line of a section is indented."""
    look = settings.personality
    yield "hostname LNS"
    yield from (f"interface {OUTSIDE}", f" ip address {settings.address} 255.255.255.0")
    yield from _lan(settings)
    yield from gateway_lines(
        ClientsLns(
            OUTSIDE,
            settings.psk,
            settings.ppp_address,
            settings.pool_first,
            settings.pool_last,
            settings.users,
            keepalive_s=look.dpd,
            lifetime_s=look.esp_proposals[0].lifetime_s if look.esp_proposals else None,
            demux=look.demux,
        )
    )


def example(settings: Settings) -> Iterator[str]:
    """The example of the document on `set nat demux`. What its copy has lost is put back, and the interface towards the clients has
    the testbed's address; all others are the document's."""
    yield from ("service timestamps debug datetime msec", "service timestamps log datetime msec", "no service password-encryption")
    yield from ("hostname LNS", "aaa new-model", "aaa authentication ppp default local")
    yield from _users(settings)
    yield from ("ip dhcp excluded-address 20.0.0.8", "ip dhcp excluded-address 20.0.0.10")
    yield from ("vpdn enable", "vpdn ip udp ignore checksum", "vpdn-group 1", " accept-dialin", "  protocol l2tp")
    yield from ("  virtual-template 1", " no l2tp tunnel authentication", "crypto keyring L2TP")
    yield f" pre-shared-key address 0.0.0.0 0.0.0.0 key {settings.psk.reveal()}"
    yield from ("crypto isakmp policy 1", " encr 3des", " authentication pre-share", " group 2")
    yield from (f"crypto isakmp key {NAMED_KEY} hostname {NAMED}", "crypto isakmp keepalive 3600")
    yield from ("crypto ipsec security-association lifetime seconds 600", "crypto ipsec transform-set TS1 esp-3des esp-sha-hmac")
    yield from (" mode transport", DYNAMIC, " set nat demux", " set transform-set TS1")
    yield f"crypto map {MAP} 6000 ipsec-isakmp dynamic DYN_MAP"
    yield from ("interface Loopback0", " ip address 12.0.0.8 255.255.255.255")
    yield from _outside(settings, MAP)
    yield from ("interface FastEthernet0/1", " ip address 20.0.0.8 255.255.255.0")
    yield from ("interface FastEthernet2/0", " ip address 172.19.192.138 255.255.255.0")
    yield from ("interface Virtual-Template1", " ip unnumbered Loopback0", " peer default ip address pool POOL")
    yield from (" ppp authentication chap ms-chap", "router ospf 1", " redistribute static subnets")
    yield from (" network 11.0.0.0 0.0.0.255 area 0", "ip local pool POOL 20.0.0.100 20.0.0.110")
    yield "ip route 171.0.0.0 255.0.0.0 172.19.192.1"


def voluntary(settings: Settings) -> Iterator[str]:
    """The client-initiated example of "L2TP Security", with what it takes for granted: a policy, a key, a pool, a virtual template.
    Behind a NAT its clients' checksums are wrong, and without `set nat demux` there is one client only."""
    yield "hostname LNS"
    yield from _users(settings)
    yield from ("ip address-pool local", "vpdn enable", "vpdn ip udp ignore checksum", "vpdn-group dial-in", " accept-dialin")
    yield from ("  protocol l2tp", "  virtual-template 1", " l2tp security crypto-profile l2tp", " no l2tp tunnel authentication")
    yield from (" ip pmtu", "crypto isakmp policy 1", " authentication pre-share", _wildcard_key(settings))
    yield from ("crypto ipsec transform-set esp-des-sha-transport esp-des esp-sha-hmac", " mode transport")
    yield from ("crypto map l2tpsec 10 ipsec-isakmp profile l2tp", " set transform-set esp-des-sha-transport")
    yield from (" set security-association lifetime seconds 120", " set nat demux")
    yield from ("interface Loopback0", f" ip address {settings.ppp_address} 255.255.255.255")
    yield from _outside(settings, "l2tpsec")
    yield from _lan(settings)
    yield from ("interface Virtual-Template1", " ip unnumbered Loopback0", " peer default ip address pool POOL")
    yield from (" ppp authentication chap", f"ip local pool POOL {settings.pool_first} {settings.pool_last}")


BASES: Mapping[str, Callable[[Settings], Iterator[str]]] = {"clients": clients, "example": example, "voluntary": voluntary}
"""What a gateway may begin with, by the name that a script uses."""
NAMED, NAMED_KEY = "w2k01", "cisco"
"""The host whose key the example has, and that key, as the document prints both."""


def _users(settings: Settings) -> Iterator[str]:
    for user, password in settings.users.items():
        yield f"username {user} password 0 {password.reveal()}"


def _wildcard_key(settings: Settings) -> str:
    return f"crypto isakmp key {settings.psk.reveal()} address 0.0.0.0 0.0.0.0"


def _outside(settings: Settings, name: str) -> Iterator[str]:
    yield from (f"interface {OUTSIDE}", f" ip address {settings.address} 255.255.255.0", f" crypto map {name}")


def _lan(settings: Settings) -> Iterator[str]:
    if settings.lan is not None:
        lan = IPv4Interface(settings.lan)
        yield from (f"interface {LAN}", f" ip address {lan.ip} {lan.netmask}")
