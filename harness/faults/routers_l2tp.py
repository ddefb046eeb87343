"""LACs and LNSs that protect too little, choose the wrong group, leave behind what a tunnel had, or keep a peer waiting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.faults.fault import Fault, in_router
from harness.faults.router_readings import accepting_with, groups_with, read_as, set_to
from harness.virtual.aaa.desk import Desk
from harness.virtual.aaa.records import Status, Traffic
from harness.virtual.aaa.settings import AccountingList
from harness.virtual.ios.core import CountedPool, IosCore, IosIpsec
from harness.virtual.links import Link, Links
from harness.virtual.peers import Client
from harness.virtual.settings import Settings
from harness.virtual.vpdn.groups import AcceptGroup, RequestGroup, domain_of
from harness.virtual.vpdn.lac import Lac
from harness.virtual.vpdn.lines import LacTunnel
from harness.virtual.vpdn.lns import GroupedLns
from harness.wire.config import Entropy, L2tpConfig
from harness.wire.l2tp import L2tpCore, header
from harness.wire.ppp.authority import Decision
from harness.wire.radius.attributes import Attribute
from harness.wire.retransmit import Schedule

ACCOUNTING_STATUS = 40
"""The number of the attribute Acct-Status-Type (RFC 2866 §5.1)."""

# What comes and goes in the clear


class TakesClearRequests(GroupedLns):
    def _unwanted(self, payload: bytes, origin: Client | None) -> str | None:
        return None if header.tunnel_of(payload) == 0 else super()._unwanted(payload, origin)


def _is_control(payload: bytes) -> bool:
    return bool(int.from_bytes(payload[:2]) & header.TYPE)


class TakesClearData(GroupedLns):
    def _unwanted(self, payload: bytes, origin: Client | None) -> str | None:
        return super()._unwanted(payload, origin) if _is_control(payload) else None


class TakesClearControl(GroupedLns):
    def _unwanted(self, payload: bytes, origin: Client | None) -> str | None:
        known = header.tunnel_of(payload) in self.tunnels and _is_control(payload)
        return None if known else super()._unwanted(payload, origin)


class StartsAtOnce(IosCore):
    def _protect(self, now: float, tunnel: LacTunnel) -> str | None:
        why = super()._protect(now, tunnel)
        if why is None:
            self.lac.start(now, tunnel)
        return why

    def _lac_send(self, now: float, tunnel: LacTunnel, message: bytes) -> None:
        if tunnel.protected and not self.ipsec.ready(tunnel.address):
            self._send_clear(tunnel.address, 1701, message)
        else:
            super()._lac_send(now, tunnel, message)


# Which group


class FirstGroup(GroupedLns):
    def _group(self, request: bytes) -> AcceptGroup | None:
        vpdn = self.settings.vpdn
        return next(iter(vpdn.accept), None) if vpdn is not None else None


class FirstDomains(Lac):
    def _requesting(self, user: str) -> RequestGroup | None:
        return next((group for group in self._vpdn.request if group.domains[:1] == (domain_of(user),)), None)


class AnyDomain(Lac):
    def _requesting(self, user: str) -> RequestGroup | None:
        return next(iter(self._vpdn.request), None) if domain_of(user) else None


class RemembersServers(Lac):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._first: dict[str, str] = {}

    def _tunnel_to(self, group: RequestGroup, address: str) -> LacTunnel:
        return super()._tunnel_to(group, self._first.setdefault(group.name, address))


def _asks_no_proof(config: L2tpConfig, entropy: Entropy, tunnel: int) -> L2tpCore:
    return L2tpCore(replace(config, challenge=False), entropy, tunnel_id=tunnel)


# What a tunnel leaves


class NeverKeeps(IosIpsec):
    def release(self, now: float, client: Client, *, keep: bool) -> None:
        super().release(now, client, keep=False)


class AlwaysKeeps(IosIpsec):
    def release(self, now: float, client: Client, *, keep: bool) -> None:
        super().release(now, client, keep=True)


class ReleasesNothing(IosIpsec):
    def release(self, now: float, client: Client, *, keep: bool) -> None:
        """Whatever the tunnel had stays until its lifetime is over."""


class ReleasesPhase1(IosIpsec):
    """Of what is to be kept the ISAKMP SA goes, with its Delete, and the ESP SAs stay."""

    def release(self, now: float, client: Client, *, keep: bool) -> None:
        if not keep:
            super().release(now, client, keep=keep)
            return
        for association in {sa.association.number: sa.association for sa in client.sas.values()}.values():
            self.order(now, association, lambda core: core.delete_ike(now))


# Time and turn


def _without_back_off(settings: Settings) -> Settings:
    """It gives up no sooner than it would have."""
    waits = settings.personality.l2tp_schedule.waits
    return settings.changed(l2tp_schedule=Schedule(waits[:1] * round(sum(waits) / waits[0])))


# Callers' links


class CountsTheWrongWay(Traffic):
    def came(self, octets: int) -> None:
        super().went(octets)

    def went(self, octets: int) -> None:
        super().came(octets)


class WrongWayLinks(Links):
    def begin(self, *given: Any, **named: Any) -> Link:
        link = super().begin(*given, **named)
        link.traffic, link.frames = CountsTheWrongWay(), CountsTheWrongWay()
        return link


class SharedCounters(Links):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._traffic, self._frames = Traffic(), Traffic()

    def begin(self, *given: Any, **named: Any) -> Link:
        link = super().begin(*given, **named)
        link.traffic, link.frames = self._traffic, self._frames
        return link


class PoolOfPairs(CountedPool):
    """Each address is given to two."""

    def __init__(self, first: str, last: str) -> None:
        super().__init__(first, last)
        self._again: str | None = None

    def give(self) -> str | None:
        again, self._again = self._again, None
        if again is not None:
            return again
        self._again = super().give()
        return self._again


class DeafToRejects(Desk):
    def _decide(self, now: float, login: Any, decision: Decision) -> None:
        super()._decide(now, login, replace(decision, good=True))


class TellsOfNoEnd(Desk):
    def _account(self, now: float, how: AccountingList, said: tuple[Attribute, ...]) -> None:
        if not any(one.type == ACCOUNTING_STATUS and int.from_bytes(one.value) == Status.STOP for one in said):
            super()._account(now, how, said)


FAULTS: tuple[Fault, ...] = (
    in_router(
        "clear-request-taken",
        "Protection is not asked of a request for a tunnel that comes in the clear.",
        lns=TakesClearRequests,
    ),
    in_router("clear-data-taken", "Data in the clear is taken into any tunnel whose ID it bears.", lns=TakesClearData),
    in_router(
        "clear-control-taken",
        "Control messages in the clear are taken into any tunnel whose ID they bear.",
        lns=TakesClearControl,
    ),
    in_router(
        "request-before-sas",
        "A LAC begins its tunnel as soon as it has asked for SAs, and sends in the clear until they are there.",
        core=StartsAtOnce,
    ),
    in_router("any-terminate-from", "The first group that accepts tunnels takes every LAC, whatever its name.", lns=FirstGroup),
    in_router("domain-first-only", "Of a group's domains only the first is looked up.", lac=FirstDomains),
    in_router("domain-any", "The first group tunnels the calls of every user with a domain.", lac=AnyDomain),
    in_router("lns-remembered", "A group's tunnels go to the LNS that its first one went to.", lac=RemembersServers),
    in_router("local-name-ignored", "A group's tunnels bear the router's own name.", meant=groups_with(local_name=None)),
    in_router("tunnel-proof-not-asked", "A tunnel's peer is not asked to prove its password.", l2tp_core=_asks_no_proof),
    in_router("keep-sa-ignored", "A tunnel's end takes the ISAKMP SA with it, keep-sa or not.", ipsec=NeverKeeps),
    in_router("keep-sa-always", "A tunnel's end leaves the ISAKMP SA, keep-sa or not.", ipsec=AlwaysKeeps),
    in_router("sas-left-behind", "A tunnel's end leaves all its SAs.", ipsec=ReleasesNothing),
    in_router("keep-sa-of-esp", "What keep-sa keeps are the ESP SAs; the ISAKMP SA is deleted.", ipsec=ReleasesPhase1),
    in_router("l2tp-no-back-off", "L2TP waits as long after each sending as after the first.", meant=read_as(_without_back_off)),
    in_router("hello-never", "No Hello is sent, however long a tunnel is silent.", meant=set_to(hello=None)),
    in_router(
        "lcp-never-again",
        "LCP is never begun again, whatever the group says.",
        meant=accepting_with(lambda group: replace(group, renegotiation="never")),
    ),
    in_router(
        "lcp-always-again",
        "LCP is begun again in every call, whatever the group says.",
        meant=accepting_with(lambda group: replace(group, renegotiation="always")),
    ),
    in_router("link-counted-wrong-way", "What a caller's interface takes in is counted as what it puts out.", links=WrongWayLinks),
    in_router("link-counters-shared", "All callers' interfaces have one set of counters.", links=SharedCounters),
    in_router(
        "router-pool-twice",
        "The router's pool gives each address to two callers.",
        address_pool=lambda settings: PoolOfPairs(settings.pool_first, settings.pool_last),
    ),
    in_router("radius-reject-ignored", "An Access-Reject lets the user in.", desk=DeafToRejects),
    in_router("accounting-stop-never", "No server hears of the end of a session.", desk=TellsOfNoEnd),
)
