"""Records: what a client says of itself, journalled as JSON lines while the run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class RecordKind(StrEnum):
    """Every kind of record, with the keys of its `data`.

    Hexadecimal strings carry no prefix; SPIs are 8, cookies 16 hex digits. Times are seconds.
    """

    PLANNED = "planned"  # address, gateway, user, personality
    STARTED = "started"  # first datagram handed to the socket
    STAGE = "stage"  # stage, took: one of Stage's values reached, seconds since the stage before
    IKE_UP = "ike-up"  # icookie, rcookie, nat_local, nat_remote, encryption, hash, group, lifetime_s, rekey
    ESP_UP = "esp-up"  # spi_in, spi_out, encapsulation, encryption, authentication, lifetime_s, lifetime_kb, rekey
    L2TP_UP = "l2tp-up"  # tunnel_local, tunnel_remote, peer_host, peer_vendor
    CALL_UP = "call-up"  # session_local, session_remote
    PPP_UP = "ppp-up"  # address, peer, dns, authentication
    PINGED = "pinged"  # total, tries: the first echo of this connection was answered, seconds after its first datagram
    MARK_SENT = "mark-sent"  # sequence, size
    MARK_ANSWERED = "mark-answered"  # sequence, size, took: the answer to a mark of one's own
    MARK_STRANGE = "mark-strange"  # owner, sequence, via: a mark of somebody else's, or by way of a strange tunnel
    MARK_DUPLICATE = "mark-duplicate"  # sequence: one more answer to a mark of one's own
    MARK_DAMAGED = "mark-damaged"  # owner, sequence, detail: a mark whose bytes are not those that were sent
    MARK_RECEIVED = "mark-received"  # sequence, size: a mark from the far end for this client, which answered it
    STRANGE_DATA = "strange-data"  # tunnel, session, detail: decrypted L2TP that belongs to no tunnel of this client
    PPP_DOWN = "ppp-down"  # reason, by_peer: an established link is negotiated anew; ENDED follows where that comes to nothing
    REKEY_FAILED = "rekey-failed"  # stage, reason: the SA that was to be replaced lives on
    PEER_DELETE = "peer-delete"  # protocol, spis: a delete payload came
    PEER_NOTIFY = "peer-notify"  # type, detail
    GARBAGE = "garbage"  # layer, reason: a datagram that was refused
    FAILED = "failed"  # stage, reason: set-up did not complete
    ENDED = "ended"  # cause, by ("client", "gateway", "silence", "run"), detail
    INJECTED = "injected"  # way ("up", "down"), port, size, digest, stray (its inside address): garbage that the scenario sent
    IMPAIRED = "impaired"  # reason: the generator itself fell behind (late timers, socket drops): not the device's fault


class Stage(StrEnum):
    """The stages of a set-up in their order, in the words of the field."""

    MAIN_MODE = "main mode"
    QUICK_MODE = "quick mode"
    L2TP_TUNNEL = "L2TP tunnel"
    L2TP_SESSION = "L2TP session"
    LCP = "LCP"
    AUTHENTICATION = "PPP authentication"
    IPCP = "IPCP"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a client's account. `t` is seconds since the epoch, on the clock that stamps the captures too."""

    t: float
    client: str
    kind: RecordKind
    data: Mapping[str, Any]

    def to_json(self) -> str:
        return json.dumps({"t": round(self.t, 6), "client": self.client, "kind": self.kind.value, **self.data})

    @classmethod
    def from_json(cls, line: str) -> Record:
        data = json.loads(line)
        return cls(data.pop("t"), data.pop("client"), RecordKind(data.pop("kind")), data)
