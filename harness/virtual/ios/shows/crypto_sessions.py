"""`show crypto session [interface X | remote A [port N]] [detail]`, in the layouts of 12.3T, 12.4 and 15: what there is with one
peer, by both phases. Of IKE's capabilities NAT traversal alone is told.

    UP-ACTIVE  an ISAKMP SA and IPsec SAs     UP-IDLE           an ISAKMP SA alone      DOWN  a flow that has neither
    UP-NO-IKE  IPsec SAs alone                DOWN-NEGOTIATING  an exchange without SAs
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.virtual.ios.grammar import Match
from harness.virtual.ios.numbers import before_12_4, ike_conn_id, since_15
from harness.virtual.ios.shows.crypto_values import CryptoAccount, FlowShown, IkeShown
from harness.virtual.ios.shows.ipsec_sas import protected

GATE = "crypto-session"
CODES = (
    "Code: C - IKE Configuration mode, D - Dead Peer Detection     ",
    "K - Keepalives, N - NAT-traversal, X - IKE Extended Authentication",
)
CODES_15 = (
    CODES[0],
    "K - Keepalives, N - NAT-traversal, T - cTCP encapsulation     ",
    "X - IKE Extended Authentication, F - IKE Fragmentation",
)
UNBOUND = "KB Vol Rekey Disabled"


@dataclass(slots=True)
class _Session:
    ikes: list[IkeShown] = field(default_factory=list)
    flows: list[FlowShown] = field(default_factory=list)

    @property
    def status(self) -> str:
        up, protects = any(one.number is not None for one in self.ikes), any(flow.sas for flow in self.flows)
        if up:
            return "UP-ACTIVE" if protects else "UP-IDLE"
        return "UP-NO-IKE" if protects else "DOWN-NEGOTIATING" if self.ikes else "DOWN"


def crypto_session(account: CryptoAccount, match: Match) -> list[str]:
    release, detail = account.state.release, "detail" in match.words
    lines = ["Crypto session current status", ""]
    if detail:
        lines += [*(CODES_15 if since_15(release) else CODES), ""]
    outside = protected(account.state.configuration.tree)
    if outside is None or match.get("interface", outside.words[1]) != outside.words[1]:
        return lines
    for (peer, port), session in _sessions(account).items():
        if match.get("peer", peer) == peer and int(match.get("port") or port) == port:
            lines += _shown(account, outside.words[1], f"{peer}{'/' if before_12_4(release) else ' port '}{port}", session, detail)
    return lines


SYNTAXES = tuple(
    f"show crypto session{which} [detail]"
    for which in ("", " interface IFNAME:interface", " remote A.B.C.D:peer [port <1-65535>:port]")
)


def _sessions(account: CryptoAccount) -> dict[tuple[str, int], _Session]:
    """By the peer's address and the port that its IKE comes from. What waits for SAs is of any session with the peer."""
    found: dict[tuple[str, int], _Session] = {}
    for ike in account.ike():
        found.setdefault((ike.peer, ike.peer_port), _Session()).ikes.append(ike)
    for flow in sorted(account.flows(), key=lambda flow: not flow.sas):
        own = flow.peer, flow.ike_port
        if not flow.sas:
            own = next((key for key in found if key[0] == flow.peer), own)
        found.setdefault(own, _Session()).flows.append(flow)
    return found


def _shown(account: CryptoAccount, interface: str, peer: str, session: _Session, detail: bool) -> Iterator[str]:
    yield f"Interface: {interface}"
    yield f"Session status: {session.status:<14}"
    yield f"Peer: {peer} fvrf: (none) ivrf: (none)" if detail else f"Peer: {peer} "
    if detail:
        yield f"      Phase1_id: {next((one.identity for one in reversed(session.ikes) if one.identity), '(none)')}"
        yield "      Desc: (none)"
    for ike in session.ikes:
        yield from _ike(account, ike, detail)
    for flow in session.flows:
        yield f"  IPSEC FLOW: permit {_permit(flow)} "
        yield f"        Active SAs: {len(flow.sas)}, origin: {'dynamic ' if flow.dynamic else ''}crypto map"
        if detail:
            yield f"        Inbound:  #pkts dec'ed {flow.taken} drop {flow.wrong} life (KB/Sec) {_left(flow, inbound=True)}"
            yield f"        Outbound: #pkts enc'ed {flow.sent} drop 0 life (KB/Sec) {_left(flow, inbound=False)}"
    yield ""


def _ike(account: CryptoAccount, ike: IkeShown, detail: bool) -> Iterator[str]:
    release = account.state.release
    ends = f"local {account.address}/{ike.local_port} remote {ike.peer}/{ike.peer_port}"
    yield f"  IKE{'v1' if since_15(release) else ''} SA: {ends} {'Inactive' if ike.number is None else 'Active'} "
    if detail:
        number = 0 if ike.number is None else ike_conn_id(release, ike.number)
        left = f"{ike.left_s // 3600:02}:{ike.left_s // 60 % 60:02}:{ike.left_s % 60:02}" if ike.left_s else "0"
        yield f"          Capabilities:{'N' if ike.nat else '(none)'} connid:{number} lifetime:{left}"


def _permit(flow: FlowShown) -> str:
    ends = [end.split("/") for end in (flow.local, flow.remote)]
    names = [
        (f"host {address}" if mask == "255.255.255.255" else f"{address}/{mask}") + (f" port {port}" if port != "0" else "")
        for address, mask, _, port in ends
    ]
    protocol = ends[0][2]
    return f"{'ip' if protocol == '0' else protocol} {' '.join(names)}"


def _left(flow: FlowShown, *, inbound: bool) -> str:
    """Of the newest SA."""
    newest = next((sa for sa in reversed(flow.sas) if sa.inbound is inbound), None)
    if newest is None or newest.left is None:
        return "0/0"
    kilobytes, seconds = newest.left
    return f"{UNBOUND if kilobytes is None else kilobytes}/{seconds}"
