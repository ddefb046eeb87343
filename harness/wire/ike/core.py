"""One IKEv1 peer, sans-IO: main modes, quick modes, SAs and their timers behind one door.

The owner hands in ISAKMP messages (without the non-ESP marker) and the time, and takes out datagrams, events and one deadline.
No bytes from outside raise anything: what is refused becomes a Refused event and changes nothing.
"""

from __future__ import annotations

from harness.errors import ProtocolError
from harness.wire.config import Entropy, IkeConfig
from harness.wire.events import Datagram, EspDown, Event, Failed, IkeDown, Refused, RekeyFailed
from harness.wire.ike import dpd, registry
from harness.wire.ike.informational import report_notifications, seal, unseal
from harness.wire.ike.main_mode import SYMPTOM_OF_WRONG_PSK, MainMode
from harness.wire.ike.main_mode_table import State as MainState
from harness.wire.ike.message import HEADER_SIZE, Header, every, read_header, read_payloads
from harness.wire.ike.payloads import Deletion, Notification
from harness.wire.ike.quick_mode import QuickMode
from harness.wire.ike.quick_mode_table import State as QuickState
from harness.wire.ike.sa import EspPair, IkeSa, Outbox

MAX_HALF_OPEN = 4  # main modes begun by the peer and not yet finished
MAX_QUICK = 8  # quick modes kept, finished ones included so that duplicates find their answer
MAX_ANSWERED = 16  # informational messages remembered per SA
OVERLAP_S = 10.0  # a replaced SA still receives for so long; who began the new one then deletes it
PATIENCE_S = 30.0  # and so long the other side waits for that Delete
RETRY_S = 10.0  # after a rekey that came to nothing


