"""What becomes of a message: which exchange it belongs to, and what an informational one means.

Everything here raises ProtocolError for what is not acceptable, before anything has changed.
"""

from __future__ import annotations

from harness.errors import ProtocolError
from harness.wire.events import Refused
from harness.wire.ike import dpd, registry
from harness.wire.ike.association import Association
from harness.wire.ike.informational import report_notifications, unseal
from harness.wire.ike.message import HEADER_SIZE, Header, every, read_header, read_payloads
from harness.wire.ike.payloads import Deletion, Notification
from harness.wire.ike.phase_1 import Phase1
from harness.wire.ike.quick_mode_table import State as QuickState
from harness.wire.ike.sa import IkeSa

_PHASE_1 = {registry.EXCHANGE_MAIN: "main", registry.EXCHANGE_AGGRESSIVE: "aggressive"}
MAX_HALF_OPEN = 4  # main or aggressive modes begun by the peer and not yet finished
MAX_ANSWERED = 16  # informational messages remembered per SA


class Inbound:
    """The receiving half of a core, over its association."""

    def __init__(self, association: Association) -> None:
        self._all = association

    def receive(self, now: float, data: bytes, local_port: int, remote_port: int | None) -> None:
        header = read_header(data)
        if header.exchange not in registry.EXCHANGES:
            raise ProtocolError("ike", f"exchange type {header.exchange} is not spoken here", 18)
        cookies = header.icookie + header.rcookie
        sa = next((sa for sa in self._all.sas if sa.cookies == cookies), None)
        run = self._negotiation(header)
        informational = header.exchange == registry.EXCHANGE_INFORMATIONAL
        if sa is None and informational and cookies in self._all.gone:
            return  # the peer's own Delete, in answer to ours
        # A responder that cannot read MM5 has no reason to follow it to port 4500: its complaint comes from 500.
        floated = sa.floated if sa is not None else run is not None and run.floated and not informational
        if floated and local_port != registry.PORT_NATT:
            if run is not None and run.has_seen(data):
                run.receive(now, header, data, local_port)
                return
            raise ProtocolError("ike", f"a message of an SA that has moved to port {registry.PORT_NATT} came in on {local_port}")
        if header.exchange in _PHASE_1:
            self._phase_1(now, header, data, (local_port, remote_port), run)
        elif informational:
            self._informational(now, header, data, sa, run)
        elif sa is None:
            raise ProtocolError("ike", "quick mode with cookies of no established SA")
        else:
            self._quick(now, header, data, sa)

    def _negotiation(self, header: Header) -> Phase1 | None:
        """The phase 1 of these cookies: of both, or of the initiator's alone as long as the responder's is unknown."""
        for run in (*self._all.main, *self._all.done):
            if run.icookie == header.icookie and (run.rcookie == header.rcookie or bytes(8) in (run.rcookie, header.rcookie)):
                return run
        return None

    def _phase_1(self, now: float, header: Header, data: bytes, ports: tuple[int, int | None], run: Phase1 | None) -> None:
        """`ports`: the one it came to, and the one it came from."""
        name = registry.EXCHANGES[header.exchange]
        if run is not None and run.exchange != header.exchange:
            raise ProtocolError("ike", f"{name} with the cookies of another exchange")
        if run is not None:
            run.receive(now, header, data, *ports)
            return
        every_sa = self._all
        if header.exchange == registry.EXCHANGE_AGGRESSIVE and not every_sa.config.accept_aggressive:
            raise ProtocolError("ike", f"{name} is not accepted here", 18)
        if header.rcookie != bytes(8):
            raise ProtocolError("ike", f"{name} with cookies of no SA of ours")
        if sum(not run.initiator for run in every_sa.main) >= MAX_HALF_OPEN:
            raise ProtocolError("ike", f"{MAX_HALF_OPEN} set-ups of the peer's are half open already")
        floated = ports[0] == registry.PORT_NATT
        run = every_sa.new_main(_PHASE_1[header.exchange], initiator=False, floated=floated, rekey=bool(every_sa.sas))
        run.receive(now, header, data, *ports)
        every_sa.main.append(run)

    def _quick(self, now: float, header: Header, data: bytes, sa: IkeSa) -> None:
        if not header.encrypted or not header.message_id:
            raise ProtocolError("ike", "quick mode in the clear, or without a message ID")
        known = next((run for run in self._all.quick if run.sa is sa and run.message_id == header.message_id), None)
        run = known or self._all.new_quick(sa, header.message_id, initiator=False)
        before = run.state
        try:
            run.receive(now, header, data)
        except ProtocolError:
            if known is None and run.refusal is not None:
                body = Notification(registry.PROTO_ESP, run.refusal, b"", b"").write()
                self._all.send_informational(now, sa, [(registry.NOTIFY, body)])
            raise
        self._all.liveness.heard(now)
        if run.state is not before:
            sa.keys.usage.octets += len(data) - HEADER_SIZE
        if known is None:
            run.rekey = any(pair.serves(run.child) for pair in self._all.pairs)
            self._all.quick.append(run)

    def _informational(self, now: float, header: Header, data: bytes, sa: IkeSa | None, run: Phase1 | None) -> None:
        if sa is None and (run is None or run.sa is not None):
            raise ProtocolError("ike", "an informational message with cookies of no SA of ours")
        if not header.encrypted:
            self._unprotected(now, header, data, run if sa is None else None)
        elif sa is not None:
            self._protected(now, header, data, sa)
        elif run is not None:
            self._early(now, header, data, run)

    def _unprotected(self, now: float, header: Header, data: bytes, run: Phase1 | None) -> None:
        """Believed only while main mode has nothing better to go by, and never against an established SA."""
        payloads = read_payloads(header.first, data, HEADER_SIZE)
        notifications = [Notification.read(body) for body in every(payloads, registry.NOTIFY)]
        report_notifications(self._all.outbox, notifications, protected=False)
        if every(payloads, registry.DELETE):
            self._all.outbox.event(Refused("ike", "a Delete in the clear"))
        errors = [notification for notification in notifications if notification.error]
        if run is not None and errors:
            if run.initiator and run.waits_in_the_clear:
                run.complaint = errors[0]  # one forged datagram must not end a set-up: the peer's answer may still come
            else:
                run.symptom = f"{errors[0].name} came in the clear, {run.suspicion}"

    def _early(self, now: float, header: Header, data: bytes, run: Phase1) -> None:
        """Protected, while MM6 is still out: authentic only if the peer has the same keys, which a wrong PSK prevents."""
        if run.keys is None:
            raise ProtocolError("ike", "a protected informational message before there are keys")
        try:
            payloads, _ = unseal(run.keys, run.keys.message_iv(run.last_block, header.message_id), header, data)
            notifications = [Notification.read(body) for body in every(payloads, registry.NOTIFY)]
        except ProtocolError:
            run.symptom = f"an INFORMATIONAL came that does not decrypt, {run.suspicion}"
            raise
        report_notifications(self._all.outbox, notifications, protected=True)
        errors = [notification for notification in notifications if notification.error]
        if errors:
            run.refuse(now, errors[0])

    def _protected(self, now: float, header: Header, data: bytes, sa: IkeSa) -> None:
        if header.message_id in sa.answered:
            message, reply = sa.answered[header.message_id]
            if message == data and reply is not None:
                self._all.outbox.send(now, reply, sa.floated)
            return
        payloads, _ = unseal(sa.keys, sa.keys.message_iv(sa.last_block, header.message_id), header, data)
        sa.keys.usage.octets += len(data) - HEADER_SIZE
        notifications = [Notification.read(body) for body in every(payloads, registry.NOTIFY)]
        deletions = [Deletion.read(body) for body in every(payloads, registry.DELETE)]
        self._all.liveness.heard_at = now
        reply = self._notifications(now, sa, notifications)
        sa.answered[header.message_id] = (data, reply)
        if len(sa.answered) > MAX_ANSWERED:
            del sa.answered[next(iter(sa.answered))]
        for deletion in deletions:
            self._deletion(now, deletion)

    def _notifications(self, now: float, sa: IkeSa, notifications: list[Notification]) -> bytes | None:
        """Returns the answer sent, if any."""
        reply: bytes | None = None
        others: list[Notification] = []
        for notification in notifications:
            if notification.type == registry.R_U_THERE and notification.spi == sa.cookies:
                body = dpd.answer(notification).write()
                reply = self._all.send_informational(now, sa, [(registry.NOTIFY, body)])
            elif notification.type == registry.R_U_THERE_ACK:
                if self._all.liveness.acknowledged(notification.data):
                    self._all.liveness.heard(now)
            else:
                others.append(notification)
        report_notifications(self._all.outbox, others, protected=True)
        for notification in others:
            if notification.error:
                self._refuse_quick(now, sa, notification)
        return reply

    def _refuse_quick(self, now: float, sa: IkeSa, notification: Notification) -> None:
        """Names the run by its SPI; where that is missing or the peer's own, it is the oldest that waits."""
        unanswered = (QuickState.WAIT_QM2, QuickState.WAIT_QM3)
        waiting = [run for run in self._all.quick if run.sa is sa and run.state in unanswered]
        named = [run for run in waiting if run.spi_in == notification.spi]
        for run in (named or waiting)[:1]:
            run.refuse(now, notification)

    def _deletion(self, now: float, deletion: Deletion) -> None:
        if deletion.protocol in (registry.PROTO_ESP, registry.PROTO_AH):
            # The SPIs ought to be those on which the sender receives; strongSwan, failing to install an SA, names ours.
            named = [pair for pair in self._all.pairs if pair.spi_out in deletion.spis or pair.spi_in in deletion.spis]
            for pair in [pair for pair in named if pair.protocol == deletion.protocol]:
                self._all.drop_pair(pair, by_peer=True, reason="deleted by the peer")
        elif deletion.protocol == registry.PROTO_ISAKMP:
            for sa in [sa for sa in self._all.sas if sa.cookies in deletion.spis]:
                self._all.drop_sa(now, sa, by_peer=True, reason="deleted by the peer")
