"""One run of main mode, in either role: carries out the actions of `main_mode_table`.

A message that fails any check leaves the run as it was; what was wrong with it is kept as a symptom and named should the run end
unanswered. Duplicates are answered with the last reply by the side that runs no timer of its own, so that two sides never
stir each other up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.errors import ProtocolError
from harness.wire.config import Entropy, IkeConfig, IkeProposal
from harness.wire.crypto.dh import GROUPS, KeyPair
from harness.wire.crypto.digest import HASHES
from harness.wire.events import IkeUp
from harness.wire.ike import natt, registry
from harness.wire.ike.attributes import PHASE_1
from harness.wire.ike.informational import plain_notification, report_notifications
from harness.wire.ike.keys import Phase1Keys, identity_hash, phase_1, same, skeyid_psk
from harness.wire.ike.main_mode_table import TABLE, Action, Event, State
from harness.wire.ike.message import HEADER_SIZE, Header, Payload, every, only, read_payloads, write_message, write_payloads
from harness.wire.ike.payloads import Identification, Notification
from harness.wire.ike.proposals import ike_choice, ike_offer, read_sa, write_sa
from harness.wire.ike.sa import IkeSa, Outbox
from harness.wire.machine import Machine
from harness.wire.retransmit import Retransmit

NONCE_SIZE = 32
SYMPTOM_OF_WRONG_PSK = "the usual sign that the pre-shared keys differ"


@dataclass(slots=True)
class _Peer:
    """What the other side has told so far."""

    public: bytes = b""
    nonce: bytes = b""
    vendor_ids: list[bytes] = field(default_factory=list)
    identity: Identification | None = None


class MainMode:
    """`sa` is there once the state is ESTABLISHED, `failure` once the run has ended of itself."""

    def __init__(self, config: IkeConfig, entropy: Entropy, outbox: Outbox, *, initiator: bool, floated: bool, rekey: bool) -> None:
        self.config = config
        self.initiator = initiator
        self.floated = floated
        self.rekey = rekey
        self.icookie = entropy(8) if initiator else bytes(8)
        self.rcookie = bytes(8) if initiator else entropy(8)
        self.sa: IkeSa | None = None
        self.failure: str | None = None
        self.facts: dict[str, object] = {}
        self.symptom: str | None = None
        self.complaint: Notification | None = None  # an error that anybody may have sent: believed if nothing better comes
        self.retransmit = Retransmit(config.schedule)
        self.give_up_at: float | None = None  # a responder has no timer per message, but does not wait for ever
        self.nonce = entropy(NONCE_SIZE)
        self._entropy = entropy
        self._outbox = outbox
        self._machine = Machine(TABLE)
        self._peer = _Peer()
        self._offer = b""  # body of the initiator's SA payload, which both HASHes cover
        self._choice = b""
        self._proposal: IkeProposal | None = None
        self._dialect: natt.Dialect | None = None
        self._pair: KeyPair | None = None
        self._keys: Phase1Keys | None = None
        self._iv = b""
        self._nat = (False, False)
        self._seen: list[bytes] = []  # messages taken, at most three; the last reply answers the last of them
        self._reply: tuple[bytes, bool] | None = None
        self._sent = ""
        self._message = _EMPTY

    @property
    def state(self) -> State:
        return self._machine.state

    @property
    def deadline(self) -> float | None:
        return self.retransmit.deadline if self.retransmit.deadline is not None else self.give_up_at

    @property
    def keys(self) -> Phase1Keys | None:
        """The keys as soon as there are any, with which an error notification may come protected."""
        return self._keys

    @property
    def last_block(self) -> bytes:
        return self._iv

    def start(self, now: float) -> None:
        self._run(now, Event.START)

    def receive(self, now: float, header: Header, data: bytes, local_port: int) -> None:
        if self.has_seen(data):
            if data == self._seen[-1] and self._reply is not None and self.retransmit.deadline is None:
                self._outbox.send(now, *self._reply)
            return
        before = self._machine.state
        event = self._event(header)
        if (before, event) not in TABLE.rows:
            raise ProtocolError("ike", f"{event.value} is not expected while {before.value}")
        try:
            self._message = self._open(header, data, local_port)
            self._run(now, event)
        except ProtocolError as error:
            self._machine.state = before
            self.symptom = f"{event.value} was refused: {error.reason}"
            raise
        self._seen.append(data)
        self.symptom = self.complaint = None

    def has_seen(self, data: bytes) -> bool:
        """Whether this is a duplicate of a message already taken."""
        return data in self._seen

    def refuse(self, now: float, notification: Notification) -> None:
        """An error notification that is to be believed."""
        self.facts = {"notify": notification.name}
        self.failure = f"{notification.name} from the peer"
        self._run(now, Event.REFUSAL)

    def end(self, now: float, *, by_peer: bool) -> None:
        """The SA is deleted, or given up before it was there."""
        self._run(now, Event.DELETED if by_peer else Event.CLOSE)

    def tick(self, now: float) -> None:
        if self.give_up_at is not None and now >= self.give_up_at:
            self._run(now, Event.SILENCE)
            return
        again = self.retransmit.expire(now)
        if again != () and self.complaint is not None:
            self.refuse(now, self.complaint)
        elif again is None:
            self._run(now, Event.SILENCE)
        elif again and self._reply is not None:
            self._outbox.send(now, *self._reply)

    # Events and actions

    def _event(self, header: Header) -> Event:
        """Which message of six this is, by its sender's role and its first payload."""
        if header.message_id:
            raise ProtocolError("ike", f"main mode with the message ID {header.message_id:08x}", 20)
        number = 4 if header.encrypted else {registry.SA: 0, registry.KE: 2, registry.NONCE: 2}.get(header.first)
        if number is None:
            raise ProtocolError("ike", f"main mode with a first payload of type {header.first}", 16)
        return _MESSAGES[number + self.initiator]

    def _run(self, now: float, event: Event) -> None:
        for action in self._machine.fire(event):
            _ACTIONS[action](self, now)

    def _open(self, header: Header, data: bytes, local_port: int) -> _Message:
        if not header.encrypted:
            return _Message(header, read_payloads(header.first, data, HEADER_SIZE), local_port, b"")
        if self._keys is None:
            raise ProtocolError("ike", "an encrypted message before there are keys")
        cipher = data[HEADER_SIZE:]
        if not cipher:
            raise ProtocolError("ike", "an encrypted message without payloads")
        plain = self._keys.cipher.decrypt(self._iv, cipher)
        try:
            payloads = read_payloads(header.first, plain)
        except ProtocolError as error:
            reason = f"it does not decrypt to payloads ({error.reason}), {SYMPTOM_OF_WRONG_PSK}"
            raise ProtocolError("ike", reason, error.offset) from error
        return _Message(header, payloads, local_port, cipher[-self._keys.cipher.block :])

    def _send(self, now: float, name: str, payloads: list[tuple[int, bytes]], *, secret: bool = False, last: bool = False) -> None:
        first, chain = write_payloads(payloads)
        flags = 0
        if secret:
            keys = self._agreed_keys
            chain = keys.encrypt(self._iv, chain)
            self._iv = chain[-keys.cipher.block :]
            flags = registry.FLAG_ENCRYPTION
        header = Header(self.icookie, self.rcookie, first, registry.EXCHANGE_MAIN, flags, 0)
        message = write_message(header, chain)
        self._sent = name
        self._reply = (message, self.floated)
        self._outbox.send(now, *self._reply)
        if self.initiator and not last:
            self.retransmit.start(now, message)
        elif not last:
            self.give_up_at = now + sum(self.config.schedule.waits)

    @property
    def _agreed_keys(self) -> Phase1Keys:
        if self._keys is None:
            raise AssertionError("the table lets no message be encrypted before the keys are there")
        return self._keys

    @property
    def _agreed(self) -> IkeProposal:
        if self._proposal is None:
            raise AssertionError("the table lets no keys be made before the proposal is agreed")
        return self._proposal

    @property
    def _own_pair(self) -> KeyPair:
        if self._pair is None:
            self._pair = GROUPS[self._agreed.group].key_pair(self._entropy)
        return self._pair

    def _vendor_ids(self) -> list[tuple[int, bytes]]:
        return [(registry.VENDOR_ID, value) for value in self.config.vendor_ids]

    def _send_offer(self, now: float) -> None:
        self._offer = ike_offer(self.config.proposals)
        self._send(now, "MM1", [(registry.SA, self._offer), *self._vendor_ids()])

    def _take_offer(self, now: float) -> None:
        message = self._message
        offer = only(message.payloads, registry.SA, "MM1")
        choice = ike_choice(read_sa(PHASE_1, offer), self.config.proposals)
        if choice is None:
            header = Header(message.header.icookie, self.rcookie, registry.NOTIFY, registry.EXCHANGE_INFORMATIONAL, 0, 0)
            self._outbox.send(now, plain_notification(header, registry.NO_PROPOSAL_CHOSEN), self.floated)
            raise ProtocolError("ike", "none of the transforms in MM1 is acceptable: NO_PROPOSAL_CHOSEN sent")
        self.icookie = message.header.icookie
        self._offer = offer
        self._choice = write_sa(PHASE_1, [choice[0]])
        self._proposal = choice[1]
        self._take_vendor_ids(message.payloads)

    def _send_choice(self, now: float) -> None:
        self._send(now, "MM2", [(registry.SA, self._choice), *self._vendor_ids()])

    def _take_choice(self, now: float) -> None:
        message = self._message
        proposals = read_sa(PHASE_1, only(message.payloads, registry.SA, "MM2"))
        if len(proposals) != 1 or len(proposals[0].transforms) != 1:
            raise ProtocolError("ike", "MM2 holds more than the one transform chosen")
        choice = ike_choice(proposals, self.config.proposals)
        if choice is None:
            raise ProtocolError("ike", f"the peer chose what was not offered: {proposals[0].transforms[0]}")
        if message.header.rcookie == bytes(8):
            raise ProtocolError("ike", "MM2 with a responder's cookie of zero", 8)
        self.rcookie = message.header.rcookie
        self._proposal = choice[1]
        self._take_vendor_ids(message.payloads)

    def _take_vendor_ids(self, payloads: list[Payload]) -> None:
        self._peer.vendor_ids = every(payloads, registry.VENDOR_ID)
        self._dialect = natt.common_dialect(self.config.vendor_ids, self._peer.vendor_ids)

    def _ends(self) -> natt.Ends:
        port = registry.PORT_NATT if self.floated else registry.PORT
        return natt.Ends(self.config.address, port, self.config.peer_address, self.config.peer_ports.get(port, port))

    def _send_keys(self, now: float) -> None:
        payloads = [(registry.KE, self._own_pair.public), (registry.NONCE, self.nonce)]
        if self._dialect is not None:
            kind = self._dialect.nat_d
            cookies = self.icookie + self.rcookie
            payloads += [(kind, value) for value in natt.own_nat_d(HASHES[self._agreed.hash], cookies, self._ends())]
        self._send(now, "MM3" if self.initiator else "MM4", payloads)

    def _take_keys(self, now: float) -> None:
        name = "MM4" if self.initiator else "MM3"
        payloads = self._message.payloads
        public, nonce = only(payloads, registry.KE, name), only(payloads, registry.NONCE, name)
        if not 8 <= len(nonce) <= 256:
            raise ProtocolError("ike", f"{name} with a nonce of {len(nonce)} bytes")
        shared = self._own_pair.shared(public)
        self._peer.public, self._peer.nonce = public, nonce
        nonces, publics = (self.nonce, nonce), (self._own_pair.public, public)
        if not self.initiator:
            nonces, publics = nonces[::-1], publics[::-1]
        agreed, cookies = self._agreed, self.icookie + self.rcookie
        self._keys = phase_1(
            agreed.hash, agreed.encryption, skeyid_psk(HASHES[agreed.hash], self.config.psk, *nonces), publics, shared, cookies
        )
        self._iv = self._keys.iv
        if self._dialect is not None:
            received = every(payloads, registry.NAT_D, registry.NAT_D_DRAFT)
            self._nat = natt.behind_nat(self._keys.hash, cookies, self._ends(), received)

    def _float(self, now: float) -> None:
        if self.initiator:
            self.floated = self.floated or any(self._nat)
        else:
            self.floated = self._message.local_port == registry.PORT_NATT

    def _cookies(self, *, own_first: bool) -> tuple[bytes, bytes]:
        pair = self.icookie, self.rcookie
        return pair if self.initiator is own_first else pair[::-1]

    def _send_identity(self, now: float) -> None:
        keys, config = self._agreed_keys, self.config
        if config.identity.startswith("fqdn:"):
            value = config.identity.removeprefix("fqdn:").encode()
            identity = Identification(registry.ID_FQDN, config.id_protocol, config.id_port, value).write()
        else:
            identity = Identification.of_address(config.address, config.id_protocol, config.id_port).write()
        publics = (self._own_pair.public, self._peer.public)
        proof = identity_hash(keys, publics, self._cookies(own_first=True), self._offer, identity)
        name = "MM5" if self.initiator else "MM6"
        self._send(now, name, [(registry.ID, identity), (registry.HASH, proof)], secret=True, last=not self.initiator)

    def _take_identity(self, now: float) -> None:
        keys, message = self._agreed_keys, self._message
        name, side = ("MM6", "R") if self.initiator else ("MM5", "I")
        body = only(message.payloads, registry.ID, name)
        identity = Identification.read(body)
        publics = (self._peer.public, self._own_pair.public)
        expected = identity_hash(keys, publics, self._cookies(own_first=False), self._offer, body)
        if not same(expected, only(message.payloads, registry.HASH, name)):
            raise ProtocolError("ike", f"HASH_{side} does not match: the pre-shared keys differ")
        notifications = [Notification.read(n) for n in every(message.payloads, registry.NOTIFY)]
        self._peer.identity = identity
        self._iv = message.last_block
        report_notifications(self._outbox, notifications, protected=True)

    def _announce(self, now: float) -> None:
        self.retransmit.stop()
        self.give_up_at = None
        if self.initiator:
            self._reply = None  # nothing answers MM6: were a second MM6 answered with MM5, the two would go on for ever
        keys, agreed, margin = self._agreed_keys, self._agreed, self.config.rekey_margin
        self.sa = IkeSa(
            initiator=self.initiator,
            icookie=self.icookie,
            rcookie=self.rcookie,
            keys=keys,
            last_block=self._iv,
            proposal=agreed,
            dialect=self._dialect,
            floated=self.floated,
            nat_local=self._nat[0],
            nat_remote=self._nat[1],
            peer_dpd=registry.DPD_VENDOR_ID in self._peer.vendor_ids,
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
                nat_local=self._nat[0],
                nat_remote=self._nat[1],
                encryption_key=keys.encryption_key,
                rekey=self.rekey,
                iv=keys.iv,
            )
        )

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
        elif self._sent == "MM5":
            self.failure += f", {SYMPTOM_OF_WRONG_PSK}"

    def _fail_refused(self, now: float) -> None:
        self.retransmit.stop()
        self.give_up_at = None


@dataclass(frozen=True, slots=True)
class _Message:
    header: Header
    payloads: list[Payload]
    local_port: int
    last_block: bytes


_EMPTY = _Message(Header(b"", b"", 0, 0, 0, 0), [], 0, b"")
_MESSAGES = (Event.MM1, Event.MM2, Event.MM3, Event.MM4, Event.MM5, Event.MM6)
_ACTIONS = {
    Action.SEND_OFFER: MainMode._send_offer,
    Action.TAKE_OFFER: MainMode._take_offer,
    Action.SEND_CHOICE: MainMode._send_choice,
    Action.TAKE_CHOICE: MainMode._take_choice,
    Action.TAKE_KEYS: MainMode._take_keys,
    Action.SEND_KEYS: MainMode._send_keys,
    Action.FLOAT: MainMode._float,
    Action.TAKE_IDENTITY: MainMode._take_identity,
    Action.SEND_IDENTITY: MainMode._send_identity,
    Action.ANNOUNCE: MainMode._announce,
    Action.FAIL_SILENCE: MainMode._fail_silence,
    Action.FAIL_REFUSED: MainMode._fail_refused,
}
