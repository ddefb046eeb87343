"""The PPP links of the gateway's calls: who has logged in, at which address, and what they send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from harness.virtual.aaa.records import Traffic
from harness.virtual.aaa.settings import DEFAULT_LISTS, Lists
from harness.virtual.journal import Journal
from harness.virtual.pool import AddressPool, Login
from harness.virtual.settings import Settings
from harness.wire import events
from harness.wire.config import Entropy, PppConfig
from harness.wire.ppp import PppCore
from harness.wire.ppp.authority import Claim, Decision, Passwords
from harness.wire.proxy import Proxy

if TYPE_CHECKING:
    from harness.virtual.parts import Parts


@dataclass(frozen=True, slots=True)
class Terms:
    """What a link is offered that has terms of its own: `authentication` as in a personality, `renegotiation` of an LCP that a LAC
    has negotiated, `pool` for its address (None: the gateway's), `proxy` what the LAC hands over, `lists` those of AAA. `ethernet`:
    it is one of PPPoE."""

    authentication: tuple[str, ...]
    renegotiation: Literal["never", "on-mismatch", "always"] = "always"
    pool: AddressPool | None = None
    proxy: Proxy | None = None
    lists: Lists = DEFAULT_LISTS
    ethernet: bool = False


@dataclass(slots=True, eq=False)
class Link:
    """One PPP link. `assigned` is the address it may have once its user is known, `up` whether it has it. `index` is no other
    link's, ever. `claim` is its user's last one, `decision` what was made of it. `traffic` counts IP packets,
    `frames` all of PPP's, without L2TP's header."""

    index: int
    tunnel: int
    session: int
    remote: int  # the peer's ID of the session
    where: tuple[str, int]
    ppp: PppCore
    login: Login
    pool: AddressPool
    lists: Lists = DEFAULT_LISTS
    claim: Claim | None = None
    decision: Decision | None = None
    traffic: Traffic = field(default_factory=Traffic)
    assigned: str | None = None
    mtu: int = 1500
    denied: bool = False  # the pool had none for it
    up: bool = False
    given: bool = False  # it has been up at its address
    hang_up_at: float | None = None
    frames: Traffic = field(default_factory=Traffic)

    @property
    def interface(self) -> str:
        return f"ppp{self.index}"

    @property
    def deadline(self) -> float | None:
        times = [time for time in (self.ppp.deadline, self.hang_up_at) if time is not None]
        return min(times, default=None)

    def tick(self, now: float, patience: float) -> bool:
        """Whether the call is to be hung up: PPP has ended, and the peer had `patience` seconds to do it."""
        self.ppp.tick(now)
        if self.hang_up_at is not None:
            return now >= self.hang_up_at
        if self.ppp.finished:
            self.hang_up_at = now + patience
        return False


class Desk(Protocol):
    """Who judges users, and hears of the sessions that come of it."""

    def judge(self, now: float, link: Link, claim: Claim) -> Decision | None:
        """None: it comes later, by `Links.decide`."""

    def began(self, now: float, link: Link) -> None: ...

    def ended(self, now: float, link: Link, by: str, reason: str) -> None: ...


class OwnUsers:
    """By the users that the gateway itself knows; nothing is accounted."""

    def judge(self, now: float, link: Link, claim: Claim) -> Decision | None:
        return Passwords(link.login).judge(now, claim)

    def began(self, now: float, link: Link) -> None:
        pass

    def ended(self, now: float, link: Link, by: str, reason: str) -> None:
        pass


class NoPool:
    """Whence an address that did not come from a pool goes back to."""

    def give(self) -> str | None:
        return None

    def free(self, address: str) -> None:
        pass


@dataclass(slots=True, eq=False)
class _Inquiry:
    """One link's way to the desk."""

    links: Links
    link: Link | None = None

    def judge(self, now: float, claim: Claim) -> Decision | None:
        assert self.link is not None
        return self.links.judge(now, self.link, claim)


class Links:
    """`deliver` takes the IP packets that come out of a link. `by_address` are those that are up. `desk` judges their users; the
    owner may put another there."""

    def __init__(
        self,
        settings: Settings,
        entropy: Entropy,
        parts: Parts,
        journal: Journal,
        first_index: int,
        deliver: Callable[[float, Link, bytes], None],
    ) -> None:
        self.settings = settings
        self.by_address: dict[str, Link] = {}
        self.next_index = first_index
        self.desk: Desk = OwnUsers()
        self._entropy = entropy
        self._parts = parts
        self._journal = journal
        self._deliver = deliver
        self._pool = parts.address_pool(settings)
        self._authenticator = parts.authenticator(settings)

    def reconfigure(self, settings: Settings) -> None:
        self.settings = settings
        self._authenticator = self._parts.authenticator(settings)

    def begin(
        self, now: float, tunnel: int, session: int, remote: int, where: tuple[str, int], terms: Terms | None = None
    ) -> Link:
        """A link for a call that has come up. Its address comes with IPCP; where the pool has none, that is its end."""
        look = self.settings.personality
        aaa = self.settings.aaa
        terms = terms or Terms(look.authentication, lists=DEFAULT_LISTS if aaa is None else aaa.link_lists)
        login, inquiry = Login(self._authenticator), _Inquiry(self)
        config = PppConfig(
            user="",
            password="",
            mru=look.mru,
            accept=(),
            echo_s=look.echo,
            echo_misses=look.echo_misses,
            request_dns=False,
            demand=terms.authentication,
            authority=inquiry,
            name=look.ppp_name,
            local_address=self.settings.ppp_address,
            assign=lambda user: self._assign(link),
            lcp_renegotiation=terms.renegotiation,
            ethernet=terms.ethernet,
            schedule=look.ppp_schedule,
        )
        core = self._parts.ppp_core(config, self._entropy)
        link = Link(self.next_index, tunnel, session, remote, where, core, login, terms.pool or self._pool, terms.lists)
        inquiry.link = link
        self.next_index += 1
        link.ppp.open(now, terms.proxy)
        return link

    def judge(self, now: float, link: Link, claim: Claim) -> Decision | None:
        link.login.user, link.claim = claim.user, claim
        link.decision = self.desk.judge(now, link, claim)
        return link.decision

    def decide(self, now: float, link: Link, claim: Claim, decision: Decision) -> None:
        """What the desk has made of a claim that it took time for; of one that another has followed, nothing comes."""
        if link.claim is not claim:
            return
        link.decision = decision
        link.ppp.decide(now, claim, decision)

    def _assign(self, link: Link) -> str | None:
        own = None if link.decision is None else link.decision.address
        if link.assigned is None and own is not None:
            link.assigned, link.pool = own, NoPool()
        if link.assigned is None:
            link.assigned = link.pool.give()
            link.denied = link.assigned is None
        return link.assigned

    def pump(self, now: float, link: Link) -> list[bytes]:
        """Hears what its PPP tells; returns the frames to send."""
        for event in link.ppp.take_events():
            self._hear(now, link, event)
        if link.denied:
            link.denied = False
            self._tell(now, link, "refused", layer="IPCP", reason="the address pool is exhausted")
        if link.ppp.finished and link.hang_up_at is None:
            link.hang_up_at = now + self.settings.personality.hang_up
        return link.ppp.take_frames()

    def _hear(self, now: float, link: Link, event: events.Event) -> None:
        match event:
            case events.IpPacket():
                if link.up:
                    link.traffic.came(len(event.packet))
                    self._deliver(now, link, event.packet)
            case events.LcpUp():
                link.mtu = event.mru_peer
            case events.PppUp():
                self._up(now, link, event)
            case events.PppDown():
                self._down(now, link, "client" if event.by_peer else "gateway", event.reason)
            case events.Refused():
                self._tell(now, link, "refused", layer=event.layer, reason=event.reason)
            case events.Failed() if not link.given:  # else PppDown tells it
                self._tell(now, link, "refused", layer=event.stage, reason=event.reason)

    def _up(self, now: float, link: Link, event: events.PppUp) -> None:
        if link.assigned is None or event.peer != link.assigned:
            self._tell(now, link, "refused", layer="IPCP", reason=f"{event.peer} was not assigned to it")
            link.ppp.close(now)
            return
        link.up = link.given = True
        self.by_address[link.assigned] = link
        self._tell(now, link, "ppp-up", address=link.assigned, interface=link.interface)
        self._tell(now, link, "address-given", address=link.assigned)
        self.desk.began(now, link)

    def _down(self, now: float, link: Link, by: str, reason: str) -> None:
        if not link.up or link.assigned is None:
            return
        link.up = False
        if self.by_address.get(link.assigned) is link:  # a pool that gives an address twice has given it to another since
            del self.by_address[link.assigned]
        self._tell(now, link, "ppp-down", address=link.assigned, by=by, reason=reason)
        self.desk.ended(now, link, by, reason)

    def end(self, now: float, link: Link, by: str, reason: str) -> None:
        """The call is over."""
        self._down(now, link, by, reason)
        if link.assigned is None:
            return
        link.pool.free(link.assigned)
        if link.given:
            self._tell(now, link, "address-freed", address=link.assigned)
        link.assigned = None

    def _tell(self, now: float, link: Link, kind: str, **detail: object) -> None:
        self._journal.tell(now, kind, *link.where, tunnel=link.tunnel, session=link.session, user=link.login.user, **detail)
