"""One run of phase 1, in either role and by either exchange: messages, duplicates, timers, and the SA at its end.

A message that fails any check leaves the run as it was; what was wrong with it is kept as a symptom and named should the run end
unanswered. Duplicates are answered with the last reply by the side that runs no timer of its own, so that two sides never
stir each other up. What the messages are is told by the subclasses, `MainMode` and `AggressiveMode`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.errors import ProtocolError
from harness.wire.config import Entropy, IkeConfig, IkeProposal
from harness.wire.events import IkeUp
from harness.wire.ike import natt, registry
from harness.wire.ike.handshake import Body, Handshake
from harness.wire.ike.informational import plain_notification, report_notifications
from harness.wire.ike.keys import Phase1Keys
from harness.wire.ike.message import HEADER_SIZE, Header, Payload, every, read_payloads, write_message, write_payloads
from harness.wire.ike.payloads import Notification
from harness.wire.ike.sa import IkeSa, Outbox
from harness.wire.machine import Machine, Table
from harness.wire.retransmit import Retransmit


@dataclass(frozen=True, slots=True)
class Received:
    """A message in clear. `remote_port`: the port it came from, where the owner tells."""

    header: Header
    payloads: list[Payload]
    local_port: int
    remote_port: int | None
    last_block: bytes


_NOTHING = Received(Header(b"", b"", 0, 0, 0, 0), [], registry.PORT, None, b"")


class Phase1(ABC):
    """`sa` is there once the run is established, `failure` once it has ended of itself. `contact`: the peer is to be told that
    this is the first SA; False as soon as that is done."""

    exchange: ClassVar[int]
    table: ClassVar[Table[Any, Any, Any]]
    both_repeat: ClassVar[bool]
    """Whether a responder sends its message again of itself: nothing else brings back a lost last message of the initiator's."""
    handshake_type: ClassVar[type[Handshake]] = Handshake

    def __init__(
        self,
        config: IkeConfig,
        entropy: Entropy,
        outbox: Outbox,
        *,
        initiator: bool,
        floated: bool,
        rekey: bool,
        contact: bool = False,
    ) -> None:
        self.config = config
        self.initiator = initiator
        self.floated = floated
        self.rekey = rekey
        self.contact = contact
        self.sa: IkeSa | None = None
        self.failure: str | None = None
        self.facts: dict[str, object] = {}
        self.symptom: str | None = None
        self.complaint: Notification | None = None  # an error that anybody may have sent: believed if nothing better comes
        self.retransmit = Retransmit(config.schedule)
        self.give_up_at: float | None = None  # who has no timer per message does not wait for ever either
        self._outbox = outbox
        self._machine = Machine(self.table)
        self._told = self.handshake_type(config, entropy, initiator=initiator)
        self._seen: list[bytes] = []  # messages taken, at most three; the last reply answers the last of them
        self._reply: tuple[bytes, bool] | None = None
        self._sent = ""
        self._had_last_word = False
        self._message = _NOTHING
        self._notifications: list[Notification] = []

    # What the owner asks

    @property
    def state(self) -> Any:
        return self._machine.state

    @property
    def established(self) -> bool:
        return self.state is self.table.states["ESTABLISHED"]

    @property
    def ended(self) -> bool:
        return self.state is self.table.states["ENDED"]

    @property
    @abstractmethod
    def waits_in_the_clear(self) -> bool:
        """Whether the answer that an initiator waits for is one that the peer sends unprotected."""

    @property
    def icookie(self) -> bytes:
        return self._told.icookie

    @property
    def rcookie(self) -> bytes:
        return self._told.rcookie

    @property
    def deadline(self) -> float | None:
        return self.retransmit.deadline if self.retransmit.deadline is not None else self.give_up_at

    @property
    def keys(self) -> Phase1Keys | None:
        """The keys as soon as there are any, with which an error notification may come protected."""
        return self._told.keys

    @property
    def last_block(self) -> bytes:
        return self._told.iv

    @property
    def suspicion(self) -> str:
        """What it usually means when the peer cannot be understood any more, or says so."""
        proof = self._told.authentication
        return "a sign that the peer has given up" if proof is None else proof.suspicion

    def has_seen(self, data: bytes) -> bool:
        """Whether this is a duplicate of a message already taken."""
        return data in self._seen

    # What the owner orders

    def start(self, now: float) -> None:
        self._run(now, self.table.events["START"])

    def receive(self, now: float, header: Header, data: bytes, local_port: int, remote_port: int | None = None) -> None:
        if self.has_seen(data):
            if data == self._seen[-1] and self._reply is not None and self.retransmit.deadline is None:
                self._outbox.send(now, *self._reply)
            return
        if header.message_id:
            raise ProtocolError("ike", f"{self.table.name} with the message ID {header.message_id:08x}", 20)
        before, told = self._machine.state, copy(self._told)
        event = self._event(header)
        if (before, event) not in self.table.rows:
            raise ProtocolError("ike", f"{event.value} is not expected while {before.value}")
        try:
            self._message = self._open(header, data, local_port, remote_port)
            self._run(now, event)
        except ProtocolError as error:
            self._machine.state, self._told = before, told
            self.symptom = f"{event.value} was refused: {error.reason}"
            raise
        self._seen.append(data)
        self.symptom = self.complaint = None

    def refuse(self, now: float, notification: Notification) -> None:
        """An error notification that is to be believed."""
        self.facts = {"notify": notification.name}
        self.failure = f"{notification.name} from the peer"
        self._run(now, self.table.events["REFUSAL"])

    def end(self, now: float, *, by_peer: bool) -> None:
        """The SA is deleted, or given up before it was there."""
        self._run(now, self.table.events["DELETED" if by_peer else "CLOSE"])

    def tick(self, now: float) -> None:
        if self.give_up_at is not None and now >= self.give_up_at:
            self._run(now, self.table.events["SILENCE"])
            return
        again = self.retransmit.expire(now)
        if again != () and self.complaint is not None:
            self.refuse(now, self.complaint)
        elif again is None:
            self._run(now, self.table.events["SILENCE"])
        elif again and self._reply is not None:
            self._outbox.send(now, *self._reply)

    # Events and actions

    @abstractmethod
    def _event(self, header: Header) -> Any:
        """Which message of the exchange this is."""

    @abstractmethod
    def _act(self, action: Any, now: float) -> None: ...

    def _run(self, now: float, event: Any) -> None:
        for action in self._machine.fire(event):
            self._act(action, now)

    def _open(self, header: Header, data: bytes, local_port: int, remote_port: int | None) -> Received:
        if not header.encrypted:
            return Received(header, read_payloads(header.first, data, HEADER_SIZE), local_port, remote_port, b"")
        keys = self.keys
        if keys is None:
            raise ProtocolError("ike", "an encrypted message before there are keys")
        cipher = data[HEADER_SIZE:]
        if not cipher:
            raise ProtocolError("ike", "an encrypted message without payloads")
        plain = keys.cipher.decrypt(self._told.iv, cipher)
        try:
            payloads = read_payloads(header.first, plain)
        except ProtocolError as error:
            reason = f"it does not decrypt to payloads ({error.reason}), {self.suspicion}"
            raise ProtocolError("ike", reason, error.offset) from error
        return Received(header, payloads, local_port, remote_port, cipher[-keys.cipher.block :])

    def _send(self, now: float, name: str, payloads: list[Body], *, secret: bool = False, last: bool = False) -> None:
        first, chain = write_payloads(payloads)
        flags = 0
        if secret:
            keys = self._told.agreed_keys
            chain = keys.encrypt(self._told.iv, chain)
            self._told.iv = chain[-keys.cipher.block :]
            flags = registry.FLAG_ENCRYPTION
        header = Header(self.icookie, self.rcookie, first, self.exchange, flags, 0)
        message = write_message(header, chain)
        self._sent = name
        self._reply = (message, self.floated)
        self._had_last_word = last
        self._outbox.send(now, *self._reply)
        if last:
            return
        if self.initiator or self.both_repeat:
            self.retransmit.start(now, message)
        else:
            self.give_up_at = now + sum(self.config.schedule.waits)

    # Steps that both exchanges have

    def _ends(self) -> natt.Ends:
        """An initiator goes by the ports it sends to, a responder by those it sees."""
        config, message = self.config, self._message
        port = registry.PORT_NATT if self.floated else registry.PORT
        if self.initiator:
            return natt.Ends(config.address, port, config.peer_address, port)
        return natt.Ends(config.address, message.local_port, config.peer_address, message.remote_port or message.local_port)

    def _choose(self, now: float, name: str, rows: Iterable[IkeProposal]) -> None:
        """Takes the first transform offered that is one of `rows`."""
        message = self._message
        if not self._told.take_offer(name, message.header, message.payloads, rows):
            header = Header(message.header.icookie, self.rcookie, registry.NOTIFY, registry.EXCHANGE_INFORMATIONAL, 0, 0)
            self._outbox.send(now, plain_notification(header, registry.NO_PROPOSAL_CHOSEN), self.floated)
            raise ProtocolError("ike", f"none of the transforms in {name} is acceptable: NO_PROPOSAL_CHOSEN sent")

    def _take_proof(self, now: float, name: str) -> None:
        message = self._message
        self._told.take_proof(now, name, message.payloads)
        self._notifications = [Notification.read(body) for body in every(message.payloads, registry.NOTIFY)]
        self._told.iv = message.last_block or self._told.iv

    def _float(self, now: float) -> None:
        if self.initiator:
            self.floated = self.floated or any(self._told.nat)
        else:
            self.floated = self._message.local_port == registry.PORT_NATT

    def _announce(self, now: float) -> None:
        self.retransmit.stop()
        self.give_up_at = None
        if not self._had_last_word:
            self._reply = None  # nothing answers the last message: were its duplicate answered, the two would go on for ever
        told, margin = self._told, self.config.rekey_margin if self.config.renew_phase_1 else None
        keys, agreed = told.agreed_keys, told.agreed
        self.sa = IkeSa(
            initiator=self.initiator,
            icookie=self.icookie,
            rcookie=self.rcookie,
            keys=keys,
            last_block=told.iv,
            proposal=agreed,
            dialect=told.dialect,
            floated=self.floated,
            nat_local=told.nat[0],
            nat_remote=told.nat[1],
            peer_dpd=told.peer_dpd,
            expires_at=now + agreed.lifetime_s,
            rekey_at=None if margin is None else now + margin * agreed.lifetime_s,
        )
        self._outbox.event(
            IkeUp(
                icookie=self.icookie,
                rcookie=self.rcookie,
                encryption=agreed.encryption,
                hash=agreed.hash,
                group=agreed.group,
                lifetime_s=agreed.lifetime_s,
                nat_local=told.nat[0],
                nat_remote=told.nat[1],
                encryption_key=keys.encryption_key,
                rekey=self.rekey,
                iv=keys.iv,
                exchange=self.table.name,
                authentication=agreed.authentication,
                identity=told.peer_name,
                lifetime_kb=agreed.lifetime_kb,
            )
        )
        report_notifications(self._outbox, self._notifications, protected=True)

    def _fail_silence(self, now: float) -> None:
        tries = self.retransmit.tries
        self.give_up_at = None
        if not self.initiator:
            self.failure = f"the peer did not go on after {self._sent}"
        else:
            self.failure = f"no answer to {self._sent} after {tries} tries"
            self.facts = {"message": self._sent, "tries": tries}
        if self.symptom is not None:
            self.failure += f"; {self.symptom}"
            self.facts["symptom"] = self.symptom
        elif self.initiator and self.keys is not None:
            self.failure += f", {self.suspicion}"

    def _fail_refused(self, now: float) -> None:
        self.retransmit.stop()
        self.give_up_at = None
