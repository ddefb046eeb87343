"""All that one peer and we have between us: exchanges under way, ISAKMP SAs, pairs of ESP SAs; their beginnings and ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import ClassVar

from harness.wire.config import Child, Entropy, IkeConfig
from harness.wire.events import EspDown, Failed, IkeDown, Refused, RekeyFailed
from harness.wire.ike import dpd, registry
from harness.wire.ike.aggressive_mode import AggressiveMode
from harness.wire.ike.informational import seal
from harness.wire.ike.main_mode import MainMode
from harness.wire.ike.payloads import Deletion, Notification
from harness.wire.ike.phase_1 import Phase1
from harness.wire.ike.quick_mode import QuickMode
from harness.wire.ike.quick_mode_table import State as QuickState
from harness.wire.ike.sa import EspPair, IkeSa, Outbox

MAX_QUICK = 8  # quick modes kept, finished ones included so that duplicates find their answer
MAX_QUICK_OF_CHILDREN = 64  # where there are flows of any number
MAX_GONE = 8  # ended SAs whose cookies are remembered, so that the peer's last words are not taken for garbage
OVERLAP_S = 10.0  # a replaced SA still receives for so long; who began the new one then deletes it
PATIENCE_S = 30.0  # and so long the other side waits for that Delete
RETRY_S = 10.0  # after a rekey that came to nothing
LOWEST_SPI = 256  # those below are reserved (RFC 2406 §2.1)


class Association:
    """Oldest first in every list. Plain state: `IkeCore` and `Inbound` are its two users."""

    phase_1_types: ClassVar[Mapping[str, type[Phase1]]] = {"main": MainMode, "aggressive": AggressiveMode}
    quick_mode_type: ClassVar[type[QuickMode]] = QuickMode
    liveness_type: ClassVar[type[dpd.Liveness]] = dpd.Liveness

    def __init__(self, config: IkeConfig, entropy: Entropy) -> None:
        self.config = config
        self.entropy = entropy
        self.outbox = Outbox()
        self.main: list[Phase1] = []  # main and aggressive modes under way
        self.done: list[Phase1] = []  # established, kept for the answer to a duplicate of their last message but one
        self.sas: list[IkeSa] = []
        self.quick: list[QuickMode] = []
        self.pairs: list[EspPair] = []
        self.gone: deque[bytes] = deque(maxlen=MAX_GONE)
        self.liveness = self.liveness_type(config.dpd_s, config.schedule, int.from_bytes(entropy(4)) >> 1)
        self.behind_nat = False  # we are, by the newest SA, and so have a mapping to keep open
        self.want_pair = False  # a quick mode is to follow as soon as there is an ISAKMP SA
        self.wanted: list[Child] = []  # and one for each of these
        self._max_quick = MAX_QUICK if config.children is None else MAX_QUICK_OF_CHILDREN
        self._ever_up = False

    def runs(self) -> list[Phase1 | QuickMode]:
        return [*self.main, *self.quick]

    # Beginnings

    def begin_main(self, now: float, *, rekey: bool) -> None:
        """Main mode, or aggressive mode where the configuration says so."""
        if any(run.initiator for run in self.main):
            return
        floated = bool(self.sas) and self.sas[-1].floated  # a rekey never goes back to port 500 (RFC 3947 §4)
        run = self.new_main(self.config.exchange, initiator=True, floated=floated, rekey=rekey)
        self.main.append(run)
        run.start(now)

    def new_main(self, exchange: str, *, initiator: bool, floated: bool, rekey: bool) -> Phase1:
        contact = self.config.initial_contact and not (self.sas or self.pairs)
        tools = self.config, self.entropy, self.outbox
        return self.phase_1_types[exchange](*tools, initiator=initiator, floated=floated, rekey=rekey, contact=contact)

    def begin_quick(self, now: float, child: Child | None = None) -> None:
        """Under the newest ISAKMP SA; where there is none, main mode comes first. Nothing where one for the same is under way."""
        if child is not None and any(run.asks_for(child) for run in self.quick):
            return
        sa = next((sa for sa in reversed(self.sas) if sa.delete_at is None), None)
        if sa is None:
            if child is None:
                self.want_pair = True
            elif all(one.key != child.key for one in self.wanted):
                self.wanted.append(child)
            self.begin_main(now, rekey=self._ever_up)
            return
        if child is None:
            self.want_pair = False
        run = self.new_quick(sa, self._fresh_message_id(sa), initiator=True, child=child)
        self.quick.append(run)
        run.start(now)

    def new_quick(self, sa: IkeSa, message_id: int, *, initiator: bool, child: Child | None = None) -> QuickMode:
        spi = self.entropy(4)
        if initiator and self.config.choose_spi is not None:
            spi = (self.config.choose_spi(0) or 0).to_bytes(4)
        taken = {pair.spi_in for pair in self.pairs} | {run.spi_in for run in self.quick}
        while spi in taken or int.from_bytes(spi) < LOWEST_SPI:
            spi = (int.from_bytes(spi) + LOWEST_SPI & 0xFFFFFFFF).to_bytes(4)
        return self.quick_mode_type(
            self.config,
            self.entropy,
            self.outbox,
            sa,
            initiator=initiator,
            message_id=message_id,
            spi_in=spi,
            rekey=any(pair.serves(child) for pair in self.pairs),
            child=child,
        )

    def _fresh_message_id(self, sa: IkeSa) -> int:
        """Not zero, and not that of an exchange that is remembered."""
        number = int.from_bytes(self.entropy(4))
        taken = {run.message_id for run in self.quick if run.sa is sa} | sa.answered.keys() | {0}
        while number in taken:
            number = number + 1 & 0xFFFFFFFF
        return number

    def send_informational(self, now: float, sa: IkeSa, payloads: list[tuple[int, bytes]]) -> bytes:
        message = seal(sa.keys, sa.last_block, sa.cookies, self._fresh_message_id(sa), payloads)
        self.outbox.send(now, message, sa.floated)
        return message

    # What exchanges leave behind

    def sweep(self, now: float) -> None:
        """Takes over what has just been established or has ended."""
        for main in [run for run in self.main if run.established or run.ended]:
            self.main.remove(main)
            if main.sa is not None:
                self._adopt_sa(now, main, main.sa)
            elif main.failure is not None:
                self._main_failed(now, main, main.failure)
        for quick in list(self.quick):
            if quick.state is QuickState.INSTALLED and quick.pair is not None and not quick.adopted:
                quick.adopted = True
                self._adopt_pair(now, quick.pair, OVERLAP_S if quick.initiator else PATIENCE_S)
            elif quick.state is QuickState.ENDED and quick.failure is not None:
                self._quick_failed(now, quick, quick.failure)
        self.quick = [run for run in self.quick if run.state is not QuickState.ENDED][-self._max_quick :]
        for sa in self.sas:
            sa.spend(now, self.config.rekey_margin)

    def _adopt_sa(self, now: float, run: Phase1, sa: IkeSa) -> None:
        for old in self.sas:
            old.rekey_at = None
            if old.delete_at is None:
                old.delete_at = now + (OVERLAP_S if sa.initiator else PATIENCE_S)
        self.sas.append(sa)
        self.done = [*self.done[-1:], run]
        self._ever_up = True
        self.behind_nat = sa.nat_local and sa.floated
        self.liveness.heard(now)
        if run.contact:
            body = Notification(registry.PROTO_ISAKMP, registry.INITIAL_CONTACT, sa.cookies, b"").write()
            self.send_informational(now, sa, [(registry.NOTIFY, body)])
        if self.want_pair and run.initiator:
            self.begin_quick(now)
        wanted, self.wanted = self.wanted, []
        for child in wanted:
            self.begin_quick(now, child)

    def _adopt_pair(self, now: float, pair: EspPair, overlap: float) -> None:
        for old in self.pairs:
            if not old.serves(pair.child):
                continue
            old.rekey_at = None
            if old.delete_at is None:
                old.delete_at = now + overlap
        self.pairs.append(pair)

    def _main_failed(self, now: float, run: Phase1, reason: str) -> None:
        if not run.initiator:
            self.outbox.event(Refused("ike", f"the peer's {run.table.name} came to nothing: {reason}"))
        elif self.sas or self.pairs:
            self.outbox.event(RekeyFailed("main mode", reason))
            for sa in self.sas[-1:]:
                sa.rekey_at = now + RETRY_S
            if self.want_pair:
                self._retry_pair(now)
            for child in self.wanted:
                self._retry_pair(now, child)
        else:
            self.outbox.event(Failed("main mode", reason, dict(run.facts)))
        self.wanted = []

    def _quick_failed(self, now: float, run: QuickMode, reason: str) -> None:
        if not run.initiator:
            self.outbox.event(Refused("ike", f"the peer's quick mode came to nothing: {reason}"))
        elif any(pair.serves(run.child) for pair in self.pairs):
            self.outbox.event(RekeyFailed("quick mode", reason))
            self._retry_pair(now, run.child)
        else:
            facts = dict(run.facts) if run.child is None else {**run.facts, "child": run.child}
            self.outbox.event(Failed("quick mode", reason, facts))

    def _retry_pair(self, now: float, child: Child | None = None) -> None:
        for pair in [pair for pair in self.pairs if pair.serves(child)][-1:]:
            pair.rekey_at = now + RETRY_S

    # Ends

    def delete_pairs(self, now: float, pairs: list[EspPair], reason: str) -> None:
        """One Delete a protocol for all of them, where there is an ISAKMP SA to protect it."""
        if not pairs:
            return
        for protocol in (registry.PROTO_ESP, registry.PROTO_AH):
            spis = tuple(pair.spi_in for pair in pairs if pair.protocol == protocol)
            if spis and self.sas:
                self.send_informational(now, self.sas[-1], [(registry.DELETE, Deletion(protocol, spis).write())])
        for pair in pairs:
            self.drop_pair(pair, by_peer=False, reason=reason)

    def drop_pair(self, pair: EspPair, *, by_peer: bool, reason: str) -> None:
        self.pairs.remove(pair)
        self.outbox.event(EspDown(int.from_bytes(pair.spi_in), by_peer, reason))

    def delete_sa(self, now: float, sa: IkeSa, reason: str) -> None:
        self.send_informational(now, sa, [(registry.DELETE, Deletion(registry.PROTO_ISAKMP, (sa.cookies,)).write())])
        self.drop_sa(now, sa, by_peer=False, reason=reason)

    def drop_sa(self, now: float, sa: IkeSa, *, by_peer: bool, reason: str) -> None:
        """The ISAKMP SA and the exchanges under it; ESP SAs live on by themselves (RFC 2408 §4.3)."""
        self.sas.remove(sa)
        self.gone.append(sa.cookies)
        for main in [run for run in self.done if run.sa is sa]:
            self.done.remove(main)
            main.end(now, by_peer=by_peer)
        for run in self.quick:
            if run.sa is sa and run.state is not QuickState.ENDED:
                if run.initiator and run.state is QuickState.WAIT_QM2:
                    run.failure = f"the ISAKMP SA ended meanwhile: {reason}"
                run.close(now)
        self.outbox.event(IkeDown(sa.icookie, sa.rcookie, by_peer, reason))

    def peer_dead(self, now: float, reason: str) -> None:
        """Nobody there to delete anything with."""
        self.main, self.quick = [], []
        for pair in list(self.pairs):
            self.drop_pair(pair, by_peer=False, reason=reason)
        for sa in list(self.sas):
            self.drop_sa(now, sa, by_peer=False, reason=reason)
        self.outbox.event(Failed("up", reason, {"tries": self.liveness.tries}))
