"""`show vpdn`, `show vpdn tunnel`, `show vpdn session`, and `show l2tp`, `show l2tp tunnel`, `show l2tp session`: L2TP's part.

Layouts: 12.2 (LocID, RemID, Remote Name, State, Remote Address, Port, Sessions; sessions with interface and user in columns of
their own), 12.3 (the VPDN group behind), 12.4T, 15 and IOS-XE (LocTunID, "L2TP Class/ VPDN Group"; user and interface in one
column, which is broken over two lines where it is long). Tables of L2F, PPTP and PPPoE are left unread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from harness.devices.ios.reading import read, seconds
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class VpdnTunnel:
    """One L2TP tunnel. `local_id` is this device's own ID. `port` is the peer's UDP port, None where the layout has none.
    `group` the VPDN group or L2TP class, None where none is shown."""

    local_id: int
    remote_id: int
    name: str
    state: str
    address: str
    sessions: int
    port: int | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class VpdnSession:
    """One L2TP session. `local_id` is this device's own ID, `tunnel_id` its own of the tunnel. `user` is the PPP user, or a virtual
    circuit's number; the older layout cuts it to its column. `since_s` seconds since the state changed; `unique_id` None in the
    layout that shows `fast_switched` instead."""

    local_id: int
    remote_id: int
    tunnel_id: int
    user: str | None
    interface: str | None
    state: str
    since_s: int | None
    unique_id: int | None = None
    fast_switched: str | None = None


_TOTALS = re.compile(r"\s*L2TP (Tunnel and Session|Tunnel|Session) Information(?: Total tunnels (\d{1,7}) sessions (\d{1,7}))?\s*")
_NONE = re.compile(r"\s*%{0,2}\s*No active (?:L2TP|L2F|PPTP|PPPoE|VPDN) (?:tunnels|sessions)\s*")
_TUNNELS = re.compile(r"\s*Loc(?:Tun)?ID\s+Rem(?:Tun)?ID\s+Remote Name\s+State\s+Remote Address\s+(Port|Sessn)\b.*")
_SESSIONS = re.compile(r"\s*LocID\s+RemID\s+TunID\s+(?:(Username, Intf/)|(Intf\s+Username))\s+State\s+Last Chg\b.*")
_SECOND_LINE = re.compile(r"\s*(?:Count )?VPDN Group\s*|\s*Count\s*|\s*Vcid, Circuit\s*")
_OTHER_TABLE = re.compile(r"\s*(?:L2F|PPTP|PPPoE) (?:Tunnel|Session).*|\s*(?:NAS CLID|SID\s+RemMAC|UID\s+SID)\b.*")
_ADDRESS = r"(\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*)"
_IDS = r"\s*(\d{1,10})\s+(\d{1,10})\s+"
_PEER = rf"(\S.*?)\s+([a-z][\w-]*)\s+{_ADDRESS}"
_COUNT_GROUP = r"(?P<count>\d{1,7})(?:\s+(?P<group>\S.*?))?\s*"
_TUNNEL = {
    "Port": re.compile(rf"{_IDS}{_PEER}\s+(?P<port>\d{{1,5}})\s+{_COUNT_GROUP}"),
    "Sessn": re.compile(rf"{_IDS}{_PEER}\s+{_COUNT_GROUP}"),
}
_TIME = r"(\d\d:\d\d:\d\d|(?:\d+[ywdh]){1,2}|never)"
_OLD = re.compile(rf"{_IDS}(\d{{1,10}})\s+(?:([A-Z]\S*)\s+)?(\S+)\s+([a-z][\w-]*)\s+{_TIME}(?:\s+(\S+))?\s*")
_NEW = re.compile(rf"{_IDS}(\d{{1,10}})\s+(\S.*?)\s+([a-z][\w-]*)\s+{_TIME}\s+(\d{{1,10}})\s*")
_REST_OF_USER = re.compile(r"\s{16,}(\S+(?: \S+)?)\s*")
_GROUP_ALONE = re.compile(r"\s{40,}(\S+)\s*")


def parse_vpdn(text: str, tunnels: bool = True, sessions: bool = True) -> Rows[VpdnTunnel | VpdnSession]:
    """Rows are VpdnTunnel and VpdnSession in the text's order. `tunnels`, `sessions`: whether the command shows them, so that the
    text's totals are compared with the rows: fewer than told, and it was cut off."""
    found = read(text)
    rows: list[VpdnTunnel | VpdnSession] = []
    unread: list[str] = []
    table: str | None = None
    told = [0, 0]
    for line in found.lines:
        if not line.strip() or _NONE.fullmatch(line) or (table is not None and _SECOND_LINE.fullmatch(line)):
            continue
        if match := _TOTALS.fullmatch(line):
            table = None
            told = [told[0] + int(match[2] or 0), told[1] + int(match[3] or 0)]
        elif match := _TUNNELS.fullmatch(line):
            table = match[1]
        elif match := _SESSIONS.fullmatch(line):
            table = "new" if match[1] else "old"
        elif _OTHER_TABLE.fullmatch(line):
            table = None
            unread.append(line)
        elif table is not None and (row := _row(table, line)) is not None:
            rows.append(row)
        elif table is None or not rows or not _continued(rows, table, line):
            unread.append(line)
    last = rows[-1] if rows else None
    torn = table == "new" and isinstance(last, VpdnSession) and last.user is not None and "," not in last.user
    ready = [_user_apart(row) if isinstance(row, VpdnSession) else row for row in rows]
    cut = _short(ready, told, (tunnels, sessions), len(unread))
    return found.rows(ready, unread, cut or ("the user of the last session is not all there" if torn else ""))