class IkeCore:
    """See the module. `now` never goes back; `local_port` is the port at which a message came in."""

    def __init__(self, config: IkeConfig, entropy: Entropy) -> None:
        self.config = config
        self._entropy = entropy
        self._outbox = Outbox()
        self._main: list[MainMode] = []  # under way
        self._done: list[MainMode] = []  # established, kept for the answer to a duplicate MM5
        self._sas: list[IkeSa] = []  # oldest first
        self._quick: list[QuickMode] = []
        self._pairs: list[EspPair] = []
        self._want_pair = False  # a quick mode is to follow as soon as there is an ISAKMP SA
        self._ever_up = False
        self._liveness = dpd.Liveness(config.dpd_s, config.schedule, int.from_bytes(entropy(4)) >> 1)
        self._used_ids: set[int] = {0}

    # What the owner takes out

    def take_datagrams(self) -> list[Datagram]:
        taken, self._outbox.datagrams = self._outbox.datagrams, []
        return taken

    def take_events(self) -> list[Event]:
        taken, self._outbox.events = self._outbox.events, []
        return taken

    @property
    def deadline(self) -> float | None:
        """When `tick` is next due."""
        times = [run.deadline for run in self._main]
        times += [run.deadline for run in self._quick]
        for sa in self._sas:
            times += (sa.expires_at, sa.rekey_at, sa.delete_at)
        for pair in self._pairs:
            times += (pair.expires_at, pair.rekey_at, pair.delete_at)
        times += (self._keepalive_at(), self._dpd_at())
        return min((t for t in times if t is not None), default=None)

    # What the owner orders

    def start(self, now: float) -> None:
        """Main mode, then quick mode."""
        self._want_pair = True
        self._begin_main(now, rekey=False)

    def rekey_ike(self, now: float) -> None:
        """A new main mode; the present ISAKMP SA is deleted some seconds after the new one is up."""
        self._begin_main(now, rekey=True)

    def rekey_ipsec(self, now: float) -> None:
        """A new quick mode; the present pair of ESP SAs is deleted some seconds after the new one is up."""
        if not any(run.initiator and run.state is QuickState.WAIT_QM2 for run in self._quick):
            self._begin_quick(now)

    def delete_ipsec(self, now: float) -> None:
        """Delete for all ESP SAs; the ISAKMP SA stays."""
        for run in self._quick:
            if run.state in (QuickState.WAIT_QM2, QuickState.WAIT_QM3):
                run.close(now)
        self._delete_pairs(now, list(self._pairs), "deleted")
        self._sweep(now)

    def close(self, now: float) -> None:
        """Delete for all ESP SAs, then for the ISAKMP SAs."""
        self._want_pair = False
        self.delete_ipsec(now)
        for run in self._main:
            run.close(now)
        for sa in list(self._sas):
            self._delete_sa(now, sa, "closed")
        self._main, self._quick = [], []

    def note_traffic(self, now: float, *, sent: bool = True, received: bool = True) -> None:
        """ESP went out or came in (authentic): keepalives wait on the one, the question whether the peer lives on the other."""
        if sent:
            self._outbox.sent_at = now
        if received:
            self._liveness.heard(now)

    # Time

    def tick(self, now: float) -> None:
        """All that is due. May be called at any time."""
        runs: list[MainMode | QuickMode] = [*self._main, *self._quick]
        for run in runs:
            due = run.deadline
            if due is not None and due <= now:
                run.tick(now)
        self._sweep(now)
        self._tick_sas(now)
        self._tick_pairs(now)
        self._tick_liveness(now)
        keepalive = self._keepalive_at()
        if keepalive is not None and keepalive <= now:
            self._outbox.datagrams.append(Datagram(registry.PORT_NATT, registry.PORT_NATT, registry.KEEPALIVE))
            self._outbox.sent_at = now

    def _tick_sas(self, now: float) -> None:
        for sa in list(self._sas):
            if sa.delete_at is not None and sa.delete_at <= now:
                self._delete_sa(now, sa, "replaced by a newer one")
            elif sa.expires_at <= now:
                self._delete_sa(now, sa, f"its lifetime of {sa.proposal.lifetime_s} s has ended")
            elif sa.rekey_at is not None and sa.rekey_at <= now:
                sa.rekey_at = None
                self._begin_main(now, rekey=True)

    def _tick_pairs(self, now: float) -> None:
        for pair in list(self._pairs):
            if pair.delete_at is not None and pair.delete_at <= now:
                self._delete_pairs(now, [pair], "replaced by a newer one")
            elif pair.expires_at <= now:
                self._delete_pairs(now, [pair], f"its lifetime of {pair.proposal.lifetime_s} s has ended")
            elif pair.rekey_at is not None and pair.rekey_at <= now:
                pair.rekey_at = None
                self.rekey_ipsec(now)

    def _tick_liveness(self, now: float) -> None:
        due = self._dpd_at()
        if due is None or due > now:
            return
        sa = self._sas[-1]
        try:
            sequence = self._liveness.tick(now)
        except dpd.PeerDead:
            self._peer_dead(now)
            return
        if sequence is not None:
            self._send_informational(now, sa, [(registry.NOTIFY, dpd.question(sa.cookies, sequence).write())])

    def _peer_dead(self, now: float) -> None:
        reason = f"the peer is dead: no answer to R-U-THERE after {self._liveness.tries} tries"
        runs: list[MainMode | QuickMode] = [*self._main, *self._quick]
        for run in runs:
            if run.deadline is not None:
                run.close(now)
        for pair in self._pairs:
            self._outbox.event(EspDown(int.from_bytes(pair.spi_in), False, reason))
        for sa in self._sas:
            self._outbox.event(IkeDown(sa.icookie, sa.rcookie, False, reason))
        self._main, self._quick, self._pairs, self._sas = [], [], [], []
        self._outbox.event(Failed("up", reason, {"tries": self._liveness.tries}))

    def _keepalive_at(self) -> float | None:
        """Only the side behind the NAT keeps the mapping open, only once floated (RFC 3948 §4)."""
        sa = self._sas[-1] if self._sas else None
        return self._outbox.sent_at + self.config.keepalive_s if sa is not None and sa.nat_local and sa.floated else None

    def _dpd_at(self) -> float | None:
        return self._liveness.deadline if self._sas and self._sas[-1].peer_dpd else None

    # Beginnings and ends

    def _begin_main(self, now: float, *, rekey: bool) -> None:
        if any(run.initiator for run in self._main):
            return
        floated = bool(self._sas) and self._sas[-1].floated  # a rekey never goes back to port 500 (RFC 3947 §4)
        run = MainMode(self.config, self._entropy, self._outbox, initiator=True, floated=floated, rekey=rekey)
        self._main.append(run)
        run.start(now)

    def _begin_quick(self, now: float) -> None:
        sa = next((sa for sa in reversed(self._sas) if sa.delete_at is None), None)
        if sa is None:
            self._want_pair = True
            self._begin_main(now, rekey=self._ever_up)
            return
        self._want_pair = False
        run = self._new_quick(sa, self._fresh_message_id(), initiator=True)
        self._quick.append(run)
        run.start(now)

    def _new_quick(self, sa: IkeSa, message_id: int, *, initiator: bool) -> QuickMode:
        spi = self._entropy(4)
        taken = {pair.spi_in for pair in self._pairs} | {run.spi_in for run in self._quick}
        while spi in taken or int.from_bytes(spi) < 256:  # the lowest 255 are reserved (RFC 2406 §2.1)
            spi = (int.from_bytes(spi) + 256 & 0xFFFFFFFF).to_bytes(4)
        rekey = bool(self._pairs)
        return QuickMode(
            self.config, self._entropy, self._outbox, sa, initiator=initiator, message_id=message_id, spi_in=spi, rekey=rekey
        )

    def _fresh_message_id(self) -> int:
        number = int.from_bytes(self._entropy(4))
        while number in self._used_ids:
            number = number + 1 & 0xFFFFFFFF
        self._used_ids.add(number)
        return number

    def _sweep(self, now: float) -> None:
        """Takes over what has just been established or has ended."""
        for main in [run for run in self._main if run.state in (MainState.ESTABLISHED, MainState.ENDED)]:
            self._main.remove(main)
            if main.sa is not None:
                self._adopt_sa(now, main, main.sa)
            elif main.failure is not None:
                self._main_failed(now, main)
        for quick in self._quick:
            if quick.state is QuickState.INSTALLED and quick.pair is not None and not quick.adopted:
                quick.adopted = True
                self._adopt_pair(now, quick.pair, OVERLAP_S if quick.initiator else PATIENCE_S)
            elif quick.state is QuickState.ENDED and quick.failure is not None:
                self._quick_failed(now, quick)
        self._quick = [run for run in self._quick if run.state is not QuickState.ENDED][-MAX_QUICK:]

    def _adopt_sa(self, now: float, run: MainMode, sa: IkeSa) -> None:
        for old in self._sas:
            old.rekey_at = None
            if old.delete_at is None:
                old.delete_at = now + (OVERLAP_S if sa.initiator else PATIENCE_S)
        self._sas.append(sa)
        self._done = [*self._done[-1:], run]
        self._ever_up = True
        self._liveness.heard(now)
        if self._want_pair and run.initiator:
            self._begin_quick(now)

    def _adopt_pair(self, now: float, pair: EspPair, overlap: float) -> None:
        for old in self._pairs:
            old.rekey_at = None
            if old.delete_at is None:
                old.delete_at = now + overlap
        self._pairs.append(pair)

    def _main_failed(self, now: float, run: MainMode) -> None:
        reason = run.failure or ""
        if not run.initiator:
            self._outbox.event(Refused("ike", f"the peer's main mode came to nothing: {reason}"))
        elif self._sas or self._pairs:
            self._outbox.event(RekeyFailed("main mode", reason))
            for sa in self._sas[-1:]:
                sa.rekey_at = now + RETRY_S
            if self._want_pair:
                self._retry_pair(now)
        else:
            self._outbox.event(Failed("main mode", reason, dict(run.facts)))

    def _quick_failed(self, now: float, run: QuickMode) -> None:
        reason = run.failure or ""
        if not run.initiator:
            self._outbox.event(Refused("ike", f"the peer's quick mode came to nothing: {reason}"))
        elif self._pairs:
            self._outbox.event(RekeyFailed("quick mode", reason))
            self._retry_pair(now)
        else:
            self._outbox.event(Failed("quick mode", reason, dict(run.facts)))

    def _retry_pair(self, now: float) -> None:
        for pair in self._pairs[-1:]:
            pair.rekey_at = now + RETRY_S

    def _delete_pairs(self, now: float, pairs: list[EspPair], reason: str) -> None:
        if not pairs:
            return
        if self._sas:
            deletion = Deletion(registry.PROTO_ESP, tuple(pair.spi_in for pair in pairs))
            self._send_informational(now, self._sas[-1], [(registry.DELETE, deletion.write())])
        for pair in pairs:
            self._pairs.remove(pair)
            self._outbox.event(EspDown(int.from_bytes(pair.spi_in), False, reason))

    def _delete_sa(self, now: float, sa: IkeSa, reason: str) -> None:
        self._send_informational(now, sa, [(registry.DELETE, Deletion(registry.PROTO_ISAKMP, (sa.cookies,)).write())])
        self._drop_sa(now, sa, by_peer=False, reason=reason)

    def _drop_sa(self, now: float, sa: IkeSa, *, by_peer: bool, reason: str) -> None:
        self._sas.remove(sa)
        self._done = [run for run in self._done if run.sa is not sa]
        for run in self._quick:
            if run.sa is sa and run.state is not QuickState.ENDED:
                run.close(now)
        self._outbox.event(IkeDown(sa.icookie, sa.rcookie, by_peer, reason))

    def _send_informational(self, now: float, sa: IkeSa, payloads: list[tuple[int, bytes]]) -> bytes:
        message = seal(sa.keys, sa.last_block, sa.cookies, self._fresh_message_id(), payloads)
        self._outbox.send(now, message, sa.floated)
        return message

    # Messages

    def receive(self, now: float, data: bytes, local_port: int) -> None:
        if data == registry.KEEPALIVE:
            return  # says nothing, not even that the peer lives (RFC 3948 §4)
        try:
            self._receive(now, data, local_port)
        except ProtocolError as error:
            self._outbox.event(Refused("ike", error.reason))
        self._sweep(now)

    def _receive(self, now: float, data: bytes, local_port: int) -> None:
        header = read_header(data)
        if header.exchange not in registry.EXCHANGES or header.exchange == registry.EXCHANGE_AGGRESSIVE:
            name = registry.EXCHANGES.get(header.exchange, f"exchange type {header.exchange}")
            raise ProtocolError("ike", f"{name} is not spoken here", 18)
        sa = next((s for s in self._sas if s.icookie == header.icookie and s.rcookie == header.rcookie), None)
        run = self._negotiation(header)
        floated = sa.floated if sa is not None else run is not None and run.floated
        if floated and local_port != registry.PORT_NATT:
            raise ProtocolError("ike", f"a message of an SA that has moved to port {registry.PORT_NATT} came in on {local_port}")
        if header.exchange == registry.EXCHANGE_MAIN:
            self._receive_main(now, header, data, local_port, run)
        elif header.exchange == registry.EXCHANGE_INFORMATIONAL:
            self._receive_informational(now, header, data, sa, run)
        elif sa is None:
            raise ProtocolError("ike", "quick mode with cookies of no established SA")
        else:
            self._receive_quick(now, header, data, sa)

    def _negotiation(self, header: Header) -> MainMode | None:
        """The main mode of these cookies: of both, or of the initiator's alone as long as the responder's is unknown."""
        for run in (*self._main, *self._done):
            if run.icookie == header.icookie and (run.rcookie == header.rcookie or bytes(8) in (run.rcookie, header.rcookie)):
                return run
        return None

    def _receive_main(self, now: float, header: Header, data: bytes, local_port: int, run: MainMode | None) -> None:
        if run is not None:
            run.receive(now, header, data, local_port)
            return
        if header.rcookie != bytes(8):
            raise ProtocolError("ike", "main mode with cookies of no SA of ours")
        if sum(not m.initiator for m in self._main) >= MAX_HALF_OPEN:
            raise ProtocolError("ike", f"{MAX_HALF_OPEN} main modes of the peer's are half open already")
        floated = local_port == registry.PORT_NATT
        run = MainMode(self.config, self._entropy, self._outbox, initiator=False, floated=floated, rekey=bool(self._sas))
        run.receive(now, header, data, local_port)
        self._main.append(run)

    def _receive_quick(self, now: float, header: Header, data: bytes, sa: IkeSa) -> None:
        if not header.encrypted or not header.message_id:
            raise ProtocolError("ike", "quick mode in the clear, or without a message ID")
        known = next((run for run in self._quick if run.sa is sa and run.message_id == header.message_id), None)
        run = known or self._new_quick(sa, header.message_id, initiator=False)
        try:
            run.receive(now, header, data)
        except ProtocolError:
            if known is None and run.refusal is not None:
                body = Notification(registry.PROTO_ESP, run.refusal, b"", b"").write()
                self._send_informational(now, sa, [(registry.NOTIFY, body)])
            raise
        self._liveness.heard(now)
        if known is None:
            self._quick.append(run)

    def _receive_informational(self, now: float, header: Header, data: bytes, sa: IkeSa | None, run: MainMode | None) -> None:
        if sa is None and (run is None or run.sa is not None):
            raise ProtocolError("ike", "an informational message with cookies of no SA of ours")
        if not header.encrypted:
            self._plain_informational(now, header, data, run if sa is None else None)
        elif sa is not None:
            self._protected_informational(now, header, data, sa)
        elif run is not None:
            self._early_informational(now, header, data, run)

    def _plain_informational(self, now: float, header: Header, data: bytes, run: MainMode | None) -> None:
        """Unauthenticated: believed only while main mode has nothing better to go by, and never against an established SA."""
        payloads = read_payloads(header.first, data, HEADER_SIZE)
        notifications = [Notification.read(body) for body in every(payloads, registry.NOTIFY)]
        report_notifications(self._outbox, notifications, protected=False)
        if every(payloads, registry.DELETE):
            self._outbox.event(Refused("ike", "a Delete in the clear"))
        errors = [n for n in notifications if n.error]
        if run is not None and errors:
            if run.initiator and run.state in (MainState.WAIT_MM2, MainState.WAIT_MM4):
                run.refuse(now, errors[0])
            else:
                run.symptom = f"{errors[0].name} came in the clear, {SYMPTOM_OF_WRONG_PSK}"

    def _early_informational(self, now: float, header: Header, data: bytes, run: MainMode) -> None:
        """Protected, while MM6 is still out: authentic only if the peer has the same keys, which a wrong PSK prevents."""
        if run.keys is None:
            raise ProtocolError("ike", "a protected informational message before there are keys")
        try:
            payloads, _ = unseal(run.keys, run.keys.message_iv(run.last_block, header.message_id), header, data)
            notifications = [Notification.read(body) for body in every(payloads, registry.NOTIFY)]
        except ProtocolError:
            run.symptom = f"an INFORMATIONAL came that does not decrypt, {SYMPTOM_OF_WRONG_PSK}"
            raise
        report_notifications(self._outbox, notifications, protected=True)
        errors = [n for n in notifications if n.error]
        if errors:
            run.refuse(now, errors[0])

    def _protected_informational(self, now: float, header: Header, data: bytes, sa: IkeSa) -> None:
        if header.message_id in sa.answered:
            message, reply = sa.answered[header.message_id]
            if message == data and reply is not None:
                self._outbox.send(now, reply, sa.floated)
            return
        payloads, _ = unseal(sa.keys, sa.keys.message_iv(sa.last_block, header.message_id), header, data)
        notifications = [Notification.read(body) for body in every(payloads, registry.NOTIFY)]
        deletions = [Deletion.read(body) for body in every(payloads, registry.DELETE)]
        self._liveness.heard_at = now
        reply = self._take_notifications(now, sa, notifications)
        sa.answered[header.message_id] = (data, reply)
        if len(sa.answered) > MAX_ANSWERED:
            del sa.answered[next(iter(sa.answered))]
        for deletion in deletions:
            self._take_deletion(now, deletion)

    def _take_notifications(self, now: float, sa: IkeSa, notifications: list[Notification]) -> bytes | None:
        """Returns the answer sent, if any."""
        reply: bytes | None = None
        others: list[Notification] = []
        for notification in notifications:
            if notification.type == registry.R_U_THERE and notification.spi == sa.cookies:
                reply = self._send_informational(now, sa, [(registry.NOTIFY, dpd.answer(notification).write())])
            elif notification.type == registry.R_U_THERE_ACK:
                if self._liveness.acknowledged(notification.data):
                    self._liveness.heard(now)
            else:
                others.append(notification)
        report_notifications(self._outbox, others, protected=True)
        for notification in others:
            if notification.error:
                self._refuse_quick(now, sa, notification)
        return reply

    def _refuse_quick(self, now: float, sa: IkeSa, notification: Notification) -> None:
        """Names the run by its SPI; where that is missing or the peer's own, it is the oldest that waits."""
        waiting = [run for run in self._quick if run.sa is sa and run.initiator and run.state is QuickState.WAIT_QM2]
        named = [run for run in waiting if run.spi_in == notification.spi]
        for run in (named or waiting)[:1]:
            run.refuse(now, notification)

    def _take_deletion(self, now: float, deletion: Deletion) -> None:
        if deletion.protocol == registry.PROTO_ESP:
            for pair in [pair for pair in self._pairs if pair.spi_out in deletion.spis]:
                self._pairs.remove(pair)
                self._outbox.event(EspDown(int.from_bytes(pair.spi_in), True, "deleted by the peer"))
        elif deletion.protocol == registry.PROTO_ISAKMP:
            for sa in [sa for sa in self._sas if sa.cookies in deletion.spis]:
                self._drop_sa(now, sa, by_peer=True, reason="deleted by the peer")
