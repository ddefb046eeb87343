"""`show crypto session` and `show crypto session detail`, from 12.3(4)T on.

Layouts: 12.3 and 12.4 ("IKE SA: local …"), 15 and IOS-XE ("IKEv1 SA", "Session ID", the remote end on a line of its own where the
addresses are long).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.devices.ios.reading import read, seconds
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class SessionIke:
    """An IKE SA of the session. `version` 1 or 2, None where it is not said. `left_s`: seconds that are left of its life."""

    local: str
    local_port: int
    remote: str
    remote_port: int
    state: str
    version: int | None = None
    capabilities: str | None = None
    conn_id: int | None = None
    left_s: int | None = None


@dataclass(frozen=True, slots=True)
class SessionFlow:
    """What the session protects, as an access list's line. Packets and, of what is left, kilobytes and seconds, of the detailed
    view; `…_left_kb` None where the life is not bound by volume."""

    permit: str
    active_sas: int
    origin: str
    decrypted: int | None = None
    inbound_dropped: int | None = None
    inbound_left_kb: int | None = None
    inbound_left_s: int | None = None
    encrypted: int | None = None
    outbound_dropped: int | None = None
    outbound_left_kb: int | None = None
    outbound_left_s: int | None = None


@dataclass(frozen=True, slots=True)
class CryptoSession:
    """One session. `status` is "UP-ACTIVE", "UP-IDLE", "UP-NO-IKE", "DOWN", "DOWN-NEGOTIATING" …; `uptime_s` seconds.
    `attributes` is what has no field ("Username", "Profile", "Group", "Assigned address", "Phase1_id", "Desc" …), by name."""

    interface: str
    status: str
    peer: str
    peer_port: int
    uptime_s: int | None = None
    fvrf: str | None = None
    ivrf: str | None = None
    ikes: tuple[SessionIke, ...] = ()
    flows: tuple[SessionFlow, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Draft:
    lines: list[str] = field(default_factory=list)
    fields: dict[str, object] = field(default_factory=dict)
    ikes: list[dict[str, object]] = field(default_factory=list)
    flows: list[dict[str, object]] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    detailed: bool = False

    def whole(self) -> bool:
        needed = {"interface", "status", "peer"} <= set(self.fields)
        ikes = all("remote" in ike and (not self.detailed or "conn_id" in ike) for ike in self.ikes)
        flows = all("origin" in flow and (not self.detailed or "encrypted" in flow) for flow in self.flows)
        return bool(needed and (self.ikes or self.flows) and ikes and flows)


_INTERFACE = re.compile(r"\s*Interface: (\S.*?)\s*")
_STATUS = re.compile(r"\s*Session status: (\S+)\s*")
_PEER = re.compile(r"\s*Peer: (\S+?)(?: port |/)(\d{1,5})(?:\s+fvrf: (\S+))?(?:\s+ivrf: (\S+))?\s*")
_UPTIME = re.compile(r"\s*Uptime: (\S+)\s*")
_IKE = re.compile(r"\s*IKE(?:v([12]))? SA: local (\S+)/(\d{1,5})(?:\s+remote (\S+)/(\d{1,5}) (\w.*?))?\s*")
_REMOTE = re.compile(r"\s+remote (\S+)/(\d{1,5}) (\w.*?)\s*")
_CAPABILITIES = re.compile(r"\s*Capabilities:\s*(\S+) connid:\s*(\d{1,10}) lifetime:\s*(\S+)\s*")
_FLOW = re.compile(r"\s*IPSEC FLOW: (\S.*?)\s*")
_SAS = re.compile(r"\s*Active SAs: (\d{1,6}), origin: (.+?)\s*")
_WAY = re.compile(
    r"\s*(Inbound|Outbound):\s+#pkts (?:dec|enc)'ed (\d{1,20}) drop (\d{1,20}) "
    r"life \(KB/Sec\) (\d{1,12}|KB Vol Rekey Disabled)/(\d{1,10})\s*"
)
_ATTRIBUTE = re.compile(r"\s*(Username|Profile|Group|Assigned address|Phase1_id|Desc|Session ID|System IP): ?(.*?)\s*")
_HEADINGS = re.compile(r"\s*(?:Crypto session current status|Code: .*|[A-Z] - [\w -]+(?:, [A-Z] - [\w -]+)*)\s*")
_NOTHING = re.compile(r"\s*No (?:active )?(?:crypto )?sessions?.*", re.IGNORECASE)


def parse_crypto_session(text: str) -> Rows[CryptoSession]:
    """Rows are CryptoSession. A session that lacks its peer, or a part that the others of the text show, is not whole."""
    found = read(text)
    drafts: list[_Draft] = []
    unread: list[str] = []
    for line in found.lines:
        if not line or line.isspace() or _HEADINGS.fullmatch(line) or _NOTHING.fullmatch(line):
            continue
        if match := _INTERFACE.fullmatch(line):
            drafts.append(_Draft([line], {"interface": match[1]}))
        elif drafts and _take(drafts[-1], line):
            drafts[-1].lines.append(line)
        else:
            unread.append(line)
    detailed = any(draft.detailed for draft in drafts)
    flowing = sum(bool(draft.flows) for draft in drafts)
    rows: list[CryptoSession] = []
    for draft in drafts:
        draft.detailed = detailed
        if draft.whole():
            rows.append(_session(draft))
        else:
            unread += draft.lines
    cut = ""
    if drafts and not drafts[-1].whole():
        cut = "the last session does not come to its end"
    elif drafts and not drafts[-1].flows and flowing:
        cut = "what the last session protects is not told"
    return found.rows(rows, unread, cut)


def _take(draft: _Draft, line: str) -> bool:
    fields, ikes, flows = draft.fields, draft.ikes, draft.flows
    if match := _STATUS.fullmatch(line):
        fields["status"] = match[1]
    elif match := _PEER.fullmatch(line):
        vrfs = [None if name in (None, "(none)") else name for name in (match[3], match[4])]
        fields |= {"peer": match[1], "peer_port": int(match[2]), "fvrf": vrfs[0], "ivrf": vrfs[1]}
    elif match := _UPTIME.fullmatch(line):
        fields["uptime_s"] = seconds(match[1])
    elif match := _IKE.fullmatch(line):
        ikes.append({"version": int(match[1]) if match[1] else None, "local": match[2], "local_port": int(match[3])})
        if match[4]:
            ikes[-1] |= {"remote": match[4], "remote_port": int(match[5]), "state": match[6]}
    elif ikes and "remote" not in ikes[-1] and (match := _REMOTE.fullmatch(line)):
        ikes[-1] |= {"remote": match[1], "remote_port": int(match[2]), "state": match[3]}
    elif ikes and (match := _CAPABILITIES.fullmatch(line)):
        letters = "" if match[1] == "(none)" else match[1]
        ikes[-1] |= {"capabilities": letters, "conn_id": int(match[2]), "left_s": 0 if match[3] == "0" else seconds(match[3])}
        draft.detailed = True
    elif match := _FLOW.fullmatch(line):
        flows.append({"permit": match[1]})
    elif flows and "origin" not in flows[-1] and (match := _SAS.fullmatch(line)):
        flows[-1] |= {"active_sas": int(match[1]), "origin": match[2]}
    elif flows and (match := _WAY.fullmatch(line)):
        way = match[1].lower()
        count = "decrypted" if way == "inbound" else "encrypted"
        left = int(match[4]) if match[4].isdigit() else None
        flows[-1] |= {count: int(match[2]), f"{way}_dropped": int(match[3]), f"{way}_left_kb": left, f"{way}_left_s": int(match[5])}
        draft.detailed = True
    elif match := _ATTRIBUTE.fullmatch(line):
        draft.attributes.append((match[1], match[2]))
    else:
        return False
    return True


def _session(draft: _Draft) -> CryptoSession:
    ikes = tuple(SessionIke(**ike) for ike in draft.ikes)  # type: ignore[arg-type]
    flows = tuple(SessionFlow(**flow) for flow in draft.flows)  # type: ignore[arg-type]
    return CryptoSession(**draft.fields, ikes=ikes, flows=flows, attributes=tuple(draft.attributes))  # type: ignore[arg-type]
