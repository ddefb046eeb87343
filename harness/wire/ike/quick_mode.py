"""One run of quick mode, in either role: carries out the actions of `quick_mode_table`.

As in main mode, a message that fails a check leaves the run as it was. The responder, whose QM2 nobody but the initiator's QM3
answers, runs a timer of its own (RFC 2409 leaves that open; a lost QM3 is else never noticed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.config import AhProposal, Child, Entropy, EspProposal, IkeConfig, Selector
from harness.wire.crypto.dh import GROUPS, KeyPair
from harness.wire.esp import AUTHENTICATIONS, ENCRYPTIONS
from harness.wire.events import EspUp
from harness.wire.ike import registry
from harness.wire.ike.attributes import PHASE_2, lifetimes, read_attributes
from harness.wire.ike.informational import behind_hash, report_notifications, unseal
from harness.wire.ike.keys import ipsec_keys, message_hash, same, third_hash
from harness.wire.ike.message import HEADER_SIZE, Header, Payload, every, only, read_payloads, write_message, write_payloads
from harness.wire.ike.payloads import Identification, Notification, packed, read_nat_oa, write_nat_oa
from harness.wire.ike.proposals import read_sa, shortened, write_sa
from harness.wire.ike.quick_mode_proposals import Choice, Terms, choose, offer, why_none
from harness.wire.ike.quick_mode_table import TABLE, Action, Event, State
from harness.wire.ike.sa import EspPair, IkeSa, Outbox
from harness.wire.machine import Machine
from harness.wire.retransmit import Retransmit

NONCE_SIZE = 32
UDP = 17
L2TP_PORT = 1701


class QuickMode:
    """`pair` is there once the state is INSTALLED, `failure` once the run has ended of itself. `spi_in` is our own choice."""

    def __init__(
        self,
        config: IkeConfig,
        entropy: Entropy,
        outbox: Outbox,
        sa: IkeSa,
        *,
        initiator: bool,
        message_id: int,
        spi_in: bytes,
        rekey: bool,
        child: Child | None = None,
    ) -> None:
        self.config = config
        self.initiator = initiator
        self.message_id = message_id
        self.spi_in = spi_in
        self.rekey = rekey
        self.child = child
        self.sa = sa
        self.pair: EspPair | None = None
        self.adopted = False  # the core has taken the pair over
        self.failure: str | None = None
        self.refusal: int | None = None  # the notification with which we refuse the peer's QM1
        self.facts: dict[str, object] = {}
        self.symptom: str | None = None
        self.retransmit = Retransmit(config.schedule)
        self.peer_nat_oa: tuple[str, ...] = ()
        self._client_port = 0
        self._entropy = entropy
        self._outbox = outbox
        self._machine = Machine(TABLE)
        self._nonce = entropy(NONCE_SIZE)
        self._peer_nonce = b""
        self._spi_out = b""
        self._choice: Choice | None = None
        self._key_pair: KeyPair | None = None  # of PFS
        self._shared = b""  # g(qm)^xy
        self._iv = sa.keys.message_iv(sa.last_block, message_id)
        self._seen: list[bytes] = []
        self._reply = b""
        self._sent = ""
        self._payloads: list[Payload] = []
        udp = sa.nat_local or sa.nat_remote
        # Without a NAT the plain mode is the only one allowed (RFC 3947 §5.1).
        self._dialect = sa.dialect if udp else None
        self._terms = self._terms_for(child)

    def _terms_for(self, child: Child | None) -> Terms:
        config = self.config
        rows: tuple[EspProposal | AhProposal, ...] = (*config.esp_proposals, *config.ah_proposals)
        encapsulation = "transport" if self._dialect is None else self._dialect.encapsulation
        return Terms(
            rows if child is None else child.proposals,
            encapsulation.replace("transport", config.mode if child is None else "tunnel"),
            nat=self.sa.nat_local or self.sa.nat_remote,
            pfs=config.pfs if child is None else child.pfs,
            strict=self.initiator,
        )

    def asks_for(self, child: Child | None) -> bool:
        """Whether we have begun it for the same, and are still without an answer."""
        return self.initiator and self.state is State.WAIT_QM2 and (self.child and self.child.key) == (child and child.key)

    @property
    def state(self) -> State:
        return self._machine.state

    @property
    def deadline(self) -> float | None:
        return self.retransmit.deadline

    def start(self, now: float) -> None:
        self._run(now, Event.START)

    def receive(self, now: float, header: Header, data: bytes) -> None:
        if data in self._seen:
            if data == self._seen[-1] and self._reply and self.retransmit.deadline is None:
                self._outbox.send(now, self._reply, self.sa.floated)
            return
        before = self._machine.state
        event = _EXPECTED.get(before, Event.QM1)
        if (before, event) not in TABLE.rows:
            raise ProtocolError("ike", f"a quick-mode message is not expected while {before.value}")
        try:
            last_block = self._open(event, header, data)
            kept, self._iv = self._iv, last_block
            try:
                self._run(now, event)
            except ProtocolError:
                self._iv = kept
                raise
        except ProtocolError as error:
            self._machine.state = before
            self.symptom = f"{event.value} was refused: {error.reason}"
            raise
        self._seen.append(data)
        self.symptom = None

    def refuse(self, now: float, notification: Notification) -> None:
        """An authenticated error notification that concerns this run."""
        self.facts = {"notify": notification.name}
        self.failure = f"{notification.name} from the peer"
        self._run(now, Event.REFUSAL)

    def close(self, now: float) -> None:
        self._run(now, Event.CLOSE)
        self.retransmit.stop()

    def tick(self, now: float) -> None:
        again = self.retransmit.expire(now)
        if again is None:
            self._run(now, Event.SILENCE)
        elif again:
            self._outbox.send(now, self._reply, self.sa.floated)

    def _run(self, now: float, event: Event) -> None:
        for action in self._machine.fire(event):
            self._act(action, now)

    def _act(self, action: Action, now: float) -> None:
        _ACTIONS[action](self, now)

    def _open(self, event: Event, header: Header, data: bytes) -> bytes:
        """Decrypts and authenticates; returns the last cipher block."""
        keys = self.sa.keys
        if event is Event.QM3:
            cipher = data[HEADER_SIZE:]
            self._payloads = read_payloads(header.first, keys.cipher.decrypt(self._iv, cipher))
            return cipher[-keys.cipher.block :]
        before = (self._nonce,) if event is Event.QM2 else ()
        self._payloads, last_block = unseal(keys, self._iv, header, data, *before)
        return last_block

    def _send(self, now: float, name: str, payloads: Sequence[tuple[int, bytes]], *before: bytes, timer: bool = True) -> None:
        """A message that begins with HASH(1) or HASH(2) over `before` and the payloads."""
        first, chain = write_payloads(payloads)
        proof = message_hash(self.sa.keys, self.message_id, *before, chain)
        self._post(now, name, behind_hash(proof, first, chain), timer)

    def _post(self, now: float, name: str, plain: bytes, timer: bool) -> None:
        cipher = self.sa.keys.encrypt(self._iv, plain)
        self._iv = cipher[-self.sa.keys.cipher.block :]
        flags = registry.FLAG_ENCRYPTION
        header = Header(self.sa.icookie, self.sa.rcookie, registry.HASH, registry.EXCHANGE_QUICK, flags, self.message_id)
        self._reply = write_message(header, cipher)
        self._sent = name
        self._outbox.send(now, self._reply, self.sa.floated)
        if timer:
            self.retransmit.start(now, self._reply)
        else:
            self.retransmit.stop()

    @property
    def _chosen(self) -> Choice:
        if self._choice is None:
            raise AssertionError("the table lets nothing be sent or installed before a proposal is chosen")
        return self._choice

    def _send_offer(self, now: float) -> None:
        config = self.config
        if self._terms.pfs is not None:
            self._key_pair = GROUPS[self._terms.pfs].key_pair(self._entropy)
        payloads = [(registry.SA, offer(self._terms, self.spi_in)), (registry.NONCE, self._nonce), *self._key_exchange()]
        payloads += [(registry.ID, identity.write()) for identity in self._identities()]
        self._send(now, "QM1", payloads + self._nat_oa(config.address, config.peer_address))

    def _identities(self) -> tuple[Identification, Identification]:
        """Of our own offer: our end first."""
        if self.child is not None:
            return Identification.of_selector(self.child.local), Identification.of_selector(self.child.remote)
        config = self.config
        own = Identification.of_address(config.address, UDP, config.l2tp_port)
        return own, Identification.of_address(config.peer_address, UDP, L2TP_PORT)

    def _key_exchange(self) -> list[tuple[int, bytes]]:
        return [] if self._key_pair is None else [(registry.KE, self._key_pair.public)]

    def _nat_oa(self, initiator: str, responder: str) -> list[tuple[int, bytes]]:
        """The original addresses as we see them, the initiator's first; nothing without UDP encapsulation, nor in tunnel mode
        (RFC 3947 §5.2)."""
        if self._dialect is None or "tunnel" in self._terms.encapsulation:
            return []
        return [(self._dialect.nat_oa, write_nat_oa(address)) for address in (initiator, responder)]

    def _take_common(self, name: str) -> tuple[list[Identification], bytes]:
        payloads = self._payloads
        nonce = only(payloads, registry.NONCE, name)
        if not 8 <= len(nonce) <= 256:
            raise ProtocolError("ike", f"{name} with a nonce of {len(nonce)} bytes")
        ids = [Identification.read(body) for body in every(payloads, registry.ID)]
        if len(ids) not in (0, 2):
            raise ProtocolError("ike", f"{name} with {len(ids)} payloads ID")
        return ids, nonce

    def _take_key_exchange(self, group: str | None, name: str) -> None:
        """PFS: the group that the chosen transform names, and a KE payload of it, or neither."""
        if group is None:
            if every(self._payloads, registry.KE):
                raise ProtocolError("ike", f"{name} with a KE payload: its transform names no group for PFS")
            return
        public = only(self._payloads, registry.KE, name)
        if self._key_pair is None:
            self._key_pair = GROUPS[group].key_pair(self._entropy)
        self._shared = self._key_pair.shared(public)

    def _take_addresses(self) -> None:
        found = every(self._payloads, registry.NAT_OA, registry.NAT_OA_DRAFT)
        self.peer_nat_oa = tuple(read_nat_oa(body) for body in found[:2])

    def _take_offer(self, now: float) -> None:
        self.refusal = None
        ids, nonce = self._take_common("QM1")
        candidates = self._candidates(ids)
        offered = read_sa(PHASE_2, only(self._payloads, registry.SA, "QM1"))
        choice = None
        for child in candidates:
            if child is not None:
                self.child, self._terms = child, self._terms_for(child)
            choice = choose(offered, self._terms)
            if choice is not None:
                break
        if choice is None:
            self.refusal = registry.NO_PROPOSAL_CHOSEN
            why = why_none(offered, self._terms)
            raise ProtocolError("ike", f"no transform in QM1 is acceptable ({why}): NO_PROPOSAL_CHOSEN sent")
        if self.config.choose_spi is not None:
            spi = self.config.choose_spi(int.from_bytes(choice.proposal.spi))
            if spi is None:
                self.refusal = registry.INVALID_SPI
                raise ProtocolError("ike", "the SPI that answers the one in QM1 is taken: INVALID_SPI sent")
            self.spi_in = spi.to_bytes(4)
        if self.config.admit is not None:
            self.refusal = self.config.admit()
            if self.refusal is not None:
                raise ProtocolError("ike", f"no more SAs are admitted: {registry.notify_name(self.refusal)} sent")
        self._take_key_exchange(choice.group, "QM1")
        self._take_addresses()
        self._client_port = ids[0].port if ids else 0
        self._choice = choice
        self._spi_out = choice.proposal.spi
        self._peer_nonce = nonce

    def _candidates(self, ids: Sequence[Identification]) -> Sequence[Child | None]:
        """What the flow of QM1 may be, best first: L2TP (None), or what the owner has for it."""
        if self.config.children is None:
            self._check_selectors(ids, "QM1")
            return (None,)
        ends = [_selector(identity) for identity in ids] or [_host(self.config.peer_address), _host(self.config.address)]
        found: Sequence[Child] | int = registry.INVALID_ID_INFORMATION
        if ends[0] is not None and ends[1] is not None:
            found = self.config.children(ends[1], ends[0])
        if isinstance(found, int) or not found:
            self.refusal = found if isinstance(found, int) else registry.INVALID_ID_INFORMATION
            flow = " to ".join(map(str, ids)) or "the two ends themselves"
            raise ProtocolError("ike", f"QM1 is for {flow}, for which there is nothing: {registry.notify_name(self.refusal)} sent")
        return found

    def _send_choice(self, now: float) -> None:
        choice = self._chosen
        ids = [(registry.ID, body) for body in every(self._payloads, registry.ID)]
        sa = write_sa(PHASE_2, [replace(choice.proposal, spi=self.spi_in)])
        payloads = [(registry.SA, sa), (registry.NONCE, self._nonce), *self._key_exchange(), *ids]
        payloads += self._nat_oa(self.config.peer_address, self.config.address)
        lower = choice.lower_limits()
        if lower:
            body = Notification(choice.proposal.protocol, registry.RESPONDER_LIFETIME, self.spi_in, lower).write()
            payloads.append((registry.NOTIFY, body))
        self._send(now, "QM2", payloads, self._peer_nonce)

    def _take_choice(self, now: float) -> None:
        ids, nonce = self._take_common("QM2")
        proposals = read_sa(PHASE_2, only(self._payloads, registry.SA, "QM2"))
        if len(proposals) != 1 or len(proposals[0].transforms) != 1:
            raise ProtocolError("ike", "QM2 holds more than the one transform chosen")
        choice = choose(proposals, self._terms)
        if choice is None:
            raise ProtocolError("ike", f"the peer chose what was not offered: {proposals[0].transforms[0]}")
        if self.child is None:
            self._check_selectors(ids, "QM2")
        elif tuple(map(_selector, ids)) != (self.child.local, self.child.remote):
            raise ProtocolError("ike", f"QM2 is for {' to '.join(map(str, ids)) or 'no flow'}, which was not asked for")
        notifications = [Notification.read(body) for body in every(self._payloads, registry.NOTIFY)]
        for notification in notifications:
            if notification.type == registry.RESPONDER_LIFETIME:
                lower = lifetimes(read_attributes(PHASE_2, Reader("ike", notification.data)))
                choice = replace(choice, row=shortened(choice.row, lower))
        self._take_key_exchange(choice.group, "QM2")
        self._take_addresses()
        self._choice = choice
        self._spi_out = choice.proposal.spi
        self._peer_nonce = nonce
        report_notifications(self._outbox, notifications, protected=True)

    def _check_selectors(self, ids: Sequence[Identification], message: str) -> None:
        """IDci and IDcr: protocol and port have to be L2TP's, or any. Addresses are those before some NAT, and prove nothing
        (RFC 3947 §6)."""
        own = (0, self.config.l2tp_port)
        peer = (0, L2TP_PORT) if self.initiator else self.config.client_ports
        for identity, ports in zip(ids, (own, peer) if self.initiator else (peer, own), strict=False):
            if identity.protocol not in (0, UDP) or (ports and identity.port not in ports):
                self.refusal = registry.INVALID_ID_INFORMATION
                wanted = " or ".join(map(str, ports)) or "any"
                raise ProtocolError("ike", f"{message} with the ID {identity}: not UDP port {wanted}")

    def _nonces(self) -> tuple[bytes, bytes]:
        return (self._nonce, self._peer_nonce) if self.initiator else (self._peer_nonce, self._nonce)

    def _send_proof(self, now: float) -> None:
        proof = third_hash(self.sa.keys, self.message_id, *self._nonces())
        self._post(now, "QM3", behind_hash(proof, 0, b""), timer=False)

    def _take_proof(self, now: float) -> None:
        proof = only(self._payloads, registry.HASH, "QM3")
        if not same(proof, third_hash(self.sa.keys, self.message_id, *self._nonces())):
            raise ProtocolError("ike", "HASH(3) of QM3 does not match")
        self.retransmit.stop()
        self._reply = b""

    def _install(self, now: float) -> None:
        agreed, protocol = self._chosen.row, self._chosen.proposal.protocol
        encryption = agreed.encryption if isinstance(agreed, EspProposal) else ""
        sizes = ENCRYPTIONS[encryption].key if encryption else 0, AUTHENTICATIONS[agreed.authentication].key
        key_in, auth_in = ipsec_keys(self.sa.keys, protocol, self.spi_in, self._nonces(), self._shared, sizes)
        key_out, auth_out = ipsec_keys(self.sa.keys, protocol, self._spi_out, self._nonces(), self._shared, sizes)
        margin = self.config.rekey_margin
        if margin is not None and not self.initiator:
            # Who began a quick mode renews it; the other side steps in half-way to the end, so that the two do not both.
            margin = (1 + margin) / 2
        rekey_at = None if margin is None else now + margin * agreed.lifetime_s
        self.pair = EspPair(protocol, self.spi_in, self._spi_out, agreed, now + agreed.lifetime_s, rekey_at, margin, self.child)
        self._outbox.event(
            EspUp(
                spi_in=int.from_bytes(self.spi_in),
                spi_out=int.from_bytes(self._spi_out),
                encapsulation=self._terms.encapsulation.removesuffix(" (draft)"),
                encryption=encryption,
                authentication=agreed.authentication,
                lifetime_s=agreed.lifetime_s,
                lifetime_kb=agreed.lifetime_kb,
                key_in=key_in,
                auth_key_in=auth_in,
                key_out=key_out,
                auth_key_out=auth_out,
                rekey=self.rekey,
                nat_oa=self.peer_nat_oa,
                client_port=self._client_port,
                protocol="ah" if protocol == registry.PROTO_AH else "esp",
                child=self.child,
                initiator=self.initiator,
            )
        )

    def _fail_silence(self, now: float) -> None:
        tries = self.retransmit.tries
        self.failure = f"no answer to {self._sent} after {tries} tries"
        self.facts = {"message": self._sent, "tries": tries}
        if self.symptom is not None:
            self.failure += f"; {self.symptom}"
            self.facts["symptom"] = self.symptom

    def _fail_refused(self, now: float) -> None:
        self.retransmit.stop()


def _selector(identity: Identification) -> Selector | None:
    return identity.selector


def _host(address: str) -> Selector:
    return Selector(int.from_bytes(packed(address)))


_EXPECTED = {State.IDLE: Event.QM1, State.WAIT_QM2: Event.QM2, State.WAIT_QM3: Event.QM3}
_ACTIONS = {
    Action.SEND_OFFER: QuickMode._send_offer,
    Action.TAKE_OFFER: QuickMode._take_offer,
    Action.SEND_CHOICE: QuickMode._send_choice,
    Action.TAKE_CHOICE: QuickMode._take_choice,
    Action.SEND_PROOF: QuickMode._send_proof,
    Action.TAKE_PROOF: QuickMode._take_proof,
    Action.INSTALL: QuickMode._install,
    Action.FAIL_SILENCE: QuickMode._fail_silence,
    Action.FAIL_REFUSED: QuickMode._fail_refused,
}
