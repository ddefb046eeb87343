"""The gateway's mechanisms, each behind a factory: another put in its place is another gateway, and nothing else has to know.

A factory that takes settings is called anew when the settings change; those without keep their state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.virtual import checksum, contact, demux
from harness.virtual.checksum import ChecksumPolicy
from harness.virtual.contact import ContactPolicy
from harness.virtual.demux import PortAllocator, Translator
from harness.virtual.ipsec import Ipsec
from harness.virtual.links import Links
from harness.virtual.lns import Lns
from harness.virtual.peers import ByAddressAndPort, ClientKey
from harness.virtual.pool import AddressPool, Authenticator, Pool
from harness.virtual.router import Router
from harness.virtual.sadb import NewestByAddressAndPort, SaLookup
from harness.virtual.settings import Settings
from harness.wire.config import Entropy, IkeConfig, L2tpConfig, PppConfig
from harness.wire.esp import InboundSa, OutboundSa, ReplayWindow
from harness.wire.ike.core import IkeCore
from harness.wire.l2tp import L2tpCore
from harness.wire.ppp import PppCore


def port_allocator(settings: Settings) -> PortAllocator:
    look = settings.personality
    return demux.allocator(look.port_policy, look.port_first, look.port_last)


def checksum_policy(settings: Settings) -> ChecksumPolicy:
    return checksum.policy(settings.personality.checksum)


def contact_policy(settings: Settings) -> ContactPolicy:
    return contact.policy(settings.personality.initial_contact)


def address_pool(settings: Settings) -> AddressPool:
    return Pool(settings.pool_first, settings.pool_last)


def authenticator(settings: Settings) -> Authenticator:
    return Authenticator(settings.users)


def l2tp_core(config: L2tpConfig, entropy: Entropy, tunnel: int) -> L2tpCore:
    return L2tpCore(config, entropy, tunnel_id=tunnel)


@dataclass(slots=True)
class Parts:
    """`settings_for` has the last word on settings, and with them on every timer. `ipsec`, `lns` and `links` are whole layers, for
    subclasses in which some method is another."""

    sa_lookup: Callable[[], SaLookup] = NewestByAddressAndPort
    client_key: Callable[[], ClientKey] = ByAddressAndPort
    translator: Callable[[], Translator] = Translator
    port_allocator: Callable[[Settings], PortAllocator] = port_allocator
    checksum_policy: Callable[[Settings], ChecksumPolicy] = checksum_policy
    contact_policy: Callable[[Settings], ContactPolicy] = contact_policy
    address_pool: Callable[[Settings], AddressPool] = address_pool
    authenticator: Callable[[Settings], Authenticator] = authenticator
    router: Callable[[str], Router] = Router
    replay_window: Callable[[], ReplayWindow] = ReplayWindow
    inbound_sa: Callable[[int, str, str, bytes, bytes], InboundSa] = InboundSa
    outbound_sa: Callable[[int, str, str, bytes, bytes, Entropy], OutboundSa] = OutboundSa
    ike_core: Callable[[IkeConfig, Entropy], IkeCore] = IkeCore
    l2tp_core: Callable[[L2tpConfig, Entropy, int], L2tpCore] = l2tp_core
    ppp_core: Callable[[PppConfig, Entropy], PppCore] = PppCore
    ipsec: Callable[..., Ipsec] = Ipsec
    lns: Callable[..., Lns] = Lns
    links: Callable[..., Links] = Links
    settings_for: Callable[[Settings], Settings] = lambda settings: settings