def parse_vpdn_tunnels(text: str) -> Rows[VpdnTunnel | VpdnSession]:
    """`show vpdn tunnel` and `show l2tp tunnel`: rows are VpdnTunnel."""
    return parse_vpdn(text, sessions=False)


def parse_vpdn_sessions(text: str) -> Rows[VpdnTunnel | VpdnSession]:
    """`show vpdn session` and `show l2tp session`: rows are VpdnSession."""
    return parse_vpdn(text, tunnels=False)


def _short(rows: list[VpdnTunnel | VpdnSession], told: list[int], shown: tuple[bool, bool], unread: int) -> str:
    for what, kind, total, wanted in zip(("tunnels", "sessions"), (VpdnTunnel, VpdnSession), told, shown, strict=True):
        count = sum(isinstance(row, kind) for row in rows)
        if wanted and count + unread < total:
            return f"it tells of {total} {what}, and holds {count}"
    return ""


def _row(table: str, line: str) -> VpdnTunnel | VpdnSession | None:
    if table in _TUNNEL:
        if match := _TUNNEL[table].fullmatch(line):
            port = int(match["port"]) if table == "Port" else None
            return VpdnTunnel(int(match[1]), int(match[2]), match[3], match[4], match[5], int(match["count"]), port, match["group"])
    elif table == "old" and (match := _OLD.fullmatch(line)):
        last = match[8] or ""
        unique = int(last) if re.fullmatch(r"\d{1,10}", last) else None
        fast = None if unique is not None else last or None
        ids = (int(match[1]), int(match[2]), int(match[3]))
        return VpdnSession(*ids, match[5], match[4], match[6], seconds(match[7]), unique, fast)
    elif table == "new" and (match := _NEW.fullmatch(line)):
        ids = (int(match[1]), int(match[2]), int(match[3]))
        return VpdnSession(*ids, match[4], None, match[5], seconds(match[6]), int(match[7]))
    return None


def _continued(rows: list[VpdnTunnel | VpdnSession], table: str, line: str) -> bool:
    """Whether the line is what found no place in the last row's own."""
    last = rows[-1]
    if table == "new" and isinstance(last, VpdnSession) and (match := _REST_OF_USER.fullmatch(line)):
        gap = " " if last.user is not None and last.user.endswith(",") else ""
        rows[-1] = replace(last, user=f"{last.user}{gap}{match[1]}")
        return True
    if table in _TUNNEL and isinstance(last, VpdnTunnel) and last.group is None and (match := _GROUP_ALONE.fullmatch(line)):
        rows[-1] = replace(last, group=match[1])
        return True
    return False


def _user_apart(row: VpdnSession) -> VpdnSession:
    """"user, interface" of the newer layout as two; "-" is none."""
    if row.interface is not None or row.user is None:
        return row
    user, _, interface = row.user.rpartition(", ") if ", " in row.user else (row.user.rstrip(","), "", "-")
    return replace(row, user=None if user == "-" else user, interface=None if interface == "-" else interface)
