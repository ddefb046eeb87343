"""One run of main mode, in either role: carries out the actions of `main_mode_table`."""

from __future__ import annotations

from harness.errors import ProtocolError
from harness.wire.ike import registry
from harness.wire.ike.main_mode_table import TABLE, Action, Event, State
from harness.wire.ike.message import Header
from harness.wire.ike.payloads import Notification
from harness.wire.ike.phase_1 import Phase1


class MainMode(Phase1):
    exchange = registry.EXCHANGE_MAIN
    table = TABLE
    both_repeat = False

    @property
    def waits_in_the_clear(self) -> bool:
        return self.state in (State.WAIT_MM2, State.WAIT_MM4)

    def _event(self, header: Header) -> Event:
        """Which message of six this is, by its sender's role and its first payload."""
        number = 4 if header.encrypted else {registry.SA: 0, registry.KE: 2, registry.NONCE: 2}.get(header.first)
        if number is None:
            raise ProtocolError("ike", f"main mode with a first payload of type {header.first}", 16)
        return _MESSAGES[number + self.initiator]

    def _act(self, action: Action, now: float) -> None:
        _ACTIONS[action](self, now)

    def _send_offer(self, now: float) -> None:
        self._send(now, "MM1", [self._told.make_offer(self.config.proposals), *self._told.vendor_ids()])

    def _take_offer(self, now: float) -> None:
        self._choose(now, "MM1", self.config.proposals)

    def _send_choice(self, now: float) -> None:
        self._send(now, "MM2", [(registry.SA, self._told.choice), *self._told.vendor_ids()])

    def _take_choice(self, now: float) -> None:
        self._told.take_choice("MM2", self._message.header, self._message.payloads)

    def _send_keys(self, now: float) -> None:
        agreed = self._told.agreed
        payloads = self._told.key_payloads(agreed.group) + self._told.certificate_requests([agreed])
        self._send(now, "MM3" if self.initiator else "MM4", payloads + self._told.nat_payloads(self._ends()))

    def _take_keys(self, now: float) -> None:
        payloads = self._message.payloads
        self._told.take_keys("MM4" if self.initiator else "MM3", payloads, by_identity=False)
        self._told.take_nat(payloads, self._ends())

    def _send_identity(self, now: float) -> None:
        payloads = [self._told.identity_payload(), *self._told.proof()]
        if self.contact:
            body = Notification(registry.PROTO_ISAKMP, registry.INITIAL_CONTACT, self._told.cookies, b"").write()
            payloads.append((registry.NOTIFY, body))
            self.contact = False
        self._send(now, "MM5" if self.initiator else "MM6", payloads, secret=True, last=not self.initiator)

    def _take_identity(self, now: float) -> None:
        name = "MM6" if self.initiator else "MM5"
        self._told.take_identity(name, self._message.payloads)
        self._take_proof(now, name)


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
