"""The router's AAA, live: users are judged by the methods of their list, one after the other, and sessions accounted.

    link ── claim ──▶ Desk ── methods ──▶ own users, at once
                       │           └────▶ RadiusClient ── datagrams ──▶ a server; its answer comes back to the link
                       └── began, ended ─▶ records

Nobody is answered from within a question: what a server says is heard when the owner calls `settle`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from harness.virtual.aaa import records
from harness.virtual.aaa.records import Session, Status, Traffic
from harness.virtual.aaa.settings import GROUP, LOCAL, NONE, Aaa, AccountingList
from harness.virtual.agenda import Agenda
from harness.virtual.journal import Journal
from harness.virtual.links import Link
from harness.virtual.peers import Client
from harness.virtual.settings import Settings
from harness.wire import events
from harness.wire.config import Entropy
from harness.wire.ppp.authority import Claim, Decision, Passwords
from harness.wire.radius.attributes import Attribute
from harness.wire.radius.client import ACCESS_PORT, ACCOUNTING_PORT, RadiusClient
from harness.wire.radius.values import Judged, Outgoing, Silent, Unanswered

PORTS = (ACCESS_PORT, ACCOUNTING_PORT)
"""Where answers come to."""


@dataclass(slots=True, eq=False)
class _Login:
    """A claim that somebody else judges, and what is left to try should nobody answer. `refusal`: what a method has said that does
    not know the user, where no other has a word."""

    link: Link
    claim: Claim
    methods: list[str]
    refusal: Decision


class Desk:
    """The owner says what `settings` are, where to `tell` of things, and what to `send`; `settled` hears of a link whose login has
    been decided, and which may have frames to send."""

    def __init__(
        self,
        entropy: Entropy,
        settings: Callable[[], Settings],
        tell: Callable[[], Journal],
        send: Callable[[Outgoing], None],
        settled: Callable[[float, Link, Claim, Decision], None],
    ) -> None:
        self.client = RadiusClient(entropy)
        self._settings = settings
        self._tell = tell
        self._send = send
        self._settled = settled
        self._entropy = entropy
        self._asked: dict[int, _Login] = {}
        self._sessions: dict[Hashable, tuple[Session, AccountingList]] = {}
        self._updates: Agenda[Hashable] = Agenda()
        self._count = 0

    @property
    def _aaa(self) -> Aaa | None:
        return self._settings().aaa

    @property
    def deadline(self) -> float | None:
        return min((time for time in (self.client.deadline, self._updates.deadline) if time is not None), default=None)

    def receive(self, now: float, address: str, sport: int, dport: int, payload: bytes) -> None:
        self.client.receive(now, address, sport, dport, payload)

    def tick(self, now: float) -> None:
        self.client.tick(now)
        for key in list(self._updates.due(now)):
            session, how = self._sessions[key]
            self._updates.set(key, self._next_update(now))
            self._account(now, how, records.record(session, Status.INTERIM, now))

    def forget(self) -> None:
        """All that is under way, without a word."""
        self.client = RadiusClient(self._entropy)
        self._asked.clear()
        self._sessions.clear()
        self._updates = Agenda()

    def end_all(self, now: float) -> None:
        """The router lets go of every session, for reasons of its own."""
        for key in list(self._sessions):
            self._end(now, key, records.Cause.ADMIN_RESET)

    def settle(self, now: float) -> None:
        """What servers have said, or not said, takes effect; what has to go out goes."""
        while told := self.client.take_events():
            for event in told:
                self._hear(now, event)
        self._flush()

    # Authentication

    def judge(self, now: float, link: Link, claim: Claim) -> Decision | None:
        aaa, name = self._aaa, link.lists.authentication
        if aaa is None:
            return Passwords(link.login).judge(now, claim)
        methods = aaa.methods(name)
        if methods is None:
            return Decision(False, f"there is no authentication list {name}")
        refusal = Decision(False, f"no method of list {name} could judge {claim.user}")
        return self._try(now, aaa, _Login(link, claim, list(methods), refusal))

    def _try(self, now: float, aaa: Aaa, login: _Login) -> Decision | None:
        """By the next method that can say anything; None where a server has to be waited for."""
        while login.methods:
            method = login.methods.pop(0)
            if method == NONE:
                return Decision(True, login.claim.user, by=NONE)
            if method == LOCAL:
                passwords = Passwords(login.link.login)
                decision = passwords.judge(now, login.claim)
                if decision.good or passwords.of(login.claim.user) is not None:
                    return decision
                login.refusal = decision
            elif servers := aaa.judges(method.removeprefix(GROUP)):
                said = records.on_port(login.link.index, self._settings().address)
                self._asked[self.client.authenticate(now, servers, login.claim, said)] = login
                self._flush()
                return None
        return login.refusal

    def _hear(self, now: float, event: events.Event) -> None:
        match event:
            case Judged():
                login = self._asked.pop(event.number, None)
                aaa = self._aaa
                if login is not None:
                    counts = aaa is not None and aaa.framed_address
                    self._decide(now, login, event.decision if counts else replace(event.decision, address=None))
            case Silent():
                self._tell().tell(now, "aaa-silent", event.server.address, event.port)
            case Unanswered():
                login = self._asked.pop(event.number, None)
                if login is not None:
                    decision = login.refusal if self._aaa is None else self._try(now, self._aaa, login)
                    if decision is not None:
                        self._decide(now, login, decision)
            case events.Refused():
                self._tell().tell(now, "refused", "", 0, layer=event.layer, reason=event.reason)

    def _decide(self, now: float, login: _Login, decision: Decision) -> None:
        self._settled(now, login.link, login.claim, decision)

    # Accounting

    def began(self, now: float, link: Link) -> None:
        """A user's link is up, at its address."""
        decision = link.decision
        classes, by = ((), "") if decision is None else (decision.accounting, decision.by)
        nas = self._settings().address
        said = records.of_link(link.ppp.user, link.index, nas, link.assigned or "0.0.0.0", classes, by)
        self._begin(now, link, link.lists.accounting, said, lambda: link.traffic)

    def ended(self, now: float, link: Link, by: str, reason: str) -> None:
        self._end(now, link, records.cause(by, reason))

    def flow_began(self, now: float, client: Client, identity: str, traffic: Callable[[], Traffic]) -> None:
        """A peer has its first pair of ESP SAs."""
        aaa = self._aaa
        if aaa is not None and aaa.flows_list is not None:
            said = records.of_flow(self._settings().address, client.address, identity)
            self._begin(now, client, aaa.flows_list, said, traffic)

    def flow_ended(self, now: float, client: Client, by: str) -> None:
        """And none any more."""
        self._end(now, client, records.cause(by, ""))

    def _begin(
        self, now: float, key: Hashable, name: str, said: tuple[Attribute, ...], traffic: Callable[[], Traffic]
    ) -> None:
        aaa = self._aaa
        how = None if aaa is None else aaa.accounting.get(name)
        if how is None or how.when == NONE:
            return
        self._count += 1
        session = Session(self._count, now, said, traffic)
        self._sessions[key] = session, how
        if how.when == "start-stop":
            self._updates.set(key, self._next_update(now))
            self._account(now, how, records.record(session, Status.START, now))

    def _end(self, now: float, key: Hashable, why: records.Cause) -> None:
        known = self._sessions.pop(key, None)
        if known is not None:
            self._updates.set(key, None)
            session, how = known
            self._account(now, how, records.record(session, Status.STOP, now, why))

    def _next_update(self, now: float) -> float | None:
        aaa = self._aaa
        return None if aaa is None or aaa.update_s is None else now + aaa.update_s

    def _account(self, now: float, how: AccountingList, said: tuple[Attribute, ...]) -> None:
        """To the servers as they are configured now, so that a session's end finds those that have come since."""
        aaa = self._aaa
        servers = () if aaa is None else aaa.books(*how.groups)
        if servers:
            self.client.account(now, servers, said)
            self._flush()

    def _flush(self) -> None:
        for datagram in self.client.take_datagrams():
            self._send(datagram)
