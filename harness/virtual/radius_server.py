"""A RADIUS server, sans-IO: datagrams and `now` in, datagrams out; it knows users by their passwords and keeps what is accounted.

For labs in virtual time, where a real server has no place. It answers PAP, CHAP and Microsoft's two (RFC 2865, 2548), and
Accounting-Requests (RFC 2866). A request that comes again is answered as it was, and counts once (RFC 5080 §2.2.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import ProtocolError
from harness.model import Secret
from harness.virtual.pool import Authenticator, Login
from harness.wire.ppp.authority import Claim, Decision, Passwords
from harness.wire.ppp.flavour import FLAVOURS, denied
from harness.wire.radius import Code, Outgoing, credentials, packet
from harness.wire.radius.attributes import Attribute, Attributes, attribute
from harness.wire.radius.packet import Packet

ACCESS_PORTS, ACCOUNTING_PORTS = (1812, 1645), (1813, 1646)
FRESH_S = 30.0
"""For how long a request that comes again is a copy."""
STATUSES = {1: "start", 2: "stop", 3: "interim-update", 7: "accounting-on", 8: "accounting-off"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question about a user, and its answer."""

    t: float
    client: str
    user: str
    method: str
    good: bool
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Record:
    """One accounting record. `status`: "start", "stop", "interim-update" …"""

    t: float
    client: str
    status: str
    user: str
    session: str
    attributes: Attributes

    def number(self, name: str) -> int:
        """-1 where the record has no such attribute."""
        found = self.attributes.number(name)
        return -1 if found is None else found


@dataclass(slots=True)
class RadiusServer:
    """`clients`: secrets by the address of who may ask; `users`: passwords; `addresses`: Framed-IP-Address for those who have one
    of their own. `asked`, `records` and `refused` (why a datagram was let fall) are in the order in which they came. `silent`: it
    hears nothing. Its Access-Accepts carry a Class, the user's name, which accounting is to show again."""

    clients: Mapping[str, Secret]
    users: Mapping[str, Secret]
    addresses: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False
    asked: list[Asked] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _answers: dict[tuple[str, int, bytes], tuple[float, Outgoing]] = field(default_factory=dict)
    _out: list[Outgoing] = field(default_factory=list)

    def receive(self, now: float, address: str, sport: int, dport: int, payload: bytes) -> None:
        """A datagram from a client's port `sport` to our `dport`."""
        if self.silent:
            return
        try:
            answer = self._answer(now, address, sport, dport, payload)
        except ProtocolError as error:
            self.refused.append(f"from {address}: {error}")
        else:
            self._out.append(answer)

    def take_datagrams(self) -> list[Outgoing]:
        taken, self._out = self._out, []
        return taken

    def of(self, user: str) -> list[Record]:
        """A user's records, oldest first."""
        return [record for record in self.records if record.user == user]

    def _answer(self, now: float, address: str, sport: int, dport: int, payload: bytes) -> Outgoing:
        secret = self.clients.get(address)
        if secret is None:
            raise ProtocolError("radius", "a client that is not known")
        request, key = packet.parse(payload), secret.reveal().encode()
        known = address, sport, request.data[:20]
        self._forget(now)
        if known in self._answers:
            return self._answers[known][1]
        if request.code == Code.ACCESS_REQUEST and dport in ACCESS_PORTS:
            data = self._access(now, address, request, key)
        elif request.code == Code.ACCOUNTING_REQUEST and dport in ACCOUNTING_PORTS:
            data = self._accounting(now, address, request, key)
        else:
            raise ProtocolError("radius", f"code {request.code} to port {dport}", 0)
        answer = Outgoing(address, dport, sport, data)
        self._answers[known] = now, answer
        return answer

    def _forget(self, now: float) -> None:
        """Answers that are asked for no more; the oldest come first."""
        while self._answers and now - next(iter(self._answers.values()))[0] > FRESH_S:
            del self._answers[next(iter(self._answers))]

    def _access(self, now: float, address: str, request: Packet, secret: bytes) -> bytes:
        packet.check_message_authenticator(request, secret)
        claim = credentials.claim_of(request, secret)
        decision = Passwords(Login(Authenticator(self.users))).judge(now, claim)
        self.asked.append(Asked(now, address, claim.user, claim.method, decision.good, request.attributes))
        code = Code.ACCESS_ACCEPT if decision.good else Code.ACCESS_REJECT
        return packet.response(code, request, self._said(claim, decision), secret)

    def _said(self, claim: Claim, decision: Decision) -> list[Attribute]:
        said, head = [], bytes((claim.identifier,))
        if decision.good:
            said.append(attribute("class", claim.user))
            if claim.user in self.addresses:
                said.append(attribute("framed-ip-address", self.addresses[claim.user]))
            if claim.method == "mschapv2":
                said.append(attribute("ms-chap2-success", head + decision.text[:42].encode()))
        elif claim.method in ("mschapv1", "mschapv2"):
            text = denied(FLAVOURS[claim.method], claim.challenge, retry=False)
            said.append(attribute("ms-chap-error", head + text.encode()))
        else:
            said.append(attribute("reply-message", "wrong user name or password"))
        return said

    def _accounting(self, now: float, address: str, request: Packet, secret: bytes) -> bytes:
        packet.check_accounting_request(request, secret)
        found = request.attributes
        number = found.number("acct-status-type")
        session = found.text("acct-session-id")
        if number is None or session is None:
            raise ProtocolError("radius", "an Accounting-Request without Acct-Status-Type or Acct-Session-Id")
        user = found.text("user-name") or ""
        self.records.append(Record(now, address, STATUSES.get(number, str(number)), user, session, found))
        return packet.response(Code.ACCOUNTING_RESPONSE, request, (), secret, sign=False)
