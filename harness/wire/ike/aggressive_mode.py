"""One run of aggressive mode, in either role: carries out the actions of `aggressive_mode_table`.

The group is the initiator's alone to choose, since its public value goes out with the offer: all transforms are of one group.
AM3 is sent encrypted, as RFC 3947 §3.2 draws it, and taken in the clear too, as RFC 2409 §5.4 does.
"""

from __future__ import annotations

from dataclasses import replace

from harness.errors import ProtocolError
from harness.wire.crypto.dh import GROUPS
from harness.wire.ike import registry
from harness.wire.ike.aggressive_mode_table import TABLE, Action, Event, State
from harness.wire.ike.message import Header, only
from harness.wire.ike.phase_1 import Phase1


class AggressiveMode(Phase1):
    exchange = registry.EXCHANGE_AGGRESSIVE
    table = TABLE
    both_repeat = True

    @property
    def waits_in_the_clear(self) -> bool:
        return self.state is State.WAIT_AM2

    def _event(self, header: Header) -> Event:
        """Which message of three this is: the first two begin with the SA payload that the hash of the third covers."""
        if header.first == registry.SA and not header.encrypted:
            return Event.AM2 if self.initiator else Event.AM1
        if self.initiator:
            raise ProtocolError("ike", f"aggressive mode with a first payload of type {header.first} from the responder", 16)
        return Event.AM3

    def _act(self, action: Action, now: float) -> None:
        _ACTIONS[action](self, now)

    def _send_offer(self, now: float) -> None:
        told, group = self._told, self.config.proposals[0].group
        rows = [row for row in self.config.proposals if row.group == group]
        payloads = [told.make_offer(rows), *told.key_payloads(group), told.identity_payload()]
        self._send(now, "AM1", payloads + told.certificate_requests(rows) + told.vendor_ids())

    def _take_offer(self, now: float) -> None:
        payloads = self._message.payloads
        size = len(only(payloads, registry.KE, "AM1"))
        self._choose(now, "AM1", [row for row in self.config.proposals if GROUPS[row.group].public_size == size])
        self._told.take_keys("AM1", payloads, by_identity=True)
        self._told.take_identity("AM1", payloads)

    def _send_choice(self, now: float) -> None:
        told = self._told
        payloads = [(registry.SA, told.choice), *told.key_payloads(told.agreed.group), told.identity_payload(), *told.proof()]
        payloads += told.certificate_requests([told.agreed]) + told.nat_payloads(self._ends())
        self._send(now, "AM2", payloads + told.vendor_ids())

    def _take_choice(self, now: float) -> None:
        message, told = self._message, self._told
        told.take_choice("AM2", message.header, message.payloads)
        told.take_keys("AM2", message.payloads, by_identity=True)
        told.take_identity("AM2", message.payloads)
        told.take_nat(message.payloads, self._ends())
        self._take_proof(now, "AM2")

    def _send_proof(self, now: float) -> None:
        payloads = self._told.proof() + self._told.nat_payloads(self._ends())
        self._send(now, "AM3", payloads, secret=True, last=True)

    def _take_proof_of_initiator(self, now: float) -> None:
        """NAT-D may be over the port that the message came to, or over the one that the exchange began on."""
        ends = self._ends()
        self._told.take_nat(self._message.payloads, ends, replace(ends, local_port=registry.PORT))
        self._take_proof(now, "AM3")


_ACTIONS = {
    Action.SEND_OFFER: AggressiveMode._send_offer,
    Action.TAKE_OFFER: AggressiveMode._take_offer,
    Action.SEND_CHOICE: AggressiveMode._send_choice,
    Action.TAKE_CHOICE: AggressiveMode._take_choice,
    Action.FLOAT: AggressiveMode._float,
    Action.SEND_PROOF: AggressiveMode._send_proof,
    Action.TAKE_PROOF: AggressiveMode._take_proof_of_initiator,
    Action.ANNOUNCE: AggressiveMode._announce,
    Action.FAIL_SILENCE: AggressiveMode._fail_silence,
    Action.FAIL_REFUSED: AggressiveMode._fail_refused,
}
